//! What a signature needs: which units ran where, what the hosts of the signature are
//! compared with, and what they have in common.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::bugs::count;
use super::findings::{Compared, More, Trigger, With};
use super::gather::Directory;
use crate::epidemiology::contrast::{self, Contrast, Source, Subject};
use crate::epidemiology::episode::Episode;
use crate::epidemiology::localise::kulldorff;
use crate::epidemiology::mining;
use crate::epidemiology::population::{Population, UNKNOWN};
use crate::epidemiology::power;
use crate::epidemiology::trigger::{self, Attribute, Item, Question, Reason, Row, Status};

/// Hosts of a signature that are looked at: more of them tell nothing new.
const CASES: usize = 300;
/// Triggers that are told of each.
const TRIGGERS: usize = 5;
const PERMUTATIONS: u32 = 200;

/// A unit's exposure: of each host that ran it the hours and the build that ran
/// longest.
pub(super) type Ran = HashMap<u32, (f64, u32)>;
/// Episodes by host, by unit.
pub(super) type Crashed = HashMap<u32, HashMap<u32, f64>>;

/// What is known of a unit.
pub(super) struct Unit {
    pub(super) ran: Ran,
    /// Of each attribute, hours by value; crashes where no hours are known.
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
    pub(super) fn of(population: &Population, unit: u32, crashed: &Crashed) -> Unit {
        let ran = ran_of(population, unit);
        let mut weights: Vec<(u32, f64)> = match crashed.get(&unit) {
            Some(hosts) => hosts.iter().map(|(host, crashes)| (*host, *crashes)).collect(),
            None => ran.iter().map(|(host, (hours, _))| (*host, *hours)).collect(),
        };
        // Sums of the same numbers are the same in one order only.
        weights.sort_by_key(|(host, _)| *host);
        let mut hours = by_value(population, &0.0);
        let mut all = 0.0;
        for (host, own) in &weights {
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
    pub(super) fn difference(&self, population: &Population, own: &[&Episode]) -> f64 {
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
        let both = cases.iter().flatten().zip(self.hours.iter().flatten()).filter(|(cases, _)| **cases > 0);
        let expected = |hours: &f64| f64::from(n) * hours / self.all.max(1e-9);
        both.map(|(cases, hours)| kulldorff(*cases, n, expected(hours))).fold(0.0, f64::max)
    }
}

/// Episodes by host of the units that no census saw.
pub(super) fn crashed(population: &Population, episodes: &[Episode]) -> Crashed {
    let mut seen = vec![false; population.units.len()];
    let runs = population.hosts.iter().flat_map(|host| &host.runs).filter(|run| run.hours > 0.0);
    for unit in runs.map(|run| run.unit) {
        if let Some(seen) = usize::try_from(unit).ok().and_then(|unit| seen.get_mut(unit)) {
            *seen = true;
        }
    }
    let mut crashed = Crashed::new();
    for crash in episodes.iter().map(|episode| &episode.first) {
        let known = usize::try_from(crash.unit).ok().and_then(|unit| seen.get(unit));
        if known != Some(&true) {
            *crashed.entry(crash.unit).or_default().entry(crash.host).or_insert(0.0) += 1.0;
        }
    }
    crashed
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

/// Region and role, where hosts are labelled so: what is shuffled within.
pub(super) fn strata(population: &Population) -> Vec<u32> {
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

/// What a signature needs: its triggers, what its hosts were compared with, and why
/// nothing was looked for.
pub(super) type Needs = (Vec<Trigger>, Option<Compared>, Option<String>);

/// Looks for what the cases have in common.
pub(super) fn triggers(
    population: &Population,
    episodes: &[Episode],
    (signature, unit): (u32, u32),
    cases: &[&Episode],
    ran: &Ran,
    (strata, new): (&[u32], &HashSet<u32>),
    directory: &Directory,
) -> Needs {
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
        return (Vec::new(), None, Some(few(count(first.len()))));
    }
    let asked = contrast::Bug { signature, unit, cases: &first, shown: &shown, ran };
    let contrast = Contrast::of(population, episodes, asked);
    if contrast.source == Source::Nothing {
        let why = format!(
            "no census tells where it ran, and {} controls and other crashes are too few to compare with",
            contrast.controls
        );
        return (Vec::new(), None, Some(why));
    }
    let mut attributes = population.attributes.clone();
    let (build, numbers) = builds(&contrast.subjects, new, directory);
    attributes.push(build);
    let row = |subject: &Subject| {
        let place = usize::try_from(subject.host).ok();
        let host = place.and_then(|place| population.hosts.get(place));
        let mut values = host.map_or(Vec::new(), |host| host.values.clone());
        values.resize(population.attributes.len(), UNKNOWN);
        values.push(numbers.get(&subject.build).copied().unwrap_or(UNKNOWN));
        let stratum = place.and_then(|place| strata.get(place)).copied().unwrap_or(0);
        Row { values, exposure: subject.hours, stratum, case: subject.case }
    };
    let rows: Vec<Row> = contrast.subjects.iter().map(row).collect();
    let both = || rows.iter().cloned().zip(contrast.subjects.iter().map(|subject| subject.control));
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
    let mut asked: Option<Vec<(Row, bool)>> = (contrast.source != Source::Hours).then(|| both().collect());
    let told = found.findings.iter().take(TRIGGERS);
    let mut told: Vec<Trigger> = told.map(|finding| tell(finding, &attributes, asked.as_deref())).collect();
    // What is declared of the hosts that remain when those of a cause are taken away.
    let mut cause = found.findings.iter().find(|finding| finding.is_cause());
    for next in &found.further {
        let Some(before) = cause.replace(next) else { break };
        if let Some(rows) = &mut asked {
            rows.retain(|(row, _)| contrast::has(row, before.item) != Some(true));
        }
        let what = next.item.name(&attributes);
        if !told.iter().any(|known| known.what == what) {
            let status = format!("beside {}", before.item.name(&attributes));
            told.push(Trigger { status, more: None, ..tell(next, &attributes, asked.as_deref()) });
        }
    }
    let with = match contrast.source {
        Source::Controls => With::Controls,
        Source::Crashes => With::Crashes,
        Source::Hours | Source::Nothing => With::Hours,
    };
    let of = if contrast.own { "unit" } else { "fleet" };
    let compared = Compared { with, of: of.to_owned(), controls: contrast.controls as u64 };
    (told, Some(compared), reason)
}

/// The builds that these run, as an attribute, and its values by build. What came in the
/// window ran only for a part of it, and a host has one value: it is a rollout's question.
fn builds(
    subjects: &[Subject],
    new: &HashSet<u32>,
    directory: &Directory,
) -> (Attribute, BTreeMap<u32, u32>) {
    let mut numbers: BTreeMap<u32, u32> = BTreeMap::new();
    for build in
        subjects.iter().map(|subject| subject.build).filter(|build| *build != UNKNOWN && !new.contains(build))
    {
        let next = count(numbers.len());
        numbers.entry(build).or_insert(next);
    }
    let mut names: Vec<(u32, String)> = numbers
        .iter()
        .map(|(build, place)| {
            let name = usize::try_from(*build).ok().and_then(|build| directory.builds.get(build));
            (*place, name.cloned().unwrap_or_else(|| build.to_string()))
        })
        .collect();
    names.sort();
    let values = names.into_iter().map(|(_, name)| name).collect();
    (Attribute { name: "build".to_owned(), parent: None, values }, numbers)
}

/// With `controls` the ratio is one of odds.
fn tell(finding: &trigger::Finding, attributes: &[Attribute], controls: Option<&[(Row, bool)]>) -> Trigger {
    let name = |item: &Item| item.name(attributes);
    let (status, more) = match finding.status {
        Status::Supported => ("supported".to_owned(), None),
        Status::ExplainedAway { by } => (format!("explained by {}", name(&by)), None),
        Status::Interaction { with } => (format!("differs with {}", name(&with)), None),
        Status::Inseparable { from, more } => (format!("goes with {}", name(&from)), more),
        Status::Stratum => ("region or role".to_owned(), None),
    };
    let (ratio, expected) =
        controls.map_or((finding.ratio, finding.expected), |rows| contrast::odds(rows, finding.item));
    Trigger {
        what: name(&finding.item),
        cases: finding.cases,
        of: finding.of,
        expected,
        ratio: (ratio.ratio, ratio.low, ratio.high),
        shrunk: finding.shrunk,
        score: finding.score,
        q: finding.q,
        declared: finding.declared,
        status,
        more,
        within: finding.adjusted.map(|(other, ratio)| (name(&other), (ratio.ratio, ratio.low, ratio.high))),
        needed: (!finding.declared).then(|| needed(finding)).flatten(),
    }
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
