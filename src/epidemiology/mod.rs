//! From many small records to how sure one may be. Pure: values in, values out.
//!
//! ```text
//! evidence   how much a crash's codes say, by counts that were measured
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

pub mod evidence;
