//! The instructions ahead, as far as aarch64 needs them: a leaf returns
//! through the link register, everything else keeps a frame record.
//!
//! Trusts: nothing.

use crate::address::Addr;
use crate::elfcore::Registers;
use crate::memory::Image;

/// The caller of a leaf: lr, when it is accepted.
pub(in crate::unwind) fn ahead(
    registers: &Registers,
    _image: &Image,
    _code: &dyn Fn(Addr, usize) -> Option<Vec<u8>>,
    accept: &mut dyn FnMut(&Registers) -> bool,
) -> Option<Registers> {
    let mut caller = *registers;
    caller.set_ip(super::strip(registers.lr().0));
    accept(&caller).then_some(caller)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elfcore::Machine;

    #[test]
    fn a_leaf_returns_through_lr() {
        let mut registers = Registers::zero(Machine::Aarch64);
        registers.set_by_name("x30", 0x0034_0000_0000_1234);
        let found = ahead(&registers, &Image::default(), &|_, _| None, &mut |_| true);
        assert_eq!(found.map(|r| r.ip()), Some(Addr(0x1234)));
    }
}
