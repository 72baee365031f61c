//! Fleets that never were: hosts, their censuses and their crashes, with the
//! truth beside them.
//!
//! Pure and deterministic: the same [`Scenario`] and seed give the same bytes on
//! every machine. What it emits is what epicored would send
//! ([`crate::wire::Batch`]), so that everything behind the wire is the real thing.
//!
//! ```text
//! scenario    what is planted, and how much of everything there is
//! fleet       hosts: what they are, what runs there
//! history     what crashes, when, and why
//! stack       which functions stand on a crash's stack
//! population  the same as a study would have gathered it
//! emit        … and as the wire has it
//! crash       one record
//! dice        randomness
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

mod crash;
mod dice;
mod emit;
mod fleet;
mod history;
mod population;
mod scenario;
mod stack;

pub use history::Event;
pub use population::{Planted, Simulation};
pub use scenario::{Bug, Kind, Level, Plant, Rollout, Scenario};
