//! The kernel hands over a crash; and is told to.
//!
//! [`pattern`] installs and restores kernel.core_pattern, the only way in.
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

pub mod pattern;
