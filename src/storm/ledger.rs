//! The words of /run/epicore/crashes.
//!
//! ```text
//! word  0  "EPICRASH"             16  when the bucket of all is full again
//!       1  version, words         17  when the counters were last copied to
//!       2  boot id                    the spool
//!       4  what keys are hashed
//!          under
//!       7  died of themselves     18  their last words, 8 each  (epitaph.rs)
//!       8  begun                  64  handlers by process     (alive.rs)
//!       9  ended                1088  executables, 4 words each (table.rs)
//!      10  recorded                   key, when its bucket is full again,
//!      11  suppressed                 suppressed, 0
//!      12  unanalysed
//!      13  failed               times: CLOCK_BOOTTIME, nanoseconds
//!      14  unwanted             native byte order; numbers only grow
//!      15  unknown to alive.rs   58  when one was last suppressed
//! ```
//!
//! Each is changed by one atomic operation. Whoever dies between two of them
//! leaves a number that is one too small, never one that is wrong for others.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits;

pub(super) const MAGIC: u64 = u64::from_le_bytes(*b"EPICRASH");
/// The version and the geometry: another number is another file.
pub(super) const SHAPE: u64 = 3 << 32 | WORDS as u64;
/// When the bucket of all executables is full again.
pub(super) const FULL_AT: usize = 16;
/// When the counters were last copied.
pub(super) const KEPT_AT: usize = 17;
/// Handlers that died of themselves.
pub(super) const BURIED: usize = 7;
/// The first of their last words, words of one, and how many are kept.
pub(super) const EPITAPHS: usize = 18;
/// See [`EPITAPHS`].
pub(super) const EPITAPH: usize = 8;
/// See [`EPITAPHS`].
pub(super) const EPITAPHS_KEPT: usize = 5;
/// When a crash was last suppressed.
pub(super) const SUPPRESSED_AT: usize = 58;
/// The first handler.
pub(super) const HANDLERS: usize = 64;
/// The first executable.
pub(super) const TABLE: usize = HANDLERS + limits::STORM_HANDLERS;
/// Words of one executable.
pub(super) const ROW: usize = 4;
/// All words.
pub(super) const WORDS: usize = TABLE + limits::STORM_KEYS * ROW;
/// Words of the header.
pub(super) const HEADER: usize = 4;
/// Two words that nobody can guess: under them keys are hashed, so that nobody can choose
/// programs whose places in the table are the same.
pub(super) const SECRET: usize = HEADER;

/// A counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    Begun = 8,
    Ended = 9,
    Recorded = 10,
    Suppressed = 11,
    Unanalysed = 12,
    Failed = 13,
    Unwanted = 14,
    Unknown = 15,
}

/// What stands in the first words of a file of this boot.
pub(super) fn header(boot: &[u8; 16]) -> [u64; HEADER] {
    let boot = u128::from_le_bytes(*boot).to_le_bytes();
    let (low, high) = boot.split_at(8);
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap_or_default());
    [MAGIC, SHAPE, word(low), word(high)]
}

/// What keys are hashed under.
pub(super) fn secret(word: impl Fn(usize) -> u64) -> [u8; 16] {
    let (low, high) = (u128::from(word(SECRET)), u128::from(word(SECRET.saturating_add(1))));
    (high << 64 | low).to_le_bytes()
}

/// The mapped words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ledger(pub(super) &'static [AtomicU64]);

impl Ledger {
    /// One word; beyond the end one that nobody reads.
    pub(super) fn word(&self, index: usize) -> &AtomicU64 {
        static NOWHERE: AtomicU64 = AtomicU64::new(0);
        self.0.get(index).unwrap_or(&NOWHERE)
    }

    pub(super) fn get(&self, index: usize) -> u64 {
        self.word(index).load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, count: Count) {
        self.word(count as usize).fetch_add(1, Ordering::AcqRel);
    }

    /// True for the one who shall copy the counters now. A time to come is
    /// nobody's.
    pub(super) fn is_due(&self, now: u64) -> bool {
        const INTERVAL: u64 = limits::STORM_KEPT_SECONDS * 1_000_000_000;
        let last = self.get(KEPT_AT);
        let due = last == 0 || last > now || now.saturating_sub(last) >= INTERVAL;
        let word = self.word(KEPT_AT);
        due && word.compare_exchange(last, now.max(1), Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A ledger in this process's memory only, with these words.
    pub(crate) fn of(word: impl FnMut(usize) -> u64) -> Ledger {
        let words: Vec<AtomicU64> = (0..WORDS).map(word).map(AtomicU64::new).collect();
        Ledger(Box::leak(words.into_boxed_slice()))
    }

    #[test]
    fn numbers_that_many_change_at_once_are_exact() {
        const EACH: u64 = 1_000_000;
        const BURST: u64 = crate::limits::THROTTLE_MOST;
        let ledger = of(|_| 0);
        let rate = crate::storm::Rate::new(BURST, 1);
        let (admitted, together) = (AtomicU64::new(0), std::sync::Barrier::new(4));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    together.wait();
                    let takes = (0..EACH).map(|_| {
                        ledger.add(Count::Begun);
                        u64::from(rate.take(ledger.word(FULL_AT), 1))
                    });
                    admitted.fetch_add(takes.sum(), Ordering::Relaxed);
                });
            }
        });
        assert_eq!(ledger.get(Count::Begun as usize), 4 * EACH);
        assert_eq!(admitted.into_inner(), BURST, "nothing is taken twice");
    }

    #[test]
    fn one_of_many_copies_the_counters_every_five_seconds() {
        let ledger = of(|_| 0);
        let second = 1_000_000_000;
        let due: Vec<u64> = (1..=20).filter(|at| ledger.is_due(at * second)).collect();
        assert_eq!(due, [1, 6, 11, 16]);
        let ledger = of(|_| u64::MAX);
        assert!(ledger.is_due(second) && !ledger.is_due(second), "a time to come does not stop it");
    }
}
