//! Addresses of the crashed process: checked arithmetic only.
//!
//! What it gives: [`Addr`] and the half-open [`AddrRange`]. An addition that
//! would wrap is `None`, so `start + size` on numbers from a core cannot be
//! written by accident. What it trusts: nothing.

use std::fmt;

/// A virtual address in the crashed process.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Addr(pub u64);

// `add` and `sub` are not the operators: they can say no.
#[allow(clippy::should_implement_trait)]
impl Addr {
    /// The address `offset` bytes above.
    pub fn add(self, offset: u64) -> Option<Addr> {
        self.0.checked_add(offset).map(Addr)
    }

    /// The address `offset` bytes below.
    pub fn sub(self, offset: u64) -> Option<Addr> {
        self.0.checked_sub(offset).map(Addr)
    }

    /// How far above `base` this is, or `None` when it is below.
    pub fn offset_from(self, base: Addr) -> Option<u64> {
        self.0.checked_sub(base.0)
    }

    /// `length` bytes from here, or `None` when they would wrap.
    pub fn range(self, length: u64) -> Option<AddrRange> {
        Some(AddrRange { start: self, end: self.add(length)? })
    }

    /// Rounded down to a multiple of `unit`, a power of two.
    pub fn align_down(self, unit: u64) -> Addr {
        Addr(self.0 & !unit.wrapping_sub(1))
    }
}

impl fmt::Debug for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x}", self.0)
    }
}

/// Addresses from `start` up to but without `end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddrRange {
    /// The first address inside.
    pub start: Addr,
    /// The first address behind.
    pub end: Addr,
}

impl AddrRange {
    /// From two bounds; an end below its start is `None`.
    pub fn new(start: Addr, end: Addr) -> Option<AddrRange> {
        (start <= end).then_some(AddrRange { start, end })
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        self.end.0.saturating_sub(self.start.0)
    }

    /// True when no address is inside.
    pub fn is_empty(&self) -> bool {
        self.end <= self.start
    }

    /// True when `address` is inside.
    pub fn contains(&self, address: Addr) -> bool {
        self.start <= address && address < self.end
    }

    /// What both ranges hold, or `None` when that is nothing.
    pub fn intersect(&self, other: &AddrRange) -> Option<AddrRange> {
        let range = AddrRange { start: self.start.max(other.start), end: self.end.min(other.end) };
        (!range.is_empty()).then_some(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_that_would_wrap_is_none() {
        assert_eq!(Addr(u64::MAX).add(1), None);
        assert_eq!(Addr(0).sub(1), None);
        assert_eq!(Addr(u64::MAX - 1).range(4), None);
        assert_eq!(Addr(8).offset_from(Addr(16)), None);
    }

    #[test]
    fn ranges_that_only_touch_do_not_intersect() {
        let low = Addr(0).range(16).unwrap_or_default();
        let high = Addr(16).range(16).unwrap_or_default();
        assert_eq!(low.intersect(&high), None);
        assert!(!low.contains(Addr(16)));
    }
}
