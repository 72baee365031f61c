//! How far it is, on a terminal, when it takes long.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::report::amount;

/// One line that is written over, and gone at the end.
pub(super) struct Progress {
    what: &'static str,
    begun: Instant,
    told: Option<Instant>,
    first: Option<u64>,
    is_terminal: bool,
}

impl Progress {
    /// Before this nobody asks.
    const QUIET: Duration = Duration::from_secs(2);
    const PAUSE: Duration = Duration::from_millis(250);

    /// `what` is counted.
    pub(super) fn of(what: &'static str) -> Progress {
        let is_terminal = std::io::stderr().is_terminal();
        Progress { what, begun: Instant::now(), told: None, first: None, is_terminal }
    }

    /// So many, at this position of those from the first one told to the last.
    pub(super) fn tell(&mut self, count: u64, position: u64, last: u64) {
        let first = *self.first.get_or_insert(position);
        let early = self.begun.elapsed() < Progress::QUIET;
        let again = self.told.is_some_and(|told| told.elapsed() < Progress::PAUSE);
        if !self.is_terminal || early || again {
            return;
        }
        self.told = Some(Instant::now());
        let done = position.saturating_sub(first) as f64 / last.saturating_sub(first).max(1) as f64;
        let (count, what) = (amount::count(count), self.what);
        let _ = write!(std::io::stderr(), "\r{count} {what}, {:.0} %\x1b[K", 100.0 * done);
    }

    /// Nothing is left of it.
    pub(super) fn end(&self) {
        if self.told.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
