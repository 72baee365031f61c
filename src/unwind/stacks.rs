//! Where stacks may be: every writable mapping.
//!
//! Trusts: nothing; ranges may come in any order and overlap.

use crate::address::{Addr, AddrRange};

/// How far below its mapping an overflowed stack's pointer may be: one very
/// large frame.
const BELOW: u64 = 16 << 20;

/// Writable areas, ascending.
#[derive(Clone, Debug, Default)]
pub struct Stacks {
    areas: Vec<AddrRange>,
}

impl Stacks {
    /// From the writable mappings.
    pub fn new(areas: impl IntoIterator<Item = AddrRange>) -> Stacks {
        let mut areas: Vec<AddrRange> = areas.into_iter().filter(|range| !range.is_empty()).collect();
        areas.sort_unstable();
        Stacks { areas }
    }

    /// The area that holds `sp`, or the one that it ran out of at the bottom.
    pub fn area(&self, sp: Addr) -> Option<AddrRange> {
        let behind = self.areas.partition_point(|range| range.start <= sp);
        let holding = behind.checked_sub(1).and_then(|i| self.areas.get(i)).filter(|r| sp <= r.end);
        let above = || self.areas.get(behind).filter(|r| r.start.offset_from(sp).is_some_and(|d| d <= BELOW));
        holding.filter(|r| sp < r.end).or_else(above).or(holding).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overflowed_stack_is_the_one_above_the_guard() {
        let area = Addr(0x10_0000).range(0x1000).unwrap_or_default();
        let stacks = Stacks::new([area]);
        assert_eq!(stacks.area(Addr(0x10_0010)), Some(area));
        assert_eq!(stacks.area(Addr(0x0f_fff8)), Some(area));
        assert_eq!(stacks.area(Addr(0x20_0000)), None);
    }
}
