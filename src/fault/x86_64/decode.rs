//! x86_64 instructions by iced: kinds, operands, effective addresses.
//!
//! Trusts: nothing; bytes that do not decode are [`Kind::Invalid`].

use iced_x86::{
    CpuidFeature, Decoder, DecoderOptions, FlowControl, Instruction as Decoded, InstructionInfoFactory,
    Mnemonic, OpAccess, OpKind, Register, UsedMemory,
};

use super::divide;
use crate::address::Addr;
use crate::elfcore::Registers;
use crate::fault::instruction::{Instruction, Kind, Operand, Target};

/// What instructions of unknown size (xsave, fxsave) may touch.
const LARGE: u64 = 16 << 10;
/// The longest run of a rep instruction that is believed.
const LONGEST_RUN: u64 = 1 << 32;

/// Decodes the instruction that these bytes begin with, at rip.
pub(in crate::fault) fn decode(bytes: &[u8], registers: &Registers) -> Option<Instruction> {
    let mut decoder = Decoder::with_ip(64, bytes, registers.ip().0, DecoderOptions::NONE);
    let decoded = decoder.decode();
    if decoded.is_invalid() {
        return Some(Instruction { kind: Kind::Invalid, ..Instruction::default() });
    }
    let mut factory = InstructionInfoFactory::new();
    let info = factory.info(&decoded);
    let mut unclear = matches!(decoded.mnemonic(), Mnemonic::Enter | Mnemonic::Leave) && bytes.is_empty();
    let mut operands = Vec::new();
    for memory in info.used_memory() {
        match operand(&decoded, memory, registers) {
            Some(operand) => operands.push(operand),
            None => unclear = true,
        }
    }
    let kind = kind(&decoded);
    Some(Instruction {
        kind,
        length: decoded.len() as u64,
        target: target(&decoded, kind, &operands),
        operands,
        unclear: unclear || is_far(&decoded),
        baseline: decoded.cpuid_features().iter().all(is_baseline) && !decoded.has_lock_prefix(),
        detected: decoded.cpuid_features().iter().all(is_detected) && !decoded.has_lock_prefix(),
        division: divide::look(&decoded, registers),
    })
}

fn target(decoded: &Decoded, kind: Kind, operands: &[Operand]) -> Target {
    if !matches!(kind, Kind::Return | Kind::IndirectCall | Kind::IndirectJump) {
        return Target::None;
    }
    if kind != Kind::Return && decoded.op0_kind() == OpKind::Register {
        return name(decoded.op0_register()).map_or(Target::None, Target::Register);
    }
    // A call's push is the other operand.
    let read = operands.iter().find(|operand| !operand.written);
    read.map_or(Target::None, |operand| Target::Memory(operand.address))
}

/// True for the jump through memory that a stub of the procedure linkage table
/// is, behind an endbr64.
pub(in crate::fault) fn is_stub(bytes: &[u8], at: Addr) -> bool {
    let mut decoder = Decoder::with_ip(64, bytes, at.0, DecoderOptions::NONE);
    let mut next = || decoder.decode();
    let first = next();
    let jump = if first.mnemonic() == Mnemonic::Endbr64 { next() } else { first };
    jump.flow_control() == FlowControl::IndirectBranch && jump.op0_kind() == OpKind::Memory
}

/// True for a thunk that jumps by a return (retpoline): a call over a loop of
/// pause or lfence.
pub(in crate::fault) fn is_thunk(bytes: &[u8], at: Addr) -> bool {
    let mut decoder = Decoder::with_ip(64, bytes, at.0, DecoderOptions::NONE);
    let (call, next) = (decoder.decode(), decoder.decode());
    call.flow_control() == FlowControl::Call && matches!(next.mnemonic(), Mnemonic::Pause | Mnemonic::Lfence)
}

fn is_far(decoded: &Decoded) -> bool {
    use Mnemonic::*;
    let far = [Iret, Iretd, Iretq, Retf, Sysret, Sysretq, Sysexit, Sysexitq, Int, Int1, Into];
    decoded.is_jmp_far() || decoded.is_call_far() || far.contains(&decoded.mnemonic())
}

fn kind(decoded: &Decoded) -> Kind {
    use Mnemonic::*;
    match decoded.mnemonic() {
        Ud0 | Ud1 | Ud2 | Int3 | Int1 => return Kind::Trap,
        Div | Idiv => return Kind::Division,
        Syscall | Sysenter | Int => return Kind::System,
        _ => {}
    }
    if decoded.is_privileged()
        || matches!(decoded.mnemonic(), In | Insb | Insw | Insd | Out | Outsb | Outsw | Outsd)
    {
        return Kind::Privileged;
    }
    match decoded.flow_control() {
        FlowControl::Return => Kind::Return,
        FlowControl::Call => Kind::Call,
        FlowControl::IndirectCall => Kind::IndirectCall,
        FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch => Kind::Jump,
        FlowControl::IndirectBranch => Kind::IndirectJump,
        _ if decoded.is_string_instruction() => Kind::String,
        _ if decoded.is_stack_instruction() => Kind::Stack,
        _ => Kind::Other,
    }
}

/// What x86-64 has from its first processor on.
fn is_baseline(feature: &CpuidFeature) -> bool {
    use CpuidFeature::*;
    matches!(
        feature,
        INTEL8086
            | INTEL186
            | INTEL286
            | INTEL386
            | INTEL486
            | X64
            | CMOV
            | CPUID
            | CX8
            | FPU
            | FPU287
            | FPU387
            | FXSR
            | MMX
            | MULTIBYTENOP
            | PAUSE
            | SSE
            | SSE2
            | SYSCALL
            | TSC
            | INTEL8086_ONLY
    )
}

/// What this processor says that it has, and its kernel lets a process use.
#[cfg(target_arch = "x86_64")]
fn is_detected(feature: &CpuidFeature) -> bool {
    use std::arch::is_x86_feature_detected as has;
    match feature {
        CpuidFeature::SSE3 => has!("sse3"),
        CpuidFeature::SSSE3 => has!("ssse3"),
        CpuidFeature::SSE4_1 => has!("sse4.1"),
        CpuidFeature::SSE4_2 => has!("sse4.2"),
        CpuidFeature::POPCNT => has!("popcnt"),
        CpuidFeature::LZCNT => has!("lzcnt"),
        CpuidFeature::BMI1 => has!("bmi1"),
        CpuidFeature::BMI2 => has!("bmi2"),
        CpuidFeature::CMPXCHG16B => has!("cmpxchg16b"),
        CpuidFeature::MOVBE => has!("movbe"),
        CpuidFeature::AES => has!("aes"),
        CpuidFeature::PCLMULQDQ => has!("pclmulqdq"),
        CpuidFeature::ADX => has!("adx"),
        CpuidFeature::RDRAND => has!("rdrand"),
        CpuidFeature::RDSEED => has!("rdseed"),
        CpuidFeature::F16C => has!("f16c"),
        CpuidFeature::FMA => has!("fma"),
        CpuidFeature::AVX => has!("avx"),
        CpuidFeature::AVX2 => has!("avx2"),
        CpuidFeature::SHA => has!("sha"),
        CpuidFeature::AVX512F => has!("avx512f"),
        CpuidFeature::AVX512VL => has!("avx512vl"),
        CpuidFeature::AVX512BW => has!("avx512bw"),
        CpuidFeature::AVX512DQ => has!("avx512dq"),
        CpuidFeature::AVX512CD => has!("avx512cd"),
        feature => is_baseline(feature),
    }
}

/// A core of another machine: nothing is known of its processor.
#[cfg(not(target_arch = "x86_64"))]
fn is_detected(feature: &CpuidFeature) -> bool {
    is_baseline(feature)
}

fn operand(decoded: &Decoded, memory: &UsedMemory, registers: &Registers) -> Option<Operand> {
    if memory.access() == OpAccess::NoMemAccess || memory.vsib_size() != 0 {
        return None;
    }
    let value = |register: Register| -> Option<u64> {
        match register {
            Register::None => Some(0),
            Register::FS => registers.by_name("fs_base"),
            Register::GS => registers.by_name("gs_base"),
            Register::CS | Register::DS | Register::ES | Register::SS => Some(0),
            Register::RIP => Some(decoded.next_ip()),
            register => registers.by_name(name(register)?),
        }
    };
    let (base, index) = (memory.base(), memory.index());
    let scale = u64::from(memory.scale());
    let mut address =
        value(base)?.wrapping_add(value(index)?.wrapping_mul(scale)).wrapping_add(memory.displacement());
    if memory.address_size() == iced_x86::CodeSize::Code32 {
        address &= 0xffff_ffff;
    }
    address = address.wrapping_add(value(memory.segment())?);
    // A repeated one is of unknown size; its element's is the instruction's.
    let sizes = [memory.memory_size().size(), decoded.memory_size().size()];
    let size = sizes.into_iter().find(|size| *size > 0).unwrap_or(0) as u64;
    let one = if size == 0 { LARGE } else { size };
    let repeated = decoded.has_rep_prefix() || decoded.has_repne_prefix();
    let repeated = repeated && decoded.is_string_instruction();
    let (address, size) = if repeated { run(Addr(address), one, registers) } else { (Addr(address), one) };
    let written = matches!(
        memory.access(),
        OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
    );
    Some(Operand {
        address,
        size,
        written,
        aligned: must_be_aligned(decoded, size),
        base: name(base),
        index: name(index),
        scale,
    })
}

/// All that a repeated string instruction may still touch.
fn run(address: Addr, one: u64, registers: &Registers) -> (Addr, u64) {
    const DIRECTION: u64 = 1 << 10;
    let count = registers.by_name("rcx").unwrap_or(0);
    let length = count.saturating_mul(one).clamp(one, LONGEST_RUN);
    let down = registers.by_name("eflags").is_some_and(|flags| flags & DIRECTION != 0);
    if !down {
        return (address, length);
    }
    let below = length.saturating_sub(one);
    (Addr(address.0.saturating_sub(below)), length)
}

/// Legacy SSE wants its 16 bytes aligned, but for the moves that say so
/// (Intel SDM volume 1, 4.1.1).
fn must_be_aligned(decoded: &Decoded, size: u64) -> bool {
    use Mnemonic::*;
    let sse = size == 16
        && decoded.cpuid_features().iter().any(|feature| {
            matches!(
                feature,
                CpuidFeature::SSE
                    | CpuidFeature::SSE2
                    | CpuidFeature::SSE3
                    | CpuidFeature::SSSE3
                    | CpuidFeature::SSE4_1
                    | CpuidFeature::SSE4_2
                    | CpuidFeature::AES
            )
        });
    let free = [Movups, Movupd, Movdqu, Lddqu, Pcmpestri, Pcmpestrm, Pcmpistri, Pcmpistrm];
    let asked = [Vmovaps, Vmovapd, Vmovdqa, Vmovdqa32, Vmovdqa64, Vmovntdq, Vmovntps, Vmovntpd, Vmovntdqa];
    (sse && !free.contains(&decoded.mnemonic())) || asked.contains(&decoded.mnemonic())
}

/// The kernel's name of the 64-bit register that this one is part of.
pub(super) fn name(register: Register) -> Option<&'static str> {
    Some(match register.full_register() {
        Register::RAX => "rax",
        Register::RBX => "rbx",
        Register::RCX => "rcx",
        Register::RDX => "rdx",
        Register::RSI => "rsi",
        Register::RDI => "rdi",
        Register::RBP => "rbp",
        Register::RSP => "rsp",
        Register::R8 => "r8",
        Register::R9 => "r9",
        Register::R10 => "r10",
        Register::R11 => "r11",
        Register::R12 => "r12",
        Register::R13 => "r13",
        Register::R14 => "r14",
        Register::R15 => "r15",
        _ => return None,
    })
}

/// True when decoding from `start` meets an instruction at `at`; `None` when
/// it meets something that is none.
pub(in crate::fault) fn boundary(bytes: &[u8], start: Addr, at: Addr) -> Option<bool> {
    let mut decoder = Decoder::with_ip(64, bytes, start.0, DecoderOptions::NONE);
    while decoder.can_decode() {
        match decoder.ip() {
            ip if ip == at.0 => return Some(true),
            ip if ip > at.0 => return Some(false),
            _ => {}
        }
        if decoder.decode().is_invalid() {
            return None;
        }
    }
    (decoder.ip() == at.0).then_some(true)
}

/// True when one of the last instructions before `at` gave rsp a value that is
/// not its neighbour: from memory or another register, as setcontext, longjmp
/// and switches of coroutines do. None when `at` is no instruction's beginning.
pub(in crate::fault) fn has_switched(bytes: &[u8], start: Addr, at: Addr) -> Option<bool> {
    let mut decoder = Decoder::with_ip(64, bytes, start.0, DecoderOptions::NONE);
    let mut since: Option<u32> = None;
    while decoder.can_decode() && decoder.ip() < at.0 {
        let instruction = decoder.decode();
        if instruction.is_invalid() {
            return None;
        }
        let moved = instruction.mnemonic() == Mnemonic::Mov
            && instruction.op0_kind() == OpKind::Register
            && instruction.op0_register() == Register::RSP
            && (instruction.op1_kind() == OpKind::Memory || instruction.op1_register() != Register::RBP);
        since = if moved {
            Some(0)
        } else if instruction.flow_control() == FlowControl::Next {
            since.and_then(|n| n.checked_add(1))
        } else {
            None
        };
    }
    (decoder.ip() == at.0).then_some(since.is_some_and(|n| n < SINCE))
}

/// Instructions after the switch in which the old stack may still be read.
const SINCE: u32 = 12;

/// The register that a call whose bytes end at `end` goes through, or None for
/// a call through memory or to a fixed place.
pub(in crate::fault) fn target_register(bytes: &[u8], end: Addr) -> Option<&'static str> {
    [2usize, 3].iter().find_map(|length| {
        let code = bytes.get(bytes.len().checked_sub(*length)?..)?;
        let ip = end.sub(*length as u64)?;
        let call = Decoder::with_ip(64, code, ip.0, DecoderOptions::NONE).decode();
        let through = call.flow_control() == FlowControl::IndirectCall && call.len() == *length;
        (through && call.op0_kind() == OpKind::Register).then(|| name(call.op0_register()))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elfcore::Machine;
    use crate::fault::instruction::Division;

    fn registers(values: &[(&str, u64)]) -> Registers {
        let mut registers = Registers::zero(Machine::X86_64);
        registers.set_ip(Addr(0x1000));
        for (name, value) in values {
            registers.set_by_name(name, *value);
        }
        registers
    }

    fn of(bytes: &[u8], values: &[(&str, u64)]) -> Instruction {
        decode(bytes, &registers(values)).expect("decoded")
    }

    #[test]
    fn addresses_are_computed_as_the_processor_does() {
        // mov 0x18(%rdi,%rcx,8),%rax
        let load = of(&[0x48, 0x8b, 0x44, 0xcf, 0x18], &[("rdi", 0x7000), ("rcx", 3)]);
        assert_eq!((load.kind, load.length, load.operands.len()), (Kind::Other, 5, 1));
        let operand = &load.operands[0];
        assert_eq!((operand.address, operand.size, operand.written), (Addr(0x7030), 8, false));
        assert_eq!((operand.base, operand.index, operand.scale), (Some("rdi"), Some("rcx"), 8));
        // mov %eax,%fs:0x10
        let local = of(&[0x64, 0x89, 0x04, 0x25, 0x10, 0, 0, 0], &[("fs_base", 0x7f00_0000_0000)]);
        assert_eq!(local.operands[0].address, Addr(0x7f00_0000_0010));
        assert!(local.operands[0].written);
        // mov 0x10(%rip),%eax
        let relative = of(&[0x8b, 0x05, 0x10, 0, 0, 0], &[]);
        assert_eq!(relative.operands[0].address, Addr(0x1000 + 6 + 0x10));
        // push %rax
        let push = of(&[0x50], &[("rsp", 0x8000)]);
        assert_eq!((push.kind, push.operands[0].address), (Kind::Stack, Addr(0x7ff8)));
        // vmovdqu (%rsi),%ymm0
        let vector = of(&[0xc5, 0xfe, 0x6f, 0x06], &[("rsi", 0x9001)]);
        assert_eq!((vector.operands[0].size, vector.operands[0].aligned), (32, false));
        // movaps (%rsi),%xmm0
        assert!(of(&[0x0f, 0x28, 0x06], &[("rsi", 0x9001)]).operands[0].aligned);
    }

    #[test]
    fn a_repeated_string_instruction_may_fault_anywhere_in_its_run() {
        let copy = of(&[0xf3, 0xa4], &[("rsi", 0x1000), ("rdi", 0x9000), ("rcx", 0x2000)]);
        let covers = |address: u64| copy.operands.iter().any(|operand| operand.covers(Addr(address)));
        assert!(covers(0x1000) && covers(0x2fff) && covers(0xafff) && !covers(0x3000) && !covers(0xb000));
        let down = [("rsi", 0x1000), ("rdi", 0x9000), ("rcx", 0x100), ("eflags", 1 << 10)];
        let copy = of(&[0xf3, 0xa4], &down);
        assert!(copy.operands.iter().any(|operand| operand.covers(Addr(0x8f01))));
    }

    #[test]
    fn kinds_and_targets_are_told_apart() {
        let cases: [(&[u8], Kind); 10] = [
            (&[0xc3], Kind::Return),
            (&[0xe8, 0, 0, 0, 0], Kind::Call),
            (&[0xff, 0xd0], Kind::IndirectCall),
            (&[0xff, 0x25, 0, 0, 0, 0], Kind::IndirectJump),
            (&[0x74, 0x10], Kind::Jump),
            (&[0x48, 0xf7, 0xf9], Kind::Division),
            (&[0x0f, 0x0b], Kind::Trap),
            (&[0xf4], Kind::Privileged),
            (&[0x0f, 0x05], Kind::System),
            (&[0x06], Kind::Invalid),
        ];
        for (bytes, kind) in cases {
            assert_eq!(of(bytes, &[]).kind, kind, "{bytes:x?}");
        }
        assert_eq!(of(&[0xff, 0xd0], &[]).target, Target::Register("rax"));
        assert_eq!(of(&[0xc3], &[("rsp", 0x5000)]).target, Target::Memory(Addr(0x5000)));
    }

    #[test]
    fn a_division_says_whether_it_had_a_reason_to_fail() {
        // idiv %rcx; div %ecx
        let signed = |values: &[(&str, u64)]| of(&[0x48, 0xf7, 0xf9], values).division;
        let unsigned = |values: &[(&str, u64)]| of(&[0xf7, 0xf1], values).division;
        assert_eq!(signed(&[("rax", 7)]), Some(Division::ByZero));
        assert_eq!(signed(&[("rax", 7), ("rcx", 2)]), Some(Division::Fine));
        let least = [("rax", 1 << 63), ("rdx", u64::MAX), ("rcx", u64::MAX)];
        assert_eq!(signed(&least), Some(Division::Overflow));
        assert_eq!(unsigned(&[("rax", 5), ("rdx", 1), ("rcx", 1)]), Some(Division::Overflow));
        assert_eq!(unsigned(&[("rax", 5), ("rdx", 0), ("rcx", 0xffff_0000_0000)]), Some(Division::ByZero));
        assert_eq!(unsigned(&[("rax", 5), ("rcx", 5)]), Some(Division::Fine));
        assert_eq!(of(&[0x90], &[]).division, None);
    }

    #[test]
    fn a_stack_pointer_from_memory_is_a_switch_for_a_few_instructions() {
        // mov 0xa0(%rdi),%rsp; mov 0xa8(%rdi),%rcx; push %rcx; mov %rbp,%rsp
        let code = [0x48, 0x8b, 0xa7, 0xa0, 0, 0, 0, 0x48, 0x8b, 0x8f, 0xa8, 0, 0, 0, 0x51, 0x48, 0x89, 0xec];
        let at = |offset: usize| has_switched(&code[..offset], Addr(0x100), Addr(0x100 + offset as u64));
        assert_eq!(at(7), Some(true));
        assert_eq!(at(15), Some(true));
        assert_eq!(has_switched(&code[..8], Addr(0x100), Addr(0x108)), None, "inside an instruction");
        assert_eq!(has_switched(&[0x48, 0x89, 0xec], Addr(0), Addr(3)), Some(false), "the end of a frame");
        assert_eq!(boundary(&code, Addr(0x100), Addr(0x10e)), Some(true));
        assert_eq!(boundary(&code, Addr(0x100), Addr(0x10d)), Some(false));
    }

    #[test]
    fn no_bytes_are_too_odd() {
        let mut random = 1u64;
        for _ in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let bytes = random.to_le_bytes();
            let values = [("rax", random), ("rcx", !random), ("rdi", random << 7), ("rsp", u64::MAX)];
            let _ = decode(&bytes, &registers(&values));
            let _ = has_switched(&bytes, Addr(u64::MAX - 3), Addr(u64::MAX));
            let _ = target_register(&bytes, Addr(1));
            let _ = is_stub(&bytes, Addr(u64::MAX));
        }
        assert_eq!(decode(&[], &registers(&[])).map(|i| i.kind), Some(Kind::Invalid));
    }
}
