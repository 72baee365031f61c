//! The names in a spool: made of the record's id and of nothing else.
//!
//! What it gives: the file name of an id, and the id of a file name. Sorting
//! ids sorts by time, because a UUIDv7 begins with its milliseconds.

use std::fmt;

/// The id of a record: the sixteen bytes of a UUIDv7.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(pub [u8; 16]);

impl From<[u8; 16]> for RecordId {
    fn from(bytes: [u8; 16]) -> RecordId {
        RecordId(bytes)
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl RecordId {
    /// From 32 lower-case hexadecimal digits, exactly.
    pub fn from_hex(digits: &[u8]) -> Option<RecordId> {
        let digits: &[u8; 32] = digits.try_into().ok()?;
        let mut id = [0; 16];
        let (pairs, _) = digits.as_chunks::<2>();
        for (byte, [high, low]) in id.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(RecordId(id))
    }

    /// Milliseconds since the epoch, as a UUIDv7 tells them.
    pub fn milliseconds(&self) -> u64 {
        let [a, b, c, d, e, f, ..] = self.0;
        u64::from_be_bytes([0, 0, a, b, c, d, e, f])
    }

    /// The name of its file.
    pub fn file_name(&self) -> String {
        format!("{self}.rec")
    }

    /// The name while its full record is being written.
    pub(super) fn temporary_name(&self) -> String {
        format!(".{self}.tmp")
    }
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => byte.checked_sub(b'0'),
        b'a'..=b'f' => byte.checked_sub(b'a')?.checked_add(10),
        _ => None,
    }
}

/// What a name in the directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// A record.
    Record(RecordId),
    /// A record that is, or was, being written.
    Temporary(RecordId),
    /// Ours, and no record: `.`, `..`, the tally, the private part (and
    /// `lost+found`, where the spool is a filesystem of its own).
    Own,
    /// Somebody else's.
    Stranger,
}

/// Tells what a name is.
pub(super) fn classify(name: &[u8]) -> Name {
    let record = |name: &[u8]| name.strip_suffix(b".rec").and_then(RecordId::from_hex);
    let temporary = |name: &[u8]| name.strip_prefix(b".")?.strip_suffix(b".tmp").and_then(RecordId::from_hex);
    if let Some(id) = record(name) {
        Name::Record(id)
    } else if let Some(id) = temporary(name) {
        Name::Temporary(id)
    } else if matches!(name, b"." | b".." | b"lost+found")
        || name == super::layout::PRIVATE.as_bytes()
        || name == super::tally::FILE.as_bytes()
    {
        Name::Own
    } else {
        Name::Stranger
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_record_only_when_it_is_exactly_one() {
        let id = RecordId([0xab; 16]);
        assert_eq!(classify(id.file_name().as_bytes()), Name::Record(id));
        assert_eq!(classify(id.temporary_name().as_bytes()), Name::Temporary(id));
        assert_eq!(classify(b"private"), Name::Own);
        for stranger in ["", "x.rec", "ABABABABABABABABABABABABABABABAB.rec", "../../etc/passwd", ".rec"] {
            assert_eq!(classify(stranger.as_bytes()), Name::Stranger, "{stranger}");
        }
    }

    #[test]
    fn a_uuid_v7_tells_its_time() {
        let id = RecordId([0x01, 0x8f, 0, 0, 0, 1, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(id.milliseconds(), 0x018f_0000_0001);
    }
}
