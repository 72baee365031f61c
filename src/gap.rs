//! A gap: one thing that could not be learned, with its stage and reason.
//!
//! Damage is data. A stage returns its best value and adds gaps; nothing is
//! thrown away because something else is missing. Ground and not a part of
//! the record, because every stage writes them and no stage may know the
//! record. A record holds at most [`crate::limits::GAPS`], equal ones folded.

use serde::{Deserialize, Serialize};

/// The stage of a capture that a gap belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Arguments, standard input, pidfd.
    #[default]
    Invocation,
    /// Privileges, limits, deadline.
    Confine,
    /// /proc of the process.
    Process,
    /// The stream's headers and notes.
    Elfcore,
    /// Copying memory.
    Memory,
    /// Loaded objects.
    Module,
    /// Walking stacks.
    Unwind,
    /// The machine.
    Hardware,
    /// Fitting the record into its budget.
    Record,
    /// Writing the spool.
    Spool,
    /// A stage that this version does not know.
    #[serde(other)]
    Unknown,
}

/// One thing that could not be learned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gap {
    /// Where.
    #[serde(rename = "s")]
    pub stage: Stage,
    /// Why, in stable words ("notes truncated", "not kept").
    #[serde(rename = "w")]
    pub reason: String,
    /// How many (bytes, threads, frames …), when it is a number of things.
    #[serde(rename = "n", skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

impl Gap {
    /// A gap without a number.
    pub fn new(stage: Stage, reason: impl Into<String>) -> Gap {
        Gap { stage, reason: reason.into(), count: None }
    }

    /// A gap of `count` things.
    pub fn counted(stage: Stage, reason: impl Into<String>, count: u64) -> Gap {
        Gap { stage, reason: reason.into(), count: Some(count) }
    }
}
