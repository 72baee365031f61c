//! How long a study takes, and how that grows.

use epicore::epidemiology::population::Population;
use epicore::epidemiology::signature::Merged;
use epicore::record;
use epicore::simulate::{Scenario, Simulation};
use epicore::study::{Directory, Gather, Heard, study};
use epicore::wire::ItemKind;

use super::table::Table;

pub(crate) fn pace(_: u64, table: &mut Table) {
    table.line(
        "| crashes | episodes | hosts | signatures | pairs of signature and host | processor time of joining them | of the whole study | resident at most |",
    );
    table.line("|---:|---:|---:|---:|---:|---:|---:|---:|");
    let mut holds = true;
    // 0.03 a day and host are about 10,000 in a window of 10,000 hosts.
    for rate in [0.3, 3.6, 36.0] {
        let scenario = Scenario { rate, ..Scenario::default() };
        let simulation = Simulation::new(&scenario, 10_000, 1);
        let (population, signatures) = simulation.population(28.0);
        drop(simulation);
        let directory = Directory { signatures, ..Directory::default() };
        let began = processor();
        drop(Merged::of(&population));
        let joining = processor() - began;
        let began = processor();
        let found = study(&population, &directory, Heard::default(), 0);
        let seconds = processor() - began;
        let resident = peak_mib();
        table.line(&format!(
            "| {} | {} | {} | {} | {} | {joining:.2} s | {seconds:.2} s | {resident} MiB |",
            population.crashes.len(),
            found.episodes,
            population.hosts.len(),
            found.signatures,
            pairs(&population)
        ));
        if (3.0..10.0).contains(&rate) {
            holds = found.episodes >= 1_000_000 && seconds <= 5.0 && resident <= 1024;
        }
    }
    table.line("");
    table.promise("1,000,000 episodes of 10,000 hosts: at most 5 s on one core, 1 GB", "table above", holds);
    one_more(table);
}

/// Of which a store that counts would keep a row each.
fn pairs(population: &Population) -> usize {
    let mut pairs: Vec<(u32, u32)> =
        population.crashes.iter().map(|crash| (crash.signature, crash.host)).collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs.len()
}

/// What one more record costs: decoding it, and adding it to what is known.
fn one_more(table: &mut Table) {
    const HOSTS: u32 = 2_000;
    let until = 1_800_000_000_000_000_000;
    let scenario = Scenario { rate: 1.0, ..Scenario::default() };
    let simulation = Simulation::new(&scenario, HOSTS, 2);
    let mut gather = Gather::new(0, u64::MAX);
    let (mut records, mut decoding, mut adding) = (0u32, 0.0, 0.0);
    for batch in simulation.batches(until) {
        let bodies: Vec<_> = batch.items.iter().filter(|item| item.kind == ItemKind::Crash).collect();
        let began = processor();
        let decoded: Vec<_> = bodies.iter().filter_map(|item| record::decode(&item.body).ok()).collect();
        let between = processor();
        decoded.iter().for_each(|record| gather.crash(record));
        adding += processor() - between;
        decoding += between - began;
        records += decoded.len() as u32;
    }
    let each = |seconds: f64| 1e6 * seconds / f64::from(records);
    let seen = format!(
        "{:.1} µs to decode, {:.1} µs to add, {records} records of {HOSTS} hosts",
        each(decoding),
        each(adding)
    );
    let holds = records >= 30_000 && each(decoding + adding) <= 20.0;
    table.promise("one more record: at most 20 µs of processor time", &seen, holds);
}

/// Seconds that this thread had of a processor: another program beside it would make
/// a clock on the wall useless.
fn processor() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    told.split_whitespace().next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1e9
}

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}
