//! Function names that somebody looked up for the frames of a record.
//!
//! Names are for people only: no key is made of them, and a record is whole
//! without one. [`lookup`] is the one place that knows that a return address
//! belongs to the call before it.

use std::collections::BTreeMap;

use crate::record::{Frame, Trust};

/// A function as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Demangled where it could be.
    pub name: String,
    /// Its start, as an offset from the module's bias.
    pub start: u64,
}

/// (module index, offset looked up) → function.
#[derive(Clone, Debug, Default)]
pub struct Names(BTreeMap<(u32, u64), Function>);

impl Names {
    /// Adds the function that holds a frame's look-up offset.
    pub fn insert(&mut self, module: u32, lookup: u64, function: Function) {
        self.0.insert((module, lookup), function);
    }

    /// The function of a frame.
    pub fn of(&self, frame: &Frame) -> Option<&Function> {
        self.0.get(&lookup(frame)?)
    }
}

/// Where to look a frame up: its module, and the offset of the instruction
/// that it stands on or, for a return address, of the call's last byte.
pub fn lookup(frame: &Frame) -> Option<(u32, u64)> {
    let module = frame.module?;
    match frame.trust {
        Trust::Context | Trust::Signal => Some((module, frame.offset.0)),
        _ => Some((module, frame.offset.0.checked_sub(1)?)),
    }
}
