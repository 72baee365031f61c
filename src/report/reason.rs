//! Why it died, in one sentence, from what the kernel's siginfo says.
//!
//! The sentence never says more than is known: siginfo does not tell a read
//! from a write, so an access is an access; where the instruction pointer
//! itself is the address, it was a jump. A guess is called "likely".

use super::code::{
    self, BUS_MCEERR_AO, BUS_MCEERR_AR, SEGV_ACCERR, SEGV_MAPERR, SI_KERNEL, SI_QUEUE, SI_TKILL, SI_USER,
};
use super::escape::clean;
use super::frames;
use super::names::Names;
use super::signal::{self, ABRT, BUS, FPE, ILL, SEGV, SYS, TRAP};
use crate::record::{Crash, Record};

/// Addresses below this are a null pointer and an offset: nothing can be
/// mapped below vm.mmap_min_addr, whose default is this.
const NULL_PAGE: u64 = 65_536;
/// A fault this close to the stack pointer was the stack's own growth: more
/// than a guard page and a large frame.
const STACK_NEAR: u64 = 64 << 10;

/// "SIGSEGV: access to 0x18 (null pointer + 0x18), nothing is mapped there
/// (SEGV_MAPERR), at parse+0x14 (server+0x4134)".
pub fn sentence(record: &Record, names: &Names) -> String {
    let Some(number) = record.crash.signal else {
        return "crashed; the signal is not known".to_owned();
    };
    let place = frames::culprit(record).map(|f| format!(", at {}", frames::phrase(record, names, f)));
    format!("{}: {}{}", signal::name(number), why(record, number), place.unwrap_or_default())
}

fn why(record: &Record, number: u32) -> String {
    let crash = &record.crash;
    let Some(code) = crash.code else {
        return unsaid(number);
    };
    match (number, code) {
        (_, SI_USER | SI_QUEUE | SI_TKILL) => sent(record, number, code),
        (SEGV, SI_KERNEL) => general_protection(record),
        (TRAP, SI_KERNEL) => "breakpoint instruction (SI_KERNEL)".to_owned(),
        (SEGV, SEGV_MAPERR | SEGV_ACCERR) => access(record, code),
        (BUS, BUS_MCEERR_AR | BUS_MCEERR_AO) => machine_check(crash, code),
        (SEGV | BUS, _) => format!("access to {}: {}", target(crash), meaning(number, code)),
        (SYS, _) => format!("{}{}", meaning(number, code), errno(crash)),
        (ILL | FPE | TRAP, _) => meaning(number, code),
        _ => meaning(number, code),
    }
}

/// The signal alone, when there is no siginfo.
fn unsaid(number: u32) -> String {
    let what = match number {
        SEGV => "bad memory access",
        BUS => "bus error",
        FPE => "arithmetic exception",
        ILL => "illegal instruction",
        ABRT => "aborted",
        TRAP => "trap",
        SYS => "bad system call",
        _ => "ended by the signal",
    };
    format!("{what}; the kernel's siginfo is missing")
}

fn meaning(number: u32, code: i32) -> String {
    match code::code(number, code) {
        Some((name, why)) => format!("{why} ({name})"),
        None => format!("si_code {code}"),
    }
}

fn errno(crash: &Crash) -> String {
    crash.errno.filter(|e| *e != 0).map_or(String::new(), |e| format!(", si_errno {e}"))
}

fn target(crash: &Crash) -> String {
    match crash.addr.map(|a| a.0) {
        None => "an address that is not known".to_owned(),
        Some(0) => "address 0x0 (null pointer)".to_owned(),
        Some(a) if a < NULL_PAGE => format!("address {a:#x} (null pointer + {a:#x})"),
        Some(a) => format!("address {a:#x}"),
    }
}

fn access(record: &Record, code: i32) -> String {
    let crash = &record.crash;
    let why = meaning(SEGV, code);
    let ip = record.threads.ip.first();
    if crash.addr.is_some() && ip == crash.addr.as_ref() {
        return format!("jump to {}: {why}", target(crash));
    }
    let likely =
        if near_stack(record) { "; close to the stack pointer: a stack overflow is likely" } else { "" };
    format!("access to {}: {why}{likely}", target(crash))
}

fn near_stack(record: &Record) -> bool {
    let (Some(addr), Some(sp)) = (record.crash.addr, record.threads.sp.first()) else { return false };
    addr.0 >= NULL_PAGE && addr.0.abs_diff(sp.0) <= STACK_NEAR
}

/// x86: #GP carries no address; the kernel fills in SI_KERNEL and 0.
fn general_protection(record: &Record) -> String {
    let x86 = record.host.arch.as_deref().is_none_or(|arch| arch == "x86_64");
    if x86 {
        "general protection fault (SI_KERNEL): the CPU gives no address; a non-canonical pointer is likely"
            .to_owned()
    } else {
        "sent by the kernel (SI_KERNEL), without an address".to_owned()
    }
}

fn machine_check(crash: &Crash, code: i32) -> String {
    format!("hardware memory error at {}: {}", target(crash), meaning(BUS, code))
}

/// Somebody sent it: the process itself, or another.
fn sent(record: &Record, number: u32, code: i32) -> String {
    let crash = &record.crash;
    let call = match code {
        SI_TKILL => "tgkill",
        SI_QUEUE => "sigqueue",
        _ => "kill",
    };
    let (Some(pid), uid) = (crash.sender_pid, crash.sender_uid) else {
        return meaning(number, code);
    };
    let own = [record.process.nspid.or(crash.pid), crash.pid];
    if own.contains(&Some(pid)) {
        let how = if number == ABRT && code == SI_TKILL {
            "abort, assert or an uncaught exception"
        } else {
            "the program's own choice"
        };
        return format!("raised by the process itself ({call} from pid {pid}): {how}");
    }
    let uid = uid.map_or(String::new(), |uid| format!(" of uid {uid}"));
    if pid == 0 {
        return format!("sent by a process outside its pid namespace{uid} ({call})");
    }
    format!("sent by pid {pid}{uid} ({call})")
}

/// Two or three words for a table: "null pointer", "raised by itself".
pub fn brief(record: &Record) -> String {
    let crash = &record.crash;
    match (crash.signal, crash.code) {
        (Some(number), Some(code)) => {
            code::code(number, code).map_or_else(|| format!("si_code {code}"), |(name, _)| name.to_owned())
        }
        _ => String::new(),
    }
}

/// The name a crashed process goes by: file name of the executable, and its
/// comm where that says something else ("python3 (gunicorn)").
pub fn who(record: &Record) -> String {
    let process = &record.process;
    let comm = process.comm.as_deref();
    match process.exe.as_deref().map(frames::base) {
        None => comm.map_or_else(|| "?".to_owned(), clean),
        Some(exe) => match comm.filter(|comm| !comm.is_empty() && !exe.starts_with(comm)) {
            Some(comm) => format!("{} ({})", clean(exe), clean(comm)),
            None => clean(exe),
        },
    }
}
