//! What a study says of software: for each widespread signature what it needs,
//! since when it is there, and whether one host of it is another story.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::findings::{Apart, Bug, Since, Trigger};
use super::gather::Directory;
use crate::epidemiology::episode::{Cluster, Episode, clusters};
use crate::epidemiology::history::{Bin, Prior};
use crate::epidemiology::likelihood::Likelihood;
use crate::epidemiology::localise::kulldorff;
use crate::epidemiology::mining;
use crate::epidemiology::onset;
use crate::epidemiology::population::{Population, UNKNOWN};
use crate::epidemiology::split::{self, Case, Fleet};
use crate::epidemiology::trigger::{self, Attribute, Item, Question, Reason, Row, Status};

/// Signatures of at least so many hosts are bugs; of fewer nothing can be said.
const HOSTS: usize = 2;
/// Signatures that are told: the most widespread.
const MOST: usize = 500;
/// Of these so many are searched for triggers: those whose hosts differ most from
/// all that run the unit.
const SEARCHED: usize = 60;
/// Hosts of a signature that are looked at: more of them tell nothing new.
const CASES: usize = 300;
/// A signature of more episodes is everywhere: no host of it stands out.
const SPLIT: usize = 2000;
/// Triggers that are told of each.
const TRIGGERS: usize = 5;
const PERMUTATIONS: u32 = 200;
/// Variance of hosts' true rates about what exposure says.
const DISPERSION: f64 = 0.5;

/// A unit's exposure: of each host that ran it the hours and the build that ran
/// longest.
type Ran = HashMap<u32, (f64, u32)>;

/// The bugs, the most widespread first; `only` one signature where that is asked.
pub(super) fn bugs(
    population: &Population,
    episodes: &[Episode],
    likelihood: &Likelihood,
    directory: &Directory,
    only: Option<u32>,
) -> Vec<Bug> {
    let clusters = clusters(episodes).filter(|one| only.is_none_or(|only| one.signature == only));
    let mut ranked: Vec<Cluster<'_>> = clusters.filter(|cluster| cluster.hosts >= HOSTS).collect();
    let widest = |one: &Cluster<'_>| (Reverse(one.hosts), Reverse(one.episodes.len()), one.signature);
    ranked.sort_by_key(widest);
    ranked.truncate(MOST);
    for cluster in &mut ranked {
        cluster.episodes.sort_by(|a, b| a.first.at.total_cmp(&b.first.at));
    }
    let days = (population.hours / 24.0).max(1.0 / 24.0);
    let prior =
        Prior::fit(&ranked.iter().map(|one| (count(one.episodes.len()), days)).collect::<Vec<(u32, f64)>>());
    let mut units: HashMap<u32, Unit> = HashMap::new();
    let strata = strata(population);
    let mut looked: Vec<(f64, usize)> = Vec::new();
    for (place, cluster) in ranked.iter().enumerate() {
        let unit = most_common(cluster.episodes.iter().map(|episode| episode.first.unit));
        let unit = units.entry(unit).or_insert_with(|| Unit::of(population, unit));
        looked.push((unit.difference(population, &cluster.episodes), place));
    }
    looked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let searched: HashSet<usize> = looked.into_iter().take(SEARCHED).map(|(_, place)| place).collect();
    ranked
        .into_iter()
        .enumerate()
        .map(|(place, Cluster { hosts, signature, episodes: own })| {
            let unit = most_common(own.iter().map(|episode| episode.first.unit));
            let Some(ran) = units.get(&unit).map(|unit| &unit.ran) else { return Bug::default() };
            let apart = (own.len() <= SPLIT).then(|| apart(population, &own, ran, likelihood)).flatten();
            let mut bug = describe(population, directory, signature, unit, hosts, &own);
            // A host with a story of its own is no case of the bug.
            let other = apart.as_ref().map(|(host, _)| *host);
            let cases: Vec<&Episode> =
                own.iter().copied().filter(|episode| Some(episode.first.host) != other).collect();
            (bug.triggers, bug.no_trigger) = if searched.contains(&place) {
                triggers(population, &cases, ran, &strata, directory)
            } else {
                (Vec::new(), Some("its hosts are like all that run the unit".to_owned()))
            };
            bug.onset = since(&bug.days, days, &prior, directory);
            bug.split = apart.map(|(_, apart)| apart);
            bug
        })
        .collect()
}

fn count(length: usize) -> u32 {
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

/// What is known of a unit.
struct Unit {
    ran: Ran,
    /// Of each attribute, hours by value.
    hours: Vec<Vec<f64>>,
    all: f64,
}

/// A place for every value of every attribute.
fn by_value<T: Clone>(population: &Population, empty: &T) -> Vec<Vec<T>> {
    population.attributes.iter().map(|attribute| vec![empty.clone(); attribute.values.len()]).collect()
}

fn place<'a, T>(row: &'a mut [T], value: &u32) -> Option<&'a mut T> {
    row.get_mut(usize::try_from(*value).ok()?)
}

impl Unit {
    fn of(population: &Population, unit: u32) -> Unit {
        let ran = ran_of(population, unit);
        let mut hours = by_value(population, &0.0);
        let mut all = 0.0;
        for (host, (own, _)) in &ran {
            all += own;
            let values = population.host(*host).map_or(&[][..], |host| host.values.as_slice());
            for (row, value) in hours.iter_mut().zip(values) {
                if let Some(sum) = place(row, value) {
                    *sum += own;
                }
            }
        }
        Unit { ran, hours, all }
    }

    /// How far the hosts of these episodes are from what exposure alone would make
    /// them: the largest log likelihood ratio of a single value.
    fn difference(&self, population: &Population, own: &[&Episode]) -> f64 {
        let mut hosts: Vec<u32> = own.iter().map(|episode| episode.first.host).collect();
        hosts.sort_unstable();
        hosts.dedup();
        let mut cases = by_value(population, &0u32);
        for host in &hosts {
            let values = population.host(*host).map_or(&[][..], |host| host.values.as_slice());
            for (row, value) in cases.iter_mut().zip(values) {
                if let Some(count) = place(row, value) {
                    *count = count.saturating_add(1);
                }
            }
        }
        let n = count(hosts.len());
        let mut most = 0.0f64;
        for (cases, hours) in cases.iter().flatten().zip(self.hours.iter().flatten()).filter(|(c, _)| **c > 0)
        {
            most = most.max(kulldorff(*cases, n, f64::from(n) * hours / self.all.max(1e-9)));
        }
        most
    }
}

fn ran_of(population: &Population, unit: u32) -> Ran {
    let mut ran = Ran::new();
    for (index, host) in (0u32..).zip(&population.hosts) {
        let runs = || host.runs.iter().filter(|run| run.unit == unit && run.hours > 0.0);
        let hours: f64 = runs().map(|run| run.hours).sum();
        let longest = runs().max_by(|a, b| a.hours.total_cmp(&b.hours));
        if let Some(longest) = longest {
            ran.insert(index, (hours, longest.build));
        }
    }
    ran
}

fn describe(
    population: &Population,
    directory: &Directory,
    signature: u32,
    unit: u32,
    hosts: usize,
    own: &[&Episode],
) -> Bug {
    let name = |list: &[String], index: u32| {
        usize::try_from(index).ok().and_then(|index| list.get(index)).cloned().unwrap_or_default()
    };
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

/// Region and role, where hosts are labelled so: what is shuffled within.
fn strata(population: &Population) -> Vec<u32> {
    let labels: Vec<usize> = ["region", "role"]
        .into_iter()
        .filter_map(|name| population.attributes.iter().position(|attribute| attribute.name == name))
        .collect();
    let mut known: HashMap<Vec<u32>, u32> = HashMap::new();
    population
        .hosts
        .iter()
        .map(|host| {
            let key: Vec<u32> =
                labels.iter().map(|at| host.values.get(*at).copied().unwrap_or(UNKNOWN)).collect();
            let next = count(known.len());
            *known.entry(key).or_insert(next)
        })
        .collect()
}

fn triggers(
    population: &Population,
    cases: &[&Episode],
    ran: &Ran,
    strata: &[u32],
    directory: &Directory,
) -> (Vec<Trigger>, Option<String>) {
    let few =
        |hosts: u32| format!("{hosts} hosts: a trigger can be looked for from {} on", trigger::MIN_CASES);
    // The first episode of each host, of the hosts that had it first.
    let mut first: BTreeMap<u32, u32> = BTreeMap::new();
    for episode in cases {
        if first.len() >= CASES {
            break;
        }
        first.entry(episode.first.host).or_insert(episode.first.build);
    }
    let shown: HashSet<u32> = cases.iter().map(|episode| episode.first.host).collect();
    if count(first.len()) < trigger::MIN_CASES {
        return (Vec::new(), Some(few(count(first.len()))));
    }
    let mut attributes = population.attributes.clone();
    let mut builds: BTreeMap<u32, u32> = BTreeMap::new();
    let build_names = first.values().chain(ran.values().map(|(_, build)| build));
    for build in build_names.filter(|build| **build != UNKNOWN) {
        let next = count(builds.len());
        builds.entry(*build).or_insert(next);
    }
    let mut names: Vec<(u32, String)> = builds
        .iter()
        .map(|(build, place)| {
            let name = usize::try_from(*build).ok().and_then(|build| directory.builds.get(build));
            (*place, name.cloned().unwrap_or_else(|| build.to_string()))
        })
        .collect();
    names.sort();
    let values = names.into_iter().map(|(_, name)| name).collect();
    attributes.push(Attribute { name: "build".to_owned(), parent: None, values });
    let mut rows = Vec::with_capacity(ran.len());
    for ((index, host), stratum) in (0u32..).zip(&population.hosts).zip(strata.iter().copied()) {
        let (ran, case) = (ran.get(&index), first.get(&index));
        // Hosts that had it later are no controls either.
        if case.is_none() && (ran.is_none() || shown.contains(&index)) {
            continue;
        }
        let build = case.copied().or(ran.map(|(_, build)| *build)).unwrap_or(UNKNOWN);
        let mut values = host.values.clone();
        values.push(builds.get(&build).copied().unwrap_or(UNKNOWN));
        let exposure = ran.map_or(0.0, |(hours, _)| *hours);
        rows.push(Row { values, exposure, stratum, case: case.is_some() });
    }
    let ask = |permutations: u32| {
        trigger::mine(Question { attributes: &attributes, rows: &rows, seed: 1, permutations })
    };
    // Shuffling fleets takes the time, and only what would be declared needs it.
    let mut found = ask(0);
    if found
        .findings
        .iter()
        .any(|finding| finding.score > mining::DECLARED_SCORE && finding.q < mining::DECLARED_Q)
    {
        found = ask(PERMUTATIONS);
    }
    let reason = found.reason.map(|reason| match reason {
        Reason::FewCases(hosts) => few(hosts),
        Reason::NoItems => "no attribute of the hosts is known".to_owned(),
    });
    let one = |finding: &trigger::Finding| {
        let name = |item: &Item| item.name(&attributes);
        let (status, more) = match finding.status {
            Status::Supported => ("supported".to_owned(), None),
            Status::ExplainedAway { by } => (format!("explained by {}", name(&by)), None),
            Status::Interaction { with } => (format!("differs with {}", name(&with)), None),
            Status::Inseparable { from, more } => (format!("goes with {}", name(&from)), more),
            Status::Stratum => ("region or role".to_owned(), None),
        };
        Trigger {
            what: name(&finding.item),
            cases: finding.cases,
            of: finding.of,
            expected: finding.expected,
            ratio: (finding.ratio.ratio, finding.ratio.low, finding.ratio.high),
            score: finding.score,
            q: finding.q,
            declared: finding.declared,
            status,
            more,
        }
    };
    (found.findings.iter().take(TRIGGERS).map(one).collect(), reason)
}

/// Exposure is taken as even over the window: censuses tell its sum.
fn since(days: &[u32], length: f64, prior: &Prior, directory: &Directory) -> Option<Since> {
    let bins: Vec<Bin> = (0u32..)
        .zip(days)
        .map(|(index, count)| {
            let part = (length - f64::from(index)).clamp(0.04, 1.0);
            Bin { count: *count, exposure: part, days: part }
        })
        .collect();
    let last = onset::onsets(&bins, prior).pop()?;
    let day = |bin: usize| directory.moment(24.0 * bin as f64);
    Some(Since {
        at: day(last.bin),
        between: (day(last.interval.0), day(last.interval.1.saturating_add(1))),
        ratio: (last.ratio, last.ratio_interval.0, last.ratio_interval.1),
        ln_bayes: last.ln_bayes,
    })
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
