//! What was to be expected: crashes that no other host shows, by what ran where.
//!
//! A host's evidence against itself is D, the number of distinct signatures that
//! it shows and at most one other host does, although many hosts run the unit.
//! How many of these software alone makes is counted over the fleet, unit by unit
//! (indirect standardisation; Breslow and Day, The Design and Analysis of Cohort
//! Studies, 1987): e_h = Σ process-hours × the unit's fleet rate of such
//! signatures. Rates of units that few hosts run lean on the fleet's.
//!
//! Hosts differ by more than that, so D is negative binomial around μ e_h with
//! dispersion r, both fitted without the highest one in [`TRIM`] of the hosts, among
//! which the bad ones are.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::episode::{Episode, clusters};
use super::math::ln_negative_binomial;
use super::population::Population;

/// A signature that more hosts show is a bug's.
pub const RARE_HOSTS: usize = 2;
/// What fewer hosts run may have bugs that only they show: at least so many
/// hosts, and this share of the fleet.
const LEAST_HOSTS: usize = 20;
const LEAST_SHARE: f64 = 0.01;
/// One host of so many (0.2 %), those that exceed their expectation most, is left
/// out of the fit.
pub const TRIM: usize = 500;
/// Signatures' worth of the fleet's rate that a unit's own is mixed with.
const SHRINK: f64 = 2.0;
/// Dispersions that are tried, from far apart to Poisson.
const DISPERSIONS: [f64; 14] =
    [0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 20.0, f64::INFINITY];
/// A host that ran for no counted time still crashed: its expectation is at least
/// this share of an average host's.
const LEAST_EXPECTED: f64 = 0.02;

/// Rare episodes of the fleet, and how many each host was expected to have.
#[derive(Clone, Debug, Default)]
pub struct Background {
    /// Episodes with a rare signature, each host's together.
    pub rare: BTreeMap<u32, Vec<Episode>>,
    /// Rare signatures that two hosts show.
    pub shared: HashSet<u32>,
    /// Share of rare signatures that one host shows alone.
    pub alone_share: f64,
    /// e_h, distinct rare signatures, by host.
    pub expected: Vec<f64>,
    /// μ: what the expectation has to be multiplied by.
    pub factor: f64,
    /// r of the negative binomial.
    pub dispersion: f64,
    /// Rare signatures per process-hour, by unit; 0 for units that few hosts run.
    pub rates: Vec<f64>,
    /// Of hosts of a kind that has more (an erratum): how much more.
    pub scale: HashMap<u32, f64>,
    /// There were no process-hours: every host counts the same.
    pub uniform: bool,
}

impl Background {
    /// Counts and fits.
    pub fn of(population: &Population, episodes: &[Episode]) -> Background {
        let uniform = !population.has_exposure();
        let common = common_units(population, episodes, uniform);
        let rare = rare(episodes, &common);
        let (rates, expected) = if uniform {
            let sum: usize = rare.values().map(|own| distinct(own)).sum();
            let mean = sum as f64 / population.hosts.len().max(1) as f64;
            (Vec::new(), vec![mean.max(1e-6); population.hosts.len()])
        } else {
            let rates = rates(population, &rare, &common);
            let expected = expected(population, &rates);
            (rates, expected)
        };
        let (shared, alone_share) = shared(&rare);
        let mut background = Background {
            rare,
            shared,
            alone_share,
            expected,
            factor: 1.0,
            dispersion: 1.0,
            rates,
            uniform,
            ..Background::default()
        };
        background.fit(&BTreeMap::new());
        background
    }

    /// D of a host.
    pub fn observed(&self, host: u32) -> u32 {
        self.rare.get(&host).map_or(0, |own| u32::try_from(distinct(own)).unwrap_or(u32::MAX))
    }

    /// μ e_h, times what hosts of its kind have more.
    pub fn mean(&self, host: u32) -> f64 {
        let own = usize::try_from(host).ok().and_then(|index| self.expected.get(index));
        let scale = self.scale.get(&host).copied().unwrap_or(1.0);
        own.map_or(1e-6, |expected| expected * self.factor * scale).max(1e-9)
    }

    /// Fits μ and r. `usual` is the probability that a host is like the others; of
    /// those that are not in it that is so.
    pub fn fit(&mut self, usual: &BTreeMap<u32, f64>) {
        let mut hosts: Vec<(u32, f64, f64)> = (0u32..)
            .zip(&self.expected)
            .filter(|(host, _)| !self.scale.contains_key(host))
            .map(|(host, e)| (self.observed(host), *e, usual.get(&host).copied().unwrap_or(1.0)))
            .collect();
        let kept = hosts.len().saturating_sub(hosts.len().div_ceil(TRIM));
        // The highest excess last.
        hosts.sort_by(|a, b| (f64::from(a.0) - a.1).total_cmp(&(f64::from(b.0) - b.1)));
        hosts.truncate(kept.max(1));
        let (seen, all) = hosts
            .iter()
            .fold((0.0, 0.0), |(d, e), host| (d + host.2 * f64::from(host.0), e + host.2 * host.1));
        self.factor = if all > 0.0 { (seen + 0.5) / (all + 0.5) } else { 1.0 };
        let ln = |r: f64| -> f64 {
            let one = |(d, e, weight): &(u32, f64, f64)| {
                weight * ln_negative_binomial(*d, (e * self.factor).max(1e-9), r)
            };
            hosts.iter().map(one).sum()
        };
        let best = DISPERSIONS.iter().map(|r| (*r, ln(*r))).max_by(|a, b| a.1.total_cmp(&b.1));
        self.dispersion = best.map_or(1.0, |(r, _)| r);
    }
}

/// Signatures of two hosts, and the share of the others.
fn shared(rare: &BTreeMap<u32, Vec<Episode>>) -> (HashSet<u32>, f64) {
    let mut first: HashMap<u32, u32> = HashMap::new();
    let mut shared = HashSet::new();
    for episode in rare.values().flatten() {
        let crash = &episode.first;
        if *first.entry(crash.signature).or_insert(crash.host) != crash.host {
            shared.insert(crash.signature);
        }
    }
    let alone = first.len().saturating_sub(shared.len()) as f64;
    // By hosts: a shared one is met twice.
    let met = alone + 2.0 * shared.len() as f64;
    (shared, (alone + 1.0) / (met + 2.0))
}

/// Distinct signatures; `own` are one host's.
fn distinct(own: &[Episode]) -> usize {
    own.iter().map(|episode| episode.first.signature).collect::<HashSet<u32>>().len()
}

/// Units that enough hosts run.
fn common_units(population: &Population, episodes: &[Episode], uniform: bool) -> HashSet<u32> {
    // Hosts of each unit; those that come one behind the other count once.
    let mut hosts: HashMap<u32, (u32, u32)> = HashMap::new();
    let mut ran = |unit: u32, host: u32| {
        let (count, last) = hosts.entry(unit).or_insert((0, u32::MAX));
        *count = count.saturating_add(u32::from(*last != host));
        *last = host;
    };
    if uniform {
        let pairs: BTreeSet<(u32, u32)> =
            episodes.iter().map(|one| (one.first.unit, one.first.host)).collect();
        pairs.into_iter().for_each(|(unit, host)| ran(unit, host));
    } else {
        for (index, host) in (0u32..).zip(&population.hosts) {
            host.runs.iter().for_each(|run| ran(run.unit, index));
        }
    }
    let share = population.hosts.len() as f64 * LEAST_SHARE;
    // Of a small fleet most units run everywhere, and 20 hosts are not to be had.
    let least = (LEAST_HOSTS as f64).max(share).min((population.hosts.len() as f64 * 0.5).max(5.0));
    hosts.retain(|_, (count, _)| f64::from(*count) >= least);
    hosts.into_keys().collect()
}

fn rare(episodes: &[Episode], common: &HashSet<u32>) -> BTreeMap<u32, Vec<Episode>> {
    let mut rare: BTreeMap<u32, Vec<Episode>> = BTreeMap::new();
    for cluster in clusters(episodes).filter(|cluster| cluster.hosts <= RARE_HOSTS) {
        for episode in cluster.episodes.into_iter().filter(|one| common.contains(&one.first.unit)) {
            rare.entry(episode.first.host).or_default().push(*episode);
        }
    }
    for own in rare.values_mut() {
        own.sort_by(|a, b| a.first.at.total_cmp(&b.first.at));
    }
    rare
}

/// Of each unit: rare signatures over process-hours. One host counts three of
/// them at most, so that a bad one does not raise what is expected of it.
fn rates(population: &Population, rare: &BTreeMap<u32, Vec<Episode>>, common: &HashSet<u32>) -> Vec<f64> {
    const MOST: u32 = 3;
    let mut hours: Vec<f64> = vec![0.0; population.units.len()];
    for run in population.hosts.iter().flat_map(|host| &host.runs) {
        if let Some(sum) = usize::try_from(run.unit).ok().and_then(|unit| hours.get_mut(unit)) {
            *sum += run.hours.max(0.0);
        }
    }
    let mut counts: Vec<f64> = vec![0.0; population.units.len()];
    for own in rare.values() {
        let mut seen: BTreeMap<u32, HashSet<u32>> = BTreeMap::new();
        for episode in own {
            seen.entry(episode.first.unit).or_default().insert(episode.first.signature);
        }
        for (unit, signatures) in seen {
            if let Some(count) = usize::try_from(unit).ok().and_then(|unit| counts.get_mut(unit)) {
                *count += f64::from(u32::try_from(signatures.len()).unwrap_or(MOST).min(MOST));
            }
        }
    }
    let is_common = |unit: usize| u32::try_from(unit).is_ok_and(|unit| common.contains(&unit));
    let all_hours: f64 =
        hours.iter().enumerate().filter(|(unit, _)| is_common(*unit)).map(|(_, hours)| hours).sum();
    let fleet = counts.iter().sum::<f64>() / all_hours.max(1e-9);
    let one = |(unit, (hours, count)): (usize, (&f64, &f64))| {
        if !is_common(unit) || *hours <= 0.0 || fleet <= 0.0 {
            return 0.0;
        }
        (count + SHRINK) / (hours + SHRINK / fleet)
    };
    hours.iter().zip(&counts).enumerate().map(one).collect()
}

fn expected(population: &Population, rates: &[f64]) -> Vec<f64> {
    let rate =
        |unit: u32| usize::try_from(unit).ok().and_then(|unit| rates.get(unit)).copied().unwrap_or(0.0);
    let of = |host: &super::population::Host| -> f64 {
        host.runs.iter().map(|run| run.hours.max(0.0) * rate(run.unit)).sum()
    };
    let all: Vec<f64> = population.hosts.iter().map(of).collect();
    let mean = all.iter().sum::<f64>() / all.len().max(1) as f64;
    let least = (mean * LEAST_EXPECTED).max(1e-6);
    all.into_iter().map(|expected| if expected.is_finite() { expected.max(least) } else { least }).collect()
}
