//! CVE-2025-4598: a handler of crashes was made to read another process. The
//! attacker's process crashes and is gone before the handler looks; its pid is
//! by then that of a privileged program. Here the core of one process comes in
//! on standard input, and the pid is that of another, living one.

mod support;

use std::fs::File;
use std::process::{Child, Command, Stdio};

use epicore::record::{Kind, Record};

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
