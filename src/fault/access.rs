//! The address that could not be accessed, and what kind of address it is.

use super::Findings;
use super::instruction::{Direction, Instruction, Kind, Operand};
use super::scene::Scene;
use super::space::{NULL_PAGES, permits};
use crate::address::Addr;
use crate::elfcore::SI_KERNEL;
use crate::elfcore::Segment;
use crate::elfcore::signal::{SIGBUS, SIGSEGV};

/// A fault this far below a stack, with the stack pointer near, was its
/// growth: one very large frame.
const FRAME: u64 = 8 << 20;
/// The largest frame that is believed: an array of this many bytes.
const LARGEST: u64 = 128 << 20;
/// The kernel keeps this many bytes free below a stack that grows
/// (stack_guard_gap, 256 pages).
const GUARD_GAP: u64 = 1 << 20;
/// si_code of SIGSEGV and SIGBUS (asm-generic/siginfo.h).
const SEGV_PKUERR: i32 = 4;
const SEGV_CPERR: i32 = 10;
const BUS_ADRALN: i32 = 1;
const BUS_ADRERR: i32 = 2;
const BUS_MCEERR_AR: i32 = 4;
const BUS_MCEERR_AO: i32 = 5;

/// What kind of address it is; the first that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The kernel says that the memory is broken.
    Poisoned,
    /// Near zero: a null pointer and an offset, which may be negative.
    Null(i64),
    /// Below a stack, from an instruction of that stack: it is full.
    StackOverflow,
    /// A guard page of some other stack or buffer (PROT_NONE).
    Guard,
    /// Every byte of it, or of the pointer behind it, is a filler that
    /// allocators and debug builds write.
    Filler(u8),
    /// The pointer is the last link of glibc's list of freed blocks.
    FreeLink,
    /// The pointer is readable text.
    Text,
    /// No address: bits 47 to 63 differ.
    NonCanonical,
    /// Mapped, and this is not permitted.
    NotPermitted,
    /// Beyond the last page of a mapped file.
    PastFile,
    /// Not aligned as the instruction wants it.
    Misaligned,
    /// A protection key forbids it.
    Key,
    /// Not mapped, right behind a mapping: it was run over.
    Behind(u64),
    /// Not mapped.
    Wild,
    /// Mapped, and permitted.
    Permitted,
}

impl Access {
    /// As the record spells it.
    pub fn name(self) -> &'static str {
        match self {
            Access::Poisoned => "poisoned",
            Access::Null(_) => "null",
            Access::StackOverflow => "stack",
            Access::Guard => "guard",
            Access::Filler(_) => "filler",
            Access::FreeLink => "freed",
            Access::Text => "text",
            Access::NonCanonical => "noncanonical",
            Access::NotPermitted => "denied",
            Access::PastFile => "eof",
            Access::Misaligned => "misaligned",
            Access::Key => "pkey",
            Access::Behind(_) => "behind",
            Access::Wild => "wild",
            Access::Permitted => "permitted",
        }
    }

    /// Whether one damaged bit of a pointer may look like this.
    pub(super) fn may_be_flipped(self) -> bool {
        matches!(
            self,
            Access::NonCanonical | Access::Wild | Access::Behind(_) | Access::NotPermitted | Access::Guard
        )
    }
}

/// The kernel's address; for a general protection fault, which has none, that
/// of the operand that is no address.
pub(super) fn address(scene: &Scene<'_>, instruction: Option<&Instruction>) -> Option<Addr> {
    if scene.was_sent() || ![SIGSEGV, SIGBUS].contains(&scene.signal()) {
        return None;
    }
    // A shadow stack's fault is of the return address, not of an access.
    if scene.signal() == SIGSEGV && scene.code() == SEGV_CPERR {
        return None;
    }
    if let Some(told) = scene.told_address() {
        return Some(told);
    }
    if scene.code() != SI_KERNEL {
        return None;
    }
    let instruction = instruction.filter(|i| i.kind != Kind::Privileged)?;
    if let Some(target) = scene.target(instruction).filter(|target| !scene.is_address(*target)) {
        return Some(target);
    }
    let operands = || instruction.operands.iter();
    let none = operands().find(|operand| !scene.is_address(operand.address));
    let misaligned = || operands().find(|operand| is_misaligned(operand));
    none.or_else(misaligned).map(|operand| operand.address)
}

fn is_misaligned(operand: &Operand) -> bool {
    operand.aligned && operand.size > 1 && operand.address.0.checked_rem(operand.size) != Some(0)
}

/// The operand that the access was to, when there is one.
pub fn operand(findings: &Findings, address: Addr) -> Option<&Operand> {
    let operands = &findings.instruction.as_ref()?.operands;
    // A gp fault's address is the operand's own; a page fault's may be that of
    // its second page.
    operands
        .iter()
        .find(|operand| operand.address == address)
        .or_else(|| operands.iter().find(|o| o.covers(address)))
}

/// What was wanted of the address.
pub(super) fn direction(scene: &Scene<'_>, findings: &Findings, address: Addr) -> Direction {
    let target = findings.instruction.as_ref().and_then(|instruction| scene.target(instruction));
    if is_fetch(scene, address) || target == Some(address) && !scene.is_address(address) {
        return Direction::Execute;
    }
    operand(findings, address).map_or(Direction::Read, Operand::direction)
}

/// The address is that of the instruction itself.
pub(super) fn is_fetch(scene: &Scene<'_>, address: Addr) -> bool {
    !scene.is_code(scene.ip()) && address.offset_from(scene.ip()).is_some_and(|offset| offset < 15)
}

/// One class, the first that holds.
pub(super) fn classify(scene: &Scene<'_>, findings: &Findings) -> Option<Access> {
    let address = findings.address?;
    let bus = scene.signal() == SIGBUS;
    if bus && [BUS_MCEERR_AR, BUS_MCEERR_AO].contains(&scene.code()) {
        return Some(Access::Poisoned);
    }
    let direction = findings.direction?;
    if address.0 < NULL_PAGES || address.0 > u64::MAX.saturating_sub(NULL_PAGES) {
        return Some(Access::Null(address.0.cast_signed()));
    }
    if scene.signal() == SIGSEGV && scene.code() == SEGV_PKUERR {
        return Some(Access::Key);
    }
    if let Some(filler) = pointer(scene, findings, address).and_then(filler) {
        return Some(Access::Filler(filler));
    }
    if pointer(scene, findings, address).is_some_and(|value| is_free_link(scene, value)) {
        return Some(Access::FreeLink);
    }
    if !scene.is_address(address) {
        let text = pointer(scene, findings, address).is_some_and(is_text);
        return Some(if text { Access::Text } else { Access::NonCanonical });
    }
    if bus && scene.code() == BUS_ADRALN
        || operand(findings, address).is_some_and(is_misaligned) && !bus && scene.code() == SI_KERNEL
    {
        return Some(Access::Misaligned);
    }
    if bus && scene.code() == BUS_ADRERR {
        return Some(if scene.space.is_file(address) { Access::PastFile } else { Access::Wild });
    }
    if is_stack_overflow(scene, address) {
        return Some(Access::StackOverflow);
    }
    Some(match scene.space.find(address) {
        Some(segment) if segment.flags & 7 == 0 => Access::Guard,
        Some(segment) if permits(segment, direction) => Access::Permitted,
        Some(_) => Access::NotPermitted,
        None => match behind(scene, address) {
            Some(distance) => Access::Behind(distance),
            None => Access::Wild,
        },
    })
}

/// Bytes behind the mapping that was run over: less than a page.
fn behind(scene: &Scene<'_>, address: Addr) -> Option<u64> {
    let end = scene.space.below(address)?.range.end;
    address.offset_from(end).filter(|distance| *distance < 4096)
}

/// The register that the address was made of, as a pointer; the address
/// itself when no operand is known.
fn pointer(scene: &Scene<'_>, findings: &Findings, address: Addr) -> Option<u64> {
    match operand(findings, address) {
        Some(operand) => scene.registers.by_name(operand.base.or(operand.index)?),
        None => Some(address.0),
    }
}

/// A filler: one byte eight times over, of those that fill freed or unset
/// memory (glibc's perturb, jemalloc 0x5a and 0xa5, tcmalloc and MSVC 0xcd,
/// 0xdd, kernels 0x6b, AddressSanitizer 0xbe, 0xfd), or the words that people
/// write there.
fn filler(value: u64) -> Option<u8> {
    const BYTES: [u8; 10] = [0x5a, 0xa5, 0xcd, 0xdd, 0x6b, 0xbe, 0xfd, 0xfe, 0xab, 0xcc];
    const WORDS: [u32; 6] = [0xdead_beef, 0xdead_dead, 0xbaad_f00d, 0xfeed_face, 0xcafe_babe, 0xdead_c0de];
    let bytes = value.to_le_bytes();
    let last = bytes.last().copied()?;
    // The low bytes are off by the member's offset.
    let same = bytes.iter().skip(2).all(|byte| *byte == last);
    if same && BYTES.contains(&last) {
        return Some(last);
    }
    let high = u32::try_from(value >> 32).ok()?;
    WORDS.contains(&high).then_some(last)
}

/// Since 2.32 glibc keeps links of freed blocks as next ^ (place >> 12) ("safe
/// linking", malloc/malloc.c), so the last one of a list is its own page's number.
fn is_free_link(scene: &Scene<'_>, value: u64) -> bool {
    let page = Addr(value << 12);
    value >> 20 != 0
        && value >> 36 == 0
        && scene.space.find(Addr(value)).is_none()
        && scene.space.find(page).is_some_and(Segment::is_writable)
}

/// Eight printable characters: a buffer was written over the pointer.
fn is_text(value: u64) -> bool {
    let letters = value.to_le_bytes();
    letters.iter().skip(1).all(|byte| matches!(byte, b' '..=b'~'))
}

/// The stack that rsp stands on, or has run out of, ends above the address.
fn is_stack_overflow(scene: &Scene<'_>, address: Addr) -> bool {
    let sp = scene.sp();
    let lowest = sp.min(address);
    // A frame larger than the stack takes rsp far below it.
    if scene.space.find(sp).is_none() && sp.0.abs_diff(address.0) <= GUARD_GAP {
        let above = scene
            .space
            .above(sp)
            .filter(|above| above.range.start.offset_from(sp).is_some_and(|d| d <= LARGEST));
        return above.is_some_and(|above| above.is_writable() || above.flags & 7 == 0);
    }
    let near = sp.0.abs_diff(address.0) <= FRAME;
    let Some(stack) = stack_above(scene, lowest).filter(|_| near) else { return false };
    let reach = stack.range.start.offset_from(address).is_some_and(|below| below <= FRAME);
    let inside = scene.space.find(address).is_some_and(|segment| segment.flags & 7 != 0);
    // The stack pointer is at the end of the stack as well.
    let full = sp.0 < stack.range.start.0.saturating_add(GUARD_GAP);
    reach && !inside && full
}

/// The writable mapping at `address`, or the first one above it across guard
/// pages.
fn stack_above<'a>(scene: &'a Scene<'_>, address: Addr) -> Option<&'a Segment> {
    let mut at = address;
    for _ in 0..3 {
        let segment = scene.space.find(at).or_else(|| scene.space.above(at))?;
        if segment.is_writable() {
            return segment.range.start.offset_from(address).is_none_or(|d| d <= FRAME).then_some(segment);
        }
        at = segment.range.end;
    }
    None
}
