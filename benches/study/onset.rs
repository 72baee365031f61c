//! Since when a bug is there, and which rollout brought it: crashes until it is told,
//! by the whole study, which is asked again after crashes; and how often a study tells
//! of what did not happen.

use std::collections::BTreeMap;

use epicore::epidemiology::population::Population;
use epicore::simulate::{Bug, Rollout, Scenario, Simulation};
use epicore::study::{self, Heard};

use super::causes::directory;
use super::machines::poisson_interval;
use super::table::{Table, share};

/// 100 crashes a day in 2,400 clusters, the usual mixture: a study is made behind each
/// of many crashes. Where nothing changes three times as many: clusters are counted.
const HOSTS: u32 = 1_000;
const RATE: f64 = 0.1;
const MANY: f64 = 0.3;
/// Runs on every host.
const UNIT: u32 = 1;
/// More than that is as good as never.
const NEVER: u32 = 100;

fn fleet() -> Scenario {
    Scenario { rate: RATE, lost: 0.0, skewed: 0.0, ..Scenario::default() }
}

/// A Poisson count; SplitMix64, as nothing of the simulation's dice is told.
fn poisson(mean: f64, seed: u64) -> u32 {
    let (mut state, mut count, mut left) = (seed, 0, mean);
    loop {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        left += ((((z ^ (z >> 31)) >> 11) as f64 + 0.5) / 9_007_199_254_740_992.0).ln();
        if left < 0.0 {
            return count;
        }
        count += 1;
    }
}

/// Times of the scenario's first bug, hours.
fn times(simulation: &Simulation) -> Vec<f64> {
    let name = Simulation::bug_signature(1);
    simulation.events.iter().filter(|event| event.signature == name).map(|event| event.at).collect()
}

/// What a study that is made at this hour says of it.
fn look(simulation: &Simulation, hours: f64) -> (Population, Option<study::Bug>) {
    let (population, signatures) = simulation.population((hours + 1e-3) / 24.0);
    let name = format!("{:016x}", Simulation::bug_signature(1));
    let bug = study::study_signature(&population, &directory(signatures), &name);
    (population, bug)
}

/// The first crash behind which `told` is true while it was not behind the one before,
/// by bisection; [`NEVER`] if it is not at the last.
fn first(crashes: u32, told: &mut dyn FnMut(u32) -> bool) -> u32 {
    let (mut low, mut high) = (0, crashes);
    if crashes == 0 || !told(crashes) {
        return NEVER;
    }
    while low + 1 < high {
        let middle = (low + high) / 2;
        *(if told(middle) { &mut high } else { &mut low }) = middle;
    }
    high
}

fn median_ninety(mut all: Vec<u32>) -> (String, String, u32, u32) {
    all.sort_unstable();
    // The order statistics of a binomial's 95 %: what a quantile's interval is.
    let at = |p: f64| {
        let n = all.len() as f64;
        let half = 1.96 * (n * p * (1.0 - p)).sqrt();
        let place = |x: f64| all[(x.max(0.0) as usize).min(all.len() - 1)];
        let text = |n: u32| if n >= NEVER { "–".to_owned() } else { n.to_string() };
        let (low, middle, high) = (place(n * p - half), place(n * p), place(n * p + half));
        (format!("{} [{}, {}]", text(middle), text(low), text(high)), middle)
    };
    let ((median, m), (ninety, n)) = (at(0.5), at(0.9));
    (median, ninety, m, n)
}

/// Days on which simple rules alarm: the Poisson CUSUM of a ratio of ten (Lucas 1985) at
/// ln 100,000, and three sigmas over the mean; what was usual is the mean of the days
/// before, of which they want seven.
fn simple(days: &[u32]) -> (Vec<usize>, Vec<usize>) {
    let (mut cusum, mut sigma) = (Vec::new(), Vec::new());
    let mut sum = 0.0f64;
    for (day, count) in days.iter().enumerate().skip(7) {
        let before = days[..day].iter().map(|n| f64::from(*n)).collect::<Vec<f64>>();
        let n = before.len() as f64;
        // Half a crash more: a mean of zero knows no ratio.
        let mean = (before.iter().sum::<f64>() + 0.5) / n;
        let sd = (before.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt().max(mean.sqrt());
        let count = f64::from(*count);
        sum = (sum + count * 10f64.ln() - 9.0 * mean).max(0.0);
        if sum > 1e5f64.ln() {
            cusum.push(day);
            sum = 0.0;
        }
        if count > mean + 3.0 * sd && count >= 2.0 {
            sigma.push(day);
        }
    }
    (cusum, sigma)
}

fn by_day(times: &[f64], days: f64) -> Vec<u32> {
    let mut counts = vec![0; days as usize];
    for at in times {
        counts[((at / 24.0) as usize).min(days as usize - 1)] += 1;
    }
    counts
}

pub(crate) fn onset(seeds: u64, table: &mut Table) {
    table.line("Crashes from the true beginning until an onset is told, looked at behind each crash (simple rules: at the end of each day); – is never in the window. Told before: seeds in which an onset was told when nothing had changed yet.");
    table.line("");
    table.line("| window, began on day | crashes a day before, after | told before | median | 9 of 10 | CUSUM, same days | 3 sigma, same days |");
    table.line("|---|---|---:|---|---|---|---|");
    for (days, began, base, after, uneven, promised) in [
        (90.0, 60.0, 0.2, 2.0, 0.0, true),
        (90.0, 60.0, 0.5, 5.0, 0.0, true),
        (90.0, 60.0, 1.0, 10.0, 0.0, true),
        (90.0, 60.0, 0.5, 5.0, 0.05, false),
        (90.0, 60.0, 0.5, 5.0, 0.2, false),
        (28.0, 14.0, 0.5, 5.0, 0.0, false),
        (28.0, 10.0, 0.0, 1.72, 0.0, false),
        (90.0, 72.0, 0.0, 1.72, 0.0, false),
    ] {
        let (mut ours, mut cusum, mut sigma) = (Vec::new(), Vec::new(), Vec::new());
        let mut early = 0u64;
        for seed in 0..seeds {
            let seed = 170_000 + seed;
            let mean: f64 = base * began + after * (days - began);
            let bug = Bug {
                unit: UNIT,
                crashes: poisson(mean, seed),
                began,
                rise: if base > 0.0 { after / base } else { 0.0 },
                ..Bug::default()
            };
            let scenario = Scenario { days, uneven_days: uneven, bug: vec![bug], ..fleet() };
            let simulation = Simulation::new(&scenario, HOSTS, seed);
            let times = times(&simulation);
            let begin = times.iter().filter(|at| **at < began * 24.0).count();
            let told = |hours: f64| look(&simulation, hours).1.is_some_and(|bug| bug.onset.is_some());
            if begin >= 2 && told(began * 24.0 - 1e-2) {
                early += 1;
                continue;
            }
            let rest = &times[begin..];
            let most = rest.len().min(60) as u32;
            ours.push(first(most, &mut |crashes| told(rest[crashes as usize - 1])));
            let counts = by_day(&times, days);
            let (c, s) = simple(&counts);
            let until = |alarms: &[usize]| {
                let day = alarms.iter().find(|day| **day >= began as usize);
                day.map_or(NEVER, |day| counts[began as usize..=*day].iter().sum())
            };
            cusum.push(until(&c));
            sigma.push(until(&s));
        }
        let (median, ninety, m, n) = median_ninety(ours);
        let simple = |all| {
            let (median, ninety, ..) = median_ninety(all);
            format!("{median}, {ninety}")
        };
        let uneven = if uneven > 0.0 {
            format!(", days differ by {:.0} %", 100.0 * f64::sqrt(uneven))
        } else {
            String::new()
        };
        table.line(&format!(
            "| {days:.0}, {began:.0}{uneven} | {base}, {after} | {early} | {median} | {ninety} | {} | {} |",
            simple(cusum),
            simple(sigma)
        ));
        if promised {
            let what = format!(
                "{:.0} crashes before, ratio 10: median at most 10, 9 of 10 at most 14",
                base * began
            );
            table.promise(&what, &format!("{median}, {ninety}"), m <= 10 && n <= 14);
        }
    }
    alarms(seeds.div_ceil(2), table);
}

/// Fleets in which nothing changes.
fn alarms(seeds: u64, table: &mut Table) {
    table.line("");
    table.line("Nothing changes: onsets told, per 100,000 cluster-days.");
    table.line("");
    table.line("| window, days | cluster-days | told | CUSUM | 3 sigma | rollouts told |");
    table.line("|---|---:|---|---|---|---:|");
    for (days, uneven, promised) in
        [(28.0, 0.0, true), (90.0, 0.0, true), (90.0, 0.05, false), (90.0, 0.2, false)]
    {
        let (mut clusters, mut told, mut cusum, mut sigma, mut rollouts) = (0.0, 0u64, 0u64, 0u64, 0u64);
        for seed in 0..seeds {
            // Builds come and mean nothing.
            let rollout = (0..3).map(|n| Rollout { unit: n, day: 7.0 * f64::from(n + 1), share: 0.1 });
            let scenario =
                Scenario { days, uneven_days: uneven, rate: MANY, rollout: rollout.collect(), ..fleet() };
            let simulation = Simulation::new(&scenario, HOSTS, 190_000 + seed);
            let (population, signatures) = simulation.population(days);
            let found = study::study(&population, &directory(signatures), Heard::default(), 0);
            for bug in &found.bugs {
                clusters += days;
                told += u64::from(bug.onset.is_some());
                rollouts += u64::from(bug.rollout.is_some());
                let (c, s) = simple(&bug.days);
                cusum += c.len() as u64;
                sigma += s.len() as u64;
            }
        }
        let per = |n: u64| {
            let (low, high) = poisson_interval(n);
            let per = 1e5 / clusters;
            format!("{n}: {:.2} [{:.2}, {:.2}]", n as f64 * per, low * per, high * per)
        };
        let uneven = if uneven > 0.0 {
            format!(", days differ by {:.0} %", 100.0 * f64::sqrt(uneven))
        } else {
            String::new()
        };
        let seen = per(told);
        table.line(&format!(
            "| {days:.0}{uneven} | {clusters:.0} | {seen} | {} | {} | {rollouts} |",
            per(cusum),
            per(sigma)
        ));
        if promised {
            let what =
                format!("false onsets in windows of {days:.0} days: at most 1 per 100,000 cluster-days");
            table.promise(&what, &seen, told as f64 <= clusters / 1e5);
        }
    }
}

/// Socorro's difference of shares, and the lift: the build that each puts first.
fn simple_build(population: &Population, until: f64) -> Option<(u32, u32)> {
    let name = population.crashes.iter().rfind(|crash| crash.at <= until)?.signature;
    let own: Vec<u32> = population.crashes.iter().filter(|c| c.signature == name).map(|c| c.build).collect();
    let unit = population.crashes.iter().find(|crash| crash.signature == name)?.unit;
    let all: Vec<u32> = population.crashes.iter().filter(|c| c.unit == unit).map(|c| c.build).collect();
    let count = |builds: &[u32]| {
        let mut counts = BTreeMap::<u32, f64>::new();
        for build in builds {
            *counts.entry(*build).or_default() += 1.0 / builds.len() as f64;
        }
        counts
    };
    let (own, usual) = (count(&own), count(&all));
    let best = |score: &dyn Fn(f64, f64) -> f64| {
        own.iter()
            .max_by(|a, b| score(*a.1, usual[a.0]).total_cmp(&score(*b.1, usual[b.0])))
            .map(|one| *one.0)
    };
    Some((best(&|p, q| p - q)?, best(&|p, q| p / q)?))
}

/// Number within its unit of the build with which it began.
const GUILTY: u32 = 2;

pub(crate) fn canary(seeds: u64, table: &mut Table) {
    table.line("A build comes on 10 % of the hosts on day 10 of 28; in it the bug is ten times as frequent. Named within 31 crashes behind that, looked at behind every third; simple rules name the build that they put first at the 31st. With 5 rollouts the four others mean nothing.");
    table.line("");
    table.line("| rollouts | the bug | named | began with, by time | build is the first trigger, declared | another build told before | crashes, median, 9 of 10 | Socorro-style | lift |");
    table.line("|---:|---|---|---|---|---:|---|---|---|");
    for (rollouts, new, ratio) in [
        (1, true, 10.0),
        (1, false, 10.0),
        (5, true, 10.0),
        (5, false, 10.0),
        (1, false, 1.0),
        (5, false, 1.0),
    ] {
        let (mut named, mut began, mut trigger, mut wrong) = (0u64, 0u64, 0u64, 0u64);
        let (mut socorro, mut lift, mut until) = (0u64, 0u64, Vec::new());
        // What means nothing is looked at to the last crash.
        let seeds = if ratio > 1.0 { seeds } else { seeds.div_ceil(4) };
        for seed in 0..seeds {
            let rollout = (0..rollouts).map(|n| Rollout {
                unit: UNIT,
                day: if n == 0 { 10.0 } else { 4.0 * f64::from(n) + 3.0 },
                share: 0.1,
            });
            let bug = Bug {
                unit: UNIT,
                crashes: if new { 60 } else { 75 },
                began: if new { 10.0 } else { 0.0 },
                trigger: vec!["rollout=1".into()],
                ratio,
                ..Bug::default()
            };
            let scenario = Scenario { bug: vec![bug], rollout: rollout.collect(), ..fleet() };
            let simulation = Simulation::new(&scenario, HOSTS, 210_000 + seed);
            let times = times(&simulation);
            let rest: Vec<f64> = times.into_iter().filter(|at| *at >= 240.0).take(31).collect();
            let is = |build: &str| build.parse::<u32>().is_ok_and(|build| build % 64 == GUILTY);
            let (mut right, mut by_time, mut declared, mut other, mut at) =
                (false, false, false, false, NEVER);
            for crashes in (7..=rest.len()).step_by(3) {
                let (_, bug) = look(&simulation, rest[crashes - 1]);
                let Some(bug) = bug else { continue };
                let told = bug.rollout.as_ref();
                let ours = told.is_some_and(|told| is(&told.build));
                right |= ours && told.is_some_and(|told| told.named);
                by_time |= ours && told.is_some_and(|told| told.began);
                other |= told.is_some_and(|told| !is(&told.build));
                let first = bug.triggers.first().filter(|trigger| trigger.declared);
                declared |= first.and_then(|trigger| trigger.what.strip_prefix("build=")).is_some_and(is);
                if right || by_time || declared {
                    at = crashes as u32;
                    break;
                }
            }
            named += u64::from(right || by_time || declared);
            began += u64::from(by_time);
            trigger += u64::from(declared);
            wrong += u64::from(other);
            until.push(at);
            if let Some(last) = rest.last() {
                let (population, _) = simulation.population((last + 1e-3) / 24.0);
                if let Some((s, l)) = simple_build(&population, *last) {
                    socorro += u64::from(s % 64 == GUILTY);
                    lift += u64::from(l % 64 == GUILTY);
                }
            }
        }
        let (median, ninety, ..) = median_ninety(until);
        let what = match (new, ratio > 1.0) {
            (_, false) => "the same in every build: nothing should be named",
            (true, _) => "began with it",
            (false, _) => "was there before",
        };
        table.line(&format!(
            "| {rollouts} | {what} | {} | {} | {} | {wrong} | {median}, {ninety} | {} | {} |",
            share(named, seeds),
            share(began, seeds),
            share(trigger, seeds),
            share(socorro, seeds),
            share(lift, seeds)
        ));
        if ratio > 1.0 && rollouts == 1 {
            let what = format!("a canary of 10 %, the bug {what}: named within 31 crashes in at least 0.9");
            table.promise(&what, &share(named, seeds), named * 10 >= seeds * 9);
        }
        if ratio == 1.0 {
            let seen = format!("{} of {seeds}", named + wrong);
            let what = format!("{rollouts} rollouts that mean nothing: named in at most 1 of 100 seeds");
            table.promise(&what, &seen, (named + wrong) * 100 <= seeds);
        }
    }
}
