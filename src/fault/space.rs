//! The address space of the crashed process, as its core tells it.
//!
//! Gives: which mapping an address is in, what may be done there, what is
//! next to it. The kernel writes a segment for every mapping, guard pages
//! included (PROT_NONE: no permission), so an address without a segment was
//! not mapped when the dump was made.

use super::instruction::Direction;
use crate::address::{Addr, AddrRange};
use crate::elfcore::{Head, Segment};
use crate::memory::Layout;

/// The kernel maps nothing below vm.mmap_min_addr, 64 KiB.
pub(super) const NULL_PAGES: u64 = 64 << 10;

/// Mappings by address.
#[derive(Clone, Debug, Default)]
pub struct Space {
    layout: Layout,
    files: Vec<AddrRange>,
}

impl Space {
    /// From the core's program headers and NT_FILE.
    pub fn new(head: &Head) -> Space {
        let mut files: Vec<AddrRange> = head.files.iter().flatten().map(|file| file.range).collect();
        files.sort();
        Space { layout: Layout::new(head), files }
    }

    /// The mapping that holds an address.
    pub fn find(&self, address: Addr) -> Option<&Segment> {
        self.layout.segment(address)
    }

    /// True when the mapping there is a file's.
    pub(super) fn is_file(&self, address: Addr) -> bool {
        let behind = self.files.partition_point(|range| range.start <= address);
        behind.checked_sub(1).and_then(|i| self.files.get(i)).is_some_and(|range| range.contains(address))
    }

    /// True when an access of this direction is permitted there.
    pub(super) fn permits(&self, address: Addr, direction: Direction) -> bool {
        self.find(address).is_some_and(|segment| permits(segment, direction))
    }

    /// The mapping that ends at or below `address`, nearest first.
    pub(super) fn below(&self, address: Addr) -> Option<&Segment> {
        self.layout.below(address)
    }

    /// The mapping that begins above `address`.
    pub(super) fn above(&self, address: Addr) -> Option<&Segment> {
        self.layout.above(address)
    }
}

/// PF_R 4, PF_W 2, PF_X 1. x86 cannot forbid to read what may be written or
/// executed (without protection keys).
pub(super) fn permits(segment: &Segment, direction: Direction) -> bool {
    match direction {
        Direction::Read => segment.flags & 7 != 0,
        Direction::Write => segment.is_writable(),
        Direction::Execute => segment.is_executable(),
    }
}
