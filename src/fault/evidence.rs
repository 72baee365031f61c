//! Named facts that are rare in one world and common in the other.
//!
//! Codes never change their meaning: the fleet's statistics count them.

use super::abort::Abort;
use super::access::Access;
use super::bit_flip::Witness;
use super::control::{IpClass, Origin};
use super::scene::Scene;
use super::{Difference, Findings, impossible};
use crate::elfcore::SI_KERNEL;

/// One code, with the facts behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Which.
    pub code: Code,
    /// What was seen, in a few words; no value of memory.
    pub what: String,
}

/// docs/evidence.md has a section on each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    /// The kernel reports broken memory.
    MemoryError,
    /// One bit of the code differs from its file.
    CodeOneBit,
    /// More than one bit does.
    CodeSeveral,
    /// The fault's address is none of the instruction's.
    AddressNotOperand,
    /// The access was permitted.
    Permitted,
    /// A register that is not what its definition put there.
    Contradicts,
    /// A division error of what does not divide.
    NoDivision,
    /// A division error of a division that works.
    DivisionFine,
    /// An illegal instruction that every processor has.
    ValidIllegal,
    /// rip is in the middle of an instruction.
    IpMiddle,
    /// rsp is a word from where it should be.
    StackOff,
    /// rsp is no multiple of 16 where it should be one.
    Misaligned,
    /// A pointer that is no address, one bit from a good one.
    FlipNonCanonical,
    /// An unmapped pointer, one bit from a good one.
    FlipUnmapped,
    /// The same of a low bit, from a page that something else points into.
    FlipNear,
    /// The good pointer is still in a register or stack word.
    FlipWitness,
    /// A null pointer but for one bit.
    FlipNull,
    /// A signal's frame below rsp interrupted code that changes stacks.
    Residue,
    /// A pointer of fillers: freed or unset memory.
    Filler,
    /// A pointer made of text.
    Text,
    /// The stack is full.
    StackOverflow,
    /// The program ended itself.
    Abort,
    /// A null pointer and a small offset.
    Null,
}

impl Code {
    /// As the record spells it.
    pub fn name(self) -> &'static str {
        match self {
            Code::MemoryError => "E-MEMORY-ERROR",
            Code::CodeOneBit => "E-CODE-1BIT",
            Code::CodeSeveral => "E-CODE-SEVERAL",
            Code::AddressNotOperand => "E-ADDR-NOT-OPERAND",
            Code::Permitted => "E-PERMITTED",
            Code::Contradicts => "E-REG-CONTRADICTS",
            Code::NoDivision => "E-FPE-NOT-DIV",
            Code::DivisionFine => "E-DIV-FINE",
            Code::ValidIllegal => "E-ILL-VALID",
            Code::IpMiddle => "E-IP-MIDDLE",
            Code::StackOff => "E-RSP-OFF8",
            Code::Misaligned => "E-RSP-MISALIGNED",
            Code::FlipNonCanonical => "E-BITFLIP-NONCANON",
            Code::FlipUnmapped => "E-BITFLIP-UNMAPPED",
            Code::FlipNear => "E-BITFLIP-NEAR",
            Code::FlipWitness => "E-BITFLIP-WITNESS",
            Code::FlipNull => "E-BITFLIP-NULL",
            Code::Residue => "E-SIGNAL-RESIDUE",
            Code::Filler => "E-FILLER",
            Code::Text => "E-TEXT",
            Code::StackOverflow => "E-STACK-OVERFLOW",
            Code::Abort => "E-ABORT",
            Code::Null => "E-NULL",
        }
    }
}

/// All that was found, the strongest first.
pub(super) fn gather(scene: &Scene<'_>, findings: &Findings) -> Vec<Evidence> {
    let mut found = Vec::new();
    let mut say = |code: Code, what: String| found.push(Evidence { code, what });
    if findings.access == Some(Access::Poisoned) {
        say(Code::MemoryError, "the kernel reports a hardware memory error".to_owned());
    }
    if let Some(page) = &findings.code_page {
        match page.difference {
            Difference::OneBit { bit, .. } => say(Code::CodeOneBit, format!("bit {bit} of one byte of code")),
            Difference::Several { bits } => say(Code::CodeSeveral, format!("{bits} bits of code")),
            _ => {}
        }
    }
    if let Some((code, what)) = impossible::find(scene, findings) {
        say(code, what);
    }
    if let Some(contradiction) = findings.contradiction {
        let (register, how) = (contradiction.register, contradiction.how());
        say(Code::Contradicts, format!("{register} differs in {how} from what its definition gave it"));
    }
    if findings.control.ip == IpClass::Middle {
        say(Code::IpMiddle, "rip is inside an instruction".to_owned());
    }
    if let Some(off) = findings.control.off {
        let how = if findings.control.origin == Origin::Return { "at the return" } else { "in its frame" };
        say(Code::StackOff, format!("rsp is {off:+} bytes from where it should be, {how}"));
    }
    if findings.control.misaligned {
        say(Code::Misaligned, "rsp is no multiple of 16 where the psABI wants one".to_owned());
    }
    flips(scene, findings, &mut say);
    if let Some(residue) = findings.residue.as_ref().filter(|residue| residue.switches) {
        say(Code::Residue, format!("{} interrupted a change of stacks", residue.who()));
    }
    match findings.access {
        Some(Access::Filler(byte)) => say(Code::Filler, format!("the pointer is {byte:#04x} over and over")),
        Some(Access::FreeLink) => {
            say(Code::Filler, "the pointer is a link of glibc's freed blocks".to_owned())
        }
        Some(Access::Text) => say(Code::Text, "the pointer is text".to_owned()),
        Some(Access::StackOverflow) => say(Code::StackOverflow, "the stack is full".to_owned()),
        Some(Access::Null(offset)) => say(Code::Null, format!("null pointer {offset:+}")),
        _ => {}
    }
    if let Some(abort) = findings.abort.filter(|abort| *abort != Abort::Sent) {
        say(Code::Abort, abort.name().to_owned());
    }
    found
}

fn flips(scene: &Scene<'_>, findings: &Findings, say: &mut impl FnMut(Code, String)) {
    let Some(flip) = &findings.flip else { return };
    let of = flip.register.map_or("the address".to_owned(), str::to_owned);
    let bit = format!("bit {} of {of}", flip.bit);
    let general = scene.code() == SI_KERNEL || findings.access == Some(Access::NonCanonical);
    say(
        match (flip.null, general, flip.is_far()) {
            (true, ..) => Code::FlipNull,
            (false, true, _) => Code::FlipNonCanonical,
            (false, false, true) => Code::FlipUnmapped,
            (false, false, false) => Code::FlipNear,
        },
        bit.clone(),
    );
    if flip.witness == Witness::Equal {
        say(Code::FlipWitness, format!("{bit}: the right pointer is still at hand"));
    }
}
