//! The ELF header and program headers of a core (elf(5)).

use goblin::elf::header::{EM_AARCH64, EM_X86_64, ET_CORE};

use super::registers::Machine;
use super::segment::Segment;
use crate::address::Addr;
use crate::bytes::Bytes;

/// Size of Elf64_Ehdr.
pub(super) const HEADER: usize = 64;
/// Size of Elf64_Phdr.
pub(super) const PROGRAM_HEADER: usize = 56;
/// e_phnum when the true number does not fit into 16 bits.
pub(super) const PN_XNUM: u16 = 0xffff;

const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;

/// What the ELF header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) machine: Machine,
    pub(super) program_headers: u64,
    pub(super) count: u16,
}

/// Why a header cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    NotElf,
    NotCore,
    /// Class, data encoding and machine of something that is not understood.
    Foreign {
        class: u8,
        data: u8,
        machine: u16,
    },
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::NotElf => f.write_str("the stream is not an ELF file"),
            Refusal::NotCore => f.write_str("the stream is ELF, but no core"),
            Refusal::Foreign { class, data, machine } => {
                let bits = if *class == 1 { "32-bit" } else { "64-bit" };
                let order = if *data == 2 { "big-endian" } else { "little-endian" };
                write!(f, "core of another kind: {bits} {order}, e_machine {machine}")
            }
        }
    }
}

/// Parses an ELF header.
pub(super) fn parse(bytes: Bytes<'_>) -> Result<Header, Refusal> {
    let magic = bytes.range(0, 4).ok_or(Refusal::NotElf)?;
    if magic.as_slice() != b"\x7fELF" {
        return Err(Refusal::NotElf);
    }
    let short = Refusal::NotElf;
    let (class, data) = (bytes.u8(4).ok_or(short.clone())?, bytes.u8(5).ok_or(short.clone())?);
    let mut number = bytes.u16(18).ok_or(short.clone())?;
    if data == 2 {
        number = number.swap_bytes();
    }
    let foreign = Refusal::Foreign { class, data, machine: number };
    if class != 2 || data != 1 {
        return Err(foreign);
    }
    if bytes.u16(16) != Some(ET_CORE) {
        return Err(Refusal::NotCore);
    }
    let machine = match number {
        EM_X86_64 => Machine::X86_64,
        EM_AARCH64 => Machine::Aarch64,
        _ => return Err(foreign),
    };
    let program_headers = bytes.u64(32).ok_or(short.clone())?;
    let count = bytes.u16(56).ok_or(short)?;
    Ok(Header { machine, program_headers, count })
}

/// One program header that a capture cares about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProgramHeader {
    /// PT_NOTE: where the notes begin, and how many bytes they are.
    Note { offset: u64, size: u64 },
    /// PT_LOAD.
    Load(Segment),
    /// Another type.
    Other,
    /// Addresses that wrap.
    Damaged,
}

/// Parses one program header; `None` when it is too short.
pub(super) fn program_header(bytes: Bytes<'_>) -> Option<ProgramHeader> {
    let (kind, flags) = (bytes.u32(0)?, bytes.u32(4)?);
    let (offset, address) = (bytes.u64(8)?, bytes.u64(16)?);
    let (file_size, memory_size) = (bytes.u64(32)?, bytes.u64(40)?);
    Some(match kind {
        PT_NOTE => ProgramHeader::Note { offset, size: file_size },
        PT_LOAD => match Addr(address).range(memory_size) {
            Some(range) => ProgramHeader::Load(Segment { range, offset, file_size, flags }),
            None => ProgramHeader::Damaged,
        },
        _ => ProgramHeader::Other,
    })
}
