//! NT_SIGINFO: why the signal came (sigaction(2); the kernel's siginfo_t).
//!
//! Which member of the union is valid follows the kernel's siginfo_layout():
//! si_code first, then the signal.

use signal::{SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};

use crate::address::Addr;
use crate::bytes::Bytes;

/// Who or what caused the signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A fault, with si_addr.
    Fault(Addr),
    /// Somebody sent it: si_pid, si_uid.
    Sender {
        /// si_pid, in the pid namespace of the process.
        pid: u32,
        /// si_uid.
        uid: u32,
    },
    /// seccomp: the address of the system call instruction and its number.
    Syscall {
        /// si_call_addr.
        address: Addr,
        /// si_syscall.
        number: u32,
    },
    /// The kernel says no more than the signal (SI_KERNEL, timers).
    Unsaid,
}

/// The signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Siginfo {
    /// si_signo.
    pub signal: u32,
    /// si_errno.
    pub errno: i32,
    /// si_code.
    pub code: i32,
    /// The valid part of the union.
    pub origin: Origin,
}

/// Signals by number (signal(7)), as far as a fault has one.
pub mod signal {
    /// Illegal instruction.
    pub const SIGILL: u32 = 4;
    /// A breakpoint.
    pub const SIGTRAP: u32 = 5;
    /// abort(3).
    pub const SIGABRT: u32 = 6;
    /// A mapping without memory behind it, or broken memory.
    pub const SIGBUS: u32 = 7;
    /// Arithmetic.
    pub const SIGFPE: u32 = 8;
    /// No mapping, or no permission.
    pub const SIGSEGV: u32 = 11;
    /// A system call that is not allowed.
    pub const SIGSYS: u32 = 31;
}

/// si_code of what the kernel cannot tell more of (asm-generic/siginfo.h).
pub const SI_KERNEL: i32 = 0x80;
/// si_code of tgkill(2): raise(3), abort(3).
pub const SI_TKILL: i32 = -6;
const SI_TIMER: i32 = -2;
const SI_SIGIO: i32 = -5;

impl Siginfo {
    /// Parses; `None` when too short.
    pub fn parse(bytes: Bytes<'_>) -> Option<Siginfo> {
        let (signal, errno, code) = (bytes.u32(0)?, bytes.i32(4)?, bytes.i32(8)?);
        let fault = Origin::Fault(Addr(bytes.u64(16)?));
        let sender = Origin::Sender { pid: bytes.u32(16)?, uid: bytes.u32(20)? };
        let origin = match (code, signal) {
            (SI_TIMER | SI_SIGIO, _) => Origin::Unsaid,
            (..=0, _) => sender,
            // General protection and the like: no address (siginfo_layout).
            (SI_KERNEL.., _) => Origin::Unsaid,
            (_, SIGILL | SIGTRAP | SIGBUS | SIGFPE | SIGSEGV) => fault,
            (_, SIGSYS) => Origin::Syscall { address: Addr(bytes.u64(16)?), number: bytes.u32(24)? },
            _ => Origin::Unsaid,
        };
        Some(Siginfo { signal, errno, code, origin })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn siginfo(signal: u32, code: i32, low: u32, high: u32) -> Siginfo {
        let mut bytes = [0u8; 128];
        bytes[..4].copy_from_slice(&signal.to_le_bytes());
        bytes[8..12].copy_from_slice(&code.to_le_bytes());
        bytes[16..20].copy_from_slice(&low.to_le_bytes());
        bytes[20..24].copy_from_slice(&high.to_le_bytes());
        Siginfo::parse(Bytes::new(&bytes)).unwrap()
    }

    #[test]
    fn the_union_follows_the_code_before_the_signal() {
        assert_eq!(siginfo(11, 1, 0x1000, 0).origin, Origin::Fault(Addr(0x1000)));
        assert_eq!(siginfo(11, 0, 42, 1000).origin, Origin::Sender { pid: 42, uid: 1000 });
        assert_eq!(siginfo(6, -6, 42, 1000).origin, Origin::Sender { pid: 42, uid: 1000 });
        assert_eq!(siginfo(11, 0x80, 0, 0).origin, Origin::Unsaid);
        assert_eq!(siginfo(3, 0x80, 0, 0).origin, Origin::Unsaid);
    }
}
