//! What host and collector say to each other: the batch and its answer, and
//! the answers of the API. A leaf beside `record`: both ends import it, neither
//! imports the other.
//!
//! ```text
//! POST /v1/batches   Content-Type: application/msgpack, Content-Encoding: zstd
//!   Batch  { v, from: Sender, at, items: [ Item { id, kind, body } … ] }
//!   Answer { v, outcomes: [ Outcome { id, said, why } … ] }     in the same order
//! ```
//!
//! A body is opaque here: one record or one exposure, packed ([`pack`]) or as it
//! is. Limits, statuses and every route: docs/wire-protocol.md.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )
)]

pub mod api;
mod batch;
pub mod pack;

pub use batch::{Answer, Batch, Item, ItemKind, Outcome, PROTOCOL, Said, Sender};
