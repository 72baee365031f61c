//! What a study says of software: for each widespread signature what it needs,
//! since when it is there, and whether one host of it is another story.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::findings::{Apart, Bug, Variant};
use super::gather::Directory;
use super::names::named;
use super::onset::{self, Fleet as Time, Usual};
use super::triggers::{Ran, Unit, crashed, strata, triggers};
use crate::epidemiology::episode::{self, Chain, Cluster, Episode, clusters};
use crate::epidemiology::fdr;
use crate::epidemiology::history::Bin;
use crate::epidemiology::likelihood::Likelihood;
use crate::epidemiology::mining;
use crate::epidemiology::population::{Population, UNKNOWN};
use crate::epidemiology::signature::{Merge, Merged};
use crate::epidemiology::split::{self, Case, Fleet};

/// Signatures of at least so many hosts are bugs; of fewer nothing can be said.
const HOSTS: usize = 2;
/// Signatures that are told: the most widespread.
const MOST: usize = 500;
/// Of these so many are searched for triggers: those whose hosts differ most from
/// all that run the unit.
const SEARCHED: usize = 60;
/// A signature of more episodes is everywhere: no host of it stands out.
const SPLIT: usize = 2000;
/// Variance of hosts' true rates about what exposure says.
const DISPERSION: f64 = 0.5;

/// The bugs, the most widespread first; `only` one signature where that is asked.
pub(super) fn bugs(
    population: &Population,
    episodes: &[Episode],
    likelihood: &Likelihood,
    directory: &Directory,
    merged: &Merged,
    only: Option<u32>,
) -> Vec<Bug> {
    let clusters = clusters(episodes).filter(|cluster| cluster.hosts >= HOSTS);
    let mut ranked: Vec<Cluster<'_>> = clusters.collect();
    // What is asked for is told however rare it is.
    let widest = |one: &Cluster<'_>| {
        (only != Some(one.signature), Reverse(one.hosts), Reverse(one.episodes.len()), one.signature)
    };
    ranked.sort_by_key(widest);
    ranked.truncate(MOST);
    // Each with the unit that shows it most.
    let mut ranked: Vec<(u32, Cluster<'_>)> = ranked
        .into_iter()
        .map(|mut cluster| {
            cluster.episodes.sort_by(|a, b| a.first.at.total_cmp(&b.first.at));
            (most_common(cluster.episodes.iter().map(|episode| episode.first.unit)), cluster)
        })
        .collect();
    // What is usual is learnt of all of them, also where only one is asked for.
    let earlier = merged.rename(episode::episodes_of(&population.earlier, Chain::default()));
    let fleet = Time::of(population, &earlier);
    let mut usual: HashMap<u32, Usual> = HashMap::new();
    let by_day = ranked.iter().map(|(unit, cluster)| {
        let usual = usual.entry(*unit).or_insert_with(|| fleet.usual(*unit));
        fleet.bins(usual, &fleet.cases(cluster.signature, &cluster.episodes), 24.0)
    });
    let by_day: Vec<Vec<Bin>> = by_day.collect();
    let prior = onset::prior(&by_day);
    ranked.retain(|(_, cluster)| only.is_none_or(|only| cluster.signature == only));
    let mut units: HashMap<u32, Unit> = HashMap::new();
    let strata = strata(population);
    let crashed = crashed(population, episodes);
    let mut looked: Vec<(f64, usize)> = Vec::new();
    for (place, (unit, cluster)) in ranked.iter().enumerate() {
        let unit = units.entry(*unit).or_insert_with(|| Unit::of(population, *unit, &crashed));
        looked.push((unit.difference(population, &cluster.episodes), place));
    }
    looked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let searched: HashSet<usize> = looked.into_iter().take(SEARCHED).map(|(_, place)| place).collect();
    let mut bugs: Vec<Bug> = ranked
        .into_iter()
        .enumerate()
        .map(|(place, (unit, Cluster { hosts, signature, episodes: own }))| {
            let Some(ran) = units.get(&unit).map(|unit| &unit.ran) else { return Bug::default() };
            let apart = (own.len() <= SPLIT).then(|| apart(population, &own, ran, likelihood)).flatten();
            let mut bug = describe(population, directory, signature, unit, hosts, &own);
            // A host with a story of its own is no case of the bug.
            let other = apart.as_ref().map(|(host, _)| *host);
            let cases: Vec<&Episode> =
                own.iter().copied().filter(|episode| Some(episode.first.host) != other).collect();
            (bug.triggers, bug.compared, bug.no_trigger) = if searched.contains(&place) {
                let new = fleet.new_builds(unit);
                triggers(population, episodes, (signature, unit), &cases, ran, (&strata, &new), directory)
            } else {
                (Vec::new(), None, Some("its hosts are like all that run the unit".to_owned()))
            };
            let own = merged.merges.iter().filter(|merge| merge.into == signature);
            bug.variants = own.map(|merge| variant(population, directory, merge)).collect();
            if let Some(usual) = usual.get(&unit) {
                let cases = fleet.cases(signature, &cases);
                let since = fleet.since(usual, &cases, &prior);
                bug.rollout = fleet.began(unit, usual, &cases, since.as_ref(), directory);
                bug.onset = since.map(|since| fleet.told(&since, directory));
            }
            bug.split = apart.map(|(_, apart)| apart);
            bug
        })
        .collect();
    one_in_twenty(&mut bugs);
    bugs
}

/// A study looks at many bugs: of all that are told to need something one in twenty may
/// be wrong, not one in twenty of each (Benjamini and Bogomolov 2014).
fn one_in_twenty(bugs: &mut [Bug]) {
    let best = |bug: &Bug| {
        bug.triggers.iter().filter(|trigger| trigger.declared).map(|trigger| trigger.q).fold(1.0, f64::min)
    };
    let mined: Vec<f64> = bugs.iter().filter(|bug| bug.no_trigger.is_none()).map(best).collect();
    let all = fdr::benjamini_hochberg(&mined);
    for (bug, q) in bugs.iter_mut().filter(|bug| bug.no_trigger.is_none()).zip(all) {
        for trigger in &mut bug.triggers {
            trigger.declared &= q < mining::DECLARED_Q;
        }
    }
}

pub(super) fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn most_common(values: impl Iterator<Item = u32>) -> u32 {
    let mut counts: BTreeMap<u32, u32> = BTreeMap::new();
    for value in values {
        let count = counts.entry(value).or_insert(0);
        *count = count.saturating_add(1);
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map_or(UNKNOWN, |(value, _)| value)
}

/// One of a bug's other location keys, and why it is one.
fn variant(population: &Population, directory: &Directory, merge: &Merge) -> Variant {
    let key = |signature: u32| named(&directory.signatures, signature).unwrap_or_default().to_owned();
    let frame = |number: &u32| {
        let frame = population.frames.get(usize::try_from(*number).ok()?)?;
        let file = named(&population.files, frame.file)?;
        Some(format!("{file}+{:#x}", frame.at))
    };
    Variant {
        signature: key(merge.signature),
        with: key(merge.with),
        alike: merge.alike,
        mean: merge.mean,
        frames: merge.frames.iter().filter_map(frame).collect(),
    }
}

fn describe(
    population: &Population,
    directory: &Directory,
    signature: u32,
    unit: u32,
    hosts: usize,
    own: &[&Episode],
) -> Bug {
    let name = |list: &[String], index: u32| named(list, index).unwrap_or_default().to_owned();
    let length = (population.hours / 24.0).ceil().clamp(1.0, 3660.0);
    let mut days = vec![0u32; (0..3660u32).take_while(|day| f64::from(*day) < length).count()];
    for episode in own {
        let last = days.len().saturating_sub(1);
        if let Some(count) = days.get_mut(directory.day(episode.first.at).min(last)) {
            *count = count.saturating_add(1);
        }
    }
    let first = own.iter().map(|episode| episode.first.at).fold(f64::INFINITY, f64::min);
    let last = own.iter().map(|episode| episode.last).fold(0.0, f64::max);
    Bug {
        signature: name(&directory.signatures, signature),
        unit: name(&population.units, unit),
        hosts: count(hosts),
        episodes: count(own.len()),
        crashes: own.iter().fold(0u32, |sum, episode| sum.saturating_add(episode.crashes)),
        first: directory.moment(first),
        last: directory.moment(last),
        days,
        ..Bug::default()
    }
}

/// A host of the signature with another cause, and what is known of it.
fn apart(
    population: &Population,
    own: &[&Episode],
    ran: &Ran,
    likelihood: &Likelihood,
) -> Option<(u32, Apart)> {
    let share: Vec<f64> = (0u32..)
        .zip(&population.hosts)
        .map(|(index, _)| ran.get(&index).map_or(0.0, |(hours, _)| *hours))
        .collect();
    let short = |value: u32| u16::try_from(value).ok();
    // Cores are numbered by package in the record; here each is one of few.
    let mut cores: BTreeMap<u32, u16> = BTreeMap::new();
    for core in own.iter().map(|episode| episode.first.core).filter(|core| *core != UNKNOWN) {
        let next = u16::try_from(cores.len()).unwrap_or(u16::MAX);
        cores.entry(core).or_insert(next);
    }
    let cases: Vec<Case> = own
        .iter()
        .map(|episode| Case {
            host: episode.first.host,
            symptom: episode.first.symptom,
            core: cores.get(&episode.first.core).copied(),
            allowed: short(episode.first.allowed).unwrap_or(u16::MAX),
            bits: likelihood.ln_hardware(episode.first.shown),
        })
        .collect();
    let fleet = Fleet { hosts: count(ran.len()), share: &share, dispersion: DISPERSION };
    let found = split::split(&cases, &fleet)?;
    let host = population.host(found.host)?;
    let core = found.core.and_then(|core| cores.iter().find(|(_, number)| **number == core));
    let apart = found.sides.iter().filter(|side| side.apart).count();
    Some((
        found.host,
        Apart {
            host: host.name.clone(),
            cases: count(apart),
            machine: found.machine,
            ln_bayes: found.ln_bayes,
            threshold: found.threshold,
            core: core.map(|(core, _)| (core & 0xffff, core >> 16)),
            parts: (found.parts.count, found.parts.symptom, found.parts.evidence, found.parts.core),
            ruling: None,
        },
    ))
}
