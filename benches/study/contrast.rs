//! What a bug needs where no census tells what ran: controls, and other crashes.

use epicore::epidemiology::population::{Control, Population};
use epicore::simulate::{Bug, Scenario, Simulation};
use epicore::study::{self, Directory, Heard};

use super::table::{Table, share};

const HOSTS: u32 = 10_000;
const KERNEL: &str = "kernel=6.12.48+deb13-amd64";

fn directory(signatures: Vec<String>) -> Directory {
    Directory { signatures, ..Directory::default() }
}

/// The fleet without hours; one living process of each host, in order of the units that
/// it runs, where controls are wanted.
fn without_hours(population: &mut Population, controls: bool) {
    for (host, facts) in (0u32..).zip(&mut population.hosts) {
        let runs = std::mem::take(&mut facts.runs);
        facts.hours = 0.0;
        let drawn = (host as usize).checked_rem(runs.len()).and_then(|place| runs.get(place));
        if let Some(run) = drawn.filter(|_| controls) {
            population.controls.push(Control { host, unit: run.unit, build: run.build });
        }
    }
}

pub(crate) fn contrasts(seeds: u64, table: &mut Table) {
    table.line("| one kernel, ratio 20, 20 hosts, no hours | top-1 | declared | others declared |");
    table.line("|---|---|---|---:|");
    for (name, controls) in [("controls", true), ("other crashes", false)] {
        let (mut top, mut declared, mut others) = (0u64, 0u64, 0u64);
        for seed in 0..seeds {
            let bug =
                Bug { unit: 1, crashes: 20, trigger: vec![KERNEL.to_owned()], ratio: 20.0, ..Bug::default() };
            let scenario = Scenario { bug: vec![bug], lost: 0.0, ..Scenario::default() };
            let simulation = Simulation::new(&scenario, HOSTS, 230_000 + seed);
            let (mut population, signatures) = simulation.population(28.0);
            without_hours(&mut population, controls);
            let key = format!("{:016x}", Simulation::bug_signature(1));
            let Some(bug) = study::study_signature(&population, &directory(signatures), &key) else {
                continue;
            };
            let told = |trigger: &&study::Trigger| trigger.declared && trigger.status == "supported";
            top += u64::from(bug.triggers.first().is_some_and(|t| t.what == KERNEL));
            declared += u64::from(bug.triggers.iter().any(|t| t.declared && t.what == KERNEL));
            others += bug.triggers.iter().filter(told).filter(|t| t.what != KERNEL).count() as u64;
        }
        table.line(&format!("| {name} | {} | {} | {others} |", share(top, seeds), share(declared, seeds)));
        let what = format!("{name} instead of hours: top-1 at least 0.95");
        table.promise(&what, &share(top, seeds), top * 100 >= seeds * 95);
    }
    let (mut bugs, mut winners) = (0u64, 0u64);
    for seed in 0..seeds.div_ceil(4) {
        let simulation = Simulation::new(&Scenario::default(), HOSTS, 250_000 + seed);
        let (mut population, signatures) = simulation.population(28.0);
        without_hours(&mut population, false);
        let found = study::study(&population, &directory(signatures), Heard::default(), 0);
        bugs += found.bugs.iter().filter(|bug| bug.compared.is_some()).count() as u64;
        winners += found.bugs.iter().filter(|bug| bug.triggers.iter().any(|t| t.declared)).count() as u64;
    }
    let seen = format!("{winners} of {bugs} signatures that were mined");
    table.promise(
        "nothing wrong and no hours: of a hundred signatures at most one has a trigger",
        &seen,
        winners * 100 <= bugs,
    );
}
