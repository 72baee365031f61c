//! Pages that are there: of a file whose file system asks somebody else, only what is
//! mapped already can be read without asking.
//!
//! /proc/TID/pagemap has eight bytes for each page; bit 63 says that it is present
//! (Documentation/admin-guide/mm/pagemap.rst). Where it cannot be read, no page is.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::address::{Addr, AddrRange};

const PAGE: u64 = 4096;
const ENTRY: u64 = 8;
const PRESENT: u64 = 1 << 63;
/// Pages that are looked up at once.
const CHUNK: usize = 64;

/// The pages of `range` that are not there, as ranges.
pub fn absent(pagemap: Option<&File>, range: AddrRange) -> Vec<AddrRange> {
    let mut absent = Vec::new();
    let mut at = range.start.align_down(PAGE);
    let mut entries = [0u8; CHUNK * 8];
    while at < range.end {
        // Not more than is asked for: each entry is a walk through the page tables.
        let pages = range.end.offset_from(at).unwrap_or(0).div_ceil(PAGE);
        let length = usize::try_from(pages).unwrap_or(CHUNK).min(CHUNK).saturating_mul(8);
        let offset = at.0.checked_div(PAGE).and_then(|page| page.checked_mul(ENTRY));
        let read = |(offset, file): (u64, &File)| file.read_at(entries.get_mut(..length)?, offset).ok();
        let got = offset.zip(pagemap).and_then(read).unwrap_or(0);
        let (known, _) = entries.get(..got).unwrap_or(&[]).as_chunks::<8>();
        for (entry, number) in known.iter().zip(0..) {
            if u64::from_le_bytes(*entry) & PRESENT == 0 {
                absent.extend(page(at, number, range));
            }
        }
        let looked = known.len() as u64;
        if looked == 0 {
            absent.extend(AddrRange::new(at.max(range.start), range.end));
            break;
        }
        let Some(next) = looked.checked_mul(PAGE).and_then(|bytes| at.add(bytes)) else { break };
        at = next;
    }
    absent
}

fn page(at: Addr, number: u64, range: AddrRange) -> Option<AddrRange> {
    let start = at.add(number.checked_mul(PAGE)?).filter(|start| *start < range.end)?;
    AddrRange::new(start.max(range.start), start.add(PAGE)?.min(range.end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_were_touched_are_there_and_others_are_not() {
        // As large as this it is mapped anew, and nothing of it is there yet.
        let mut memory = vec![0u8; 64 << 20];
        let start = Addr(memory.as_ptr().addr() as u64).align_down(PAGE).add(PAGE).unwrap();
        let range = start.range(64 * PAGE).unwrap();
        let pagemap = File::open("/proc/self/pagemap").unwrap();
        let touched = start.add(5 * PAGE).unwrap();
        let before = absent(Some(&pagemap), range);
        assert!(before.iter().any(|gone| gone.contains(touched)), "{before:?}");
        let index = touched.offset_from(Addr(memory.as_ptr().addr() as u64)).unwrap();
        memory[index as usize] = 1;
        let after = absent(Some(&pagemap), range);
        assert!(!after.iter().any(|gone| gone.contains(touched)), "{after:?}");
        assert_eq!(std::hint::black_box(memory)[index as usize], 1);
        assert_eq!(absent(None, range), [range]);
    }

    #[test]
    fn a_range_that_begins_and_ends_within_pages_is_cut_to_itself() {
        let range = AddrRange::new(Addr(0x1010), Addr(0x2020)).unwrap();
        let absent = absent(None, range);
        assert_eq!(absent, [range]);
    }
}
