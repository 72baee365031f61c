//! Section headers, for the modules whose program headers do not suffice.
//!
//! Gives: [`find`], a section by name. Trusts: nothing; at most
//! [`limits::SECTION_HEADERS`] are looked at. Matches `readelf -SW`.

use goblin::elf::section_header::{SHF_COMPRESSED, SHT_NOBITS};

use super::elf::Headers;
use super::source::Source;
use crate::bytes::Bytes;
use crate::limits;

/// Bytes of one section header.
const SHDR: usize = 64;

/// Where a section stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Section {
    /// sh_addr.
    pub(super) address: u64,
    /// sh_offset.
    pub(super) offset: u64,
    /// sh_size.
    pub(super) size: u64,
    /// sh_link.
    pub(super) link: usize,
}

fn table(source: &Source, headers: &Headers) -> Option<(Vec<u8>, usize)> {
    let (offset, count, names) = headers.sections;
    let count = count.min(limits::SECTION_HEADERS);
    (offset > 0 && count > 0).then_some(())?;
    Some((source.file(offset, count.checked_mul(SHDR)?)?, names))
}

fn section(table: Bytes<'_>, index: usize) -> Option<(Section, u32, u32, u64)> {
    let header = table.range(index.checked_mul(SHDR)?, SHDR)?;
    let section = Section {
        address: header.u64(16)?,
        offset: header.u64(24)?,
        size: header.u64(32)?,
        link: usize::try_from(header.u32(40)?).ok()?,
    };
    Some((section, header.u32(0)?, header.u32(4)?, header.u64(8)?))
}

/// The section of this name; `Err` when it is there but compressed.
pub(super) fn find(source: &Source, headers: &Headers, name: &[u8]) -> Result<Option<Section>, &'static str> {
    let Some((bytes, names)) = table(source, headers) else { return Ok(None) };
    let bytes = Bytes::new(&bytes);
    let Some((strings, ..)) = section(bytes, names) else { return Ok(None) };
    let mut wanted = name.to_vec();
    wanted.push(0);
    for index in 0..limits::SECTION_HEADERS {
        let Some((found, at, kind, flags)) = section(bytes, index) else { break };
        let text = strings.offset.checked_add(u64::from(at)).and_then(|at| source.file(at, wanted.len()));
        if kind == SHT_NOBITS || found.size == 0 || text.as_deref() != Some(&wanted) {
            continue;
        }
        if flags & u64::from(SHF_COMPRESSED) != 0 {
            return Err("unwind section is compressed");
        }
        return Ok(Some(found));
    }
    Ok(None)
}

/// The section of this index.
pub(super) fn nth(source: &Source, headers: &Headers, index: usize) -> Option<Section> {
    let (bytes, _) = table(source, headers)?;
    section(Bytes::new(&bytes), index).map(|(section, ..)| section)
}
