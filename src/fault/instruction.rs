//! What the instruction at rip wanted, in words of no one machine.

use crate::address::Addr;

/// What was done to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// A load.
    Read,
    /// A store, also one that reads first.
    Write,
    /// An instruction fetch.
    Execute,
}

impl Direction {
    /// "read", "write", "execute".
    pub fn name(self) -> &'static str {
        match self {
            Direction::Read => "read",
            Direction::Write => "write",
            Direction::Execute => "execute",
        }
    }
}

/// Kinds of instructions, as far as a crash tells them apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Any that only computes or moves.
    #[default]
    Other,
    /// A return.
    Return,
    /// A call to a fixed place.
    Call,
    /// A call through a register or memory.
    IndirectCall,
    /// A jump to a fixed place.
    Jump,
    /// A jump through a register or memory.
    IndirectJump,
    /// Pushes or pops.
    Stack,
    /// An integer division.
    Division,
    /// A string instruction, with or without rep.
    String,
    /// A system call.
    System,
    /// A trap that a compiler or debugger put there (ud2, int3, brk).
    Trap,
    /// What only a kernel may execute.
    Privileged,
    /// No instruction.
    Invalid,
}

impl Kind {
    /// As the record spells it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Other => "other",
            Kind::Return => "ret",
            Kind::Call => "call",
            Kind::IndirectCall => "icall",
            Kind::Jump => "jump",
            Kind::IndirectJump => "ijump",
            Kind::Stack => "stack",
            Kind::Division => "div",
            Kind::String => "string",
            Kind::System => "syscall",
            Kind::Trap => "trap",
            Kind::Privileged => "priv",
            Kind::Invalid => "invalid",
        }
    }
}

/// A memory operand, written or implied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operand {
    /// Its effective address.
    pub address: Addr,
    /// Bytes; for what may touch any number (rep, xsave) as many as it could.
    pub size: u64,
    /// It is stored to.
    pub written: bool,
    /// It must be aligned to its size.
    pub aligned: bool,
    /// The base register, by the kernel's name.
    pub base: Option<&'static str>,
    /// The index register.
    pub index: Option<&'static str>,
    /// What the base is multiplied with when it stands for the index.
    pub scale: u64,
}

impl Operand {
    /// True when an access to this operand can fault at `address`.
    pub(super) fn covers(&self, address: Addr) -> bool {
        address.offset_from(self.address).is_some_and(|offset| offset < self.size.max(1))
    }

    pub(super) fn direction(&self) -> Direction {
        if self.written { Direction::Write } else { Direction::Read }
    }
}

/// A decoded instruction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instruction {
    /// What it is.
    pub kind: Kind,
    /// Bytes.
    pub length: u64,
    /// What it accesses.
    pub operands: Vec<Operand>,
    /// Some of what it accesses is not in `operands` (gathers, far jumps).
    pub unclear: bool,
    /// Every 64-bit processor of this machine has it.
    pub baseline: bool,
    /// The processor that this runs on has it.
    pub detected: bool,
    /// Where it jumps, when that is no fixed place.
    pub target: Target,
    /// Of a division: the divisor, where it is known, and whether the quotient
    /// fits.
    pub division: Option<Division>,
}

/// Where an indirect call, jump or return goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// It is none of them.
    #[default]
    None,
    /// To what this register holds.
    Register(&'static str),
    /// To what this word of memory holds.
    Memory(Addr),
}

/// What a division met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Division {
    /// The divisor is zero.
    ByZero,
    /// The quotient does not fit.
    Overflow,
    /// Nothing is wrong with it.
    Fine,
    /// The divisor is not known.
    Unknown,
}
