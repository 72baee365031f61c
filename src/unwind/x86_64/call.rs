//! Is there a call before this return address?
//!
//! Trusts: nothing; x86_64 has many encodings (e8 rel32; ff /2 with a
//! register or memory, 2 to 8 bytes with prefixes), so each length is
//! decoded, and counts when it is a call of exactly that length.

use iced_x86::{Decoder, DecoderOptions, FlowControl, OpKind};

use crate::address::Addr;
use crate::unwind::ground::Site;

/// What stands in the bytes that end at `address`.
pub(in crate::unwind) fn call_before(bytes: &[u8], address: Addr) -> Site {
    for length in [5usize, 2, 3, 6, 7, 4, 8] {
        let Some(start) = bytes.len().checked_sub(length) else { continue };
        let Some(code) = bytes.get(start..) else { continue };
        if !may_be_call(code) {
            continue;
        }
        let ip = address.0.wrapping_sub(length as u64);
        let mut decoder = Decoder::with_ip(64, code, ip, DecoderOptions::NONE);
        let instruction = decoder.decode();
        if instruction.len() != length {
            continue;
        }
        match instruction.flow_control() {
            FlowControl::Call if instruction.op0_kind() == OpKind::NearBranch64 => {
                return Site::Direct(Addr(instruction.near_branch_target()));
            }
            FlowControl::IndirectCall => return Site::Indirect,
            _ => {}
        }
    }
    Site::Not
}

/// e8 first, or ff within the prefixes (66/67, f2, 3e, segment, REX).
fn may_be_call(code: &[u8]) -> bool {
    match code.first() {
        Some(0xe8) => code.len() == 5,
        _ => code.iter().take(3).any(|byte| *byte == 0xff),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_every_length_are_seen() {
        let site = |bytes: &[u8]| call_before(bytes, Addr(0x1000));
        assert_eq!(site(&[0, 0, 0, 0xe8, 0, 1, 0, 0]), Site::Direct(Addr(0x1100)));
        assert_eq!(site(&[0, 0, 0, 0, 0, 0, 0xff, 0xd0]), Site::Indirect);
        assert_eq!(site(&[0x90, 0x90, 0x90, 0x90, 0x90, 0x41, 0xff, 0xd4]), Site::Indirect);
        assert_eq!(site(&[0x90, 0x90, 0xff, 0x15, 1, 2, 3, 4]), Site::Indirect);
        assert_eq!(site(&[0x90; 8]), Site::Not);
        assert_eq!(site(&[]), Site::Not);
    }
}
