//! One bit from a good address.
//!
//! A pointer with one flipped bit is one bit from an address that is mapped,
//! with the permission that the instruction needed. So are some wild pointers,
//! by chance: what was run over is near its buffer, and a low bit leads back.
//! What tells them apart: the bit is high, or the right pointer is still
//! somewhere, in another register or in a stack slot.

use super::Findings;
use super::access::{Access, operand};
use super::instruction::Direction;
use super::scene::Scene;
use super::space::NULL_PAGES;
use crate::address::Addr;

/// Bits of an address that lie inside a page: flipping one changes no mapping.
const PAGE_BITS: u32 = 12;
/// From this bit on a flip leads further than any buffer is long.
const FAR: u32 = 22;
/// Stack words searched for the right pointer, on either side of rsp.
const WORDS: u64 = 128;
/// How near a word must be to be the right pointer's neighbour.
const NEAR: u64 = 4096;
/// From this bit on software keeps tags in pointers (LAM, TBI and by hand).
const TAGS: u32 = 57;
/// What is smaller is as a rule an object's data, not an array.
const STRIDE: u64 = 64 << 10;

/// One bit the other way, and it would have been good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flip {
    /// Which.
    pub(super) bit: u32,
    /// The register that it is in, when an operand is known.
    pub(super) register: Option<&'static str>,
    /// What is left of the right pointer.
    pub(super) witness: Witness,
    /// The good address is a null pointer's.
    pub(super) null: bool,
}

/// Whether the right pointer was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Witness {
    /// No.
    None,
    /// Another register or stack word points within a page of it.
    Near,
    /// Another register or stack word is the right pointer.
    Equal,
}

/// The bit that tells something of this access, when there is one.
pub(super) fn telling(scene: &Scene<'_>, findings: &Findings) -> Option<Flip> {
    let address = findings.address?;
    let access = findings.access.filter(|access| access.may_be_flipped())?;
    let flip = find(scene, findings, address, findings.direction?)?;
    // An array's own address is good: its index is what leads astray.
    let excused =
        flip.is_run_over(access) || flip.is_stride(scene, address) || is_indexed(scene, findings, address);
    // What is mapped, but not for this, is as a rule another object.
    let near = access == Access::Wild;
    Some(flip).filter(|flip| !excused && (flip.is_far() || flip.witness == Witness::Near && near))
}

/// The base of an operand with an index is mapped: no bit of it is wrong.
fn is_indexed(scene: &Scene<'_>, findings: &Findings, address: Addr) -> bool {
    operand(findings, address).is_some_and(|operand| {
        let base = operand.base.and_then(|name| scene.registers.by_name(name));
        operand.index.is_some() && base.is_some_and(|base| scene.space.find(Addr(base)).is_some())
    })
}

/// The bit, when there is one. A bit with a witness goes before others, a
/// higher one before a lower one.
fn find(scene: &Scene<'_>, findings: &Findings, address: Addr, direction: Direction) -> Option<Flip> {
    let operand = operand(findings, address);
    let register = operand.and_then(|operand| operand.base.or(operand.index));
    let value = register.and_then(|name| scene.registers.by_name(name)).unwrap_or(address.0);
    // An index counts as often as it is scaled.
    let scale = operand.filter(|operand| operand.base.is_none()).map_or(1, |operand| operand.scale);
    let words = words(scene, register);
    let mut found: Vec<Flip> = (PAGE_BITS..64)
        .filter_map(|bit| {
            let pointer = value ^ 1 << bit;
            let good = Addr(address.0.wrapping_add(pointer.wrapping_sub(value).wrapping_mul(scale)));
            let null = good.0 < NULL_PAGES && bit >= 16;
            if !null && !scene.space.permits(good, direction) {
                return None;
            }
            // The pointer without its tag is at hand wherever tags are used.
            let alone = null || bit >= TAGS;
            let witness = if alone { Witness::None } else { witness(&words, pointer) };
            Some(Flip { bit, register, witness, null })
        })
        .collect();
    found.sort_by_key(|flip| (flip.witness, !flip.null, flip.bit));
    found.pop()
}

impl Flip {
    /// What was run over is a low bit from its buffer, whose pointer is at hand.
    fn is_run_over(&self, access: Access) -> bool {
        matches!(access, Access::Behind(_)) && self.bit < FAR
    }

    /// A stride that is a power of two, from the first page of a mapping that it
    /// is a multiple of: rows of a matrix, slots of a pool.
    fn is_stride(&self, scene: &Scene<'_>, address: Addr) -> bool {
        let distance = 1u64 << (self.bit & 63);
        let good = Addr(address.0 ^ distance);
        let Some(segment) = scene.space.find(good).filter(|_| self.bit < FAR && address > good) else {
            return false;
        };
        let near = good.offset_from(segment.range.start).is_some_and(|offset| offset < NEAR);
        let length = segment.range.len();
        near && length >= STRIDE && distance.checked_rem(length) == Some(0)
    }

    /// Further than a buffer is long, or the right pointer is known.
    pub(super) fn is_far(&self) -> bool {
        self.witness == Witness::Equal || self.bit >= FAR && !(self.null && self.bit < 20)
    }
}

/// The other general registers, and stack words around rsp.
fn words(scene: &Scene<'_>, but: Option<&str>) -> Vec<u64> {
    let machine = scene.registers.machine();
    let general = machine.register_names().iter().zip(scene.registers.values());
    let mut words: Vec<u64> = general
        .filter(|(name, _)| {
            Some(**name) != but && !["rip", "eflags", "orig_rax", "pc", "pstate"].contains(*name)
        })
        .map(|(_, value)| *value)
        .collect();
    let from = Addr(scene.sp().0 & !7).sub(WORDS.saturating_mul(8)).unwrap_or_default();
    for index in 0..WORDS.saturating_mul(2) {
        words.extend(from.add(index.saturating_mul(8)).and_then(|at| scene.image.u64(at)));
    }
    words
}

fn witness(words: &[u64], pointer: u64) -> Witness {
    if words.contains(&pointer) {
        return Witness::Equal;
    }
    let near = words.iter().any(|word| word.abs_diff(pointer) < NEAR);
    if near { Witness::Near } else { Witness::None }
}
