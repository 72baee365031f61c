//! What the targets of unwinding and of faults share: a machine, registers, a
//! stack and a file of code at addresses that the input chooses.

#![allow(dead_code, unreachable_pub)]

use epicore::address::{Addr, AddrRange};
use epicore::elfcore::{Machine, Registers};
use epicore::memory::Image;
use epicore::module::{Modules, Origin};
use epicore::process::Mapping;

use super::common::{Input, file};

/// A process, as far as it was kept.
pub struct Process {
    pub machine: Machine,
    pub options: u8,
    pub registers: Registers,
    pub code: Addr,
    pub stack: AddrRange,
    pub file: Vec<u8>,
    pub image: Image,
    pub modules: Modules,
}

/// Options of the first byte: 1 aarch64; 2 the file is not at hand; 4 the code is
/// not in the memory that was kept; 8 the file is mapped a second time, behind
/// itself; 16 memory of no file is executable, too.
///
/// ```text
/// u8 options, u64 code, u64 stack, registers (u64 each, of the kernel's order)
/// u16 length, stack bytes; u16 length, file; the rest: code of no file (16)
/// ```
pub fn process(input: &mut Input<'_>) -> Process {
    let options = input.u8();
    let machine = if options & 1 == 0 { Machine::X86_64 } else { Machine::Aarch64 };
    let (code, stack) = (Addr(input.u64()), Addr(input.u64()));
    let mut registers = Registers::zero(machine);
    for name in machine.register_names() {
        registers.set_by_name(name, input.u64());
    }
    let words = input.counted().to_vec();
    let bytes = input.counted().to_vec();
    let span = bytes.len() as u64;
    let stack = stack.range(words.len() as u64 + 4096).unwrap_or_default();
    let mut pieces = vec![(stack.start, words)];
    if options & 4 == 0 {
        pieces.push((code, bytes.clone()));
    } else {
        pieces.push((code, bytes.iter().take(4096).copied().collect()));
    }
    let mut mappings = vec![mapping(code, span, b"/one", true)];
    let behind = code.add(span.next_multiple_of(4096).saturating_add(4096)).unwrap_or_default();
    if options & 8 != 0 {
        pieces.push((behind, bytes.clone()));
        mappings.push(mapping(behind, span, b"/one", true));
    }
    let made = stack.end.align_down(4096).add(1 << 20).unwrap_or_default();
    if options & 16 != 0 {
        let rest = input.bytes(4096).to_vec();
        mappings.push(mapping(made, rest.len() as u64, b"", true));
        pieces.push((made, rest));
    }
    mappings.push(mapping(stack.start, stack.len(), b"", false));
    let image = Image::new(pieces);
    let (mut modules, _) = Modules::assemble(&mappings, &image, None, machine);
    if options & 2 == 0 {
        for index in 0..modules.len() {
            modules.attach(index, file(&bytes), Origin::Mapped);
        }
    }
    Process { machine, options, registers, code, stack, file: bytes, image, modules }
}

pub fn mapping(start: Addr, length: u64, path: &[u8], executable: bool) -> Mapping {
    Mapping {
        range: start.range(length).unwrap_or_default(),
        path: path.to_vec(),
        executable,
        writable: !executable,
        ..Mapping::default()
    }
}
