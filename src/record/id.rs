//! Record ids: UUIDv7 (RFC 9562), so that names sort by time.

use super::Id;

/// A new id.
pub fn new_id() -> Id {
    Id(uuid::Uuid::now_v7().into_bytes().to_vec())
}
