//! Stacks that a signal handler on an alternate stack left behind.
//!
//! Gives: [`interrupted_stacks`], for whoever chooses what memory to keep: a
//! thread's sp only tells of the stack it is on; the one that was interrupted
//! is named by the frame that the kernel put on the alternate stack. Trusts:
//! nothing; what looks like a frame may be none, and costs some kept bytes.
//! Matches `struct rt_sigframe` of arch/x86 and arch/arm64.

use crate::address::Addr;
use crate::elfcore::{Machine, Registers};
use crate::limits;
use crate::memory::Image;

/// Offset of gregs[REG_CSGSFS] in a ucontext: cs 0x33 in its low 16 bits, ss
/// 0x2b in its high ones (arch/x86/include/asm/segment.h).
const SEGMENTS: u64 = 40 + 18 * 8;
/// Offset of gregs[REG_RSP].
const RSP: u64 = 40 + 15 * 8;
/// "FPSIMD_MAGIC" of the first record behind the registers on arm64.
const FPSIMD_MAGIC: u64 = 0x4650_8001;

/// Stack pointers of what the signal frames above the thread's sp, in kept
/// memory, had interrupted; innermost first, at most
/// [`limits::STACK_SWITCHES`].
pub fn interrupted_stacks(registers: &Registers, image: &Image) -> Vec<Addr> {
    let mut found = Vec::new();
    let mut at = registers.sp().align_down(8);
    let end = at.add(limits::STACK_CRASHING);
    while found.len() < limits::STACK_SWITCHES && Some(at) < end && image.u64(at).is_some() {
        let sp = match registers.machine() {
            Machine::X86_64 => x86_64(at, image),
            Machine::Aarch64 => aarch64(at, image),
        };
        found.extend(sp.filter(|sp| sp.0 != 0 && sp.is_canonical()));
        let Some(next) = at.add(8) else { break };
        at = next;
    }
    found
}

fn x86_64(context: Addr, image: &Image) -> Option<Addr> {
    let segments = image.u64(context.add(SEGMENTS)?)?;
    let plain = segments & 0xffff == 0x33 && segments >> 48 == 0x2b;
    plain.then_some(Addr(image.u64(context.add(RSP)?)?))
}

fn aarch64(sigcontext: Addr, image: &Image) -> Option<Addr> {
    // fault_address, x0 … x30, sp, pc, pstate, then the records at 288.
    let magic = image.u64(sigcontext.add(288)?)? & 0xffff_ffff;
    (magic == FPSIMD_MAGIC).then_some(Addr(image.u64(sigcontext.add(256)?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interrupted_stack_is_named_by_the_frame_on_the_alternate_one() {
        let mut words = vec![0u64; 64];
        words[4 + 18 + 5] = 0x2b << 48 | 0x33;
        words[4 + 15 + 5] = 0x7fff_0000_1230;
        let bytes = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        let image = Image::new(vec![(Addr(0x5000), bytes)]);
        let mut registers = Registers::zero(Machine::X86_64);
        registers.set_sp(Addr(0x5000));
        assert_eq!(interrupted_stacks(&registers, &image), [Addr(0x7fff_0000_1230)]);
    }
}
