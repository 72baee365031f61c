//! The journal: sentences for people, on standard error or to journald.
//!
//! What it gives: [`start`], which finds out whether standard error is the
//! journal, and [`Seldom`], which keeps a flood of like lines to a few an hour.
//! What it trusts: nothing of a line's words; whoever writes one has made
//! foreign text printable ([`plain`](crate::forward::plain)).

use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Begins to log. A second call does nothing.
pub(super) fn start() {
    let journal = is_journal().then(tracing_journald::layer).and_then(Result::ok);
    let lines = journal.is_none().then(|| {
        fmt::layer().with_writer(std::io::stderr).with_ansi(false).with_target(false).without_time()
    });
    let all = tracing_subscriber::registry().with(LevelFilter::INFO).with(journal).with(lines);
    let _ = all.try_init();
}

/// systemd gives the device and inode of the stream that it connected to
/// standard error; somebody may have redirected it since.
fn is_journal() -> bool {
    let Some(stream) = std::env::var("JOURNAL_STREAM").ok() else { return false };
    let Ok(meta) = std::fs::metadata("/proc/self/fd/2") else { return false };
    stream == format!("{}:{}", meta.dev(), meta.ino())
}

/// At most a few lines of one sort in an hour.
#[derive(Debug)]
pub(super) struct Seldom {
    most: u32,
    since: Option<Instant>,
    said: u32,
    unsaid: u64,
}

impl Seldom {
    /// At most `most` in an hour.
    pub(super) fn new(most: u32) -> Seldom {
        Seldom { most, since: None, said: 0, unsaid: 0 }
    }

    /// Whether a line may be said now, and how many were not since the last
    /// hour began.
    pub(super) fn may(&mut self, now: Instant) -> Option<u64> {
        const HOUR: Duration = Duration::from_secs(3600);
        if self.since.is_none_or(|since| now.saturating_duration_since(since) >= HOUR) {
            self.since = Some(now);
            self.said = 0;
        }
        if self.said >= self.most {
            self.unsaid = self.unsaid.saturating_add(1);
            return None;
        }
        self.said = self.said.saturating_add(1);
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_a_few_lines_and_a_number() {
        let (mut seldom, now) = (Seldom::new(2), Instant::now());
        let said: Vec<_> = (0..5).map(|_| seldom.may(now)).collect();
        assert_eq!(said, [Some(0), Some(0), None, None, None]);
        assert_eq!(seldom.may(now + Duration::from_secs(3601)), Some(3));
    }
}
