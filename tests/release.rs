//! The crashed task is released as early as it can be, and nothing that could
//! wait is done before: held against the handler's own system calls, on the
//! real kernel.
//!
//! Needs root (core_pattern) and strace; says so and passes without.

mod support;

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use epicore::record::Kind;
use support::observe::{OWNER, Observatory, Seen, Watch, dumped, records, victim, wait_for_full};
use support::trace::Call;

const READS: [&str; 8] =
    ["read", "readv", "pread64", "preadv", "preadv2", "splice", "tee", "copy_file_range"];
const LIMITS: [&str; 2] = ["prlimit64", "setrlimit"];
const OPENS: [&str; 4] = ["open", "openat", "openat2", "creat"];

fn crash(threads: usize) -> Command {
    let mut command = victim(&support::workshop::helper("crash"));
    command.arg(threads.to_string());
    command
}

/// One watched crash of a process with three threads.
fn watched() -> Option<Seen> {
    let seen = {
        let observatory = Observatory::with_strace()?;
        let spool = observatory.spool("s");
        let seen = observatory.crash(Watch::Calls, &spool, &mut crash(3));
        assert!(dumped(seen.status, 11), "{:?}", seen.status);
        assert_eq!(records(&spool).len(), 1);
        seen
    };
    assert!(seen.trace.strange.is_empty(), "{:?}", seen.trace.strange);
    assert!(seen.trace.calls.len() > 30, "{:?}", seen.trace.calls);
    if std::env::var_os("EPICORE_PRINT_TRACE").is_some() {
        seen.trace.calls.iter().for_each(|call| println!("{}({}) = {}", call.name, call.args, call.result));
    }
    Some(seen)
}

/// The file that is the crash's pipe.
fn pipe(seen: &Seen) -> String {
    let moved = seen.trace.calls.iter().filter(|call| call.args.starts_with("0<"));
    let pipe = moved.filter_map(Call::file).find(|file| file.starts_with("pipe:["));
    pipe.expect("something is done to descriptor 0")
}

/// Where the last descriptor of the pipe is closed.
fn release(seen: &Seen) -> usize {
    let pipe = pipe(seen);
    let closes = |call: &Call| call.name == "close" && call.file().as_deref() == Some(&pipe);
    seen.trace.last(closes).expect("the pipe is closed")
}

/// Where the first byte of the crash could come in.
fn first_byte(seen: &Seen) -> usize {
    let (pipe, own) = (pipe(seen), format!("/proc/{}", seen.pid));
    let reads = |call: &Call| call.is(&READS) && call.file().as_deref() == Some(&pipe);
    let looks = |call: &Call| call.path().starts_with(&own);
    let first = seen.trace.first(|call| reads(call) || looks(call));
    assert!(seen.trace.calls.iter().any(looks), "nothing of /proc/{} is opened", seen.pid);
    first.expect("the pipe is read")
}

#[test]
fn every_privilege_is_given_up_before_the_first_byte_of_the_crash() {
    let Some(seen) = watched() else { return };
    let first = first_byte(&seen);
    let (uid, gid) = OWNER;
    let steps: [(&[&str], &str); 12] = [
        (&["setgroups"], "0, "),
        (&["setresgid"], &format!("{gid}, {gid}, {gid}")),
        (&["setresuid"], &format!("{uid}, {uid}, {uid}")),
        (&["prctl"], "PR_CAPBSET_DROP"),
        (&["capset"], ""),
        (&["prctl"], "PR_SET_NO_NEW_PRIVS, 1"),
        (&["prctl"], "PR_SET_DUMPABLE, SUID_DUMP_DISABLE"),
        (&LIMITS, "RLIMIT_AS, "),
        (&LIMITS, "RLIMIT_CPU, "),
        (&LIMITS, "RLIMIT_FSIZE, "),
        (&LIMITS, "RLIMIT_NOFILE, "),
        (&["setitimer"], "ITIMER_REAL, "),
    ];
    let place = |(names, args): (&[&str], &str)| {
        // prlimit64 with NULL for the new limit only asks.
        let asks = |call: &Call| call.is(&LIMITS) && call.args.contains(&format!("{args}NULL"));
        let at = seen.trace.first(|call| call.is(names) && call.args.contains(args) && !asks(call));
        let at = at.unwrap_or_else(|| panic!("{names:?}({args}… is not called"));
        assert!(at < first, "{names:?}({args}… comes after the first byte");
        let result = &seen.trace.calls[at].result;
        assert!(result.starts_with('0'), "{names:?}({args}…) = {result}");
        at
    };
    let at: Vec<usize> = steps.into_iter().map(place).collect();
    assert!(at[2] < at[6], "setresuid makes a process dumpable again: PR_SET_DUMPABLE comes after it");
    assert!(at[2] < seen.trace.last(|call| call.name == "capset").unwrap_or(0));
    let before: Vec<&Call> = seen.trace.calls[..first].iter().filter(|call| call.name == "capset").collect();
    let held = &before.last().expect("capset").args;
    let few = ["1<<CAP_DAC_READ_SEARCH", "1<<CAP_SYS_PTRACE", "1<<CAP_CHECKPOINT_RESTORE"];
    let effective = held.split("effective=").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or("");
    assert!(effective.split('|').all(|cap| few.contains(&cap)), "{held}");
}

/// Calls that could have waited and did not.
fn impatient(seen: &Seen) -> Vec<String> {
    let release = release(seen);
    let late = [
        "fsync",
        "fdatasync",
        "sync",
        "syncfs",
        "linkat",
        "link",
        "rename",
        "renameat",
        "renameat2",
        "write",
    ];
    let own = |call: &Call| call.file().is_some_and(|file| file.ends_with("/oom_score_adj"));
    let before = seen.trace.calls[..release].iter().filter(|call| call.is(&late) && !own(call));
    before.map(|call| call.name.clone()).collect()
}

#[test]
fn nothing_that_can_wait_is_done_while_the_task_is_held() {
    let Some(seen) = watched() else { return };
    assert_eq!(impatient(&seen), Vec::<String>::new());
    assert!(
        seen.trace.calls[release(&seen)..].iter().any(|call| call.name == "fsync"),
        "it is synced, afterwards"
    );
}

#[test]
fn a_handler_that_does_all_of_it_wrong_is_seen() {
    let Some(observatory) = Observatory::with_strace() else { return };
    let spool = observatory.spool("s");
    let leaky = support::workshop::helper("leaky");
    let seen = observatory.crash_with(Watch::Calls, &leaky, &spool.display().to_string(), &mut crash(3));
    assert!(open_at_the_end(&seen).contains(&0), "it never closes the pipe");
    assert_eq!(seen.trace.first(|call| call.is(&["setresuid", "capset", "prctl"])), None);
    let pipe = seen.trace.calls.iter().filter(|call| call.name == "read").find_map(Call::file);
    assert!(pipe.is_some_and(|pipe| pipe.starts_with("pipe:[")), "what it reads has a name");
}

/// Descriptors of the pipe that nobody closed.
fn open_at_the_end(seen: &Seen) -> std::collections::BTreeSet<u32> {
    let pipe = seen.trace.calls.iter().filter_map(Call::file).find(|file| file.starts_with("pipe:["));
    let mut open = std::collections::BTreeSet::from([0]);
    let number = |text: &str| text.split('<').next().and_then(|n| n.trim().parse::<u32>().ok());
    for call in &seen.trace.calls {
        if call.name == "close" && !call.failed() {
            number(&call.args).map(|fd| open.remove(&fd));
        } else if !call.is(&READS) && !call.failed() && call.result.contains('<') {
            let Some(fd) = number(&call.result) else { continue };
            if call.returned_file() == pipe {
                open.insert(fd)
            } else {
                open.remove(&fd)
            };
        }
    }
    open
}

#[test]
fn after_the_release_no_descriptor_refers_to_the_pipe() {
    let Some(seen) = watched() else { return };
    let open = open_at_the_end(&seen);
    assert!(open.is_empty(), "{open:?} still hold the task");
    let (pipe, after) = (pipe(&seen), &seen.trace.calls[release(&seen) + 1..]);
    assert!(
        after.iter().all(|call| call.file().as_deref() != Some(&pipe)),
        "the pipe is used after its release"
    );
}

#[test]
fn after_the_release_no_capability_is_left() {
    let Some(seen) = watched() else { return };
    let after = &seen.trace.calls[release(&seen) + 1..];
    let capset = after.iter().rposition(|call| call.name == "capset").expect("capset after the release");
    assert!(after[capset].args.contains("effective=0, permitted=0"), "{}", after[capset].args);
    let written = after.iter().position(|call| call.is(&OPENS) && call.args.contains("O_TMPFILE"));
    assert!(written.is_some_and(|at| at > capset), "the record is written without any capability");
}

#[test]
fn the_handler_starts_nothing_and_speaks_to_nobody() {
    let Some(seen) = watched() else { return };
    let never = [
        "fork",
        "vfork",
        "clone",
        "clone3",
        "socket",
        "socketpair",
        "connect",
        "sendto",
        "sendmsg",
        "ptrace",
        "mount",
        "bpf",
        "setns",
        "unshare",
        "chroot",
        "io_uring_setup",
        "execveat",
    ];
    for call in &seen.trace.calls {
        assert!(!call.is(&never), "{call:?}");
    }
    assert_eq!(seen.trace.calls.iter().filter(|call| call.name == "execve").count(), 1);
}

#[test]
fn the_parent_is_told_while_the_handler_still_works() {
    let Some(seen) = watched() else { return };
    let ended = seen.trace.ended.expect("the handler ends");
    println!("waitpid returned {:?} before the handler's end", ended.duration_since(seen.returned));
    assert!(seen.returned < ended, "released at {:?}, ended at {ended:?}", seen.returned);
    assert!(seen.returned > seen.trace.calls[release(&seen)].at, "nobody is told before the release");
    assert_eq!(seen.handler_status, 0);
}

#[test]
fn a_dump_completes_whatever_core_pipe_limit_is() {
    let Some(observatory) = Observatory::open() else { return };
    for limit in [0, 1, 64] {
        observatory.set_pipe_limit(limit);
        let spool = observatory.spool(&format!("s{limit}"));
        let seen = observatory.crash(Watch::Usage, &spool, &mut crash(3));
        assert!(dumped(seen.status, 11), "limit {limit}: {:?}", seen.status);
        let found = records(&spool);
        assert_eq!(found.len(), 1, "limit {limit}");
        assert_eq!(
            (found[0].kind, found[0].threads.tid.len()),
            (Kind::Full, 3),
            "limit {limit}: {:?}",
            found[0].gaps
        );
    }
}

#[test]
fn a_storm_of_crashes_leaves_a_record_of_each() {
    let Some(observatory) = Observatory::open() else { return };
    let spool = observatory.spool("s");
    observatory.point_at_handler(&spool);
    let mut storm: Vec<_> = (0..40).map(|_| crash(2).process_group(0).spawn().expect("a victim")).collect();
    let pids: std::collections::BTreeSet<u32> = storm.iter().map(std::process::Child::id).collect();
    for child in &mut storm {
        let status = child.wait().expect("waitpid");
        assert!(dumped(status, 11), "{status:?}");
    }
    let found = wait_for_full(&spool, 40, Duration::from_secs(30));
    assert_eq!(
        found.iter().filter_map(|record| record.crash.pid).collect::<std::collections::BTreeSet<_>>(),
        pids
    );
    assert_eq!(found.len(), 40, "one record of each crash");
    assert!(found.iter().all(|record| record.kind == Kind::Full));
}

#[test]
fn a_record_says_how_it_was_made() {
    let Some(observatory) = Observatory::open() else { return };
    let spool = observatory.spool("s");
    observatory.crash(Watch::Usage, &spool, &mut crash(3));
    let capture = records(&spool).remove(0).capture;
    assert_eq!(capture.source.as_deref(), Some("live"));
    assert_eq!(capture.run_uid, Some(OWNER.0));
    assert!(capture.unconfined.is_empty(), "{:?}", capture.unconfined);
    let (held, total) = (capture.held_us.expect("cap.held"), capture.total_us.expect("cap.total"));
    assert!(0 < held && held <= total, "{held} of {total} µs");
    let (read, core) = (capture.stream_bytes.expect("cap.read"), capture.core_bytes.expect("cap.core"));
    assert!(0 < read && read < core, "{read} of {core} bytes are read");
}

/// A JVM or a database reserves far more than it touches; the kernel walks the
/// holes page by page and does not notice that nobody reads any more. (A
/// mapping that nobody ever touched is not dumped at all.)
fn sparse() -> Option<Command> {
    let mut command = victim(std::path::Path::new("/usr/bin/python3"));
    if !std::path::Path::new("/usr/bin/python3").exists() {
        println!("skipped: python3 is not installed");
        return None;
    }
    let program = "import ctypes, mmap\n\
                   flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000\n\
                   reserved = mmap.mmap(-1, 16 << 30, flags=flags)\n\
                   reserved[-1] = 1\n\
                   ctypes.string_at(0)";
    command.args(["-c", program]);
    Some(command)
}

#[test]
fn a_walk_of_empty_mappings_is_ended_only_where_the_site_has_chosen_so() {
    let Some(observatory) = Observatory::open() else { return };
    for (choice, killed) in [("wait", false), ("kill", true)] {
        let Some(mut command) = sparse() else { return };
        let spool = observatory.spool(&format!("s{killed}"));
        let config = observatory.place.path("c");
        let text = format!("[release]\nsparse = \"{choice}\"\nsparse_threshold = 1073741824\n");
        std::fs::write(&config, text).expect("a configuration");
        let arguments = format!(
            "{} --spool {} --config {}",
            support::handler_place::SPECIFIERS,
            spool.display(),
            config.display()
        );
        let handler = support::handler_place::handler();
        let began = std::time::Instant::now();
        let seen = observatory.crash_with(Watch::Usage, &handler, &arguments, &mut command);
        let record = records(&spool).remove(0);
        assert_eq!(record.capture.killed, killed, "{choice}");
        assert_eq!(record.kind, Kind::Full);
        assert_eq!(dumped(seen.status, 11), !killed, "{choice}: {:?}", seen.status);
        let signal = std::os::unix::process::ExitStatusExt::signal(&seen.status);
        assert_eq!(signal, Some(if killed { 9 } else { 11 }), "{choice}");
        println!("{choice}: {:?} until everything was over", began.elapsed());
    }
}
