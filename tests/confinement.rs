//! What a handler that was taken over could still do: nothing that matters.
//!
//! The kernel runs the real handler for a real crash, under ptrace; calls that it
//! must not make are put in the place of its own (tests/support/inject.c), before
//! the first byte of the crash is read and after the crashed process is released.
//!
//! Needs root; says so and passes without.

mod support;

use std::collections::BTreeMap;

use epicore::record::Kind;
use support::observe::{OWNER, Observatory, dumped, victim, wait_for_full};

/// CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE, CAP_CHECKPOINT_RESTORE.
const THREE: &str = "0000010000080004";
const NONE: &str = "0000000000000000";

/// Fails in both moments, whoever asks.
const NEVER: [&str; 28] = [
    "execve",
    "execveat",
    "fork",
    "clone",
    "clone3",
    "socket",
    "socket-unix",
    "ptrace",
    "kill",
    "tgkill",
    "tkill",
    "pidfd_send_signal",
    "bpf",
    "mount",
    "unshare",
    "setns",
    "chroot",
    "setuid",
    "setresuid",
    "io_uring_setup",
    "perf_event_open",
    "init_module",
    "userfaultfd",
    "memfd_create",
    "mmap-exec",
    "mprotect-exec",
    "setrlimit",
    "write-outside",
];

fn said(text: &str, moment: &str) -> BTreeMap<String, String> {
    let own = text.lines().filter_map(|line| line.strip_prefix(moment)?.strip_prefix(' '));
    own.filter_map(|line| line.split_once(' ')).map(|(key, value)| (key.into(), value.into())).collect()
}

#[test]
fn a_handler_that_is_taken_over_can_run_reach_trace_and_write_nothing() {
    if !cfg!(target_arch = "x86_64") {
        println!("skipped: calls are injected on x86_64 only");
        return;
    }
    let Some(observatory) = Observatory::open() else { return };
    let spool = observatory.spool("s");
    let mut crash = victim(&support::workshop::helper("crash"));
    let (seen, text) = observatory.crash_injected(&spool, crash.arg("3"));
    assert!(dumped(seen.status, 11) && seen.handler_status == 0, "{:?} {}", seen.status, seen.handler_status);
    // The handler went on as if nothing had happened: a full record, all confined.
    let record = wait_for_full(&spool, 1, std::time::Duration::from_secs(10)).pop().expect("a record");
    assert_eq!((record.kind, record.capture.unconfined.clone()), (Kind::Full, Vec::<String>::new()));

    let owner = format!("{0} {0} {0} {0}", OWNER.0);
    for (moment, filters, capabilities) in [("first-byte", "1", THREE), ("released", "2", NONE)] {
        let said = said(&text, moment);
        let is = |key: &str, value: &str| {
            assert_eq!(
                said.get(key).map(|own| own.split_whitespace().collect::<Vec<_>>().join(" ")),
                Some(value.to_owned()),
                "{moment} {key}:\n{text}"
            );
        };
        if moment == "first-byte" {
            is("filters", filters);
        }
        is("Uid", &owner);
        for set in ["CapPrm", "CapEff"] {
            is(set, capabilities);
        }
        for set in ["CapInh", "CapBnd", "CapAmb"] {
            is(set, NONE);
        }
        is("NoNewPrivs", "1");
        is("Seccomp", "2");
        for attempt in NEVER {
            let result =
                said.get(attempt).unwrap_or_else(|| panic!("{moment}: {attempt} was not tried:\n{text}"));
            // A file outside: as anybody else's, then by Landlock.
            let denied = if attempt == "write-outside" { "EACCES" } else { "EPERM" };
            assert_eq!(result, denied, "{moment} {attempt}");
        }
    }
    for made in ["/tmp/epicore-injected", "/etc/epicore-injected"] {
        assert!(!std::path::Path::new(made).exists(), "{made}");
    }
    let released = said(&text, "released");
    for (attempt, result) in [
        ("write-to-tmp", "EACCES"),
        ("read-outside", "EACCES"),
        ("memory-of-init", "EACCES"),
        ("process_vm_readv", "EPERM"),
        ("openat2", "EPERM"),
        ("capset", "EPERM"),
        ("prctl", "EPERM"),
    ] {
        assert_eq!(released.get(attempt).map(String::as_str), Some(result), "{attempt}:\n{text}");
    }
}
