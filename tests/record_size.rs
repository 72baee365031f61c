//! A record is small enough to keep and to send all of them: at most 4 KiB
//! zstd-compressed for a typical process. Typical here are programs that are
//! on every Debian host, run as they are. Needs root; says so and passes
//! without.

mod support;

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use support::observe::{Observatory, Watch, records, victim, wait_for_full};

/// What a record may take on the wire.
const COMPRESSED: usize = 4 << 10;
/// A record of this many modules and more is no typical one, and may be an eighth larger.
const MANY_MODULES: usize = 48;

fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|program| program.is_file());
    if found.is_none() {
        println!("skipped: {name} is not installed");
    }
    found
}

fn program(name: &str, arguments: &[&str]) -> Option<(String, Command)> {
    let mut command = victim(&installed(name)?);
    command.args(arguments).process_group(0);
    Some((name.to_owned(), command))
}

/// Five threads in Python, an interpreter that kills itself, a shell.
fn typical() -> Vec<(String, Command)> {
    let python = "import os, threading, time\n\
                  [threading.Thread(target=time.sleep, args=(9,), daemon=True).start() for _ in range(5)]\n\
                  time.sleep(0.1)\nos.abort()";
    [
        program("python3", &["-c", python]),
        program("perl", &["-e", "kill 11, $$; sleep 9"]),
        program("bash", &["-c", "kill -SEGV $$; sleep 9"]),
        program("gdb", &["-nx", "-batch", "-ex", "python import os; os.abort()"]),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn payload(spool: &Path) -> Vec<u8> {
    let reader = epicore::spool::Reader::open(spool).expect("the spool");
    let entry = reader.find("last").expect("a record");
    match reader.read(&entry) {
        epicore::spool::RecordStatus::Valid { payload, .. } => payload,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_record_of_a_typical_process_is_at_most_4_kib_compressed() {
    let Some(observatory) = Observatory::open() else { return };
    for (index, (name, mut command)) in typical().into_iter().enumerate() {
        let spool = observatory.spool(&format!("s{index}"));
        observatory.crash(Watch::Usage, &spool, &mut command);
        wait_for_full(&spool, 1, Duration::from_secs(10));
        let record = records(&spool).pop().expect("a record");
        let raw = payload(&spool);
        let compressed = zstd::encode_all(raw.as_slice(), 3).expect("zstd").len();
        println!(
            "{name}: {} bytes raw, {compressed} compressed, {} threads, {} modules, {} stacks",
            raw.len(),
            record.threads.tid.len(),
            record.modules.len(),
            record.stacks.len()
        );
        let many = record.modules.len() >= MANY_MODULES;
        let most = if many { COMPRESSED + COMPRESSED / 8 } else { COMPRESSED };
        assert!(compressed <= most, "{name}: {compressed} bytes");
    }
}
