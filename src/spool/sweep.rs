//! Freeing space: which files go, in which order, in bounded memory.
//!
//! ```text
//! 1  exposure reports above their own quota: sent, refused, pending
//! 2  what the collector has (sent), oldest first
//! 3  pending and refused crash records: fairly (see `fair`)
//! ```
//!
//! A pass streams the directory, remembers the oldest limits::SPOOL_VICTIMS
//! files that may go, and removes what it must; what is still too much goes in
//! the next pass, so a spool of a million files needs the memory of one pass.
//! Headers are read (512 bytes each) in step 3 only, twice: once to count the
//! groups, once to find their oldest. What it trusts: nothing; a file without
//! a readable header is of group 0.

use std::os::fd::AsFd;

use nix::fcntl::AtFlags;
use nix::sys::stat::fstatat;

use super::fair::Groups;
use super::layout::Part;
use super::name::Name;
use super::oldest::Oldest;
use super::reader::{each_name, peek};
use super::tally::Amount;
use super::vacuum::{is_dead, on_disk, unlink};
use super::{Item, Kind, Quota, RecordId, Spool, SpoolError, State, Vacuumed};
use crate::limits;

/// A file and the bytes that it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kept {
    item: Item,
    bytes: u64,
}

/// What one look at the spool found.
#[derive(Debug)]
struct Survey {
    sent: Oldest<Kept>,
    /// Exposure reports; those that a collector has come first.
    reports: Oldest<(bool, bool, Kept)>,
    reports_count: u64,
    crash_bytes: u64,
}

/// One removal of what is too much.
#[derive(Debug)]
pub(super) struct Sweep<'a> {
    spool: &'a Spool,
    /// Stays, whatever its clock says.
    newest: Option<RecordId>,
    /// Pending records may go.
    pending_too: bool,
    /// What there is: crash records, and the bytes of all files.
    pub(super) left: Amount,
    pub(super) done: Vacuumed,
    /// Files that could not be removed (somebody made them immutable).
    stuck: u64,
}

impl<'a> Sweep<'a> {
    pub(super) fn new(spool: &'a Spool, newest: Option<RecordId>, pending_too: bool) -> Sweep<'a> {
        let done = Vacuumed { counted: true, ..Vacuumed::default() };
        Sweep { spool, newest, pending_too, left: Amount::default(), done, stuck: 0 }
    }

    /// Frees down to 15/16 of the quota when there is more: than the quota, or
    /// (`early`) than those 15/16.
    pub(super) fn to(&mut self, quota: Quota, early: bool) -> Result<(), SpoolError> {
        let least =
            |limit: u64| limit.saturating_sub(limit.checked_div(limits::SPOOL_SLACK).unwrap_or_default());
        let goal = Quota { bytes: least(quota.bytes), records: least(quota.records) };
        let share = quota.bytes / limits::SPOOL_EXPOSURES_SHARE / limits::SPOOL_BLOCK;
        let reports = limits::SPOOL_EXPOSURES.min(share);
        let mut over = early;
        self.passes(|sweep, survey| {
            let excess = survey.reports_count.saturating_sub(reports);
            sweep.drop_reports(survey, excess);
            over |= !sweep.within(quota);
            if over { goal } else { Quota { bytes: u64::MAX, records: u64::MAX } }
        })
    }

    /// Frees so many bytes.
    pub(super) fn free(&mut self, bytes: u64) -> Result<(), SpoolError> {
        let mut goal = None;
        self.passes(|sweep, _| {
            let bytes = *goal.get_or_insert(sweep.left.bytes.saturating_sub(bytes));
            Quota { bytes, records: u64::MAX }
        })
    }

    /// Passes until the goal is met or nothing more can be done.
    fn passes(&mut self, mut goal: impl FnMut(&mut Self, &mut Survey) -> Quota) -> Result<(), SpoolError> {
        loop {
            let (files, stuck) = (self.removed(), self.stuck);
            self.stuck = 0;
            let mut survey = self.survey()?;
            let goal = goal(self, &mut survey);
            self.drop_sent(survey.sent, goal);
            if self.pending_too && !self.within(goal) {
                self.drop_fairly(survey.crash_bytes, stuck, goal)?;
            }
            if self.within(goal) || (self.removed() == files && self.stuck <= stuck) {
                return Ok(());
            }
        }
    }

    fn removed(&self) -> u64 {
        self.done.records.saturating_add(self.done.exposures)
    }

    fn within(&self, quota: Quota) -> bool {
        self.left.records <= quota.records && self.left.bytes <= quota.bytes
    }

    /// Counts everything; dead writers' temporary files go on the same occasion.
    fn survey(&mut self) -> Result<Survey, SpoolError> {
        let mut survey = Survey {
            sent: Oldest::new(limits::SPOOL_VICTIMS),
            reports: Oldest::new(limits::SPOOL_VICTIMS),
            reports_count: 0,
            crash_bytes: 0,
        };
        self.left = Amount::default();
        for part in self.spool.parts() {
            each_name(part.dir.as_fd(), |raw, name| match name {
                Name::File(id, kind, state) => {
                    let item = Item { id, private: part.private, kind, state, full: false };
                    self.see(&mut survey, Kept { item, bytes: size(part, raw) });
                }
                Name::Temporary if is_dead(part, raw) && unlink(part, raw).is_ok() => {
                    self.done.temporaries = self.done.temporaries.saturating_add(1);
                }
                _ => {}
            })?;
        }
        Ok(survey)
    }

    fn see(&mut self, survey: &mut Survey, kept: Kept) {
        let item = kept.item;
        match item.kind {
            Kind::Crash => {
                self.left.add(kept.bytes);
                survey.crash_bytes = survey.crash_bytes.saturating_add(kept.bytes);
            }
            Kind::Exposure => {
                self.left.bytes = self.left.bytes.saturating_add(kept.bytes);
                survey.reports_count = survey.reports_count.saturating_add(1);
                let rank = (item.state != State::Sent, item.state == State::Pending);
                survey.reports.offer((rank.0, rank.1, kept));
            }
        }
        if item.state == State::Sent && Some(item.id) != self.newest {
            survey.sent.offer(kept);
        }
    }

    fn drop_reports(&mut self, survey: &mut Survey, excess: u64) {
        let reports = std::mem::replace(&mut survey.reports, Oldest::new(0)).sorted();
        let excess = usize::try_from(excess).unwrap_or(usize::MAX);
        reports.iter().take(excess).for_each(|(_, _, kept)| self.remove(kept));
    }

    fn drop_sent(&mut self, sent: Oldest<Kept>, goal: Quota) {
        for kept in sent.sorted() {
            let helps = kept.item.kind == Kind::Crash || self.left.bytes > goal.bytes;
            if self.within(goal) {
                break;
            }
            if helps {
                self.remove(&kept);
            }
        }
    }

    fn drop_fairly(&mut self, crash_bytes: u64, stuck: u64, goal: Quota) -> Result<(), SpoolError> {
        let mut groups = Groups::default();
        self.each_candidate(&mut |_, group, _| groups.add(group))?;
        let excess = self.excess(crash_bytes, goal).saturating_add(stuck);
        let mut above = groups.above(excess.min(limits::SPOOL_VICTIMS as u64));
        self.each_candidate(&mut |part, group, item| {
            above.offer(group, Kept { item, bytes: size(part, item.file_name().as_str()) });
        })?;
        for kept in above.in_order() {
            if self.within(goal) {
                break;
            }
            self.remove(&kept);
        }
        Ok(())
    }

    /// How many records must go, if they are all as large as the mean.
    fn excess(&self, crash_bytes: u64, goal: Quota) -> u64 {
        let records = self.left.records.saturating_sub(goal.records);
        let mean = crash_bytes.checked_div(self.left.records).unwrap_or(0).max(limits::SPOOL_BLOCK);
        records.max(self.left.bytes.saturating_sub(goal.bytes).div_ceil(mean))
    }

    /// Each pending or refused crash record and its group.
    fn each_candidate(&self, see: &mut dyn FnMut(&Part, u64, Item)) -> Result<(), SpoolError> {
        for part in self.spool.parts() {
            each_name(part.dir.as_fd(), |_, name| {
                if let Name::File(id, Kind::Crash, state @ (State::Pending | State::Refused)) = name
                    && Some(id) != self.newest
                {
                    let item = Item { id, private: part.private, kind: Kind::Crash, state, full: false };
                    let header = peek(part.dir.as_fd(), &item.file_name());
                    see(part, header.map_or(0, |header| header.group), item);
                }
            })?;
        }
        Ok(())
    }

    /// Removes one that is too old, whatever there is room for.
    pub(super) fn expire(&mut self, item: &Item) {
        let bytes = self.spool.part(item.private).map_or(0, |part| size(part, item.file_name().as_str()));
        self.remove(&Kept { item: *item, bytes });
    }

    /// One that cannot be removed stays, and the next one goes.
    fn remove(&mut self, kept: &Kept) {
        let Ok(part) = self.spool.part(kept.item.private) else { return };
        if unlink(part, kept.item.file_name().as_str()).is_err() {
            self.stuck = self.stuck.saturating_add(1);
            return;
        }
        self.done.bytes = self.done.bytes.saturating_add(kept.bytes);
        self.left.bytes = self.left.bytes.saturating_sub(kept.bytes);
        match (kept.item.kind, kept.item.state) {
            (Kind::Exposure, _) => self.done.exposures = self.done.exposures.saturating_add(1),
            (Kind::Crash, state) => {
                self.done.records = self.done.records.saturating_add(1);
                self.left.records = self.left.records.saturating_sub(1);
                let evicted = u64::from(state == State::Pending);
                self.done.evicted = self.done.evicted.saturating_add(evicted);
            }
        }
    }
}

/// The bytes that a file takes on disk.
fn size<P: ?Sized + nix::NixPath>(part: &Part, name: &P) -> u64 {
    fstatat(&part.dir, name, AtFlags::AT_SYMLINK_NOFOLLOW)
        .map_or(0, |stat| on_disk(u64::try_from(stat.st_size).unwrap_or(0)))
}
