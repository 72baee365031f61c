//! A kernel that lacks a call, or refuses it: the record is there all the same, and
//! says what could not be had. strace makes the calls of the real handler fail, which
//! the real kernel runs.
//!
//! Needs root and strace; says so and passes without.

mod support;

use epicore::record::{Kind, Record};
use support::observe::{Observatory, Seen, Watch, dumped, victim, wait_for_full};

/// The fault, what the record must say of it among what is not confined (nothing:
/// it must be confined), and how many words there are.
const FAULTS: [(&str, &str, &[&str]); 9] = [
    ("a kernel without seccomp filters", "seccomp:error=ENOSYS", &["seccomp", "seccomp after release"]),
    (
        "a kernel without Landlock",
        "landlock_create_ruleset:error=ENOSYS",
        &["Landlock: this kernel has none"],
    ),
    ("Landlock switched off", "landlock_create_ruleset:error=EOPNOTSUPP", &["Landlock: not enabled"]),
    (
        "a Landlock of the first version",
        "landlock_create_ruleset:retval=1:when=1",
        &["Landlock: in part (V1)"],
    ),
    ("no CAP_CHECKPOINT_RESTORE (before 5.9)", "prctl:error=EINVAL:when=41", &[]),
    ("no openat2 (before 5.6)", "openat2:error=ENOSYS", &[]),
    ("no statx (before 4.11, or an old sandbox)", "statx:error=ENOSYS", &[]),
    ("limits that cannot be lowered", "prlimit64:error=EPERM", &["limits"]),
    ("a deadline that cannot be set", "setitimer:error=EINVAL", &["deadline"]),
];

fn crash(observatory: &Observatory, name: &str, fault: &str) -> (Seen, Record) {
    let spool = observatory.spool(name);
    observatory.inject(fault);
    let mut command = victim(&support::workshop::helper("crash"));
    let seen = observatory.crash(Watch::Calls, &spool, command.arg("3"));
    let record = wait_for_full(&spool, 1, std::time::Duration::from_secs(10)).pop().expect("a record");
    (seen, record)
}

#[test]
fn what_a_kernel_lacks_costs_no_record_and_the_record_says_it() {
    let Some(observatory) = Observatory::with_strace() else { return };
    let (_, usual) = crash(&observatory, "s", "");
    assert_eq!(usual.capture.unconfined, Vec::<String>::new());
    for (index, (what, fault, told)) in FAULTS.iter().enumerate() {
        let (seen, record) = crash(&observatory, &format!("s{index}"), fault);
        assert!(dumped(seen.status, 11) && seen.handler_status == 0, "{what}: {}", seen.handler_status);
        let call = fault.split(':').next().expect("a call");
        let injected = seen.trace.calls.iter().any(|own| own.name == call && own.result.contains("INJECTED"));
        // Not every call is made on every machine; then there is nothing to survive.
        if !injected {
            println!("{what}: {call} is never called here");
            continue;
        }
        assert_eq!(record.kind, Kind::Full, "{what}");
        let open = &record.capture.unconfined;
        assert_eq!(open.len(), told.len(), "{what}: {open:?}");
        for (said, wanted) in open.iter().zip(*told) {
            assert!(said.starts_with(wanted), "{what}: {said}");
        }
        // What was captured is the same.
        let frames = |record: &Record| record.stacks.first().map(|stack| stack.frames.len());
        assert_eq!(frames(&record), frames(&usual), "{what}");
        assert_eq!(record.capture.source, usual.capture.source, "{what}");
    }
}
