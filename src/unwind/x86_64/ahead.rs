//! The instructions ahead: what the function itself would do to return.
//!
//! Gives: [`ahead`], the slot of the return address and the registers as they
//! will be then, for code without call frame information, with or without a
//! frame pointer, in the middle of a prologue or an epilogue or a PLT stub.
//! Trusts: nothing; at most [`limits::INSTRUCTIONS_AHEAD`] are decoded.
//!
//! From ip on, straight ahead and through jumps, with one copy of the stack
//! pointer: push, pop, `sub`/`add rsp, n`, `lea rsp`, `leave`, `mov rsp, rbp`
//! move it, a call leaves it, `ret` tells the slot. A path that ends in a
//! trap, in padding, or at a slot that nobody accepts is left for the branch
//! that was not taken.

use std::collections::HashMap;

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind,
    Register,
};

use crate::address::Addr;
use crate::elfcore::Registers;
use crate::limits;
use crate::memory::Image;

/// Branches that are remembered for later.
const BRANCHES: usize = 32;
/// Bytes of code read at once.
const CHUNK: usize = 128;

#[derive(Clone)]
struct Path {
    ip: Addr,
    sp: Option<u64>,
    registers: Registers,
    pushed: HashMap<u64, u64>,
    after_call: bool,
}

enum Next {
    On,
    Jump(Addr),
    Return,
    Dead,
}

/// Follows the code from the ip of `registers`. Each slot that a path ends at
/// is offered to `accept` with the registers of the caller (sp behind the
/// slot, ip what the slot holds); the first that is accepted is the result.
pub(in crate::unwind) fn ahead(
    registers: &Registers,
    image: &Image,
    code: &dyn Fn(Addr, usize) -> Option<Vec<u8>>,
    accept: &mut dyn FnMut(&Registers) -> bool,
) -> Option<Registers> {
    let sp = Some(registers.sp().0);
    let start =
        Path { ip: registers.ip(), sp, registers: *registers, pushed: HashMap::new(), after_call: false };
    let mut paths = vec![start];
    let mut seen = HashMap::new();
    let mut left = limits::INSTRUCTIONS_AHEAD;
    let mut factory = InstructionInfoFactory::new();
    while let Some(mut path) = paths.pop() {
        while let Some(bytes) = chunk(path.ip, code) {
            let mut decoder = Decoder::with_ip(64, &bytes, path.ip.0, DecoderOptions::NONE);
            let mut jumped = false;
            while decoder.can_decode()
                && (decoder.position() == 0 || bytes.len().saturating_sub(decoder.position()) >= 15)
            {
                left = left.checked_sub(1)?;
                let instruction = decoder.decode();
                // A place reached twice says nothing new.
                if seen.insert(instruction.ip(), path.sp) == Some(path.sp) || instruction.is_invalid() {
                    jumped = true;
                    path.ip = Addr(0);
                    break;
                }
                if instruction.flow_control() == FlowControl::ConditionalBranch && paths.len() < BRANCHES {
                    paths.push(Path { ip: Addr(instruction.near_branch_target()), ..path.clone() });
                }
                match path.step(&instruction, image, &mut factory) {
                    Next::On => path.ip = Addr(instruction.next_ip()),
                    Next::Jump(target) => {
                        path.ip = target;
                        jumped = true;
                        break;
                    }
                    Next::Return => {
                        if let Some(caller) = path.caller(image)
                            && accept(&caller)
                        {
                            return Some(caller);
                        }
                        path.ip = Addr(0);
                        jumped = true;
                        break;
                    }
                    Next::Dead => {
                        path.ip = Addr(0);
                        jumped = true;
                        break;
                    }
                }
            }
            if jumped && path.ip == Addr(0) {
                break;
            }
        }
    }
    None
}

/// As much code as there is, up to [`CHUNK`].
fn chunk(ip: Addr, code: &dyn Fn(Addr, usize) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    if ip == Addr(0) {
        return None;
    }
    [CHUNK, 64, 32, 16, 8, 4, 2, 1].iter().find_map(|length| code(ip, *length))
}

/// System V psABI, figure 3.36.
fn dwarf(register: Register) -> Option<u16> {
    let order = [
        Register::RAX,
        Register::RDX,
        Register::RCX,
        Register::RBX,
        Register::RSI,
        Register::RDI,
        Register::RBP,
        Register::RSP,
        Register::R8,
        Register::R9,
        Register::R10,
        Register::R11,
        Register::R12,
        Register::R13,
        Register::R14,
        Register::R15,
    ];
    order.iter().position(|r| *r == register).and_then(|n| u16::try_from(n).ok())
}

impl Path {
    fn caller(&self, image: &Image) -> Option<Registers> {
        let slot = self.sp?;
        let mut caller = self.registers;
        caller.set_ip(Addr(self.load(slot, image)?));
        caller.set_sp(Addr(slot).add(8)?);
        Some(caller)
    }

    fn load(&self, at: u64, image: &Image) -> Option<u64> {
        self.pushed.get(&at).copied().or_else(|| image.u64(Addr(at)))
    }

    fn move_sp(&mut self, by: i64) {
        self.sp = self.sp.and_then(|sp| sp.checked_add_signed(by));
    }

    fn step(
        &mut self,
        instruction: &Instruction,
        image: &Image,
        factory: &mut InstructionInfoFactory,
    ) -> Next {
        // Nothing returns from a call that padding or a new function follows.
        let padding = matches!(instruction.mnemonic(), Mnemonic::Nop | Mnemonic::Int3 | Mnemonic::Endbr64);
        if self.after_call && padding {
            return Next::Dead;
        }
        self.after_call = false;
        match instruction.flow_control() {
            FlowControl::Return => return Next::Return,
            FlowControl::UnconditionalBranch => return Next::Jump(Addr(instruction.near_branch_target())),
            // Through memory: a PLT stub or a tail call, at the stack
            // pointer of the function's entry. Through a register: a switch.
            FlowControl::IndirectBranch => {
                return if instruction.is_ip_rel_memory_operand() { Next::Return } else { Next::Dead };
            }
            FlowControl::Call | FlowControl::IndirectCall => {
                self.after_call = true;
                return Next::On;
            }
            FlowControl::Exception | FlowControl::Interrupt if instruction.mnemonic() != Mnemonic::Int => {
                return Next::Dead;
            }
            _ => {}
        }
        self.effect(instruction, image, factory);
        Next::On
    }

    fn effect(&mut self, instruction: &Instruction, image: &Image, factory: &mut InstructionInfoFactory) {
        let (first, second) = (instruction.op0_register(), instruction.op1_register());
        match instruction.mnemonic() {
            Mnemonic::Push => {
                self.move_sp(-8);
                let value = dwarf(first).and_then(|n| self.registers.dwarf(n));
                if let (Some(sp), Some(value)) = (self.sp, value) {
                    self.pushed.insert(sp, value);
                }
            }
            Mnemonic::Pop => {
                self.set_loaded(first, self.sp, image);
                self.move_sp(8);
            }
            Mnemonic::Leave => {
                self.sp = Some(self.registers.fp().0);
                self.set_loaded(Register::RBP, self.sp, image);
                self.move_sp(8);
            }
            Mnemonic::Sub | Mnemonic::Add if first == Register::RSP => {
                let by = instruction.try_immediate(1).ok().map(u64::cast_signed);
                let by =
                    if instruction.mnemonic() == Mnemonic::Sub { by.and_then(i64::checked_neg) } else { by };
                self.sp = self.sp.zip(by).and_then(|(sp, by)| sp.checked_add_signed(by));
            }
            Mnemonic::Lea if first == Register::RSP => self.sp = self.address(instruction),
            Mnemonic::Mov if first == Register::RSP => {
                self.sp = (second == Register::RBP).then(|| self.registers.fp().0);
            }
            Mnemonic::Mov if first == Register::RBP && second == Register::RSP => {
                if let Some(sp) = self.sp {
                    self.registers.set_fp(Addr(sp));
                }
            }
            Mnemonic::Mov if instruction.op1_kind() == OpKind::Memory && dwarf(first).is_some() => {
                let at = self.address(instruction);
                self.set_loaded(first, at, image);
            }
            _ => self.other(instruction, factory),
        }
    }

    /// rsp or rbp plus a displacement.
    fn address(&self, instruction: &Instruction) -> Option<u64> {
        if instruction.memory_index() != Register::None {
            return None;
        }
        let base = match instruction.memory_base() {
            Register::RSP => self.sp?,
            Register::RBP => self.registers.fp().0,
            _ => return None,
        };
        Some(base.wrapping_add(instruction.memory_displacement64()))
    }

    fn set_loaded(&mut self, register: Register, at: Option<u64>, image: &Image) {
        if let (Some(number), Some(value)) = (dwarf(register), at.and_then(|at| self.load(at, image))) {
            self.registers.set_dwarf(number, value);
        }
    }

    /// Anything else: the stack pointer is known as long as nobody writes it.
    fn other(&mut self, instruction: &Instruction, factory: &mut InstructionInfoFactory) {
        if instruction.is_stack_instruction() {
            return self.move_sp(i64::from(instruction.stack_pointer_increment()));
        }
        let writes = |access| {
            matches!(
                access,
                OpAccess::Write | OpAccess::ReadWrite | OpAccess::CondWrite | OpAccess::ReadCondWrite
            )
        };
        let used = factory.info(instruction).used_registers();
        if used.iter().any(|u| u.register().full_register() == Register::RSP && writes(u.access())) {
            self.sp = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elfcore::Machine;

    fn run(code: &'static [u8], sp: u64, fp: u64, stack: &[u64]) -> Option<(u64, u64, u64)> {
        let mut registers = Registers::zero(Machine::X86_64);
        registers.set_ip(Addr(0x1000));
        registers.set_sp(Addr(sp));
        registers.set_fp(Addr(fp));
        let image = Image::new(vec![(Addr(0x7000), stack.iter().flat_map(|w| w.to_le_bytes()).collect())]);
        let read = |at: Addr, length: usize| {
            let start = at.offset_from(Addr(0x1000))? as usize;
            code.get(start..start + length).map(<[u8]>::to_vec)
        };
        let found = ahead(&registers, &image, &read, &mut |caller| caller.ip().0 == 0xaa)?;
        Some((found.ip().0, found.sp().0, found.fp().0))
    }

    #[test]
    fn a_function_that_only_moves_rsp_is_left_by_its_own_epilogue() {
        // mov eax,[rdi]; add rsp,16; pop rbx; ret
        let code = &[0x8b, 0x07, 0x48, 0x83, 0xc4, 16, 0x5b, 0xc3];
        assert_eq!(run(code, 0x7000, 5, &[1, 2, 3, 0xaa, 4]), Some((0xaa, 0x7020, 5)));
    }

    #[test]
    fn a_frame_that_is_not_yet_built_is_the_callers() {
        // push rbp; mov rbp,rsp; sub rsp,32; leave; ret
        let code = &[0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 32, 0xc9, 0xc3];
        assert_eq!(run(code, 0x7008, 0x99, &[7, 0xaa, 3]), Some((0xaa, 0x7010, 0x99)));
    }

    #[test]
    fn a_path_that_nobody_accepts_leaves_the_other_branch() {
        // je +3; pop rax; ret; nop; add rsp,16; ret
        let code = &[0x74, 3, 0x58, 0xc3, 0x90, 0x48, 0x83, 0xc4, 16, 0xc3];
        assert_eq!(run(code, 0x7000, 0, &[1, 2, 0xaa]), Some((0xaa, 0x7018, 0)));
        // jmp to itself ends
        assert_eq!(run(&[0xeb, 0xfe], 0x7000, 0, &[1]), None);
    }
}
