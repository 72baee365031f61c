//! One bug, several location keys: are they joined, and is nothing else?

use std::collections::{BTreeMap, HashMap, HashSet};

use epicore::epidemiology::population::Population;
use epicore::epidemiology::signature::Merged;
use epicore::simulate::{Kind, Level, Plant, Scenario, Simulation};

use super::machines::judge;
use super::table::Table;

const HOSTS: u32 = 10_000;

/// Sums of one clustering of signatures against the truth.
#[derive(Clone, Copy, Default)]
struct Score {
    /// Pairs that are together, rightly, and that should be.
    pairs: f64,
    right: f64,
    wanted: f64,
    /// B-cubed (Bagga and Baldwin 1998), means over signatures.
    precision: f64,
    recall: f64,
}

/// `found` and `truth` are groups by signature.
fn score(found: &[u64], truth: &[u64]) -> Score {
    let (mut both, mut ours, mut theirs) = (HashMap::new(), HashMap::new(), HashMap::new());
    for (own, right) in found.iter().zip(truth) {
        *both.entry((*own, *right)).or_insert(0.0) += 1.0;
        *ours.entry(*own).or_insert(0.0) += 1.0;
        *theirs.entry(*right).or_insert(0.0) += 1.0;
    }
    let two = |counts: &mut dyn Iterator<Item = f64>| counts.map(|n| n * (n - 1.0) / 2.0).sum::<f64>();
    let mut score = Score {
        pairs: two(&mut ours.values().copied()),
        right: two(&mut both.values().copied()),
        wanted: two(&mut theirs.values().copied()),
        ..Score::default()
    };
    for (own, right) in found.iter().zip(truth) {
        let same: f64 = both[&(*own, *right)];
        score.precision += same / ours[own] / found.len() as f64;
        score.recall += same / theirs[right] / found.len() as f64;
    }
    score
}

/// Which bug each signature is.
fn truth(simulation: &Simulation, signatures: &[String]) -> Vec<u64> {
    let bugs: HashMap<String, u64> = simulation
        .events
        .iter()
        .map(|event| (format!("{:016x}", event.signature), event.bug.unwrap_or(event.signature)))
        .collect();
    signatures.iter().map(|name| bugs[name]).collect()
}

/// Which forms of a bug were left apart, for whoever wants to know.
fn misses(simulation: &Simulation, names: &[String], found: &[u64]) {
    let group: HashMap<&str, u64> = names.iter().map(String::as_str).zip(found.iter().copied()).collect();
    let mut bugs: BTreeMap<u64, BTreeMap<u64, u32>> = BTreeMap::new();
    for event in simulation.events.iter().filter(|event| event.bug.is_some()) {
        bugs.entry(event.bug.unwrap_or(0)).or_default().insert(event.signature, event.variant);
    }
    let mut forms: BTreeMap<(u32, u32), (u32, u32)> = BTreeMap::new();
    for own in bugs.values() {
        for (one, first) in own {
            for (two, second) in own.range(one + 1..) {
                let name = |signature: &u64| group.get(format!("{signature:016x}").as_str());
                let count = forms.entry((*first.min(second), *first.max(second))).or_default();
                count.0 += u32::from(name(one) == name(two));
                count.1 += 1;
            }
        }
    }
    eprintln!("pairs of forms, joined and all: {forms:?}");
}

/// Mean over seeds and its 95 % interval (normal).
fn mean(values: &[f64]) -> String {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    let half = 1.96 * (variance / n).sqrt();
    format!("{mean:.3} [{:.3}, {:.3}]", mean - half, mean + half)
}

fn accused(population: &Population, bad: &HashSet<u32>) -> (u64, u64) {
    let machines = judge(population);
    let accused = machines.hosts.iter().filter(|host| host.posterior > 0.99);
    accused.fold(
        (0, 0),
        |(right, wrong), host| {
            if bad.contains(&host.host) { (right + 1, wrong) } else { (right, wrong + 1) }
        },
    )
}

pub(crate) fn signatures(seeds: u64, table: &mut Table) {
    table.line("| signatures of one bug, 30 % of (bug, host) in another form | merged | exact keys |");
    table.line("|---|---|---|");
    let mut all: [BTreeMap<&str, Vec<f64>>; 2] = [BTreeMap::new(), BTreeMap::new()];
    let (mut wrong, mut joined, mut signatures) = (0.0, 0.0, 0.0);
    let mut alike = (0.0, 0.0);
    let mut machines = [(0, 0), (0, 0)];
    let mut planted = 0;
    for seed in 0..seeds {
        let plant =
            Plant { kind: Kind::BadCore, hosts: 6, crashes: 6, evidence: Level::Medium, ..Plant::default() };
        let scenario = Scenario { rate: 0.1, variants: 0.3, plant: vec![plant], ..Scenario::default() };
        let simulation = Simulation::new(&scenario, HOSTS, 210_000 + seed);
        let (mut population, names) = simulation.population(28.0);
        let right = truth(&simulation, &names);
        let merged = Merged::of(&population);
        let exact: Vec<u64> = (0..names.len() as u64).collect();
        let found: Vec<u64> = (0..names.len() as u32).map(|one| u64::from(merged.name(one))).collect();
        for (found, into) in [&found, &exact].into_iter().zip(&mut all) {
            let score = score(found, &right);
            let one = |part: f64, of: f64| if of > 0.0 { part / of } else { 1.0 };
            for (name, value) in [
                ("pairs, precision", one(score.right, score.pairs)),
                ("pairs, recall", one(score.right, score.wanted)),
                ("B-cubed precision", score.precision),
                ("B-cubed recall", score.recall),
            ] {
                into.entry(name).or_default().push(value);
            }
        }
        if std::env::var_os("STUDY_MISSES").is_some() {
            misses(&simulation, &names, &found);
        }
        let own = score(&found, &right);
        wrong += own.pairs - own.right;
        joined += own.pairs;
        signatures += names.len() as f64;
        let bad: HashSet<u32> =
            simulation.planted().into_iter().filter(|p| p.kind.is_defect()).map(|p| p.host).collect();
        planted += bad.len();
        // A fleet whose crashes are nearly all of three kinds.
        let mut few = population.clone();
        few.crashes.iter_mut().for_each(|crash| crash.symptom %= 3);
        let few = Merged::of(&few);
        let few: Vec<u64> = (0..names.len() as u32).map(|one| u64::from(few.name(one))).collect();
        let few = score(&few, &right);
        alike = (alike.0 + few.pairs - few.right, alike.1 + few.pairs);
        let unmerged = accused(&population, &bad);
        for crash in &mut population.crashes {
            crash.signature = merged.name(crash.signature);
        }
        for (sum, own) in machines.iter_mut().zip([accused(&population, &bad), unmerged]) {
            *sum = (sum.0 + own.0, sum.1 + own.1);
        }
    }
    let [ours, exact] = &all;
    for (name, values) in ours {
        table.line(&format!("| {name} | {} | {} |", mean(values), mean(&exact[name])));
    }
    let [(found, false_ones), (found_exact, false_exact)] = machines;
    table.line(&format!("| bad cores accused, of {planted} | {found} | {found_exact} |"));
    table.line(&format!("| others accused | {false_ones} | {false_exact} |"));
    table.line(&format!(
        "| wrong pairs, of {joined:.0} that were joined among {signatures:.0} signatures | {wrong:.0} | |"
    ));
    table.line(&format!(
        "| the same with three symptoms instead of 24: of {:.0} | {:.0} | |",
        alike.1, alike.0
    ));
    table.line("");
    let share = wrong / f64::max(joined, 1.0);
    table.promise(
        "of pairs that are joined at most one in fifty is wrong",
        &format!("{share:.4}"),
        share <= 0.02,
    );
}
