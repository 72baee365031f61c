//! The quota: what a collector has goes first, then fairly, and never the
//! record just written.
//!
//! [`Spool::make_room`] is called after a record was written. The tally says
//! whether the spool may be over its quota; only then is it listed, counted,
//! freed down to 15/16 of the quota (so that the next count is far away even
//! when the daemon removes as fast as crashes come), and the tally started
//! again. [`Spool::retain`] is the daemon's: it counts each time, and also
//! removes by age. `sweep` says which files go; limits are there.

use std::time::{SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::fstatat;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::layout::{Part, is_regular};
use super::name::{Kind, State, file_name};
use super::sweep::Sweep;
use super::tally::{Counting, Tally, restart};
use super::{Entry, Item, RecordId, Spool, SpoolError, Step};
use crate::limits;

/// How much the spool may hold, both parts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Bytes on disk: sizes rounded up to limits::SPOOL_BLOCK.
    pub bytes: u64,
    /// Crash records. Exposure reports have limits::SPOOL_EXPOSURES.
    pub records: u64,
}

impl Default for Quota {
    fn default() -> Quota {
        Quota { bytes: limits::SPOOL_BYTES, records: limits::SPOOL_RECORDS }
    }
}

/// 2020-01-01, before this program was written: a clock that said less was not
/// set.
const SET: u64 = 1_577_836_800_000;

/// What the daemon keeps. Ages are those that the ids tell, where the clock
/// behind an id can have been right: an id from before 2020, or from before the
/// spool was made, tells none. What has such an id goes by the quota only, and
/// what a collector has by its file's time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// How much.
    pub quota: Quota,
    /// What a collector has goes when it is from before this time, in
    /// milliseconds since the epoch.
    pub acknowledged_before: Option<u64>,
    /// Everything goes that is from before this time.
    pub any_before: Option<u64>,
}

/// What [`Spool::make_room`] or [`Spool::retain`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vacuumed {
    /// The directory was listed; otherwise the tally was enough.
    pub counted: bool,
    /// Crash records removed, of every state.
    pub records: u64,
    /// Those of them that no collector had been given.
    pub evicted: u64,
    /// Exposure reports removed.
    pub exposures: u64,
    /// Bytes that all of them took.
    pub bytes: u64,
    /// Temporary files of dead writers removed.
    pub temporaries: u64,
    /// Crash records that stayed, when they were counted.
    pub left: u64,
}

impl Spool {
    /// Keeps the spool within its quota, after `newest` was written; it stays,
    /// whatever its clock says.
    pub fn make_room(&self, quota: Quota, newest: impl Into<RecordId>) -> Result<Vacuumed, SpoolError> {
        let tally = Tally::open(self).ok();
        let sum = tally.as_ref().and_then(Tally::sum);
        if sum.is_some_and(|sum| sum.records <= quota.records && sum.bytes <= quota.bytes) {
            return Ok(Vacuumed::default());
        }
        let lock = match tally.map(Tally::lock) {
            Some(None) => return Ok(Vacuumed::default()), // another one counts
            Some(Some(lock)) => Some(lock),
            None => None, // no tally can be had (a full filesystem): count
        };
        let mut sweep = Sweep::new(self, Some(newest.into()), true);
        let swept = sweep.to(quota, true);
        self.finish(&sweep, lock, swept)
    }

    /// Removes what is too old, then what is too much.
    pub fn retain(&self, retention: &Retention) -> Result<Vacuumed, SpoolError> {
        // Without the lock (a handler counts just now) the tally stays as it
        // is, which errs towards an early count.
        let lock = Tally::open(self).ok().and_then(Tally::lock);
        let mut sweep = Sweep::new(self, None, true);
        let believed_from = self.made().unwrap_or(0).max(SET);
        self.each_item(&mut |item| {
            let written = || self.part(item.private).ok().and_then(|part| modified(part, item));
            if retention.has_expired(item, believed_from, written) {
                sweep.expire(item);
            }
        })?;
        let swept = sweep.to(retention.quota, false);
        self.finish(&sweep, lock, swept)
    }

    fn finish(
        &self,
        sweep: &Sweep<'_>,
        lock: Option<Counting>,
        swept: Result<(), SpoolError>,
    ) -> Result<Vacuumed, SpoolError> {
        self.note_evicted(sweep.done.evicted);
        swept?;
        if let Some(lock) = lock {
            restart(&lock, sweep.left);
        }
        Ok(Vacuumed { left: sweep.left.records, ..sweep.done })
    }

    /// Removes one crash record; one that is gone already is no error.
    pub fn remove(&self, entry: &Entry) -> Result<(), SpoolError> {
        let name = file_name(entry.id, Kind::Crash, entry.state);
        unlink(self.part(entry.private)?, name.as_str()).map_err(SpoolError::at(Step::Remove))
    }

    /// Notes a write in the tally.
    pub(super) fn note(&self, bytes: usize, replaces: bool) {
        if let Ok(tally) = Tally::open(self) {
            tally.note(on_disk(u64::try_from(bytes).unwrap_or(u64::MAX)), replaces);
        }
    }

    /// On a full filesystem: records give way to `bytes` new ones. True when
    /// any did.
    pub(super) fn give_way(&self, bytes: usize, newest: RecordId, pending_too: bool) -> bool {
        let mut sweep = Sweep::new(self, Some(newest), pending_too);
        // A block more: the count of what went needs one too, the first time.
        let bytes = on_disk(u64::try_from(bytes).unwrap_or(u64::MAX));
        let _ = sweep.free(bytes.saturating_add(limits::SPOOL_BLOCK));
        self.note_evicted(sweep.done.evicted);
        let done = sweep.done;
        done.records > 0 || done.exposures > 0 || done.temporaries > 0
    }
}

impl Retention {
    /// Whether its age alone is enough to remove it; `written` is its file's
    /// time, in milliseconds.
    fn has_expired(&self, item: &Item, believed_from: u64, written: impl FnOnce() -> Option<u64>) -> bool {
        let sent = item.state == State::Sent;
        let limit = if sent { self.acknowledged_before.max(self.any_before) } else { self.any_before };
        let Some(limit) = limit else { return false };
        match item.id.milliseconds() {
            told if told >= believed_from => told < limit,
            _ => sent && written().is_some_and(|written| written < limit),
        }
    }
}

/// When a file was written, in milliseconds since the epoch.
fn modified(part: &Part, item: &Item) -> Option<u64> {
    let stat = fstatat(&part.dir, item.file_name().as_str(), AtFlags::AT_SYMLINK_NOFOLLOW).ok()?;
    u64::try_from(stat.st_mtime).ok()?.checked_mul(1000)
}

/// A temporary file that nobody has touched for longer than any capture lives.
pub(super) fn is_dead(part: &Part, name: &std::ffi::CStr) -> bool {
    let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) else { return false };
    let Ok(stat) = fstatat(&part.dir, name, AtFlags::AT_SYMLINK_NOFOLLOW) else { return false };
    let modified = u64::try_from(stat.st_mtime).unwrap_or(0);
    is_regular(&stat) && now.as_secs().saturating_sub(modified) > limits::SPOOL_TEMPORARY_SECONDS
}

pub(super) fn unlink<P: ?Sized + nix::NixPath>(part: &Part, name: &P) -> Result<(), Errno> {
    match unlinkat(&part.dir, name, UnlinkatFlags::NoRemoveDir) {
        Err(Errno::ENOENT) => Ok(()),
        other => other,
    }
}

pub(super) fn on_disk(bytes: u64) -> u64 {
    bytes.checked_next_multiple_of(limits::SPOOL_BLOCK).unwrap_or(u64::MAX)
}
