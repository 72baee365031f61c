//! The first 64 bytes of a spool file, and the judgement of a whole one.
//!
//! What it gives: [`Header::frame`] (a whole file from a payload),
//! [`Header::open`] (the payload from a whole file, or what is wrong with
//! it) and [`Header::peek`] (what the beginning alone says). What it trusts: nothing; both checksums must hold and the lengths
//! must add up to the file. Limits: limits::SPOOL_PAYLOAD.

use super::RecordId;
use crate::{bytes::Bytes, limits};

/// Bytes of a header of version 1.
pub const HEADER: usize = 64;
/// A byte that is not ASCII, the name, and line ends that a text-mode copy
/// would change: the reasons are PNG's.
const MAGIC: [u8; 8] = *b"\x89EPI\r\n\x1a\n";
const VERSION: u16 = 1;
const FULL: u32 = 1;
const PRIVATE: u32 = 2;

/// What a header says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The record's id.
    pub id: RecordId,
    /// The full record, not the minimal one that precedes it.
    pub full: bool,
    /// Of a privileged process.
    pub private: bool,
    /// Whose crash it is, for a fair quota: equal numbers are one executable.
    /// 0: the writer did not say.
    pub group: u64,
}

/// What a writer says of a record besides its payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// The record's id.
    pub id: RecordId,
    /// Of a privileged process: it goes to the private part.
    pub private: bool,
    /// See [`Header::group`].
    pub group: u64,
}

impl<I: Into<RecordId>> From<(I, bool)> for Stamp {
    fn from((id, private): (I, bool)) -> Stamp {
        Stamp { id: id.into(), private, group: 0 }
    }
}

impl Stamp {
    pub(super) fn header(self, full: bool) -> Header {
        Header { id: self.id, full, private: self.private, group: self.group }
    }
}

/// What is wrong with the bytes of a spool file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// No bytes: a power cut soon after the minimal record.
    Empty,
    /// Does not begin as a spool file does.
    Magic,
    /// A later format than this version reads.
    Version(u16),
    /// Ends inside its header.
    HeaderTruncated,
    /// The header's checksum is wrong.
    HeaderChecksum,
    /// The header contradicts itself or a limit.
    HeaderValues,
    /// Fewer bytes than the header says.
    PayloadTruncated,
    /// More bytes than the header says.
    TrailingBytes,
    /// The payload's checksum is wrong.
    PayloadChecksum,
    /// The id inside is not the one in the name.
    OtherId,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Damage::Empty => f.write_str("empty"),
            Damage::Magic => f.write_str("not a spool file"),
            Damage::Version(version) => write!(f, "format version {version} is not known here"),
            Damage::HeaderTruncated => f.write_str("ends inside its header"),
            Damage::HeaderChecksum => f.write_str("header checksum is wrong"),
            Damage::HeaderValues => f.write_str("header values are impossible"),
            Damage::PayloadTruncated => f.write_str("ends inside its payload"),
            Damage::TrailingBytes => f.write_str("has bytes after its payload"),
            Damage::PayloadChecksum => f.write_str("payload checksum is wrong"),
            Damage::OtherId => f.write_str("holds another id than its name"),
        }
    }
}

impl Header {
    /// A whole file: header and payload. `None` when the payload is larger
    /// than a spool file may hold.
    pub fn frame(&self, payload: &[u8]) -> Option<Vec<u8>> {
        if payload.len() > limits::SPOOL_PAYLOAD {
            return None;
        }
        let length = u32::try_from(payload.len()).ok()?;
        let mut flags = 0;
        flags |= if self.full { FULL } else { 0 };
        flags |= if self.private { PRIVATE } else { 0 };
        let mut file = Vec::with_capacity(HEADER.checked_add(payload.len())?);
        file.extend_from_slice(&MAGIC);
        file.extend_from_slice(&VERSION.to_le_bytes());
        file.extend_from_slice(&u16::try_from(HEADER).ok()?.to_le_bytes());
        file.extend_from_slice(&flags.to_le_bytes());
        file.extend_from_slice(&self.id.0);
        file.extend_from_slice(&length.to_le_bytes());
        file.extend_from_slice(&crc32c::crc32c(payload).to_le_bytes());
        file.extend_from_slice(&self.group.to_le_bytes());
        file.extend_from_slice(&[0; 12]);
        file.extend_from_slice(&crc32c::crc32c(&file).to_le_bytes());
        file.extend_from_slice(payload);
        Some(file)
    }

    /// Reads a whole file: what the header says, and the payload.
    pub fn open(file: &[u8]) -> Result<(Header, &[u8]), Damage> {
        let bytes = Bytes::new(file);
        let header = whole(bytes)?;
        let length = header.u32(0x20).and_then(|n| usize::try_from(n).ok()).ok_or(Damage::HeaderTruncated)?;
        let sum = header.u32(0x24).ok_or(Damage::HeaderTruncated)?;
        if length > limits::SPOOL_PAYLOAD {
            return Err(Damage::HeaderValues);
        }
        let rest = bytes.tail(header.len()).ok_or(Damage::HeaderTruncated)?;
        match rest.len().cmp(&length) {
            std::cmp::Ordering::Less => return Err(Damage::PayloadTruncated),
            std::cmp::Ordering::Greater => return Err(Damage::TrailingBytes),
            std::cmp::Ordering::Equal => {}
        }
        if crc32c::crc32c(rest.as_slice()) != sum {
            return Err(Damage::PayloadChecksum);
        }
        Ok((fields(header)?, rest.as_slice()))
    }

    /// What the header says, from the first bytes of a file; its payload may be
    /// damaged all the same. limits::SPOOL_HEADER bytes are always enough.
    pub fn peek(beginning: &[u8]) -> Result<Header, Damage> {
        fields(whole(Bytes::new(beginning))?)
    }
}

/// The bytes of the header, when they are all there and their checksum holds.
/// It is their last four bytes, whatever a later version put before them.
fn whole(bytes: Bytes<'_>) -> Result<Bytes<'_>, Damage> {
    if bytes.is_empty() {
        return Err(Damage::Empty);
    }
    let beginning = MAGIC.len().min(bytes.len());
    if bytes.range(0, beginning).map(|b| b.as_slice()) != MAGIC.get(..beginning) {
        return Err(Damage::Magic);
    }
    let version = bytes.u16(8).ok_or(Damage::HeaderTruncated)?;
    if version != VERSION {
        return Err(Damage::Version(version));
    }
    let length = usize::from(bytes.u16(10).ok_or(Damage::HeaderTruncated)?);
    if !(HEADER..=limits::SPOOL_HEADER).contains(&length) {
        return Err(Damage::HeaderValues);
    }
    let header = bytes.range(0, length).ok_or(Damage::HeaderTruncated)?;
    let sum_at = length.checked_sub(4).ok_or(Damage::HeaderTruncated)?;
    let covered = header.range(0, sum_at).ok_or(Damage::HeaderTruncated)?;
    if header.u32(sum_at) != Some(crc32c::crc32c(covered.as_slice())) {
        return Err(Damage::HeaderChecksum);
    }
    Ok(header)
}

fn fields(header: Bytes<'_>) -> Result<Header, Damage> {
    let flags = header.u32(0x0c).ok_or(Damage::HeaderTruncated)?;
    let id = header.range(0x10, 16).and_then(|b| b.as_slice().try_into().ok()).map(RecordId);
    Ok(Header {
        id: id.ok_or(Damage::HeaderTruncated)?,
        full: flags & FULL != 0,
        private: flags & PRIVATE != 0,
        group: header.u64(0x28).ok_or(Damage::HeaderTruncated)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Header = Header { id: RecordId([7; 16]), full: true, private: false, group: 7 << 60 };

    #[test]
    fn what_was_framed_is_what_is_opened() {
        for payload in [&b""[..], b"x", &[0xaa; 5000]] {
            let file = HEAD.frame(payload).unwrap();
            assert_eq!(file.len(), HEADER + payload.len());
            assert_eq!(Header::open(&file), Ok((HEAD, payload)));
        }
        assert_eq!(HEAD.frame(&vec![0; limits::SPOOL_PAYLOAD + 1]), None);
    }

    #[test]
    fn a_file_cut_anywhere_is_damage() {
        let file = HEAD.frame(b"some payload").unwrap();
        for length in 0..file.len() {
            assert!(Header::open(&file[..length]).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn any_flipped_bit_is_damage() {
        let file = HEAD.frame(b"some payload").unwrap();
        for bit in 0..file.len() * 8 {
            let mut bad = file.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::open(&bad).is_err(), "bit {bit}");
        }
    }
}
