//! At most so many handlers analyse at once, and eight times as many wait for it,
//! for two seconds at most; the last quarter of both is for users who crashed little.
//!
//! A slot is a byte of a file of root's, locked through the handler's own open
//! file description (F_OFD_SETLK): nobody waits for it, no user can hold it, and
//! it is free again in the moment in which its holder ends, however it ends.

use std::fs::File;
use std::ops::Range;
use std::time::Instant;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use super::file;
use crate::limits;
use crate::syscall::deadline_passed;

/// Slots, as one handler may use them.
#[derive(Debug)]
pub(super) struct Slots<'a> {
    pub(super) file: &'a File,
    /// How many there are.
    pub(super) count: u64,
    /// Where to look first, so that handlers look at different ones.
    pub(super) first: u32,
    /// Whether the last quarter is for others.
    pub(super) sparing: bool,
}

impl Slots<'_> {
    /// Takes one until the file is closed.
    pub(super) fn take(&self) -> bool {
        self.lock_one(0, self.count.clamp(1, limits::SLOTS), 0..limits::SLOTS).is_some()
    }

    /// Takes a place to wait, and then a slot as soon as one is free; false after
    /// limits::SLOT_PATIENCE, and when all places are taken. Of many slots it looks at a few
    /// each time, at others the next time: those who wait are many then, too.
    pub(super) fn wait(&self) -> bool {
        let slots = self.count.clamp(1, limits::SLOTS);
        let places = slots.saturating_mul(limits::WAITING_PER_SLOT);
        let Some(place) = self.lock_one(limits::SLOTS, places, 0..places) else { return false };
        let end = Instant::now().checked_add(limits::SLOT_PATIENCE);
        let (mut taken, mut look) = (false, 0u64);
        while !taken && end.is_some_and(|end| Instant::now() < end) && !deadline_passed() {
            std::thread::sleep(limits::SLOT_WAIT);
            let next = look.saturating_add(limits::SLOTS_LOOKED_AT);
            taken = self.lock_one(0, slots, look..next).is_some();
            look = next;
        }
        let _ = set(self.file, place, libc::F_UNLCK);
        taken
    }

    /// Locks one of so many bytes from `start` on, of those that come so many behind the
    /// first in turn; says which.
    fn lock_one(&self, start: u64, count: u64, steps: Range<u64>) -> Option<u64> {
        let spared = if self.sparing { count.div_ceil(4).min(count.saturating_sub(1)) } else { 0 };
        let count = count.saturating_sub(spared);
        let steps = steps.take(usize::try_from(count).unwrap_or(usize::MAX));
        let bytes = steps.map(|step| u64::from(self.first).saturating_add(step).checked_rem(count));
        let mut bytes = bytes.flatten().map(|byte| start.saturating_add(byte));
        bytes.find(|byte| set(self.file, *byte, libc::F_WRLCK).is_ok())
    }
}

/// How many slots there are when nobody says.
pub(super) fn by_cpus() -> u64 {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    u64::try_from(cpus).unwrap_or(1).saturating_mul(limits::SLOTS_PER_CPU)
}

fn set(file: &File, byte: u64, kind: libc::c_int) -> Result<(), Errno> {
    fcntl(file, FcntlArg::F_OFD_SETLK(&file::byte(byte, kind)?)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn opener(place: &Path) -> impl Fn() -> File {
        let path = place.join("slots");
        move || File::options().create(true).truncate(false).write(true).read(true).open(&path).unwrap()
    }

    fn slots(file: &File, count: u64, first: u32, sparing: bool) -> Slots<'_> {
        Slots { file, count, first, sparing }
    }

    #[test]
    fn there_are_as_many_as_were_said_and_each_ends_with_its_holder() {
        let place = tempfile::tempdir().unwrap();
        let open = opener(place.path());
        let mut holders: Vec<File> = (0..3).map(|_| open()).collect();
        for (first, holder) in holders.iter().enumerate() {
            assert!(slots(holder, 3, 7 + first as u32, false).take());
        }
        let fourth = open();
        assert!(!slots(&fourth, 3, 0, false).take());
        drop(holders.remove(1));
        assert!(slots(&fourth, 3, 0, false).take());
        assert!(!slots(&open(), 3, 2, false).take());
    }

    #[test]
    fn the_last_quarter_is_for_users_who_crashed_little() {
        let place = tempfile::tempdir().unwrap();
        let open = opener(place.path());
        let greedy: Vec<File> = (0..9).map(|_| open()).collect();
        let got = greedy.iter().zip(0..).filter(|(file, first)| slots(file, 8, *first, true).take());
        assert_eq!(got.count(), 6);
        let (one, two, three) = (open(), open(), open());
        assert!(slots(&one, 8, 0, false).take() && slots(&two, 8, 0, false).take());
        assert!(!slots(&three, 8, 0, false).take());
        let (only, other) = (open(), open());
        drop((greedy, one, two));
        assert!(slots(&only, 1, 0, true).take() && !slots(&other, 1, 0, false).take(), "one for all");
    }

    #[test]
    fn who_waits_finds_any_of_many_slots() {
        let place = tempfile::tempdir().unwrap();
        let open = opener(place.path());
        let count = limits::SLOTS_LOOKED_AT * 3;
        let mut holders: Vec<File> = (0..count).map(|_| open()).collect();
        assert!(holders.iter().all(|holder| slots(holder, count, 0, false).take()));
        let last = holders.pop();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| slots(&open(), count, 0, false).wait());
            std::thread::sleep(limits::SLOT_WAIT * 2);
            drop(last);
            assert!(waiter.join().unwrap());
        });
    }

    #[test]
    fn who_waits_has_the_next_slot_and_few_wait() {
        let place = tempfile::tempdir().unwrap();
        let open = opener(place.path());
        let holder = open();
        assert!(slots(&holder, 1, 0, false).take());
        let waiting: Vec<File> = (0..9).map(|_| open()).collect();
        std::thread::scope(|scope| {
            let wait = |file| scope.spawn(move || slots(file, 1, 0, false).wait());
            let all: Vec<_> = waiting.iter().map(wait).collect();
            std::thread::sleep(limits::SLOT_WAIT);
            drop(holder);
            let got: Vec<bool> = all.into_iter().map(|one| one.join().unwrap()).collect();
            // The one that got it keeps it here: the others waited in vain, one had no place.
            assert_eq!(got.iter().filter(|got| **got).count(), 1);
        });
        drop(waiting);
        assert!(slots(&open(), 1, 0, false).wait(), "places and slot are free again");
        let places: Vec<File> = (0..8).map(|_| open()).collect();
        let taken =
            places.iter().filter(|file| slots(file, 1, 0, false).lock_one(limits::SLOTS, 8, 0..8).is_some());
        assert_eq!(taken.count(), 8);
        let began = Instant::now();
        assert!(!slots(&open(), 1, 0, false).wait(), "there is no place to wait");
        assert!(began.elapsed() < limits::SLOT_WAIT * 50, "it waited all the same");
    }
}
