//! DWARF expressions of call frame information.
//!
//! Gives: [`evaluate`], one value. Trusts: nothing; at most
//! [`limits::EXPRESSION_OPERATIONS`] operations and
//! [`limits::EXPRESSION_STACK`] values, memory only through the image.
//! Knows the operations that DWARF 5, §6.4.2 allows in CFI; gimli decodes.

use gimli::{EndianSlice, LittleEndian, Operation, Reader};

use crate::address::Addr;
use crate::bytes::Bytes;
use crate::elfcore::Registers;
use crate::limits;
use crate::memory::Image;

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Memory that was not kept.
    NoMemory(Addr),
    /// Not an expression that can be evaluated.
    Bad,
}

type Result<T> = std::result::Result<T, Failure>;

struct Machine<'a> {
    values: Vec<u64>,
    registers: &'a Registers,
    image: &'a Image,
}

/// The value of an expression that begins with `initial` on its stack.
pub(super) fn evaluate(
    code: &[u8],
    initial: Option<u64>,
    registers: &Registers,
    image: &Image,
) -> Result<u64> {
    let whole = EndianSlice::new(code, LittleEndian);
    let mut input = whole;
    let encoding = gimli::Encoding { address_size: 8, format: gimli::Format::Dwarf32, version: 5 };
    let mut machine = Machine { values: initial.into_iter().collect(), registers, image };
    for _ in 0..limits::EXPRESSION_OPERATIONS {
        if input.is_empty() {
            return machine.pop();
        }
        let operation = Operation::parse(&mut input, encoding).map_err(|_| Failure::Bad)?;
        if let Some(distance) = machine.apply(operation)? {
            let from = i64::try_from(input.offset_from(whole)).map_err(|_| Failure::Bad)?;
            let to = usize::try_from(from.saturating_add(distance)).map_err(|_| Failure::Bad)?;
            input = EndianSlice::new(code.get(to..).ok_or(Failure::Bad)?, LittleEndian);
        }
    }
    Err(Failure::Bad)
}

impl Machine<'_> {
    fn pop(&mut self) -> Result<u64> {
        self.values.pop().ok_or(Failure::Bad)
    }

    fn push(&mut self, value: u64) -> Result<()> {
        if self.values.len() >= limits::EXPRESSION_STACK {
            return Err(Failure::Bad);
        }
        self.values.push(value);
        Ok(())
    }

    fn load(&self, address: u64, size: u8) -> Result<u64> {
        let size = usize::from(size);
        let bytes = self.image.read(Addr(address), size).ok_or(Failure::NoMemory(Addr(address)))?;
        let mut whole = [0u8; 8];
        whole.get_mut(..size).ok_or(Failure::Bad)?.copy_from_slice(bytes.as_slice());
        Bytes::new(&whole).u64(0).ok_or(Failure::Bad)
    }

    fn pick(&self, index: usize) -> Result<u64> {
        self.values.iter().rev().nth(index).copied().ok_or(Failure::Bad)
    }

    /// One operation; `Some(distance)` is a jump.
    fn apply<R: Reader<Offset = usize>>(&mut self, operation: Operation<R>) -> Result<Option<i64>> {
        let value = match operation {
            Operation::Nop => return Ok(None),
            Operation::Skip { target } => return Ok(Some(i64::from(target))),
            Operation::Bra { target } => return Ok((self.pop()? != 0).then_some(i64::from(target))),
            Operation::Drop => return self.pop().map(|_| None),
            Operation::Swap => return self.rotate(2),
            Operation::Rot => return self.rotate(3),
            Operation::Pick { index } => self.pick(usize::from(index))?,
            Operation::Deref { size, space: false, .. } => {
                let at = self.pop()?;
                self.load(at, size)?
            }
            Operation::UnsignedConstant { value } => value,
            Operation::SignedConstant { value } => value.cast_unsigned(),
            Operation::Address { address } => address,
            Operation::RegisterOffset { register, offset, .. } => {
                self.registers.dwarf(register.0).ok_or(Failure::Bad)?.wrapping_add_signed(offset)
            }
            Operation::PlusConstant { value } => self.pop()?.wrapping_add(value),
            Operation::Abs => self.pop()?.cast_signed().unsigned_abs(),
            Operation::Neg => self.pop()?.wrapping_neg(),
            Operation::Not => !self.pop()?,
            other => {
                let right = self.pop()?;
                binary(&other, self.pop()?, right)?
            }
        };
        self.push(value).map(|()| None)
    }

    /// The top value goes below the `count - 1` next ones.
    fn rotate(&mut self, count: usize) -> Result<Option<i64>> {
        let start = self.values.len().checked_sub(count).ok_or(Failure::Bad)?;
        if let Some(top) = self.values.get_mut(start..) {
            top.rotate_right(1);
        }
        Ok(None)
    }
}

fn binary<R: Reader>(operation: &Operation<R>, left: u64, right: u64) -> Result<u64> {
    let (signed_left, signed_right) = (left.cast_signed(), right.cast_signed());
    let shift = u32::try_from(right).unwrap_or(u32::MAX);
    Ok(match operation {
        Operation::And => left & right,
        Operation::Or => left | right,
        Operation::Xor => left ^ right,
        Operation::Plus => left.wrapping_add(right),
        Operation::Minus => left.wrapping_sub(right),
        Operation::Mul => left.wrapping_mul(right),
        Operation::Div => signed_left.checked_div(signed_right).ok_or(Failure::Bad)?.cast_unsigned(),
        Operation::Mod => left.checked_rem(right).ok_or(Failure::Bad)?,
        Operation::Shl => left.checked_shl(shift).unwrap_or(0),
        Operation::Shr => left.checked_shr(shift).unwrap_or(0),
        Operation::Shra => signed_left.checked_shr(shift.min(63)).unwrap_or(0).cast_unsigned(),
        Operation::Eq => u64::from(left == right),
        Operation::Ne => u64::from(left != right),
        Operation::Ge => u64::from(signed_left >= signed_right),
        Operation::Gt => u64::from(signed_left > signed_right),
        Operation::Le => u64::from(signed_left <= signed_right),
        Operation::Lt => u64::from(signed_left < signed_right),
        _ => return Err(Failure::Bad),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elfcore::Machine as Isa;

    fn run(code: &[u8], initial: Option<u64>) -> Result<u64> {
        let mut registers = Registers::zero(Isa::X86_64);
        registers.set_sp(Addr(0x1000));
        registers.set_ip(Addr(0x40_100b));
        let image = Image::new(vec![(Addr(0x1000), 7u64.to_le_bytes().to_vec())]);
        evaluate(code, initial, &registers, &image)
    }

    #[test]
    fn the_expression_of_a_plt_stub_is_evaluated() {
        // rsp + 8 + ((rip & 15) >= 11) << 3, as binutils writes it.
        let plt = [0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22];
        assert_eq!(run(&plt, None), Ok(0x1010));
    }

    #[test]
    fn memory_is_only_what_was_kept() {
        assert_eq!(run(&[0x77, 0, 0x06], None), Ok(7));
        assert_eq!(run(&[0x77, 8, 0x06], None), Err(Failure::NoMemory(Addr(0x1008))));
    }

    #[test]
    fn an_endless_expression_ends() {
        assert_eq!(run(&[0x2f, 0xfd, 0xff], Some(1)), Err(Failure::Bad));
        assert_eq!(run(&[0x31, 0x2f, 0xfc, 0xff], None), Err(Failure::Bad));
        assert_eq!(run(&[0x2f, 0x00, 0x80], Some(1)), Err(Failure::Bad));
    }
}
