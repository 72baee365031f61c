//! Storms: one program that crashes in a loop, or hundreds of programs at once,
//! must neither hurt the machine nor be lost uncounted.
//!
//! ```text
//! begin    the first act of a handler: it is counted, and known by its process
//! decide   who crashed (user, device, inode, time) ─► its bucket, the
//!          bucket of all ─► a record, or a number more among the suppressed;
//!          a user beyond its share leaves a quarter of all to the others
//! slot     at most so many analyse at once, and few wait for that; without a slot
//!          the minimal record stays
//! end      the last act: what became of it
//! ```
//!
//! All of it is one file on tmpfs, /run/epicore/crashes, mapped shared and used
//! through atomics only: no lock is held, so a handler that is killed at any
//! instant leaves nothing broken and nobody waiting. What a handler never came
//! to say is a difference: `begun − ended − alive` handlers were lost.
//!
//! It needs from you: root for [`Storm::begin`] (a file that others could write
//! is not believed), the answer to "does process N live" ([`Life`](crate::process::Life)), and a place
//! for a copy of the numbers that outlives a power cut ([`Kept`]). It gives you:
//! a [`Verdict`] within microseconds, [`Totals`], and the executables that were
//! suppressed most. It trusts nothing in the file: whatever stands there,
//! reading ends and never panics. It is not for: waiting; there is no queue.
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

mod alive;
mod bucket;
mod epitaph;
mod file;
mod handler;
mod kept;
mod key;
mod ledger;
mod slots;
mod snapshot;
mod table;
mod watched;

pub use alive::ask;
pub use bucket::Rate;
pub use epitaph::{Cause, Epitaph, enter, writes};
pub use file::{FILE, RUN};
pub use handler::{Crashed, Outcome, Rules, Share, Storm, Verdict, prepare};
pub use kept::{Kept, Sums};
pub use key::Key;
pub use snapshot::{Begun, Snapshot, Totals, begun};
pub use watched::{WatchFile, Watched};
