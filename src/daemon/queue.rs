//! What is to be sent, what is on its way, and what has to stay: by name only.
//!
//! ```text
//!            offer                take               settle
//! a name ──────────► ready ─────────────► away ─────────────► gone
//!    │ minimal         ▲ ▲                 │ again, or seen again meanwhile
//!    ▼                 │ └─────────────────┤
//!  young ──────────────┘ after a minute    ├──► young   it is minimal still
//!                                          └──► held    it may not leave
//! ```
//!
//! What it gives: every name at most once in all of it, so nothing is sent
//! twice at once; oldest first. What it trusts: its caller's clock (monotonic).
//! Limits: [`MOST`] names in each part, 20 bytes each; what does not fit is
//! still in the spool. `overflowed` says that somebody must look again: at once
//! for what may be sent, when some have come of age for minimal records, and
//! not at all for what stays (`crowded` is told instead).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use crate::spool::Item;

/// Names in each part: 2 MiB at most.
pub(super) const MOST: usize = 65_536;
/// After so long a minimal record is all there will be: ten times as long as a
/// handler may live.
pub(super) const RIPE: Duration = Duration::from_secs(60);

/// A name on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// The file.
    pub(super) item: Item,
    /// Send it even when it is minimal.
    pub(super) ripe: bool,
}

/// What became of a name that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// It needs nothing more.
    Done,
    /// Send it again.
    Again,
    /// It is minimal, and the full one may come until then.
    Young(Instant),
    /// It stays.
    Held(Hold),
}

/// Why a name stays on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Hold {
    /// Of a privileged process.
    Private,
    /// A schema to come.
    Newer,
    /// The file is damaged, refused or no record.
    Damaged,
    /// The collector has it, and its name could not be changed.
    Unmarked,
    /// It names another host: this one was renamed.
    OtherName,
}

/// How many there are of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) private: u64,
    pub(super) newer: u64,
    pub(super) damaged: u64,
    pub(super) unmarked: u64,
    pub(super) other_name: u64,
}

/// The names.
#[derive(Debug)]
pub(super) struct Queue {
    most: usize,
    ready: BTreeMap<Item, bool>,
    young: BTreeSet<(Instant, Item)>,
    young_until: HashMap<Item, Instant>,
    away: HashMap<Item, (bool, bool)>,
    held: HashMap<Item, Hold>,
    overflowed: bool,
    /// Minimal records were left out.
    young_left_out: bool,
    /// More stays than is known by name.
    crowded: bool,
}

impl Default for Queue {
    fn default() -> Queue {
        Queue::new(MOST)
    }
}

impl Queue {
    /// Knows at most so many names in each part.
    pub(super) fn new(most: usize) -> Queue {
        Queue {
            most,
            ready: BTreeMap::new(),
            young: BTreeSet::new(),
            young_until: HashMap::new(),
            away: HashMap::new(),
            held: HashMap::new(),
            overflowed: false,
            young_left_out: false,
            crowded: false,
        }
    }

    /// Names that fit in each part.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// A file that may be sent, as far as its name tells.
    pub(super) fn offer(&mut self, item: Item) {
        if let Some((_, seen_again)) = self.away.get_mut(&item) {
            *seen_again = true;
            return;
        }
        self.held.remove(&item);
        let ripe = self.grow_up(&item).is_some_and(|until| until <= Instant::now());
        self.insert(item, ripe);
    }

    /// A file that holds a minimal record; the full one may come until then.
    pub(super) fn offer_young(&mut self, item: Item, until: Instant) {
        if self.knows(&item) {
            return;
        }
        if self.young.len() >= self.most {
            self.young_left_out = true;
            return;
        }
        self.young.insert((until, item));
        self.young_until.insert(item, until);
    }

    /// The oldest ones, which are away from now on.
    pub(super) fn take(&mut self, most: usize) -> Vec<Taken> {
        let mut taken = Vec::with_capacity(most.min(self.ready.len()));
        while taken.len() < most {
            let Some((item, ripe)) = self.ready.pop_first() else { break };
            self.away.insert(item, (ripe, false));
            taken.push(Taken { item, ripe });
        }
        taken
    }

    /// What became of one that was away. One that was seen again meanwhile (the
    /// full record came) is ready again, whatever became of the earlier.
    pub(super) fn settle(&mut self, item: Item, settled: Settled) {
        let Some((ripe, seen_again)) = self.away.remove(&item) else { return };
        if seen_again {
            return self.insert(item, false);
        }
        match settled {
            Settled::Done => {}
            Settled::Again => self.insert(item, ripe),
            Settled::Young(until) => self.offer_young(item, until),
            Settled::Held(hold) if self.held.len() < self.most => drop(self.held.insert(item, hold)),
            Settled::Held(_) => self.crowded = true,
        }
    }

    /// Minimal records whose full one did not come are ready now.
    pub(super) fn ripen(&mut self, now: Instant) {
        while let Some((until, item)) = self.young.first().copied().filter(|(until, _)| *until <= now) {
            self.young.remove(&(until, item));
            self.young_until.remove(&item);
            self.insert(item, true);
            self.overflowed |= std::mem::take(&mut self.young_left_out);
        }
    }

    /// When the next minimal record is due: no timer without one.
    pub(super) fn next_ripe(&self) -> Option<Instant> {
        self.young.first().map(|(until, _)| *until)
    }

    /// Names ready to be sent.
    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Minimal records that wait for their full one.
    pub(super) fn young(&self) -> usize {
        self.young.len()
    }

    /// Whether this name is somewhere in here.
    pub(super) fn knows(&self, item: &Item) -> bool {
        self.ready.contains_key(item)
            || self.away.contains_key(item)
            || self.young_until.contains_key(item)
            || self.held.contains_key(item)
    }

    /// Names were left out; the answer is given once.
    pub(super) fn take_overflowed(&mut self) -> bool {
        std::mem::take(&mut self.overflowed)
    }

    /// How many stay, by reason.
    pub(super) fn held(&self) -> Held {
        let mut held = Held::default();
        for hold in self.held.values() {
            let count = match hold {
                Hold::Private => &mut held.private,
                Hold::Newer => &mut held.newer,
                Hold::Damaged => &mut held.damaged,
                Hold::Unmarked => &mut held.unmarked,
                Hold::OtherName => &mut held.other_name,
            };
            *count = count.saturating_add(1);
        }
        held
    }

    /// More names stay than are known and counted.
    pub(super) fn is_crowded(&self) -> bool {
        self.crowded
    }

    /// Everything is about to be looked at again.
    pub(super) fn count_anew(&mut self) {
        self.crowded &= self.held.len() >= self.most;
    }

    /// Forgets those that are held for this reason.
    pub(super) fn release(&mut self, which: impl Fn(Hold) -> bool) {
        self.held.retain(|_, hold| !which(*hold));
    }

    fn grow_up(&mut self, item: &Item) -> Option<Instant> {
        let until = self.young_until.remove(item)?;
        self.young.remove(&(until, *item));
        Some(until)
    }

    fn insert(&mut self, item: Item, ripe: bool) {
        if self.ready.len() >= self.most && !self.ready.contains_key(&item) {
            self.overflowed = true;
            return;
        }
        let known = self.ready.entry(item).or_default();
        *known |= ripe;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::{Kind, RecordId, State};
    use proptest::prelude::*;

    fn item(n: u8) -> Item {
        let id = RecordId([n; 16]);
        Item { id, private: false, kind: Kind::Crash, state: State::Pending, full: false }
    }

    fn names(taken: &[Taken]) -> Vec<u8> {
        taken.iter().map(|taken| taken.item.id.0[0]).collect()
    }

    #[test]
    fn the_oldest_leave_first_and_nothing_leaves_twice_at_once() {
        let mut queue = Queue::default();
        [3, 1, 2, 1, 3].iter().for_each(|n| queue.offer(item(*n)));
        assert_eq!(names(&queue.take(2)), [1, 2]);
        queue.offer(item(1));
        assert_eq!(names(&queue.take(9)), [3]);
        queue.settle(item(1), Settled::Done); // seen again meanwhile
        queue.settle(item(2), Settled::Done);
        queue.settle(item(3), Settled::Again);
        assert_eq!(names(&queue.take(9)), [1, 3]);
    }

    #[test]
    fn a_minimal_record_waits_until_its_full_one_comes_or_a_minute_has_passed() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        assert_eq!(queue.next_ripe(), None);
        queue.offer_young(item(1), now + RIPE);
        queue.offer_young(item(2), now + RIPE);
        assert_eq!((queue.ready(), queue.next_ripe()), (0, Some(now + RIPE)));
        queue.offer(item(1));
        assert_eq!(queue.take(9), [Taken { item: item(1), ripe: false }]);
        queue.ripen(now + RIPE);
        assert_eq!(queue.take(9), [Taken { item: item(2), ripe: true }]);
        assert_eq!(queue.next_ripe(), None);
    }

    #[test]
    fn what_is_held_is_not_offered_until_it_changes() {
        let mut queue = Queue::default();
        queue.offer(item(1));
        queue.take(1);
        queue.settle(item(1), Settled::Held(Hold::Damaged));
        assert!(queue.knows(&item(1)));
        assert_eq!((queue.ready(), queue.held().damaged), (0, 1));
        queue.offer(item(1));
        assert_eq!((queue.ready(), queue.held().damaged), (1, 0));
    }

    #[test]
    fn what_does_not_fit_is_looked_for_again_only_when_that_helps() {
        let (mut queue, now) = (Queue::new(2), Instant::now());
        for n in 0..3 {
            queue.offer_young(item(n), now + RIPE);
        }
        assert!(!queue.take_overflowed(), "it would be minimal still");
        queue.ripen(now + RIPE);
        assert!(queue.take_overflowed() && !queue.take_overflowed());
        for n in 3..6 {
            queue.take(9);
            queue.offer(item(n));
        }
        queue.take(9);
        (3..6).for_each(|n| queue.settle(item(n), Settled::Held(Hold::Newer)));
        assert!(queue.is_crowded() && !queue.take_overflowed(), "it would stay again");
        queue.count_anew();
        assert_eq!((queue.is_crowded(), queue.held().newer), (true, 2));
        queue.release(|_| true);
        queue.count_anew();
        assert!(!queue.is_crowded());
    }

    proptest! {
        #[test]
        fn every_name_is_in_one_place(steps in proptest::collection::vec((0u8..5, 0u8..6), 0..80)) {
            let (mut queue, now) = (Queue::default(), Instant::now());
            for (step, n) in steps {
                match step {
                    0 => queue.offer(item(n)),
                    1 => queue.offer_young(item(n), now + RIPE),
                    2 => drop(queue.take(1)),
                    3 => queue.settle(item(n), Settled::Again),
                    _ => queue.settle(item(n), Settled::Held(Hold::Newer)),
                }
                for n in 0..6 {
                    let places = [
                        queue.ready.contains_key(&item(n)),
                        queue.away.contains_key(&item(n)),
                        queue.young_until.contains_key(&item(n)),
                        queue.held.contains_key(&item(n)),
                    ];
                    prop_assert!(places.iter().filter(|in_it| **in_it).count() <= 1, "{}: {:?}", n, places);
                }
                prop_assert_eq!(queue.young.len(), queue.young_until.len());
            }
        }
    }
}
