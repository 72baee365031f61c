//! NT_PRSTATUS: one thread (the kernel's elf_prstatus). The crashing thread's
//! comes first.
//!
//! ```text
//!   0 si_signo  4 si_code  8 si_errno  12 pr_cursig (u16)
//!  32 pr_pid   36 ppid    40 pgrp      44 sid   48 times
//! 112 pr_reg: 27 × 8 (x86_64) or 34 × 8 (aarch64)
//! ```

use super::registers::{Machine, Registers};
use crate::bytes::Bytes;

/// Where pr_reg begins, on both machines.
const REGISTERS: usize = 112;

/// One thread of the crashed process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Thread id, in the pid namespace of the process.
    pub tid: u32,
    /// pr_cursig.
    pub signal: u16,
    /// General registers.
    pub registers: Registers,
}

impl Thread {
    /// Parses; `None` when too short.
    pub fn parse(machine: Machine, bytes: Bytes<'_>) -> Option<Thread> {
        Some(Thread {
            signal: bytes.u16(12)?,
            tid: bytes.u32(32)?,
            registers: Registers::parse(machine, bytes.tail(REGISTERS)?)?,
        })
    }
}
