//! Notes: name, type, descriptor (elf(5)), and which of them are kept.

use crate::bytes::Bytes;
use crate::limits;

/// Size of Elf64_Nhdr.
pub(super) const NOTE_HEADER: usize = 12;

/// One note's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoteHeader {
    pub(super) name_size: u64,
    pub(super) size: u64,
    pub(super) kind: u32,
}

/// Rounded up to the alignment of notes in a core, 4.
pub(super) fn padded(size: u64) -> u64 {
    size.checked_add(3).map_or(u64::MAX, |n| n & !3)
}

impl NoteHeader {
    pub(super) fn parse(bytes: Bytes<'_>) -> Option<NoteHeader> {
        Some(NoteHeader { name_size: bytes.u32(0)?.into(), size: bytes.u32(4)?.into(), kind: bytes.u32(8)? })
    }

    /// Which note this is, when it is one of those that are kept.
    pub(super) fn known(&self, name: Bytes<'_>) -> Option<Kind> {
        if name.until_nul().as_slice() != b"CORE" {
            return None;
        }
        let (kind, most) = match self.kind {
            1 => (Kind::Prstatus, 1024),
            3 => (Kind::Prpsinfo, 512),
            6 => (Kind::Auxv, limits::AUXV_BYTES),
            0x5349_4749 => (Kind::Siginfo, 512),
            0x4649_4c45 => (Kind::File, limits::NT_FILE_BYTES),
            _ => return None,
        };
        (self.size <= most).then_some(kind)
    }
}

/// A note that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Prstatus,
    Prpsinfo,
    Auxv,
    Siginfo,
    File,
}
