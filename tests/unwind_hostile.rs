//! Whatever a crashed process left behind, the walk ends, within its limits,
//! without a panic: random stacks, registers, call frame information, ELF
//! headers and mappings.

use epicore::address::{Addr, AddrRange};
use epicore::elfcore::{Machine, Registers};
use epicore::limits;
use epicore::memory::Image;
use epicore::module::{Modules, Origin};
use epicore::process::Mapping;
use epicore::unwind::{Cache, End, Stacks, walk};
use proptest::prelude::*;

const CODE: u64 = 0x40_0000;
const STACK: u64 = 0x7fff_0000_0000;

fn mapping(start: u64, length: u64, offset: u64, path: &str, executable: bool) -> Mapping {
    Mapping {
        range: AddrRange { start: Addr(start), end: Addr(start.saturating_add(length)) },
        offset,
        path: path.into(),
        executable,
        writable: !executable,
        identity: None,
    }
}

/// An object with one executable segment whose .eh_frame_hdr and .eh_frame
/// are these bytes.
fn object(kind: u16, header: &[u8], frames: &[u8], code: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0u8; 64];
    bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
    bytes[16..18].copy_from_slice(&kind.to_le_bytes());
    bytes[32] = 64;
    bytes[54] = 56;
    bytes[56] = 2;
    for (kind, offset, size) in [(1u32, 0u64, 0x2000u64), (0x6474_e550, 0x200, header.len() as u64)] {
        bytes.extend(kind.to_le_bytes());
        bytes.extend(5u32.to_le_bytes());
        for value in [offset, CODE + offset, 0, size, size, 4096] {
            bytes.extend(value.to_le_bytes());
        }
    }
    bytes.resize(0x200, 0);
    bytes.extend(header);
    bytes.resize(0x400, 0);
    bytes.extend(frames);
    bytes.resize(0x1000, 0);
    bytes.extend(code);
    bytes.resize(0x2000, 0x90);
    bytes
}

/// A table of one pair, for the FDE behind a CIE of 24 bytes.
fn header() -> Vec<u8> {
    let mut bytes = vec![1, 0x1b, 3, 0x3b];
    for value in [0x1fcu32, 1, 0xe00, 0x200 + 24] {
        bytes.extend(value.to_le_bytes());
    }
    bytes
}

/// A CIE and an FDE around these instructions, 0x1000 … 0x2000.
fn frames(initial: &[u8], program: &[u8]) -> Vec<u8> {
    let mut cie = vec![1, b'z', b'R', 0, 1, 0x78, 16, 1, 0x1b];
    cie.extend(initial.iter().take(7));
    cie.resize(16, 0);
    let mut bytes = 20u32.to_le_bytes().to_vec();
    bytes.extend(0u32.to_le_bytes());
    bytes.extend(cie);
    let program = &program[..program.len().min(512)];
    bytes.extend((4 + 8 + 1 + program.len() as u32).to_le_bytes());
    bytes.extend(28u32.to_le_bytes());
    bytes.extend((0x1000i32 - (0x400 + 24 + 8)).to_le_bytes());
    bytes.extend(0x1000u32.to_le_bytes());
    bytes.push(0);
    bytes.extend(program);
    bytes
}

fn run(file: &[u8], stack: Vec<u8>, registers: &Registers, mappings: &[Mapping], machine: Machine) {
    let head = file[..file.len().min(4096)].to_vec();
    let length = stack.len() as u64;
    let image = Image::new(vec![(Addr(CODE), head), (Addr(STACK), stack)]);
    let (mut modules, _) = Modules::assemble(mappings, &image, Some(Addr(CODE)), machine);
    let mut handle = tempfile::tempfile().expect("a file");
    std::io::Write::write_all(&mut handle, file).expect("written");
    for index in 0..modules.len() {
        modules.attach(
            index,
            handle.try_clone().expect("a handle"),
            if index % 2 == 0 { Origin::Mapped } else { Origin::CleanPath },
        );
    }
    let stacks = Stacks::new([AddrRange { start: Addr(STACK), end: Addr(STACK + length + 4096) }]);
    let walk = walk(registers, &stacks, &image, &modules, &mut Cache::new());
    assert!(!walk.frames.is_empty());
    assert!(walk.frames.len() <= limits::FRAMES_INNER + limits::FRAMES_OUTER);
    for frame in &walk.frames {
        if let (Some(index), Some(start)) = (frame.module, frame.function) {
            let linked = modules.get(index).map_or(0, |m| m.linked(start));
            let _ = modules.function_identity(index, linked, frame.function_len, &image);
            let _ = modules.dynamic_symbol(index, linked);
        }
    }
    let _ = modules.gaps();
}

fn registers(machine: Machine, values: &[u64], ip: u64, sp: u64) -> Registers {
    let mut registers = Registers::zero(machine);
    for (name, value) in machine.register_names().iter().zip(values) {
        registers.set_by_name(name, *value);
    }
    registers.set_ip(Addr(ip));
    registers.set_sp(Addr(sp));
    registers
}

/// Words that are interesting: code, stack, small, anything.
fn word() -> impl Strategy<Value = u64> {
    prop_oneof![
        (0u64..0x1000).prop_map(|n| CODE + 0x1000 + n),
        (0u64..0x1000).prop_map(|n| STACK + n * 8),
        0u64..64,
        any::<u64>(),
    ]
}

fn stack() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(word(), 1..400)
        .prop_map(|words| words.iter().flat_map(|w| w.to_le_bytes()).collect())
}

/// Bytes that decode as CFI or code more often than chance.
fn program() -> impl Strategy<Value = Vec<u8>> {
    let byte =
        prop_oneof![any::<u8>(), 0u8..0x20, Just(0x16u8), Just(0x0f), Just(0x10), Just(0x77), Just(0x06)];
    prop::collection::vec(byte, 0..200)
}

fn code() -> impl Strategy<Value = Vec<u8>> {
    let some = [0xe8u8, 0xff, 0xd0, 0x55, 0xc3, 0x5d, 0xc9, 0x48, 0x83, 0xc4, 0x74, 0xeb, 0xe9, 0x0f];
    let byte = prop_oneof![any::<u8>(), prop::sample::select(some.to_vec())];
    prop::collection::vec(byte, 0x1000..0x1001)
}

fn machine() -> impl Strategy<Value = Machine> {
    prop_oneof![4 => Just(Machine::X86_64), 1 => Just(Machine::Aarch64)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn hostile_call_frame_information_ends(
        initial in prop::collection::vec(any::<u8>(), 7..8), instructions in program(), code in code(), stack in stack(),
        values in prop::collection::vec(word(), 34..35), ip in 0u64..0x1000, sp in 0u64..400, machine in machine(),
    ) {
        let file = object(2, &header(), &frames(&initial, &instructions), &code);
        let maps = [mapping(CODE, 0x2000, 0, "/hostile", true)];
        let registers = registers(machine, &values, CODE + 0x1000 + ip, STACK + sp * 8);
        run(&file, stack, &registers, &maps, machine);
    }

    #[test]
    fn hostile_stacks_without_any_information_end(
        code in code(), stack in stack(), values in prop::collection::vec(word(), 34..35), ip in word(), sp in word(),
        machine in machine(),
    ) {
        let file = object(2, &[], &[], &code);
        let maps = [mapping(CODE, 0x2000, 0, "/hostile", true)];
        run(&file, stack, &registers(machine, &values, ip, sp), &maps, machine);
    }

    #[test]
    fn hostile_files_end(
        mut file in prop::collection::vec(any::<u8>(), 0..6000), flips in prop::collection::vec((0usize..0x2000, any::<u8>()), 0..40),
        whole in any::<bool>(), ip in word(), stack in stack(),
    ) {
        if whole {
            file = object(3, &header(), &frames(&[0x0c, 7, 8, 0x90, 1, 0, 0], &[]), &[0x90; 0x1000]);
            for (at, value) in flips {
                file[at] = value;
            }
        }
        let maps = [mapping(CODE, 0x2000, 0, "/hostile", true)];
        run(&file, stack, &registers(Machine::X86_64, &[], ip, STACK), &maps, Machine::X86_64);
    }

    #[test]
    fn hostile_mappings_become_few_modules(
        list in prop::collection::vec((any::<u64>(), any::<u64>(), any::<u64>(), 0usize..5, any::<bool>()), 0..300),
        near in any::<bool>(), probe in any::<u64>(),
    ) {
        let paths = ["", "/a", "/b (deleted)", "[vdso]", "/memfd:x (deleted)"];
        let shrink = |v: u64| if near { CODE + v % 0x4000 } else { v };
        let maps: Vec<Mapping> = list.iter()
            .map(|(start, length, offset, path, x)| mapping(shrink(*start), length % 0x4000, offset % 0x3000, paths[*path], *x))
            .collect();
        let file = object(3, &header(), &frames(&[], &[]), &[0x90; 0x1000]);
        let image = Image::new(vec![(Addr(CODE), file)]);
        let (modules, _) = Modules::assemble(&maps, &image, Some(Addr(CODE)), Machine::X86_64);
        prop_assert!(modules.len() <= limits::MODULES);
        for module in modules.iter() {
            prop_assert!(!module.executable.is_empty());
        }
        let class = modules.code_class(Addr(shrink(probe)));
        let mapped = maps.iter().any(|m| m.range.contains(Addr(shrink(probe))));
        prop_assert_eq!(mapped, class != epicore::module::CodeClass::Unmapped);
    }
}

#[test]
fn call_frame_information_that_loops_is_called_a_loop() {
    // CFA = rsp; the return address is read from where rsp points.
    let file = object(2, &header(), &frames(&[0x0c, 7, 0, 0x90, 0, 0, 0], &[]), &[0xe8; 0x1000]);
    let stack: Vec<u8> = (0..100).flat_map(|_| (CODE + 0x1100).to_le_bytes()).collect();
    let maps = [mapping(CODE, 0x2000, 0, "/loops", true)];
    run(&file, stack, &registers(Machine::X86_64, &[], CODE + 0x1100, STACK), &maps, Machine::X86_64);
}

/// Each address that an FDE covers may ask for a row of its own, and each row runs all
/// of its instructions: a stack of such addresses under an FDE of 48 KiB took as long
/// as it liked (found with the fuzz target `unwind`).
#[test]
fn rows_that_are_dear_to_read_end_a_walk() {
    const START: u64 = 0xe000;
    // CFA = rsp + 8, the return address below it; then nothing, 48 KiB of it.
    let mut frames = frames(&[0x0c, 7, 8, 0x90, 1, 0, 0], &[]);
    frames.truncate(24);
    let program = vec![0; 48 << 10];
    frames.extend((4 + 8 + 1 + program.len() as u32).to_le_bytes());
    frames.extend(28u32.to_le_bytes());
    frames.extend((START as i32 - (0x400 + 24 + 8)).to_le_bytes());
    frames.extend(0x1000u32.to_le_bytes());
    frames.push(0);
    let entry = frames.len() + program.len();
    let mut file = object(2, &[], &[], &[0x90; 0x1000]);
    file.resize(START as usize + 0x1000, 0x90);
    file[0x400..0x400 + frames.len()].copy_from_slice(&frames);
    file[0x400 + frames.len()..0x400 + entry].fill(0);
    let mut header = header();
    header[12..16].copy_from_slice(&(START as u32 - 0x200).to_le_bytes());
    file[0x200..0x200 + header.len()].copy_from_slice(&header);
    // The one segment, and PT_GNU_EH_FRAME, are as large as that.
    for (at, size) in
        [(64 + 32, file.len()), (64 + 40, file.len()), (120 + 32, header.len()), (120 + 40, header.len())]
    {
        file[at..at + 8].copy_from_slice(&(size as u64).to_le_bytes());
    }
    let stack: Vec<u8> = (1..1000).flat_map(|n| (CODE + START + n).to_le_bytes()).collect();
    let image = Image::new(vec![(Addr(CODE), file[..4096].to_vec()), (Addr(STACK), stack)]);
    let maps = [mapping(CODE, file.len() as u64, 0, "/dear", true)];
    let (mut modules, _) = Modules::assemble(&maps, &image, None, Machine::X86_64);
    let mut handle = tempfile::tempfile().expect("a file");
    std::io::Write::write_all(&mut handle, &file).expect("written");
    modules.attach(0, handle, Origin::Mapped);
    let stacks = Stacks::new([AddrRange { start: Addr(STACK), end: Addr(STACK + 8000) }]);
    let registers = registers(Machine::X86_64, &[], CODE + START, STACK);
    let mut cache = Cache::new();
    let first = walk(&registers, &stacks, &image, &modules, &mut cache);
    assert_eq!(first.end, End::LimitReached);
    let rows = limits::ROW_BYTES / entry;
    let walked = first.frames.len() + first.cut.and_then(|cut| cut.omitted).unwrap_or(0);
    assert!((rows - 8..rows + 8).contains(&walked), "{walked} frames, {rows} rows");
    // What was read stays known to the next thread.
    assert_eq!(walk(&registers, &stacks, &image, &modules, &mut cache), first);
}

#[test]
fn a_hundred_thousand_mappings_are_assembled_quickly() {
    let maps: Vec<Mapping> = (0..100_000u64)
        .map(|i| mapping(0x10_0000 + i * 0x2000, 0x1000, i % 7 * 4096, "/same", i % 2 == 0))
        .collect();
    let started = std::time::Instant::now();
    let (modules, gaps) = Modules::assemble(&maps, &Image::default(), None, Machine::X86_64);
    assert!(modules.len() <= limits::MODULES);
    assert_eq!(gaps.len(), 1, "what is refused is counted");
    assert!(started.elapsed().as_secs() < 2);
}
