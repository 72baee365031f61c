//! What list and show promise to whoever reads them.
#![allow(missing_docs)]

#[path = "support/records.rs"]
mod records;

use std::process::Stdio;

use epicore::record::Record;
use records::{epicore, err, later, null_read, out, spool};

/// A spool with these records, and how to ask for it.
struct Place {
    _dir: tempfile::TempDir,
    path: String,
}

impl Place {
    fn with(records: &[Record]) -> Place {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spool");
        spool(&path, records);
        Place { path: path.to_str().unwrap().to_owned(), _dir: dir }
    }

    fn run(&self, arguments: &[&str]) -> std::process::Output {
        let all: Vec<&str> = arguments.iter().copied().chain(["--spool", &self.path]).collect();
        epicore(&all)
    }
}

#[test]
fn list_is_an_aligned_table_with_the_newest_last() {
    let place = Place::with(&[later(152, "9b00d8e1"), null_read()]);
    let text = out(&place.run(&["list"]));
    assert_eq!(
        text,
        "\
TIME                 ID        SIGNAL   PROGRAM  UNIT            HOST    WHERE          KEY
2026-11-22 14:05:09  41f7a2c3  SIGSEGV  server   server.service  web-12  server+0x4134  9c1185a5
2026-11-22 14:07:41  9b00d8e1  SIGSEGV  server   server.service  web-12  server+0x4134  9c1185a5
"
    );
}

/// Forwarding takes nothing away from whoever looks at the host itself.
#[test]
fn records_that_were_sent_or_refused_are_listed_and_shown_like_any_other() {
    let place = Place::with(&[later(152, "9b00d8e1"), later(60, "f000beef"), null_read()]);
    let before = out(&place.run(&["list"]));
    let spool = epicore::spool::Spool::open(place.path.as_ref()).unwrap();
    let items = epicore::spool::Reader::of(&spool).unwrap().pending(9).unwrap().items;
    let full = |item: &epicore::spool::Item| epicore::spool::Item { full: true, ..*item };
    spool.acknowledge(&[full(&items[0])]).unwrap();
    spool.refuse(&full(&items[1]), "not a record").unwrap();
    assert_eq!(out(&place.run(&["list"])), before);
    assert!(out(&place.run(&["show", "41f7a2c3"])).contains("SIGSEGV"));
}

#[test]
fn every_filter_narrows_the_list() {
    let mut other = later(60, "f000beef");
    other.crash.signal = Some(6);
    other.process.exe = Some("/usr/bin/other".into());
    other.process.comm = Some("other".into());
    other.process.unit = Some("other@1.service".into());
    other.host.name = Some("db-1".into());
    other.keys.functions = Some(epicore::record::Hex(0x00ff));
    other.keys.portable = None;
    let place = Place::with(&[null_read(), other]);
    for filter in [
        ["--signal", "ABRT"],
        ["--signal", "6"],
        ["--exe", "/usr/bin/other"],
        ["--exe", "oth*"],
        ["--unit", "other@1"],
        ["--unit", "other*.service"],
        ["--host", "db-*"],
        ["--signature", "00000000000000ff"],
        ["--since", "2026-11-22T14:05:30Z"],
        ["--number", "1"],
    ] {
        let text = out(&place.run(&["list", filter[0], filter[1]]));
        assert!(text.contains("f000beef") && !text.contains("41f7a2c3"), "{filter:?}:\n{text}");
    }
    let text = out(&place.run(&["list", "--until", "2026-11-22T14:05:30Z"]));
    assert!(text.contains("41f7a2c3") && !text.contains("f000beef"), "{text}");
}

#[test]
fn an_empty_answer_says_where_it_looked_and_what_to_try() {
    let place = Place::with(&[null_read()]);
    let none = place.run(&["list", "--exe", "nothing"]);
    assert_eq!(none.status.code(), Some(1));
    let said = err(&none);
    assert!(said.contains("none of the 1 record in") && said.contains("epicore doctor"), "{said}");
    let empty = Place::with(&[]);
    assert!(err(&empty.run(&["list"])).contains("no records in"));
    assert!(err(&empty.run(&["show"])).contains("no records in"));
}

#[test]
fn show_says_why_first() {
    let place = Place::with(&[null_read()]);
    for selector in
        ["last", "41f7a2c3", "41f7", "7bd2-a1", "0199f0a6", "0199f0a6-d1c8-7bd2-a1b0-c3d441f7a2c3"]
    {
        let text = out(&place.run(&["show", selector]));
        let first = "SIGSEGV: access to address 0x18 (null pointer + 0x18): \
                     nothing is mapped there (SEGV_MAPERR), at server+0x4134\n";
        assert!(text.starts_with(first), "{selector}:\n{text}");
    }
    let file = format!("{}/0199f0a6d1c87bd2a1b0c3d441f7a2c3.rec", place.path);
    assert!(out(&epicore(&["show", &file])).starts_with("SIGSEGV"));
}

#[test]
fn show_fits_a_screen_and_says_what_full_would_add() {
    let mut deep = null_read();
    let frame = deep.stacks[0].frames[1].clone();
    deep.stacks[0].frames.extend(std::iter::repeat_n(frame, 200));
    deep.stacks[0].cut = Some(4812);
    deep.stacks[0].cut_at = Some(112);
    let place = Place::with(&[deep]);
    let text = out(&place.run(&["show"]));
    assert!(text.lines().count() < 60, "{text}");
    assert!(text.contains("4,812 frames left out of the record"), "{text}");
    assert!(text.trim_end().lines().last().unwrap().starts_with("--full adds 187 frames"), "{text}");
    let full = out(&place.run(&["show", "--full"]));
    assert!(full.contains("#5014") && full.contains("eflags") && !full.contains("--full"), "{full}");
}

#[test]
fn the_crashing_threads_frames_say_how_they_were_found() {
    let place = Place::with(&[null_read()]);
    let text = out(&place.run(&["show"]));
    let frames: Vec<&str> = text.lines().filter(|line| line.starts_with("  #")).collect();
    assert_eq!(
        frames,
        [
            "  #0  fn_4120+0x14   server+0x4134      registers",
            "  #1  fn_5100+0x2c   server+0x512c      call frame information",
            "  #2  fn_271d0+0x7a  libc.so.6+0x2724a  stack scan",
        ]
    );
    assert!(text.contains("Other threads: 2, 1 distinct stack\n     2 × libc.so.6+0x9e21\n"), "{text}");
}

#[test]
fn a_terminal_never_obeys_a_name_from_a_crash() {
    let hostile = "\x1b[2J\n)\u{202e}\u{9b}31m";
    let mut record = null_read();
    let name = || Some(hostile.to_owned());
    record.process.comm = name();
    record.process.thread_comm = name();
    record.process.exe = Some(format!("/tmp/{hostile}"));
    record.process.unit = name();
    record.process.container = name();
    record.process.cgroup = name();
    record.process.namespaces = vec![(hostile.to_owned(), 1)];
    record.process.limits = vec![(hostile.to_owned(), 1)];
    record.host.name = name();
    record.host.kernel = name();
    record.host.arch = name();
    record.hardware.model_name = name();
    record.hardware.vendor = name();
    record.hardware.interrupts = vec![(hostile.to_owned(), 1, None)];
    record.hardware.thermal = vec![(hostile.to_owned(), 1, None)];
    record.capture.version = name();
    record.capture.source = name();
    record.capture.identity = name();
    record.capture.unconfined = vec![hostile.to_owned()];
    record.gaps[0].reason = hostile.to_owned();
    for module in &mut record.modules {
        module.path = Some(format!("/lib/{hostile}"));
        module.flags = vec![hostile.to_owned()];
    }
    for stack in &mut record.stacks {
        stack.end = name();
        stack.frames[0].kind = name();
    }
    let place = Place::with(&[record]);
    for arguments in [&["list"][..], &["show"], &["show", "--full"]] {
        let text = out(&place.run(arguments));
        assert!(text.contains("\\x1b[2J\\n)"), "{arguments:?}: {text:?}");
        let obeyed = text.chars().find(|c| c.is_control() && *c != '\n' || *c == '\u{202e}');
        assert_eq!(obeyed, None, "{arguments:?}: {text:?}");
        assert!(!text.contains("J\n)"), "{arguments:?}: {text:?}");
    }
}

#[test]
fn json_has_documented_keys_and_addresses_in_hexadecimal() {
    let place = Place::with(&[null_read(), later(9, "9b00d8e1")]);
    let text = out(&place.run(&["list", "--json"]));
    assert_eq!(text.lines().count(), 2);
    let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(first["crash"]["sig"], 11);
    assert_eq!(first["st"][0]["f"][0]["o"], "0x4134");
    assert_eq!(first["keys"]["l1"], "0x9c1185a5c5e9fc54");
    let text = out(&place.run(&["show", "41f7a2c3", "--json"]));
    let record: Record = serde_json::from_str(&text).unwrap();
    assert_eq!(record, null_read());
}

#[test]
fn one_damaged_record_hides_no_other() {
    let place = Place::with(&[null_read(), later(9, "9b00d8e1")]);
    let file = format!("{}/0199f0a6d1c87bd2a1b0c3d49b00d8e1.rec", place.path);
    let mut bytes = std::fs::read(&file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let list = place.run(&["list"]);
    assert_eq!(list.status.code(), Some(0));
    assert!(out(&list).contains("41f7a2c3"));
    assert!(err(&list).contains("1 record could not be read"), "{}", err(&list));
    let show = place.run(&["show", "9b00d8e1"]);
    assert_eq!(show.status.code(), Some(1));
    assert!(err(&show).contains("damaged"), "{}", err(&show));
}

#[test]
fn errors_have_one_form_and_exit_codes_one_meaning() {
    let place = Place::with(&[null_read()]);
    for (arguments, code, said) in [
        (&["show", "zzzz"][..], 2, "is not a record"),
        (&["show", "ffffffff"], 1, "no record ffffffff"),
        (&["list", "--since", "soon"], 2, "not a time"),
        (&["list", "--signal", "SIGNAL"], 2, "not a signal"),
        (&["list", "--signature", "xyz"], 2, "not a key"),
        (&["lits"], 2, "unrecognized"),
        (&["show", "/etc/passwd"], 1, "/etc/passwd"),
        (&["show", "/dev/zero"], 1, "/dev/zero"),
        (&["replay", "/nonexistent"], 1, "/nonexistent"),
        (&["replay", "/etc/passwd"], 1, "not a core file"),
        (&["list", "--config", "/nonexistent.toml"], 2, "no such file"),
    ] {
        let output = place.run(arguments);
        let text = err(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(text.starts_with("epicore: ") && text.contains(said), "{arguments:?}: {text}");
        assert_eq!(out(&output), "", "{arguments:?}");
    }
    assert_eq!(epicore(&["--version"]).status.code(), Some(0));
    assert_eq!(epicore(&["help", "list"]).status.code(), Some(0));
    assert_eq!(epicore(&[]).status.code(), Some(2));
}

/// One unknown key in a drop-in kept people from every crash of the host.
#[test]
fn a_mistake_in_the_configuration_is_told_and_hides_no_crash() {
    let place = Place::with(&[null_read()]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("epicore.toml");
    std::fs::create_dir(dir.path().join("epicore.toml.d")).unwrap();
    std::fs::write(&file, format!("spool = '{}'\n", place.path)).unwrap();
    std::fs::write(dir.path().join("epicore.toml.d/90-site.toml"), "spol = '/x'\n[limits]\nbytes = 1\n")
        .unwrap();
    let config = file.to_str().unwrap();
    for words in [&["list"][..], &["show", "last"], &["tail"], &["audit"]] {
        let output = epicore(&[words, &["--config", config]].concat());
        let said = err(&output);
        assert_eq!(output.status.code(), Some(0), "{words:?}: {said}");
        assert_eq!(said.lines().count(), 2, "{words:?}: {said}");
        assert!(
            said.lines().all(|line| line.contains("90-site.toml: line ") && line.contains(": unknown key")),
            "{words:?}: {said}"
        );
        assert_ne!(out(&output), "", "{words:?}");
    }
    // What changes something does not guess what was meant.
    for words in [&["config", "check"][..], &["purge", "--uid", "1000"]] {
        let output = epicore(&[words, &["--config", config]].concat());
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(err(&output).contains("unknown key spol"), "{}", err(&output));
    }
    assert_eq!(out(&place.run(&["list", "--json"])).lines().count(), 1, "nothing was purged");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let records: Vec<Record> = (0..600).map(|n| later(n, &format!("{:08x}", n + 0x1000_0000))).collect();
    let place = Place::with(&records);
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_epicore"))
        .args(["list", "--json", "--spool", &place.path])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), err(&output)), (Some(0), String::new()));
}
