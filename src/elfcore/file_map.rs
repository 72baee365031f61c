//! NT_FILE: which file stands behind which addresses (core(5); the kernel's
//! fill_files_note). Matches `eu-readelf -n`.

use crate::address::{Addr, AddrRange};
use crate::bytes::Bytes;
use crate::limits;

/// One entry of NT_FILE.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileMapping {
    /// Addresses.
    pub range: AddrRange,
    /// Offset in the file, bytes.
    pub offset: u64,
    /// Path as the kernel gives it.
    pub path: Vec<u8>,
}

/// The bytes of one entry without its path.
const ENTRY: usize = 24;

/// Parses the note; what is damaged is left out, and the flag says so.
///
/// ```text
/// u64 count, u64 page size, count × (u64 start, u64 end, u64 offset in
/// pages), then count paths, each ended by a NUL
/// ```
pub(super) fn parse(mut bytes: Bytes<'_>) -> (Vec<FileMapping>, bool) {
    let (Some(count), Some(unit)) = (bytes.take_u64(), bytes.take_u64()) else {
        return (Vec::new(), true);
    };
    // A count is believed only as far as the bytes go.
    let most = bytes.len().checked_div(ENTRY).unwrap_or(0).min(limits::MAPPINGS);
    let believed = usize::try_from(count).unwrap_or(usize::MAX).min(most);
    let mut damaged = believed as u64 != count;
    let Some(mut table) = believed.checked_mul(ENTRY).and_then(|n| bytes.take(n)) else {
        return (Vec::new(), true);
    };
    let mut mappings = Vec::with_capacity(believed);
    while let (Some(start), Some(end), Some(page)) = (table.take_u64(), table.take_u64(), table.take_u64()) {
        let Some(path) = bytes.take_cstr() else {
            damaged = true;
            break;
        };
        let (Some(range), Some(offset)) = (AddrRange::new(Addr(start), Addr(end)), page.checked_mul(unit))
        else {
            damaged = true;
            continue;
        };
        let path = path.as_slice().get(..limits::PATH).unwrap_or(path.as_slice()).to_vec();
        mappings.push(FileMapping { range, offset, path });
    }
    (mappings, damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(count: u64, entries: &[(u64, u64, u64)], names: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(count.to_le_bytes());
        bytes.extend(4096u64.to_le_bytes());
        for (start, end, page) in entries {
            for value in [start, end, page] {
                bytes.extend(value.to_le_bytes());
            }
        }
        bytes.extend(names);
        bytes
    }

    #[test]
    fn paths_belong_to_entries_in_order() {
        let bytes = note(2, &[(0x1000, 0x2000, 0), (0x2000, 0x3000, 1)], b"/bin/a\0/bin/b (deleted)\0");
        let (mappings, damaged) = parse(Bytes::new(&bytes));
        assert!(!damaged);
        assert_eq!(mappings[1].offset, 4096);
        assert_eq!(mappings[1].path, b"/bin/b (deleted)");
    }

    #[test]
    fn a_count_beyond_the_note_is_damage_and_not_an_allocation() {
        let bytes = note(u64::MAX, &[(0x1000, 0x2000, 0)], b"/bin/a\0");
        let (mappings, damaged) = parse(Bytes::new(&bytes));
        assert!(damaged);
        assert!(mappings.len() <= 1);
        assert_eq!(parse(Bytes::new(&[])), (Vec::new(), true));
    }
}
