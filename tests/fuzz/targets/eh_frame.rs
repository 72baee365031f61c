//! A module's file: headers, unwind tables, symbols, build-id (`module`). It is
//! what the crashed process mapped, and may be anything.
//!
//! Input: a byte (1: aarch64; 2: it comes by path and must be the same build; 4:
//! it is the vdso), a linked address, then the file. Beside "no crash": an unwind
//! entry covers what was asked for and reads as one by gimli's own means; code,
//! names and literals are within their limits; asking twice is answered the same.
#![cfg_attr(fuzzing, no_main)]

#[path = "common.rs"]
mod common;

use epicore::address::Addr;
use epicore::elfcore::Machine;
use epicore::limits;
use epicore::memory::Image;
use epicore::module::{Entry, Kind, Modules, Origin, build_id_of, debug_frame, eh_frame};
use epicore::process::Mapping;
use gimli::UnwindSection;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

const CODE: Addr = Addr(0x40_0000);

pub fn run(data: &[u8]) {
    let mut input = common::Input(data);
    let (options, linked, file) = (input.u8(), input.u64(), input.0);
    let machine = if options & 1 == 0 { Machine::X86_64 } else { Machine::Aarch64 };
    let mapping = Mapping {
        range: CODE.range(file.len() as u64).unwrap_or_default(),
        path: if options & 4 == 0 { b"/file".to_vec() } else { b"[vdso]".to_vec() },
        executable: true,
        ..Mapping::default()
    };
    let image = Image::new(vec![(CODE, file.to_vec())]);
    let (mut modules, _) = Modules::assemble(&[mapping], &image, None, machine);
    let origin = if options & 2 == 0 { Origin::Mapped } else { Origin::CleanPath };
    if !modules.is_empty() {
        modules.attach(0, common::file(file), origin);
    }
    let _ = build_id_of(common::file(file));
    let Some(module) = modules.get(0) else { return };
    assert!(module.build_id.as_ref().is_none_or(|id| id.len() <= limits::MODULE_TABLE));
    let mut asked = vec![linked];
    for at in 0..4 {
        let Some(pc) = asked.get(at).copied() else { break };
        let Some(entry) = modules.unwind_entry(0, pc) else { continue };
        check(&entry, machine, pc);
        assert_eq!(modules.unwind_entry(0, pc), Some(entry.clone()));
        asked.extend([entry.start, entry.end.wrapping_sub(1), entry.end]);
    }
    for pc in asked {
        if let Some((start, size)) = modules.symbol_extent(0, pc) {
            assert!(start == pc || start <= pc && pc < start.saturating_add(size));
        }
        let name = modules.symbol(0, pc).or(modules.dynamic_symbol(0, pc)).unwrap_or_default();
        assert!(name.len() <= limits::SYMBOL_NAME);
        let identity = modules.function_identity(0, pc, 64, &image);
        assert_eq!(modules.function_identity(0, pc, 64, &image), identity);
        assert!(modules.file_code(0, pc, 4096).is_none_or(|code| code.len() <= 4096));
        let _ = modules.panic_location(module.mapped(pc));
    }
    let _ = modules.variable(0, b"__abort_msg");
    assert!(modules.literals(0, limits::LITERALS).is_none_or(|bytes| bytes.len() <= file.len()));
    let _ = modules.gaps();
}

fn check(entry: &Entry, machine: Machine, pc: u64) {
    assert!(entry.start <= pc && pc < entry.end);
    assert!(entry.bytes.len() <= 2 * limits::CFI_ENTRY);
    let (start, end) = match entry.kind {
        Kind::EhFrame => {
            let section = eh_frame(entry.slice(), machine);
            let fde =
                section.fde_from_offset(&entry.bases(), entry.fde.into(), gimli::EhFrame::cie_from_offset);
            fde.map(|fde| (fde.initial_address(), fde.end_address()))
        }
        Kind::DebugFrame => {
            let section = debug_frame(entry.slice(), machine);
            let cie = gimli::DebugFrame::cie_from_offset;
            let fde = section.fde_from_offset(&entry.bases(), entry.fde.into(), cie);
            fde.map(|fde| (fde.initial_address(), fde.end_address()))
        }
    }
    .expect("it was read before");
    assert_eq!((start, end), (entry.start, entry.end));
}
