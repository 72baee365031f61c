//! The function that holds an address, from one module's symbol table.
//!
//! What it gives: for offsets in an ELF file, the FUNC symbols around them.
//! What it trusts: nothing; the file may be hostile, or change while it is
//! read. Limits: limits::MODULE_FILE, SECTIONS, NAMED_SYMBOLS, SYMBOL_NAME; the
//! table streams past in chunks, so memory stays below 1 MiB. Never mmap: a
//! file cut short under a mapping is SIGBUS. Constants are goblin's; its
//! parser reads whole files and is not for this. 64-bit little-endian only.

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use goblin::elf::note::NT_GNU_BUILD_ID;
use goblin::elf::section_header::{SHT_DYNSYM, SHT_NOTE, SHT_SYMTAB};
use goblin::elf::sym::{STB_GLOBAL, STT_FUNC, STT_GNU_IFUNC};

use crate::bytes::Bytes;
use crate::limits;
use crate::process::open_by_path;

/// One symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Symbol {
    /// As it stands in the string table.
    pub(super) name: String,
    /// st_value: an offset from the module's bias.
    pub(super) start: u64,
}

/// An ELF file, open for bounded reads.
#[derive(Debug)]
pub(super) struct Module {
    file: File,
    size: u64,
    sections: Vec<Section>,
}

#[derive(Clone, Copy, Debug)]
struct Section {
    kind: u32,
    offset: u64,
    size: u64,
    link: u32,
}

const SYMBOL_SIZE: u64 = 24;
const CHUNK: u64 = SYMBOL_SIZE * 4096;
const NOTE_BYTES: u64 = 64 << 10;
/// How far a function reaches that does not say its size (assembly).
const UNSIZED: u64 = 4096;

impl Module {
    /// Opens a file by a path that a crashed process chose, under the rules of
    /// the handler itself.
    pub(super) fn open(path: &Path) -> Option<Module> {
        let file = open_by_path(path.as_os_str().as_bytes())?;
        let size = file.metadata().ok()?.len();
        let mut module = Module { file, size, sections: Vec::new() };
        module.sections = module.section_headers()?;
        Some(module)
    }

    fn read(&self, offset: u64, length: u64) -> Option<Vec<u8>> {
        if offset.checked_add(length)? > self.size {
            return None;
        }
        let mut bytes = vec![0; usize::try_from(length).ok()?];
        self.file.read_exact_at(&mut bytes, offset).ok()?;
        Some(bytes)
    }

    fn section_headers(&self) -> Option<Vec<Section>> {
        let head = self.read(0, 64)?;
        let head = Bytes::new(&head);
        let elf64_little = head.range(0, 6)?.as_slice() == b"\x7fELF\x02\x01";
        if !elf64_little || head.u16(0x3a)? != 64 {
            return None;
        }
        let count = usize::from(head.u16(0x3c)?).min(limits::SECTIONS);
        let table = self.read(head.u64(0x28)?, u64::try_from(count.checked_mul(64)?).ok()?)?;
        let table = Bytes::new(&table);
        (0..count).map(|i| Section::parse(table.range(i.checked_mul(64)?, 64)?)).collect()
    }

    /// NT_GNU_BUILD_ID, from the note sections.
    pub(super) fn build_id(&self) -> Option<Vec<u8>> {
        let notes = self.sections.iter().filter(|s| s.kind == SHT_NOTE && s.size <= NOTE_BYTES);
        notes.take(16).find_map(|s| build_id(Bytes::new(&self.read(s.offset, s.size)?)))
    }

    /// True when the file has the full symbol table, not the dynamic one only.
    pub(super) fn is_unstripped(&self) -> bool {
        self.sections.iter().any(|s| s.kind == SHT_SYMTAB)
    }

    /// The functions around `offsets`, which are sorted; in the same order.
    pub(super) fn functions(&self, offsets: &[u64]) -> Vec<Option<Symbol>> {
        let mut best = vec![Candidate::default(); offsets.len()];
        for kind in [SHT_SYMTAB, SHT_DYNSYM] {
            if let Some(table) = self.sections.iter().find(|s| s.kind == kind) {
                let _ = self.search(table, offsets, &mut best);
            }
        }
        best.iter().map(|found| self.name(found)).collect()
    }

    /// Streams one table past the offsets.
    fn search(&self, table: &Section, offsets: &[u64], best: &mut [Candidate]) -> Option<()> {
        let strings = *self.sections.get(usize::try_from(table.link).ok()?)?;
        let mut left = table.size.min(limits::NAMED_SYMBOLS.saturating_mul(SYMBOL_SIZE));
        let mut at = table.offset;
        while left >= SYMBOL_SIZE {
            let length = left.min(CHUNK) / SYMBOL_SIZE * SYMBOL_SIZE;
            let chunk = self.read(at, length)?;
            let mut bytes = Bytes::new(&chunk);
            while let Some(symbol) = bytes.take(24) {
                consider(symbol, &strings, offsets, best);
            }
            at = at.checked_add(length)?;
            left -= length;
        }
        Some(())
    }

    fn name(&self, found: &Candidate) -> Option<Symbol> {
        let strings = found.strings?;
        let left = strings.size.checked_sub(u64::from(found.name))?;
        let at = strings.offset.checked_add(u64::from(found.name))?;
        let most = left.min(limits::SYMBOL_NAME as u64).min(self.size.checked_sub(at)?);
        let bytes = self.read(at, most)?;
        let name = String::from_utf8_lossy(Bytes::new(&bytes).until_nul().as_slice()).into_owned();
        (!name.is_empty()).then_some(Symbol { name, start: found.start })
    }
}

impl Section {
    fn parse(header: Bytes<'_>) -> Option<Section> {
        Some(Section {
            kind: header.u32(4)?,
            offset: header.u64(0x18)?,
            size: header.u64(0x20)?,
            link: header.u32(0x28)?,
        })
    }
}

/// The best symbol so far for one offset.
#[derive(Clone, Copy, Debug, Default)]
struct Candidate {
    strings: Option<Section>,
    name: u32,
    start: u64,
    sized: bool,
    global: bool,
}

fn consider(symbol: Bytes<'_>, strings: &Section, offsets: &[u64], best: &mut [Candidate]) -> Option<()> {
    let info = symbol.u8(4)?;
    let function = matches!(info & 0xf, STT_FUNC | STT_GNU_IFUNC);
    let (name, start, size) = (symbol.u32(0)?, symbol.u64(8)?, symbol.u64(16)?);
    if !function || symbol.u16(6)? == 0 || name == 0 {
        return None;
    }
    let new =
        Candidate { strings: Some(*strings), name, start, sized: size > 0, global: info >> 4 == STB_GLOBAL };
    let end = start.saturating_add(if size == 0 { UNSIZED } else { size });
    let from = offsets.partition_point(|offset| *offset < start);
    let inside = offsets.iter().zip(best.iter_mut()).skip(from).take_while(|(offset, _)| **offset < end);
    let rank = |c: &Candidate| (c.strings.is_some(), c.sized, c.start, c.global);
    for (_, old) in inside.filter(|(_, old)| rank(&new) > rank(old)) {
        *old = new;
    }
    Some(())
}

fn build_id(mut notes: Bytes<'_>) -> Option<Vec<u8>> {
    let padded = |size: u32| usize::try_from(size).ok()?.checked_next_multiple_of(4);
    while !notes.is_empty() {
        let (name_size, size, kind) = (notes.take_u32()?, notes.take_u32()?, notes.take_u32()?);
        let name = notes.take(padded(name_size)?)?;
        let length = usize::try_from(size).ok()?;
        let desc = notes.take(padded(size)?.min(notes.len()))?;
        if kind == NT_GNU_BUILD_ID && name.as_slice() == b"GNU\0" {
            return Some(desc.range(0, length)?.as_slice().to_vec());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_regular_file_is_never_opened_for_reading() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("libc.so.6");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        // An open for reading would wait here for a writer, for ever.
        assert!(Module::open(&fifo).is_none());
        assert!(Module::open(Path::new("/dev/zero")).is_none());
        assert!(Module::open(dir.path()).is_none());
    }

    #[test]
    fn our_own_executable_names_its_functions() {
        let module = Module::open(&std::env::current_exe().unwrap()).unwrap();
        let table = module.sections.iter().find(|s| s.kind == SHT_SYMTAB).unwrap();
        let bytes = module.read(table.offset, table.size).unwrap();
        let symbols = bytes.chunks(24).map(Bytes::new);
        let sized = |s: &Bytes<'_>| s.u8(4).unwrap() & 0xf == STT_FUNC && s.u64(16).unwrap() > 8;
        let mut starts: Vec<u64> = symbols.filter(sized).map(|s| s.u64(8).unwrap()).take(500).collect();
        starts.sort_unstable();
        starts.dedup();
        let inside: Vec<u64> = starts.iter().map(|start| start + 3).collect();
        let found = module.functions(&inside);
        for (start, symbol) in starts.iter().zip(found) {
            assert_eq!(symbol.map(|s| s.start), Some(*start));
        }
    }

    proptest! {
        #[test]
        fn a_hostile_file_is_read_without_harm(mut bytes in proptest::collection::vec(any::<u8>(), 64..4096)) {
            bytes.splice(..6, *b"\x7fELF\x02\x01");
            // Section headers right behind the file header, some of them, sane in size.
            bytes.splice(0x28..0x30, 64u64.to_le_bytes());
            bytes.splice(0x3a..0x3e, [64, 0, (bytes.len() / 64 - 1) as u8, 0]);
            for header in 1..bytes.len() / 64 {
                let kinds = [SHT_SYMTAB, SHT_DYNSYM, SHT_NOTE];
                bytes.splice(header * 64 + 4..header * 64 + 8, kinds[header % 3].to_le_bytes());
                bytes.splice(header * 64 + 26..header * 64 + 32, [0; 6]);
                bytes.splice(header * 64 + 34..header * 64 + 40, [0; 6]);
            }
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &bytes).unwrap();
            if let Some(module) = Module::open(file.path()) {
                let _ = (module.build_id(), module.functions(&[0, 1, 0x1000, u64::MAX]));
            }
        }
    }
}
