//! What became of each file, kept in its name.
//!
//! ```text
//! acknowledge   rename <id>.rec → <id>.rec.sent     each, then one fsync
//! refuse        rename <id>.rec → <id>.rec.refused  and the reason in .refusals
//! retry_refused rename <id>.rec.refused → <id>.rec
//! purge         unlink under every state, again until nothing is left; one
//!               fsync of each directory
//! ```
//!
//! What it gives: steps that are durable when they return, of which a power cut
//! loses only unfinished ones; a lost one means that a file is sent again, and
//! the collector takes each id once. A rename never makes a file: what is gone
//! stays gone. What it trusts: that its caller holds the spool's
//! [`Claim`](super::Claim); the handler writes and counts beside it.

use std::collections::HashSet;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, renameat};
use nix::sys::stat::fstatat;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::layout::Part;
use super::name::Name;
use super::reader::{each_name, peek};
use super::vacuum::unlink;
use super::writer::sync_directory;
use super::{Item, Kind, Spool, SpoolError, State, Step};

/// Looks at the spool in one purge, at most. Two find all that was there; more
/// are for what is retried meanwhile, and a crash loop must not make it endless.
const PASSES: usize = 16;

/// Directories that were changed and are not on disk yet.
#[derive(Clone, Copy, Debug, Default)]
struct Touched {
    public: bool,
    private: bool,
}

impl Touched {
    fn note(&mut self, private: bool) {
        if private { self.private = true } else { self.public = true }
    }
}

impl Spool {
    /// Notes that a collector has these items on its disk. An item that is gone
    /// is no error; after another error the remaining items are done all the
    /// same. Durable when it returns.
    pub fn acknowledge(&self, items: &[Item]) -> Result<(), SpoolError> {
        let mut touched = Touched::default();
        let mut outcome = Ok(());
        for item in items {
            // Also one that is gone: an earlier daemon may have renamed it and
            // died before its fsync.
            touched.note(item.private);
            outcome = outcome.and(self.mark(item, State::Sent).map(drop));
        }
        outcome.and(self.sync(touched))
    }

    /// Notes that a collector will never take this item, and why.
    pub fn refuse(&self, item: &Item, why: &str) -> Result<(), SpoolError> {
        if self.mark(item, State::Refused)? {
            self.note_refusal(item.id, why)?;
        }
        let mut touched = Touched { public: true, private: false };
        touched.note(item.private);
        self.sync(touched)
    }

    /// Makes everything pending again that was refused; how many that were.
    pub fn retry_refused(&self) -> Result<u64, SpoolError> {
        let mut done = 0u64;
        let mut outcome = Ok(());
        self.each_item(&mut |item| {
            if item.state == State::Refused {
                match self.retry(item) {
                    Ok(moved) => done = done.saturating_add(u64::from(moved)),
                    Err(error) => outcome = Err(error),
                }
            }
        })?;
        self.sync_all()?;
        outcome.map(|()| done)
    }

    /// Removes what `chosen` says, of every kind and state; how many records and
    /// reports that were. Durable when it returns.
    ///
    /// The daemon renames meanwhile: what was pending when it was listed has
    /// another name when it is read or removed, and a listing may miss it under
    /// both. So what is chosen goes under every name that it may have, and the
    /// spool is looked at until nothing is chosen, twice at least: a state
    /// moves forward, so what one look missed has come to rest in the next.
    pub fn purge(&self, chosen: &mut dyn FnMut(&Item) -> bool) -> Result<u64, SpoolError> {
        let mut gone = HashSet::new();
        let mut outcome = Ok(());
        for pass in 0..PASSES {
            let mut found = false;
            self.each_item(&mut |item| {
                if !chosen(item) {
                    return;
                }
                match self.part(item.private).and_then(|part| remove_every_state(part, item)) {
                    Ok(removed) => {
                        found = true;
                        if removed {
                            gone.insert((item.id, item.kind));
                        }
                    }
                    Err(error) => outcome = Err(error),
                }
            })?;
            if !found && pass > 0 {
                break;
            }
        }
        self.sync_all()?;
        outcome.map(|()| gone.len() as u64)
    }

    /// Renames an item to another state; false: it is gone.
    ///
    /// A minimal record may have been replaced by the full one after it was
    /// read: what the name stands for is then more than the collector has. So
    /// the file is looked at under its new name, where no writer can reach it,
    /// and put back when it is the full one. (The other order, looking first,
    /// leaves a moment in between.) Whatever comes after the rename lies under
    /// the pending name again, by itself. A power cut between the two renames,
    /// which needs a handler that lives ten times its deadline, leaves the full
    /// record here and the minimal one at the collector: neither is lost.
    fn mark(&self, item: &Item, state: State) -> Result<bool, SpoolError> {
        if item.state == state {
            return Ok(false);
        }
        let part = self.part(item.private)?;
        let marked = Item { state, ..*item };
        if !rename(part, &item.file_name(), &marked.file_name())? {
            return Ok(false);
        }
        let unsure = item.kind == Kind::Crash && !item.full;
        if unsure && peek(part.dir.as_fd(), &marked.file_name()).is_some_and(|header| header.full) {
            rename(part, &marked.file_name(), &item.file_name())?;
            return Ok(false);
        }
        if item.full {
            drop_lesser(part, &marked)?;
        }
        Ok(true)
    }

    /// A refused file under its pending name again. When the full record came
    /// after the minimal one was refused, the full one stays.
    fn retry(&self, item: &Item) -> Result<bool, SpoolError> {
        let part = self.part(item.private)?;
        let pending = Item { state: State::Pending, ..*item };
        let taken = fstatat(&part.dir, pending.file_name().as_str(), AtFlags::AT_SYMLINK_NOFOLLOW).is_ok();
        if taken {
            return remove(part, item).map(|()| false);
        }
        rename(part, &item.file_name(), &pending.file_name())
    }

    /// Calls `see` with every file of every kind and state. It may rename and
    /// remove what it sees.
    pub(super) fn each_item(&self, see: &mut dyn FnMut(&Item)) -> Result<(), SpoolError> {
        for part in self.parts() {
            each_name(part.dir.as_fd(), |_, name| {
                if let Name::File(id, kind, state) = name {
                    see(&Item { id, private: part.private, kind, state, full: false });
                }
            })?;
        }
        Ok(())
    }

    fn sync(&self, touched: Touched) -> Result<(), SpoolError> {
        let public = if touched.public { sync_directory(&self.public) } else { Ok(()) };
        let private = if touched.private { self.part(true).and_then(sync_directory) } else { Ok(()) };
        public.and(private)
    }

    pub(super) fn sync_all(&self) -> Result<(), SpoolError> {
        self.sync(Touched { public: true, private: self.has_private() })
    }
}

/// Removes an item under all names that it may have by now, in the order in
/// which it goes through them; whether there was any.
fn remove_every_state(part: &Part, item: &Item) -> Result<bool, SpoolError> {
    let mut removed = false;
    for state in [State::Pending, State::Sent, State::Refused] {
        let name = Item { state, ..*item }.file_name();
        match unlinkat(&part.dir, name.as_str(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) => removed = true,
            Err(Errno::ENOENT) => {}
            Err(errno) => return Err(SpoolError::at(Step::Remove)(errno)),
        }
    }
    Ok(removed)
}

/// Removes what the minimal record of the same crash became: a refusal of it
/// must not be retried over the full one.
fn drop_lesser(part: &Part, full: &Item) -> Result<(), SpoolError> {
    let others = [State::Sent, State::Refused].into_iter().filter(|state| *state != full.state);
    others.map(|state| Item { state, ..*full }).try_for_each(|lesser| remove(part, &lesser))
}

fn remove(part: &Part, item: &Item) -> Result<(), SpoolError> {
    unlink(part, item.file_name().as_str()).map_err(SpoolError::at(Step::Remove))
}

/// False: there is no such file.
fn rename(part: &Part, from: &str, to: &str) -> Result<bool, SpoolError> {
    match renameat(&part.dir, from, &part.dir, to) {
        Ok(()) => Ok(true),
        Err(Errno::ENOENT) => Ok(false),
        Err(errno) => Err(SpoolError::at(Step::Rename)(errno)),
    }
}
