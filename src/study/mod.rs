//! From records to findings: what somebody would do by hand, in the order in which
//! they would do it.
//!
//! ```text
//! gather     records and censuses → population, and what was missing
//! facts      what hosts are: the newest that was told
//! frames     stacks → small numbers
//! courses    what ran when, in the whole fleet
//! names      strings → small numbers
//! order      … which do not depend on what was read first
//! rulings    what people said of hosts
//! run        population → study, on one screen
//! machines   what it says of machines
//! bugs       what it says of software
//! changed    which bugs are new, which are gone
//! map        hosts by signatures, for the eye
//! triggers   what a bug needs, and what that is compared with
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
mod changed;
mod courses;
mod facts;
mod findings;
mod frames;
mod gather;
mod machines;
mod map;
mod names;
mod onset;
mod order;
mod rulings;
mod run;
mod triggers;

pub use findings::{
    Apart, Began, Bug, Change, Changed, Compared, Erratum, Machine, Map, More, Ruling, Since, Study, Trigger,
    Variant, Verdict, With,
};
pub use gather::{Directory, Gather, Heard, KIND, shown};
pub use rulings::Told;
pub use run::{study, study_knowing, study_signature};
