//! Does a function jump to a place outside itself? b and b.cond.
//!
//! Trusts: nothing; at most [`limits::INSTRUCTIONS_AHEAD`] are looked at.

use crate::address::{Addr, AddrRange};
use crate::limits;

/// True when the code at `start` has a direct jump to somewhere in `range`.
pub(in crate::unwind) fn jumps_into(code: &[u8], start: Addr, range: AddrRange) -> bool {
    let words = code.as_chunks::<4>().0.iter().take(limits::INSTRUCTIONS_AHEAD);
    let mut at = start.0;
    for word in words {
        let word = u32::from_le_bytes(*word);
        let distance = if word & 0xfc00_0000 == 0x1400_0000 {
            Some((word << 6).cast_signed() >> 6)
        } else if word & 0xff00_0010 == 0x5400_0000 {
            Some((word << 8).cast_signed() >> 13)
        } else {
            None
        };
        let target = distance.map(|words| at.wrapping_add_signed(i64::from(words).saturating_mul(4)));
        if target.is_some_and(|target| range.contains(Addr(target))) {
            return true;
        }
        at = at.wrapping_add(4);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_forwards_is_seen() {
        let range = Addr(0x1100).range(4).unwrap_or_default();
        assert!(jumps_into(&(0x1400_0040u32).to_le_bytes(), Addr(0x1000), range));
        assert!(!jumps_into(&(0x9400_0040u32).to_le_bytes(), Addr(0x1000), range));
    }
}
