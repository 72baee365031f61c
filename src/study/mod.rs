//! From records to findings: what somebody would do by hand, in the order in which
//! they would do it.
//!
//! ```text
//! gather     records and censuses → population, and what was missing
//! courses    what ran when, in the whole fleet
//! names      strings → small numbers
//! run        population → study, on one screen
//! machines   what it says of machines
//! bugs       what it says of software
//! onset      since when, and with which rollout
//! findings   the values that are printed
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

mod bugs;
mod courses;
mod findings;
mod gather;
mod machines;
mod names;
mod onset;
mod run;

pub use findings::{Apart, Began, Bug, Erratum, Machine, More, Since, Study, Trigger, Verdict};
pub use gather::{Directory, Gather, Heard, KIND, shown};
pub use run::{study, study_signature};
