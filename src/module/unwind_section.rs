//! The frame description entry for an instruction, by few and small reads.
//!
//! Gives: [`Entry`], one CIE and one FDE as a section of their own.
//! Trusts: nothing; each entry is at most [`limits::CFI_ENTRY`], an index
//! holds at most [`limits::FDES_INDEXED`]. Matches gdb and libgcc
//! (_Unwind_Find_FDE), in this order:
//!
//! ```text
//! PT_GNU_EH_FRAME with a table of (sdata4 | datarel) → binary search in the file
//! .eh_frame, whole, ≤ limits::EH_FRAME_WHOLE         → an index, made once
//! .debug_frame, whole, not compressed                → an index, made once
//! ```
//!
//! The section that gimli sees is `[CIE][FDE]`: the FDE's pointer to its CIE
//! is rewritten, and the base address is chosen so that the FDE's own
//! pc-relative pointers come out as linked. A 10 GB binary costs a dozen
//! reads of 4 KiB.

use gimli::{
    BaseAddresses, CieOrFde, DebugFrame, EhFrame, EndianSlice, LittleEndian, UnwindOffset, UnwindSection,
};

use super::elf::Headers;
use super::sections;
use super::source::Source;
use crate::bytes::Bytes;
use crate::elfcore::Machine;
use crate::limits;

/// The slices that gimli reads here.
pub type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// Which section an entry is of: the two differ in how a CIE is pointed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// .eh_frame.
    EhFrame,
    /// .debug_frame.
    DebugFrame,
}

/// One CIE and one FDE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `[CIE][FDE]`.
    pub bytes: Vec<u8>,
    /// Where the FDE begins in `bytes`.
    pub fde: usize,
    /// The virtual address, as linked, at which `bytes` would have to stand.
    pub base: u64,
    /// Of which section.
    pub kind: Kind,
    /// The first instruction, as linked.
    pub start: u64,
    /// The first address behind.
    pub end: u64,
}

/// How FDEs are found in one module.
#[derive(Debug)]
pub(super) enum Table {
    /// No unwind information.
    Nothing,
    /// The sorted table of .eh_frame_hdr: its address, its first pair's, how
    /// many pairs.
    Search { header: u64, pairs: u64, count: u64 },
    /// From a whole section: (start, end, where the FDE is), sorted.
    Index { kind: Kind, section: u64, fdes: Vec<(u64, u64, u64)> },
}

impl Table {
    /// What this module offers; `Err` says what could not be read.
    pub(super) fn find(
        source: &Source,
        headers: &Headers,
        machine: Machine,
    ) -> (Table, Option<&'static str>) {
        if let Some(table) = search_table(source, headers) {
            return (table, None);
        }
        match sections::find(source, headers, b".eh_frame") {
            Ok(Some(section)) => return index(source, headers, Kind::EhFrame, section, machine),
            Err(reason) => return (Table::Nothing, Some(reason)),
            Ok(None) => {}
        }
        match sections::find(source, headers, b".debug_frame") {
            Ok(Some(section)) => index(source, headers, Kind::DebugFrame, section, machine),
            Err(reason) => (Table::Nothing, Some(reason)),
            Ok(None) => (Table::Nothing, None),
        }
    }

    /// The entry that covers `pc`, an address as linked.
    pub(super) fn entry(
        &self,
        source: &Source,
        headers: &Headers,
        machine: Machine,
        pc: u64,
    ) -> Option<Entry> {
        match self {
            Table::Nothing => None,
            Table::Search { header, pairs, count } => {
                let at = search(source, headers, *header, *pairs, *count, pc)?;
                let bytes = |at, length| source.virtual_bytes(headers, at, length);
                assemble(Kind::EhFrame, 0, at, bytes)?.checked(machine, pc)
            }
            Table::Index { kind, section, fdes } => {
                let behind = fdes.partition_point(|(start, _, _)| *start <= pc);
                let (_, end, at) = fdes.get(behind.checked_sub(1)?)?;
                let bytes = |at, length| match kind {
                    Kind::EhFrame => source.virtual_bytes(headers, at, length),
                    Kind::DebugFrame => source.file(at, length),
                };
                (pc < *end).then_some(())?;
                assemble(*kind, *section, *at, bytes)?.checked(machine, pc)
            }
        }
    }
}

/// .eh_frame_hdr as every linker writes it: version 1, a table of
/// sdata4 | datarel pairs sorted by address.
fn search_table(source: &Source, headers: &Headers) -> Option<Table> {
    let header = headers.eh_frame_hdr?.vaddr;
    let bytes = source.virtual_bytes(headers, header, 12)?;
    let bytes = Bytes::new(&bytes);
    let usual = [1, 0x1b, 0x03, 0x3b];
    if bytes.range(0, 4)?.as_slice() != usual {
        return None;
    }
    let count = u64::from(bytes.u32(8)?);
    (count > 0).then_some(Table::Search { header, pairs: header.checked_add(12)?, count })
}

fn search(source: &Source, headers: &Headers, header: u64, pairs: u64, count: u64, pc: u64) -> Option<u64> {
    let pair = |index: u64| {
        let bytes = source.virtual_bytes(headers, pairs.checked_add(index.checked_mul(8)?)?, 8)?;
        let bytes = Bytes::new(&bytes);
        let relative = |at| Some(header.wrapping_add_signed(i64::from(bytes.i32(at)?)));
        Some((relative(0)?, relative(4)?))
    };
    // Invariant: the pair at `low` begins at or before pc, the one at `high`
    // (if it exists) behind it. At most 32 turns: count is 32 bits.
    let (mut low, mut high) = (0u64, count);
    while high.saturating_sub(low) > 1 {
        let middle = low.midpoint(high);
        if pair(middle)?.0 <= pc { low = middle } else { high = middle }
    }
    let (start, at) = pair(low)?;
    (start <= pc).then_some(at)
}

/// A section that is read whole: where in the file, its size, its address.
fn index(
    source: &Source,
    headers: &Headers,
    kind: Kind,
    section: sections::Section,
    machine: Machine,
) -> (Table, Option<&'static str>) {
    if section.size > limits::EH_FRAME_WHOLE {
        return (Table::Nothing, Some("unwind section without a search table is too large"));
    }
    let size = usize::try_from(section.size).unwrap_or(0);
    let Some(bytes) = source.file(section.offset, size) else {
        return (Table::Nothing, Some("unwind section not in the file"));
    };
    let slice = EndianSlice::new(&bytes, LittleEndian);
    let place = match kind {
        Kind::EhFrame => section.address,
        Kind::DebugFrame => section.offset,
    };
    let mut fdes = match kind {
        Kind::EhFrame => walk(&eh_frame(slice, machine), section.address, place),
        Kind::DebugFrame => walk(&debug_frame(slice, machine), section.address, place),
    };
    fdes.sort_unstable();
    let lowest = headers.span().0;
    fdes.retain(|(start, end, _)| start < end && *start >= lowest);
    (Table::Index { kind, section: section.offset, fdes }, None)
}

fn walk<'a, S: UnwindSection<Slice<'a>>>(section: &S, address: u64, place: u64) -> Vec<(u64, u64, u64)> {
    let bases = BaseAddresses::default().set_eh_frame(address);
    let mut entries = section.entries(&bases);
    let mut fdes = Vec::new();
    while let Ok(Some(entry)) = entries.next() {
        let CieOrFde::Fde(partial) = entry else { continue };
        let Ok(fde) = partial.parse(S::cie_from_offset) else { continue };
        let Some(at) = place.checked_add(fde.offset() as u64) else { break };
        fdes.push((fde.initial_address(), fde.end_address(), at));
        if fdes.len() >= limits::FDES_INDEXED {
            break;
        }
    }
    fdes
}

/// The length of an entry with its length field, and the width of that field.
fn entry_length(at: u64, bytes: &impl Fn(u64, usize) -> Option<Vec<u8>>) -> Option<(usize, usize)> {
    let (field, length) = match Bytes::new(&bytes(at, 4)?).u32(0)? {
        u32::MAX => (12, Bytes::new(&bytes(at.checked_add(4)?, 8)?).u64(0)?),
        length => (4, u64::from(length)),
    };
    let length = usize::try_from(length).ok()?.checked_add(field)?;
    (length > field.checked_add(4)? && length <= limits::CFI_ENTRY).then_some((length, field))
}

/// Reads the FDE at `at` and its CIE, and joins them.
fn assemble(
    kind: Kind,
    section: u64,
    at: u64,
    bytes: impl Fn(u64, usize) -> Option<Vec<u8>>,
) -> Option<Entry> {
    let (length, field) = entry_length(at, &bytes)?;
    let mut fde = bytes(at, length)?;
    let wide = field == 12 && kind == Kind::DebugFrame;
    let pointer = match wide {
        true => Bytes::new(&fde).u64(field)?,
        false => u64::from(Bytes::new(&fde).u32(field)?),
    };
    let cie_at = match kind {
        Kind::EhFrame => at.checked_add(field as u64)?.checked_sub(pointer)?,
        Kind::DebugFrame => section.checked_add(pointer)?,
    };
    let mut joined = bytes(cie_at, entry_length(cie_at, &bytes)?.0)?;
    let patched = match kind {
        Kind::EhFrame => u32::try_from(joined.len().checked_add(field)?).ok()?,
        Kind::DebugFrame => 0,
    };
    let width = if wide { 8 } else { 4 };
    let place = fde.get_mut(field..field.checked_add(width)?)?;
    place.fill(0);
    place.get_mut(..4)?.copy_from_slice(&patched.to_le_bytes());
    let start = joined.len();
    joined.extend_from_slice(&fde);
    Some(Entry { bytes: joined, fde: start, base: at.wrapping_sub(start as u64), kind, start: 0, end: 0 })
}

/// A section as gimli wants it.
pub fn eh_frame(slice: Slice<'_>, machine: Machine) -> EhFrame<Slice<'_>> {
    let mut section = EhFrame::from(slice);
    section.set_address_size(8);
    if machine == Machine::Aarch64 {
        section.set_vendor(gimli::Vendor::AArch64);
    }
    section
}

/// A section as gimli wants it.
pub fn debug_frame(slice: Slice<'_>, machine: Machine) -> DebugFrame<Slice<'_>> {
    let mut section = DebugFrame::from(slice);
    section.set_address_size(8);
    if machine == Machine::Aarch64 {
        section.set_vendor(gimli::Vendor::AArch64);
    }
    section
}

impl Entry {
    /// The base addresses under which the entry's pointers come out right.
    pub fn bases(&self) -> BaseAddresses {
        BaseAddresses::default().set_eh_frame(self.base)
    }

    /// The bytes as gimli reads them.
    pub fn slice(&self) -> Slice<'_> {
        EndianSlice::new(&self.bytes, LittleEndian)
    }

    /// With its range, when it parses and covers `pc`.
    fn checked(mut self, machine: Machine, pc: u64) -> Option<Entry> {
        let (start, end) = match self.kind {
            Kind::EhFrame => self.range(&eh_frame(self.slice(), machine))?,
            Kind::DebugFrame => self.range(&debug_frame(self.slice(), machine))?,
        };
        (start <= pc && pc < end).then_some(())?;
        (self.start, self.end) = (start, end);
        Some(self)
    }

    fn range<'a, S: UnwindSection<Slice<'a>>>(&self, section: &S) -> Option<(u64, u64)>
    where
        S::Offset: UnwindOffset,
    {
        let fde =
            section.fde_from_offset(&self.bases(), S::Offset::from(self.fde), S::cie_from_offset).ok()?;
        Some((fde.initial_address(), fde.end_address()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_hostile_length_is_refused() {
        let bytes = |at: u64, length: usize| {
            let data = [0xffu8; 32];
            data.get(at as usize..at as usize + length).map(<[u8]>::to_vec)
        };
        assert_eq!(assemble(Kind::EhFrame, 0, 0, bytes), None);
        let zero = |_: u64, length: usize| Some(vec![0; length]);
        assert_eq!(assemble(Kind::EhFrame, 0, 0, zero), None);
    }
}
