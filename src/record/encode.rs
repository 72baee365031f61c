//! Record → MessagePack, maps with named keys.

use super::{Exposure, Record};

/// A record that could not be written as MessagePack.
#[derive(Debug)]
pub struct EncodeError(rmp_serde::encode::Error);

impl std::fmt::Display for EncodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "record could not be encoded: {}", self.0)
    }
}

impl std::error::Error for EncodeError {}

/// Encodes a record.
pub fn encode(record: &Record) -> Result<Vec<u8>, EncodeError> {
    rmp_serde::to_vec_named(record).map_err(EncodeError)
}

/// Encodes an exposure report.
pub fn encode_exposure(exposure: &Exposure) -> Result<Vec<u8>, EncodeError> {
    rmp_serde::to_vec_named(exposure).map_err(EncodeError)
}
