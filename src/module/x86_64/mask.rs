//! Zeroes the bytes of x86_64 code that depend on where things were linked.
//!
//! Trusts: nothing; bytes that do not decode end the masking, the rest is
//! hashed as it stands.

use iced_x86::{Decoder, DecoderOptions, Instruction, OpKind};

use crate::module::identity::Code;

/// Masks in place.
pub(in crate::module) fn mask(code: Code, bytes: &mut [u8]) {
    let original = bytes.to_vec();
    let end = code.start.saturating_add(original.len() as u64);
    let mut decoder = Decoder::with_ip(64, &original, code.start, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    while decoder.can_decode() {
        let at = decoder.position();
        decoder.decode_out(&mut instruction);
        if instruction.is_invalid() {
            break;
        }
        let offsets = decoder.get_constant_offsets(&instruction);
        let mut zero = |offset: usize, size: usize| {
            let start = at.saturating_add(offset);
            if let Some(part) = bytes.get_mut(start..start.saturating_add(size)) {
                part.fill(0);
            }
        };
        if offsets.has_displacement() && moves(&instruction, code) {
            zero(offsets.displacement_offset(), offsets.displacement_size());
        }
        if offsets.has_immediate() && points_away(&instruction, code, end) {
            zero(offsets.immediate_offset(), offsets.immediate_size());
        }
    }
}

fn is_fixed_address(value: u64, code: Code) -> bool {
    code.fixed.is_some_and(|(low, high)| low <= value && value < high)
}

fn moves(instruction: &Instruction, code: Code) -> bool {
    instruction.is_ip_rel_memory_operand() || is_fixed_address(instruction.memory_displacement64(), code)
}

fn points_away(instruction: &Instruction, code: Code, end: u64) -> bool {
    match instruction.op0_kind() {
        OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64 => {
            let target = instruction.near_branch_target();
            target < code.start || end <= target
        }
        _ => (0..instruction.op_count()).any(|operand| {
            instruction.try_immediate(operand).is_ok_and(|value| is_fixed_address(value, code))
        }),
    }
}
