//! One step outwards.
//!
//! Gives: [`Ground::step`]. The order is the ladder of mod.rs; each rung is
//! in a file of its own. What call frame information says is taken as it is
//! while every register is known; behind a frame that was found by other
//! means it must lead to a place behind a call.

use super::cfi::Outcome;
use super::frame::{End, How};
use super::ground::{Ground, State};
use super::{aarch64, x86_64};
use crate::address::Addr;
use crate::elfcore::Machine;
use crate::elfcore::Registers;
use crate::module::CodeClass;

/// The next frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) state: State,
    pub(super) how: How,
    /// A function between the two whose return address was lost: known by the
    /// call to it.
    pub(super) between: Option<Addr>,
}

/// A caller, or why there is none.
pub(super) type Step = Result<Found, End>;

impl Found {
    pub(super) fn new(registers: Registers, how: How, sure: bool) -> Found {
        Found { state: State { registers, returns: true, sure }, how, between: None }
    }
}

impl Ground<'_> {
    /// The caller of the frame in `state`. With `strict` only call frame
    /// information, signal frames and frame pointers are believed.
    pub(super) fn step(&mut self, state: &State, strict: bool) -> Step {
        match self.modules.code_class(state.lookup()) {
            CodeClass::InModule(_) | CodeClass::Jit => self.by_code(state, strict),
            _ if strict => Err(End::NothingFound),
            _ => self.broken_start(state).ok_or(End::NothingFound),
        }
    }

    fn by_code(&mut self, state: &State, strict: bool) -> Step {
        // A restorer without call frame information may begin where another
        // function ends, whose row the look-up one less finds.
        let row = self.row(state.lookup());
        if row.is_none() && self.cache.rows_are_spent() {
            return Err(End::LimitReached);
        }
        let Some(row) = row.filter(|row| row.signal || !self.trampoline_code(state.ip())) else {
            return self.without_cfi(state, strict);
        };
        match row.caller(&state.registers, self.image) {
            Outcome::Outermost => Err(End::Outermost),
            Outcome::Caller(registers) => self.by_cfi(state, registers, row.signal, strict),
            Outcome::NoMemory(at) if state.sure || strict => Err(End::NoMemory { at }),
            Outcome::NoMemory(_) | Outcome::Bad => self.without_cfi(state, strict),
        }
    }

    fn by_cfi(&mut self, state: &State, registers: Registers, signal: bool, strict: bool) -> Step {
        let how = if signal { How::Signal } else { How::Cfi };
        let found = Found {
            state: State { registers, returns: !signal, sure: state.sure || signal },
            how,
            between: None,
        };
        if signal {
            // Whatever was interrupted is the next frame, broken or not.
            return Ok(found);
        }
        let rises = registers.sp() > state.sp() || !state.returns;
        if state.sure && self.is_code(found.state.lookup()) && rises {
            return Ok(found);
        }
        if !state.sure && self.plausible(state, &registers) {
            return Ok(found);
        }
        if strict {
            return Err(End::NothingFound);
        }
        if !state.sure {
            return self.without_cfi(state, strict);
        }
        if !rises {
            return Err(End::Loop);
        }
        // The return address was overwritten: the caller's frame begins here,
        // whoever it is.
        self.lost_caller(&registers).ok_or(if registers.ip() == Addr(0) {
            End::Outermost
        } else {
            End::NothingFound
        })
    }

    /// True when these can be the registers of the caller of `state`.
    pub(super) fn plausible(&mut self, state: &State, caller: &Registers) -> bool {
        let rises = caller.sp() > state.sp() || (!state.returns && caller.sp() >= state.sp());
        rises && self.area(caller.sp()) == self.area(state.sp()) && self.is_return(caller.ip())
    }

    fn without_cfi(&mut self, state: &State, strict: bool) -> Step {
        if self.trampoline_code(state.ip()) {
            let interrupted = match self.machine() {
                Machine::X86_64 => x86_64::interrupted(state.sp(), self.image),
                Machine::Aarch64 => aarch64::interrupted(state.sp(), self.image),
            };
            if let Some(registers) = interrupted {
                let state = State { registers, returns: false, sure: true };
                return Ok(Found { state, how: How::Signal, between: None });
            }
        }
        if !self.cache.spend(16) {
            return Err(End::LimitReached);
        }
        self.ladder(state, strict).ok_or(End::NothingFound)
    }
}
