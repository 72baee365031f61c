//! Signal trampolines without call frame information.
//!
//! Matches gdb's aarch64-linux-tdep.c: the trampoline is `mov x8, #139;
//! svc #0`, and at its stack pointer stands the rt_sigframe: siginfo (128),
//! ucontext up to its sigcontext (176), fault_address, x0 … x30, sp, pc.

use crate::address::Addr;
use crate::elfcore::{Machine, Registers};
use crate::memory::Image;

/// Offset of sigcontext.regs in an rt_sigframe.
const REGS: u64 = 128 + 176 + 8;

/// True for the first instructions of a trampoline.
pub(in crate::unwind) fn is_sigreturn(code: &[u8]) -> bool {
    code.starts_with(&[0x68, 0x11, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4])
}

/// The registers that the signal interrupted.
pub(in crate::unwind) fn interrupted(sp: Addr, image: &Image) -> Option<Registers> {
    let mut registers = Registers::zero(Machine::Aarch64);
    let mut at = sp.add(REGS)?;
    for name in Machine::Aarch64.register_names().iter().take(33) {
        registers.set_by_name(name, image.u64(at)?);
        at = at.add(8)?;
    }
    Some(registers)
}
