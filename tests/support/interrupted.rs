//! Stacks that a signal handler on an alternate stack left behind.
//!
//! Gives: [`interrupted_stacks`], to choose what memory a test keeps: a
//! thread's sp only tells of the stack it is on; the one that was interrupted
//! is named by the frame that the kernel put on the alternate stack. Trusts:
//! nothing; what looks like a frame may be none, and costs some kept bytes.
//! Matches `struct rt_sigframe` of arch/x86 and arch/arm64.

use epicore::address::Addr;
use epicore::elfcore::{Machine, Registers};
use epicore::limits;
use epicore::memory::Image;

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
        found.extend(sp.filter(|sp| sp.0 != 0 && registers.machine().is_canonical(*sp)));
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
