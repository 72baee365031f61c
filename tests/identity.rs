//! CVE-2025-4598: a handler of crashes was made to read another process. The
//! attacker's process crashes and is gone before the handler looks; its pid is
//! by then that of a privileged program. Here the core of one process comes in
//! on standard input, and the pid is that of another, living one. And a path of a
//! container, which is not ours.

mod support;

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use epicore::record::{Kind, Record};
use support::observe::{Observatory, Watch, dumped, victim, wait_for_full};

/// A process that lives as long as this value.
struct Living(Child);

impl Living {
    fn new() -> Living {
        Living(Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().expect("sleep"))
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn record_of(pid: u32) -> Record {
    let spool = tempfile::tempdir().expect("a directory");
    epicore::spool::initialise(spool.path(), None).expect("a spool");
    let core = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cores/null.core");
    let status = Command::new(support::handler_place::handler())
        .args([
            format!("-P{pid}"),
            format!("-I{pid}"),
            "-s11".to_owned(),
            "-d1".to_owned(),
            "--spool".to_owned(),
        ])
        .arg(spool.path())
        .stdin(File::open(core).expect(core))
        .status()
        .expect("the handler");
    assert!(status.success(), "{status:?}");
    support::observe::records(spool.path()).remove(0)
}

#[test]
fn nothing_of_a_process_that_reused_the_pid_enters_the_record() {
    let living = Living::new();
    let record = record_of(living.0.id());
    assert_eq!(record.kind, Kind::Full);
    assert_eq!(record.capture.identity.as_deref(), Some("none"));
    assert_eq!(record.capture.source.as_deref(), Some("none"));
    assert_eq!(record.capture.kept_bytes, Some(0));
    let said = record.gaps.iter().any(|gap| gap.reason.contains("could not be verified"));
    assert!(said, "{:?}", record.gaps);
    // What the core itself said is there, and no fact of the other one.
    assert_eq!(record.process.comm.as_deref(), Some("null"));
    assert_eq!(record.process.thread_comm, None);
    assert_eq!(
        (record.process.start_ns, record.process.rss_kib, &record.process.cgroup),
        (None, None, &None)
    );
    let text = serde_json::to_string(&record).expect("JSON");
    assert!(!text.contains("sleep"), "{text}");
    // Its memory would have given the crashing thread callers.
    assert_eq!(record.stacks[0].frames.len(), 1, "{:?}", record.stacks[0]);
}

#[test]
fn a_pid_that_is_nobodys_still_leaves_what_the_core_said() {
    let mut gone = Command::new("true").spawn().expect("true");
    let pid = gone.id();
    gone.wait().expect("waitpid");
    let record = record_of(pid);
    assert_eq!(record.crash.signal, Some(11));
    assert_eq!(record.capture.source.as_deref(), Some("stream"));
    assert_eq!(record.registers.len(), 1);
    assert!(
        record.gaps.iter().any(|gap| gap.reason.contains("/proc/TID could not be used")),
        "{:?}",
        record.gaps
    );
}

/// A container's path means another file here: one that a user may have put there for
/// the handler to open. Here both are programs, and the handler's calls tell.
#[test]
fn a_path_of_a_container_is_not_opened_here() {
    let Some(observatory) = Observatory::with_strace() else { return };
    let spool = observatory.spool("s");
    let (here, root) = (observatory.place.path("app"), observatory.place.path("root"));
    let there = root.join(here.strip_prefix("/").expect("an absolute path"));
    std::fs::create_dir_all(there.parent().expect("a directory")).expect("the container");
    std::fs::copy("/bin/true", &here).expect("a decoy");
    std::fs::copy(support::workshop::helper("crash"), &there).expect("the program");
    let mut crash = victim(Path::new("/usr/sbin/chroot"));
    let seen = observatory.crash(Watch::Calls, &spool, crash.arg(&root).arg(&here).arg("3"));
    assert!(dumped(seen.status, 11) && seen.handler_status == 0, "{:?}", seen.status);
    let record = wait_for_full(&spool, 1, Duration::from_secs(10)).pop().expect("a record");
    assert_eq!(record.kind, Kind::Full);
    let app = record.modules.iter().find(|module| module.path.as_deref() == here.to_str());
    let app = app.unwrap_or_else(|| panic!("{:?}", record.modules));
    assert!(!app.flags.contains(&"no-file".to_owned()), "its own file was there to be read: {app:?}");
    // strace was told to write every byte as \xNN.
    let bytes = here.as_os_str().as_encoded_bytes();
    let path: String = bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect();
    let opened: Vec<_> =
        seen.trace.calls.iter().filter(|c| c.args.contains(&format!("\"{path}\""))).collect();
    assert!(opened.is_empty(), "{opened:?}");
}
