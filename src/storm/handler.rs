//! One handler: it begins, decides, takes a slot, ends.

use std::cell::OnceCell;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::Ordering;

use nix::errno::Errno;

use super::alive::{self, Entry};
use super::bucket::Rate;
use super::epitaph;
use super::file;
use super::key::Key;
use super::ledger::{Count, FULL_AT, Ledger, SUPPRESSED_AT, WORDS, secret};
use super::slots::{self, Slots};
use super::snapshot::{Snapshot, Totals};
use super::table;
use crate::process::Life;
use crate::syscall;

/// What is admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Of one executable.
    pub executable: Rate,
    /// Of one user: who is above it leaves a quarter of `overall` to others.
    pub user: Rate,
    /// Of all.
    pub overall: Rate,
}

/// Who crashed, as far as that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crashed {
    /// The executable.
    pub executable: Option<Key>,
    /// The user.
    pub user: Option<Key>,
}

/// What a user has used of late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// No more than the user's part: everything stands open.
    Within,
    /// More than that, or nobody knows: the last quarter is for others.
    Beyond,
}

/// Whether a crash leaves a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Admitted(Share),
    /// It is counted, and the process let go.
    Suppressed,
}

/// What became of a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A record is in the spool.
    Recorded,
    /// The minimal one only: there was no slot.
    Unanalysed,
    /// The throttle had counted it already.
    Suppressed,
    /// An error was told.
    Failed,
    /// The configuration does not want such crashes.
    Unwanted,
}

/// The ledger as one handler uses it. Without a ledger everything is admitted
/// and nothing is counted.
#[derive(Debug)]
pub struct Storm {
    ledger: Option<Ledger>,
    file: Option<File>,
    slots: Option<File>,
    entry: Option<Entry>,
    boot: [u8; 16],
    by_cpus: OnceCell<u64>,
    missing: Option<Errno>,
}

/// Makes the ledger before the first crash, as root, and lets a group read it.
pub fn prepare(run: &Path, boot: [u8; 16], group: u32) -> Result<(), Errno> {
    let ledger = file::ledger(&file::directory(run)?, &boot)?;
    file::let_read(&ledger, group);
    Ok(())
}

impl Storm {
    /// The first act of a handler, as root: opens the ledger in `run`, enters
    /// this process and counts it. Never fails; [`Storm::missing`] says why
    /// there is none.
    pub fn begin(run: &Path, boot: Option<[u8; 16]>) -> Storm {
        let opened = file::directory(run).and_then(|directory| {
            let boot = boot.ok_or(Errno::ENODATA)?;
            let file = file::ledger(&directory, &boot)?;
            let words = syscall::share(std::os::fd::AsFd::as_fd(&file), WORDS)?;
            Ok((Ledger(words), file, file::slots(&directory).ok()))
        });
        let (ledger, file, slots, missing) = match opened {
            Ok((ledger, file, slots)) => (Some(ledger), Some(file), slots, None),
            Err(errno) => (None, None, None, Some(errno)),
        };
        let entry = ledger.as_ref().and_then(|ledger| {
            let entry = alive::enter(ledger, std::process::id(), now());
            if entry.is_none() {
                ledger.add(Count::Unknown);
            }
            ledger.add(Count::Begun);
            entry
        });
        Storm {
            ledger,
            file,
            slots,
            entry,
            boot: boot.unwrap_or_default(),
            by_cpus: OnceCell::new(),
            missing,
        }
    }

    /// From here on a handler that dies of itself leaves last words, of this task's
    /// crash.
    pub fn expect_the_worst(&self, task: Option<u32>) {
        if let Some(ledger) = self.ledger {
            let _ = epitaph::expect(ledger, task);
        }
    }

    /// Why nothing is counted.
    pub fn missing(&self) -> Option<Errno> {
        self.missing
    }

    /// Of this boot are the numbers.
    pub fn boot(&self) -> &[u8; 16] {
        &self.boot
    }

    /// Under which keys hash.
    pub fn secret(&self) -> [u8; 16] {
        self.ledger.as_ref().map_or([0; 16], |ledger| secret(|index| ledger.get(index)))
    }

    /// Lets a group read the ledger; as root. From then on the words are left, and not
    /// the file, which could be cut.
    pub fn let_read(&mut self, group: u32) {
        if let Some(file) = self.file.take() {
            file::let_read(&file, group);
        }
    }

    /// Whether this crash leaves a record. What the executable's own bucket
    /// refuses costs the others nothing; one that is not known (`None`) has the
    /// bucket of all only.
    pub fn decide(&self, crashed: Crashed, rules: &Rules) -> Verdict {
        let Some(ledger) = &self.ledger else { return Verdict::Admitted(Share::Within) };
        let now = now();
        // No place: so many handlers are not alive, and words are hostile.
        let find = |key: Option<Key>| table::find_or_make(ledger, key?);
        let place = find(crashed.executable);
        let own = place.map(|place| ledger.word(place.full_at()));
        if own.is_none_or(|own| rules.executable.take(own, now)) {
            let user = find(crashed.user).map(|place| ledger.word(place.full_at()));
            let user = user.filter(|user| rules.user.take(user, now));
            let (share, admitted) = match user {
                Some(_) => (Share::Within, rules.overall.take(ledger.word(FULL_AT), now)),
                None => (Share::Beyond, rules.overall.take_sparing(ledger.word(FULL_AT), now)),
            };
            if admitted {
                return Verdict::Admitted(share);
            }
            user.into_iter().for_each(|user| rules.user.give_back(user));
            own.into_iter().for_each(|own| rules.executable.give_back(own));
        }
        ledger.add(Count::Suppressed);
        ledger.word(SUPPRESSED_AT).store(now, Ordering::Relaxed);
        if let Some(place) = place {
            ledger.word(place.suppressed()).fetch_add(1, Ordering::AcqRel);
        }
        Verdict::Suppressed
    }

    /// Takes one of `count` slots (0: limits::SLOTS_PER_CPU for each CPU) to the
    /// end of this process; false when none is free. Where there is no file of
    /// slots there is no limit.
    pub fn take_slot(&self, count: u64, share: Share) -> bool {
        self.slots(count, share).is_none_or(|slots| slots.take())
    }

    /// The same, when nobody waits for this handler any more: for two seconds, if not too
    /// many do.
    pub fn wait_for_slot(&self, count: u64, share: Share) -> bool {
        self.slots(count, share).is_none_or(|slots| slots.wait())
    }

    fn slots(&self, count: u64, share: Share) -> Option<Slots<'_>> {
        // The same before and after a change of the cgroup.
        let count = if count == 0 { *self.by_cpus.get_or_init(slots::by_cpus) } else { count };
        let sparing = share == Share::Beyond;
        self.slots.as_ref().map(|file| Slots { file, count, first: std::process::id(), sparing })
    }

    /// What the ledger says; handlers that are dead are forgotten by it. `life`
    /// tells of a process whether it lives.
    pub fn totals(&self, life: &dyn Fn(u32) -> Life) -> Option<Totals> {
        let ledger = self.ledger.as_ref()?;
        let snapshot = Snapshot::of(*ledger);
        Some(snapshot.totals_and(life, &mut |index, word| alive::clear(ledger, index, word)))
    }

    /// How often this executable was suppressed.
    pub fn suppressed(&self, key: Key) -> u64 {
        let place = self.ledger.as_ref().and_then(|ledger| Some((ledger, table::find(ledger, key)?)));
        place.map_or(0, |(ledger, place)| ledger.get(place.suppressed()))
    }

    /// True when this handler shall copy the counters to where they outlive a
    /// power cut.
    pub fn is_due(&self) -> bool {
        self.ledger.as_ref().is_some_and(|ledger| ledger.is_due(now()))
    }

    /// The last act.
    pub fn end(self, outcome: Outcome) {
        let Some(ledger) = &self.ledger else { return };
        match outcome {
            Outcome::Recorded => ledger.add(Count::Recorded),
            Outcome::Unanalysed => {
                ledger.add(Count::Unanalysed);
                ledger.add(Count::Recorded);
            }
            Outcome::Failed => ledger.add(Count::Failed),
            Outcome::Unwanted => ledger.add(Count::Unwanted),
            Outcome::Suppressed => {}
        }
        ledger.add(Count::Ended);
        if let Some(entry) = self.entry {
            alive::leave(ledger, entry);
        }
    }
}

/// CLOCK_BOOTTIME; 0 where there is none.
fn now() -> u64 {
    syscall::clocks().1.unwrap_or(0)
}

#[cfg(test)]
mod tests;
