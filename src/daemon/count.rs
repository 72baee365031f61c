//! The rules of counting crashes for which no handler began; no kernel in here but to ask
//! whether a process lives.
//!
//! ```text
//!            told since the base ─ those that dump still ─ handlers begun since the base
//!   lower  = what was dropped at least: of those that have ended, all that have no handler
//!   exact  = nobody dumps, nothing was missed, and it was the same a second ago
//! ```
//!
//! A handler may begin after its process has ended (SIGKILL ends the kernel's wait for it,
//! and with core_pipe_limit 0 there is none), so a number that grew is told only when it
//! has stood for [`CONFIRMED`]. What breaks the comparison (an overrun, another ledger)
//! begins it anew on what is known, which is a lower bound from then on.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::connector::Heard;
use crate::storm::Begun;
use crate::syscall;

/// A handler that the kernel started begins within so long.
const CONFIRMED: Duration = Duration::from_secs(1);
/// Processes that dump at once; the kernel's own process ids are fewer on most hosts.
const PENDING: usize = 65_536;
/// Of them, those that are held by a descriptor.
const HELD: usize = 128;
/// What dumps for longer is no dump: a debugger holds it, or it lives on as another
/// program. It is then not known whether a handler began.
const PATIENCE: Duration = Duration::from_secs(600);

/// A process that dumps.
#[derive(Debug)]
struct Dumping {
    /// Its thread that did it.
    thread: u32,
    pidfd: Option<OwnedFd>,
    since: Instant,
}

/// What is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// Crashes of which the kernel told.
    pub(super) crashes: u64,
    /// Of them, those for which no handler began, at least.
    pub(super) dropped: u64,
    /// Both are exact.
    pub(super) exact: bool,
    /// More handlers began than crashes were told.
    pub(super) surplus: bool,
}

/// The numbers.
#[derive(Debug, Default)]
pub(super) struct Count {
    pending: HashMap<u32, Dumping>,
    /// What was known before the base.
    before: Look,
    /// Crashes told since the base.
    told: u64,
    /// What had begun when counting began (anew).
    base: Option<Begun>,
    /// Something was told since the last look.
    changed: bool,
    missed: bool,
    /// What was said last.
    said: u64,
    /// A larger number, and since when.
    candidate: Option<(Instant, u64)>,
}

impl Count {
    /// The kernel told something.
    pub(super) fn hear(&mut self, heard: Heard, now: Instant) {
        match heard {
            Heard::Crash { .. } if self.pending.len() >= PENDING => self.miss(),
            // Two threads of one process are one crash.
            Heard::Crash { process, .. } if self.pending.contains_key(&process) => {}
            Heard::Crash { process, thread } => {
                self.told = self.told.saturating_add(1);
                let held = self.pending.len() < HELD;
                let pidfd = held.then(|| syscall::pidfd(process).ok()).flatten();
                self.pending.insert(process, Dumping { thread, pidfd, since: now });
            }
            Heard::Ended(process) => drop(self.pending.remove(&process)),
            Heard::Missed => self.miss(),
            Heard::Answer(..) => return,
        }
        self.changed = true;
    }

    /// Something was not told, or cannot be compared: what is known stays, as a bound.
    pub(super) fn miss(&mut self) {
        self.missed |= self.base.is_some();
        self.before = Look { crashes: self.crashes(), dropped: self.said, ..Look::default() };
        self.base = None;
        self.told = 0;
        self.pending.clear();
        self.candidate = None;
        self.changed = true;
    }

    /// The end of a process is not told when it is another signal's, when its first thread
    /// ended before, when it is exited by another thread in that instant.
    pub(super) fn forget_the_dead(&mut self, now: Instant) {
        let before = self.pending.len();
        self.pending.retain(|_, dumping| dumping.lives());
        self.changed |= self.pending.len() < before;
        let long = |dumping: &Dumping| now.saturating_duration_since(dumping.since) >= PATIENCE;
        if self.pending.values().any(long) {
            let before = self.pending.len();
            self.pending.retain(|_, dumping| !long(dumping));
            let forgotten = before.saturating_sub(self.pending.len());
            self.told = self.told.saturating_sub(u64::try_from(forgotten).unwrap_or(0));
            self.missed |= self.base.is_some();
        }
    }

    /// No process is dumping.
    pub(super) fn is_settled(&self) -> bool {
        self.pending.is_empty()
    }

    /// Counting has begun.
    pub(super) fn is_begun(&self) -> bool {
        self.base.is_some() || self.missed
    }

    /// There is something to look at without being told.
    pub(super) fn is_open(&self) -> bool {
        self.base.is_none() || !self.is_settled() || self.changed || self.candidate.is_some()
    }

    fn crashes(&self) -> u64 {
        self.before.crashes.saturating_add(if self.base.is_some() { self.told } else { 0 })
    }

    /// Compares with the handlers that have begun. `busy`: something was told after they
    /// were counted.
    pub(super) fn look(&mut self, begun: Begun, busy: bool, now: Instant) -> Look {
        let settled = self.is_settled() && !busy;
        self.changed &= busy;
        let known = Look { crashes: self.crashes(), dropped: self.said, ..Look::default() };
        let Some(base) = self.base else {
            if settled {
                self.base = Some(begun);
                self.told = 0;
            }
            return Look { exact: settled && !self.missed, ..known };
        };
        // No ledger where there was none may be one that handlers could not make; the first
        // one counts from 0.
        let nowhere = begun.ledger.is_none() && self.told > 0;
        let another = base.ledger.is_some() && base.ledger != begun.ledger;
        let Some(handled) = begun.count.checked_sub(base.count).filter(|_| !nowhere && !another) else {
            self.miss();
            return known;
        };
        self.base = Some(Begun { ledger: begun.ledger, ..base });
        if settled && handled > self.told {
            self.miss();
            return Look { surplus: true, ..known };
        }
        let dumping = u64::try_from(self.pending.len()).unwrap_or(u64::MAX);
        let ended = self.told.saturating_sub(dumping);
        let lower = self.before.dropped.saturating_add(ended.saturating_sub(handled));
        self.confirm(lower, settled, now);
        let exact = settled && !self.missed && self.said == lower;
        Look { crashes: self.crashes(), dropped: self.said, exact, surplus: false }
    }

    /// Says a larger number when it has stood for long enough, a smaller one when it is
    /// certain.
    fn confirm(&mut self, lower: u64, settled: bool, now: Instant) {
        if lower <= self.said {
            self.said = if settled { lower } else { self.said };
            self.candidate = None;
            return;
        }
        let (since, least) = self.candidate.map_or((now, lower), |(since, least)| (since, least.min(lower)));
        self.candidate = Some((since, least));
        if now.saturating_duration_since(since) >= CONFIRMED {
            self.said = self.said.max(least);
            self.candidate = (lower > self.said).then_some((now, lower));
        }
    }
}

impl Dumping {
    /// Whether it has not ended; what is not reaped has.
    fn lives(&self) -> bool {
        match &self.pidfd {
            Some(pidfd) => !syscall::has_ended(pidfd.as_fd()),
            // One of another user says EPERM.
            None => i32::try_from(self.thread)
                .is_ok_and(|thread| kill(Pid::from_raw(thread), None) != Err(Errno::ESRCH)),
        }
    }
}

#[cfg(test)]
#[path = "count/tests.rs"]
mod tests;
