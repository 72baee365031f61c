//! Single questions about a frame, for who looks closer at one.

use super::cache::Cache;
use super::cfi::Outcome;
use super::ground::{Ground, State};
use super::stacks::Stacks;
use crate::address::Addr;
use crate::elfcore::Registers;
use crate::memory::Image;
use crate::module::Modules;

/// A frame, by call frame information alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outwards {
    /// The canonical frame address.
    pub cfa: Addr,
    /// It was counted from the stack pointer.
    pub by_sp: bool,
    /// The registers of the caller.
    pub caller: Registers,
}

impl<'a> Ground<'a> {
    /// To be asked.
    pub fn new(
        image: &'a Image,
        modules: &'a Modules,
        stacks: &'a Stacks,
        cache: &'a mut Cache,
    ) -> Ground<'a> {
        Ground { image, modules, stacks, cache }
    }

    /// The frame of these registers (`returns`: their ip is a return address).
    /// None for the outermost, a signal's, and where the canonical frame address
    /// is no register and an offset.
    pub fn outwards(&mut self, registers: &Registers, returns: bool) -> Option<Outwards> {
        let state = State { registers: *registers, returns, sure: true };
        let row = self.row(state.lookup()).filter(|row| !row.signal)?;
        let (cfa, by_sp) = row.base(registers)?;
        match row.caller(registers, self.image) {
            Outcome::Caller(caller) => Some(Outwards { cfa, by_sp, caller }),
            _ => None,
        }
    }
}
