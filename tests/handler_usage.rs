//! A person who tries the handler out is told what it is, and is no crash.

use std::process::{Command, Stdio};

#[test]
fn a_person_who_tries_it_out_leaves_no_record_and_no_number() {
    let place = tempfile::tempdir().unwrap();
    let (run, spool) = (place.path().join("run"), place.path().join("spool"));
    epicore::spool::initialise(&spool, None).unwrap();
    for (words, code) in [
        (vec!["--help"], 0),
        (vec!["-h", "-P1"], 0),
        (vec!["--cencus"], 2),
        (vec!["--print", "--census"], 2),
        (vec![], 2),
    ] {
        let mut handler = Command::new(env!("CARGO_BIN_EXE_epicore-handler"));
        handler.args(&words).arg("--run").arg(&run).arg("--spool").arg(&spool).stdin(Stdio::null());
        let said = handler.output().unwrap();
        let text = String::from_utf8_lossy(&said.stderr).into_owned();
        assert_eq!(said.status.code(), Some(code), "{words:?}: {text}");
        assert!(text.contains("`epicore enable` installs it") && text.contains("--census"), "{text}");
    }
    assert!(!run.exists(), "nothing was counted");
    let records = std::fs::read_dir(&spool).unwrap().flatten();
    assert_eq!(records.filter(|entry| entry.path().extension().is_some_and(|end| end == "rec")).count(), 0);
}
