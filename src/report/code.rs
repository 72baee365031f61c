//! si_code by the names of include/uapi/asm-generic/siginfo.h, and what each
//! means in a few words.

use super::signal::{BUS, FPE, ILL, SEGV, SYS, TRAP};

/// SI_USER: kill(2).
pub const SI_USER: i32 = 0;
/// SI_KERNEL: sent by the kernel from somewhere that gives no more.
pub const SI_KERNEL: i32 = 0x80;
/// SI_QUEUE: sigqueue(3).
pub const SI_QUEUE: i32 = -1;
/// SI_TKILL: tkill(2) or tgkill(2).
pub const SI_TKILL: i32 = -6;
/// SEGV_PKUERR, whose si_addr is an address like any other.
pub const SEGV_MAPERR: i32 = 1;
/// Mapped, but not for this access.
pub const SEGV_ACCERR: i32 = 2;
/// BUS_ADRERR.
pub const BUS_ADRERR: i32 = 2;
/// BUS_MCEERR_AR: memory failed in hardware, and the instruction needs it.
pub const BUS_MCEERR_AR: i32 = 4;
/// BUS_MCEERR_AO: memory failed in hardware, found in passing.
pub const BUS_MCEERR_AO: i32 = 5;

/// (signal, si_code, name, meaning).
const FAULTS: &[(u32, i32, &str, &str)] = &[
    (ILL, 1, "ILL_ILLOPC", "illegal opcode"),
    (ILL, 2, "ILL_ILLOPN", "illegal operand"),
    (ILL, 3, "ILL_ILLADR", "illegal addressing mode"),
    (ILL, 4, "ILL_ILLTRP", "illegal trap"),
    (ILL, 5, "ILL_PRVOPC", "privileged opcode"),
    (ILL, 6, "ILL_PRVREG", "privileged register"),
    (ILL, 7, "ILL_COPROC", "coprocessor error"),
    (ILL, 8, "ILL_BADSTK", "internal stack error"),
    (ILL, 9, "ILL_BADIADDR", "unimplemented instruction address"),
    (FPE, 1, "FPE_INTDIV", "integer divide by zero"),
    (FPE, 2, "FPE_INTOVF", "integer overflow"),
    (FPE, 3, "FPE_FLTDIV", "floating-point divide by zero"),
    (FPE, 4, "FPE_FLTOVF", "floating-point overflow"),
    (FPE, 5, "FPE_FLTUND", "floating-point underflow"),
    (FPE, 6, "FPE_FLTRES", "floating-point inexact result"),
    (FPE, 7, "FPE_FLTINV", "invalid floating-point operation"),
    (FPE, 8, "FPE_FLTSUB", "subscript out of range"),
    (FPE, 14, "FPE_FLTUNK", "undiagnosed floating-point exception"),
    (FPE, 15, "FPE_CONDTRAP", "trap on condition"),
    (SEGV, 1, "SEGV_MAPERR", "nothing is mapped there"),
    (SEGV, 2, "SEGV_ACCERR", "mapped, but not for this access"),
    (SEGV, 3, "SEGV_BNDERR", "failed address bound check"),
    (SEGV, 4, "SEGV_PKUERR", "denied by a protection key"),
    (SEGV, 5, "SEGV_ACCADI", "ADI not enabled for mapped object"),
    (SEGV, 6, "SEGV_ADIDERR", "disrupting memory corruption error"),
    (SEGV, 7, "SEGV_ADIPERR", "precise memory corruption exception"),
    (SEGV, 8, "SEGV_MTEAERR", "memory tag mismatch, asynchronous"),
    (SEGV, 9, "SEGV_MTESERR", "memory tag mismatch"),
    (SEGV, 10, "SEGV_CPERR", "control protection fault: the shadow stack disagrees"),
    (BUS, 1, "BUS_ADRALN", "misaligned address"),
    (BUS, 2, "BUS_ADRERR", "beyond the end of the mapped object"),
    (BUS, 3, "BUS_OBJERR", "object-specific hardware error"),
    (BUS, 4, "BUS_MCEERR_AR", "the memory itself failed in hardware, and was needed"),
    (BUS, 5, "BUS_MCEERR_AO", "the memory itself failed in hardware, found in passing"),
    (TRAP, 1, "TRAP_BRKPT", "breakpoint instruction"),
    (TRAP, 2, "TRAP_TRACE", "single step"),
    (TRAP, 3, "TRAP_BRANCH", "branch trap"),
    (TRAP, 4, "TRAP_HWBKPT", "hardware breakpoint or watchpoint"),
    (TRAP, 5, "TRAP_UNK", "undiagnosed trap"),
    (TRAP, 6, "TRAP_PERF", "perf event with sigtrap"),
    (SYS, 1, "SYS_SECCOMP", "system call denied by seccomp"),
    (SYS, 2, "SYS_USER_DISPATCH", "system call user dispatch"),
];

/// Codes that any signal can have.
const GENERAL: &[(i32, &str, &str)] = &[
    (SI_USER, "SI_USER", "sent with kill()"),
    (SI_KERNEL, "SI_KERNEL", "sent by the kernel"),
    (SI_QUEUE, "SI_QUEUE", "sent with sigqueue()"),
    (-2, "SI_TIMER", "a timer ran out"),
    (-3, "SI_MESGQ", "a message queue changed state"),
    (-4, "SI_ASYNCIO", "asynchronous I/O ended"),
    (-5, "SI_SIGIO", "queued SIGIO"),
    (SI_TKILL, "SI_TKILL", "sent with tgkill()"),
    (-7, "SI_DETHREAD", "sent by execve() to the other threads"),
    (-60, "SI_ASYNCNL", "an asynchronous name look-up ended"),
];

/// Name and meaning of `code` for `signal`, when the kernel has them.
pub fn code(signal: u32, code: i32) -> Option<(&'static str, &'static str)> {
    let fault = FAULTS.iter().find(|(s, c, ..)| (*s, *c) == (signal, code));
    let general = GENERAL.iter().find(|(c, ..)| *c == code);
    fault.map(|(_, _, name, why)| (*name, *why)).or(general.map(|(_, name, why)| (*name, *why)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_spelled_as_in_the_kernels_header() {
        assert_eq!(code(SEGV, 1).map(|c| c.0), Some("SEGV_MAPERR"));
        assert_eq!(code(BUS, 4).map(|c| c.0), Some("BUS_MCEERR_AR"));
        assert_eq!(code(FPE, 15).map(|c| c.0), Some("FPE_CONDTRAP"));
        assert_eq!(code(SEGV, 0x80).map(|c| c.0), Some("SI_KERNEL"));
        assert_eq!(code(6, -6).map(|c| c.0), Some("SI_TKILL"));
        assert_eq!(code(6, 1), None);
    }
}
