//! The rules of counting crashes for which no handler began; no kernel in here but to ask
//! whether a process lives.
//!
//! ```text
//!  base ────────── crashes told ─────────────► quiet: nobody dumps, and nothing was told
//!   │              handlers begun                     for a second
//!   └─ dropped = told − begun, exact; here the account is closed, and the next base is
//! ```
//!
//! While an account is open only a lower bound is known: of those that had ended a second
//! ago, all that cannot have had a handler by now. A second, because a handler may begin
//! after its process has ended (SIGKILL ends the kernel's wait for it, and with
//! core_pipe_limit 0 there is none). Accounts are closed so that handlers whose crashes were
//! not told cannot make up for earlier drops: they are a surplus, and that is noticed. What
//! breaks the comparison leaves what was known, as a lower bound from then on.

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
}

/// Whether counting may begin (anew).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// Handlers of crashes that were not told may still begin.
    NotYet,
    /// When it is quiet.
    Quiet,
    /// It has not been quiet for long: then with a lower bound.
    Anyhow,
}

/// The numbers.
#[derive(Debug, Default)]
pub(super) struct Count {
    pending: HashMap<u32, Dumping>,
    /// Crashes of the accounts that are closed.
    closed: u64,
    /// What was dropped of them.
    closed_dropped: u64,
    /// Crashes told since the base.
    told: u64,
    /// What had begun at the base.
    base: Option<Begun>,
    /// When something was told last.
    last: Option<Instant>,
    /// Something was told since it was quiet.
    open: bool,
    /// A look, and what had ended then.
    mark: Option<(Instant, u64)>,
    /// The bound that is known.
    said: u64,
    missed: bool,
    began: bool,
}

impl Count {
    /// The kernel told something.
    pub(super) fn hear(&mut self, heard: Heard, now: Instant) {
        match heard {
            Heard::Answer(..) => return,
            Heard::Missed => self.miss(),
            Heard::Ended(process) => drop(self.pending.remove(&process)),
            Heard::Crash { process, thread } => {
                // Two threads of one process are one crash; another one has its number when
                // it is gone.
                if self.pending.get(&process).is_some_and(Dumping::lives) {
                    return;
                }
                if self.pending.len() >= PENDING {
                    return self.miss();
                }
                self.told = self.told.saturating_add(1);
                let held = self.pending.len() < HELD;
                let pidfd = held.then(|| syscall::pidfd(process).ok()).flatten();
                self.pending.insert(process, Dumping { thread, pidfd, since: now });
            }
        }
        self.touch(now);
    }

    fn touch(&mut self, now: Instant) {
        (self.last, self.open) = (Some(now), true);
    }

    /// Something was not told, or cannot be compared: what is known stays, as a bound.
    pub(super) fn miss(&mut self) {
        self.missed |= self.began;
        self.close(self.said);
        self.base = None;
    }

    /// The account ends with so many dropped in all.
    fn close(&mut self, dropped: u64) {
        self.closed = self.closed.saturating_add(if self.began { self.told } else { 0 });
        (self.closed_dropped, self.said) = (dropped, dropped);
        (self.told, self.mark) = (0, None);
    }

    /// The end of a process is not told when it is another signal's, when its first thread
    /// ended before, when it is exited by another thread in that instant.
    pub(super) fn forget_the_dead(&mut self, now: Instant) {
        let before = self.pending.len();
        self.pending.retain(|_, dumping| dumping.lives());
        if self.pending.len() < before {
            self.touch(now);
        }
        let long = |dumping: &Dumping| now.saturating_duration_since(dumping.since) >= PATIENCE;
        if self.pending.values().any(long) {
            let before = self.pending.len();
            self.pending.retain(|_, dumping| !long(dumping));
            let forgotten = before.saturating_sub(self.pending.len());
            self.told = self.told.saturating_sub(u64::try_from(forgotten).unwrap_or(0));
            self.missed |= self.began;
        }
    }

    /// Counting has begun.
    pub(super) fn has_begun(&self) -> bool {
        self.began
    }

    /// There is something to look at without being told.
    pub(super) fn is_open(&self) -> bool {
        self.base.is_none() || self.open || !self.pending.is_empty()
    }

    /// What is known without another look.
    pub(super) fn known(&self) -> Look {
        let told = if self.began { self.told } else { 0 };
        Look { crashes: self.closed.saturating_add(told), dropped: self.said, exact: false }
    }

    /// Something was missed: nothing is exact any more.
    pub(super) fn has_missed(&self) -> bool {
        self.missed
    }

    /// Compares with the handlers that have begun. `busy`: something was told after they
    /// were counted.
    pub(super) fn look(&mut self, begun: Begun, busy: bool, begin: Begin, now: Instant) -> Look {
        let silent = self.last.is_none_or(|last| now.saturating_duration_since(last) >= CONFIRMED);
        let quiet = self.pending.is_empty() && !busy && silent;
        let Some(base) = self.base else {
            let may = match begin {
                Begin::NotYet => false,
                Begin::Quiet => quiet || self.missed,
                Begin::Anyhow => true,
            };
            if may {
                self.close(self.said);
                self.missed |= !quiet;
                (self.base, self.began) = (Some(begun), true);
                self.open &= !quiet;
            }
            return Look { exact: may && !self.missed, ..self.known() };
        };
        // Where there is still no ledger a second after a crash, handlers may be unable to
        // make one; the first one counts from 0.
        let nowhere = begun.ledger.is_none() && self.told > 0;
        if nowhere && base.ledger.is_none() && !quiet {
            return self.known();
        }
        let another = base.ledger.is_some() && base.ledger != begun.ledger;
        let handled = begun.count.checked_sub(base.count).filter(|_| !nowhere && !another);
        let Some(handled) = handled else {
            self.missed = true;
            self.close(self.said);
            self.base = Some(begun);
            return self.known();
        };
        self.base = Some(Begun { ledger: begun.ledger, ..base });
        if quiet {
            let dropped = self.closed_dropped.saturating_add(self.told.saturating_sub(handled));
            // Either a handler was slower than is thought possible, or its crash was not told.
            self.missed |= handled > self.told || dropped < self.said;
            self.close(dropped);
            (self.base, self.open) = (Some(begun), false);
            return Look { exact: !self.missed, ..self.known() };
        }
        let dumping = u64::try_from(self.pending.len()).unwrap_or(u64::MAX);
        let ended = self.told.saturating_sub(dumping);
        match self.mark {
            Some((at, _)) if now.saturating_duration_since(at) < CONFIRMED => {}
            mark => {
                let ended_then = mark.map_or(0, |(_, ended)| ended);
                let lower = self.closed_dropped.saturating_add(ended_then.saturating_sub(handled));
                self.said = self.said.max(lower);
                self.mark = Some((now, ended));
            }
        }
        self.known()
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
