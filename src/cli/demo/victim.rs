//! Programs that crash, each in its own way. The only unsafe code that people
//! can reach, and it exists to fail.
#![allow(unsafe_code)]

use std::hint::black_box;
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigHandler, Signal, signal};

/// How it dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Victim {
    /// A null pointer, in a worker beside waiting threads.
    Null,
    /// Recursion without an end.
    StackOverflow,
    /// abort(3).
    Abort,
    /// A call through a pointer that was overwritten.
    Jump,
    /// An integer divided by zero.
    Divide,
}

impl Victim {
    /// All of them, in the order of the demo.
    pub(in crate::cli) const ALL: [Victim; 5] =
        [Victim::Null, Victim::StackOverflow, Victim::Abort, Victim::Jump, Victim::Divide];

    /// As it is typed.
    pub(super) fn name(self) -> &'static str {
        match self {
            Victim::Null => "null",
            Victim::StackOverflow => "stack-overflow",
            Victim::Abort => "abort",
            Victim::Jump => "jump",
            Victim::Divide => "divide",
        }
    }

    /// What it does.
    pub(super) fn story(self) -> &'static str {
        match self {
            Victim::Null => "reads through a null pointer while three threads wait",
            Victim::StackOverflow => "calls itself until the stack is full",
            Victim::Abort => "finds something wrong and aborts",
            Victim::Jump => "calls a function through a pointer that was overwritten",
            Victim::Divide => "divides an integer by zero",
        }
    }

    /// Crashes; a return is a surprise.
    pub(super) fn crash(self) -> u64 {
        let _ = std::fs::write("/proc/self/comm", format!("victim-{}", self.name()));
        prepare();
        match self {
            Victim::Null => with_company(),
            Victim::StackOverflow => descend(1),
            Victim::Abort => std::process::abort(),
            Victim::Jump => call_what_is_not_there(black_box(0x4141_4141_4000)),
            Victim::Divide => divide(black_box(0)),
        }
    }
}

/// A plain process: the default actions, and a core limit that lets pipe
/// handlers run.
fn prepare() {
    for number in [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGABRT, Signal::SIGFPE] {
        // SAFETY: SIG_DFL runs no code of ours. Rust's own handler would turn
        // a stack overflow into SIGABRT.
        let _ = unsafe { signal(number, SigHandler::SigDfl) };
    }
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_CORE) {
        let _ = setrlimit(Resource::RLIMIT_CORE, hard, hard);
    }
}

fn with_company() -> u64 {
    let waiting: Vec<_> = (1..=3)
        .map(|n| {
            let (keep, wait) = mpsc::channel::<u64>();
            let body = move || wait.recv();
            let thread = std::thread::Builder::new().name(format!("waiting-{n}")).spawn(body);
            (keep, thread)
        })
        .collect();
    std::thread::sleep(Duration::from_millis(50));
    let reader = std::thread::Builder::new().name("reader".to_owned());
    let died = reader.spawn(|| read_through(black_box(std::ptr::null::<u64>())));
    let value = died.ok().and_then(|thread| thread.join().ok()).unwrap_or(0);
    value + waiting.len() as u64
}

#[inline(never)]
fn read_through(pointer: *const u64) -> u64 {
    // SAFETY: none: the read of address 0x18 is the point, and ends the process.
    unsafe { pointer.wrapping_byte_add(0x18).read_volatile() }
}

#[inline(never)]
#[expect(unconditional_recursion, reason = "this is how it dies")]
fn descend(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    descend(depth + 1) + frame.iter().sum::<u64>()
}

#[inline(never)]
fn call_what_is_not_there(address: usize) -> u64 {
    // SAFETY: none: nothing is mapped there, and the jump ends the process.
    let function = unsafe { std::mem::transmute::<usize, extern "C" fn(u64) -> u64>(address) };
    function(1) + 1
}

#[inline(never)]
fn divide(by: u64) -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: none: the processor raises #DE, which ends the process. Rust's
    // own division would panic first.
    unsafe {
        let quotient: u64;
        std::arch::asm!("div {by}", by = in(reg) by, inlateout("rax") 1u64 => quotient, inlateout("rdx") 0u64 => _);
        quotient
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        // Other processors divide by zero without complaint.
        let _ = nix::sys::signal::raise(Signal::SIGFPE);
        by
    }
}
