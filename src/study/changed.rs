//! What changed in the window: bugs that are new, and bugs that are gone.
//!
//! A signature that n hosts show, each at its own time, is new when all of them first
//! did in the last days: by chance that happens with shareⁿ. It is gone when none did:
//! (1 − share)ⁿ. Both are Bonferroni's over signatures and over the lengths that are
//! tried.
//!
//! The share is that of the time in which anything was heard, which a young fleet has
//! less of than the window; and that of what ran of the unit, so that hosts that came
//! late make nothing new, and hosts that no longer report nothing gone. The larger of
//! the two for new, the smaller for gone.

use std::collections::{HashMap, HashSet};

use super::courses::whole;
use super::findings::{Bug, Change, Changed};
use crate::epidemiology::population::Population;

/// Days before the end that are tried.
const RECENT: [f64; 4] = [1.0, 3.0, 7.0, 14.0];
/// Chance of one false word a study, over all signatures.
const FALSE: f64 = 0.01;
/// At most so many are told.
const MOST: usize = 20;
const DAY_NS: f64 = 8.64e13;

/// The time that can be spoken of.
pub(super) struct Time {
    /// Hours of the window from the first moment that anything tells of to the last.
    heard: (f64, f64),
    end: f64,
    /// Process-hours of each unit by day of the window.
    ran: HashMap<String, Vec<f64>>,
}

impl Time {
    pub(super) fn of(population: &Population) -> Time {
        let before = whole(population.before.max(0.0) / 24.0);
        let end = population.hours.max(0.0);
        let mut ran: HashMap<String, Vec<f64>> = HashMap::new();
        let (mut first, mut last) = (f64::INFINITY, 0.0f64);
        for course in &population.courses {
            let unit = usize::try_from(course.unit).ok().and_then(|unit| population.units.get(unit));
            let Some(unit) = unit else { continue };
            let hours = course.hours.get(before..).unwrap_or_default();
            let sums = ran.entry(unit.clone()).or_default();
            sums.resize(sums.len().max(hours.len()), 0.0);
            for (day, (sum, hours)) in sums.iter_mut().zip(hours).enumerate() {
                *sum += hours.max(0.0);
                if *hours > 0.0 {
                    first = first.min(24.0 * day as f64);
                    last = last.max(24.0 * day as f64 + 24.0);
                }
            }
        }
        for crash in &population.crashes {
            (first, last) = (first.min(crash.at), last.max(crash.at));
        }
        let earlier = !population.earlier.is_empty() || first > end;
        Time { heard: (if earlier { 0.0 } else { first.max(0.0) }, last.min(end)), end, ran }
    }

    /// Days in which anything was heard.
    fn days(&self) -> f64 {
        (self.heard.1 - self.heard.0).max(0.0) / 24.0
    }

    /// Of the time, and of what ran of a unit: the share of the last days.
    fn shares(&self, unit: &str, days: f64) -> (f64, f64) {
        let since = self.end - 24.0 * days;
        let length = (self.heard.1 - self.heard.0).max(1e-3);
        let by_time = ((self.heard.1 - since) / length).clamp(0.0, 1.0);
        let Some(hours) = self.ran.get(unit) else { return (by_time, by_time) };
        let all: f64 = hours.iter().sum();
        let part = |day: usize| ((24.0 * day as f64 + 24.0 - since) / 24.0).clamp(0.0, 1.0);
        let recent: f64 = hours.iter().enumerate().map(|(day, hours)| part(day) * hours).sum();
        let by_hours = if all > 0.0 { recent / all } else { by_time };
        (by_time.max(by_hours), by_time.min(by_hours))
    }
}

/// The bugs that are new or gone, those with the most hosts first. What is `earlier` was
/// seen before the window and is not new.
pub(super) fn changed(bugs: &[Bug], until: u64, time: &Time, earlier: &HashSet<&str>) -> Vec<Changed> {
    let tries = (bugs.len() as f64).max(1.0) * 2.0 * RECENT.len() as f64;
    let one = |bug: &Bug| {
        let hosts = f64::from(bug.hosts);
        let ago = |at: u64| until.saturating_sub(at) as f64 / DAY_NS;
        let known = earlier.contains(bug.signature.as_str());
        RECENT.iter().filter(|days| **days <= time.days() / 2.0).find_map(|days| {
            let (most, least) = time.shares(&bug.unit, *days);
            let new = !known && ago(bug.first) <= *days && most.powf(hosts) * tries < FALSE;
            let gone = ago(bug.last) >= *days && (1.0 - least).powf(hosts) * tries < FALSE;
            let what = if new { Change::New } else { Change::Gone };
            (new || gone).then(|| Changed {
                signature: bug.signature.clone(),
                unit: bug.unit.clone(),
                what,
                at: if new { bug.first } else { bug.last },
                hosts: bug.hosts,
            })
        })
    };
    let mut changed: Vec<Changed> = bugs.iter().filter_map(one).collect();
    changed.sort_by_key(|change| std::cmp::Reverse(change.hosts));
    changed.truncate(MOST);
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epidemiology::population::{Course, Crash};

    const UNTIL: u64 = 1_800_000_000_000_000_000;

    fn bug(hosts: u32, first: f64, last: f64) -> Bug {
        let at = |days: f64| UNTIL - (days * DAY_NS) as u64;
        Bug { hosts, first: at(first), last: at(last), ..Bug::default() }
    }

    /// What ran of a unit on each of 28 days.
    fn fleet(hours: impl Fn(usize) -> f64) -> Population {
        let course = Course { unit: 0, build: 0, hours: (0..28).map(hours).collect() };
        let units = vec![String::new()];
        Population { hours: 28.0 * 24.0, units, courses: vec![course], ..Population::default() }
    }

    fn told_of(bug: Bug, fleet: &Population) -> Option<Change> {
        let others = (0..50).map(|_| self::bug(30, 27.9, 0.1));
        let all: Vec<Bug> = others.chain([bug]).collect();
        changed(&all, UNTIL, &Time::of(fleet), &HashSet::new()).first().map(|change| change.what)
    }

    fn told(bug: Bug) -> Option<Change> {
        told_of(bug, &fleet(|_| 24.0))
    }

    #[test]
    fn a_bug_is_new_when_so_many_hosts_would_have_shown_it_before() {
        assert_eq!(told(bug(8, 6.9, 0.1)), Some(Change::New));
        assert_eq!(told(bug(3, 6.9, 0.1)), None);
    }

    #[test]
    fn a_bug_is_gone_when_so_many_hosts_would_have_shown_it_since() {
        assert_eq!(told(bug(60, 27.0, 7.5)), Some(Change::Gone));
        assert_eq!(told(bug(10, 27.0, 7.5)), None);
    }

    #[test]
    fn in_a_fleet_of_six_days_nothing_is_new_because_the_fleet_is() {
        let censuses = fleet(|day| if day < 22 { 0.0 } else { 24.0 });
        let crash = |at: f64| Crash { at, ..Crash::default() };
        let crashes = (0..144).map(|hour| crash(22.0 * 24.0 + f64::from(hour))).collect();
        let none = Population { crashes, courses: Vec::new(), ..censuses.clone() };
        for fleet in [censuses, none] {
            let young: Vec<Bug> = (0..50).map(|_| bug(30, 5.9, 0.1)).collect();
            assert!(changed(&young, UNTIL, &Time::of(&fleet), &HashSet::new()).is_empty());
            // What all of thirty hosts show in the last of its days is.
            assert_eq!(told_of(bug(30, 0.9, 0.1), &fleet), Some(Change::New));
        }
    }

    #[test]
    fn hosts_that_came_late_make_nothing_new_and_hosts_that_stopped_nothing_gone() {
        let grown = fleet(|day| if day < 22 { 4.0 } else { 400.0 });
        assert_eq!(told_of(bug(30, 6.9, 0.1), &grown), None);
        let stopped = fleet(|day| if day < 20 { 24.0 } else { 0.0 });
        assert_eq!(told_of(bug(60, 27.0, 8.1), &stopped), None);
    }

    #[test]
    fn what_was_seen_before_the_window_is_not_new() {
        let time = Time::of(&fleet(|_| 24.0));
        let all = [bug(30, 6.9, 0.1)];
        assert_eq!(changed(&all, UNTIL, &time, &HashSet::new()).len(), 1);
        assert!(changed(&all, UNTIL, &time, &HashSet::from([""])).is_empty());
    }
}
