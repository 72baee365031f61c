//! No byte of a crashed process's memory leaves the handler.
//!
//! A process plants canaries in its arguments, environment, heap, data, every
//! stack and its vector registers, and crashes. Whatever the handler hands to
//! the kernel in any system call, and whatever lies in the spool afterwards,
//! is searched for any eight bytes of them. General registers a record keeps
//! on purpose; the victim clears them.
//!
//! Needs root (core_pattern) and strace; says so and passes without.

mod support;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::canaries::{Canaries, PLACES};
use support::handler_place::SPECIFIERS;
use support::mount::Mount;
use support::observe::{Observatory, Seen, Watch, dumped, records};
use support::trace::{Call, label};

/// Calls whose strings come from the kernel.
const INPUT: [&str; 16] = [
    "read",
    "readv",
    "pread64",
    "preadv",
    "preadv2",
    "readlink",
    "readlinkat",
    "getdents64",
    "getdents",
    "statfs",
    "fstatfs",
    "uname",
    "getrandom",
    "execve",
    "getcwd",
    "process_vm_readv",
];
/// Calls that move bytes past strace's eyes.
const UNSEEN: [&str; 8] = [
    "splice",
    "tee",
    "vmsplice",
    "sendfile",
    "copy_file_range",
    "io_uring_setup",
    "process_vm_writev",
    "memfd_create",
];
/// What may be opened for writing outside the spool.
const WRITABLE: [&str; 5] =
    ["/dev/null", "/dev/kmsg", "/proc/self/oom_score_adj", "/run/epicore/crashes", "/run/epicore/slots"];
/// The one file that is mapped to be written, past strace's eyes: searched itself.
const MAPPED: &str = "/run/epicore/crashes";

/// The victim; its canaries come through a pipe.
fn victim(canaries: &Canaries, how: &str, place: &Path) -> Command {
    let input = place.join("canaries");
    let mut file = std::fs::File::create(&input).expect("a file");
    file.write_all(canaries.input().as_bytes()).expect("the canaries");
    let mut command = Command::new("/bin/sh");
    command.args(["-c", r#"ulimit -c unlimited; exec "$0" "$@" <"$INPUT""#]);
    command.arg(support::workshop::helper("canary")).args([how, canaries.argv()]);
    command.env_clear().env("CANARY", canaries.environment()).env("INPUT", input).stdout(Stdio::null());
    command
}

/// What a handler let out, by the system call or file.
fn leaks(canaries: &Canaries, seen: &Seen, spool: &Path) -> Vec<String> {
    assert!(seen.trace.strange.is_empty(), "{:?}", seen.trace.strange);
    let mut leaks = Vec::new();
    // Before the first filter nothing of the crash was read: a memfd that only shows its
    // device is made there. Later the filter denies it.
    let filtered = seen.trace.calls.iter().position(|call| call.name == "seccomp").unwrap_or(0);
    for (index, call) in seen.trace.calls.iter().enumerate() {
        let unseen = call.is(&UNSEEN) && !(call.name == "memfd_create" && index < filtered);
        if unseen || (call.name == "mmap" && shared_and_writable(call)) {
            leaks.push(format!("{} moves bytes unseen", call.name));
        }
        if call.is(&INPUT) {
            continue;
        }
        assert!(!call.args.contains("\"..."), "strace cut a string: {}", call.name);
        let found = canaries.in_bytes(&call.strings().concat());
        let each = call.strings().into_iter().flat_map(|text| canaries.in_bytes(&text));
        leaks.extend(found.into_iter().chain(each).map(|place| format!("{place} in {}", call.name)));
    }
    for file in files(spool).into_iter().chain([MAPPED.into()]) {
        let found = canaries.in_bytes(&std::fs::read(&file).unwrap_or_default());
        leaks.extend(found.into_iter().map(|place| format!("{place} in the spool")));
    }
    leaks.sort();
    leaks.dedup();
    leaks
}

fn shared_and_writable(call: &Call) -> bool {
    let shared = call.args.contains("MAP_SHARED") && call.args.contains("PROT_WRITE");
    let file = call.args.split("MAP_SHARED, ").nth(1).and_then(label);
    shared && file.as_deref() != Some(MAPPED)
}

/// What was opened for writing and should not have been.
fn opened_elsewhere(seen: &Seen, spool: &Path) -> Vec<String> {
    let writes = |call: &&Call| {
        call.is(&["open", "openat", "openat2", "creat"])
            && (call.name == "creat"
                || ["O_WRONLY", "O_RDWR", "O_CREAT"].iter().any(|flag| call.args.contains(flag)))
    };
    let paths = seen.trace.calls.iter().filter(writes).map(Call::path);
    paths.filter(|path| !WRITABLE.contains(&path.as_str()) && !Path::new(path).starts_with(spool)).collect()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let walk = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    entries.flat_map(|entry| walk(entry.path())).collect()
}

/// Crashes the victim both ways and holds the handler to its promise.
fn hold(arguments: &str, prepare: impl Fn(&Observatory, &Path), told: impl Fn(&Seen, &Path)) {
    let Some(observatory) = Observatory::with_strace() else { return };
    for (how, signal) in [("fault", 11), ("assert", 6)] {
        let canaries = Canaries::new();
        let spool = observatory.spool(&format!("s{signal}"));
        prepare(&observatory, &spool);
        let arguments = format!("{arguments} --spool {}", spool.display());
        let mut command = victim(&canaries, how, &observatory.place.path(""));
        let handler = support::handler_place::handler();
        let seen = observatory.crash_with(Watch::Calls, &handler, &arguments, &mut command);
        assert!(dumped(seen.status, signal), "{how}: {:?}", seen.status);
        assert_eq!(leaks(&canaries, &seen, &spool), Vec::<String>::new(), "{how}");
        assert_eq!(opened_elsewhere(&seen, &spool), Vec::<String>::new(), "{how}");
        told(&seen, &spool);
    }
}

fn source(spool: &Path) -> Option<String> {
    records(spool).first().and_then(|record| record.capture.source.clone())
}

#[test]
fn nothing_leaves_when_memory_is_read_from_the_process() {
    hold(SPECIFIERS, |_, _| (), |_, spool| assert_eq!(source(spool).as_deref(), Some("live")));
}

#[test]
fn nothing_leaves_when_memory_is_read_from_the_stream() {
    let arguments = format!("{SPECIFIERS} --source stream");
    hold(&arguments, |_, _| (), |_, spool| assert_eq!(source(spool).as_deref(), Some("stream")));
}

#[test]
fn nothing_leaves_when_the_process_cannot_be_found() {
    // The numbers of nobody: above the kernel's largest pid.
    let arguments = "-P4194305 -I4194305 -u%u -g%g -d%d -s%s -t%t";
    hold(arguments, |_, _| (), |_, spool| assert_eq!(source(spool).as_deref(), Some("stream")));
}

#[test]
fn nothing_leaves_when_the_kernel_says_nothing() {
    hold("--nonsense", |_, _| (), |_, spool| assert_eq!(records(spool).len(), 1));
}

#[test]
fn nothing_leaves_when_the_record_cannot_be_written() {
    let full = |_: &Observatory, spool: &Path| {
        // No file can be linked into a directory that was removed.
        std::fs::remove_dir_all(spool).expect("the spool");
    };
    hold(SPECIFIERS, full, |seen, _| {
        let said = |call: &Call| call.name == "write" && call.file().as_deref() == Some("/dev/kmsg");
        assert_eq!(seen.trace.calls.iter().filter(|call| said(call)).count(), 1, "the kernel log is told");
    });
}

#[test]
fn nothing_leaves_when_the_disk_is_full() {
    let Some(observatory) = Observatory::with_strace() else { return };
    let spool = observatory.place.path("s");
    let Some(_mount) = Mount::tmpfs(&spool, "size=64k,mode=750") else { return };
    observatory.spool("s");
    let _ = std::fs::write(spool.join("fill"), vec![1; 128 << 10]);
    let canaries = Canaries::new();
    let mut command = victim(&canaries, "fault", &observatory.place.path(""));
    let seen = observatory.crash(Watch::Calls, &spool, &mut command);
    let (found, opened) = (leaks(&canaries, &seen, &spool), opened_elsewhere(&seen, &spool));
    assert_eq!((found, opened), (Vec::new(), Vec::<String>::new()));
    assert!(
        seen.trace
            .calls
            .iter()
            .any(|call| call.file().as_deref() == Some("/dev/kmsg") && call.name == "write")
    );
}

#[test]
fn a_handler_that_leaks_is_caught() {
    let Some(observatory) = Observatory::with_strace() else { return };
    let canaries = Canaries::new();
    let spool = observatory.spool("s");
    let leaky = support::workshop::helper("leaky");
    let mut command = victim(&canaries, "fault", &observatory.place.path(""));
    let seen = observatory.crash_with(Watch::Calls, &leaky, &spool.display().to_string(), &mut command);
    let found = leaks(&canaries, &seen, &spool);
    for place in PLACES {
        for way in ["write", "the spool"] {
            assert!(found.contains(&format!("{place} in {way}")), "{place} in {way}: {found:?}");
        }
    }
    assert_eq!(opened_elsewhere(&seen, &spool), [format!("{}.leak", spool.display())]);
}

#[test]
fn eight_bytes_of_a_canary_are_found_in_any_disguise() {
    let canaries = Canaries::new();
    let part = &canaries.argv().as_bytes()[5..13];
    let reversed: Vec<u8> = part.iter().rev().copied().collect();
    let hex: String = part.iter().map(|byte| format!("{byte:02X}")).collect();
    for disguise in [part, &reversed, hex.as_bytes(), format!("x{hex}").as_bytes()] {
        let around = [b"....", disguise, b"...."].concat();
        assert_eq!(canaries.in_bytes(&around), ["argv"]);
    }
    assert!(canaries.in_bytes(&canaries.argv().as_bytes()[..7]).is_empty());
}
