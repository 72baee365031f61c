//! From many small records to how sure one may be. Pure: values in, values out.
//!
//! ```text
//! population   hosts, what ran on them, what crashed: where all of it begins
//! episode      a crash loop is one misfortune
//! signature    one bug's location keys, joined
//! candidates   which pairs of stacks to compare
//! alignment    how alike two stacks are
//!
//! evidence     how much a crash's codes say, by counts that were measured
//! likelihood   the same in this fleet, whose software has its own habits
//! exposure     how many crashes that nobody else shows were to be expected
//! verdict      what people found out, as truth among what is estimated
//! suspicion    is it the machine? host by host, core by core
//! localise     or all machines of a kind?
//!
//! contrast     what its hosts are compared with: hours, controls, other crashes
//! trigger      what a bug needs: one attribute, or two together
//! mining       items, their scores, the best of them
//! tally        counting cases and exposure by item
//! shuffle      what chance alone would find
//! deconfound   which of two that go together it is
//! rate         rate ratios and odds ratios, with intervals
//! history      cases by time, and what is usual among clusters
//! onset        since when
//! rollout      and with which new build
//! power        how many more would decide it
//! split        one signature of two causes
//! fdr          how many of the findings are false
//! math         distributions in log space
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

mod alignment;
mod candidates;
pub mod contrast;
mod deconfound;
pub mod episode;
pub mod evidence;
pub mod exposure;
pub mod fdr;
pub mod history;
pub mod likelihood;
pub mod localise;
pub(crate) mod math;
pub mod mining;
mod mixture;
pub mod onset;
pub mod population;
pub mod power;
pub mod rate;
pub mod rollout;
mod shuffle;
pub mod signature;
pub mod split;
pub mod suspicion;
mod tally;
pub mod trigger;
pub mod verdict;
