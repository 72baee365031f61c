//! A token bucket in one word: the generic cell rate algorithm (ITU-T I.371).
//!
//! The word is the time at which the bucket would be full again, in nanoseconds
//! since boot. A crash is admitted while that is at most `(burst − 1) × interval`
//! ahead, and moves it on by one interval. Whatever stands in the word, an
//! answer is given; a time that these rules cannot have written (another
//! configuration's, or nonsense) is brought back to the largest that they can.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits;

/// Nanoseconds of a minute.
const MINUTE: u64 = 60_000_000_000;

/// So many at once, and so many a minute from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Nanoseconds until one more is admitted.
    interval: u64,
    /// Nanoseconds that the word may be ahead.
    tolerance: u64,
}

impl Rate {
    /// At least one at once, and one a minute; at most limits::THROTTLE_MOST.
    pub fn new(burst: u64, per_minute: u64) -> Rate {
        let interval = MINUTE.checked_div(per_minute.clamp(1, limits::THROTTLE_MOST)).unwrap_or(MINUTE);
        let more = burst.clamp(1, limits::THROTTLE_MOST).saturating_sub(1);
        Rate { interval, tolerance: interval.saturating_mul(more) }
    }

    /// What the word becomes: `Ok` when one is admitted, which it is not out of the
    /// spared part.
    fn next(self, full_at: u64, now: u64, spared: u64) -> Result<u64, u64> {
        let most = now.saturating_add(self.tolerance);
        match full_at.max(now) {
            at if at <= most.saturating_sub(spared).max(now) => Ok(at.saturating_add(self.interval)),
            // The largest word that an admitted one can have left.
            at => Err(at.min(most.saturating_add(self.interval))),
        }
    }

    /// Takes one, if there is one.
    pub(super) fn take(self, word: &AtomicU64, now: u64) -> bool {
        self.take_above(word, now, 0)
    }

    /// Takes one, if more than the last quarter of a full bucket is there.
    pub(super) fn take_sparing(self, word: &AtomicU64, now: u64) -> bool {
        self.take_above(word, now, self.tolerance / 4)
    }

    fn take_above(self, word: &AtomicU64, now: u64, spared: u64) -> bool {
        let mut seen = word.load(Ordering::Relaxed);
        for _ in 0..limits::STORM_ATTEMPTS {
            let (next, admitted) = match self.next(seen, now, spared) {
                Ok(next) => (next, true),
                Err(healed) => (healed, false),
            };
            if next == seen {
                return admitted;
            }
            match word.compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return admitted,
                Err(other) => seen = other,
            }
        }
        false
    }

    /// Gives one back that was not used.
    pub(super) fn give_back(self, word: &AtomicU64) {
        let mut seen = word.load(Ordering::Relaxed);
        for _ in 0..limits::STORM_ATTEMPTS {
            let less = seen.saturating_sub(self.interval);
            match word.compare_exchange_weak(seen, less, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return,
                Err(other) => seen = other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SplitMix64, so that a failure repeats.
    fn random(seed: &mut u64) -> u64 {
        *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (*seed ^ *seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb) ^ mixed >> 31
    }

    /// The same with a bucket of parts of tokens, which is filled as time passes.
    struct Plain {
        parts: u64,
        most: u64,
        one: u64,
        at: u64,
    }

    impl Plain {
        fn take(&mut self, now: u64) -> bool {
            // A nanosecond fills one part; `one` parts are a token.
            self.parts = self.most.min(self.parts + (now - self.at));
            self.at = now;
            let enough = self.parts >= self.one;
            self.parts -= if enough { self.one } else { 0 };
            enough
        }
    }

    #[test]
    fn it_admits_what_a_plain_bucket_of_tokens_admits() {
        let mut seed = 7;
        for _ in 0..300 {
            let (burst, per_minute) = (1 + random(&mut seed) % 80, 1 + random(&mut seed) % 5000);
            let rate = Rate::new(burst, per_minute);
            let word = AtomicU64::new(0);
            let mut now = 1_000_000_000 + random(&mut seed) % MINUTE;
            let one = rate.interval;
            let mut plain = Plain { parts: one * burst, most: one * burst, one, at: now };
            let mean = 1 + random(&mut seed) % (3 * one);
            for n in 0..500 {
                now += random(&mut seed) % (2 * mean);
                assert_eq!(rate.take(&word, now), plain.take(now), "{burst} {per_minute} {n}");
            }
        }
    }

    #[test]
    fn no_span_of_time_admits_more_than_the_burst_and_its_share() {
        let rate = Rate::new(60, 120);
        let word = AtomicU64::new(0);
        let step = 2_000_000; // 500 a second
        let admitted = (0..60_000u64).filter(|n| rate.take(&word, n * step)).count();
        // Two minutes: 60 at once, 120 a minute.
        assert_eq!(admitted, 60 + 239);
    }

    #[test]
    fn what_crashes_once_a_second_or_ten_times_is_never_suppressed() {
        let rate = Rate::new(limits::THROTTLE_EXECUTABLE_BURST, limits::THROTTLE_EXECUTABLE_PER_MINUTE);
        let word = AtomicU64::new(0);
        assert!((0..3600u64).all(|second| rate.take(&word, second * 1_000_000_000)));
        let word = AtomicU64::new(0);
        assert!((0..50u64).all(|n| rate.take(&word, n * 100_000_000)), "a start every 100 ms, for 5 s");
    }

    #[test]
    fn who_spares_leaves_a_quarter_and_waits_until_there_is_more() {
        let (rate, word, second) = (Rate::new(20, 60), AtomicU64::new(0), 1_000_000_000);
        let sparing = |now: u64| (0..100).filter(|_| rate.take_sparing(&word, now)).count();
        assert_eq!((sparing(second), sparing(second)), (15, 0));
        assert_eq!((0..100).filter(|_| rate.take(&word, second)).count(), 5, "who does not has the rest");
        assert_eq!((sparing(4 * second), sparing(7 * second), sparing(8 * second)), (0, 1, 1));
        let (one, word) = (Rate::new(1, 60), AtomicU64::new(0));
        assert!(one.take_sparing(&word, second), "of one, nothing can be spared");
    }

    #[test]
    fn any_word_is_answered_and_nonsense_heals() {
        let mut seed = 11;
        for _ in 0..20_000 {
            let rate = Rate::new(random(&mut seed), random(&mut seed));
            let (word, now) = (AtomicU64::new(random(&mut seed)), random(&mut seed) >> 8);
            rate.take(&word, now);
            rate.give_back(&word);
            let healed = word.load(Ordering::Relaxed);
            assert!(healed <= now.max(1) + rate.tolerance + rate.interval, "{rate:?} {healed} {now}");
        }
        let (rate, word) = (Rate::new(5, 60), AtomicU64::new(u64::MAX));
        assert!(!rate.take(&word, 1_000));
        assert!(rate.take(&word, 1_000 + MINUTE), "not suppressed for ever");
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let (rate, word) = (Rate::new(3, 1), AtomicU64::new(0));
        assert!(rate.take(&word, MINUTE) && rate.take(&word, MINUTE) && rate.take(&word, MINUTE));
        assert!(!rate.take(&word, MINUTE));
        rate.give_back(&word);
        assert!(rate.take(&word, MINUTE) && !rate.take(&word, MINUTE));
    }
}
