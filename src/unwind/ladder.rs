//! Code without call frame information.
//!
//! Gives: the rungs in their order: the instructions ahead, the frame
//! pointer, the stack upwards. Trusts: nothing; each rung must lead behind a
//! call, and a direct call must have gone where this function can begin.

use super::frame::How;
use super::ground::{Function, Ground, Site, State};
use super::step::Found;
use super::{aarch64, x86_64};
use crate::address::Addr;
use crate::elfcore::{Machine, Registers};

/// A function that is called directly begins at most this far below its ip,
/// where neither FDE nor symbol says.
const FUNCTION_REACH: u64 = 64 << 10;

/// How well a call fits the function that it should have called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// A direct call to somewhere else.
    Elsewhere,
    /// An indirect call, or through a PLT stub.
    Perhaps,
    /// A direct call to a place that this function may begin at.
    Likely,
    /// A direct call to this function.
    Match,
}

impl Ground<'_> {
    pub(super) fn ladder(&mut self, state: &State, strict: bool) -> Option<Found> {
        let function = self.function(state.lookup());
        if !strict && let Some(found) = self.ahead(state, function) {
            return Some(found);
        }
        let pair = self.frame_pointer(state);
        let fit = pair.map(|registers| self.fit(registers.ip(), Some(state.lookup()), function));
        if let Some(registers) = pair
            && fit > Some(Fit::Elsewhere)
        {
            return Some(Found::new(registers, How::FramePointer, false));
        }
        if strict {
            return None;
        }
        let scanned = self.scan(state, state.sp(), Some(state.lookup()), function);
        scanned.or_else(|| pair.map(|registers| Found::new(registers, How::FramePointer, false)))
    }

    fn ahead(&mut self, state: &State, function: Option<Function>) -> Option<Found> {
        if self.machine() == Machine::Aarch64 && state.returns {
            return None;
        }
        let (image, modules) = (self.image, self.modules);
        let code = |at: Addr, length: usize| modules.code(image, at, length);
        let mut best: Option<Registers> = None;
        self.cache.spend(64).then_some(())?;
        let mut accept = |caller: &Registers| {
            let rises = caller.sp() > state.sp() || (!state.returns && caller.sp() >= state.sp());
            if !rises
                || self.site(caller.ip()) == Site::Not
                || self.area(caller.sp()) != self.area(state.sp())
            {
                return false;
            }
            if self.fit(caller.ip(), Some(state.lookup()), function) == Fit::Elsewhere {
                best = best.or(Some(*caller));
                return false;
            }
            true
        };
        let found = match state.registers.machine() {
            Machine::X86_64 => x86_64::ahead(&state.registers, image, &code, &mut accept),
            Machine::Aarch64 => aarch64::ahead(&state.registers, image, &code, &mut accept),
        };
        // A tail call explains a call that went elsewhere.
        Some(Found::new(found.or(best)?, How::Scan, state.sure))
    }

    /// The caller by the pair at the frame pointer (saved frame pointer,
    /// return address), when both hold.
    pub(super) fn frame_pointer(&mut self, state: &State) -> Option<Registers> {
        let fp = state.registers.fp();
        let area = self.area(state.sp())?;
        if fp < state.sp() || fp.0 & 7 != 0 || !area.contains(fp) {
            return None;
        }
        let (saved, slot) = (self.image.u64(fp)?, fp.add(8)?);
        let mut ip = Addr(self.image.u64(slot)?);
        if self.machine() == Machine::Aarch64 {
            ip = aarch64::strip(ip.0);
        }
        if !self.is_return(ip) {
            return None;
        }
        let mut registers = state.registers;
        registers.set_ip(ip);
        registers.set_sp(fp.add(16)?);
        registers.set_fp(Addr(saved));
        Some(registers)
    }

    /// How well the call before `ip` fits the function at `lookup`.
    pub(super) fn fit(&mut self, ip: Addr, lookup: Option<Addr>, function: Option<Function>) -> Fit {
        let Site::Direct(target) = self.site(ip) else { return Fit::Perhaps };
        if let Some((start, _)) = function
            && start == target
        {
            return Fit::Match;
        }
        if !self.is_code(target) {
            return Fit::Elsewhere;
        }
        if self.is_stub(target) {
            return Fit::Perhaps;
        }
        match (function, lookup) {
            (Some(function), _) if self.jumps_into(target, function) => Fit::Likely,
            (Some(_), _) => Fit::Elsewhere,
            (None, Some(lookup)) => match lookup.offset_from(target) {
                Some(distance) if distance < FUNCTION_REACH && self.row(target).is_none() => Fit::Likely,
                _ => Fit::Elsewhere,
            },
            (None, None) => Fit::Likely,
        }
    }

    /// A tail call, or a part of the called function that was moved away as
    /// cold, explains a call that went elsewhere.
    fn jumps_into(&mut self, target: Addr, (start, length): Function) -> bool {
        let Some(range) = start.range(length.max(1)) else { return false };
        let size = self.function(target).map_or(256, |(begin, length)| {
            length.saturating_sub(target.offset_from(begin).unwrap_or(0)).min(4096)
        });
        if !self.cache.spend(64) {
            return false;
        }
        let sizes = [size, 64, 16];
        let read = |size: &u64| self.modules.code(self.image, target, usize::try_from(*size).ok()?);
        let Some(code) = sizes.iter().find_map(read) else { return false };
        match self.machine() {
            Machine::X86_64 => x86_64::jumps_into(&code, target, range),
            Machine::Aarch64 => aarch64::jumps_into(&code, target, range),
        }
    }

    /// True for a PLT stub: a jump through memory, with little before it.
    fn is_stub(&self, target: Addr) -> bool {
        let Some(bytes) = self.modules.code(self.image, target, 12) else { return false };
        match self.machine() {
            Machine::X86_64 => {
                let code = bytes.strip_prefix(&[0xf3, 0x0f, 0x1e, 0xfa]).unwrap_or(&bytes);
                let code = code.strip_prefix(&[0xf2]).unwrap_or(code);
                code.starts_with(&[0xff, 0x25])
            }
            // adrp x16, …
            Machine::Aarch64 => {
                matches!(bytes.as_slice(), [a, _, _, d, ..] if a & 0x1f == 16 && d & 0x9f == 0x90)
            }
        }
    }
}
