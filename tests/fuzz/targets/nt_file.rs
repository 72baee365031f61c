//! NT_FILE: which file stands behind which addresses, in the process's own words
//! (`elfcore`), and the modules that are made of it (`module::Modules`).
//!
//! Input: the descriptor of the note. Beside "no crash": as many entries as a
//! second reader finds, damaged ones left out and told; paths within PATH_MAX;
//! at most the named number of modules, each with code; an address is in a module
//! exactly when it is mapped by one of its mappings.
#![cfg_attr(fuzzing, no_main)]

#[path = "../../support/core_builder.rs"]
mod core_builder;

use core_builder::CoreBuilder;
use epicore::elfcore::Machine;
use epicore::limits;
use epicore::memory::{Image, Stream};
use epicore::module::{CodeClass, Modules};
use epicore::process::Mapping;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

pub fn run(data: &[u8]) {
    if data.is_empty() {
        return;
    }
    let core = CoreBuilder::default().note(b"CORE", 0x4649_4c45, data).build();
    let head = Stream::new(core.as_slice()).head();
    let files = head.files.expect("the note was there");
    let (expected, damaged) = expected(data);
    assert_eq!(files.len(), expected.len());
    for (file, (start, end, offset, path)) in files.iter().zip(expected) {
        assert_eq!((file.range.start.0, file.range.end.0, file.offset), (start, end, offset));
        assert_eq!(file.path, path);
    }
    assert_eq!(damaged, head.gaps.iter().any(|gap| gap.reason == "NT_FILE is damaged"));
    // Every second mapping has code, as about half of all do.
    let mappings = files.iter().enumerate().map(|(index, file)| Mapping {
        range: file.range,
        offset: file.offset,
        path: file.path.clone(),
        executable: index % 2 == 1,
        ..Mapping::default()
    });
    let mappings: Vec<Mapping> = mappings.collect();
    let (modules, _) = Modules::assemble(&mappings, &Image::default(), None, Machine::X86_64);
    assert!(modules.len() <= limits::MODULES);
    assert!(modules.iter().all(|module| !module.executable.is_empty() && !module.path.is_empty()));
    for mapping in mappings.iter().take(64).filter(|mapping| !mapping.range.is_empty()) {
        assert_ne!(modules.code_class(mapping.range.start), CodeClass::Unmapped);
        if let Some((_, module)) = modules.find(mapping.range.start) {
            assert!(module.range.contains(mapping.range.start));
        }
    }
}

type Entry<'a> = (u64, u64, u64, &'a [u8]);

/// core(5), once more: what is whole, and whether something is not.
fn expected(data: &[u8]) -> (Vec<Entry<'_>>, bool) {
    let number = |at: usize| data.get(at..at + 8).map(|b| u64::from_le_bytes(b.try_into().unwrap()));
    let (Some(count), Some(unit)) = (number(0), number(8)) else { return (Vec::new(), true) };
    let fits = (data.len() as u64 - 16) / 24;
    let mut damaged = count > fits;
    let count = count.min(fits) as usize;
    let mut names = data[16 + count * 24..].split_inclusive(|byte| *byte == 0);
    let mut entries = Vec::new();
    for index in 0..count {
        let Some(name) = names.next().and_then(|name| name.strip_suffix(&[0])) else {
            damaged = true;
            break;
        };
        let field = |field: usize| number(16 + index * 24 + field * 8).unwrap();
        match field(2).checked_mul(unit) {
            Some(offset) if field(0) <= field(1) => {
                entries.push((field(0), field(1), offset, &name[..name.len().min(limits::PATH)]));
            }
            _ => damaged = true,
        }
    }
    (entries, damaged)
}
