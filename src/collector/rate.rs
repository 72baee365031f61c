//! How often one host may knock: a token bucket each, in a bounded table.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Hosts that are remembered: four times the largest fleet that one collector
/// is meant for. 100 bytes each.
const HOSTS: usize = 80_000;

/// One bucket: how many requests it holds, and when that was.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    holds: f64,
    at: Instant,
}

/// Buckets by name.
#[derive(Debug)]
pub(super) struct Rate {
    per_second: f64,
    burst: f64,
    table: Mutex<HashMap<String, Bucket>>,
}

impl Rate {
    /// `per_minute` requests in the long run (0 = any number), `burst` at once.
    pub(super) fn new(per_minute: u32, burst: u32) -> Rate {
        let table = Mutex::new(HashMap::new());
        Rate { per_second: f64::from(per_minute) / 60.0, burst: f64::from(burst.max(1)), table }
    }

    /// Takes one request of `name`, or says after how long there is one.
    pub(super) fn take(&self, name: &str, now: Instant) -> Result<(), Duration> {
        if self.per_second <= 0.0 {
            return Ok(());
        }
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if table.len() >= HOSTS && !table.contains_key(name) {
            table.retain(|_, bucket| self.filled(*bucket, now) < self.burst);
            if table.len() >= HOSTS {
                // Everybody knocks at once: whoever is not known yet waits.
                return Err(Duration::from_secs(60));
            }
        }
        let fresh = Bucket { holds: self.burst, at: now };
        let bucket = table.entry(name.to_owned()).or_insert(fresh);
        let holds = self.filled(*bucket, now);
        *bucket = Bucket { holds: if holds >= 1.0 { holds - 1.0 } else { holds }, at: now };
        if holds >= 1.0 { Ok(()) } else { Err(Duration::from_secs_f64((1.0 - holds) / self.per_second)) }
    }

    fn filled(&self, bucket: Bucket, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        (bucket.holds + passed * self.per_second).min(self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate_holds_and_other_hosts_do_not_notice() {
        let rate = Rate::new(60, 3);
        let start = Instant::now();
        for _ in 0..3 {
            rate.take("a", start).unwrap();
        }
        let wait = rate.take("a", start).unwrap_err();
        assert_eq!(wait, Duration::from_secs(1));
        rate.take("b", start).unwrap();
        rate.take("a", start + wait).unwrap();
        rate.take("a", start + wait).unwrap_err();
    }

    #[test]
    fn the_table_is_bounded_and_forgets_who_was_quiet() {
        let rate = Rate::new(60, 1);
        let start = Instant::now();
        for n in 0..HOSTS {
            rate.take(&n.to_string(), start).unwrap();
        }
        rate.take("one more", start).unwrap_err();
        rate.take("one more", start + Duration::from_secs(2)).unwrap();
        assert_eq!(rate.table.lock().unwrap().len(), 1);
    }
}
