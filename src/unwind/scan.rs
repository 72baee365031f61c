//! The stack upwards: a word that is a return address, and what speaks for it.
//!
//! Gives: [`Ground::scan`]. Trusts: nothing; a stack is full of old return
//! addresses. At most [`limits::SCAN_WORDS`] words are looked at.
//!
//! ```text
//! code behind a call, and
//!   its own unwind row leads on to a return site      consistent, else refused
//!   the call went to this function (or near below it)  taken at once
//!   an indirect call, or through a stub                taken when nothing better
//!   a call to elsewhere, consistent                    the last resort
//! ```

use super::cfi::Outcome;
use super::frame::How;
use super::ground::{Function, Ground, Site, State};
use super::ladder::Fit;
use super::step::Found;
use crate::address::Addr;
use crate::elfcore::Registers;
use crate::limits;

impl Ground<'_> {
    /// The caller of the function at `lookup` (`None`: unknown), whose return
    /// slot is somewhere from `from` upwards.
    pub(super) fn scan(
        &mut self,
        state: &State,
        from: Addr,
        lookup: Option<Addr>,
        function: Option<Function>,
    ) -> Option<Found> {
        let area = self.area(from)?;
        let mut best: Option<(u8, Registers)> = None;
        let mut slot = Addr(from.0.checked_next_multiple_of(8)?);
        for _ in 0..limits::SCAN_WORDS {
            if slot >= area.end {
                break;
            }
            let Some(word) = self.image.u64(slot).filter(|_| self.cache.spend(1)) else { break };
            if let Some((score, registers)) = self.candidate(state, slot, Addr(word), lookup, function) {
                if best.is_none_or(|(highest, _)| score > highest) {
                    best = Some((score, registers));
                }
                if score >= 7 {
                    break;
                }
            }
            slot = slot.add(8)?;
        }
        let (_, registers) = best?;
        Some(Found::new(registers, How::Scan, false))
    }

    fn candidate(
        &mut self,
        state: &State,
        slot: Addr,
        word: Addr,
        lookup: Option<Addr>,
        function: Option<Function>,
    ) -> Option<(u8, Registers)> {
        if !self.is_code(word) || self.site(word) == Site::Not || !self.cache.spend(16) {
            return None;
        }
        let fit = self.fit(word, lookup, function);
        let mut registers = state.registers;
        registers.set_ip(word);
        registers.set_sp(slot.add(8)?);
        let (consistent, registers) = self.consistent(&registers, state.sp())?;
        let score = match (fit, consistent) {
            (Fit::Match, true) => 10,
            (Fit::Likely, true) => 9,
            (Fit::Match, false) => 8,
            (Fit::Likely, false) => 7,
            (Fit::Perhaps, true) => 6,
            (Fit::Perhaps, false) => 4,
            (Fit::Elsewhere, true) => 2,
            (Fit::Elsewhere, false) => return None,
        };
        Some((score, registers))
    }

    /// Does the frame of a return address that was found at `sp − 8` lead on?
    /// `None`: it cannot be. Otherwise whether it can, by its row, and the
    /// registers with a frame pointer that makes it so: the present one, the
    /// word below the slot (where `push rbp` would have put it), or a word
    /// from `below` up that points into the same stack.
    pub(super) fn consistent(&mut self, registers: &Registers, below: Addr) -> Option<(bool, Registers)> {
        let state = State { registers: *registers, returns: true, sure: false };
        let Some(row) = self.row(state.lookup()) else {
            return Some((false, self.guess_pair(&state, below)));
        };
        let mut tried = *registers;
        let guesses = if row.needs_frame_pointer(self.machine()) { 24 } else { 0 };
        let mut next = registers.sp();
        for turn in 0..=guesses {
            let led = match row.caller(&tried, self.image) {
                Outcome::Outermost => true,
                Outcome::Caller(caller) => row.signal || self.plausible(&state, &caller),
                // The rest of this stack was not kept.
                Outcome::NoMemory(at) => {
                    turn == 0 && at > registers.sp() && self.area(at) == self.area(registers.sp())
                }
                Outcome::Bad => false,
            };
            if led {
                return Some((true, tried));
            }
            self.cache.spend(16).then_some(())?;
            let (at, guess) = self.guess(registers.sp(), next, below)?;
            next = at;
            tried.set_fp(guess);
        }
        None
    }

    /// The next word below `next`, from two below `sp` down to `below`, that
    /// could be a frame pointer of the frame at `sp`.
    fn guess(&self, sp: Addr, next: Addr, below: Addr) -> Option<(Addr, Addr)> {
        let area = self.area(sp)?;
        let mut at = if next == sp { sp.sub(16)? } else { next.sub(8)? };
        for _ in 0..limits::SCAN_WORDS {
            if at < below.sub(64)? {
                return None;
            }
            let word = Addr(self.image.u64(at)?);
            if word >= sp && area.contains(word) && word.0 & 7 == 0 {
                return Some((at, word));
            }
            at = at.sub(8)?;
        }
        None
    }

    /// For a caller without a row: a frame pointer whose pair holds.
    fn guess_pair(&mut self, state: &State, below: Addr) -> Registers {
        let mut tried = *state;
        let mut next = state.sp();
        for _ in 0..8 {
            if self.frame_pointer(&tried).is_some() {
                return tried.registers;
            }
            let Some((at, guess)) = self.guess(state.sp(), next, below) else { break };
            next = at;
            tried.registers.set_fp(guess);
        }
        state.registers
    }
}
