//! What the hosts of a bug are compared with: the best that there is.
//!
//! ```text
//! hours      how long the unit ran on which host, by censuses   → rate ratios
//! controls   living processes that censuses drew at random, of the unit, else of the
//!            fleet: who could have been a case                  → odds ratios
//! crashes    hosts of other signatures' crashes, of the unit, else of the fleet
//!            (case-case: McCarthy and Giesecke, Case-case comparisons to study
//!            causation of common infectious diseases, Int. J. Epidemiol. 1999):
//!            who could have been a case and was one of another bug → odds ratios
//! nothing    too few of any
//! ```
//!
//! Controls stand beside the cases as rows of the same weight. Cases are among what
//! their share is taken of, which leaves a score smaller than it could be and never
//! larger. Odds ratios are Mantel and Haenszel's within strata, else Haldane's.
//!
//! A case is a host, and so a control is one, of however many of its processes censuses
//! tell: they are alike, and as rows of their own would be evidence that nobody has.
//! Controls stand for all hosts that ran, cases too (density sampling: Vandenbroucke and
//! Pearce, Case-control studies: basic concepts, Int. J. Epidemiol. 2012): a host of the
//! bug is no second row, but what controls alone would expect counts it where a census
//! drew it. A rack of which every host has the bug had a share of what ran.
//!
//! Other crashes are no sample of what ran: a value that brings many bugs hides among
//! them, and one that prevents them looks like a cause. So no signature gives more of
//! them than the bug has cases, and no host more than three.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::episode::Episode;
use super::population::{Population, UNKNOWN};
use super::rate::{Ratio, Table, mantel_haenszel, odds_ratio};
use super::shuffle::SplitMix64;
use super::trigger::{Item, Row, Value};

/// Controls, at least, and as many as cases: of fewer the 95 % interval of an odds ratio
/// spans a decade whatever is found (Woolf: 4 / 20 + 4 / 20 of variance).
const LEAST: usize = 20;
/// Rows at most: as many as a fleet of 10,000 hosts has, for the same time.
const MOST: usize = 10_000;
/// Rows of one host.
const OF_HOST: u32 = 3;

/// Where what is compared with comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// Process-hours.
    #[default]
    Hours,
    /// Living processes.
    Controls,
    /// Hosts of other crashes.
    Crashes,
    /// Nothing.
    Nothing,
}

/// One row to be: a host, or a control on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Subject {
    /// Index of the host.
    pub host: u32,
    /// Index of the build, or [`UNKNOWN`].
    pub build: u32,
    /// Process-hours; 0 where they are not what is compared.
    pub hours: f64,
    /// The bug was seen there.
    pub case: bool,
    /// It stands for what ran: a control, or a case that could be one.
    pub control: bool,
}

/// What was chosen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contrast {
    /// Where it comes from.
    pub source: Source,
    /// Controls are of the unit; else of the whole fleet.
    pub own: bool,
    /// Rows that are no cases; of nothing, those that there were.
    pub controls: usize,
    /// Cases and controls.
    pub subjects: Vec<Subject>,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Bug<'a> {
    /// Of the bug.
    pub signature: u32,
    /// That has it.
    pub unit: u32,
    /// Hosts that are cases, with the build that crashed.
    pub cases: &'a BTreeMap<u32, u32>,
    /// Every host that showed it: of hours and other crashes none of them is a control.
    pub shown: &'a HashSet<u32>,
    /// Hours of the unit by host, and the build that ran longest.
    pub ran: &'a HashMap<u32, (f64, u32)>,
}

impl Contrast {
    /// Chooses.
    pub fn of(population: &Population, episodes: &[Episode], bug: Bug<'_>) -> Contrast {
        let timed = bug.cases.keys().filter(|host| bug.ran.contains_key(host)).count();
        // A census that misses most cases is no denominator for them.
        if !bug.cases.is_empty() && timed.saturating_mul(2) >= bug.cases.len() {
            return hours(population, bug);
        }
        let enough = bug.cases.len().max(LEAST);
        let mut seen = 0usize;
        for source in [Source::Controls, Source::Crashes] {
            for own in [true, false] {
                let found = thin(match source {
                    Source::Controls => living(population, bug, own),
                    _ => crashed(episodes, bug, own),
                });
                let (both, others): (Vec<_>, Vec<_>) =
                    found.into_iter().partition(|(host, _)| bug.cases.contains_key(host));
                if others.len() < enough {
                    seen = seen.max(others.len());
                    continue;
                }
                let both: HashSet<u32> = both.into_iter().map(|(host, _)| host).collect();
                let cases = bug.cases.iter().map(|(host, build)| (*host, *build, true));
                let all = cases.chain(others.into_iter().map(|(host, build)| (host, build, false)));
                // Builds of other units say nothing of this one's.
                let one = |(host, build, case): (u32, u32, bool)| Subject {
                    host,
                    build: if own { build } else { UNKNOWN },
                    hours: 0.0,
                    case,
                    control: !case || both.contains(&host),
                };
                let subjects: Vec<Subject> = all.map(one).collect();
                let controls = subjects.len().saturating_sub(bug.cases.len());
                return Contrast { source, own, controls, subjects };
            }
        }
        Contrast { source: Source::Nothing, own: false, controls: seen, subjects: Vec::new() }
    }
}

fn hours(population: &Population, bug: Bug<'_>) -> Contrast {
    let one = |host: u32| {
        let (ran, case) = (bug.ran.get(&host), bug.cases.get(&host));
        // Hosts that had it later are no controls either.
        if case.is_none() && (ran.is_none() || bug.shown.contains(&host)) {
            return None;
        }
        let build = case.copied().or(ran.map(|(_, build)| *build)).unwrap_or(UNKNOWN);
        let hours = ran.map_or(0.0, |(hours, _)| *hours);
        Some(Subject { host, build, hours, case: case.is_some(), control: true })
    };
    let subjects: Vec<Subject> = (0u32..).take(population.hosts.len()).filter_map(one).collect();
    let controls = subjects.iter().filter(|subject| !subject.case).count();
    Contrast { source: Source::Hours, own: true, controls, subjects }
}

/// Of each host one of the processes that censuses drew there.
fn living(population: &Population, bug: Bug<'_>, own: bool) -> Vec<(u32, u32)> {
    let mut drawn: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for control in population.controls.iter().filter(|control| !own || control.unit == bug.unit) {
        drawn.entry(control.host).or_default().push(control.build);
    }
    // Any of them, as by chance: the first would always be of the same build.
    let one = |(host, builds): (u32, Vec<u32>)| {
        let place = SplitMix64(u64::from(host)).unit() * builds.len() as f64;
        let build = builds.iter().enumerate().rfind(|(at, _)| *at as f64 <= place);
        (host, build.map_or(UNKNOWN, |(_, build)| *build))
    };
    drawn.into_iter().map(one).collect()
}

/// Hosts of other signatures without the bug.
fn crashed(episodes: &[Episode], bug: Bug<'_>, own: bool) -> Vec<(u32, u32)> {
    let most = u32::try_from(bug.cases.len()).unwrap_or(u32::MAX);
    let (mut of_host, mut of_signature) = (HashMap::new(), HashMap::new());
    let mut seen = HashSet::new();
    let others = episodes.iter().map(|episode| &episode.first).filter(|crash| {
        crash.signature != bug.signature
            && (!own || crash.unit == bug.unit)
            && !bug.shown.contains(&crash.host)
    });
    let mut found = Vec::new();
    for crash in others {
        let host = of_host.entry(crash.host).or_insert(0u32);
        let signature = of_signature.entry(crash.signature).or_insert(0u32);
        if *host >= OF_HOST || *signature >= most || !seen.insert((crash.host, crash.signature)) {
            continue;
        }
        *host = host.saturating_add(1);
        *signature = signature.saturating_add(1);
        found.push((crash.host, crash.build));
    }
    found
}

/// [`MOST`] of them, evenly over all.
fn thin(all: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    let count = all.len();
    if count <= MOST {
        return all;
    }
    let kept = |place: usize| place.saturating_mul(MOST).checked_div(count);
    let first = |place: usize| place == 0 || kept(place) != kept(place.saturating_sub(1));
    all.into_iter().enumerate().filter(|(place, _)| first(*place)).map(|(_, one)| one).collect()
}

/// The odds ratio of an item among rows, with whether each is a control, and cases that
/// controls alone would give it.
pub fn odds(rows: &[(Row, bool)], item: Item) -> (Ratio, f64) {
    let mut strata: BTreeMap<u32, Table> = BTreeMap::new();
    for (row, control) in rows {
        let Some(has) = has(row, item) else { continue };
        let table = strata.entry(row.stratum).or_default();
        let (case, other) = if has { (&mut table.a, &mut table.b) } else { (&mut table.c, &mut table.d) };
        *case += f64::from(u8::from(row.case));
        *other += f64::from(u8::from(*control));
    }
    let tables: Vec<Table> = strata.into_values().collect();
    let sum = |of: fn(&Table) -> f64| tables.iter().map(of).sum::<f64>();
    let all = Table { a: sum(|t| t.a), b: sum(|t| t.b), c: sum(|t| t.c), d: sum(|t| t.d) };
    let controls = all.b + all.d;
    let expected = if controls > 0.0 { (all.a + all.c) * all.b / controls } else { 0.0 };
    (mantel_haenszel(&tables).unwrap_or_else(|| odds_ratio(all)), expected)
}

/// Whether a row has the item; None where that is unknown.
pub(crate) fn has(row: &Row, item: Item) -> Option<bool> {
    let one = |value: Value| {
        let own = *row.values.get(value.attribute)?;
        (own != UNKNOWN).then_some(own == value.value)
    };
    item.values().try_fold(true, |all, value| Some(all & one(value)?))
}

#[cfg(test)]
mod tests {
    use super::super::population::{Control, Crash, Host};
    use super::*;

    fn episode(host: u32, signature: u32, unit: u32) -> Episode {
        let first = Crash { host, signature, unit, build: 7, ..Crash::default() };
        Episode { first, crashes: 1, last: 0.0 }
    }

    fn fleet(controls: Vec<Control>) -> Population {
        Population { hosts: vec![Host::default(); 200], controls, ..Population::default() }
    }

    /// Ten cases of signature 1, unit 1, on the hosts 0 to 9.
    fn ask(population: &Population, episodes: &[Episode], timed: u32) -> Contrast {
        let cases: BTreeMap<u32, u32> = (0..10).map(|host| (host, 7)).collect();
        let shown: HashSet<u32> = (0..12).collect();
        let ran = (0..timed).chain(50..60).map(|host| (host, (5.0, 7))).collect();
        Contrast::of(
            population,
            episodes,
            Bug { signature: 1, unit: 1, cases: &cases, shown: &shown, ran: &ran },
        )
    }

    #[test]
    fn hours_go_before_controls_and_controls_before_other_crashes() {
        let drawn = |unit: u32| (0..100).map(move |host| Control { host, unit, build: 3 });
        let population = fleet(drawn(1).chain(drawn(2)).collect());
        let others: Vec<Episode> = (0..100).map(|host| episode(host, host % 20 + 2, 1)).collect();
        let timed = ask(&population, &others, 5);
        assert_eq!((timed.source, timed.controls, timed.subjects.len()), (Source::Hours, 10, 20));
        let living = ask(&population, &others, 4);
        assert_eq!((living.source, living.own, living.controls), (Source::Controls, true, 90));
        assert!(
            living.subjects.iter().all(|subject| subject.hours == 0.0 && subject.case == (subject.host < 10))
        );
        let of_fleet = ask(&fleet(drawn(2).collect()), &others, 0);
        assert_eq!((of_fleet.source, of_fleet.own), (Source::Controls, false));
        assert!(of_fleet.subjects.iter().all(|subject| subject.build == UNKNOWN), "builds of other units");
        let crashes = ask(&fleet(Vec::new()), &others, 0);
        assert_eq!((crashes.source, crashes.own), (Source::Crashes, true));
        let elsewhere: Vec<Episode> = (0..100).map(|host| episode(host, host % 20 + 2, 2)).collect();
        assert!(!ask(&fleet(Vec::new()), &elsewhere, 0).own);
        let nothing = ask(&fleet(Vec::new()), &others[..30], 0);
        assert_eq!((nothing.source, nothing.controls, nothing.subjects), (Source::Nothing, 18, Vec::new()));
    }

    #[test]
    fn a_host_is_one_control_whatever_its_censuses_drew() {
        // One host with 3000 censuses, the others with 28 each, half of them of build 3.
        let drawn = |host: u32, count: u32| {
            (0..count).map(move |n| Control { host, unit: 1, build: if n < count / 2 { 3 } else { 4 } })
        };
        let all: Vec<Control> = (0..100).flat_map(|host| drawn(host, 28)).chain(drawn(100, 3000)).collect();
        let asked = ask(&fleet(all.clone()), &[], 0);
        assert_eq!((asked.controls, asked.subjects.len()), (91, 101));
        let mut hosts: Vec<u32> = asked.subjects.iter().map(|subject| subject.host).collect();
        hosts.sort_unstable();
        hosts.dedup();
        assert_eq!(hosts.len(), 101);
        let third = asked.subjects.iter().filter(|subject| subject.build == 3).count();
        assert!((30..62).contains(&third), "{third} of build 3");
        let few = ask(&fleet(drawn(100, 3000).collect()), &[], 0);
        assert_eq!((few.source, few.controls), (Source::Nothing, 1));
    }

    #[test]
    fn a_rack_whose_hosts_are_all_cases_had_a_share_of_what_ran() {
        let drawn = (0..50).map(|host| Control { host, unit: 1, build: 3 });
        let asked = ask(&fleet(drawn.collect()), &[], 0);
        let rows: Vec<(Row, bool)> = asked
            .subjects
            .iter()
            .map(|one| {
                let values = vec![u32::from(one.host < 3)];
                (Row { values, exposure: 0.0, stratum: 0, case: one.case }, one.control)
            })
            .collect();
        let (ratio, expected) = odds(&rows, Item::One(Value { attribute: 0, value: 1 }));
        // Three of 50 hosts, and ten cases.
        assert!((expected - 0.6).abs() < 1e-9, "{expected}");
        assert!(ratio.ratio > 4.0 && ratio.ratio < 8.0, "{ratio:?}");
    }

    #[test]
    fn no_signature_and_no_host_makes_up_the_controls() {
        let one_bug: Vec<Episode> = (20..120).map(|host| episode(host, 2, 1)).collect();
        assert_eq!(ask(&fleet(Vec::new()), &one_bug, 0).source, Source::Nothing, "ten of one signature");
        let one_host: Vec<Episode> = (0..100).map(|signature| episode(20, signature + 2, 1)).collect();
        assert_eq!(ask(&fleet(Vec::new()), &one_host, 0).controls, 3);
        assert!(thin((0..54_321).map(|n| (n, n)).collect()).len() == MOST);
    }

    #[test]
    fn an_odds_ratio_is_taken_within_strata() {
        let rows = |count: usize, value: u32, stratum: u32, case: bool| {
            vec![(Row { values: vec![value], exposure: 0.0, stratum, case }, !case); count]
        };
        // In both strata twice the odds; together the stratum would make it more.
        let all = [
            rows(8, 1, 0, true),
            rows(4, 0, 0, true),
            rows(50, 1, 0, false),
            rows(50, 0, 0, false),
            rows(2, 1, 1, true),
            rows(8, 0, 1, true),
            rows(12, 1, 1, false),
            rows(96, 0, 1, false),
            rows(5, UNKNOWN, 0, true),
        ];
        let (ratio, expected) = odds(&all.concat(), Item::One(Value { attribute: 0, value: 1 }));
        assert!((ratio.ratio - 2.0).abs() < 1e-9 && ratio.low < 2.0 && ratio.high > 2.0, "{ratio:?}");
        assert!((expected - 22.0 * 62.0 / 208.0).abs() < 1e-9, "{expected}");
        let (none, _) = odds(&[], Item::One(Value { attribute: 3, value: 1 }));
        assert!(none.ratio.is_finite());
    }
}
