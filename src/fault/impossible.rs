//! What a working processor does not do.
//!
//! Each of these has innocent explanations, which docs/evidence.md lists; the
//! ones that can be seen here are excluded here.

use super::access::{Access, is_fetch};
use super::evidence::Code;
use super::instruction::{Division, Instruction, Kind, Target};
use super::scene::Scene;
use super::x86_64::{self, Contradiction};
use super::{Difference, Findings};
use crate::address::Addr;
use crate::elfcore::Machine;
use crate::elfcore::signal::{SIGFPE, SIGILL, SIGSEGV};

/// asm-generic/siginfo.h. An undefined instruction is ILL_ILLOPN on x86_64
/// (arch/x86/kernel/traps.c) and ILL_ILLOPC on aarch64 (arch/arm64/kernel/traps.c).
const FPE_INTDIV: i32 = 1;
const SEGV_MAPERR: i32 = 1;
const SEGV_ACCERR: i32 = 2;
const ILL_ILLOPC: i32 = 1;
const ILL_ILLOPN: i32 = 2;
/// The page of the old system calls: the kernel emulates it.
const VSYSCALL: u64 = 0xffff_ffff_ff60_0000;

/// The impossible state, with its facts.
pub(super) fn find(scene: &Scene<'_>, findings: &Findings) -> Option<(Code, String)> {
    if scene.was_sent() || code_was_changed(findings) {
        return None;
    }
    let instruction = findings.instruction.as_ref()?;
    match scene.signal() {
        SIGSEGV => access(scene, findings, instruction),
        SIGFPE => division(scene, instruction),
        SIGILL => illegal(scene, instruction),
        _ => None,
    }
}

/// The instruction that was executed need not be the one that is there now.
fn code_was_changed(findings: &Findings) -> bool {
    findings.code_page.as_ref().is_some_and(|page| page.difference != Difference::None)
}

fn access(scene: &Scene<'_>, findings: &Findings, instruction: &Instruction) -> Option<(Code, String)> {
    // A jump into nowhere, a general protection fault: no operand is meant.
    // Nor is one by a protection key or a shadow stack.
    let address = scene.told_address().filter(|_| [SEGV_MAPERR, SEGV_ACCERR].contains(&scene.code()))?;
    let clear = !instruction.unclear && instruction.kind != Kind::System && instruction.kind != Kind::Invalid;
    if is_fetch(scene, address) || !clear || address.0 & !0xfff == VSYSCALL {
        return None;
    }
    if is_next_page(scene, instruction, address) {
        return None;
    }
    if !instruction.operands.iter().any(|operand| operand.covers(address)) {
        let near = instruction.operands.first().map(|operand| operand.address.0 ^ address.0);
        let bits = near.map_or(0, u64::count_ones);
        let how = match (near, bits) {
            (None, _) => "the instruction accesses no memory".to_owned(),
            (Some(difference), 1) => {
                format!("the operand's address differs in bit {}", difference.trailing_zeros())
            }
            (Some(_), bits) => format!("the operand's address differs in {bits} bits"),
        };
        return Some((Code::AddressNotOperand, how));
    }
    (findings.access == Some(Access::Permitted)).then(|| {
        let threads =
            if scene.threads == 1 { "one thread" } else { "other threads may have mapped it since" };
        (Code::Permitted, format!("mapped with that permission; {threads}"))
    })
}

/// An instruction across the end of its page is fetched from the next one.
fn is_next_page(scene: &Scene<'_>, instruction: &Instruction, address: Addr) -> bool {
    let last = scene.ip().0.saturating_add(instruction.length.max(1)).saturating_sub(1);
    last & !0xfff == address.0 && address > scene.ip()
}

fn division(scene: &Scene<'_>, instruction: &Instruction) -> Option<(Code, String)> {
    if scene.code() != FPE_INTDIV {
        return None;
    }
    if instruction.kind != Kind::Division {
        return Some((Code::NoDivision, format!("the instruction is of kind {}", instruction.kind.name())));
    }
    (instruction.division == Some(Division::Fine))
        .then(|| (Code::DivisionFine, "the divisor is not zero and the quotient fits".to_owned()))
}

fn illegal(scene: &Scene<'_>, instruction: &Instruction) -> Option<(Code, String)> {
    let valid = !matches!(instruction.kind, Kind::Invalid | Kind::Trap | Kind::Privileged);
    let (undefined, every) = match scene.machine() {
        Machine::X86_64 => (ILL_ILLOPN, "x86-64"),
        Machine::Aarch64 => (ILL_ILLOPC, "ARMv8 processor"),
    };
    // A jump to what is no landing pad (BTI) ends here as well: PSTATE.BTYPE tells.
    let landed = scene.registers.by_name("pstate").is_some_and(|pstate| pstate & 0xc00 != 0);
    let said = scene.code() == undefined && !landed;
    let (has, who) = if instruction.baseline {
        (true, format!("every {every}"))
    } else {
        (scene.live && instruction.detected, "this processor, by CPUID,".to_owned())
    };
    let illegal = valid && has && said && scene.module_of(scene.ip()).is_some();
    illegal.then(|| {
        (Code::ValidIllegal, format!("an instruction of kind {} that {who} has", instruction.kind.name()))
    })
}

/// A register of the operands (of the target, of a jump) that is not what its
/// definition put there.
pub(super) fn contradiction(scene: &mut Scene<'_>, findings: &Findings) -> Option<Contradiction> {
    if scene.machine() != Machine::X86_64 || scene.was_sent() || code_was_changed(findings) {
        return None;
    }
    let instruction = findings.instruction.as_ref()?;
    let mut wanted: Vec<&'static str> = instruction
        .operands
        .iter()
        .flat_map(|operand| operand.base.into_iter().chain(operand.index))
        .collect();
    if let Target::Register(register) = instruction.target {
        wanted.push(register);
    }
    let (start, length) = scene.function(scene.ip())?;
    let code = scene.code_between(start, start.add(length)?)?;
    let word = |at: Addr| scene.image.u64(at);
    x86_64::contradiction(&code, start, scene.registers, &wanted, &word)
}
