//! The hour before which nothing is kept or taken, and whether the collector's
//! clock may move it.
//!
//! A clock that is wrong once must cost nothing. So the horizon never lies
//! later than today's clock says, whatever an earlier one said
//! ([`Horizon::oldest`], [`Horizon::lower`]), and a clock that jumped ahead
//! removes nothing: retention believes it when it is within two days of the
//! last time that retention was applied (the collector was off for a night),
//! or when most hosts that it heard on its day agree with it (it was off for
//! longer). A clock that went back is always believed: it removes nothing.

use std::collections::HashMap;

use rusqlite::Connection;

use super::number::{HOUR_NS, clamp, hour};
use crate::store::Keep;

/// Hours of a day.
const DAY: i64 = 24;
/// Hours that the clock may be ahead of the last retention without a witness.
const LEAP: i64 = 2 * DAY;
/// A host's clock that is no further from ours agrees with it.
const AGREES_NS: i64 = DAY.saturating_mul(HOUR_NS);
/// Hosts that are asked.
const WITNESSES: usize = 65_536;

/// The horizon and what moved it last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Horizon {
    /// Hours before it are gone.
    pub hour: i64,
    /// The days that were kept when it was last moved; 0: never moved.
    pub days: i64,
    /// When retention was last applied; 0: never.
    retained: i64,
}

/// Names of its numbers in the file.
const NAMES: [&str; 3] = ["horizon", "horizon_days", "retained"];

impl Horizon {
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Horizon> {
        let mut asked = connection.prepare_cached("SELECT n FROM number WHERE name = ?1")?;
        let mut number = |name: &str| asked.query_row([name], |row| row.get(0));
        let [horizon, days, retained] = NAMES;
        Ok(Horizon { hour: number(horizon)?, days: number(days)?, retained: number(retained)? })
    }

    /// What is written of it.
    pub(super) fn numbers(&self) -> [(&'static str, i64); 3] {
        let [horizon, days, retained] = NAMES;
        [(horizon, self.hour), (days, self.days), (retained, self.retained)]
    }

    /// The first hour that is taken when the clock says `now`: the horizon,
    /// unless it was moved by a clock that was ahead of this one.
    pub(super) fn oldest(&self, now: i64) -> i64 {
        match self.days {
            0 => i64::MIN,
            days => self.hour.min(before(now, days)),
        }
    }

    /// Retention begins: false when this clock may not remove anything.
    pub(super) fn advance(&mut self, keep: Keep, now: u64, witnesses: &Witnesses) -> bool {
        let now = clamp(now);
        self.lower(keep, now);
        if !self.believes(now, witnesses) {
            return false;
        }
        self.retained = hour(now);
        let days = i64::from(keep.records_days);
        let to = before(now, days);
        if days > 0 && to >= self.hour {
            (self.hour, self.days) = (to, days);
        }
        true
    }

    /// Takes it back to where this clock has it. Keeping for longer is none of
    /// this: what is gone stays gone.
    fn lower(&mut self, keep: Keep, now: i64) {
        let days = if self.days > 0 { self.days } else { i64::from(keep.records_days) };
        let most = before(now, days);
        if self.hour > most {
            let ahead = self.hour.saturating_sub(most).checked_div(DAY).unwrap_or(0);
            tracing::error!(
                "retention: a clock that was {ahead} days ahead had moved the horizon; it is back where \
                 this clock has it, older records are taken again"
            );
            self.hour = most;
        }
    }

    fn believes(&self, now: i64, witnesses: &Witnesses) -> bool {
        let leap = hour(now).saturating_sub(self.retained);
        let believed = self.retained == 0 || leap <= LEAP || witnesses.agree(now);
        if !believed {
            let (days, heard) = (leap.checked_div(DAY).unwrap_or(0), witnesses.lately(now).count());
            tracing::error!(
                "retention: nothing is removed: this clock is {days} days ahead of the last time, and of \
                 the {heard} hosts that it heard not most agree with it; set the clock, or wait for the hosts"
            );
        }
        believed
    }
}

/// The hour so many days before `now`.
fn before(now: i64, days: i64) -> i64 {
    hour(now).saturating_sub(days.saturating_mul(DAY))
}

/// Hosts by name that were heard since the last retention: when, by our clock,
/// and whether theirs agreed with it.
#[derive(Debug, Default)]
pub(super) struct Witnesses(HashMap<i64, (i64, bool)>);

impl Witnesses {
    /// A host's clock minus ours, which said `received`.
    pub(super) fn hear(&mut self, name: i64, received: i64, clock_ns: i64) {
        if self.0.len() < WITNESSES || self.0.contains_key(&name) {
            self.0.insert(name, (received, clock_ns.saturating_abs() <= AGREES_NS));
        }
    }

    /// What those say that were heard by the clock as it is now, and not
    /// before it jumped.
    fn lately(&self, now: i64) -> impl Iterator<Item = bool> {
        let near = move |received: i64| now.saturating_sub(received).saturating_abs() <= AGREES_NS;
        self.0.values().filter(move |(received, _)| near(*received)).map(|(_, agrees)| *agrees)
    }

    fn agree(&self, now: i64) -> bool {
        let (agreeing, all) = (self.lately(now).filter(|agrees| *agrees).count(), self.lately(now).count());
        agreeing > all.saturating_sub(agreeing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_NS: u64 = 24 * 3_600_000_000_000;
    const KEEP: Keep = Keep { bodies_days: 0, records_days: 400 };

    fn heard(clocks: &[i64]) -> Witnesses {
        let (mut witnesses, now) = (Witnesses::default(), 20_032 * AGREES_NS);
        (0..).zip(clocks).for_each(|(name, days)| witnesses.hear(name, now, days * AGREES_NS));
        witnesses.hear(-1, now - 30 * AGREES_NS, 0);
        witnesses
    }

    #[test]
    fn a_clock_that_jumped_ahead_is_believed_when_most_hosts_agree_with_it() {
        let mut horizon = Horizon::default();
        assert!(horizon.advance(KEEP, 20_000 * DAY_NS, &heard(&[])), "a new store");
        assert!(horizon.advance(KEEP, 20_002 * DAY_NS, &heard(&[])), "off for a night");
        let before = horizon;
        for clocks in [&[][..], &[-30], &[0, -30], &[0, -30, -30]] {
            assert!(!horizon.advance(KEEP, 20_032 * DAY_NS, &heard(clocks)), "{clocks:?}");
        }
        assert_eq!(horizon, before);
        assert!(horizon.advance(KEEP, 20_032 * DAY_NS, &heard(&[0, 0, -30])));
        assert_eq!(horizon.hour, 19_632 * 24);
    }

    #[test]
    fn a_horizon_of_a_wrong_clock_comes_back_and_one_of_shorter_days_stays() {
        let mut horizon = Horizon::default();
        horizon.advance(KEEP, 21_000 * DAY_NS, &heard(&[]));
        let now = 20_000 * 24 * HOUR_NS;
        assert_eq!(horizon.oldest(now), 19_600 * 24, "before retention is applied again");
        assert!(horizon.advance(KEEP, 20_000 * DAY_NS, &heard(&[])));
        assert_eq!(horizon.hour, 19_600 * 24);
        assert!(horizon.advance(Keep { records_days: 10, ..KEEP }, 20_000 * DAY_NS, &heard(&[])));
        for longer in [400, 0, 500] {
            assert!(horizon.advance(Keep { records_days: longer, ..KEEP }, 20_000 * DAY_NS, &heard(&[])));
            assert_eq!((horizon.hour, horizon.days), (19_990 * 24, 10));
        }
    }
}
