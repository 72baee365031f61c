//! Zeroes the bits of aarch64 code that depend on where things were linked:
//! adr, adrp and the low 12 bits that follow an adrp, b and bl.
//!
//! Trusts: nothing. A register counts as "made by adrp" until something else
//! writes it (bits 0–4 of most instructions): an approximation that is the
//! same in every build, which is all that a key needs.

use crate::module::identity::Code;

/// Masks in place.
pub(in crate::module) fn mask(code: Code, bytes: &mut [u8]) {
    let size = bytes.len() as u64;
    let mut pages = 0u32;
    let mut at = 0u64;
    for word in bytes.as_chunks_mut::<4>().0 {
        let value = u32::from_le_bytes(*word);
        *word = masked(value, at, size, &mut pages, code).to_le_bytes();
        at = at.saturating_add(4);
    }
}

fn masked(value: u32, at: u64, size: u64, pages: &mut u32, _code: Code) -> u32 {
    let bit = |register: u32| 1u32.checked_shl(register & 31).unwrap_or(0);
    let (target, base) = (value & 31, (value >> 5) & 31);
    // adr, adrp: immlo in 29–30, immhi in 5–23.
    if value & 0x1f00_0000 == 0x1000_0000 {
        *pages |= bit(target);
        return value & !0x60ff_ffe0;
    }
    // b, bl: imm26, in words from here.
    if value & 0x7c00_0000 == 0x1400_0000 {
        let words = i64::from((value << 6).cast_signed() >> 6);
        let to = at.cast_signed().checked_add(words.saturating_mul(4)).unwrap_or(-1);
        let inside = 0 <= to && to < size.cast_signed();
        return if inside { value } else { value & 0xfc00_0000 };
    }
    let from_page = *pages & bit(base) != 0;
    let add = value & 0x7f80_0000 == 0x1100_0000;
    let load_or_store = value & 0x3b00_0000 == 0x3900_0000;
    let result = if from_page && (add || load_or_store) { value & !0x003f_fc00 } else { value };
    if !load_or_store || value & 0x0040_0000 != 0 {
        *pages &= !bit(target);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_made_of_two_parts_is_masked_in_both() {
        // adrp x0, …; add x0, x0, #0x123; ldr w1, [x0, #8]; bl far; b .-4
        let code = Code { start: 0, fixed: None };
        let words = |page: u32, low: u32, far: u32| {
            let list = [
                0x9000_0000 | page << 5,
                0x9100_0000 | low << 10,
                0xb940_0801,
                0x9400_0000 | far,
                0x17ff_ffff,
            ];
            let mut bytes: Vec<u8> = list.iter().flat_map(|w: &u32| w.to_le_bytes()).collect();
            mask(code, &mut bytes);
            bytes
        };
        assert_eq!(words(1, 0x123, 0x1000), words(77, 0x456, 0x2000));
        assert_eq!(&words(1, 0x123, 0x1000)[16..], &0x17ff_ffffu32.to_le_bytes());
    }
}
