//! stub
use super::{EncodeError, Record, encode};
/// stub
pub fn fit(record: &mut Record) -> Result<Vec<u8>, EncodeError> {
    encode(record)
}
