//! The names in a spool: an id, what the file holds, and how far it has come.
//!
//! ```text
//! <32 hex digits>.rec            a crash record; pending
//! <32 hex digits>.exp            an exposure report; pending
//!                …  .sent        the collector has it
//!                …  .refused     the collector will not have it
//! ```
//!
//! What it gives: the name of a file, and what a name is. Sorting ids sorts by
//! time, because a UUIDv7 begins with its milliseconds.

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

    /// The name of its crash record while that is pending.
    pub fn file_name(&self) -> String {
        file_name(*self, Kind::Crash, State::Pending)
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

/// What a file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A crash record.
    #[default]
    Crash,
    /// A report of what ran here: the denominators.
    Exposure,
}

/// How far a file has come, as its name says. The name is the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// No collector has it.
    #[default]
    Pending,
    /// The collector said that it is on its disk.
    Sent,
    /// The collector said that it will never take it.
    Refused,
}

impl State {
    fn suffix(self) -> &'static str {
        match self {
            State::Pending => "",
            State::Sent => ".sent",
            State::Refused => ".refused",
        }
    }
}

/// The name of the file of an id, a kind and a state.
pub(super) fn file_name(id: RecordId, kind: Kind, state: State) -> String {
    let extension = match kind {
        Kind::Crash => "rec",
        Kind::Exposure => "exp",
    };
    format!("{id}.{extension}{}", state.suffix())
}

/// What a name in the directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// A record or report.
    File(RecordId, Kind, State),
    /// One that is, or was, being written.
    Temporary,
    /// Ours, and no record: `.`, `..`, the spool's own files, the private part
    /// (and `lost+found`, where the spool is a filesystem of its own).
    Own,
    /// Somebody else's.
    Stranger,
}

/// Tells what a name is.
pub(super) fn classify(name: &[u8]) -> Name {
    let temporary = |name: &[u8]| name.strip_prefix(b".")?.strip_suffix(b".tmp").and_then(RecordId::from_hex);
    if let Some(file) = file(name) {
        file
    } else if temporary(name).is_some() {
        Name::Temporary
    } else if OWN.iter().any(|own| own.as_bytes() == name) {
        Name::Own
    } else {
        Name::Stranger
    }
}

const OWN: [&str; 14] = [
    ".",
    "..",
    "lost+found",
    super::layout::PRIVATE,
    super::tally::FILE,
    super::claim::FILE,
    super::refusals::FILE,
    super::refusals::NEXT,
    super::evicted::FILE,
    super::evicted::NEXT,
    super::storm::FILE,
    super::storm::NEXT,
    super::audit::FILE,
    super::audit::ROTATED,
];

fn file(name: &[u8]) -> Option<Name> {
    let (digits, rest) = name.split_at_checked(32)?;
    let id = RecordId::from_hex(digits)?;
    let (kind, rest) = match (rest.strip_prefix(b".rec"), rest.strip_prefix(b".exp")) {
        (Some(rest), _) => (Kind::Crash, rest),
        (_, Some(rest)) => (Kind::Exposure, rest),
        _ => return None,
    };
    let states = [State::Pending, State::Sent, State::Refused];
    let state = states.into_iter().find(|state| state.suffix().as_bytes() == rest)?;
    Some(Name::File(id, kind, state))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_record_only_when_it_is_exactly_one() {
        let id = RecordId([0xab; 16]);
        assert_eq!(id.file_name(), file_name(id, Kind::Crash, State::Pending));
        for kind in [Kind::Crash, Kind::Exposure] {
            for state in [State::Pending, State::Sent, State::Refused] {
                let name = file_name(id, kind, state);
                assert_eq!(classify(name.as_bytes()), Name::File(id, kind, state), "{name}");
                for near in
                    [format!("{name}."), format!("{name}.sent"), format!("x{name}"), name.to_uppercase()]
                {
                    if near != format!("{id}.rec.sent") && near != format!("{id}.exp.sent") {
                        assert_eq!(classify(near.as_bytes()), Name::Stranger, "{near}");
                    }
                }
            }
        }
        assert_eq!(classify(id.temporary_name().as_bytes()), Name::Temporary);
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
