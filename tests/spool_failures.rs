//! The spool's promises when the disk, the mount or the writer fails.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use epicore::spool::{Reader, RecordStatus, Spool, SpoolError, initialise};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

#[path = "support/spool.rs"]
mod support;
use support::{Mounted, fresh, id, numbers, payload_of};

#[test]
fn a_full_disk_is_told_and_the_minimal_record_stays() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("spool");
    let Some(_mounted) = Mounted::new(&["-t", "tmpfs", "-o", "size=64k", "tmpfs"], &path) else { return };
    initialise(&path, None).unwrap();
    let spool = Spool::open(&path).unwrap();
    spool.write_minimal((id(1), false), b"minimal").unwrap();
    fs::write(path.join("somebody else's"), vec![0; 40 << 10]).unwrap();
    let error = spool.replace_with_full((id(1), false), &vec![7; 32 << 10]).unwrap_err();
    assert!(matches!(error, SpoolError::Full(..)), "{error:?}");
    println!("the line for the kernel log: {error}");
    assert_eq!(payload_of(&path, 1), b"minimal");
    assert_eq!(Reader::open(&path).unwrap().list().unwrap().temporaries, 0);
}

#[test]
fn on_a_full_disk_the_oldest_records_give_way() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("spool");
    let Some(_mounted) = Mounted::new(&["-t", "tmpfs", "-o", "size=64k", "tmpfs"], &path) else { return };
    initialise(&path, None).unwrap();
    let spool = Spool::open(&path).unwrap();
    for n in 1..=40 {
        spool.write_minimal((id(n), n % 3 == 0), b"minimal").unwrap();
        spool.replace_with_full((id(n), n % 3 == 0), &vec![7; 6 << 10]).unwrap();
    }
    let left = numbers(&path);
    println!("of 40 records 64 KiB hold {left:?}");
    assert!(left.ends_with(&[38, 39, 40]) && left.len() > 3, "{left:?}");
    left.iter().for_each(|n| assert_eq!(payload_of(&path, *n), vec![7; 6 << 10]));
}

#[test]
fn a_read_only_mount_is_told_and_can_be_read() {
    let (parent, path, spool) = fresh();
    spool.write_minimal((id(1), false), b"x").unwrap();
    let at = parent.path().join("read-only");
    let Some(_mounted) = Mounted::new(&["--bind", "-o", "ro", path.to_str().unwrap()], &at) else { return };
    let spool = Spool::open(&at).unwrap();
    assert!(matches!(spool.write_minimal((id(2), false), b"x"), Err(SpoolError::ReadOnly(_))));
    assert!(matches!(spool.replace_with_full((id(1), false), b"y"), Err(SpoolError::ReadOnly(_))));
    assert_eq!(payload_of(&at, 1), b"x");
}

#[test]
fn a_spool_that_was_removed_is_an_error_and_not_a_new_directory() {
    let (_parent, path, spool) = fresh();
    fs::remove_dir_all(&path).unwrap();
    assert!(matches!(spool.write_minimal((id(1), false), b"x"), Err(SpoolError::Io(..))));
    assert!(spool.replace_with_full((id(1), false), b"x").is_err());
    assert!(!path.exists());
}

/// The handler has given up root when it writes.
#[test]
fn an_unprivileged_owner_can_do_all_of_it() {
    if !nix::unistd::geteuid().is_root() {
        return println!("skipped: needs root to become somebody else");
    }
    let parent = tempfile::tempdir().unwrap();
    fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = parent.path().join("spool");
    initialise(&path, Some((65534, 65534))).unwrap();
    let binary = parent.path().join("writer");
    fs::copy(std::env::current_exe().unwrap(), &binary).unwrap();
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = writer(&binary, &path);
    command.uid(65534).gid(65534).current_dir("/");
    // Another test that forks meanwhile has the copy open for writing until it execs.
    let busy = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ExecutableFileBusy;
    let mut child = (0..100)
        .find_map(|_| match command.spawn() {
            Err(error) if busy(&error) => {
                std::thread::sleep(std::time::Duration::from_millis(20));
                None
            }
            other => Some(other.unwrap()),
        })
        .expect("a writer that starts");
    release(&mut child);
    assert!(child.wait().unwrap().success());
    assert_eq!(payload_of(&path, 1), vec![b'f'; 9000]);
    assert_eq!(payload_of(&path, 2), vec![b'f'; 9000]);
}

/// Killed before its n-th system call, for every n: what a reader then finds
/// under a final name is whole.
#[test]
fn a_writer_killed_anywhere_leaves_no_torn_record() {
    let (_parent, path, _spool) = fresh();
    let reader = Reader::open(&path).unwrap();
    let (mut killed_without, mut killed_minimal, mut killed_full) = (0, 0, 0);
    for steps in 0..2000u64 {
        let finished = match killed_after(steps, &path) {
            Ok(finished) => finished,
            Err(why) => return println!("skipped: {why}"),
        };
        let listing = reader.list().unwrap();
        for entry in &listing.entries {
            match reader.read(entry) {
                RecordStatus::Valid { header, payload } => {
                    let expected = if header.full { vec![b'f'; 9000] } else { vec![b'm'; 300] };
                    assert_eq!(payload, expected, "killed before system call {steps}");
                    if header.full { killed_full += 1 } else { killed_minimal += 1 }
                }
                other => panic!("killed before system call {steps}: {other:?}"),
            }
            let part = if entry.private { "private" } else { "." };
            fs::remove_file(path.join(part).join(entry.id.file_name())).unwrap();
        }
        killed_without += u64::from(listing.entries.is_empty());
        if finished {
            println!(
                "killed before each of {steps} system calls: {killed_without} left nothing, \
                 {killed_minimal} minimal records, {killed_full} full ones, none torn"
            );
            assert!(killed_without > 0 && killed_minimal > 0 && killed_full > 2);
            return;
        }
    }
    panic!("the writer never finished");
}

/// Runs the writer until just before its n-th system call and kills it there;
/// true when it finished first.
fn killed_after(steps: u64, path: &Path) -> Result<bool, String> {
    let mut child = writer(&std::env::current_exe().unwrap(), path).spawn().unwrap();
    let thread = release_after(&mut child, |thread| {
        ptrace::seize(thread, ptrace::Options::PTRACE_O_TRACESYSGOOD)
            .map_err(|errno| format!("ptrace: {errno}"))?;
        ptrace::interrupt(thread).map_err(|errno| format!("ptrace: {errno}"))
    });
    let thread = match thread {
        Ok(thread) => thread,
        Err(why) => {
            let _ = child.kill();
            let _ = child.wait();
            return Err(why);
        }
    };
    // Two stops for each system call: entry and exit. The first ones belong to
    // the read that held the writer.
    let mut stops = 0;
    loop {
        match waitpid(thread, Some(WaitPidFlag::__WALL)) {
            Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) | Err(_) => {
                let _ = child.wait();
                return Ok(true);
            }
            Ok(WaitStatus::PtraceSyscall(_)) => stops += 1,
            Ok(_) => {}
        }
        if stops > steps * 2 {
            child.kill().unwrap();
            while !matches!(
                waitpid(thread, Some(WaitPidFlag::__WALL)),
                Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) | Err(_)
            ) {}
            let _ = child.wait();
            return Ok(false);
        }
        let _ = ptrace::syscall(thread, None::<Signal>);
    }
}

const SPOOL: &str = "EPICORE_TEST_WRITER_SPOOL";

/// This test binary again, as a process that waits for a line and then writes.
fn writer(binary: &Path, path: &Path) -> Command {
    let mut command = Command::new(binary);
    command
        .args(["--exact", "writer_process", "--nocapture", "--test-threads=1"])
        .env(SPOOL, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

fn release(child: &mut Child) {
    release_after(child, |_| Ok(())).unwrap();
}

/// Waits until the writer says which thread it is, calls `with` and lets go.
fn release_after(child: &mut Child, with: impl Fn(Pid) -> Result<(), String>) -> Result<Pid, String> {
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let thread = lines
        .map_while(Result::ok)
        .find_map(|line| line.split_once("writer thread ").and_then(|(_, tid)| tid.parse().ok()))
        .ok_or("the writer did not start")?;
    with(Pid::from_raw(thread))?;
    child.stdin.take().unwrap().write_all(b"go\n").map_err(|error| error.to_string())?;
    Ok(Pid::from_raw(thread))
}

#[test]
fn writer_process() {
    let Some(path) = std::env::var_os(SPOOL) else { return };
    let spool = Spool::open(Path::new(&path)).unwrap();
    println!("writer thread {}", nix::unistd::gettid());
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    for (n, private) in [(1, false), (2, true)] {
        spool.write_minimal((id(n), private), &[b'm'; 300]).unwrap();
        spool.replace_with_full((id(n), private), &vec![b'f'; 9000]).unwrap();
    }
}
