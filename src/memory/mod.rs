//! Which bytes of the process are kept, and where they come from.
//!
//! ```text
//! Plan    made from the head alone, before any byte of memory arrives
//! Source  live (/proc/TID/mem, while the task is held) or the stream itself
//! Image   what was kept; the only read(address) that later stages have
//! ```
//!
//! Both sources serve the same plan, so that a replayed core gives the same
//! record as the crash did. Budgets stand in `limits`; the crashing thread is
//! served first. Nothing of an image ever reaches a record.
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

mod callees;
mod image;
mod plan;
mod source;
mod stack;

pub use image::Image;
pub use plan::{Code, Plan};
pub use source::{Stream, from_stream, live};
pub use stack::{Layout, Stack};
