//! What the ledger says, for a record, a census or a person.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;

use super::alive;
use super::epitaph::{self, Epitaph};
use super::file;
use super::key::Key;
use super::ledger::{BURIED, Count, HANDLERS, HEADER, Ledger, SUPPRESSED_AT, WORDS, header, secret};
use super::table;
use crate::limits;
use crate::process::Life;

/// The words of one moment, and where they can be read again.
#[derive(Debug)]
pub struct Snapshot {
    words: Vec<u64>,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Mapped(Ledger),
    File(File),
}

/// What became of the crashes of this boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Handlers that began.
    pub begun: u64,
    /// Of them, those that left a record.
    pub recorded: u64,
    /// Of these, the ones whose record is the minimal one, because no slot was
    /// free.
    pub unanalysed: u64,
    /// Suppressed by the throttle.
    pub suppressed: u64,
    /// Ended by an error, which the kernel's log has.
    pub failed: u64,
    /// Not wanted: core_limit_zero = "drop".
    pub unwanted: u64,
    /// Began, did not end, and do not live: killed, or ended by a deadline.
    /// `None` where /proc does not show other users' processes.
    pub lost: Option<u64>,
}

impl Totals {
    /// True when some crash left less than a full record.
    pub fn is_short(&self) -> bool {
        self.suppressed > 0
            || self.unanalysed > 0
            || self.failed > 0
            || self.lost.is_some_and(|lost| lost > 0)
    }
}

/// Handlers that began in this boot, and which ledger says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Begun {
    /// Its secret, which no other one has; `None` where there is no ledger.
    pub ledger: Option<[u8; 16]>,
    /// How many.
    pub count: u64,
}

/// Handlers that began in this boot; `None` where there is a ledger that cannot be read.
pub fn begun(run: &Path, boot: [u8; 16]) -> Option<Begun> {
    match Snapshot::read(run, boot) {
        Some(snapshot) => {
            Some(Begun { ledger: Some(snapshot.secret()), count: snapshot.count(Count::Begun) })
        }
        None => (!run.join(file::FILE).try_exists().ok()?).then_some(Begun::default()),
    }
}

impl Snapshot {
    /// Of a run directory: `None` without a ledger of this boot that only root
    /// (or this user, who then tests) can have written, or without the right to
    /// read it.
    pub fn read(run: &Path, boot: [u8; 16]) -> Option<Snapshot> {
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let path = run.join(file::FILE);
        let file = File::options().read(true).custom_flags(flags.bits()).open(path).ok()?;
        if !file::is_roots(&file) {
            return None;
        }
        let words = file::read(&file)?;
        let ours = words.get(..HEADER) == Some(&header(&boot)[..]);
        ours.then_some(Snapshot { words, source: Source::File(file) })
    }

    pub(super) fn of(ledger: Ledger) -> Snapshot {
        let words = (0..WORDS).map(|index| ledger.get(index)).collect();
        Snapshot { words, source: Source::Mapped(ledger) }
    }

    /// A word as it is now.
    fn again(&self, index: usize) -> u64 {
        match &self.source {
            Source::Mapped(ledger) => ledger.get(index),
            Source::File(file) => file::word(file, index).unwrap_or_else(|| self.get(index)),
        }
    }

    fn get(&self, index: usize) -> u64 {
        self.words.get(index).copied().unwrap_or(0)
    }

    fn count(&self, count: Count) -> u64 {
        self.get(count as usize)
    }

    /// Handlers that died of themselves: how many of this boot, and the last words of
    /// the latest.
    pub fn epitaphs(&self) -> (u64, Vec<Epitaph>) {
        (self.get(BURIED), epitaph::read(|word| self.get(word)))
    }

    /// When a crash was last suppressed, CLOCK_BOOTTIME in nanoseconds.
    pub fn last_suppressed(&self) -> Option<u64> {
        Some(self.get(SUPPRESSED_AT)).filter(|at| *at != 0)
    }

    /// Under which keys hash.
    pub fn secret(&self) -> [u8; 16] {
        secret(|index| self.get(index))
    }

    /// The numbers. `life` tells of a process whether it lives.
    pub fn totals(&self, life: &dyn Fn(u32) -> Life) -> Totals {
        self.totals_and(life, &mut |_, _| {})
    }

    /// The same; `dead` is shown the word of each dead handler.
    pub(super) fn totals_and(&self, life: &dyn Fn(u32) -> Life, dead: &mut dyn FnMut(usize, u64)) -> Totals {
        Totals {
            begun: self.count(Count::Begun),
            recorded: self.count(Count::Recorded),
            unanalysed: self.count(Count::Unanalysed),
            suppressed: self.count(Count::Suppressed),
            failed: self.count(Count::Failed),
            unwanted: self.count(Count::Unwanted),
            lost: self.lost(life, dead),
        }
    }

    /// Begun, neither ended nor alive: no more than the truth, also while
    /// handlers come and go. A handler enters before it is counted as begun and
    /// leaves after it is counted as ended, so what was begun when we looked
    /// stands in the table or is ended when we look again. Those for whom the
    /// table had no room are not known to be dead, and count as living.
    fn lost(&self, life: &dyn Fn(u32) -> Life, dead: &mut dyn FnMut(usize, u64)) -> Option<u64> {
        let mut alive = self.again(Count::Unknown as usize);
        for index in (HANDLERS..).take(limits::STORM_HANDLERS) {
            let word = self.get(index);
            if word == 0 {
                continue;
            }
            match alive::lives(word, life)? {
                true => alive = alive.saturating_add(1),
                // Or it left in the moment in which we asked: then it is ended.
                false => dead(index, word),
            }
        }
        let ended = self.again(Count::Ended as usize);
        Some(self.count(Count::Begun).saturating_sub(ended).saturating_sub(alive))
    }

    /// How often one executable was suppressed since it came into the table.
    pub fn suppressed(&self, key: Key) -> u64 {
        let rows = table::places().filter(|place| self.get(place.key()) == key.0);
        rows.map(|place| self.get(place.suppressed())).fold(0, u64::saturating_add)
    }

    /// The executables that were suppressed most, the most first; and how often
    /// all others were, those included that the table has no longer.
    pub fn most_suppressed(&self) -> (Vec<(Key, u64)>, u64) {
        let mut rows: Vec<(Key, u64)> = table::places()
            .map(|place| (Key(self.get(place.key())), self.get(place.suppressed())))
            .filter(|(key, count)| key.0 != 0 && key.0 & table::RESERVED == 0 && *count > 0)
            .collect();
        rows.sort_unstable_by_key(|(key, _)| *key);
        rows.dedup_by(|later, first| {
            let same = later.0 == first.0;
            first.1 = if same { first.1.saturating_add(later.1) } else { first.1 };
            same
        });
        rows.sort_unstable_by_key(|(key, count)| (std::cmp::Reverse(*count), *key));
        rows.truncate(limits::STORM_TOLD);
        let told = rows.iter().map(|(_, count)| *count).fold(0, u64::saturating_add);
        (rows, self.count(Count::Suppressed).saturating_sub(told))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storm::ledger::tests::of;
    use std::sync::atomic::Ordering;

    fn suppress(ledger: &Ledger, key: Key, count: u64) {
        for _ in 0..count {
            let place = table::find_or_make(ledger, key).unwrap();
            ledger.word(place.suppressed()).fetch_add(1, Ordering::Relaxed);
            ledger.add(Count::Suppressed);
        }
    }

    #[test]
    fn who_was_evicted_from_the_table_is_still_counted() {
        let ledger = of(|_| 0);
        // All at the same sixteen places.
        for n in 1..=40u64 {
            suppress(&ledger, Key(n * 1024), n);
        }
        let (rows, others) = Snapshot::of(ledger).most_suppressed();
        assert_eq!(rows.len(), 16);
        assert!(rows.is_sorted_by_key(|(_, count)| std::cmp::Reverse(*count)));
        assert_eq!(rows.iter().map(|(_, count)| count).sum::<u64>() + others, 40 * 41 / 2);
        assert!(others > 0);
    }

    #[test]
    fn an_executable_at_two_places_is_one() {
        let ledger = of(|_| 0);
        let (first, second) = (table::places().nth(5).unwrap(), table::places().nth(9).unwrap());
        for place in [first, second] {
            ledger.word(place.key()).store(77, Ordering::Relaxed);
            ledger.word(place.suppressed()).store(4, Ordering::Relaxed);
        }
        let snapshot = Snapshot::of(ledger);
        assert_eq!(snapshot.most_suppressed().0, [(Key(77), 8)]);
        assert_eq!(snapshot.suppressed(Key(77)), 8);
    }

    #[test]
    fn random_words_are_read_to_the_end() {
        let mut seed = 1u64;
        for _ in 0..50 {
            let ledger = of(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                seed
            });
            let snapshot = Snapshot::of(ledger);
            assert!(snapshot.most_suppressed().0.len() <= limits::STORM_TOLD);
            let _ = snapshot.totals(&|pid| if pid % 2 == 0 { Life::Gone } else { Life::Since(u64::MAX) });
            assert_eq!(snapshot.totals(&|_| Life::Unknown).lost, None);
        }
    }

    #[test]
    fn a_ledger_of_another_boot_or_size_says_nothing() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join(file::FILE);
        let bytes: Vec<u8> = header(&[7; 16]).into_iter().flat_map(u64::to_ne_bytes).collect();
        let mut whole = vec![0; WORDS * 8];
        whole[..bytes.len()].copy_from_slice(&bytes);
        std::fs::write(&path, &whole).unwrap();
        assert!(Snapshot::read(place.path(), [7; 16]).is_some());
        assert!(Snapshot::read(place.path(), [8; 16]).is_none());
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
        assert!(Snapshot::read(place.path(), [7; 16]).is_none(), "others may have written it");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
        assert!(Snapshot::read(place.path(), [7; 16]).is_some());
        for wrong in [&whole[..whole.len() - 8], &whole[..10], &[whole.as_slice(), b"12345678"].concat()] {
            std::fs::write(&path, wrong).unwrap();
            assert!(Snapshot::read(place.path(), [7; 16]).is_none());
        }
    }
}
