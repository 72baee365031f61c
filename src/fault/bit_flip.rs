//! One bit from a good address.
//!
//! A pointer with one flipped bit is one bit from an address that is mapped,
//! with the permission that the instruction needed. So are some wild pointers,
//! by chance: what was run over is near its buffer, and a low bit leads back.
//! What tells them apart: the bit is high, or the right pointer is still
//! somewhere, in another register or in a stack slot.

use super::Findings;
use super::access::operand;
use super::instruction::Direction;
use super::scene::Scene;
use super::space::NULL_PAGES;
use crate::address::Addr;

/// Bits of an address that lie inside a page: flipping one changes no mapping.
const PAGE_BITS: u32 = 12;
/// From this bit on a flip leads further than any buffer is long.
pub(super) const FAR: u32 = 22;
/// Stack words searched for the right pointer, on either side of rsp.
const WORDS: u64 = 128;
/// How near a word must be to be the right pointer's neighbour.
const NEAR: u64 = 4096;

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

/// The bit, when there is one. A bit with a witness goes before others, a
/// higher one before a lower one.
pub(super) fn find(
    scene: &Scene<'_>,
    findings: &Findings,
    address: Addr,
    direction: Direction,
) -> Option<Flip> {
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
            let witness = if null { Witness::None } else { witness(&words, pointer) };
            Some(Flip { bit, register, witness, null })
        })
        .collect();
    found.sort_by_key(|flip| (flip.witness, !flip.null, flip.bit));
    found.pop()
}

impl Flip {
    /// Rare among wild pointers of software.
    pub(super) fn is_telling(&self) -> bool {
        self.is_far() || self.witness == Witness::Near
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
