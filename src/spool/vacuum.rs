//! The quota: oldest first, never the record just written.
//!
//! Called after a record was written. The tally says whether the spool may be
//! over its quota; only then is it listed, counted, freed down to 15/16 of
//! the quota (so that the next count is far away even when the daemon removes
//! as fast as crashes come), and the tally started again. Dead writers' temporary files go
//! on the same occasion. Limits: limits::SPOOL_ENTRIES names of each part.

use std::os::fd::AsFd;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::fstatat;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::layout::{Part, is_regular};
use super::name::Name;
use super::reader::names;
use super::tally::{Amount, Tally, restart};
use super::{Entry, RecordId, Spool, SpoolError, Step};
use crate::limits;

/// How much the spool may hold, both parts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Bytes on disk: sizes rounded up to limits::SPOOL_BLOCK.
    pub bytes: u64,
    /// Records.
    pub records: u64,
}

impl Default for Quota {
    fn default() -> Quota {
        Quota { bytes: limits::SPOOL_BYTES, records: limits::SPOOL_RECORDS }
    }
}

/// What [`Spool::make_room`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vacuumed {
    /// The directory was listed; otherwise the tally was enough.
    pub counted: bool,
    /// Records removed.
    pub records: u64,
    /// Bytes they took.
    pub bytes: u64,
    /// Temporary files of dead writers removed.
    pub temporaries: u64,
}

struct Kept<'a> {
    part: &'a Part,
    id: RecordId,
    bytes: u64,
}

impl Spool {
    /// Keeps the spool within its quota, after `newest` was written; it stays,
    /// whatever its clock says.
    pub fn make_room(&self, quota: Quota, newest: impl Into<RecordId>) -> Result<Vacuumed, SpoolError> {
        let tally = Tally::open(self, &self.public).ok();
        let sum = tally.as_ref().and_then(Tally::sum);
        if sum.is_some_and(|sum| sum.records <= quota.records && sum.bytes <= quota.bytes) {
            return Ok(Vacuumed::default());
        }
        let lock = match tally.map(Tally::lock) {
            Some(None) => return Ok(Vacuumed::default()), // another one counts
            Some(Some(lock)) => Some(lock),
            None => None, // no tally can be had (a full filesystem): count
        };
        let (done, left) = self.vacuum(quota, newest.into())?;
        if let Some(lock) = lock {
            restart(&lock, left);
        }
        Ok(done)
    }

    /// Removes one record; one that is gone already is no error.
    pub fn remove(&self, entry: &Entry) -> Result<(), SpoolError> {
        unlink(self.part(entry.private)?, entry.id.file_name().as_str()).map_err(SpoolError::at(Step::Remove))
    }

    /// Notes a write in the tally.
    pub(super) fn note(&self, bytes: usize, replaces: bool) {
        if let Ok(tally) = Tally::open(self, &self.public) {
            tally.note(on_disk(u64::try_from(bytes).unwrap_or(u64::MAX)), replaces);
        }
    }

    /// On a full filesystem: the oldest records give way to `bytes` new ones.
    /// True when any did.
    pub(super) fn give_way(&self, bytes: usize, newest: RecordId) -> bool {
        let wanted = on_disk(u64::try_from(bytes).unwrap_or(u64::MAX));
        let mut done = Vacuumed::default();
        let Ok(kept) = self.count(&mut done) else { return false };
        let mut freed = Amount::default();
        for kept in kept.iter().filter(|kept| kept.id != newest) {
            if freed.bytes >= wanted {
                break;
            }
            if unlink(kept.part, kept.id.file_name().as_str()).is_ok() {
                freed.add(kept.bytes);
            }
        }
        freed.records > 0 || done.temporaries > 0
    }

    fn vacuum(&self, quota: Quota, newest: RecordId) -> Result<(Vacuumed, Amount), SpoolError> {
        let mut done = Vacuumed { counted: true, ..Vacuumed::default() };
        let kept = self.count(&mut done)?;
        let mut left = Amount::default();
        kept.iter().for_each(|kept| left.add(kept.bytes));
        let least =
            |limit: u64| limit.saturating_sub(limit.checked_div(limits::SPOOL_SLACK).unwrap_or_default());
        for kept in kept.iter().filter(|kept| kept.id != newest) {
            if left.records <= least(quota.records) && left.bytes <= least(quota.bytes) {
                break;
            }
            // One that cannot be removed (somebody made it immutable) stays, and
            // the next one goes.
            if unlink(kept.part, kept.id.file_name().as_str()).is_err() {
                continue;
            }
            left.records = left.records.saturating_sub(1);
            left.bytes = left.bytes.saturating_sub(kept.bytes);
            done.records = done.records.saturating_add(1);
            done.bytes = done.bytes.saturating_add(kept.bytes);
        }
        Ok((done, left))
    }

    /// Every record with its size on disk, oldest first.
    fn count(&self, done: &mut Vacuumed) -> Result<Vec<Kept<'_>>, SpoolError> {
        let mut kept = Vec::new();
        for part in self.parts() {
            for (raw, name) in names(part.dir.as_fd())?.0 {
                match name {
                    Name::Record(id) => {
                        let bytes = fstatat(&part.dir, raw.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW)
                            .map_or(0, |stat| on_disk(u64::try_from(stat.st_size).unwrap_or(0)));
                        kept.push(Kept { part, id, bytes });
                    }
                    Name::Temporary(_) if is_dead(part, &raw) && unlink(part, raw.as_c_str()).is_ok() => {
                        done.temporaries = done.temporaries.saturating_add(1);
                    }
                    _ => {}
                }
            }
        }
        kept.sort_unstable_by_key(|kept| kept.id);
        Ok(kept)
    }
}

/// A temporary file that nobody has touched for longer than any capture lives.
fn is_dead(part: &Part, name: &std::ffi::CStr) -> bool {
    let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) else { return false };
    let Ok(stat) = fstatat(&part.dir, name, AtFlags::AT_SYMLINK_NOFOLLOW) else { return false };
    let modified = u64::try_from(stat.st_mtime).unwrap_or(0);
    is_regular(&stat) && now.as_secs().saturating_sub(modified) > limits::SPOOL_TEMPORARY_SECONDS
}

fn unlink<P: ?Sized + nix::NixPath>(part: &Part, name: &P) -> Result<(), Errno> {
    match unlinkat(&part.dir, name, UnlinkatFlags::NoRemoveDir) {
        Err(Errno::ENOENT) => Ok(()),
        other => other,
    }
}

fn on_disk(bytes: u64) -> u64 {
    bytes.checked_next_multiple_of(limits::SPOOL_BLOCK).unwrap_or(u64::MAX)
}
