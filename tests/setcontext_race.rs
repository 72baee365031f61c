//! The race of GNU libunwind's setcontext, named from one record.
//!
//! libunwind (up to 1.8) ends an unwinding by loading the landing pad's rsp
//! and then reading the last registers from a buffer that lies below it by
//! then. A signal at that instruction is delivered on top of the buffer. The
//! library is the distribution's, the victim throws and catches; what is forced
//! is the moment: a breakpoint at that instruction stops the thread there, and
//! it goes on with a signal, as it might have by itself.
//!
//! Needs root (core_pattern, ptrace), g++ and libunwind 1.6; says what is
//! missing, and passes.

mod support;

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use epicore::record::{Kind, Record};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use support::observe::{Observatory, records, victim, wait_for_full};

/// mov 0xa0(%rdi),%rsp; mov 0xa8(%rdi),%rcx; push %rcx
const SWITCH: [u8; 15] = [0x48, 0x8b, 0xa7, 0xa0, 0, 0, 0, 0x48, 0x8b, 0x8f, 0xa8, 0, 0, 0, 0x51];
/// Bytes of its first instruction.
const MOV: u64 = 7;

fn built() -> Option<PathBuf> {
    let out = support::target_dir().join("race");
    let source = support::tests_dir().join("race/setcontext.cpp");
    let done = Command::new("g++")
        .args(["-O2", "-g", "-pthread"])
        .arg(source)
        .args(["-Wl,--no-as-needed", "-l:libunwind.so.8", "-o"])
        .arg(&out)
        .output();
    match done {
        Ok(done) if done.status.success() => Some(out),
        Ok(done) => {
            println!("skipped: libunwind is not installed (libunwind-dev): {}", first_line(&done.stderr));
            None
        }
        Err(error) => {
            println!("skipped: g++: {error}");
            None
        }
    }
}

fn first_line(text: &[u8]) -> String {
    String::from_utf8_lossy(text).lines().next().unwrap_or("").to_owned()
}

/// Where the second instruction of the switch is in the process.
fn window(pid: Pid) -> Option<u64> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let line = maps.lines().find(|line| line.contains("libunwind.so") && line.contains("r-xp"))?;
    let (start, rest) = line.split_once('-')?;
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let (start, end) = (hex(start)?, hex(rest.split(' ').next()?)?);
    let mut code = vec![0; usize::try_from(end - start).ok()?];
    memory(pid).read_exact_at(&mut code, start).ok()?;
    let at = code.windows(SWITCH.len()).position(|bytes| bytes == SWITCH)?;
    Some(start + at as u64 + MOV)
}

fn memory(pid: Pid) -> std::fs::File {
    OpenOptions::new().read(true).write(true).open(format!("/proc/{pid}/mem")).expect("memory")
}

/// Stops it in the window and lets it go on with a signal. False when this
/// libunwind has no such window.
fn interrupt(pid: Pid) -> bool {
    ptrace::attach(pid).expect("attach");
    assert!(matches!(waitpid(pid, None), Ok(WaitStatus::Stopped(..))));
    let Some(at) = window(pid) else {
        ptrace::detach(pid, None).expect("detach");
        return false;
    };
    let mut own = [0];
    memory(pid).read_exact_at(&mut own, at).expect("the byte");
    memory(pid).write_all_at(&[0xcc], at).expect("a breakpoint");
    ptrace::cont(pid, None).expect("cont");
    assert!(matches!(waitpid(pid, None), Ok(WaitStatus::Stopped(_, Signal::SIGTRAP))));
    memory(pid).write_all_at(&own, at).expect("the byte again");
    let mut registers = ptrace::getregs(pid).expect("registers");
    registers.rip = at;
    ptrace::setregs(pid, registers).expect("registers");
    ptrace::detach(pid, Signal::SIGUSR1).expect("detach");
    true
}

fn crashed(observatory: &Observatory, program: &Path) -> Option<Record> {
    let spool = observatory.spool("s");
    observatory.point_at_handler(&spool);
    let mut child =
        victim(program).arg("still").stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("the victim");
    std::thread::sleep(Duration::from_millis(200));
    let raced = interrupt(Pid::from_raw(i32::try_from(child.id()).expect("a pid")));
    if !raced {
        println!("skipped: this libunwind has no such window");
        child.kill().expect("kill");
    }
    let status = child.wait().expect("waitpid");
    println!("{status}");
    raced.then(|| {
        wait_for_full(&spool, 1, Duration::from_secs(10));
        records(&spool).into_iter().find(|record| record.kind == Kind::Full).expect("a record")
    })
}

/// What every record of the race must say.
fn must_name(record: &Record) {
    let fault = &record.fault;
    let residue = fault.residue.as_ref().unwrap_or_else(|| panic!("what the signal left: {fault:?}"));
    assert_eq!(residue.signal, Some(10), "SIGUSR1");
    assert!(residue.switches);
    let module = usize::try_from(residue.module).ok().and_then(|index| record.modules.get(index));
    let path = module.and_then(|module| module.path.clone()).unwrap_or_default();
    assert!(path.contains("libunwind"), "{path}");
    assert_eq!(fault.evidence.iter().filter(|(code, _)| code == "E-SIGNAL-RESIDUE").count(), 1);
    assert_eq!(fault.ip.as_deref(), Some("null"));
    let cause = fault.cause.as_deref().unwrap_or("");
    assert!(cause.contains("signal 10 interrupted a change of stacks"), "{cause}");
    // rsp is the landing pad's: what lies there is no return address.
    let frames = record.stacks.first().map_or(0, |stack| stack.frames.len());
    assert!(frames >= 2, "{frames} frames: the landing pad's function is known by its callers");
}

#[test]
fn a_signal_in_the_window_of_setcontext_is_named_from_one_record() {
    let (Some(program), Some(observatory)) = (built(), Observatory::open()) else { return };
    let Some(record) = crashed(&observatory, &program) else { return };
    must_name(&record);
}

/// The core of one such crash (Debian 12, libunwind 1.6.2), with the library.
#[test]
fn the_stored_core_of_the_race_is_named_too() {
    let cores = support::tests_dir().join("cores");
    let packed = std::fs::read(cores.join("setcontext.core.zst")).expect("the core");
    let core = zstd::decode_all(packed.as_slice()).expect("zstd");
    must_name(&epicore::capture::replay(core.as_slice(), &[cores]));
}

/// Makes the stored core: EPICORE_RACE_CORE=FILE cargo test --test
/// setcontext_race -- --ignored
#[test]
#[ignore = "makes the stored core"]
fn a_core_of_the_race_is_kept() {
    let Some(to) = std::env::var_os("EPICORE_RACE_CORE") else { return };
    let guard = support::pattern_guard::PatternGuard::take();
    guard.set("kernel/core_pattern", &to.to_string_lossy());
    let program = Path::new("/tmp/setcontext");
    std::fs::copy(built().expect("the victim"), program).expect("a copy");
    let mut child =
        victim(program).arg("still").stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("it");
    std::thread::sleep(Duration::from_millis(200));
    assert!(interrupt(Pid::from_raw(i32::try_from(child.id()).expect("a pid"))));
    println!("{}", child.wait().expect("waitpid"));
    let _ = std::fs::remove_file(program);
}
