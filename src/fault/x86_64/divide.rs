//! Whether a division had a reason to fail (Intel SDM volume 2, DIV, IDIV).

use iced_x86::{Instruction as Decoded, Mnemonic, OpKind, Register};

use super::decode::name;
use crate::elfcore::Registers;
use crate::fault::instruction::Division;

/// None for what is no division.
pub(super) fn look(decoded: &Decoded, registers: &Registers) -> Option<Division> {
    let signed = match decoded.mnemonic() {
        Mnemonic::Div => false,
        Mnemonic::Idiv => true,
        _ => return None,
    };
    if decoded.op0_kind() != OpKind::Register {
        return Some(Division::Unknown);
    }
    Some(judged(decoded.op0_register(), signed, registers).unwrap_or(Division::Unknown))
}

fn judged(register: Register, signed: bool, registers: &Registers) -> Option<Division> {
    let bits = u32::try_from(register.size()).ok()?.checked_mul(8)?;
    // ah, bh, ch, dh divide by the second byte.
    if [Register::AH, Register::BH, Register::CH, Register::DH].contains(&register) {
        return None;
    }
    let mask = u64::MAX >> 64u32.checked_sub(bits)?;
    let value = |name: &str| registers.by_name(name).map(|value| value & mask);
    let divisor = value(name(register)?)?;
    if divisor == 0 {
        return Some(Division::ByZero);
    }
    let (high, low) = if bits == 8 {
        let ax = registers.by_name("rax")?;
        (ax >> 8 & 0xff, ax & 0xff)
    } else {
        (value("rdx")?, value("rax")?)
    };
    let dividend = u128::from(high).checked_shl(bits)? | u128::from(low);
    let fits = if signed {
        let extend = |value: u128, bits: u32| {
            let shift = 128u32.saturating_sub(bits);
            value.wrapping_shl(shift).cast_signed().wrapping_shr(shift)
        };
        let quotient =
            extend(dividend, bits.saturating_mul(2)).checked_div(extend(u128::from(divisor), bits));
        let most = 1i128.checked_shl(bits.saturating_sub(1))?;
        quotient.is_some_and(|q| q < most && q >= most.wrapping_neg())
    } else {
        dividend.checked_div(u128::from(divisor)).is_some_and(|q| q <= u128::from(mask))
    };
    Some(if fits { Division::Fine } else { Division::Overflow })
}
