//! A module whose file system never answers: a program on a dead NFS server, or on
//! a FUSE mount of somebody who wants the handler to hang (CVE-2021-25684 is the
//! same with a FIFO). Nothing of the file is opened, asked or faulted in while the
//! process is held; what is missing is a gap.
//!
//! Needs root and /dev/fuse; says so and passes without.

mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use epicore::record::{Kind, Record};
use support::observe::{Observatory, dumped, victim, wait_for_full};

/// The mount, and who serves it.
struct Never(Child);

impl Never {
    fn serve(at: &Path) -> Never {
        std::fs::create_dir(at).expect("a directory");
        let program = support::workshop::helper("never");
        let mut child = Command::new(program).arg(at).stdout(Stdio::piped()).spawn().expect("the server");
        let mut line = String::new();
        let told = child.stdout.take().expect("a pipe");
        BufReader::new(told).read_line(&mut line).expect("a line");
        assert_eq!(line, "ready\n");
        Never(child)
    }
}

impl Drop for Never {
    fn drop(&mut self) {
        // Its end answers everybody who waits.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What came of a crash whose file system stopped before it.
struct Seen {
    records: Vec<Record>,
    status: Option<std::process::ExitStatus>,
    /// When there was a full record, or nobody waited for one any more.
    recorded: Duration,
    /// When the process was gone.
    released: Duration,
}

/// Makes one. `crash` is made of the mount and of who serves it.
fn crashed(crash: impl FnOnce(&Path, String) -> Command) -> Option<Seen> {
    if !Path::new("/dev/fuse").exists() {
        println!("skipped: no /dev/fuse");
        return None;
    }
    let observatory = Observatory::open()?;
    let (spool, mount) = (observatory.spool("s"), observatory.place.path("m"));
    let never = Never::serve(&mount);
    observatory.point_at_handler(&spool);
    let mut crash = crash(&mount, never.0.id().to_string());
    let began = Instant::now();
    let mut child = crash.stdin(Stdio::null()).spawn().expect("the victim");
    let records = wait_for_full(&spool, 1, Duration::from_secs(8));
    let (recorded, patience) = (began.elapsed(), Duration::from_secs(8));
    let status = loop {
        if let Some(status) = child.try_wait().expect("waitpid") {
            break Some(status);
        }
        if began.elapsed() > patience {
            break None;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let released = began.elapsed();
    drop(never);
    let _ = Command::new("umount").arg("-l").arg(&mount).stderr(Stdio::null()).status();
    let _ = child.wait();

    println!("record after {recorded:?}, process reaped after {released:?}");
    Some(Seen { records, status, recorded, released })
}

/// One of which there is a record at once, and which died of this signal.
fn held(signal: i32, crash: impl FnOnce(&Path, String) -> Command) -> Option<Record> {
    let Seen { mut records, status, recorded, released } = crashed(crash)?;
    let record = records.pop().expect("a record");
    assert!(status.is_some_and(|status| dumped(status, signal)), "{status:?}: it was held");
    assert_eq!(record.kind, Kind::Full);
    // Nothing waited until the deadline.
    let deadline = Duration::from_secs(epicore::limits::HELD_SECONDS);
    assert!(recorded < deadline && released < deadline);
    Some(record)
}

fn has_gap(record: &Record, begin: &str) -> bool {
    record.gaps.iter().any(|gap| gap.reason.starts_with(begin))
}

#[test]
fn a_module_whose_file_system_never_answers_is_a_gap_and_nobody_waits() {
    for more in [&[][..], &["jump"], &["cold"]] {
        let crash = |mount: &Path, server| {
            let mut crash = victim(&mount.join("app"));
            crash.arg(server).args(more);
            crash
        };
        let Some(record) = held(11, crash) else { return };
        assert!(has_gap(&record, "files on fuse are not opened"), "{:?}", record.gaps);
        assert!(has_gap(&record, "bytes of files that would have to be fetched"), "{:?}", record.gaps);
        // What was there is in the record all the same: its frame in its own file.
        let modules: Vec<_> = record.modules.iter().filter_map(|module| module.path.clone()).collect();
        assert!(modules.iter().any(|path| path.ends_with("/m/app")), "{modules:?}");
        let first = record.stacks.first().and_then(|stack| stack.frames.first());
        assert!(more == ["jump"] || first.is_some_and(|frame| frame.module.is_some()));
    }
}

/// glibc's note of an abort is read while the process is held, and points where the
/// process wants.
#[test]
fn a_note_of_an_abort_that_lies_in_such_a_file_is_not_read() {
    let record = held(6, |mount, server| {
        let mut crash = victim(&support::workshop::dynamic_helper("abort_message"));
        crash.arg(mount.join("app")).arg(server);
        crash
    });
    let told = |record: Record| has_gap(&record, "files on fuse are not opened");
    assert!(record.is_none_or(told));
}

fn detached<'a>(more: &'a [&str]) -> impl FnOnce(&Path, String) -> Command + 'a {
    move |mount, server| {
        let mut crash = victim(&mount.join("app"));
        crash.arg(server).arg("detach").args(more);
        crash
    }
}

/// No list of mounts tells of it: its files are not opened and none of their pages is
/// fetched, because nobody says that they are local.
#[test]
fn a_file_of_a_detached_mount_is_neither_opened_nor_fetched() {
    for more in [&[][..], &["jump"], &["cold"]] {
        let Some(record) = held(11, detached(more)) else { return };
        let app = record.modules.iter().find(|module| module.path.as_deref() == Some("/app"));
        assert!(app.is_some_and(|module| module.flags.contains(&"no-file".into())), "{:?}", record.modules);
        assert!(has_gap(&record, "bytes of files that would have to be fetched"), "{:?}", record.gaps);
    }
}

/// The kernel's own tmpfs is in no list of mounts either, and answers by itself: a
/// program that runs from a memfd keeps its file.
#[test]
fn a_program_in_a_memfd_is_read_like_any_other() {
    let Some(observatory) = Observatory::open() else { return };
    let spool = observatory.spool("s");
    observatory.point_at_handler(&spool);
    let memory = nix::sys::memfd::memfd_create(c"app", nix::sys::memfd::MFdFlags::empty()).expect("a memfd");
    let program = std::fs::read(support::workshop::helper("crash")).expect("the program");
    assert_eq!(nix::unistd::write(&memory, &program), Ok(program.len()));
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&memory));
    let status = victim(Path::new(&path)).arg("3").status().expect("a crash");
    assert!(dumped(status, 11), "{status:?}");
    let record = wait_for_full(&spool, 1, Duration::from_secs(10)).pop().expect("a record");
    let app =
        record.modules.iter().find(|module| module.path.as_deref().is_some_and(|p| p.contains("memfd:")));
    let app = app.unwrap_or_else(|| panic!("{:?}", record.modules));
    assert!(!app.flags.contains(&"no-file".to_owned()), "{app:?}");
}
