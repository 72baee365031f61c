//! When to look: at random, so that a census meets the host as it is on
//! average.
//!
//! A timer asks every ten minutes or so, at moments that have a jitter of their
//! own. Let the host have a Poisson process of rate 1/mean that nobody sees.
//! Between two questions, `elapsed` apart, it has no point with probability
//! exp(−elapsed/mean), whatever was before: so a coin that says "now" with
//! p = 1 − exp(−elapsed/mean) is the same in law as asking whether a point has
//! come since the last question. Hence, whenever the questions were asked:
//!
//! ```text
//! P(no census in the time t up to a question)
//!     = Π exp(−elapsed_i/mean) = exp(−Σ elapsed_i/mean) = exp(−t/mean)
//! ```
//!
//! exactly, for questions at any intervals that do not look ahead. A census
//! stands at the first question behind its point; the timer's own jitter
//! (uniform, as long as its period) takes the questions' phase away. Fixed
//! moments would meet cron.

use super::random::Random;

/// The probability of a census now, `elapsed_ns` after the last decision.
pub fn probability(elapsed_ns: u64, mean_seconds: u64) -> f64 {
    let elapsed = elapsed_ns as f64 / 1e9;
    -(-elapsed / mean_seconds.max(1) as f64).exp_m1()
}

/// Tosses that coin.
pub fn decides(random: &mut Random, elapsed_ns: u64, mean_seconds: u64) -> bool {
    random.unit() < probability(elapsed_ns, mean_seconds)
}
