//! A register against the instruction that defined it.
//!
//! Gives: [`contradiction`], whether a register that the faulting instruction
//! uses holds what its reaching definition put there. Only definitions within
//! the last basic block count, whose value follows from what is still known:
//! an immediate, another register that has not changed since, an address made
//! of such, a stack slot that nothing has written since. Trusts: nothing; code
//! that jumps through tables has unknown targets and is left alone.

use std::collections::HashSet;

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind,
    Register,
};

use super::decode::name;
use crate::address::Addr;
use crate::elfcore::Registers;

/// Instructions of one function that are decoded.
const MOST: usize = 16_384;

/// What contradicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fault) struct Contradiction {
    /// The register.
    pub(in crate::fault) register: &'static str,
    /// Bits that differ.
    pub(in crate::fault) bits: u32,
    /// The lowest of them.
    pub(in crate::fault) lowest: u32,
}

impl Contradiction {
    /// "bit 41", "17 bits".
    pub(in crate::fault) fn how(&self) -> String {
        if self.bits == 1 { format!("bit {}", self.lowest) } else { format!("{} bits", self.bits) }
    }
}

/// Looks at the `wanted` registers; `code` is the whole function at `start`,
/// `word` reads the stack.
pub(in crate::fault) fn contradiction(
    code: &[u8],
    start: Addr,
    registers: &Registers,
    wanted: &[&'static str],
    word: &dyn Fn(Addr) -> Option<u64>,
) -> Option<Contradiction> {
    let block = block(code, start, registers.ip())?;
    wanted.iter().find_map(|register| {
        let expected = expected(&block, register, registers, word)?;
        let differs = expected ^ registers.by_name(register)?;
        (differs != 0).then(|| Contradiction {
            register,
            bits: differs.count_ones(),
            lowest: differs.trailing_zeros(),
        })
    })
}

/// The instructions of the last basic block before `ip`, in order.
fn block(code: &[u8], start: Addr, ip: Addr) -> Option<Vec<Instruction>> {
    let mut decoder = Decoder::with_ip(64, code, start.0, DecoderOptions::NONE);
    let (mut all, mut targets) = (Vec::new(), HashSet::new());
    while decoder.can_decode() && all.len() < MOST {
        let instruction = decoder.decode();
        if instruction.is_invalid() {
            return None;
        }
        match instruction.flow_control() {
            FlowControl::IndirectBranch => return None,
            FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch => {
                targets.insert(instruction.near_branch_target());
            }
            _ => {}
        }
        all.push(instruction);
    }
    // The whole function was seen, or jumps into the block may be missing.
    if decoder.can_decode() || targets.contains(&ip.0) {
        return None;
    }
    let at = all.iter().position(|instruction| instruction.ip() == ip.0)?;
    let before = all.get(..at)?;
    let plain = |instruction: &Instruction| instruction.flow_control() == FlowControl::Next;
    let mut from = before.len();
    for (index, instruction) in before.iter().enumerate().rev() {
        if !plain(instruction) {
            break;
        }
        from = index;
        if targets.contains(&instruction.ip()) {
            break;
        }
    }
    before.get(from..).map(<[Instruction]>::to_vec)
}

fn writes(instruction: &Instruction, register: &str) -> bool {
    let mut factory = InstructionInfoFactory::new();
    let info = factory.info(instruction);
    info.used_registers().iter().any(|used| {
        name(used.register()) == Some(register)
            && !matches!(used.access(), OpAccess::Read | OpAccess::CondRead | OpAccess::None)
    })
}

fn stores(instruction: &Instruction) -> bool {
    let mut factory = InstructionInfoFactory::new();
    let info = factory.info(instruction);
    info.used_memory()
        .iter()
        .any(|memory| !matches!(memory.access(), OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess))
}

/// The value that the reaching definition gave it, when that is known.
fn expected(
    block: &[Instruction],
    wanted: &str,
    registers: &Registers,
    word: &dyn Fn(Addr) -> Option<u64>,
) -> Option<u64> {
    let at = block.iter().rposition(|instruction| writes(instruction, wanted))?;
    let (definition, since) = (block.get(at)?, block.get(at.checked_add(1)?..)?);
    if definition.op0_kind() != OpKind::Register || name(definition.op0_register()) != Some(wanted) {
        return None;
    }
    let wide = definition.op0_register().size() == 8;
    if !wide && definition.op0_register().size() != 4 {
        return None;
    }
    // What a source still holds: nothing has written it since, nor does the
    // definition itself.
    let still = |source: Register| {
        if source == Register::None {
            return Some(0);
        }
        if source == Register::RIP {
            return Some(definition.next_ip());
        }
        let source = name(source)?;
        let changed = source == wanted || since.iter().any(|later| writes(later, source));
        if changed { None } else { registers.by_name(source) }
    };
    let narrow = |value: u64| if wide { value } else { value & 0xffff_ffff };
    match (definition.mnemonic(), definition.op1_kind()) {
        (Mnemonic::Mov, OpKind::Register) => still(definition.op1_register()).map(narrow),
        (Mnemonic::Mov, OpKind::Memory) => {
            let base = definition.memory_base();
            let slot = [Register::RSP, Register::RBP].contains(&base)
                && definition.memory_index() == Register::None
                && !definition.has_segment_prefix()
                && !since.iter().any(stores);
            let at = still(base).filter(|_| slot)?.wrapping_add(definition.memory_displacement64());
            word(Addr(at)).map(narrow)
        }
        (Mnemonic::Mov, _) => definition.try_immediate(1).ok().map(narrow),
        (Mnemonic::Xor, OpKind::Register) if definition.op0_register() == definition.op1_register() => {
            Some(0)
        }
        (Mnemonic::Lea, OpKind::Memory) => {
            let index = still(definition.memory_index())?;
            let scaled = index.wrapping_mul(u64::from(definition.memory_index_scale()));
            // iced gives a rip-relative address whole.
            let base = match definition.memory_base() {
                Register::RIP => 0,
                base => still(base)?,
            };
            Some(narrow(base.wrapping_add(scaled).wrapping_add(definition.memory_displacement64())))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elfcore::Machine;

    fn look(code: &[u8], at: u64, values: &[(&str, u64)], wanted: &'static str) -> Option<Contradiction> {
        let mut registers = Registers::zero(Machine::X86_64);
        for (name, value) in values {
            registers.set_by_name(name, *value);
        }
        registers.set_ip(Addr(0x1000 + at));
        let word = |at: Addr| (at.0 == 0x7ff0).then_some(0x5555_0000_1230);
        contradiction(code, Addr(0x1000), &registers, &[wanted], &word)
    }

    #[test]
    fn a_copy_that_is_not_equal_contradicts() {
        // mov %rbx,%rax; mov (%rax),%rcx; ret
        let code = [0x48, 0x89, 0xd8, 0x48, 0x8b, 0x08, 0xc3];
        assert_eq!(look(&code, 3, &[("rbx", 0x7000), ("rax", 0x7000)], "rax"), None);
        let flipped = look(&code, 3, &[("rbx", 0x7000), ("rax", 0x7000 ^ 1 << 41)], "rax");
        assert_eq!(flipped, Some(Contradiction { register: "rax", bits: 1, lowest: 41 }));
    }

    #[test]
    fn a_stack_slot_counts_while_nothing_was_stored() {
        // mov -0x10(%rbp),%rax; mov (%rax),%rcx; ret
        let code = [0x48, 0x8b, 0x45, 0xf0, 0x48, 0x8b, 0x08, 0xc3];
        let rbp = ("rbp", 0x8000);
        assert_eq!(look(&code, 4, &[rbp, ("rax", 0x5555_0000_1230)], "rax"), None);
        assert!(look(&code, 4, &[rbp, ("rax", 0x5555_0000_1231)], "rax").is_some());
        // mov -0x10(%rbp),%rax; mov %rcx,-0x20(%rbp); mov (%rax),%rcx; ret
        let stored = [0x48, 0x8b, 0x45, 0xf0, 0x48, 0x89, 0x4d, 0xe0, 0x48, 0x8b, 0x08, 0xc3];
        assert_eq!(look(&stored, 8, &[rbp, ("rax", 1)], "rax"), None);
    }

    #[test]
    fn what_may_have_come_from_elsewhere_is_left_alone() {
        // mov %rbx,%rax; L: mov (%rax),%rcx; jmp L: rax may be another's.
        let jumped = [0x48, 0x89, 0xd8, 0x48, 0x8b, 0x08, 0xeb, 0xfb];
        assert_eq!(look(&jumped, 3, &[("rbx", 1), ("rax", 2)], "rax"), None);
        // mov %rbx,%rax; call; mov (%rax),%rcx; ret
        let called = [0x48, 0x89, 0xd8, 0xe8, 0, 0, 0, 0, 0x48, 0x8b, 0x08, 0xc3];
        assert_eq!(look(&called, 8, &[("rbx", 1), ("rax", 2)], "rax"), None);
        // mov %rbx,%rax; inc %rbx; mov (%rax),%rcx; ret
        let changed = [0x48, 0x89, 0xd8, 0x48, 0xff, 0xc3, 0x48, 0x8b, 0x08, 0xc3];
        assert_eq!(look(&changed, 6, &[("rbx", 1), ("rax", 2)], "rax"), None);
        // jmp *%rdx anywhere: targets are not known.
        let table = [0x48, 0x89, 0xd8, 0x48, 0x8b, 0x08, 0xff, 0xe2];
        assert_eq!(look(&table, 3, &[("rbx", 1), ("rax", 2)], "rax"), None);
    }

    #[test]
    fn immediates_and_addresses_are_definitions() {
        // mov $0x10,%eax; lea 0x8(%rbx,%rcx,4),%rdx; mov (%rdx),%rcx; ret
        let code = [0xb8, 0x10, 0, 0, 0, 0x48, 0x8d, 0x54, 0x8b, 0x08, 0x48, 0x8b, 0x0a, 0xc3];
        let values = [("rbx", 0x1000), ("rcx", 2), ("rdx", 0x1010), ("rax", 0x10)];
        assert_eq!(look(&code, 10, &values, "rdx"), None);
        assert_eq!(look(&code, 10, &values, "rax"), None);
        let wrong = [("rbx", 0x1000), ("rcx", 2), ("rdx", 0x3010), ("rax", 0x11)];
        assert_eq!(look(&code, 10, &wrong, "rdx").map(|c| (c.bits, c.lowest)), Some((1, 13)));
        assert_eq!(look(&code, 10, &wrong, "rax").map(|c| (c.bits, c.lowest)), Some((1, 0)));
    }
}
