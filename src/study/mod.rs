//! From records to findings: what somebody would do by hand, in the order in which
//! they would do it.
//!
//! ```text
//! gather     records and censuses → population, and what was missing
//! names      strings → small numbers
//! ```
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

mod gather;
mod names;

pub use gather::{Directory, Gather, Heard, KIND, shown};
