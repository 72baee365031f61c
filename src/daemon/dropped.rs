//! Crashes for which no handler began, counted exactly where the proc connector can be
//! had: those of which the kernel told, less the handlers that began.
//!
//! ```text
//!  kernel ── crash ──► pending ── ended ──► settled: crashes − begun ──► the file, the
//!     └── handler ──► begun (/run/epicore/crashes) ───────┘              main loop
//! ```
//!
//! The two numbers are compared only when no crash is pending, and nothing was told while
//! the second was read: a crash is told before its handler runs, and a handler that began
//! did so before the crashed process could end (with core_pipe_limit above 0). So the
//! difference at such a moment is exact. What began before somebody listened is left out:
//! counting begins [`GRACE`] later. Whatever breaks the chain (an overrun, a ledger that
//! was made anew) costs exactness, which is said, and never the sum.
//!
//! It counts what the kernel itself does not hand over (core_pipe_limit, a core limit of
//! 1, a process that may not be dumped, one that ended already), handlers that could not
//! be run or were killed before their first act, and whatever crashes while the pattern is
//! somebody else's or /run/epicore/disabled is there.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::connector::{Connector, Heard};
use super::event::Event;
use crate::storm::{self, WatchFile, Watched};
use crate::syscall;

/// Handlers of crashes that were told to nobody have begun after so long.
const GRACE: Duration = Duration::from_secs(1);
/// How often it is asked whether a pending process still lives.
const PATIENCE: Duration = Duration::from_secs(1);
/// Processes that dump at once; the kernel's own process ids are fewer on most hosts.
const PENDING: usize = 65_536;

/// The numbers, without the kernel.
#[derive(Debug, Default)]
struct Count {
    /// Processes that dump, and the thread that did it.
    pending: HashMap<u32, u32>,
    /// Something was told since the two numbers were compared.
    changed: bool,
    /// Crashes since the two numbers were compared.
    told: u64,
    /// Handlers that had begun then; `None` before the first time, and after an overrun.
    begun: Option<u64>,
    /// Since the first time.
    crashes: u64,
    dropped: u64,
    missed: bool,
}

impl Count {
    fn hear(&mut self, heard: Heard) {
        self.changed = true;
        match heard {
            Heard::Crash { .. } if self.pending.len() >= PENDING => self.miss(),
            // Two threads of one process are one crash.
            Heard::Crash { process, thread } => {
                let new = self.pending.insert(process, thread).is_none();
                self.told = self.told.saturating_add(new.into());
            }
            Heard::Ended(process) => drop(self.pending.remove(&process)),
            Heard::Missed => self.miss(),
            Heard::Answer(_) => {}
        }
    }

    /// What was told since the last comparison is not all.
    fn miss(&mut self) {
        self.missed |= self.begun.is_some();
        self.begun = None;
        self.told = 0;
        self.pending.clear();
    }

    /// The two numbers can be compared.
    fn is_settled(&self) -> bool {
        self.pending.is_empty()
    }

    /// There is nothing to compare until something is told.
    fn is_idle(&self) -> bool {
        self.begun.is_some() && self.is_settled() && !self.changed
    }

    /// Compares; true when there is something new.
    fn compare(&mut self, begun: u64) -> bool {
        self.changed = false;
        let told = std::mem::take(&mut self.told);
        let Some(before) = self.begun.replace(begun) else { return true };
        self.crashes = self.crashes.saturating_add(told);
        match begun.checked_sub(before).and_then(|begun| told.checked_sub(begun)) {
            Some(dropped) => {
                self.dropped = self.dropped.saturating_add(dropped);
                told > 0
            }
            // Handlers without a crash, or a ledger that was made anew.
            None => {
                let was = std::mem::replace(&mut self.missed, true);
                told > 0 || !was
            }
        }
    }
}

/// Where things are.
#[derive(Debug)]
pub(super) struct Places {
    /// The handlers' run directory.
    pub(super) run: PathBuf,
    /// The file with the numbers.
    pub(super) file: PathBuf,
    /// This boot.
    pub(super) boot: [u8; 16],
}

/// The one who counts, before it has its own thread.
#[derive(Debug)]
pub(super) struct Dropped {
    connector: Connector,
    file: WatchFile,
    places: Places,
    heard_since: Instant,
}

impl Dropped {
    /// Listens to the kernel; why that cannot be, in words.
    pub(super) fn new(places: Places) -> Result<Dropped, String> {
        let connector = Connector::listen()?;
        let file = WatchFile::create(&places.file, &places.boot)
            .map_err(|error| format!("{}: {error}", places.file.display()))?;
        Ok(Dropped { connector, file, places, heard_since: Instant::now() })
    }

    /// Counts until nobody listens. It sleeps without a timer while no process dumps.
    pub(super) fn run(mut self, events: &Sender<Event>) {
        let mut count = Count::default();
        let mut since_ns = None;
        loop {
            self.connector.wait((!count.is_idle()).then_some(PATIENCE));
            self.drain(&mut count);
            // The end of one whose first thread ended before is not told.
            count.pending.retain(|_, thread| lives(*thread));
            if !self.compare(&mut count) {
                continue;
            }
            let since = *since_ns.get_or_insert_with(|| syscall::clocks().1.unwrap_or(0));
            let Count { crashes, dropped, missed, .. } = count;
            let watched = Watched { since_ns: since, crashes, dropped, whole: !missed };
            if let Err(error) = self.file.write(&watched) {
                tracing::warn!("{}: {error}", self.places.file.display());
            }
            if events.send(Event::Dropped(watched)).is_err() {
                return;
            }
        }
    }

    /// Compares when that can be done now; whether there is something new.
    fn compare(&mut self, count: &mut Count) -> bool {
        while count.is_settled() && !count.is_idle() && self.heard_since.elapsed() >= GRACE {
            // A ledger that cannot be read just now may be in a second.
            let Some(begun) = storm::begun(&self.places.run, self.places.boot) else { return false };
            if !self.drain(count) {
                return count.compare(begun);
            }
        }
        false
    }

    /// Hears all there is; whether there was anything.
    fn drain(&mut self, count: &mut Count) -> bool {
        let mut any = false;
        while let Some(heard) = self.connector.next() {
            if heard == Heard::Missed {
                self.heard_since = Instant::now();
            }
            count.hear(heard);
            any = true;
        }
        any
    }
}

/// Whether there is such a thread; one of another user says EPERM.
fn lives(thread: u32) -> bool {
    i32::try_from(thread).is_ok_and(|thread| kill(Pid::from_raw(thread), None) != Err(Errno::ESRCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crash(count: &mut Count, process: u32) {
        count.hear(Heard::Crash { process, thread: process });
    }

    /// Whether something is new, and the numbers.
    fn compare(count: &mut Count, begun: u64) -> (bool, u64, u64, bool) {
        let new = count.compare(begun);
        (new, count.crashes, count.dropped, !count.missed)
    }

    #[test]
    fn what_was_told_and_did_not_begin_was_dropped() {
        let mut count = Count::default();
        crash(&mut count, 1);
        assert!(!count.is_settled() && !count.is_idle());
        count.hear(Heard::Ended(1));
        assert_eq!(compare(&mut count, 100), (true, 0, 0, true), "from here on it counts");
        assert!(count.is_idle());
        for process in 1..=5 {
            crash(&mut count, process);
        }
        count.hear(Heard::Crash { process: 5, thread: 6 });
        (1..=5).for_each(|process| count.hear(Heard::Ended(process)));
        assert_eq!(compare(&mut count, 103), (true, 5, 2, true));
        count.hear(Heard::Ended(9));
        assert_eq!(compare(&mut count, 103), (false, 5, 2, true), "killed by hand");
    }

    #[test]
    fn an_overrun_or_another_ledger_costs_exactness_and_no_number() {
        let mut count = Count::default();
        compare(&mut count, 0);
        crash(&mut count, 1);
        count.hear(Heard::Ended(1));
        assert_eq!(compare(&mut count, 0), (true, 1, 1, true));
        crash(&mut count, 2);
        count.hear(Heard::Missed);
        assert!(count.is_settled() && !count.is_idle());
        assert_eq!(compare(&mut count, 7), (true, 1, 1, false));
        crash(&mut count, 3);
        count.hear(Heard::Ended(3));
        assert_eq!(compare(&mut count, 7), (true, 2, 2, false));
        assert_eq!(compare(&mut count, 0), (false, 2, 2, false), "a new ledger");
        let mut count = Count { begun: Some(7), ..Count::default() };
        assert_eq!(compare(&mut count, 9), (true, 0, 0, false), "handlers without a crash");
    }

    #[test]
    fn before_it_counts_nothing_was_missed() {
        let mut count = Count::default();
        count.hear(Heard::Missed);
        assert_eq!(compare(&mut count, 3), (true, 0, 0, true));
    }
}
