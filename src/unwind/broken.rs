//! An ip that is no code: NULL, unmapped, not executable, not canonical.
//!
//! Gives: the caller. Two stories lead there: a *call* or jump to nowhere,
//! which left its return address at rsp, every register intact; and a
//! *return* to nowhere, where the slot has been popped and lies below rsp:
//! then the frame at rsp belongs to a function that only its caller's call
//! instruction can still name. Trusts: nothing.

use super::frame::How;
use super::ground::{Ground, Site, State};
use super::step::Found;
use crate::address::Addr;
use crate::elfcore::{Machine, Registers};

impl Ground<'_> {
    pub(super) fn broken_start(&mut self, state: &State) -> Option<Found> {
        if self.machine() == Machine::Aarch64 {
            return self.by_link_register(state).or_else(|| self.lost_caller(&state.registers));
        }
        let popped = state.sp().sub(8).and_then(|slot| self.image.u64(slot)) == Some(state.ip().0);
        let slot = self.image.u64(state.sp()).map(Addr);
        if let Some(ip) = slot.filter(|ip| self.is_code(*ip) && self.site(*ip) != Site::Not) {
            let mut caller = state.registers;
            caller.set_ip(ip);
            caller.set_sp(state.sp().add(8)?);
            let next = State { registers: caller, returns: true, sure: state.sure };
            // After a return the word at rsp is data, and may be an old
            // return address: then it has to lead on.
            let leads = match self.consistent(&caller, state.sp()) {
                Some((consistent, _)) => consistent || !popped,
                None => false,
            };
            if leads {
                return Some(Found { state: next, how: How::Slot, between: None });
            }
        }
        self.lost_caller(&state.registers)
    }

    fn by_link_register(&mut self, state: &State) -> Option<Found> {
        let mut caller = state.registers;
        caller.set_ip(super::aarch64::strip(state.registers.lr().0));
        let fits = self.is_code(caller.ip()) && self.site(caller.ip()) != Site::Not;
        fits.then(|| Found::new(caller, How::Slot, state.sure))
    }

    /// The frame that begins at the sp of `registers` belongs to a function
    /// whose ip was lost: its caller, by frame pointer or scan, and itself,
    /// when the call names it.
    pub(super) fn lost_caller(&mut self, registers: &Registers) -> Option<Found> {
        let state = State { registers: *registers, returns: true, sure: false };
        let pair = self.frame_pointer(&state).and_then(|caller| {
            let (consistent, caller) = self.consistent(&caller, state.sp())?;
            Some((consistent, Found::new(caller, How::FramePointer, false)))
        });
        self.cache.spend(64).then_some(())?;
        let scanned = self.scan(&state, state.sp(), None, None);
        let mut found = match (pair, scanned) {
            // The nearer one, when both hold.
            (Some((_, pair)), Some(scanned)) if scanned.state.sp() >= pair.state.sp() => pair,
            (Some((true, pair)), Some(scanned)) if self.calls_indirectly(&scanned) => pair,
            (_, Some(scanned)) => scanned,
            (Some((_, pair)), None) => pair,
            (None, None) => return None,
        };
        found.between = self.called(found.state.ip());
        Some(found)
    }

    fn calls_indirectly(&mut self, found: &Found) -> bool {
        !matches!(self.site(found.state.ip()), Site::Direct(_))
    }

    /// The function that the call before `ip` went to, when it is known as
    /// the start of one.
    fn called(&mut self, ip: Addr) -> Option<Addr> {
        let Site::Direct(target) = self.site(ip) else { return None };
        self.function(target).filter(|(start, _)| *start == target).map(|(start, _)| start)
    }
}
