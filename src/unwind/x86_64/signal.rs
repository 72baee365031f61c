//! Signal trampolines without call frame information (musl, Go, static asm).
//!
//! Matches gdb's amd64-linux-tdep.c: the trampoline is `mov $15, %rax;
//! syscall`, and at its stack pointer stands the ucontext.

use crate::address::Addr;
use crate::elfcore::{Machine, Registers};
use crate::memory::Image;

/// Offset of uc_mcontext.gregs in a ucontext.
const GREGS: u64 = 40;
/// The order of gregs (sys/ucontext.h), by the names of user_regs_struct.
const ORDER: [&str; 17] = [
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rdi", "rsi", "rbp", "rbx", "rdx", "rax", "rcx",
    "rsp", "rip",
];

/// True for the first instructions of a trampoline.
pub(in crate::unwind) fn is_sigreturn(code: &[u8]) -> bool {
    code.starts_with(&[0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f])
        || code.starts_with(&[0xb8, 15, 0, 0, 0, 0x0f, 0x05])
}

/// The registers that the signal interrupted.
pub(in crate::unwind) fn interrupted(sp: Addr, image: &Image) -> Option<Registers> {
    let mut registers = Registers::zero(Machine::X86_64);
    let mut at = sp.add(GREGS)?;
    for name in ORDER {
        registers.set_by_name(name, image.u64(at)?);
        at = at.add(8)?;
    }
    Some(registers)
}
