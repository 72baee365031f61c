//! How long a study takes, and how that grows.

use std::time::Instant;

use epicore::epidemiology::signature::Merged;
use epicore::simulate::{Scenario, Simulation};
use epicore::study::{Directory, Heard, study};

use super::table::Table;

pub(crate) fn pace(_: u64, table: &mut Table) {
    table.line("| crashes | episodes | hosts | signatures | joining them | whole study | resident at most |");
    table.line("|---:|---:|---:|---:|---:|---:|---:|");
    let mut holds = true;
    // 0.03 a day and host are about 10,000 in a window of 10,000 hosts.
    for rate in [0.3, 3.6, 36.0] {
        let scenario = Scenario { rate, ..Scenario::default() };
        let simulation = Simulation::new(&scenario, 10_000, 1);
        let (population, signatures) = simulation.population(28.0);
        drop(simulation);
        let directory = Directory { signatures, ..Directory::default() };
        let joining = Instant::now();
        let merged = Merged::of(&population);
        let joining = joining.elapsed().as_secs_f64();
        drop(merged);
        let began = Instant::now();
        let found = study(&population, &directory, Heard::default(), 0);
        let seconds = began.elapsed().as_secs_f64();
        let resident = peak_mib();
        table.line(&format!(
            "| {} | {} | {} | {} | {joining:.2} s | {seconds:.2} s | {resident} MiB |",
            population.crashes.len(),
            found.episodes,
            population.hosts.len(),
            found.signatures
        ));
        if (3.0..10.0).contains(&rate) {
            holds = found.episodes >= 1_000_000 && seconds <= 5.0 && resident <= 1024;
        }
    }
    table.line("");
    table.promise("1,000,000 episodes of 10,000 hosts: at most 5 s on one core, 1 GB", "table above", holds);
}

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}
