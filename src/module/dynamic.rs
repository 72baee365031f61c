//! PT_DYNAMIC: where a module's symbols are, and how they are hashed.
//!
//! Gives: [`Dynamic`] — the number of symbols, which no table states outright,
//! and one symbol by its name. Shapes: elf(5), binutils' DT_GNU_HASH. Trusts:
//! nothing; chains of at most [`limits::SYMBOL_CHAIN`], tables of at most
//! [`limits::SYMBOLS`].

use super::elf::Headers;
use super::source::Source;
use crate::bytes::Bytes;
use crate::elfcore::Machine;
use crate::limits;

/// elf.h.
const DT_HASH: u64 = 4;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_RELA: u64 = 7;
const DT_GNU_HASH: u64 = 0x6fff_fef5;
const DT_RELACOUNT: u64 = 0x6fff_fff9;
const R_X86_64_RELATIVE: u64 = 8;
const R_AARCH64_RELATIVE: u64 = 1027;
/// Bytes of one Elf64_Rela.
const RELA: u64 = 24;
/// Bytes of one Elf64_Sym, and where st_value is in it.
const SYM: u64 = 24;
const ST_VALUE: usize = 8;

/// The addresses that it tells, as linked.
#[derive(Debug, Default)]
pub(super) struct Dynamic {
    pub(super) symbols: Option<u64>,
    pub(super) strings: Option<u64>,
    hash: Option<u64>,
    gnu_hash: Option<u64>,
    relocations: Option<u64>,
    relatives: Option<u64>,
}

/// The head of DT_GNU_HASH, and where its tables are.
struct GnuHash {
    /// Number of buckets; never 0.
    buckets: u64,
    /// The first symbol that is hashed.
    first: u64,
    /// The table of buckets, behind the Bloom filter.
    start: u64,
    /// Chains, one word per hashed symbol.
    chains: u64,
}

impl Dynamic {
    pub(super) fn read(source: &Source, headers: &Headers) -> Option<Dynamic> {
        let segment = headers.dynamic?;
        let size = usize::try_from(segment.file_size).ok()?.min(limits::MODULE_TABLE);
        let bytes = source.virtual_bytes(headers, segment.vaddr, size)?;
        let mut entries = Bytes::new(&bytes);
        let mut dynamic = Dynamic::default();
        while let (Some(tag), Some(value)) = (entries.take_u64(), entries.take_u64()) {
            match tag {
                0 => break,
                DT_HASH => dynamic.hash = Some(value),
                DT_STRTAB => dynamic.strings = Some(value),
                DT_SYMTAB => dynamic.symbols = Some(value),
                DT_RELA => dynamic.relocations = Some(value),
                DT_GNU_HASH => dynamic.gnu_hash = Some(value),
                DT_RELACOUNT => dynamic.relatives = Some(value),
                _ => {}
            }
        }
        Some(dynamic)
    }

    /// How many symbols there are.
    pub(super) fn count(&self, source: &Source, headers: &Headers) -> Option<usize> {
        let gnu = || GnuHash::read(source, headers, self.gnu_hash?)?.count(source, headers);
        gnu().or_else(|| {
            // DT_HASH: nchain is the number of symbols.
            let bytes = source.virtual_bytes(headers, self.hash?, 8)?;
            usize::try_from(Bytes::new(&bytes).u32(4)?).ok()
        })
    }

    /// st_value of the symbol of this name, unless it is 0.
    pub(super) fn lookup(&self, source: &Source, headers: &Headers, name: &[u8]) -> Option<u64> {
        let table = GnuHash::read(source, headers, self.gnu_hash?)?;
        let wanted = hash(name);
        let bucket = u64::from(wanted).checked_rem(table.buckets)?;
        let mut index = word(source, headers, table.start.checked_add(bucket.checked_mul(4)?)?)?;
        for _ in 0..limits::SYMBOL_CHAIN {
            let link = table.link(source, headers, u64::from(index))?;
            if link | 1 == wanted | 1 {
                let at = self.symbols?.checked_add(u64::from(index).checked_mul(SYM)?)?;
                let symbol = source.virtual_bytes(headers, at, usize::try_from(SYM).ok()?)?;
                let symbol = Bytes::new(&symbol);
                let text = self.strings?.checked_add(u64::from(symbol.u32(0)?))?;
                let found = source.virtual_bytes(headers, text, name.len().checked_add(1)?)?;
                if found.split_last() == Some((&0, name)) {
                    return symbol.u64(ST_VALUE).filter(|value| *value != 0);
                }
            }
            if link & 1 != 0 {
                return None;
            }
            index = index.checked_add(1)?;
        }
        None
    }

    /// The address, as linked, that the loader puts at `at`: the addend of a
    /// relative relocation. Linkers put those first, sorted.
    pub(super) fn relative(
        &self,
        source: &Source,
        headers: &Headers,
        at: u64,
        machine: Machine,
    ) -> Option<u64> {
        let kind = match machine {
            Machine::X86_64 => R_X86_64_RELATIVE,
            Machine::Aarch64 => R_AARCH64_RELATIVE,
        };
        let table = self.relocations?;
        let (mut low, mut high) = (0u64, self.relatives?.min(limits::SYMBOLS as u64));
        while low < high {
            let middle = low.midpoint(high);
            let entry = source.virtual_bytes(
                headers,
                table.checked_add(middle.checked_mul(RELA)?)?,
                usize::try_from(RELA).ok()?,
            )?;
            let entry = Bytes::new(&entry);
            let offset = entry.u64(0)?;
            if offset == at {
                return (entry.u64(8)? == kind).then(|| entry.u64(16)).flatten();
            }
            if offset < at {
                low = middle.saturating_add(1);
            } else {
                high = middle;
            }
        }
        None
    }
}

impl GnuHash {
    fn read(source: &Source, headers: &Headers, at: u64) -> Option<GnuHash> {
        let head = source.virtual_bytes(headers, at, 16)?;
        let head = Bytes::new(&head);
        let buckets = u64::from(head.u32(0)?).min(limits::SYMBOLS as u64);
        let start = at.checked_add(16)?.checked_add(u64::from(head.u32(8)?).checked_mul(8)?)?;
        let chains = start.checked_add(buckets.checked_mul(4)?)?;
        (buckets > 0).then_some(GnuHash { buckets, first: u64::from(head.u32(4)?), start, chains })
    }

    /// The word of one symbol: its hash, whose lowest bit ends the chain.
    fn link(&self, source: &Source, headers: &Headers, symbol: u64) -> Option<u32> {
        let at = self.chains.checked_add(symbol.checked_sub(self.first)?.checked_mul(4)?)?;
        word(source, headers, at)
    }

    /// The end of the chain that begins last.
    fn count(&self, source: &Source, headers: &Headers) -> Option<usize> {
        let length = usize::try_from(self.buckets.checked_mul(4)?).ok()?;
        let bytes = source.virtual_bytes(headers, self.start, length)?;
        let mut table = Bytes::new(&bytes);
        let mut last = 0u32;
        while let Some(bucket) = table.take_u32() {
            last = last.max(bucket);
        }
        let mut index = u64::from(last);
        for _ in 0..limits::SYMBOLS {
            let link = self.link(source, headers, index)?;
            index = index.checked_add(1)?;
            if link & 1 != 0 {
                return usize::try_from(index).ok();
            }
        }
        None
    }
}

fn word(source: &Source, headers: &Headers, at: u64) -> Option<u32> {
    Bytes::new(&source.virtual_bytes(headers, at, 4)?).u32(0)
}

/// The hash of DT_GNU_HASH: h * 33 + c from 5381.
fn hash(name: &[u8]) -> u32 {
    name.iter().fold(5381u32, |hash, byte| hash.wrapping_mul(33).wrapping_add(u32::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_gnu_linker() {
        // readelf --gnu-hash of an object with these two.
        assert_eq!(hash(b""), 0x0000_1505);
        assert_eq!(hash(b"printf"), 0x156b_2bb8);
        assert_eq!(hash(b"exit"), 0x7c96_7e3f);
    }
}
