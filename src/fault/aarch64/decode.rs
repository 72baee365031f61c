//! A64 instructions, as far as a crash asks: loads, stores, branches, traps.
//!
//! Encodings are those of the Arm Architecture Reference Manual for A-profile
//! (DDI 0487), C4.1 "A64 instruction set encoding"; each pattern below names
//! its group there. Addresses are those that the processor uses: the top byte
//! of a user's address is ignored (TBI, which Linux sets for every process).
//!
//! Trusts: nothing; scalable vectors and what else is not decoded is `unclear`.

use crate::address::Addr;
use crate::bytes::Bytes;
use crate::elfcore::{Machine, Registers};
use crate::fault::instruction::{Instruction, Kind, Operand, Target};

/// Bytes of every instruction.
const LENGTH: u64 = 4;
/// What `dc zva` clears at most (DCZID_EL0.BS 9: 2 KiB).
const ZEROED: u64 = 2 << 10;
/// Instructions after a change of stacks in which the old one may still be read.
const SINCE: usize = 12;

/// One instruction's bits.
#[derive(Clone, Copy)]
struct Word(u32);

impl Word {
    fn is(self, mask: u32, value: u32) -> bool {
        self.0 & mask == value
    }

    /// `width` bits from bit `low` on.
    fn bits(self, low: u32, width: u32) -> u32 {
        let up = 32u32.saturating_sub(low.saturating_add(width));
        self.0.wrapping_shl(up).wrapping_shr(32u32.saturating_sub(width))
    }

    fn bit(self, at: u32) -> bool {
        self.bits(at, 1) == 1
    }

    /// The same as a signed number.
    fn signed(self, low: u32, width: u32) -> i64 {
        let up = 32u32.saturating_sub(low.saturating_add(width));
        i64::from(self.0.wrapping_shl(up).cast_signed().wrapping_shr(32u32.saturating_sub(width)))
    }

    /// A general register, 31 is the zero register.
    fn register(self, low: u32) -> Option<&'static str> {
        let number = self.bits(low, 5);
        let names = Machine::Aarch64.register_names();
        names.get(usize::try_from(number).ok()?).filter(|_| number < 31).copied()
    }

    /// The register of a base, 31 is the stack pointer.
    fn base(self) -> &'static str {
        self.register(5).unwrap_or("sp")
    }
}

fn word(bytes: &[u8]) -> Option<Word> {
    Bytes::new(bytes).u32(0).map(Word)
}

/// Decodes the instruction that these bytes begin with, at pc.
pub(in crate::fault) fn decode(bytes: &[u8], registers: &Registers) -> Option<Instruction> {
    let word = word(bytes)?;
    let kind = kind(word);
    let mut instruction = Instruction { kind, length: LENGTH, ..Instruction::default() };
    instruction.target = match kind {
        Kind::Return | Kind::IndirectCall | Kind::IndirectJump => {
            word.register(5).map_or(Target::None, Target::Register)
        }
        _ => Target::None,
    };
    match memory(word, registers) {
        Memory::None => {}
        Memory::Unclear => instruction.unclear = true,
        Memory::At(operand) => instruction.operands.push(operand),
    }
    instruction.baseline = is_baseline(word);
    Some(instruction)
}

/// C4.1.94 "Branches, exception generating and system instructions".
fn kind(word: Word) -> Kind {
    // udf; a word of zeros is data that was executed.
    if word.is(0xffff_0000, 0) {
        return if word.0 == 0 { Kind::Invalid } else { Kind::Trap };
    }
    // Reserved: bits 28 to 25 are zero, bit 31 clear.
    if word.is(0x9e00_0000, 0) {
        return Kind::Invalid;
    }
    let known: [(u32, u32, Kind); 18] = [
        (0xfc00_0000, 0x1400_0000, Kind::Jump),         // b
        (0xfc00_0000, 0x9400_0000, Kind::Call),         // bl
        (0xff00_0000, 0x5400_0000, Kind::Jump),         // b.cond, bc.cond
        (0x7e00_0000, 0x3400_0000, Kind::Jump),         // cbz, cbnz
        (0x7e00_0000, 0x3600_0000, Kind::Jump),         // tbz, tbnz
        (0xffff_fc1f, 0xd61f_0000, Kind::IndirectJump), // br
        (0xfeff_f800, 0xd61f_0800, Kind::IndirectJump), // braa, brab
        (0xffff_fc1f, 0xd63f_0000, Kind::IndirectCall), // blr
        (0xfeff_f800, 0xd63f_0800, Kind::IndirectCall), // blraa, blrab
        (0xffff_fc1f, 0xd65f_0000, Kind::Return),       // ret
        (0xffff_fbff, 0xd65f_0bff, Kind::Return),       // retaa, retab
        (0xffe0_001f, 0xd400_0001, Kind::System),       // svc
        (0xffe0_001f, 0xd400_0002, Kind::Privileged),   // hvc
        (0xffe0_001f, 0xd400_0003, Kind::Privileged),   // smc
        (0xffe0_001f, 0xd420_0000, Kind::Trap),         // brk
        (0xffe0_001f, 0xd440_0000, Kind::Trap),         // hlt
        (0xffff_f3ff, 0xd69f_03e0, Kind::Privileged),   // eret
        (0x7fe0_f800, 0x1ac0_0800, Kind::Division),     // udiv, sdiv: they never fail
    ];
    if let Some((.., kind)) = known.into_iter().find(|(mask, value, _)| word.is(*mask, *value)) {
        return kind;
    }
    let pair = word.is(0x3a00_0000, 0x2800_0000);
    if pair && word.base() == "sp" { Kind::Stack } else { Kind::Other }
}

/// What an instruction accesses.
enum Memory {
    None,
    Unclear,
    At(Operand),
}

/// One access, before its base is known.
struct Form {
    size: u64,
    offset: i64,
    written: bool,
    aligned: bool,
    index: Option<(&'static str, u64)>,
}

impl Form {
    fn new(size: u64, offset: i64, written: bool) -> Form {
        Form { size, offset, written, aligned: false, index: None }
    }
}

/// C4.1.96 "Loads and stores".
fn memory(word: Word, registers: &Registers) -> Memory {
    // System instructions: cache maintenance by address, dc zva among them.
    if word.is(0xfff8_0000, 0xd508_0000) {
        return system(word, registers);
    }
    // SVE and SME memory accesses: bits 28 to 25 are 0010 or, with bit 31, 0000.
    if word.is(0x9e00_0000, 0x8400_0000) || word.is(0x9e00_0000, 0x8000_0000) {
        return Memory::Unclear;
    }
    if !word.is(0x0a00_0000, 0x0800_0000) {
        return Memory::None;
    }
    // Load register (literal): the address is relative to pc.
    if word.is(0x3b00_0000, 0x1800_0000) {
        return literal(word, registers);
    }
    let form = if word.is(0xbf00_0000, 0x0c00_0000) {
        structures(word)
    } else if word.is(0xbf00_0000, 0x0d00_0000) {
        structure(word)
    } else if word.is(0x3f00_0000, 0x0800_0000) {
        exclusive(word)
    } else if word.is(0x3f20_0c00, 0x1900_0000) {
        // ldapur, stlur.
        Some(Form::new(1 << word.bits(30, 2), word.signed(12, 9), word.bits(22, 2) == 0))
    } else if word.is(0x3a00_0000, 0x2800_0000) {
        pair(word)
    } else if word.is(0x3a00_0000, 0x3800_0000) {
        match single(word, registers) {
            Single::None => return Memory::None,
            Single::Unclear => return Memory::Unclear,
            Single::Form(form) => Some(form),
        }
    } else {
        None
    };
    match form {
        Some(form) => at(word, registers, form),
        None => Memory::Unclear,
    }
}

fn at(word: Word, registers: &Registers, form: Form) -> Memory {
    let base = word.base();
    let Some(value) = registers.by_name(base) else { return Memory::Unclear };
    let index = form.index.map_or(0, |(_, added)| added);
    let address = value.wrapping_add(index).wrapping_add_signed(form.offset);
    Memory::At(Operand {
        address: untagged(address),
        size: form.size,
        written: form.written,
        aligned: form.aligned,
        base: Some(base),
        index: form.index.map(|(name, _)| name),
        scale: 1,
    })
}

/// The address without its top byte, which bit 55 stands for.
pub(in crate::fault) fn untagged(address: u64) -> Addr {
    let low = address & 0x00ff_ffff_ffff_ffff;
    Addr(if address & 1 << 55 == 0 { low } else { low | 0xff << 56 })
}

fn system(word: Word, registers: &Registers) -> Memory {
    // dc zva, xt: the whole block around the address is written.
    if word.is(0xffff_ffe0, 0xd50b_7420) {
        let value = word.register(0).and_then(|name| registers.by_name(name)).unwrap_or(0);
        return Memory::At(Operand {
            address: untagged(value).align_down(ZEROED),
            size: ZEROED,
            written: true,
            aligned: false,
            base: word.register(0),
            index: None,
            scale: 1,
        });
    }
    Memory::Unclear
}

fn literal(word: Word, registers: &Registers) -> Memory {
    let (opc, vector) = (word.bits(30, 2), word.bit(26));
    let size = match (vector, opc) {
        // prfm does not fault.
        (false, 3) => return Memory::None,
        (false, 1) => 8,
        (false, _) => 4,
        (true, opc) => 4u64 << opc,
    };
    let address = registers.ip().0.wrapping_add_signed(word.signed(5, 19).saturating_mul(4));
    Memory::At(Operand {
        address: Addr(address),
        size,
        written: false,
        aligned: false,
        base: None,
        index: None,
        scale: 1,
    })
}

/// Advanced SIMD load/store multiple structures: ld1 … st4.
fn structures(word: Word) -> Option<Form> {
    let count = match word.bits(12, 4) {
        0b0000 | 0b0010 => 4,
        0b0100 | 0b0110 => 3,
        0b1000 | 0b1010 => 2,
        0b0111 => 1,
        _ => return None,
    };
    let one = if word.bit(30) { 16 } else { 8u64 };
    Some(Form::new(one.saturating_mul(count), 0, !word.bit(22)))
}

/// Advanced SIMD load/store single structure: a lane, or one value to all.
fn structure(word: Word) -> Option<Form> {
    let (opcode, size) = (word.bits(13, 3), word.bits(10, 2));
    let count = u64::from((opcode & 1) << 1 | word.bits(21, 1)).saturating_add(1);
    let one: u64 = match opcode >> 1 {
        0 => 1,
        1 => 2,
        2 if size & 1 == 1 => 8,
        2 => 4,
        _ => 1 << size,
    };
    Some(Form::new(one.saturating_mul(count), 0, !word.bit(22)))
}

/// Load/store exclusive, ordered, and compare and swap.
fn exclusive(word: Word) -> Option<Form> {
    let size = 1u64 << word.bits(30, 2);
    let load = word.bit(22);
    let form = match (word.bit(23), word.bit(21)) {
        // ldxr, stxr; ldar, stlr.
        (false, false) | (true, false) => Form::new(size, 0, !load),
        // ldxp, stxp, of words or doublewords.
        (false, true) if size >= 4 => Form::new(size.saturating_mul(2), 0, !load),
        // casp.
        (false, true) => Form::new(if word.bit(30) { 16 } else { 8 }, 0, true),
        // cas.
        (true, true) => Form::new(size, 0, true),
    };
    Some(Form { aligned: true, ..form })
}

fn pair(word: Word) -> Option<Form> {
    let (opc, vector, load) = (word.bits(30, 2), word.bit(26), word.bit(22));
    let scale: u64 = match (vector, opc) {
        (true, 0..=2) => 4 << opc,
        (false, 0) => 4,
        // ldpsw loads words, stgp stores two doublewords and a tag.
        (false, 1) if load => 4,
        (false, 1) => 16,
        (false, 2) => 8,
        _ => return None,
    };
    let size = if scale == 16 && !vector { 16 } else { scale.saturating_mul(2) };
    // After the access is when a post-indexed base moves.
    let post = word.bits(23, 2) == 1;
    let offset = if post { 0 } else { word.signed(15, 7).saturating_mul(scale.cast_signed()) };
    Some(Form::new(size, offset, !load))
}

enum Single {
    None,
    Unclear,
    Form(Form),
}

/// Load/store register, in its six ways, and the atomic memory operations.
fn single(word: Word, registers: &Registers) -> Single {
    let (size, vector, opc) = (word.bits(30, 2), word.bit(26), word.bits(22, 2));
    let log = match (vector, size, opc) {
        (true, 0, 2..=3) => 4,
        (true, _, 2..=3) => return Single::Unclear,
        _ => size,
    };
    let (bytes, written) = (1u64 << log, if vector { opc & 1 == 0 } else { opc == 0 });
    // prfm, prfum do not fault.
    let prefetch = !vector && size == 3 && opc == 2;
    if word.bit(24) {
        let offset = i64::from(word.bits(10, 12)) << log;
        return if prefetch { Single::None } else { Single::Form(Form::new(bytes, offset, written)) };
    }
    match (word.bit(21), word.bits(10, 2)) {
        (false, _) if prefetch => Single::None,
        (false, 1) => Single::Form(Form::new(bytes, 0, written)),
        (false, _) => Single::Form(Form::new(bytes, word.signed(12, 9), written)),
        (true, 2) if prefetch => Single::None,
        (true, 2) => match index(word, registers, log) {
            Some(index) => Single::Form(Form { index, ..Form::new(bytes, 0, written) }),
            None => Single::Unclear,
        },
        // ldapr only loads.
        (true, 0) if !vector && word.bits(12, 4) == 0b1100 => Single::Form(Form::new(bytes, 0, false)),
        // st64b and its like move 64 bytes.
        (true, 0) if !vector && word.bit(15) && word.bits(12, 3) != 0 => Single::Unclear,
        (true, 0) if !vector => Single::Form(Form { aligned: true, ..Form::new(bytes, 0, true) }),
        // ldraa, ldrab: the base is signed.
        _ => Single::Unclear,
    }
}

/// The register that is added, with what it adds; Some(None) for the zero
/// register.
fn index(word: Word, registers: &Registers, log: u32) -> Option<Option<(&'static str, u64)>> {
    let Some(name) = word.register(16) else { return Some(None) };
    let value = registers.by_name(name)?;
    let extended = match word.bits(13, 3) {
        0b010 => value & 0xffff_ffff,
        0b110 => i64::from((value & 0xffff_ffff) as u32 as i32).cast_unsigned(),
        0b011 | 0b111 => value,
        _ => return None,
    };
    let shift = if word.bit(12) { log } else { 0 };
    Some(Some((name, extended.wrapping_shl(shift))))
}

/// What every ARMv8.0 processor has, of what is decoded here.
fn is_baseline(word: Word) -> bool {
    let plain: [(u32, u32); 9] = [
        (0x1f80_0000, 0x1100_0000), // add, sub (immediate)
        (0xff80_0000, 0xd280_0000), // movz, of 64 bits
        (0xff80_0000, 0xf280_0000), // movk, of 64 bits
        (0x1f00_0000, 0x1000_0000), // adr, adrp
        (0xfe00_0000, 0xa800_0000), // ldp, stp, of 64 bits
        (0xbf80_0000, 0xb900_0000), // ldr, str (unsigned immediate), of 32 and 64 bits
        (0x7c00_0000, 0x1400_0000), // b, bl
        (0x7c00_0000, 0x3400_0000), // cbz, tbz
        (0xffff_fc1f, 0xd65f_0000), // ret
    ];
    plain.into_iter().any(|(mask, value)| word.is(mask, value))
}

/// True for what a stub of the procedure linkage table is: adrp, ldr, add, br,
/// behind a bti.
pub(in crate::fault) fn is_stub(bytes: &[u8]) -> bool {
    let mut words = bytes.as_chunks::<4>().0.iter().map(|word| Word(u32::from_le_bytes(*word)));
    let first = words.next().filter(|word| word.0 != 0xd503_245f).or_else(|| words.next());
    let adrp = first.is_some_and(|word| word.is(0x9f00_001f, 0x9000_0010));
    let ldr = words.next().is_some_and(|word| word.is(0xffc0_03ff, 0xf940_0211));
    adrp && ldr
}

/// The register of the blr whose bytes end these.
pub(in crate::fault) fn target_register(bytes: &[u8]) -> Option<&'static str> {
    let last = word(bytes.get(bytes.len().checked_sub(4)?..)?)?;
    (kind(last) == Kind::IndirectCall).then(|| last.register(5))?
}

/// True when one of the last instructions moved a register into sp that is not
/// the frame pointer, as setcontext, longjmp and switches of coroutines do.
pub(in crate::fault) fn has_switched(bytes: &[u8]) -> bool {
    let words = bytes.as_chunks::<4>().0.iter().rev().map(|word| Word(u32::from_le_bytes(*word)));
    let straight = words.take(SINCE).take_while(|word| {
        !matches!(kind(*word), Kind::Return | Kind::Jump | Kind::IndirectJump | Kind::Call)
    });
    // add sp, xn, #0: n is neither sp nor x29.
    straight.into_iter().any(|word| word.is(0xffff_fc1f, 0x9100_001f) && !matches!(word.bits(5, 5), 29 | 31))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: u32, values: &[(&str, u64)]) -> Instruction {
        let mut registers = Registers::zero(Machine::Aarch64);
        registers.set_ip(Addr(0x1000));
        for (name, value) in values {
            registers.set_by_name(name, *value);
        }
        decode(&code.to_le_bytes(), &registers).expect("four bytes")
    }

    fn operand(code: u32, values: &[(&str, u64)]) -> (u64, u64, bool) {
        let instruction = of(code, values);
        let operand = instruction.operands.first().expect("an operand");
        (operand.address.0, operand.size, operand.written)
    }

    /// Words as GNU as assembles the text beside them.
    #[test]
    fn addresses_are_computed_as_the_processor_does() {
        let x0 = [("x0", 0x7000u64), ("x1", 3), ("sp", 0x9000)];
        assert_eq!(operand(0xf940_0c01, &x0), (0x7018, 8, false), "ldr x1, [x0, #24]");
        assert_eq!(operand(0xb900_03ff, &x0), (0x9000, 4, true), "str wzr, [sp]");
        assert_eq!(operand(0xf861_7802, &x0), (0x7018, 8, false), "ldr x2, [x0, x1, lsl #3]");
        assert_eq!(operand(0xf840_8402, &x0), (0x7000, 8, false), "ldr x2, [x0], #8");
        assert_eq!(operand(0xf85f_8c02, &x0), (0x6ff8, 8, false), "ldr x2, [x0, #-8]!");
        assert_eq!(operand(0xa9bf_7bfd, &x0), (0x8ff0, 16, true), "stp x29, x30, [sp, #-16]!");
        assert_eq!(operand(0xa8c1_7bfd, &x0), (0x9000, 16, false), "ldp x29, x30, [sp], #16");
        assert_eq!(operand(0x3dc0_0400, &x0), (0x7010, 16, false), "ldr q0, [x0, #16]");
        assert_eq!(operand(0x4c40_a000, &x0), (0x7000, 32, false), "ld1 of two registers");
        assert_eq!(operand(0xc85f_7c01, &x0), (0x7000, 8, false), "ldxr x1, [x0]");
        assert_eq!(operand(0xc802_7c01, &x0), (0x7000, 8, true), "stxr w2, x1, [x0]");
        assert_eq!(operand(0xf821_0002, &x0), (0x7000, 8, true), "ldadd x1, x2, [x0]");
        assert_eq!(operand(0x5800_0041, &x0), (0x1008, 8, false), "ldr x1, pc+8");
        assert_eq!(operand(0x3861_4802, &[("x0", 16), ("x1", 0xffff_ffff)]), (16 + 0xffff_ffff, 1, false));
        assert_eq!(operand(0xf940_0001, &[("x0", 0x5a00_0000_0000_7000)]).0, 0x7000, "a tag is ignored");
    }

    #[test]
    fn kinds_and_targets_are_told_apart() {
        let cases = [
            (0xd65f_03c0, Kind::Return),
            (0x9400_0001, Kind::Call),
            (0xd63f_0060, Kind::IndirectCall),
            (0xd61f_0220, Kind::IndirectJump),
            (0x5400_0041, Kind::Jump),
            (0x3400_0040, Kind::Jump),
            (0x9ac1_0c00, Kind::Division),
            (0xd420_7d00, Kind::Trap),
            (0x0000_0011, Kind::Trap),
            (0x0000_0000, Kind::Invalid),
            (0xd400_0001, Kind::System),
            (0xa9bf_7bfd, Kind::Stack),
            (0xf940_0c01, Kind::Other),
        ];
        for (code, kind) in cases {
            assert_eq!(of(code, &[]).kind, kind, "{code:#x}");
        }
        assert_eq!(of(0xd63f_0060, &[]).target, Target::Register("x3"));
        assert_eq!(of(0xd65f_03c0, &[]).target, Target::Register("x30"));
        assert!(of(0xf980_0000, &[]).operands.is_empty(), "prfm");
        assert!(of(0xa400_a000, &[]).unclear, "ld1b of a scalable vector");
    }

    #[test]
    fn a_stack_taken_from_a_context_is_a_switch() {
        let code = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
        // ldr x2, [x0, #248]; mov sp, x2; ldr x3, [x0, #256]
        assert!(has_switched(&code(&[0xf940_7c02, 0x9100_005f, 0xf940_8003])));
        // mov sp, x29
        assert!(!has_switched(&code(&[0x9100_03bf])));
        // ret between
        assert!(!has_switched(&code(&[0x9100_005f, 0xd65f_03c0, 0xd503_201f])));
    }

    #[test]
    fn every_word_is_decoded_without_a_panic() {
        let mut state = 1u32;
        for _ in 0..200_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            of(state, &[("x0", u64::MAX), ("x1", u64::MAX), ("sp", u64::MAX)]);
        }
    }
}
