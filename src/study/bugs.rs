//! What a study says of software: for each widespread signature what it needs,
//! since when it is there, and whether one host of it is another story.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::findings::{Apart, Bug, More, Trigger};
use super::gather::Directory;
use super::onset::{self, Fleet as Time, Usual};
use crate::epidemiology::episode::{self, Chain, Episode};
use crate::epidemiology::history::Bin;
use crate::epidemiology::likelihood::Likelihood;
use crate::epidemiology::localise::kulldorff;
use crate::epidemiology::mining;
use crate::epidemiology::population::{Population, UNKNOWN};
use crate::epidemiology::power::{self, Needed};
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
    let mut clusters: BTreeMap<u32, Vec<&Episode>> = BTreeMap::new();
    for episode in episodes {
        clusters.entry(episode.first.signature).or_default().push(episode);
    }
    let hosts = |own: &[&Episode]| own.iter().map(|e| e.first.host).collect::<HashSet<u32>>().len();
    let mut ranked: Vec<(usize, u32, Vec<&Episode>)> = clusters
        .into_iter()
        .map(|(signature, own)| (hosts(&own), signature, own))
        .filter(|(hosts, ..)| *hosts >= HOSTS)
        .collect();
    ranked.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| b.2.len().cmp(&a.2.len())).then(a.1.cmp(&b.1)));
    // What is asked for is told however rare it is.
    let asked = only.and_then(|only| ranked.iter().position(|(_, signature, _)| *signature == only));
    if let Some(asked) = asked.filter(|asked| *asked >= MOST) {
        ranked.swap(asked, MOST.saturating_sub(1));
    }
    ranked.truncate(MOST);
    // What is usual is learnt of all of them, also where only one is asked for.
    let earlier = episode::episodes_of(&population.earlier, Chain::default());
    let fleet = Time::of(population, &earlier);
    let mut usual: HashMap<u32, Usual> = HashMap::new();
    let by_day = ranked.iter().map(|(_, signature, own)| {
        let unit = most_common(own.iter().map(|episode| episode.first.unit));
        let usual = usual.entry(unit).or_insert_with(|| fleet.usual(unit));
        fleet.bins(usual, &fleet.cases(*signature, own), 24.0)
    });
    let by_day: Vec<Vec<Bin>> = by_day.collect();
    let prior = onset::prior(&by_day);
    ranked.retain(|(_, signature, _)| only.is_none_or(|only| *signature == only));
    let mut units: HashMap<u32, Unit> = HashMap::new();
    let strata = strata(population);
    let mut looked: Vec<(f64, usize)> = Vec::new();
    for (place, (_, _, own)) in ranked.iter().enumerate() {
        let unit = most_common(own.iter().map(|episode| episode.first.unit));
        let unit = units.entry(unit).or_insert_with(|| Unit::of(population, unit));
        looked.push((unit.difference(population, own), place));
    }
    looked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let searched: HashSet<usize> = looked.into_iter().take(SEARCHED).map(|(_, place)| place).collect();
    ranked
        .into_iter()
        .enumerate()
        .map(|(place, (hosts, signature, own))| {
            let unit = most_common(own.iter().map(|episode| episode.first.unit));
            let Some(ran) = units.get(&unit).map(|unit| &unit.ran) else { return Bug::default() };
            let apart = (own.len() <= SPLIT).then(|| apart(population, &own, ran, likelihood)).flatten();
            let mut bug = describe(population, directory, signature, unit, hosts, &own);
            // A host with a story of its own is no case of the bug.
            let other = apart.as_ref().map(|(host, _)| *host);
            let cases: Vec<&Episode> =
                own.iter().copied().filter(|episode| Some(episode.first.host) != other).collect();
            (bug.triggers, bug.no_trigger) = if searched.contains(&place) {
                let new = fleet.new_builds(unit);
                triggers(population, &cases, ran, (&strata, &new), directory)
            } else {
                (Vec::new(), Some("its hosts are like all that run the unit".to_owned()))
            };
            if let Some(usual) = usual.get(&unit) {
                let cases = fleet.cases(signature, &cases);
                let since = fleet.since(usual, &cases, &prior);
                bug.rollout = fleet.began(unit, usual, &cases, since.as_ref(), directory);
                bug.onset = since.map(|since| fleet.told(&since, directory));
            }
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
    hours: Vec<HashMap<u32, f64>>,
    all: f64,
}

impl Unit {
    fn of(population: &Population, unit: u32) -> Unit {
        let ran = ran_of(population, unit);
        let mut hours: Vec<HashMap<u32, f64>> = vec![HashMap::new(); population.attributes.len()];
        let mut all = 0.0;
        for (host, (own, _)) in &ran {
            all += own;
            let values = population.host(*host).map_or(&[][..], |host| host.values.as_slice());
            for (by_value, value) in hours.iter_mut().zip(values) {
                *by_value.entry(*value).or_insert(0.0) += own;
            }
        }
        Unit { ran, hours, all }
    }

    /// How far the hosts of these episodes are from what exposure alone would make
    /// them: the largest log likelihood ratio of a single value.
    fn difference(&self, population: &Population, own: &[&Episode]) -> f64 {
        let hosts: HashSet<u32> = own.iter().map(|episode| episode.first.host).collect();
        let mut cases: Vec<HashMap<u32, u32>> = vec![HashMap::new(); self.hours.len()];
        for host in &hosts {
            let values = population.host(*host).map_or(&[][..], |host| host.values.as_slice());
            for (by_value, value) in cases.iter_mut().zip(values) {
                let count = by_value.entry(*value).or_insert(0);
                *count = count.saturating_add(1);
            }
        }
        let n = count(hosts.len());
        let mut most = 0.0f64;
        for (cases, hours) in cases.iter().zip(&self.hours) {
            for (value, c) in cases.iter().filter(|(value, _)| **value != UNKNOWN) {
                let share = hours.get(value).copied().unwrap_or(0.0) / self.all.max(1e-9);
                most = most.max(kulldorff(*c, n, f64::from(n) * share));
            }
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
    (strata, new): (&[u32], &HashSet<u32>),
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
    // What came in the window ran only for a part of it, and a host has one value: it is
    // a rollout's question, not this one's.
    for build in build_names.filter(|build| **build != UNKNOWN && !new.contains(build)) {
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
            needed: (!finding.declared).then(|| needed(finding)).flatten(),
        }
    };
    (found.findings.iter().take(TRIGGERS).map(one).collect(), reason)
}

/// Further cases until the score declares it, if its ratio is what it seems.
fn needed(finding: &trigger::Finding) -> Option<More> {
    if finding.of == 0 || finding.ratio.low <= 1.0 {
        return None;
    }
    let share = finding.expected / f64::from(finding.of);
    // None is without: as if half a case were, or no case would be against it.
    let ratio = finding.ratio.ratio.min(2.0 * f64::from(finding.of) / share.max(1e-6));
    power::contrast(share, ratio, finding.score, mining::DECLARED_SCORE).and_then(More::of)
}

impl More {
    /// As whole crashes; what takes more than a million is not told.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a million")]
    pub(super) fn of(needed: Needed) -> Option<More> {
        let whole = |n: f64| (1.0..1e6).contains(&n).then(|| n.ceil() as u32);
        Some(More { median: whole(needed.median.max(1.0))?, ninety: whole(needed.ninety.max(1.0))? })
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
        },
    ))
}
