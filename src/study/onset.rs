//! Since when a bug is there, and whether a new build brought it: its cases and the
//! fleet's exposure over time, for [`crate::epidemiology::onset`] and
//! [`crate::epidemiology::rollout`].
//!
//! Exposure is in days of the unit as it usually runs, so that clusters of different
//! units are alike, and rates are crashes a day. Days without any census count as
//! usual ones; before the first that was measured, or without a census before the first
//! crash, there are no days.

use std::collections::{HashMap, HashSet};

use super::courses::whole;
use super::findings::{Began, Since};
use super::gather::Directory;
use crate::epidemiology::episode::Episode;
use crate::epidemiology::history::{Bin, Prior};
use crate::epidemiology::onset::{self, Onset};
use crate::epidemiology::population::{Course, Population, UNKNOWN};
use crate::epidemiology::rate::{self, Stratum};
use crate::epidemiology::rollout::{self, Rollout};

/// Widths of bins, hours. The finest, because an alarm is raised at the end of a bin:
/// with bins of a day it comes two crashes late, with an hour none.
const WIDTHS: [f64; 8] = [1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 24.0];
/// Bins with a crash, at most, where that is possible with bins of a day: the work is
/// theirs, 3 µs each.
const CRASHES: usize = 120;
/// A day on which censuses saw less than this share of the median day was not measured.
const MEASURED: f64 = 0.1;
/// Builds of a unit that are compared: those that ran longest. Each raises what the
/// others need.
const BUILDS: usize = 32;
/// Days that a bug and a build may lie apart where only time tells: censuses are daily.
const APART: f64 = 1.0;
/// ln by which the builds of the cases may speak against it there.
const AGAINST: f64 = 1.0;
/// Weight of a rate's prior about a bug's own mean, crashes: where only times are
/// compared the rate itself is no news.
const WEIGHT: f64 = 0.5;

/// One case: the beginning of an episode.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    host: u32,
    build: u32,
    /// Hours since [`Fleet::begin`]'s zero: the beginning of the history.
    at: f64,
}

/// The fleet's time.
pub(super) struct Fleet<'a> {
    population: &'a Population,
    /// The first day that was measured (without a census, of a crash), and the end, hours
    /// since the history began.
    begin: f64,
    end: f64,
    /// Whether a day was measured.
    measured: Vec<bool>,
    courses: HashMap<u32, Vec<&'a Course>>,
    earlier: HashMap<u32, Vec<Case>>,
}

/// A unit's exposure of each day, in its usual days.
pub(super) struct Usual(Vec<f64>);

impl<'a> Fleet<'a> {
    pub(super) fn of(population: &'a Population, earlier: &[Episode]) -> Fleet<'a> {
        let before = population.before.max(0.0);
        let end = before + population.hours.max(0.0);
        let days = whole((end / 24.0).ceil()).min(3660);
        let mut all = vec![0.0; days];
        let mut courses: HashMap<u32, Vec<&Course>> = HashMap::new();
        for course in &population.courses {
            courses.entry(course.unit).or_default().push(course);
            for (sum, hours) in all.iter_mut().zip(&course.hours) {
                *sum += hours.max(0.0);
            }
        }
        let mut sorted: Vec<f64> = all.iter().copied().filter(|hours| *hours > 0.0).collect();
        sorted.sort_by(f64::total_cmp);
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
        let measured: Vec<bool> = all.iter().map(|hours| *hours > MEASURED * median).collect();
        let first = population.earlier.first().or(population.crashes.first());
        let first = first.map_or(end, |crash| crash.at + before);
        // A pilot's days, or those before the first census, are not the fleet's: as usual
        // ones they would be days without crashes.
        let seen = measured.iter().position(|measured| *measured).map(|day| 24.0 * day as f64);
        let begin = seen.unwrap_or(24.0 * whole(first / 24.0) as f64);
        let mut cases: HashMap<u32, Vec<Case>> = HashMap::new();
        for episode in earlier {
            cases.entry(episode.first.signature).or_default().push(Case::of(episode, before));
        }
        Fleet { population, begin, end, measured, courses, earlier: cases }
    }

    /// All cases of a signature, in the order of time.
    pub(super) fn cases(&self, signature: u32, own: &[&Episode]) -> Vec<Case> {
        let earlier = self.earlier.get(&signature).cloned().unwrap_or_default();
        let own = own.iter().map(|episode| Case::of(episode, self.population.before.max(0.0)));
        earlier.into_iter().chain(own).filter(|case| case.at >= self.begin).collect()
    }

    /// Part of a day that lies in the history.
    fn part(&self, day: usize) -> f64 {
        let begin = 24.0 * day as f64;
        ((self.end.min(begin + 24.0) - self.begin.max(begin)) / 24.0).max(0.0)
    }

    /// How much of a unit ran on each day.
    pub(super) fn usual(&self, unit: u32) -> Usual {
        let mut hours = vec![0.0; self.measured.len()];
        for course in self.courses.get(&unit).into_iter().flatten() {
            for (sum, hours) in hours.iter_mut().zip(&course.hours) {
                *sum += hours.max(0.0);
            }
        }
        let days = || hours.iter().zip(&self.measured).enumerate().filter(|(_, (_, measured))| **measured);
        let all: f64 = days().map(|(_, (hours, _))| hours).sum();
        let length: f64 = days().map(|(day, _)| self.part(day)).sum();
        let mean = if all > 0.0 { all / length.max(1e-3) } else { f64::INFINITY };
        let one = |(day, (hours, measured)): (usize, (&f64, &bool))| {
            if *measured && mean.is_finite() { hours / mean } else { self.part(day) }
        };
        Usual(hours.iter().zip(&self.measured).enumerate().map(one).collect())
    }

    /// Cases by time, in bins of so many hours.
    pub(super) fn bins(&self, usual: &Usual, cases: &[Case], width: f64) -> Vec<Bin> {
        let length = (self.end - self.begin).max(0.0);
        let count = whole((length / width - 1e-6).ceil());
        let mut bins: Vec<Bin> = Vec::with_capacity(count);
        for place in 0..count {
            let from = self.begin + width * place as f64;
            let hours = (self.end - from).clamp(0.0, width);
            let day = whole(from / 24.0);
            // Clamped: the last days of ten years have no place of their own.
            let relative = usual.0.get(day).copied().unwrap_or(1.0) / self.part(day).max(1e-3);
            bins.push(Bin { count: 0, exposure: relative * hours / 24.0, days: hours / 24.0 });
        }
        let last = bins.len().saturating_sub(1);
        for case in cases {
            if let Some(bin) = bins.get_mut(whole((case.at - self.begin) / width).min(last)) {
                bin.count = bin.count.saturating_add(1);
            }
        }
        bins
    }

    /// As fine as there is time for.
    fn width(&self, cases: usize) -> f64 {
        let fits = |width: &&f64| cases <= CRASHES || (self.end - self.begin) / **width <= CRASHES as f64;
        WIDTHS.iter().find(fits).copied().unwrap_or(24.0)
    }

    /// The last rise that became known in the window.
    pub(super) fn since(&self, usual: &Usual, cases: &[Case], prior: &Prior) -> Option<(Onset, f64)> {
        let width = self.width(cases.len());
        let last = onset::onsets(&self.bins(usual, cases, width), prior).pop()?;
        let known = self.begin + width * (last.known as f64 + 1.0);
        (known > self.population.before).then_some((last, width))
    }

    /// The same as it is told.
    pub(super) fn told(&self, (onset, width): &(Onset, f64), directory: &Directory) -> Since {
        let moment = |bin: usize| {
            let at = self.begin + width * bin as f64;
            directory.moment(at.min(self.end) - self.population.before)
        };
        Since {
            at: moment(onset.bin),
            between: (moment(onset.interval.0), moment(onset.interval.1.saturating_add(1))),
            known: moment(onset.known.saturating_add(1)),
            ratio: (onset.ratio, onset.ratio_interval.0, onset.ratio_interval.1),
            ln_bayes: onset.ln_bayes,
        }
    }

    /// The new build that brought it, if one did.
    pub(super) fn began(
        &self,
        unit: u32,
        usual: &Usual,
        cases: &[Case],
        since: Option<&(Onset, f64)>,
        directory: &Directory,
    ) -> Option<Began> {
        let candidates = self.candidates(unit);
        if candidates.is_empty() {
            return None;
        }
        let zero = whole(self.begin / 24.0);
        let days = self.measured.len().saturating_sub(zero);
        let splits: Vec<Vec<(u32, u32)>> =
            candidates.iter().map(|candidate| candidate.split(cases, zero, days)).collect();
        let share = |candidate: &'_ Candidate| candidate.share.get(zero..).map(<[f64]>::to_vec);
        let shares: Vec<Vec<f64>> =
            candidates.iter().map(|candidate| share(candidate).unwrap_or_default()).collect();
        let asked: Vec<Rollout> = candidates
            .iter()
            .zip(shares.iter().zip(&splits))
            .map(|(candidate, (share, split))| Rollout {
                at: candidate.day.saturating_sub(zero) as f64,
                share,
                cases: Some(split),
            })
            .collect();
        let bins = self.bins(usual, cases, 24.0);
        let exposure: f64 = bins.iter().map(|bin| bin.exposure).sum();
        let mean = (cases.len() as f64 + WEIGHT) / exposure.max(1e-3);
        let prior = Prior { shape: WEIGHT, rate: WEIGHT / mean, ..Prior::default() };
        let found = rollout::rollouts(&bins, &asked, &prior);
        // Time alone only where the rate rose by itself at that time: it knows of days
        // that differ.
        let fits = |candidate: &Candidate| {
            since.is_some_and(|(onset, width)| {
                let day = |bin: usize| (self.begin + width * bin as f64) / 24.0;
                let at = candidate.day as f64;
                day(onset.interval.0) - APART <= at && at <= day(onset.interval.1) + APART
            })
        };
        // A build and those behind it only where it is itself among the worse ones: each
        // candidate of that kind stands behind its build alone.
        let alone = std::iter::once(0.0).chain(found.iter().map(|began| began.ln_build));
        let fit: Vec<bool> = candidates.iter().zip(alone).map(|(one, ln)| !one.newer || ln > 0.0).collect();
        let all = || {
            let all = candidates.iter().zip(&found).zip(shares.iter().zip(&splits));
            all.zip(&fit).filter(|(_, fit)| **fit).map(|(one, _)| one)
        };
        let named = all().filter(|((_, began), _)| began.named());
        let named = named.max_by(|a, b| a.0.1.ln_build.total_cmp(&b.0.1.ln_build));
        let by_time = || {
            let began = all().filter(|((candidate, began), _)| {
                began.began() && fits(candidate) && began.ln_build > -AGAINST
            });
            began.max_by(|a, b| a.0.1.ln_rollout.total_cmp(&b.0.1.ln_rollout))
        };
        let ((candidate, began), (share, split)) = named.or_else(by_time)?;
        let strata: Vec<Stratum> = share
            .iter()
            .zip(split)
            .map(|(share, (new, all))| Stratum { exposed: *new, cases: *all, share: *share })
            .collect();
        let split_at = |(share, _): &(&f64, &(u32, u32))| **share > 0.0 && **share < 1.0;
        let speaks = share.iter().zip(split).filter(split_at);
        let cases = speaks.fold((0u32, 0u32), |sum, (_, (new, all))| {
            (sum.0.saturating_add(*new), sum.1.saturating_add(*all))
        });
        let by_build = rate::stratified(&strata);
        let by_time = since.map(|(onset, _)| (onset.ratio, onset.ratio_interval.0, onset.ratio_interval.1));
        let build = usize::try_from(candidate.build).ok().and_then(|build| directory.builds.get(build));
        Some(Began {
            build: build.cloned().unwrap_or_else(|| candidate.build.to_string()),
            at: directory.moment(24.0 * candidate.day as f64 - self.population.before),
            and_newer: candidate.newer,
            named: began.named(),
            began: began.began() && fits(candidate),
            ratio: match by_time {
                Some(ratio) if !began.named() => ratio,
                _ => (by_build.ratio, by_build.low, by_build.high),
            },
            cases,
            ln_build: began.ln_build,
            ln_rollout: began.ln_rollout,
        })
    }

    /// Builds that appeared while others ran.
    pub(super) fn new_builds(&self, unit: u32) -> HashSet<u32> {
        self.candidates(unit).into_iter().map(|candidate| candidate.build).collect()
    }

    /// Builds that appeared while others ran, each alone and with those behind it: what
    /// one broke is broken in the next.
    fn candidates(&self, unit: u32) -> Vec<Candidate> {
        let Some(courses) = self.courses.get(&unit) else { return Vec::new() };
        let mut all = vec![0.0; self.measured.len()];
        let mut first: HashMap<u32, usize> = HashMap::new();
        let mut sums: Vec<(f64, u32)> = Vec::new();
        for course in courses.iter().filter(|course| course.build != UNKNOWN) {
            for (sum, hours) in all.iter_mut().zip(&course.hours) {
                *sum += hours.max(0.0);
            }
            let Some(day) = course.hours.iter().position(|hours| *hours > 0.0) else { continue };
            first.insert(course.build, day);
            sums.push((course.hours.iter().sum(), course.build));
        }
        let Some(oldest) = first.values().copied().min() else { return Vec::new() };
        sums.retain(|(_, build)| first.get(build).is_some_and(|day| *day > oldest));
        sums.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        sums.truncate(BUILDS);
        let mut candidates = Vec::new();
        for (_, build) in sums {
            let Some(day) = first.get(&build).copied() else { continue };
            let newest = first.values().all(|other| *other <= day);
            let kinds = if newest { &[false][..] } else { &[false, true] };
            for newer in kinds {
                let is = |other: u32| {
                    other == build || (*newer && first.get(&other).is_some_and(|other| *other >= day))
                };
                let mut share = vec![0.0; all.len()];
                for course in courses.iter().filter(|course| course.build != UNKNOWN && is(course.build)) {
                    for (sum, hours) in share.iter_mut().zip(&course.hours) {
                        *sum += hours.max(0.0);
                    }
                }
                for (own, all) in share.iter_mut().zip(&all) {
                    *own = if *all > 0.0 { (*own / all).min(1.0) } else { 0.0 };
                }
                let builds = first.keys().copied().filter(|other| is(*other)).collect();
                candidates.push(Candidate { build, day, newer: *newer, share, builds });
            }
        }
        candidates
    }
}

/// A new build, or it and what came behind it.
struct Candidate {
    build: u32,
    /// The day on which it appeared, since the history began.
    day: usize,
    newer: bool,
    /// Of the unit's exposure, by day.
    share: Vec<f64>,
    builds: HashSet<u32>,
}

impl Candidate {
    /// Cases of it and of all builds, by day, from the day `zero` on; of each host the
    /// first since it appeared: a host that crashes every day says once what it is.
    fn split(&self, cases: &[Case], zero: usize, days: usize) -> Vec<(u32, u32)> {
        let mut split = vec![(0u32, 0u32); days];
        let mut seen = HashSet::new();
        let begin = 24.0 * self.day as f64;
        let since = cases.iter().filter(|case| case.at >= begin && case.build != UNKNOWN);
        for case in since.filter(|case| seen.insert(case.host)) {
            let place = whole(case.at / 24.0).saturating_sub(zero).min(days.saturating_sub(1));
            if let Some(count) = split.get_mut(place) {
                count.0 = count.0.saturating_add(u32::from(self.builds.contains(&case.build)));
                count.1 = count.1.saturating_add(1);
            }
        }
        split
    }
}

impl Case {
    fn of(episode: &Episode, before: f64) -> Case {
        Case { host: episode.first.host, build: episode.first.build, at: episode.first.at + before }
    }
}

/// What is usual among these clusters: cases, and bins of a day.
pub(super) fn prior(clusters: &[Vec<Bin>]) -> Prior {
    let sums = |bins: &Vec<Bin>| {
        let cases = bins.iter().fold(0u32, |sum, bin| sum.saturating_add(bin.count));
        (cases, bins.iter().map(|bin| bin.exposure).sum::<f64>())
    };
    let prior = Prior::fit(&clusters.iter().map(sums).collect::<Vec<_>>());
    let bins: Vec<&[Bin]> = clusters.iter().map(Vec::as_slice).collect();
    Prior { dispersion: Prior::days_differ(&bins), ..prior }
}
