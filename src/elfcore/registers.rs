//! General registers as the kernel dumps them: user_regs_struct on x86_64
//! (arch/x86/include/asm/user_64.h), user_pt_regs on aarch64
//! (arch/arm64/include/uapi/asm/ptrace.h). Matches gdb's `info registers`.

use crate::address::Addr;
use crate::bytes::Bytes;

/// A machine whose registers are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// EM_X86_64.
    X86_64,
    /// EM_AARCH64.
    Aarch64,
}

impl Machine {
    /// How many registers a PRSTATUS of this machine holds.
    pub const fn register_count(self) -> usize {
        match self {
            Machine::X86_64 => 27,
            Machine::Aarch64 => 34,
        }
    }

    /// True for an address that a pointer of 48 bits can hold: 47 of them and
    /// their sign on x86_64, either half's 48 on aarch64.
    pub const fn is_canonical(self, address: Addr) -> bool {
        match self {
            Machine::X86_64 => matches!(address.0 >> 47, 0 | 0x1_ffff),
            Machine::Aarch64 => matches!(address.0 >> 48, 0 | 0xffff),
        }
    }

    /// Names in the kernel's order.
    pub const fn register_names(self) -> &'static [&'static str] {
        match self {
            Machine::X86_64 => &[
                "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx",
                "rsi", "rdi", "orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds",
                "es", "fs", "gs",
            ],
            Machine::Aarch64 => &[
                "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",
                "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26",
                "x27", "x28", "x29", "x30", "sp", "pc", "pstate",
            ],
        }
    }
}

const MOST: usize = 34;

/// x86_64: DWARF register number (System V psABI, figure 3.36) → index in
/// user_regs_struct. 16 is the return address, which is rip.
const X86_64_DWARF: [usize; 17] = [10, 12, 11, 5, 13, 14, 4, 19, 9, 8, 7, 6, 3, 2, 1, 0, 16];

/// The general registers of one thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    machine: Machine,
    values: [u64; MOST],
}

impl Registers {
    /// All zero.
    pub fn zero(machine: Machine) -> Registers {
        Registers { machine, values: [0; MOST] }
    }

    /// From the pr_reg of a PRSTATUS; `None` when it is too short.
    pub fn parse(machine: Machine, mut bytes: Bytes<'_>) -> Option<Registers> {
        let mut registers = Registers::zero(machine);
        for value in registers.values.iter_mut().take(machine.register_count()) {
            *value = bytes.take_u64()?;
        }
        Some(registers)
    }

    /// The machine they belong to.
    pub fn machine(&self) -> Machine {
        self.machine
    }

    /// Values in the kernel's order.
    pub fn values(&self) -> &[u64] {
        self.values.get(..self.machine.register_count()).unwrap_or(&[])
    }

    /// By the kernel's name ("rax", "x0").
    pub fn by_name(&self, name: &str) -> Option<u64> {
        let index = self.machine.register_names().iter().position(|n| *n == name)?;
        self.values.get(index).copied()
    }

    /// Sets a register by the kernel's name; an unknown name changes nothing.
    pub fn set_by_name(&mut self, name: &str, value: u64) {
        let index = self.machine.register_names().iter().position(|n| *n == name);
        if let Some(slot) = index.and_then(|i| self.values.get_mut(i)) {
            *slot = value;
        }
    }

    fn dwarf_index(&self, register: u16) -> Option<usize> {
        let register = usize::from(register);
        match self.machine {
            Machine::X86_64 => X86_64_DWARF.get(register).copied(),
            // x0 … x30, sp: the same order; 32 is no register but the pc's
            // place in the kernel's structure.
            Machine::Aarch64 => (register < 32).then_some(register),
        }
    }

    /// By DWARF number.
    pub fn dwarf(&self, register: u16) -> Option<u64> {
        self.values.get(self.dwarf_index(register)?).copied()
    }

    /// Sets by DWARF number; an unknown number changes nothing.
    pub fn set_dwarf(&mut self, register: u16, value: u64) {
        if let Some(slot) = self.dwarf_index(register).and_then(|i| self.values.get_mut(i)) {
            *slot = value;
        }
    }

    fn at(&self, x86_64: usize, aarch64: usize) -> Addr {
        let index = match self.machine {
            Machine::X86_64 => x86_64,
            Machine::Aarch64 => aarch64,
        };
        Addr(self.values.get(index).copied().unwrap_or(0))
    }

    fn set_at(&mut self, x86_64: usize, aarch64: usize, value: Addr) {
        let index = match self.machine {
            Machine::X86_64 => x86_64,
            Machine::Aarch64 => aarch64,
        };
        if let Some(slot) = self.values.get_mut(index) {
            *slot = value.0;
        }
    }

    /// Instruction pointer.
    pub fn ip(&self) -> Addr {
        self.at(16, 32)
    }

    /// Stack pointer.
    pub fn sp(&self) -> Addr {
        self.at(19, 31)
    }

    /// Frame pointer (rbp, x29).
    pub fn fp(&self) -> Addr {
        self.at(4, 29)
    }

    /// Link register; zero on x86_64, which has none.
    pub fn lr(&self) -> Addr {
        match self.machine {
            Machine::X86_64 => Addr(0),
            Machine::Aarch64 => self.at(0, 30),
        }
    }

    /// Thread pointer (fs_base); PRSTATUS of aarch64 does not hold it.
    pub fn thread_pointer(&self) -> Option<Addr> {
        match self.machine {
            Machine::X86_64 => self.values.get(21).map(|v| Addr(*v)),
            Machine::Aarch64 => None,
        }
    }

    /// Sets the instruction pointer.
    pub fn set_ip(&mut self, value: Addr) {
        self.set_at(16, 32, value);
    }

    /// Sets the stack pointer.
    pub fn set_sp(&mut self, value: Addr) {
        self.set_at(19, 31, value);
    }

    /// Sets the frame pointer.
    pub fn set_fp(&mut self, value: Addr) {
        self.set_at(4, 29, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_addresses_are_the_two_halves_of_each_machine() {
        let canonical = |machine: Machine, at: u64| machine.is_canonical(Addr(at));
        assert!(
            canonical(Machine::X86_64, 0x7fff_ffff_ffff) && canonical(Machine::Aarch64, 0xffff_ffff_ffff)
        );
        assert!(!canonical(Machine::X86_64, 0x8000_0000_0000));
        assert!(!canonical(Machine::Aarch64, 0x1_0000_0000_0000));
        assert!(canonical(Machine::X86_64, 0xffff_8000_0000_0000));
    }

    #[test]
    fn dwarf_numbers_follow_the_psabi() {
        let mut registers = Registers::zero(Machine::X86_64);
        for (index, name) in Machine::X86_64.register_names().iter().enumerate() {
            registers.set_by_name(name, index as u64 + 100);
        }
        let order = [
            "rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13",
            "r14", "r15", "rip",
        ];
        for (number, name) in order.iter().enumerate() {
            assert_eq!(registers.dwarf(number as u16), registers.by_name(name), "{name}");
        }
        assert_eq!(registers.ip().0, registers.by_name("rip").unwrap_or(0));
        assert_eq!(registers.sp().0, registers.by_name("rsp").unwrap_or(0));
    }
}
