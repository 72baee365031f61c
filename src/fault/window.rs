//! The words around the stack pointer, by what they are; never a value.

use super::scene::Scene;
use super::space::NULL_PAGES;
use crate::address::Addr;
use crate::module::CodeClass;

/// Words on either side of rsp.
const WORDS: u64 = 64;

/// What a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Not kept.
    Missing,
    /// Zero.
    Null,
    /// Within 64 KiB of zero.
    Small,
    /// Executable memory of a module: its index, the offset.
    Code(usize, u64),
    /// Other memory of a module.
    Data,
    /// The same stack: bytes from rsp.
    Stack(i64),
    /// Mapped.
    Mapped,
    /// No address.
    NonCanonical,
    /// Not mapped.
    Other,
}

impl Class {
    /// One character, as the record spells it.
    pub fn letter(self) -> char {
        match self {
            Class::Missing => '-',
            Class::Null => '0',
            Class::Small => 's',
            Class::Code(..) => 'c',
            Class::Data => 'd',
            Class::Stack(_) => 'k',
            Class::Mapped => 'm',
            Class::NonCanonical => 'n',
            Class::Other => '?',
        }
    }
}

/// From 64 words below rsp to the 63rd above.
/// Of a signal that was sent nothing: the stack is as it should be.
pub(super) fn around(scene: &Scene<'_>) -> Vec<Class> {
    if scene.was_sent() {
        return Vec::new();
    }
    let sp = Addr(scene.sp().0 & !7);
    let stack = scene.space.find(sp).map(|segment| segment.range);
    let Some(from) = sp.sub(WORDS.saturating_mul(8)) else { return Vec::new() };
    let window: Vec<Class> = (0..WORDS.saturating_mul(2))
        .map(|index| {
            let value = from.add(index.saturating_mul(8)).and_then(|at| scene.image.u64(at));
            value.map_or(Class::Missing, |value| class(scene, stack, value))
        })
        .collect();
    if window.iter().all(|class| *class == Class::Missing) { Vec::new() } else { window }
}

fn class(scene: &Scene<'_>, stack: Option<crate::address::AddrRange>, value: u64) -> Class {
    let address = Addr(value);
    if value == 0 {
        return Class::Null;
    }
    if value < NULL_PAGES || value > u64::MAX.saturating_sub(NULL_PAGES) {
        return Class::Small;
    }
    if !scene.is_address(address) {
        return Class::NonCanonical;
    }
    if stack.is_some_and(|range| range.contains(address)) {
        return Class::Stack(value.wrapping_sub(scene.sp().0).cast_signed());
    }
    if let CodeClass::InModule(index) = scene.modules.code_class(address)
        && let Some(module) = scene.modules.get(index)
    {
        return Class::Code(index, module.linked(address));
    }
    match (scene.modules.find(address), scene.space.find(address)) {
        (Some(_), _) => Class::Data,
        (None, Some(_)) => Class::Mapped,
        (None, None) => Class::Other,
    }
}
