//! When the next batch may begin: backoff, circuit, concurrency.
//!
//! ```text
//! well ──► window + 1/window (one more after as many good ones), up to `most`
//! slow, 429, 5xx, no answer ──► window / 2, at most once for each round
//! failed ──► wait: Retry-After, else 0 … min(300 s, 0.5 s × 2ⁿ), any of it
//! five failures in a row ──► the circuit is open: one batch at a time
//! ```
//!
//! Full jitter: thousands of hosts that lost the same collector come back
//! spread over the whole interval. A round is what began since the last
//! failure: four batches that fail together are one failure. Time is monotonic
//! and given by the caller, as chance is; nothing here sleeps.

use std::time::{Duration, Instant};

/// Failures in a row that open the circuit.
pub const CIRCUIT: u32 = 5;
/// The first interval of the backoff.
const FIRST: Duration = Duration::from_millis(500);
/// The longest.
const LONGEST: Duration = Duration::from_secs(300);
/// Retry-After is obeyed up to this.
const OBEYED: Duration = Duration::from_secs(3600);
/// Failures that count after a batch was stored in part: waits of 4 s at most.
const PROGRESS: u32 = 3;
/// What "slowly" means: a person must act, so at least this and a jitter of
/// half a minute that grows to five.
const SLOWLY: Duration = Duration::from_secs(15);
const SLOWLY_FROM: u32 = 6;
/// An answer later than this is slow whatever the others were.
const SLOW: Duration = Duration::from_secs(5);
/// One later than the best so far times this, too (but not below `SLOW_LEAST`,
/// where the disk's mood decides).
const SLOW_FACTOR: u32 = 8;
const SLOW_LEAST: Duration = Duration::from_millis(500);

/// A random time between 0 and min(300 s, 0.5 s × 2ⁿ); `random` is in 0 … 1.
pub fn backoff(n: u32, random: f64) -> Duration {
    let most = 2u32.checked_pow(n).map_or(LONGEST, |factor| FIRST.saturating_mul(factor)).min(LONGEST);
    most.mul_f64(random.clamp(0.0, 1.0))
}

/// Whether a batch may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Now.
    Now,
    /// Not before this moment.
    At(Instant),
    /// When one of those on the way has come back.
    Full,
}

/// How fast a collector is asked.
#[derive(Clone, Debug)]
pub struct Pace {
    most: f64,
    window: f64,
    failures: u32,
    /// No batch begins before.
    until: Option<Instant>,
    /// When the last failure was noticed: what began before belongs to it.
    failed_at: Option<Instant>,
    cut_at: Option<Instant>,
    best: Duration,
}

impl Pace {
    /// At most `most` batches at once; begins with one.
    pub fn new(most: u64) -> Pace {
        let most = f64::from(u32::try_from(most.max(1)).unwrap_or(1));
        Pace { most, window: 1.0, failures: 0, until: None, failed_at: None, cut_at: None, best: LONGEST }
    }

    /// Whether a batch may begin while `on_the_way` others have not come back.
    pub fn leave(&self, now: Instant, on_the_way: usize) -> Leave {
        if let Some(until) = self.until.filter(|until| now < *until) {
            return Leave::At(until);
        }
        if on_the_way >= self.window() { Leave::Full } else { Leave::Now }
    }

    /// Batches that may be on the way at once.
    pub fn window(&self) -> usize {
        if self.failures > 0 {
            return 1;
        }
        // A configured concurrency is at most 32.
        (1u8..=u8::MAX).rev().find(|n| f64::from(*n) <= self.window).map_or(1, usize::from)
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// True while one batch at a time tries whether the collector is back.
    pub fn is_open(&self) -> bool {
        self.failures >= CIRCUIT
    }

    /// When the next attempt is due, while there is something to wait for.
    pub fn until(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| now < *until)
    }

    /// A batch that began at `began` was answered.
    pub fn went_well(&mut self, began: Instant, now: Instant) {
        let took = now.saturating_duration_since(began);
        self.failures = 0;
        self.until = None;
        self.failed_at = None;
        let slow = took > SLOW || took > self.best.saturating_mul(SLOW_FACTOR).max(SLOW_LEAST);
        self.best = self.best.min(took);
        if slow {
            self.cut(began, now);
        } else {
            self.window = (self.window + 1.0 / self.window).min(self.most);
        }
    }

    /// A batch that began at `began` was not taken. `slowly` when a person has
    /// to act first.
    pub fn failed(
        &mut self,
        began: Instant,
        now: Instant,
        retry_after: Option<Duration>,
        slowly: bool,
        random: f64,
    ) {
        self.cut(began, now);
        let same_round = self.failed_at.is_some_and(|at| began < at);
        if !same_round {
            self.failures = self.failures.saturating_add(1);
            self.failed_at = Some(now);
        }
        let n = self.failures.saturating_sub(1);
        let wait = match retry_after.filter(|wait| !wait.is_zero()) {
            Some(wait) => wait.min(OBEYED),
            None if slowly => SLOWLY.saturating_add(backoff(n.max(SLOWLY_FROM), random)),
            None => backoff(n, random),
        };
        let until = now.checked_add(wait);
        self.until = if same_round { self.until.max(until) } else { until };
    }

    /// Some items of a batch were stored although others were not: the
    /// collector is there, and the next wait shall be a matter of seconds.
    pub fn progressed(&mut self) {
        self.failures = self.failures.min(PROGRESS);
    }

    /// Forgets the wait: a person asked, or credentials changed. The failures
    /// stay counted until something goes well.
    pub fn try_now(&mut self) {
        self.until = None;
    }

    fn cut(&mut self, began: Instant, now: Instant) {
        if self.cut_at.is_none_or(|at| began >= at) {
            self.window = (self.window / 2.0).max(1.0);
            self.cut_at = Some(now);
            // The best of a calmer time is no measure for ever.
            self.best = self.best.saturating_mul(2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: Duration = Duration::from_millis(1);

    fn well(pace: &mut Pace, times: u32, now: &mut Instant) {
        for _ in 0..times {
            let began = *now;
            *now += 20 * MS;
            pace.went_well(began, *now);
        }
    }

    fn failed(pace: &mut Pace, now: &mut Instant, retry_after: Option<Duration>) {
        let began = *now;
        *now += MS;
        pace.failed(began, *now, retry_after, false, 1.0);
    }

    #[test]
    fn the_window_grows_to_what_is_allowed_and_no_further() {
        let (mut pace, mut now) = (Pace::new(4), Instant::now());
        assert_eq!(pace.window(), 1);
        well(&mut pace, 1, &mut now);
        assert_eq!(pace.window(), 2);
        well(&mut pace, 100, &mut now);
        assert_eq!(pace.window(), 4);
        assert_eq!(pace.leave(now, 3), Leave::Now);
        assert_eq!(pace.leave(now, 4), Leave::Full);
    }

    #[test]
    fn a_slow_answer_halves_the_window_once_for_a_round() {
        let (mut pace, mut now) = (Pace::new(8), Instant::now());
        well(&mut pace, 100, &mut now);
        let began = now;
        now += 10_000 * MS;
        (0..8).for_each(|_| pace.went_well(began, now));
        assert!((4..8).contains(&pace.window()), "{}", pace.window());
    }

    #[test]
    fn five_failures_open_the_circuit_and_one_success_closes_it() {
        let (mut pace, mut now) = (Pace::new(4), Instant::now());
        well(&mut pace, 100, &mut now);
        for n in 1..=CIRCUIT {
            assert!(!pace.is_open());
            failed(&mut pace, &mut now, None);
            let Leave::At(until) = pace.leave(now, 0) else { panic!("{n}: not waiting") };
            assert_eq!(until - now, backoff(n - 1, 1.0));
            now = until;
        }
        assert!(pace.is_open());
        assert_eq!((pace.leave(now, 0), pace.leave(now, 1)), (Leave::Now, Leave::Full));
        well(&mut pace, 1, &mut now);
        assert!(!pace.is_open());
    }

    #[test]
    fn batches_that_fail_together_are_one_failure() {
        let (mut pace, mut now) = (Pace::new(4), Instant::now());
        let began = now;
        for _ in 0..4 {
            now += MS;
            pace.failed(began, now, None, false, 0.5);
        }
        assert_eq!(pace.failures(), 1);
    }

    #[test]
    fn retry_after_is_obeyed_up_to_an_hour() {
        for (said, waited) in [(7, 7), (3600, 3600), (86_400, 3600)] {
            let (mut pace, mut now) = (Pace::new(4), Instant::now());
            failed(&mut pace, &mut now, Some(Duration::from_secs(said)));
            assert_eq!(pace.leave(now, 0), Leave::At(now + Duration::from_secs(waited)));
            pace.try_now();
            assert_eq!(pace.leave(now, 0), Leave::Now);
        }
    }

    #[test]
    fn what_a_person_must_mend_is_tried_slowly() {
        let (mut pace, now) = (Pace::new(4), Instant::now());
        pace.failed(now, now, None, true, 0.0);
        assert_eq!(pace.until(now), Some(now + SLOWLY));
    }

    proptest! {
        #[test]
        fn a_backoff_lies_within_its_interval(n in 0u32..200, random in 0.0f64..=1.0) {
            let most = Duration::from_secs_f64((0.5 * 2f64.powi(n as i32)).min(300.0));
            prop_assert!(backoff(n, random) <= most);
            prop_assert_eq!(backoff(n, 0.0), Duration::ZERO);
            prop_assert_eq!(backoff(n, 1.0), most);
        }
    }

    #[test]
    fn a_backoff_is_spread_over_its_whole_interval() {
        let mut chance = fastrand::Rng::with_seed(7);
        let mut tenths = [0u32; 10];
        for _ in 0..10_000 {
            let share = backoff(4, chance.f64()).as_secs_f64() / 8.0;
            tenths[((share * 10.0) as usize).min(9)] += 1;
        }
        assert!(tenths.iter().all(|n| (850..1150).contains(n)), "{tenths:?}");
    }
}
