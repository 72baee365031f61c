//! Bugs: one signature of two causes, and what a bug needs.

use std::collections::HashSet;

use epicore::epidemiology::episode::{Chain, episodes};
use epicore::epidemiology::population::Population;
use epicore::epidemiology::rate::{Stratum, stratified};
use epicore::simulate::{Bug, Level, Plant, Scenario, Simulation};
use epicore::study::{self, Directory, Heard};

use super::table::{Table, share, wilson};

const HOSTS: u32 = 10_000;
/// A simulation names its own signatures; the first bug's is this.
const KERNEL: &str = "kernel=6.12.48+deb13-amd64";
const MODEL: &str = "cpu=Simulated processor, model 143";

pub(crate) fn directory(signatures: Vec<String>) -> Directory {
    Directory { signatures, ..Directory::default() }
}

/// What a study says of the scenario's first bug.
fn studied(scenario: &Scenario, seed: u64) -> (Simulation, Option<study::Bug>) {
    let simulation = Simulation::new(scenario, HOSTS, seed);
    let (population, signatures) = simulation.population(scenario.days);
    let name = format!("{:016x}", Simulation::bug_signature(1));
    let bug = study::study_signature(&population, &directory(signatures), &name);
    (simulation, bug)
}

pub(crate) fn split(seeds: u64, table: &mut Table) {
    table.line("| race + host | symptoms | evidence | host named | every record right | trigger of the rest, top-1 |");
    table.line("|---|---|---|---|---|---|");
    for (race, ours) in [(27, 3), (20, 10), (15, 15)] {
        for same_symptom in [false, true] {
            for (evidence, name) in [(Level::Medium, "medium"), (Level::Strong, "strong")] {
                let (mut named, mut perfect, mut triggered) = (0u64, 0u64, 0u64);
                for seed in 0..seeds {
                    let scenario = Scenario {
                        bug: vec![Bug {
                            crashes: race,
                            trigger: vec![KERNEL.into(), MODEL.into()],
                            ratio: 100.0,
                            ..Bug::default()
                        }],
                        plant: vec![Plant {
                            hosts: 1,
                            crashes: ours,
                            evidence,
                            merged: 1,
                            same_symptom,
                            ..Plant::default()
                        }],
                        // Records that are lost would be another number.
                        lost: 0.0,
                        ..Scenario::default()
                    };
                    let (simulation, bug) = studied(&scenario, 110_000 + seed);
                    let planted = simulation.planted().into_iter().find(|p| p.kind.is_defect());
                    let host = planted.as_ref().map(|p| Simulation::host_name(p.host));
                    let ours = planted.map_or(ours, |p| chains(&simulation, p.host));
                    let Some(bug) = bug else { continue };
                    let apart = bug.split.as_ref().filter(|apart| Some(&apart.host) == host.as_ref());
                    named += u64::from(apart.is_some());
                    perfect += u64::from(apart.is_some_and(|apart| apart.cases == ours));
                    triggered += u64::from(bug.triggers.first().is_some_and(|t| is_pair(&t.what)));
                }
                table.line(&format!(
                    "| {race} + {ours} | {} | {name} | {} | {} | {} |",
                    if same_symptom { "equal" } else { "distinct" },
                    share(named, seeds),
                    share(perfect, seeds),
                    share(triggered, seeds)
                ));
                if race == 27 {
                    let what = format!(
                        "27 + 3, {} symptoms, {name}: perfect split and host named in at least 0.95",
                        if same_symptom { "equal" } else { "distinct" }
                    );
                    table.promise(&what, &share(perfect, seeds), perfect * 100 >= seeds * 95);
                }
            }
        }
    }
}

/// Restart chains of the bug on a planted host: two within an hour are one case.
fn chains(simulation: &Simulation, host: u32) -> u32 {
    let (population, signatures) = simulation.population(1e9);
    let name = format!("{:016x}", Simulation::bug_signature(1));
    let signature = signatures.iter().position(|own| *own == name).map(|place| place as u32);
    let all = episodes(&population, Chain::default());
    all.iter().filter(|one| one.first.host == host && Some(one.first.signature) == signature).count() as u32
}

fn is_pair(what: &str) -> bool {
    what.contains(KERNEL) && what.contains(MODEL)
}

/// Shares of cases and of all, for what simpler methods say of a value.
struct Simple {
    socorro: String,
    lift: String,
}

impl Simple {
    /// Socorro's correlations: share among the crashes of the signature less share
    /// among all crashes of its unit; lift: the quotient, of values that two cases
    /// have at least.
    fn of(simulation: &Simulation, pairs: bool) -> Option<Simple> {
        let (population, signatures) = simulation.population(1e9);
        let name = format!("{:016x}", Simulation::bug_signature(1));
        let signature = u32::try_from(signatures.iter().position(|own| *own == name)?).ok()?;
        let cases: Vec<u32> =
            population.crashes.iter().filter(|c| c.signature == signature).map(|c| c.host).collect();
        let unit = population.crashes.iter().find(|c| c.signature == signature)?.unit;
        let all: Vec<u32> = population.crashes.iter().filter(|c| c.unit == unit).map(|c| c.host).collect();
        let items = |host: u32| -> Vec<String> {
            let values: Vec<String> = population.hosts[host as usize]
                .values
                .iter()
                .zip(&population.attributes)
                .filter_map(|(v, a)| Some(format!("{}={}", a.name, a.values.get(*v as usize)?)))
                .collect();
            if !pairs {
                return values;
            }
            let mut both = Vec::new();
            for (i, one) in values.iter().enumerate() {
                for two in &values[i + 1..] {
                    both.push(format!("{one} & {two}"));
                }
            }
            both
        };
        let count = |hosts: &[u32]| {
            let mut counts = std::collections::BTreeMap::<String, f64>::new();
            for host in hosts {
                for item in items(*host) {
                    *counts.entry(item).or_default() += 1.0 / hosts.len() as f64;
                }
            }
            counts
        };
        let (own, usual) = (count(&cases), count(&all));
        let best = |score: &dyn Fn(f64, f64) -> f64| {
            let scored =
                own.iter().map(|(item, p)| (item, score(*p, usual.get(item).copied().unwrap_or(1e-9))));
            scored.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(item, _)| item.clone())
        };
        let least = 1.5 / cases.len() as f64;
        Some(Simple {
            socorro: best(&|p, q| p - q)?,
            lift: best(&|p, q| if p > least { p / q } else { 0.0 })?,
        })
    }
}

pub(crate) fn triggers(seeds: u64, table: &mut Table) {
    table.line("| planted, 20 hosts | top-1 | declared | others declared | Socorro-style | lift |");
    table.line("|---|---|---|---:|---|---|");
    let (mut tops, mut told) = (Vec::new(), Vec::new());
    for (name, trigger, ratio, pairs) in [
        ("one kernel, rate ratio 20", vec![KERNEL.to_owned()], 20.0, false),
        ("kernel & CPU model, rate ratio 100", vec![KERNEL.to_owned(), MODEL.to_owned()], 100.0, true),
    ] {
        let (mut top, mut declared, mut others, mut socorro, mut lift) = (0u64, 0u64, 0u64, 0u64, 0u64);
        let is = |what: &str| if pairs { is_pair(what) } else { what == KERNEL };
        let (mut covered, mut intervals) = (0u64, 0u64);
        for seed in 0..seeds {
            let scenario = Scenario {
                bug: vec![Bug { unit: 1, crashes: 20, trigger: trigger.clone(), ratio, ..Bug::default() }],
                lost: 0.0,
                ..Scenario::default()
            };
            let (simulation, bug) = studied(&scenario, 130_000 + seed);
            let Some(bug) = bug else { continue };
            let first = bug.triggers.first();
            top += u64::from(first.is_some_and(|t| is(&t.what)));
            declared += u64::from(bug.triggers.iter().any(|t| t.declared && is(&t.what)));
            others +=
                bug.triggers.iter().filter(|t| t.declared && !is(&t.what) && t.status == "supported").count()
                    as u64;
            if let Some(own) = bug.triggers.iter().find(|t| is(&t.what)) {
                intervals += 1;
                covered += u64::from((own.ratio.1..=own.ratio.2).contains(&ratio));
            }
            if let Some(simple) = Simple::of(&simulation, pairs) {
                let same = |what: &str| if pairs { is_pair(what) } else { what == KERNEL };
                socorro += u64::from(same(&simple.socorro));
                lift += u64::from(same(&simple.lift));
            }
        }
        table.line(&format!(
            "| {name} | {} | {} | {others} | {} | {} |",
            share(top, seeds),
            share(declared, seeds),
            share(socorro, seeds),
            share(lift, seeds)
        ));
        tops.push((name, top));
        told.push(format!("{} ({name})", share(covered, intervals)));
    }
    table.line(&format!(
        "\nWhere the planted one was told, its interval covers the ratio in {}.\n",
        told.join(", ")
    ));
    for (name, top) in tops {
        table.promise(&format!("{name}: top-1 at least 0.95"), &share(top, seeds), top * 100 >= seeds * 95);
    }
    coverage(seeds, table);
    let (mut bugs, mut winners) = (0u64, 0u64);
    for seed in 0..seeds.div_ceil(4) {
        let simulation = Simulation::new(&Scenario::default(), HOSTS, 150_000 + seed);
        let (population, signatures) = simulation.population(28.0);
        let found = study::study(&population, &directory(signatures), Heard::default(), 0);
        bugs += found.bugs.iter().filter(|bug| bug.no_trigger.is_none()).count() as u64;
        let names: HashSet<&str> = found
            .bugs
            .iter()
            .filter(|bug| bug.triggers.iter().any(|t| t.declared))
            .map(|bug| bug.signature.as_str())
            .collect();
        winners += names.len() as u64;
    }
    let seen = format!("{winners} of {bugs} signatures that were mined");
    table.promise("nothing wrong: no trigger is declared", &seen, winners == 0);
}

/// Of every planted kernel, found or not: does the interval within strata cover?
/// With 20 cases and a ratio of 20 nearly all cases have it, and an interval that
/// never fails is no surprise; so smaller ratios, too.
fn coverage(seeds: u64, table: &mut Table) {
    const CASES: u32 = 60;
    let (mut covered, mut all) = (0u64, 0u64);
    let mut each = Vec::new();
    for ratio in [2.0, 4.0, 8.0, 20.0] {
        let mut own = 0u64;
        for seed in 0..seeds {
            let scenario = Scenario {
                bug: vec![Bug {
                    unit: 1,
                    crashes: CASES,
                    trigger: vec![KERNEL.into()],
                    ratio,
                    ..Bug::default()
                }],
                lost: 0.0,
                ..Scenario::default()
            };
            let simulation = Simulation::new(&scenario, HOSTS, 140_000 + seed);
            let (population, signatures) = simulation.population(scenario.days);
            own +=
                u64::from(interval(&population, &signatures).is_some_and(|i| i.0 <= ratio && ratio <= i.1));
        }
        each.push(format!("{ratio:.0}: {}", share(own, seeds)));
        covered += own;
        all += seeds;
    }
    let (low, high) = wilson(covered, all);
    let seen = format!("{} ({})", share(covered, all), each.join("; "));
    table.promise(
        "95 % intervals of rate ratios 2 to 20 cover in 95 ± 2 %",
        &seen,
        low <= 0.97 && high >= 0.93,
    );
}

/// The interval that a study gives the planted kernel's ratio: cases are hosts, strata
/// region and role.
fn interval(population: &Population, signatures: &[String]) -> Option<(f64, f64)> {
    let place = |name: &str| population.attributes.iter().position(|a| a.name == name);
    let (kernel, region, role) = (place("kernel")?, place("region")?, place("role")?);
    let value = KERNEL.split_once('=')?.1;
    let newer = population.attributes[kernel].values.iter().position(|v| v == value)? as u32;
    let name = format!("{:016x}", Simulation::bug_signature(1));
    let signature = signatures.iter().position(|own| *own == name)? as u32;
    let cases: HashSet<u32> =
        population.crashes.iter().filter(|c| c.signature == signature).map(|c| c.host).collect();
    let unit = population.crashes.iter().find(|c| c.signature == signature)?.unit;
    let mut strata: std::collections::BTreeMap<(u32, u32), (u32, u32, f64, f64)> = Default::default();
    for (index, host) in (0u32..).zip(&population.hosts) {
        let hours: f64 = host.runs.iter().filter(|run| run.unit == unit).map(|run| run.hours).sum();
        if hours <= 0.0 || host.values[kernel] == u32::MAX {
            continue;
        }
        let own = strata.entry((host.values[region], host.values[role])).or_default();
        let (case, has) = (u32::from(cases.contains(&index)), host.values[kernel] == newer);
        own.0 += case * u32::from(has);
        own.1 += case;
        own.2 += if has { hours } else { 0.0 };
        own.3 += hours;
    }
    let strata: Vec<Stratum> =
        strata.values().map(|s| Stratum { exposed: s.0, cases: s.1, share: s.2 / s.3 }).collect();
    let ratio = stratified(&strata);
    Some((ratio.low, ratio.high))
}
