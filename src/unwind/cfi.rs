//! One row of call frame information: read by gimli, evaluated here.
//!
//! Gives: [`Row::read`] and [`Row::caller`]. Trusts: nothing; a row has at
//! most [`limits::ROW_RULES`] rules, memory is read only through the image.
//!
//! ```text
//! CFA      = register + offset, or an expression
//! register = undefined | same | *(CFA + n) | CFA + n | other register
//!          | *(expression) | expression          (the CFA pushed first)
//! ip       = the return address column; undefined = nobody called
//! sp       = CFA, unless it has a rule (signal frames)
//! ```

use gimli::{
    BaseAddresses, CfaRule, RegisterRule, UnwindContext, UnwindContextStorage, UnwindExpression,
    UnwindOffset, UnwindSection, UnwindTableRow,
};

use super::expression::{self, Failure};
use crate::address::Addr;
use crate::elfcore::{Machine, Registers};
use crate::limits;
use crate::memory::Image;
use crate::module::{Entry, Kind, Slice, debug_frame, eh_frame};

/// gimli's working space, without its heap.
pub(super) struct Storage;

impl UnwindContextStorage<usize> for Storage {
    type Rules = [(gimli::Register, RegisterRule<usize>); limits::ROW_RULES];
    type Stack = [UnwindTableRow<usize, Storage>; 8];
}

/// gimli's working space, reused over rows.
pub(super) type Context = UnwindContext<usize, Storage>;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    Undefined,
    Same,
    At(i64),
    Value(i64),
    Register(u16),
    AtExpression(Box<[u8]>),
    ValueExpression(Box<[u8]>),
    Constant(u64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Cfa {
    Register(u16, i64),
    Expression(Box<[u8]>),
}

/// How to get from a frame to its caller, at one instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The function, as linked.
    pub(super) start: u64,
    /// The first address behind it.
    pub(super) end: u64,
    /// The 'S' augmentation: the caller was interrupted, it did not call.
    pub(super) signal: bool,
    cfa: Cfa,
    return_column: u16,
    rules: Vec<(u16, Rule)>,
}

/// What a row gives. Never stored, so its size does not matter.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The caller's registers.
    Caller(Registers),
    /// Nobody called.
    Outermost,
    /// Memory that was not kept.
    NoMemory(Addr),
    /// It cannot be evaluated.
    Bad,
}

impl Row {
    /// The row for a linked address.
    pub(super) fn read(entry: &Entry, machine: Machine, pc: u64, context: &mut Context) -> Option<Row> {
        let bases = entry.bases();
        match entry.kind {
            Kind::EhFrame => row(&eh_frame(entry.slice(), machine), &bases, entry, machine, pc, context),
            Kind::DebugFrame => {
                row(&debug_frame(entry.slice(), machine), &bases, entry, machine, pc, context)
            }
        }
    }

    /// True when the row needs the value that the frame pointer has now.
    pub(super) fn needs_frame_pointer(&self, machine: Machine) -> bool {
        let number = match machine {
            Machine::X86_64 => 6,
            Machine::Aarch64 => 29,
        };
        match &self.cfa {
            Cfa::Register(register, _) => *register == number,
            Cfa::Expression(_) => true,
        }
    }

    /// The canonical frame address, where it is a register and an offset, and
    /// whether that is the stack pointer.
    pub(super) fn base(&self, registers: &Registers) -> Option<(Addr, bool)> {
        let Cfa::Register(register, offset) = &self.cfa else { return None };
        let sp = match registers.machine() {
            Machine::X86_64 => 7,
            Machine::Aarch64 => 31,
        };
        let cfa = Addr(registers.dwarf(*register)?.wrapping_add_signed(*offset));
        Some((cfa, *register == sp))
    }

    /// The caller of the frame that has these registers.
    pub(super) fn caller(&self, registers: &Registers, image: &Image) -> Outcome {
        match self.evaluate(registers, image) {
            Ok(Some(caller)) => Outcome::Caller(caller),
            Ok(None) => Outcome::Outermost,
            Err(Failure::NoMemory(at)) => Outcome::NoMemory(at),
            Err(Failure::Bad) => Outcome::Bad,
        }
    }

    fn evaluate(&self, registers: &Registers, image: &Image) -> Result<Option<Registers>, Failure> {
        let cfa = match &self.cfa {
            Cfa::Register(register, offset) => {
                registers.dwarf(*register).ok_or(Failure::Bad)?.wrapping_add_signed(*offset)
            }
            Cfa::Expression(code) => expression::evaluate(code, None, registers, image)?,
        };
        let mut caller = *registers;
        caller.set_sp(Addr(cfa));
        let mut ip = registers.dwarf(self.return_column).ok_or(Failure::Bad);
        for (register, rule) in &self.rules {
            let value = value(rule, *register, cfa, registers, image);
            if *register == self.return_column {
                match value {
                    Ok(None) => return Ok(None),
                    Ok(Some(address)) => ip = Ok(address),
                    Err(failure) => ip = Err(failure),
                }
            }
            // Another register that cannot be read keeps its value: it may
            // never be needed.
            if let Ok(Some(value)) = value {
                caller.set_dwarf(*register, value);
            }
        }
        caller.set_ip(strip(registers.machine(), ip?));
        Ok(Some(caller))
    }
}

/// Pointer authentication leaves a signature in the upper bits of a return
/// address; a user address has 48 bits.
fn strip(machine: Machine, ip: u64) -> Addr {
    match machine {
        Machine::X86_64 => Addr(ip),
        Machine::Aarch64 => super::aarch64::strip(ip),
    }
}

fn value(
    rule: &Rule,
    register: u16,
    cfa: u64,
    registers: &Registers,
    image: &Image,
) -> Result<Option<u64>, Failure> {
    let load = |at: u64| image.u64(Addr(at)).ok_or(Failure::NoMemory(Addr(at)));
    Ok(Some(match rule {
        Rule::Undefined => return Ok(None),
        Rule::Same => registers.dwarf(register).ok_or(Failure::Bad)?,
        Rule::At(offset) => load(cfa.wrapping_add_signed(*offset))?,
        Rule::Value(offset) => cfa.wrapping_add_signed(*offset),
        Rule::Register(other) => registers.dwarf(*other).ok_or(Failure::Bad)?,
        Rule::AtExpression(code) => load(expression::evaluate(code, Some(cfa), registers, image)?)?,
        Rule::ValueExpression(code) => expression::evaluate(code, Some(cfa), registers, image)?,
        Rule::Constant(value) => *value,
    }))
}

fn row<'a, S: UnwindSection<Slice<'a>>>(
    section: &S,
    bases: &BaseAddresses,
    entry: &Entry,
    machine: Machine,
    pc: u64,
    context: &mut Context,
) -> Option<Row>
where
    S::Offset: UnwindOffset,
{
    let fde = section.fde_from_offset(bases, S::Offset::from(entry.fde), S::cie_from_offset).ok()?;
    let row = fde.unwind_info_for_address(section, bases, context, pc).ok()?;
    let code = |expression: &UnwindExpression<usize>| {
        let code = expression.get(section).ok()?;
        Some(Box::<[u8]>::from(code.0.slice()))
    };
    let cfa = match row.cfa() {
        CfaRule::RegisterAndOffset { register, offset } => Cfa::Register(register.0, *offset),
        CfaRule::Expression(expression) => Cfa::Expression(code(expression)?),
    };
    let return_column = fde.cie().return_address_register().0;
    // Of a register that is not followed nothing is kept: its rule may be an
    // expression that every frame would have evaluated.
    let none = Registers::zero(machine);
    let followed = |register: u16| register == return_column || none.dwarf(register).is_some();
    let mut rules = Vec::new();
    for (register, rule) in row.registers().filter(|(register, _)| followed(register.0)) {
        rules.push((register.0, translate(rule, &code)?));
    }
    Some(Row {
        start: fde.initial_address(),
        end: fde.end_address(),
        signal: fde.is_signal_trampoline(),
        cfa,
        return_column,
        rules,
    })
}

fn translate(
    rule: &RegisterRule<usize>,
    code: &impl Fn(&UnwindExpression<usize>) -> Option<Box<[u8]>>,
) -> Option<Rule> {
    Some(match rule {
        RegisterRule::Undefined => Rule::Undefined,
        RegisterRule::SameValue => Rule::Same,
        RegisterRule::Offset(offset) => Rule::At(*offset),
        RegisterRule::ValOffset(offset) => Rule::Value(*offset),
        RegisterRule::Register(other) => Rule::Register(other.0),
        RegisterRule::Expression(expression) => Rule::AtExpression(code(expression)?),
        RegisterRule::ValExpression(expression) => Rule::ValueExpression(code(expression)?),
        RegisterRule::Constant(value) => Rule::Constant(*value),
        _ => return None,
    })
}
