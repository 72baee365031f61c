//! Is there a call before this return address? bl, blr and its
//! authenticating forms.
//!
//! Trusts: nothing.

use crate::address::Addr;
use crate::bytes::Bytes;
use crate::unwind::ground::Site;

/// The address without a pointer authentication code: a user address has 48
/// bits, the rest is signature when bit 55 is clear.
pub(in crate::unwind) fn strip(ip: u64) -> Addr {
    if ip & 1 << 55 == 0 { Addr(ip & 0x0000_ffff_ffff_ffff) } else { Addr(ip) }
}

/// What stands in the bytes that end at `address`.
pub(in crate::unwind) fn call_before(bytes: &[u8], address: Addr) -> Site {
    let word = bytes.len().checked_sub(4).and_then(|start| Bytes::new(bytes).u32(start));
    let Some(word) = word.filter(|_| address.0 & 3 == 0) else { return Site::Not };
    if word & 0xfc00_0000 == 0x9400_0000 {
        let words = i64::from((word << 6).cast_signed() >> 6);
        let from = address.0.wrapping_sub(4);
        return Site::Direct(Addr(from.wrapping_add_signed(words.saturating_mul(4))));
    }
    // blr; blraa, blrab, blraaz, blrabz.
    let plain = word & 0xffff_fc1f == 0xd63f_0000;
    let signed = word & 0xfeff_f800 == 0xd63f_0800;
    if plain || signed { Site::Indirect } else { Site::Not }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bl_and_blr_are_calls() {
        let site = |word: u32| call_before(&word.to_le_bytes(), Addr(0x1004));
        assert_eq!(site(0x9400_0001), Site::Direct(Addr(0x1004)));
        assert_eq!(site(0x97ff_ffff), Site::Direct(Addr(0x0ffc)));
        assert_eq!(site(0xd63f_0100), Site::Indirect);
        assert_eq!(site(0xd65f_03c0), Site::Not);
    }

    #[test]
    fn a_signature_is_stripped() {
        assert_eq!(strip(0x0034_aaaa_bbbb_cccc), Addr(0xaaaa_bbbb_cccc));
    }
}
