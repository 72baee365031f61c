//! MessagePack → record, from a file or a network that nobody vouches for.
//!
//! Never panics; the input is refused above [`limits::RECORD_BYTES`], so the
//! result is bounded by a small factor of that. Keys that this version does
//! not know are skipped; keys that are missing take their defaults.

use super::Record;
use crate::limits;

/// Why bytes are not a record.
#[derive(Debug)]
pub enum DecodeError {
    /// Larger than any record may be.
    TooLarge(usize),
    /// Not MessagePack, or not shaped like a record.
    Malformed(String),
}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DecodeError::TooLarge(size) => {
                write!(f, "{size} bytes are more than a record may have ({})", limits::RECORD_BYTES)
            }
            DecodeError::Malformed(why) => write!(f, "not a record: {why}"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Decodes a record.
pub fn decode(bytes: &[u8]) -> Result<Record, DecodeError> {
    if bytes.len() > limits::RECORD_BYTES {
        return Err(DecodeError::TooLarge(bytes.len()));
    }
    rmp_serde::from_slice(bytes).map_err(|error| DecodeError::Malformed(error.to_string()))
}
