//! What is too old leaves the spool: at the start, after many acknowledgements,
//! and once a day.

use std::time::{Duration, Instant};

use crate::config::Config;
use crate::spool::{Quota, Retention, Spool};
use crate::syscall;

/// Acknowledgements after which the spool is looked through, or as many as it
/// then held, if those were more: so a file is looked at a few times in its
/// life, however long the backlog is.
const BULK: u64 = 5000;
const DAY: Duration = Duration::from_secs(86_400);

/// What the configuration keeps, as of `now_ms` (milliseconds since the epoch).
pub(super) fn of(config: &Config, now_ms: u64) -> Retention {
    let quota = Quota { bytes: config.spool_bytes, records: config.spool_records };
    let days = Some(config.retention_days).filter(|days| *days > 0);
    let before = days.map(|days| now_ms.saturating_sub(days.saturating_mul(86_400_000)));
    match config.collector.url {
        Some(_) => Retention { quota, acknowledged_before: before, any_before: None },
        None => Retention { quota, acknowledged_before: None, any_before: before },
    }
}

/// When it was done last.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    last: Option<Instant>,
    left: u64,
}

impl Keeper {
    /// Does it when it is due. The main loop waits meanwhile; senders do not.
    pub(super) fn keep(&mut self, spool: &Spool, config: &Config, acknowledged: &mut u64, now: Instant) {
        let old = self.last.is_none_or(|last| now.saturating_duration_since(last) >= DAY);
        if !old && *acknowledged < self.left.max(BULK) {
            return;
        }
        self.last = Some(now);
        *acknowledged = 0;
        let now_ms = syscall::clocks().0.unwrap_or(0) / 1_000_000;
        let done = spool.retain(&of(config, now_ms));
        self.left = done.as_ref().map_or(self.left, |done| done.left);
        match done {
            Ok(done) if done.records > 0 || done.exposures > 0 => tracing::info!(
                "{} records and {} reports left the spool; {} of the records had not been forwarded",
                done.records,
                done.exposures,
                done.evicted
            ),
            Ok(_) => {}
            Err(error) => tracing::warn!("the spool could not be tidied: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_collector_age_alone_counts() {
        let mut config = Config { retention_days: 2, ..Config::default() };
        let now = 10 * 86_400_000;
        assert_eq!(of(&config, now).any_before, Some(8 * 86_400_000));
        assert_eq!(of(&config, now).acknowledged_before, None);
        config.collector.url = Some("https://c".into());
        assert_eq!(of(&config, now).acknowledged_before, Some(8 * 86_400_000));
        assert_eq!(of(&config, now).any_before, None);
        config.retention_days = 0;
        assert_eq!(of(&config, now).acknowledged_before, None);
    }

    /// A backlog of a million records was looked through two hundred times,
    /// once for every 5,000 that had left: a quarter of an hour of fstat.
    #[test]
    fn a_long_backlog_is_not_looked_through_again_and_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spool");
        crate::spool::initialise(&path, None).unwrap();
        let (spool, now) = (Spool::open(&path).unwrap(), Instant::now());
        let mut keeper = Keeper { last: Some(now), left: 1_000_000 };
        let mut acknowledged = BULK;
        keeper.keep(&spool, &Config::default(), &mut acknowledged, now);
        assert_eq!(acknowledged, BULK, "not yet");
        acknowledged = 1_000_000;
        keeper.keep(&spool, &Config::default(), &mut acknowledged, now);
        assert_eq!((acknowledged, keeper.left), (0, 0));
        acknowledged = BULK;
        keeper.keep(&spool, &Config::default(), &mut acknowledged, now);
        assert_eq!(acknowledged, 0, "a small spool is looked through after every few thousand");
    }
}
