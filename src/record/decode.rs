//! MessagePack → record, from a file or a network that nobody vouches for.
//!
//! Never panics; the input is refused above [`limits::RECORD_BYTES`], so the
//! result is bounded by a factor of that, and nesting is bounded too. Keys
//! that this version does not know are skipped; keys that are missing take
//! their defaults.

use serde::Deserialize;

use super::{Exposure, Record};
use crate::limits;

/// Maps and lists inside each other. A record has six; an unknown key of a
/// later version may have more. The library's own limit (1,024) is deeper than
/// the stack of a thread.
const DEPTH: usize = 32;

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
    bounded(bytes)
}

/// Decodes an exposure report, under the same limits.
pub fn decode_exposure(bytes: &[u8]) -> Result<Exposure, DecodeError> {
    bounded(bytes)
}

/// Decodes what a reader needs of a record, or of anything shaped like one.
pub fn decode_part<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, DecodeError> {
    bounded(bytes)
}

fn bounded<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, DecodeError> {
    if bytes.len() > limits::RECORD_BYTES {
        return Err(DecodeError::TooLarge(bytes.len()));
    }
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes);
    deserializer.set_max_depth(DEPTH);
    T::deserialize(&mut deserializer).map_err(|error| DecodeError::Malformed(error.to_string()))
}
