//! "So many more crashes would decide it": whether they do, where the machine is bad,
//! and where it is not.

use std::collections::{HashMap, HashSet};

use epicore::simulate::{Plant, Scenario, Simulation};
use epicore::study::{self, Heard, More, Verdict};

use super::causes::directory;
use super::machines::{HOSTS, LEVELS};
use super::table::{Table, share};

/// Hosts of each level of evidence, and their crashes: enough that nearly all forecasts
/// are seen to their end.
const EACH: u32 = 4;
const CRASHES: u32 = 24;

/// What was said of a host the first time that it was no accusation.
struct Said {
    signatures: u32,
    more: More,
    /// Signatures with which it was accused, or was last seen.
    accused: Option<u32>,
    last: u32,
}

/// Of forecasts that came to their end: in how many it was decided by then, and how many
/// they are.
fn kept<'a>(said: impl IntoIterator<Item = &'a Said>, by: impl Fn(&More) -> u32) -> (u64, u64) {
    let (mut within, mut ended) = (0, 0);
    for one in said {
        let more = one.accused.map(|at| at.saturating_sub(one.signatures));
        within += u64::from(more.is_some_and(|more| more <= by(&one.more)));
        ended += u64::from(more.is_some() || one.last - one.signatures >= by(&one.more));
    }
    (within, ended)
}

/// Each forecast that a study makes on some day of four weeks, held against the days
/// behind it.
fn follow(simulation: &Simulation) -> HashMap<String, Said> {
    let mut said: HashMap<String, Said> = HashMap::new();
    for day in 1..=28u32 {
        let (population, signatures) = simulation.population(f64::from(day));
        let study = study::study(&population, &directory(signatures), Heard::default(), 0);
        for machine in study.machines {
            let accused = machine.verdict == Verdict::Accuse;
            let now = machine.signatures;
            if let Some(one) = said.get_mut(&machine.host) {
                one.last = one.last.max(now);
                one.accused = one.accused.or(accused.then_some(now));
            } else if let (false, Some(more)) = (accused, machine.needed) {
                said.insert(machine.host, Said { signatures: now, more, accused: None, last: now });
            }
        }
    }
    said
}

pub(crate) fn forecasts(seeds: u64, table: &mut Table) {
    let (mut bad, mut good) = (Vec::new(), Vec::new());
    for seed in 0..seeds {
        let plant = LEVELS.iter().map(|(evidence, _)| Plant {
            hosts: EACH,
            crashes: CRASHES,
            evidence: *evidence,
            ..Plant::default()
        });
        let scenario = Scenario { plant: plant.collect(), ..Scenario::default() };
        let simulation = Simulation::new(&scenario, HOSTS, 60_000 + seed);
        let planted: HashSet<String> = simulation
            .planted()
            .iter()
            .filter(|plant| plant.kind.is_defect())
            .map(|plant| Simulation::host_name(plant.host))
            .collect();
        let (ours, others): (Vec<_>, Vec<_>) =
            follow(&simulation).into_iter().partition(|(host, _)| planted.contains(host));
        bad.extend(ours.into_iter().map(|(_, said)| said));
        good.extend(others.into_iter().map(|(_, said)| said));
    }
    table.line("| said at first | bad hosts | decided within the median | within \"nine of ten\" |");
    table.line("|---|---:|---|---|");
    for (name, least, most) in
        [("1 or 2 more", 1, 2), ("3 or 4", 3, 4), ("5 and more", 5, u32::MAX), ("any", 1, u32::MAX)]
    {
        let own = || bad.iter().filter(|one| (least..=most).contains(&one.more.median));
        let (half, of_half) = kept(own(), |more| more.median);
        let (most_of_all, of_all) = kept(own(), |more| more.ninety);
        table.line(&format!(
            "| {name} | {} | {} | {} |",
            own().count(),
            share(half, of_half),
            share(most_of_all, of_all)
        ));
    }
    table.line("");
    table.line(&format!(
        "- of innocent hosts {} had a forecast, and {} were ever accused",
        good.len(),
        good.iter().filter(|one| one.accused.is_some()).count()
    ));
    let (within, of) = kept(&bad, |more| more.ninety);
    table.promise(
        "a bad host is decided within the crashes of \"nine of ten\" futures: at least 0.8",
        &share(within, of),
        within * 10 >= of * 8,
    );
}
