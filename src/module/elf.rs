//! The headers of an ELF64 little-endian object, from its first bytes.
//!
//! Gives: [`Headers`], what the program headers say about addresses, unwind
//! tables, notes and the dynamic section, and where the section headers are.
//! Trusts: nothing; at most [`limits::PROGRAM_HEADERS`] entries, and those
//! that were cut off are not there. Matches `readelf -lW`.

use goblin::elf::header::{EI_CLASS, EI_DATA, ELFCLASS64, ELFDATA2LSB, ELFMAG, ET_DYN, ET_EXEC};
use goblin::elf::program_header::{PF_X, PT_DYNAMIC, PT_GNU_EH_FRAME, PT_LOAD, PT_NOTE};

use crate::bytes::Bytes;
use crate::limits;

/// Bytes of the file header.
const EHDR: usize = 64;
/// Bytes of one program header.
const PHDR: usize = 56;
/// The unit in which segments are mapped: offsets and addresses are congruent
/// modulo at least this.
const PAGE: u64 = 4096;

/// One program header, by what it describes: virtual addresses as linked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    /// p_vaddr.
    pub(super) vaddr: u64,
    /// p_offset.
    pub(super) offset: u64,
    /// p_filesz.
    pub(super) file_size: u64,
    /// p_memsz.
    pub(super) mem_size: u64,
    /// p_flags has PF_X.
    pub(super) executable: bool,
    /// p_align.
    pub(super) align: u64,
}

/// What the headers say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Headers {
    /// e_type is ET_EXEC: linked to fixed addresses.
    pub(super) fixed: bool,
    /// PT_LOAD, in their order.
    pub(super) loads: Vec<Extent>,
    /// PT_GNU_EH_FRAME.
    pub(super) eh_frame_hdr: Option<Extent>,
    /// PT_DYNAMIC.
    pub(super) dynamic: Option<Extent>,
    /// PT_NOTE.
    pub(super) notes: Vec<Extent>,
    /// e_shoff, e_shnum, e_shstrndx.
    pub(super) sections: (u64, usize, usize),
}

/// True when the bytes begin as an ELF64 little-endian object.
pub(super) fn is_elf(head: Bytes<'_>) -> bool {
    head.range(0, 4).is_some_and(|m| m.as_slice() == ELFMAG)
        && head.u8(EI_CLASS) == Some(ELFCLASS64)
        && head.u8(EI_DATA) == Some(ELFDATA2LSB)
}

/// How many bytes from the start the program headers reach to.
pub(super) fn headers_end(head: Bytes<'_>) -> Option<usize> {
    let start = usize::try_from(head.u64(32)?).ok()?;
    let count = usize::from(head.u16(56)?).min(limits::PROGRAM_HEADERS);
    start.checked_add(count.checked_mul(PHDR)?)
}

impl Headers {
    /// From the first bytes of the object; `None` when it is no object that
    /// could be loaded.
    pub(super) fn parse(head: Bytes<'_>) -> Option<Headers> {
        if !is_elf(head) || head.len() < EHDR || head.u16(54)? != 56 {
            return None;
        }
        let kind = head.u16(16)?;
        if kind != ET_EXEC && kind != ET_DYN {
            return None;
        }
        let sections = (head.u64(40)?, usize::from(head.u16(60)?), usize::from(head.u16(62)?));
        let mut headers = Headers { fixed: kind == ET_EXEC, sections, ..Headers::default() };
        let mut table = head.tail(usize::try_from(head.u64(32)?).ok()?)?;
        for _ in 0..usize::from(head.u16(56)?).min(limits::PROGRAM_HEADERS) {
            let Some(entry) = table.take(PHDR) else { break };
            headers.add(entry)?;
        }
        (!headers.loads.is_empty()).then_some(headers)
    }

    fn add(&mut self, entry: Bytes<'_>) -> Option<()> {
        let extent = Extent {
            executable: entry.u32(4)? & PF_X != 0,
            offset: entry.u64(8)?,
            vaddr: entry.u64(16)?,
            file_size: entry.u64(32)?,
            mem_size: entry.u64(40)?,
            align: entry.u64(48)?,
        };
        match entry.u32(0)? {
            PT_LOAD if extent.mem_size > 0 => self.loads.push(extent),
            PT_GNU_EH_FRAME => self.eh_frame_hdr = Some(extent),
            PT_DYNAMIC => self.dynamic = Some(extent),
            PT_NOTE => self.notes.push(extent),
            _ => {}
        }
        Some(())
    }

    /// The load bias that puts file offset `offset` at `address`:
    /// `address − (p_vaddr + offset − p_offset)` of the PT_LOAD that covers
    /// it, modulo 2⁶⁴ (a prelinked object may be mapped below its addresses).
    pub(super) fn bias(&self, address: u64, offset: u64, executable: bool) -> Option<u64> {
        let covers = |load: &&Extent| {
            let start = load.offset & !PAGE.wrapping_sub(1);
            start <= offset && offset < load.offset.saturating_add(load.file_size.max(1))
        };
        let load = self
            .loads
            .iter()
            .find(|load| covers(load) && load.executable == executable)
            .or_else(|| self.loads.iter().find(covers))?;
        let vaddr = load.vaddr.wrapping_add(offset).wrapping_sub(load.offset);
        Some(address.wrapping_sub(vaddr))
    }

    /// The lowest and the highest virtual address, page-aligned outwards.
    pub(super) fn span(&self) -> (u64, u64) {
        let low = self.loads.iter().map(|l| l.vaddr).min().unwrap_or(0) & !PAGE.wrapping_sub(1);
        let high = self.loads.iter().map(|l| l.vaddr.saturating_add(l.mem_size)).max().unwrap_or(0);
        (low, high.saturating_add(PAGE.wrapping_sub(1)) & !PAGE.wrapping_sub(1))
    }

    /// How many bytes of the file are mapped from a virtual address on.
    pub(super) fn file_bytes(&self, vaddr: u64) -> Option<u64> {
        let end = |load: &Extent| load.vaddr.saturating_add(load.file_size);
        let load = self.loads.iter().find(|load| load.vaddr <= vaddr && vaddr < end(load))?;
        end(load).checked_sub(vaddr)
    }

    /// Where the `length` bytes at a virtual address stand in the file.
    pub(super) fn file_offset(&self, vaddr: u64, length: usize) -> Option<u64> {
        let end = vaddr.checked_add(u64::try_from(length).ok()?)?;
        let load =
            self.loads.iter().find(|l| l.vaddr <= vaddr && end <= l.vaddr.saturating_add(l.file_size))?;
        load.offset.checked_add(vaddr.checked_sub(load.vaddr)?)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::module) fn object(kind: u16, headers: &[(u32, u32, u64, u64, u64)]) -> Vec<u8> {
        let mut bytes = vec![0u8; EHDR];
        bytes[..4].copy_from_slice(b"\x7fELF");
        (bytes[4], bytes[5]) = (2, 1);
        bytes[16..18].copy_from_slice(&kind.to_le_bytes());
        bytes[32..40].copy_from_slice(&64u64.to_le_bytes());
        bytes[54..56].copy_from_slice(&56u16.to_le_bytes());
        bytes[56..58].copy_from_slice(&(headers.len() as u16).to_le_bytes());
        for (kind, flags, offset, vaddr, size) in headers {
            bytes.extend(kind.to_le_bytes());
            bytes.extend(flags.to_le_bytes());
            for value in [*offset, *vaddr, *vaddr, *size, *size, 4096] {
                bytes.extend(value.to_le_bytes());
            }
        }
        bytes
    }

    #[test]
    fn the_bias_is_the_mapping_less_the_covering_segment() {
        let bytes = object(3, &[(1, 4, 0, 0, 0x800), (1, 5, 0x1000, 0x2000, 0x500)]);
        let headers = Headers::parse(Bytes::new(&bytes)).expect("an object");
        assert_eq!(headers.bias(0x7000_0000, 0, false), Some(0x7000_0000));
        assert_eq!(headers.bias(0x7000_2000, 0x1000, true), Some(0x7000_0000));
        assert_eq!(headers.bias(0x7000_2000, 0x9000, true), None);
        let fixed = object(2, &[(1, 5, 0, 0x40_0000, 0x800)]);
        let headers = Headers::parse(Bytes::new(&fixed)).expect("an object");
        assert_eq!(headers.bias(0x40_0000, 0, true), Some(0));
        assert_eq!(headers.file_offset(0x40_0010, 16), Some(16));
        assert_eq!(headers.file_offset(0x40_07f8, 16), None);
    }

    #[test]
    fn a_header_cut_anywhere_is_none_or_less_and_never_a_panic() {
        let bytes = object(3, &[(1, 5, 0, 0, u64::MAX), (4, 4, u64::MAX, u64::MAX, u64::MAX)]);
        for length in 0..bytes.len() {
            let _ = Headers::parse(Bytes::new(&bytes[..length])).map(|h| (h.span(), h.bias(0, 1, true)));
        }
    }
}
