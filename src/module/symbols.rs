//! Names of functions: .dynsym, which strip leaves, and .symtab, which it
//! takes away.
//!
//! Gives: [`Symbols`], functions sorted by address. Trusts: nothing; at most
//! [`limits::SYMBOLS`] entries, names of at most [`limits::SYMBOL_NAME`].
//! Keys are made of .dynsym only, because they must survive strip; .symtab
//! only tells where a function begins that has no FDE. Matches
//! `readelf --dyn-syms`. Of several names at one address the same one is
//! taken in every build: fewest leading underscores, then the alphabet.

use super::dynamic::Dynamic;
use super::elf::Headers;
use super::sections;
use super::source::Source;
use crate::bytes::Bytes;
use crate::limits;

/// Bytes of one Elf64_Sym.
const SYM: usize = 24;
/// STT_FUNC and STT_GNU_IFUNC.
const FUNCTIONS: [u8; 2] = [2, 10];

/// Functions of one symbol table.
#[derive(Debug, Default)]
pub(super) struct Symbols {
    /// (value, size, offset in the string table), sorted by value.
    functions: Vec<(u64, u64, u32)>,
    /// Where the strings are.
    strings: Place,
}

/// A place in a module: an address as linked, or an offset in its file.
#[derive(Clone, Copy, Debug)]
enum Place {
    Virtual(u64),
    File(u64),
}

impl Default for Place {
    fn default() -> Place {
        Place::File(u64::MAX)
    }
}

impl Place {
    fn read(self, source: &Source, headers: &Headers, at: u64, length: usize) -> Option<Vec<u8>> {
        match self {
            Place::Virtual(start) => source.virtual_bytes(headers, start.checked_add(at)?, length),
            Place::File(start) => source.file(start.checked_add(at)?, length),
        }
    }
}

impl Symbols {
    /// .dynsym, through PT_DYNAMIC; empty when there is none.
    pub(super) fn dynamic(source: &Source, headers: &Headers) -> Symbols {
        read_dynamic(source, headers).unwrap_or_default()
    }

    /// .symtab, through the section headers; empty when there is none.
    pub(super) fn full(source: &Source, headers: &Headers) -> Symbols {
        let Ok(Some(table)) = sections::find(source, headers, b".symtab") else { return Symbols::default() };
        let Some(strings) = sections::nth(source, headers, table.link) else { return Symbols::default() };
        let count = usize::try_from(table.size).unwrap_or(0).checked_div(SYM).unwrap_or(0);
        read(source, headers, Place::File(table.offset), count, Place::File(strings.offset))
    }

    /// Functions that cover `vaddr`, nearest start first taken: (start, size).
    pub(super) fn covering(&self, vaddr: u64) -> Option<(u64, u64)> {
        let behind = self.functions.partition_point(|(value, ..)| *value <= vaddr);
        let start = self.functions.get(behind.checked_sub(1)?)?.0;
        let size = self.at(start).map(|(_, size, _)| *size).max()?;
        (vaddr == start || vaddr < start.saturating_add(size)).then_some((start, size))
    }

    fn at(&self, start: u64) -> impl Iterator<Item = &(u64, u64, u32)> {
        let first = self.functions.partition_point(|(value, ..)| *value < start);
        self.functions.iter().skip(first).take_while(move |(value, ..)| *value == start).take(64)
    }

    /// The name of the function that begins exactly at `start`.
    pub(super) fn name(&self, source: &Source, headers: &Headers, start: u64) -> Option<Vec<u8>> {
        self.at(start)
            .filter_map(|(_, _, name)| {
                let text = string(self.strings, source, headers, u64::from(*name))?;
                let underscores = text.iter().take_while(|b| **b == b'_').count();
                Some((underscores, text))
            })
            .min()
            .map(|(_, text)| text)
    }
}

fn string(place: Place, source: &Source, headers: &Headers, at: u64) -> Option<Vec<u8>> {
    let mut length = 64usize;
    loop {
        // Near the end of the segment or file a full-length read fails: halve.
        let mut size = length;
        let bytes = loop {
            match place.read(source, headers, at, size) {
                Some(bytes) => break bytes,
                None if size > 1 => size /= 2,
                None => return None,
            }
        };
        let text = Bytes::new(&bytes).until_nul();
        if text.len() < bytes.len() {
            return (!text.is_empty()).then(|| text.as_slice().to_vec());
        }
        if size < length && size < 16 || length >= limits::SYMBOL_NAME {
            return None;
        }
        length = length.checked_mul(4)?.min(limits::SYMBOL_NAME);
    }
}

fn read(source: &Source, headers: &Headers, table: Place, count: usize, strings: Place) -> Symbols {
    let mut symbols = Symbols { functions: Vec::new(), strings };
    let mut at = 0u64;
    let mut left = count.min(limits::SYMBOLS);
    while left > 0 {
        // 2,730 symbols at a time: 64 KiB.
        let some = left.min(2730);
        let Some(bytes) = some.checked_mul(SYM).and_then(|n| table.read(source, headers, at, n)) else {
            break;
        };
        symbols.keep(Bytes::new(&bytes));
        at = at.saturating_add(bytes.len() as u64);
        left = left.saturating_sub(some);
    }
    symbols.functions.sort_unstable();
    symbols
}

impl Symbols {
    fn keep(&mut self, mut table: Bytes<'_>) {
        while let Some(symbol) = table.take(SYM) {
            let (Some(name), Some(info), Some(section)) = (symbol.u32(0), symbol.u8(4), symbol.u16(6)) else {
                break;
            };
            let (Some(value), Some(size)) = (symbol.u64(8), symbol.u64(16)) else { break };
            if FUNCTIONS.contains(&(info & 0xf)) && section != 0 && value != 0 {
                self.functions.push((value, size, name));
            }
        }
    }
}

fn read_dynamic(source: &Source, headers: &Headers) -> Option<Symbols> {
    let dynamic = Dynamic::read(source, headers)?;
    let count = dynamic.count(source, headers)?;
    Some(read(source, headers, Place::Virtual(dynamic.symbols?), count, Place::Virtual(dynamic.strings?)))
}
