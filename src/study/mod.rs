//! From records to findings: what somebody would do by hand, in the order in which
//! they would do it.
//!
//! ```text
//! gather     records and censuses → population, and what was missing
//! frames     stacks → small numbers, and records without what nobody reads
//! names      strings → small numbers
//! run        population → study, on one screen
//! machines   what it says of machines
//! bugs       what it says of software
//! triggers   what a bug needs, and what that is compared with
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
mod findings;
mod frames;
mod gather;
mod machines;
mod names;
mod run;
mod triggers;

pub use findings::{Apart, Bug, Compared, Erratum, Machine, Since, Study, Trigger, Variant, Verdict, With};
pub use frames::Slim;
pub use gather::{Directory, Gather, Heard, KIND, shown};
pub use run::{study, study_signature};
