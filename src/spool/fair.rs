//! Who gives way when pending records must: always the oldest one of the
//! executable that holds most.
//!
//! ```text
//! records          ┃ records of one executable, oldest at the top
//!   A ████████████ ┃ level 5: what is above it goes,
//!   B ███████      ┃   the tallest first
//!   C ███          ┃
//! ```
//!
//! One program in a crash loop must not push out the one crash of another.
//! Taking the oldest of the largest group again and again levels the groups, so
//! the level can be computed from their sizes, and only what lies above it needs
//! to be remembered: not the whole directory. Limits: limits::SPOOL_GROUPS; the
//! executables beyond count as one.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::oldest::Oldest;
use crate::limits;

/// One executable; `None`: one of those beyond the limit.
type Group = Option<u64>;

/// How many records each executable has.
#[derive(Debug, Default)]
pub(super) struct Groups(BTreeMap<Group, u64>);

impl Groups {
    pub(super) fn add(&mut self, group: u64) {
        let group = if self.0.len() < limits::SPOOL_GROUPS { Some(group) } else { self.known(group) };
        let count = self.0.entry(group).or_default();
        *count = count.saturating_add(1);
    }

    fn known(&self, group: u64) -> Group {
        Some(group).filter(|_| self.0.contains_key(&Some(group)))
    }

    /// Room for the records that give way when `excess` of them must.
    pub(super) fn above<T: Ord>(&self, excess: u64) -> Above<'_, T> {
        let level = self.level(excess);
        let tall = self.0.iter().filter(|(_, count)| **count > level);
        let room = |count: u64| usize::try_from(count.saturating_sub(level)).unwrap_or(usize::MAX);
        Above {
            groups: self,
            oldest: tall.map(|(group, count)| (*group, (*count, Oldest::new(room(*count))))).collect(),
        }
    }

    /// The highest level above which `excess` records lie.
    fn level(&self, excess: u64) -> u64 {
        let above = |level: u64| {
            self.0.values().fold(0u64, |sum, count| sum.saturating_add(count.saturating_sub(level)))
        };
        let (mut low, mut high) = (0, self.0.values().max().copied().unwrap_or(0));
        while low < high {
            // Rounded up, so that `low` rises each time it is set.
            let middle = high.saturating_sub(high.saturating_sub(low) / 2);
            if above(middle) >= excess { low = middle } else { high = middle.saturating_sub(1) }
        }
        low
    }
}

/// The records above the level.
#[derive(Debug)]
pub(super) struct Above<'a, T> {
    groups: &'a Groups,
    oldest: BTreeMap<Group, (u64, Oldest<T>)>,
}

impl<T: Ord> Above<'_, T> {
    pub(super) fn offer(&mut self, group: u64, record: T) {
        if let Some((_, oldest)) = self.oldest.get_mut(&self.groups.known(group)) {
            oldest.offer(record);
        }
    }

    /// In the order in which they give way.
    pub(super) fn in_order(self) -> Vec<T> {
        let mut all = Vec::new();
        for (count, oldest) in self.oldest.into_values() {
            let heights = (0..=count).rev();
            all.extend(heights.zip(oldest.sorted()).map(|(height, record)| (Reverse(height), record)));
        }
        all.sort_unstable();
        all.into_iter().map(|(_, record)| record).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rule itself: the oldest of the largest group, again and again.
    fn by_the_rule(records: &[(u64, u32)], excess: usize) -> Vec<u32> {
        let mut left = records.to_vec();
        let mut gone = Vec::new();
        for _ in 0..excess.min(records.len()) {
            let size = |group| left.iter().filter(|(other, _)| *other == group).count();
            let largest = left.iter().map(|(group, _)| size(*group)).max().unwrap();
            let (group, age) = left
                .iter()
                .filter(|(group, _)| size(*group) == largest)
                .min_by_key(|(_, age)| *age)
                .copied()
                .unwrap();
            left.retain(|record| *record != (group, age));
            gone.push(age);
        }
        gone
    }

    #[test]
    fn the_level_is_what_the_rule_leads_to() {
        let mut random = 1u64;
        let mut next = |most: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % most
        };
        for _ in 0..300 {
            let records: Vec<(u64, u32)> = (0..next(40) as u32).map(|age| (next(5) * next(2), age)).collect();
            let excess = next(45) as usize;
            let mut groups = Groups::default();
            records.iter().for_each(|(group, _)| groups.add(*group));
            let mut above = groups.above(excess as u64);
            records.iter().rev().for_each(|(group, age)| above.offer(*group, *age));
            let mut order = above.in_order();
            assert!(order.len() >= excess.min(records.len()));
            order.truncate(excess);
            assert_eq!(order, by_the_rule(&records, excess), "{records:?} {excess}");
        }
    }

    #[test]
    fn more_executables_than_are_told_apart_count_as_one() {
        let mut groups = Groups::default();
        let many = limits::SPOOL_GROUPS as u64 + 100;
        (0..many).for_each(|group| groups.add(group));
        let mut above = groups.above(99);
        (0..many).for_each(|group| above.offer(group, group));
        assert_eq!(above.in_order(), Vec::from_iter(limits::SPOOL_GROUPS as u64..many - 1));
    }
}
