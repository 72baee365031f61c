//! Since when a bug is there, which new build brought it, and what is missing to know:
//! by the whole study, of simulated fleets.

use epicore::epidemiology::population::Population;
use epicore::record::{decode, decode_exposure};
use epicore::simulate::{Bug, Level, Plant, Rollout, Scenario, Simulation};
use epicore::study::{self, Directory, Gather, Heard, Verdict};
use epicore::wire::ItemKind;

const UNTIL: u64 = 1_795_356_309_000_000_000;
const DAY: u64 = 86_400_000_000_000;

fn bug_name() -> String {
    format!("{:016x}", Simulation::bug_signature(1))
}

/// A bug of an agent that rises tenfold on the day `began`, from one crash in two days.
fn rises(days: f64, began: f64) -> Scenario {
    let crashes = (0.5 * began + 5.0 * (days - began)) as u32;
    let bug = Bug { unit: 1, crashes, began, rise: 10.0, ..Bug::default() };
    Scenario { days, rate: 0.15, bug: vec![bug], skewed: 0.0, lost: 0.0, ..Scenario::default() }
}

/// 10 % of the hosts have a new build from day 10 on, in which the bug is `ratio` times
/// as frequent.
fn canary(ratio: f64) -> Scenario {
    let bug = Bug { unit: 1, crashes: 60, trigger: vec!["rollout=1".into()], ratio, ..Bug::default() };
    let rollout = vec![Rollout { unit: 1, day: 10.0, share: 0.1 }];
    Scenario { rate: 0.15, bug: vec![bug], rollout, skewed: 0.0, lost: 0.0, ..Scenario::default() }
}

fn simulated(scenario: &Scenario, hosts: u32, seed: u64) -> study::Bug {
    let (population, signatures) = Simulation::new(scenario, hosts, seed).population(scenario.days);
    let directory = Directory { signatures, ..Directory::default() };
    study::study_signature(&population, &directory, &bug_name()).expect("the bug")
}

/// What records and censuses tell of the last days before `UNTIL`, with so many before.
fn gathered(simulation: &Simulation, days: u64, history: u32, until: u64) -> (Population, Directory, Heard) {
    let by_host = simulation.by_host();
    let mut gather = Gather::new(until - days * DAY, until).with_history(history);
    for host in 0..simulation.hosts() {
        for item in simulation.batch(host, by_host.get(&host).map_or(&[][..], Vec::as_slice), UNTIL).items {
            match item.kind {
                ItemKind::Crash => gather.crash(&decode(&item.body).expect("a record")),
                ItemKind::Exposure => gather.census(&decode_exposure(&item.body).expect("a census")),
            }
        }
    }
    gather.done()
}

#[test]
fn a_bug_that_rose_tenfold_has_an_onset_whose_interval_holds_the_truth() {
    for seed in 0..4 {
        let bug = simulated(&rises(60.0, 40.0), 1000, seed);
        let onset = bug.onset.expect("an onset");
        let day = |ns: u64| ns as f64 / DAY as f64;
        let (from, to) = (day(onset.between.0) - 0.5, day(onset.between.1) + 0.5);
        assert!((from..to).contains(&40.0) && day(onset.known) < 46.0, "seed {seed}: {onset:?}");
        assert!(onset.between.0 <= onset.at && onset.at <= onset.between.1, "{onset:?}");
        // It is told when the count happens to be high.
        assert!(onset.known > onset.at && onset.ratio.0 > 4.0 && onset.ratio.2 > 10.0, "{onset:?}");
    }
}

#[test]
fn a_bug_that_nobody_saw_in_ten_days_has_an_onset_after_thirty_crashes_in_eighteen() {
    let bug = Bug { unit: 1, crashes: 31, began: 10.0, ..Bug::default() };
    let scenario = Scenario { rate: 0.15, bug: vec![bug], skewed: 0.0, lost: 0.0, ..Scenario::default() };
    let told = (0..10).filter(|seed| simulated(&scenario, 1000, *seed).onset.is_some()).count();
    assert!(told >= 7, "{told} of 10");
}

#[test]
fn nothing_that_stays_as_it_is_has_an_onset_or_a_rollout() {
    let rollout = vec![Rollout { unit: 0, day: 9.0, share: 0.1 }, Rollout { unit: 1, day: 15.0, share: 0.5 }];
    let scenario = Scenario { rate: 0.15, rollout, ..Scenario::default() };
    let (population, signatures) = Simulation::new(&scenario, 1000, 3).population(28.0);
    let directory = Directory { signatures, ..Directory::default() };
    let found = study::study(&population, &directory, Heard::default(), UNTIL);
    assert!(found.bugs.len() > 200);
    for bug in &found.bugs {
        assert!(bug.onset.is_none() && bug.rollout.is_none(), "{bug:?}");
    }
}

#[test]
fn a_canary_that_crashes_ten_times_as_often_is_named_with_its_ratio() {
    for seed in 0..4 {
        let bug = simulated(&canary(10.0), 1000, seed);
        let told = bug.rollout.expect("a rollout");
        let (ratio, low, high) = told.ratio;
        assert!(
            told.named && !told.and_newer && told.build.parse::<u32>().is_ok_and(|n| n % 64 == 2),
            "{told:?}"
        );
        assert!((told.at as f64 / DAY as f64 - 10.0).abs() < 1.5, "{told:?}");
        assert!(low > 1.0 && low < ratio && ratio < high && (3.0..40.0).contains(&ratio), "{told:?}");
    }
}

#[test]
fn a_canary_like_the_others_is_neither_a_rollout_nor_a_trigger() {
    for seed in 0..6 {
        let bug = simulated(&canary(1.0), 1000, seed);
        assert!(bug.rollout.is_none(), "{:?}", bug.rollout);
        let declared = bug.triggers.iter().find(|trigger| trigger.declared);
        assert!(declared.is_none(), "seed {seed}: {declared:?}");
    }
}

#[test]
fn records_from_before_the_window_tell_what_was_usual() {
    let simulation = Simulation::new(&rises(40.0, 28.0), 200, 7);
    let told = |history: u32| {
        let (population, directory, heard) = gathered(&simulation, 14, history, UNTIL);
        // Records have keys of their stacks: that of the bug's last crash.
        let own = |event: &&epicore::simulate::Event| event.signature == Simulation::bug_signature(1);
        let last = simulation.events.iter().rfind(own).expect("a crash");
        let is_last = |at: f64| (at - (last.at - 26.0 * 24.0)).abs() < 1e-4;
        let crash = population.crashes.iter().find(|crash| is_last(crash.at)).expect("its record");
        let name = &directory.signatures[crash.signature as usize];
        let bug = study::study_signature(&population, &directory, name).expect("the bug");
        let found = study::study(&population, &directory, heard, UNTIL);
        (bug, population, found)
    };
    let (with, population, study_with) = told(90);
    assert!((population.before / 24.0 - 25.5).abs() < 1.0, "{}", population.before);
    let onset = with.onset.expect("an onset");
    let began = UNTIL - 12 * DAY;
    assert!(onset.at.abs_diff(began) < 2 * DAY, "{} days off", onset.at.abs_diff(began) as f64 / DAY as f64);
    let (without, population, study_without) = told(0);
    assert!(without.onset.is_none() && population.before == 0.0, "{:?}", without.onset);
    // And they tell nothing else.
    assert_eq!(study_with.episodes, study_without.episodes);
    assert_eq!((study_with.hosts, study_with.signatures), (study_without.hosts, study_without.signatures));
    assert_eq!((with.episodes, with.days), (without.episodes, without.days));
}

/// The same as it would be if all but a few hosts had got the handler later: what they
/// sent before is not there.
fn gathered_late(simulation: &Simulation, pilot: u32, before: f64, window: u64) -> study::Study {
    let by_host = simulation.by_host();
    let installed = UNTIL - (before * DAY as f64) as u64;
    let mut gather = Gather::new(UNTIL - window * DAY, UNTIL).with_history(90);
    for host in 0..simulation.hosts() {
        let heard = |at: Option<u64>| host < pilot || at.is_some_and(|at| at > installed);
        for item in simulation.batch(host, by_host.get(&host).map_or(&[][..], Vec::as_slice), UNTIL).items {
            match item.kind {
                ItemKind::Crash => {
                    let record = decode(&item.body).expect("a record");
                    if heard(record.realtime_ns) {
                        gather.crash(&record);
                    }
                }
                ItemKind::Exposure => {
                    let census = decode_exposure(&item.body).expect("a census");
                    if heard(census.realtime_ns) {
                        gather.census(&census);
                    }
                }
            }
        }
    }
    let (population, directory, heard) = gather.done();
    study::study(&population, &directory, heard, UNTIL)
}

#[test]
fn a_fleet_that_came_after_a_pilot_has_neither_onsets_nor_new_bugs() {
    let mut onsets = 0;
    for (seed, before) in [(1, 20.0), (2, 20.0), (3, 60.0), (4, 10.0)] {
        let scenario = Scenario { days: 118.0, rate: 0.3, skewed: 0.0, ..Scenario::default() };
        let simulation = Simulation::new(&scenario, 400, seed);
        let found = gathered_late(&simulation, 4, before, 28);
        let told: Vec<_> = found.bugs.iter().filter(|bug| bug.onset.is_some()).collect();
        assert!(found.bugs.len() > 50 && found.changed.is_empty(), "{:?}", found.changed);
        onsets += told.len();
    }
    assert_eq!(onsets, 0);
}

#[test]
fn in_a_fleet_of_six_days_no_bug_is_new_and_one_that_came_in_the_last_is() {
    let late = Bug { unit: 1, crashes: 60, began: 5.2, ..Bug::default() };
    let scenario = |bug| Scenario { days: 6.0, rate: 0.5, bug, skewed: 0.0, ..Scenario::default() };
    let told = |bug| {
        let (population, directory, heard) =
            gathered(&Simulation::new(&scenario(bug), 400, 5), 28, 90, UNTIL);
        study::study(&population, &directory, heard, UNTIL)
    };
    let found = told(Vec::new());
    assert!(found.bugs.iter().filter(|bug| bug.hosts > 10).count() > 3 && found.changed.is_empty());
    let found = told(vec![late]);
    assert!(found.changed.len() == 1 && found.changed[0].what == study::Change::New, "{:?}", found.changed);
}

#[test]
fn a_day_whose_censuses_are_late_is_no_onset() {
    // Crashes go on for a day and a half behind the last census.
    let scenario = Scenario { days: 28.0, rate: 3.0, skewed: 0.0, ..Scenario::default() };
    let mut simulation = Simulation::new(&scenario, 200, 11);
    let shift = 36.0;
    for event in &mut simulation.events {
        event.at += shift;
    }
    let (population, directory, heard) = gathered(&simulation, 28, 0, UNTIL + DAY + DAY / 2);
    let last: f64 = population.courses.iter().filter_map(|course| course.hours.get(27)).sum();
    let usual: f64 = population.courses.iter().filter_map(|course| course.hours.get(20)).sum();
    assert!(last > 0.9 * usual, "{last} {usual}");
    let found = study::study(&population, &directory, heard, UNTIL);
    let told: Vec<_> = found.bugs.iter().filter(|bug| bug.onset.is_some()).collect();
    assert!(found.bugs.len() > 100 && told.is_empty(), "{told:?}");
}

#[test]
fn what_is_suspected_says_how_many_crashes_would_decide_it_and_what_is_accused_does_not() {
    let plant = |crashes, evidence| Plant { hosts: 6, crashes, evidence, ..Plant::default() };
    let scenario =
        Scenario { plant: vec![plant(4, Level::Weak), plant(10, Level::Strong)], ..Scenario::default() };
    let (population, signatures) = Simulation::new(&scenario, 4000, 5).population(28.0);
    let directory = Directory { signatures, ..Directory::default() };
    let found = study::study(&population, &directory, Heard::default(), UNTIL);
    let undecided: Vec<_> = found.machines.iter().filter(|one| one.verdict != Verdict::Accuse).collect();
    assert!(!undecided.is_empty() && undecided.len() < found.machines.len(), "{:?}", found.machines);
    for machine in &found.machines {
        let Some(needed) = machine.needed else {
            assert!(machine.verdict == Verdict::Accuse, "{machine:?}");
            continue;
        };
        assert!(machine.verdict != Verdict::Accuse);
        assert!((1..=40).contains(&needed.median) && needed.median <= needed.ninety, "{needed:?}");
    }
    let text =
        epicore::report::study::study(&found, true, epicore::report::Paint::Plain, &jiff::tz::TimeZone::UTC);
    assert!(text.contains("more crash") && text.contains("may decide it"), "{text}");
}
