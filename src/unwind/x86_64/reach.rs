//! Does a function jump to a place outside itself?
//!
//! Gives: [`jumps_into`]: a call to T explains a frame in F when T's code
//! jumps into F: a tail call, or a part that the compiler moved away as cold.
//! Trusts: nothing; at most [`limits::INSTRUCTIONS_AHEAD`] are decoded.

use iced_x86::{Decoder, DecoderOptions, FlowControl};

use crate::address::{Addr, AddrRange};
use crate::limits;

/// True when the code at `start` has a direct jump to somewhere in `range`.
pub(in crate::unwind) fn jumps_into(code: &[u8], start: Addr, range: AddrRange) -> bool {
    let mut decoder = Decoder::with_ip(64, code, start.0, DecoderOptions::NONE);
    for _ in 0..limits::INSTRUCTIONS_AHEAD {
        if !decoder.can_decode() {
            break;
        }
        let instruction = decoder.decode();
        let jumps = matches!(
            instruction.flow_control(),
            FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch
        );
        if jumps && range.contains(Addr(instruction.near_branch_target())) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_to_the_cold_part_is_seen() {
        // test edi,edi; jne 0x1100; ret
        let code = [0x85, 0xff, 0x0f, 0x85, 0xf8, 0, 0, 0, 0xc3];
        let cold = Addr(0x1100).range(16).unwrap_or_default();
        assert!(jumps_into(&code, Addr(0x1000), cold));
        assert!(!jumps_into(&code, Addr(0x2000), cold));
    }
}
