//! The oldest end of a stack, behind bytes that were not kept.
//!
//! Gives: [`Ground::tail`], where to go on. Of an overflowed stack only the
//! innermost and the outermost part is kept; how the two hang together is
//! not known, but who began it is there. Each word of the outer part that is
//! a return address is walked, strictly, by call frame information and frame
//! pointers; the lowest that reaches the outermost frame is taken, because a
//! chain of hundreds of steps that ends right is no accident. Limits:
//! [`limits::TAIL_CANDIDATES`], [`limits::TAIL_STEPS`].

use super::frame::{End, How};
use super::ground::{Ground, Site, State};
use super::step::Found;
use crate::address::{Addr, AddrRange};
use crate::elfcore::Registers;
use crate::limits;

/// What reaching the outermost frame is worth, in steps.
const OUTERMOST: usize = 4;
/// Steps to the outermost frame that nobody takes by accident.
const ENOUGH: usize = 3;

impl Ground<'_> {
    /// The first frame at the oldest end of the stack of `state`, above `at`.
    pub(super) fn tail(&mut self, state: &State, at: Addr) -> Option<Found> {
        let area = self.area(state.sp())?;
        let above = AddrRange::new(at, area.end)?;
        let window = self.image.ranges().filter_map(|range| range.intersect(&above)).last()?;
        let mut steps = limits::TAIL_STEPS;
        let mut candidates = limits::TAIL_CANDIDATES;
        let mut best: Option<(usize, Registers)> = None;
        let mut slot = Addr(window.start.0.checked_next_multiple_of(8)?);
        while let Some(word) = self.image.u64(slot).filter(|_| slot < window.end) {
            if let Some(registers) = self.begins(state, slot, Addr(word), window) {
                candidates = candidates.saturating_sub(1);
                let (length, end) = self.chain(&registers, &mut steps);
                let worth = length.saturating_add(if end == End::Outermost { OUTERMOST } else { 0 });
                if worth >= 2 && best.is_none_or(|(most, _)| worth > most) {
                    best = Some((worth, registers));
                }
                if end == End::Outermost && length >= ENOUGH {
                    break;
                }
            }
            if candidates == 0 || steps == 0 {
                break;
            }
            slot = slot.add(8)?;
        }
        best.map(|(_, registers)| Found::new(registers, How::Tail, false))
    }

    fn begins(&mut self, state: &State, slot: Addr, word: Addr, window: AddrRange) -> Option<Registers> {
        if !self.is_code(word) || matches!(self.site(word), Site::Not | Site::Unknown) {
            return None;
        }
        let mut registers = state.registers;
        registers.set_ip(word);
        registers.set_sp(slot.add(8)?);
        registers.set_fp(Addr(0));
        self.consistent(&registers, window.start).map(|(_, registers)| registers)
    }

    /// How far a strict walk gets from here.
    fn chain(&mut self, registers: &Registers, steps: &mut usize) -> (usize, End) {
        let mut state = State { registers: *registers, returns: true, sure: false };
        let mut length = 0usize;
        loop {
            let Some(left) = steps.checked_sub(1).filter(|_| self.cache.spend(8)) else {
                return (length, End::LimitReached);
            };
            *steps = left;
            match self.step(&state, true) {
                Ok(found) if found.state.sp() > state.sp() => state = found.state,
                Ok(_) => return (length, End::Loop),
                Err(end) => return (length, end),
            }
            length = length.saturating_add(1);
        }
    }
}
