//! What is to be forwarded: the oldest pending files, and how many of each.
//!
//! What it gives: [`Reader::pending`], which streams the names of the spool
//! and keeps only as many as were asked for, so that a backlog of a million
//! records is drained in the memory of one batch. What it trusts: nothing;
//! names only are read, and [`Reader::read_item`] judges a file as a record is
//! judged.

use nix::errno::Errno;

use super::name::{Name, file_name};
use super::oldest::Oldest;
use super::reader::each_name;
use super::{Header, Kind, Reader, RecordId, RecordStatus, SpoolError, State};

/// One file of the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Item {
    /// Its id: the order is the order of time.
    pub id: RecordId,
    /// It lies in the private part.
    pub private: bool,
    /// What it holds.
    pub kind: Kind,
    /// How far it has come.
    pub state: State,
    /// What was read of it was the full record: see [`Item::read_as`]. A
    /// listing reads names only and says false.
    pub full: bool,
}

impl Item {
    /// The same, after its header was read. Whoever acknowledges an item says
    /// by this which of the two records of a crash the collector has.
    pub fn read_as(self, header: &Header) -> Item {
        Item { full: header.full, ..self }
    }

    /// Its name in its directory.
    pub fn file_name(&self) -> String {
        file_name(self.id, self.kind, self.state)
    }
}

/// How many files of one kind there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// To be forwarded.
    pub pending: u64,
    /// The collector has them.
    pub sent: u64,
    /// The collector will not have them.
    pub refused: u64,
}

impl Counts {
    fn add(&mut self, state: State) {
        let count = match state {
            State::Pending => &mut self.pending,
            State::Sent => &mut self.sent,
            State::Refused => &mut self.refused,
        };
        *count = count.saturating_add(1);
    }
}

/// Everything in the spool, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Crash records.
    pub crashes: Counts,
    /// Exposure reports.
    pub exposures: Counts,
    /// Files that are nobody's here.
    pub strangers: u64,
    /// Files being written, or left by writers that died.
    pub temporaries: u64,
    /// The private part exists and may not be read.
    pub private_denied: bool,
}

impl Totals {
    pub(super) fn add(&mut self, name: Name) {
        match name {
            Name::File(_, Kind::Crash, state) => self.crashes.add(state),
            Name::File(_, Kind::Exposure, state) => self.exposures.add(state),
            Name::Temporary => self.temporaries = self.temporaries.saturating_add(1),
            Name::Stranger => self.strangers = self.strangers.saturating_add(1),
            Name::Own => {}
        }
    }
}

/// What [`Reader::pending`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// The oldest pending files of both kinds, oldest first.
    pub items: Vec<Item>,
    /// There are more.
    pub more: bool,
    /// Everything there is.
    pub totals: Totals,
}

impl Reader {
    /// The oldest `most` pending items of both kinds and parts, oldest first.
    pub fn pending(&self, most: usize) -> Result<Pending, SpoolError> {
        self.pending_of(most, &mut |_| true)
    }

    /// The same of those that are `wanted`: what may not be forwarded (private
    /// records, a schema to come) must not stand before what may.
    pub fn pending_of(
        &self,
        most: usize,
        wanted: &mut dyn FnMut(&Item) -> bool,
    ) -> Result<Pending, SpoolError> {
        let mut oldest = Oldest::new(most);
        let mut totals = Totals { private_denied: self.private_denied(), ..Totals::default() };
        for (dir, private) in self.parts() {
            each_name(dir, |_, name| {
                totals.add(name);
                if let Name::File(id, kind, State::Pending) = name {
                    let item = Item { id, private, kind, state: State::Pending, full: false };
                    if wanted(&item) {
                        oldest.offer(item);
                    }
                }
            })?;
        }
        Ok(Pending { more: oldest.more, items: oldest.sorted(), totals })
    }

    /// Reads one item. One that was acknowledged, refused or removed meanwhile
    /// is gone.
    pub fn read_item(&self, item: &Item) -> RecordStatus {
        match self.part(item.private) {
            Ok(dir) => super::reader::read_named(dir, &item.file_name(), item.id),
            Err(errno) => RecordStatus::Unreadable(errno),
        }
    }

    /// The private part exists and may not be read.
    pub(super) fn private_denied(&self) -> bool {
        self.part(true).is_err_and(|errno| errno != Errno::ENOENT)
    }
}
