//! The executables and users that crashed of late, each with its bucket and its count.
//!
//! Open addressing: a key stands at one of limits::STORM_PROBES places from its
//! own on, so a look-up ends whatever the table holds. When all of these are
//! others', the one whose bucket was full the longest ago gives way; its place
//! starts anew. What was counted there is no longer told apart, but stays in the
//! counter of all, so that nothing is lost: others = all − those in the table.
//!
//! Two handlers that have to evict others in the same instant may enter one key at two
//! places. Then it has two buckets until one is evicted; whoever reads adds them up. While
//! there is room they cannot: places are never empty again, so both want the same.

use std::sync::atomic::Ordering;

use super::key::Key;
use super::ledger::{Ledger, ROW, TABLE};
use crate::limits;

/// In place of a key, with a process's number: this one is being taken over.
pub(super) const RESERVED: u64 = 1 << 63;

/// A place in the table: the index of its first word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(usize);

impl Place {
    pub(super) fn key(self) -> usize {
        self.0
    }

    pub(super) fn full_at(self) -> usize {
        self.0.saturating_add(1)
    }

    pub(super) fn suppressed(self) -> usize {
        self.0.saturating_add(2)
    }
}

/// Every place.
pub(super) fn places() -> impl Iterator<Item = Place> {
    (0..limits::STORM_KEYS).map(|row| Place(TABLE.saturating_add(row.saturating_mul(ROW))))
}

/// Where a key may stand.
fn candidates(key: Key) -> impl Iterator<Item = Place> + Clone {
    let rows = limits::STORM_KEYS as u64;
    (0..limits::STORM_PROBES as u64).map(move |step| {
        let row = key.0.wrapping_add(step).checked_rem(rows).and_then(|row| usize::try_from(row).ok());
        Place(TABLE.saturating_add(row.unwrap_or(0).saturating_mul(ROW)))
    })
}

/// The place of a key, which is made when it has none.
pub(super) fn find_or_make(ledger: &Ledger, key: Key) -> Option<Place> {
    // Each round that fails is another one's success.
    (0..limits::STORM_PROBES).find_map(|_| {
        find(ledger, key).or_else(|| {
            let (place, was) = victim(ledger, key)?;
            (was == key.0 || take(ledger, place, was, key)).then_some(place)
        })
    })
}

/// The place of a key.
pub(super) fn find(ledger: &Ledger, key: Key) -> Option<Place> {
    candidates(key).find(|place| ledger.get(place.key()) == key.0)
}

/// Who gives way: the key itself, when another one has just entered it; else the first
/// empty place, else whose bucket was full first.
fn victim(ledger: &Ledger, key: Key) -> Option<(Place, u64)> {
    let rows = candidates(key).map(|place| (place, ledger.get(place.key())));
    rows.min_by_key(|(place, was)| match *was {
        was if was == key.0 => 0,
        0 => 1,
        _ => ledger.get(place.full_at()).max(2),
    })
}

/// Takes a place over. While its words are cleared it is this process's and nobody's
/// key: a new owner never finds an old one's numbers. One that dies in between leaves a
/// place that the next may take over; one that sleeps there for as long may clear the
/// next one's numbers, which restarts a bucket.
fn take(ledger: &Ledger, place: Place, was: u64, key: Key) -> bool {
    let word = ledger.word(place.key());
    let change = |from, to| word.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok();
    if was == 0 {
        return change(0, key.0);
    }
    let reserved = RESERVED | u64::from(std::process::id());
    if !change(was, reserved) {
        return false;
    }
    ledger.word(place.full_at()).store(0, Ordering::Release);
    ledger.word(place.suppressed()).store(0, Ordering::Release);
    change(reserved, key.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storm::ledger::tests::of;

    #[test]
    fn a_key_keeps_its_place() {
        let ledger = of(|_| 0);
        let keys: Vec<Key> = (1..=300u64).map(|n| Key(n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
        let places: Vec<_> = keys.iter().map(|key| find_or_make(&ledger, *key).unwrap()).collect();
        for (key, place) in keys.iter().zip(&places) {
            assert_eq!(find(&ledger, *key), Some(*place));
            assert_eq!(find_or_make(&ledger, *key), Some(*place));
        }
        let distinct: std::collections::BTreeSet<usize> = places.iter().map(|place| place.key()).collect();
        assert_eq!(distinct.len(), 300);
    }

    #[test]
    fn threads_that_enter_one_key_at_once_find_one_place() {
        for round in 1..=200u64 {
            let ledger = of(|_| 0);
            let start = std::sync::Barrier::new(4);
            let enter = || {
                start.wait();
                (0..8).map(|n| find_or_make(&ledger, Key(round + n)).unwrap().key()).collect::<Vec<_>>()
            };
            let found: Vec<Vec<usize>> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(enter)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert!(found.windows(2).all(|two| two[0] == two[1]), "{found:?}");
        }
    }

    #[test]
    fn in_a_full_table_the_one_that_rested_longest_gives_way() {
        let ledger = of(|_| 0);
        let key = |n: u64| Key(n * 1024 + 5);
        for n in 1..=16 {
            let place = find_or_make(&ledger, key(n)).unwrap();
            ledger.word(place.full_at()).store(1000 + (n + 9) % 16, Ordering::Relaxed);
            ledger.word(place.suppressed()).store(n, Ordering::Relaxed);
        }
        let place = find_or_make(&ledger, key(99)).unwrap();
        assert_eq!(find(&ledger, key(7)), None, "(7 + 9) % 16 = 0 was the first to be full");
        assert_eq!((ledger.get(place.full_at()), ledger.get(place.suppressed())), (0, 0));
        assert!((1..=16).filter(|n| *n != 7).all(|n| find(&ledger, key(n)).is_some()));
    }

    #[test]
    fn a_table_of_random_words_is_answered() {
        let mut seed = 3u64;
        for _ in 0..50 {
            let mut next = |_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                seed ^ seed >> 29
            };
            let ledger = of(&mut next);
            for n in 0..200 {
                let key = Key((next(n) >> 1).max(1));
                let place = find_or_make(&ledger, key).unwrap();
                assert_eq!(ledger.get(place.key()), key.0);
            }
        }
    }
}
