//! PT_LOAD program headers of a core: one for each mapping (elf(5)).

use crate::address::AddrRange;

/// One PT_LOAD of a core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// p_vaddr and p_memsz.
    pub range: AddrRange,
    /// p_offset: where its bytes begin in the stream.
    pub offset: u64,
    /// p_filesz: how many of its bytes follow. Never sizes a buffer.
    pub file_size: u64,
    /// p_flags (PF_X 1, PF_W 2, PF_R 4).
    pub flags: u32,
}

impl Segment {
    /// PF_X.
    pub fn is_executable(&self) -> bool {
        self.flags & 1 != 0
    }

    /// PF_W.
    pub fn is_writable(&self) -> bool {
        self.flags & 2 != 0
    }
}
