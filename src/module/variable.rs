//! One variable by its name, and the literals of a module.
//!
//! Gives: [`Modules::variable`], through DT_GNU_HASH (binutils' gnu_hash; no
//! table is read whole), and [`Modules::literals`], .rodata of the file. Trusts:
//! nothing; chains of at most [`limits::SYMBOL_CHAIN`].

use super::elf::Headers;
use super::layout::Modules;
use super::sections;
use super::source::Source;
use crate::address::Addr;
use crate::bytes::Bytes;
use crate::limits;

impl Modules {
    /// Where the module's dynamic symbol of this name is in memory.
    pub fn variable(&self, index: usize, name: &[u8]) -> Option<Addr> {
        let module = self.get(index)?;
        find(&module.source, &module.headers, name).map(|value| module.mapped(value))
    }

    /// The first bytes of the module's read-only data, from its file.
    pub fn literals(&self, index: usize, most: usize) -> Option<Vec<u8>> {
        let module = self.get(index).filter(|module| !module.flags.no_file)?;
        let section = sections::find(&module.source, &module.headers, b".rodata").ok()??;
        let length = usize::try_from(section.size).ok()?.min(most);
        module.source.file(section.offset, length)
    }
}

/// The hash of DT_GNU_HASH: h * 33 + c from 5381.
fn hash(name: &[u8]) -> u32 {
    name.iter().fold(5381u32, |hash, byte| hash.wrapping_mul(33).wrapping_add(u32::from(*byte)))
}

fn find(source: &Source, headers: &Headers, name: &[u8]) -> Option<u64> {
    let dynamic = headers.dynamic?;
    let size = usize::try_from(dynamic.file_size).ok()?.min(limits::MODULE_TABLE);
    let bytes = source.virtual_bytes(headers, dynamic.vaddr, size)?;
    let mut entries = Bytes::new(&bytes);
    let (mut table, mut strings, mut hashes) = (None, None, None);
    while let (Some(tag), Some(value)) = (entries.take_u64(), entries.take_u64()) {
        match tag {
            0 => break,
            5 => strings = Some(value),
            6 => table = Some(value),
            0x6fff_fef5 => hashes = Some(value),
            _ => {}
        }
    }
    let (table, strings, hashes): (u64, u64, u64) = (table?, strings?, hashes?);
    let word = |at: u64| Bytes::new(&source.virtual_bytes(headers, at, 4)?).u32(0);
    let head = source.virtual_bytes(headers, hashes, 16)?;
    let head = Bytes::new(&head);
    let (buckets, first) = (u64::from(head.u32(0)?), head.u32(4)?);
    let start = hashes.checked_add(16)?.checked_add(u64::from(head.u32(8)?).checked_mul(8)?)?;
    let wanted = hash(name);
    let bucket = u64::from(wanted).checked_rem(buckets)?;
    let chains = start.checked_add(buckets.checked_mul(4)?)?;
    let mut index = word(start.checked_add(bucket.checked_mul(4)?)?)?;
    for _ in 0..limits::SYMBOL_CHAIN {
        let link = word(chains.checked_add(u64::from(index.checked_sub(first)?).checked_mul(4)?)?)?;
        if link | 1 == wanted | 1 {
            let at = table.checked_add(u64::from(index).checked_mul(24)?)?;
            let symbol = source.virtual_bytes(headers, at, 24)?;
            let symbol = Bytes::new(&symbol);
            let text = strings.checked_add(u64::from(symbol.u32(0)?))?;
            let found = source.virtual_bytes(headers, text, name.len().checked_add(1)?)?;
            if found.split_last() == Some((&0, name)) {
                return symbol.u64(8).filter(|value| *value != 0);
            }
        }
        if link & 1 != 0 {
            return None;
        }
        index = index.checked_add(1)?;
    }
    None
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
