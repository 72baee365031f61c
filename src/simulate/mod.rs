//! Fleets that never were: hosts, their censuses and their crashes, with the
//! truth beside them.
//!
//! Pure and deterministic: the same [`Plan`] gives the same bytes on every
//! machine. What it emits is what epicored would send ([`crate::wire::Batch`]),
//! so that everything behind the wire is the real thing. What is planted: bugs
//! that spread with exposure (Zipf), one bug that began with a new build of one
//! unit, and one host with a processor core that computes wrongly and so shows
//! crashes that no other host has.
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
mod host;
mod population;
mod scenario;
mod stack;

pub use history::Event;
pub use host::{Plan, Truth};
pub use population::{Planted, Simulation};
pub use scenario::{Bug, Kind, Level, Plant, Rollout, Scenario};
