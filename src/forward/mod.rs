//! Host → collector: what leaves, in which portions, and what to do with the
//! answer. And the other direction for people: [`Api`], what the command line
//! asks a collector.
//!
//! ```text
//! spool file ──► redact ──► batch ──► transport ──► verdict ──► fate of each item
//!                what may   packed,   HTTPS, files  the table   stored │ duplicate
//!                leave      zstd      re-read       of statuses refused │ later
//!                                        │
//!                                      trouble: the words for people
//!                           pace: when the next batch may begin
//! ```
//!
//! What it trusts: nothing that came over the network. An item is only ever
//! called stored when an answer with status 200 says so about its id, once;
//! whatever else happens it is sent again, which the protocol makes harmless.
//! `redact`, `batch`, `pace`, `verdict` and `deliver` do no input or output;
//! only `transport` and `credentials` do. Limits: a batch by the
//! configuration, an answer by `transport::ANSWER`, a file of credentials by
//! `credentials::FILE`.
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

mod api;
mod batch;
mod credentials;
mod deliver;
mod pace;
mod redact;
mod transport;
mod trouble;
mod verdict;

pub use api::{Api, ApiError};
pub use batch::{Packed, Packer, encode};
pub use deliver::{Delivery, Fate, deliver};
pub use pace::{CIRCUIT, Leave, Pace, backoff};
pub use redact::{Held, Redacted, redact_crash, redact_exposure};
pub use transport::{ForwardError, Reply, Transport};
pub use trouble::{Cause, Trouble, plain};
pub use verdict::{Course, Verdict, course, read_answer, retry_after};
