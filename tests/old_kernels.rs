//! A kernel that lacks a call, or refuses it: the record is there all the same, and
//! says what could not be had. strace makes the calls of the real handler fail, which
//! the real kernel runs.
//!
//! Needs root and strace; says so and passes without.

mod support;

use epicore::record::{Kind, Record};
use support::handler_place::SPECIFIERS;
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
    crash_told(observatory, name, fault, SPECIFIERS)
}

/// The same when the kernel knows these specifiers only.
fn crash_told(observatory: &Observatory, name: &str, fault: &str, specifiers: &str) -> (Seen, Record) {
    let spool = observatory.spool(name);
    observatory.inject(fault);
    let mut command = victim(&support::workshop::helper("crash"));
    let arguments = format!("{specifiers} --spool {}", spool.display());
    let program = support::handler_place::handler();
    let seen = observatory.crash_with(Watch::Calls, &program, &arguments, command.arg("3"));
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

/// The number of the first call like this one: what strace counts `when=` by.
fn when(usual: &Seen, name: &str, argument: &str) -> usize {
    let calls = usual.trace.calls.iter().filter(|call| call.name == name);
    // strace was told to write every byte as \xNN.
    let argument: String = argument.bytes().map(|byte| format!("\\x{byte:02x}")).collect();
    let like = calls.enumerate().find(|(_, call)| call.args.contains(&argument));
    like.unwrap_or_else(|| panic!("no {name} of {argument}")).0 + 1
}

#[test]
fn every_way_to_a_process_has_another_when_it_is_refused() {
    let Some(observatory) = Observatory::with_strace() else { return };
    let (seen, usual) = crash(&observatory, "s", "");
    let (source, identity) = (usual.capture.source.as_deref(), usual.capture.identity.as_deref());
    assert_eq!(source, Some("live"));
    let pidfd = identity == Some("pidfd");
    println!("this kernel: identity by {identity:?}");
    let (mem, maps) = (when(&seen, "openat", "mem"), when(&seen, "openat", "map_files"));
    // The victim has one file: what is left of it is its path, in the process's root.
    let no_map_files = format!("openat:error=EPERM:when={maps}");
    for (index, (what, fault, specifiers, source, identity)) in [
        ("ptrace_scope 3", format!("openat:error=EPERM:when={mem}"), SPECIFIERS, "stream", identity),
        ("no process_vm_readv", "process_vm_readv:error=ENOSYS".to_owned(), SPECIFIERS, "live", identity),
        ("process_vm_readv refused", "process_vm_readv:error=EPERM".into(), SPECIFIERS, "live", identity),
        ("no map_files", no_map_files, SPECIFIERS, "live", identity),
        // %F since Linux 6.16, %C since 6.2: what the kernel does not know is empty.
        (
            "no pidfd",
            String::new(),
            "-P%P -I%I -u%u -g%g -d%d -s%s -t%t -C -c%c -F",
            "live",
            Some("starttime"),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let (seen, record) = crash_told(&observatory, &format!("s{index}"), &fault, specifiers);
        assert!(dumped(seen.status, 11) && seen.handler_status == 0, "{what}: {}", seen.handler_status);
        let injected = seen.trace.calls.iter().any(|own| own.result.contains("INJECTED"));
        assert_eq!(injected, !fault.is_empty(), "{what}");
        assert_eq!(record.kind, Kind::Full, "{what}");
        assert_eq!(record.capture.source.as_deref(), Some(source), "{what}");
        assert_eq!(record.capture.identity.as_deref(), identity, "{what}");
        let frames = |record: &Record| -> Vec<_> {
            let frames = record.stacks.first().map(|stack| stack.frames.clone()).unwrap_or_default();
            frames.iter().map(|frame| (frame.module, frame.offset)).collect()
        };
        assert_eq!(frames(&record), frames(&usual), "{what}");
        let files = |record: &Record| {
            record.modules.iter().filter(|module| !module.flags.contains(&"no-file".to_owned())).count()
        };
        assert_eq!(files(&record), files(&usual), "{what}: {:?}", record.modules);
        let told = record.gaps.iter().any(|gap| gap.reason.starts_with("live memory refused"));
        assert_eq!(told, source == "stream", "{what}: {:?}", record.gaps);
    }
    assert!(pidfd || identity == Some("starttime"));
}
