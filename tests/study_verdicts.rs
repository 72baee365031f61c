//! What people found out changes what a study thinks, in the direction that they
//! would expect, and no further.

use epicore::simulate::{Kind, Level, Plant, Scenario, Simulation};
use epicore::study::{Directory, Heard, Machine, Study, Told, Verdict, study_knowing};

const UNTIL: u64 = 1_795_356_309_000_000_000;
const DAY: u64 = 86_400_000_000_000;

struct Fleet {
    simulation: Simulation,
    days: f64,
}

impl Fleet {
    fn new(plant: Plant, seed: u64) -> Fleet {
        let scenario = Scenario { plant: vec![plant], ..Scenario::default() };
        Fleet { simulation: Simulation::new(&scenario, 2000, seed), days: scenario.days }
    }

    fn study(&self, told: &[Told]) -> Study {
        let (population, signatures) = self.simulation.population(self.days);
        let directory = Directory { since: UNTIL - 28 * DAY, signatures, builds: Vec::new() };
        study_knowing(&population, &directory, Heard::default(), UNTIL, told)
    }

    fn bad(&self) -> Vec<String> {
        let planted = self.simulation.planted().into_iter().filter(|planted| planted.kind == Kind::BadCore);
        planted.map(|planted| Simulation::host_name(planted.host)).collect()
    }
}

fn said(host: &str, confirmed: bool, at: u64) -> Told {
    Told { host: host.to_owned(), confirmed, at, who: "mia".to_owned(), ..Told::default() }
}

fn of<'a>(study: &'a Study, host: &str) -> Option<&'a Machine> {
    study.machines.iter().find(|machine| machine.host == host)
}

fn posterior(study: &Study, host: &str) -> f64 {
    of(study, host).map_or(0.0, |machine| machine.posterior)
}

#[test]
fn a_host_that_was_confirmed_is_accused_first_and_says_by_whom() {
    let weak = Plant { hosts: 2, crashes: 3, evidence: Level::Weak, ..Plant::default() };
    let fleet = Fleet::new(weak, 3);
    let host = &fleet.bad()[0];
    let before = fleet.study(&[]);
    let after = fleet.study(&[said(host, true, UNTIL)]);
    assert!(posterior(&before, host) < 0.99, "{}", posterior(&before, host));
    let first = &after.machines[0];
    assert_eq!(
        (&first.host, first.posterior, first.verdict, first.held),
        (host, 1.0, Verdict::Accuse, false)
    );
    let ruling = first.ruling.as_ref().unwrap();
    assert_eq!((ruling.confirmed, ruling.who.as_str(), ruling.since), (true, "mia", 0));
    assert!(ruling.crashes >= 3, "{ruling:?}");
    assert_eq!(after.rulings, std::slice::from_ref(ruling));
}

#[test]
fn a_host_that_was_confirmed_does_not_make_the_others_look_surer() {
    let strong = Plant { hosts: 2, crashes: 10, evidence: Level::Strong, ..Plant::default() };
    let fleet = Fleet::new(strong, 5);
    let [host, other] = fleet.bad().try_into().unwrap();
    let study = fleet.study(&[said(&host, true, UNTIL)]);
    assert_eq!(of(&study, &other).map(|machine| machine.verdict), Some(Verdict::Accuse));
    assert_eq!(study.declared_fdr.to_bits(), (1.0 - posterior(&study, &other)).to_bits());
    let both = fleet.study(&[said(&host, true, UNTIL), said(&other, true, UNTIL)]);
    assert_eq!(both.declared_fdr.to_bits(), 0.0f64.to_bits());
}

#[test]
fn what_was_refuted_accuses_nobody_and_later_crashes_count_again() {
    let strong = Plant { hosts: 2, crashes: 10, evidence: Level::Strong, ..Plant::default() };
    let fleet = Fleet::new(strong, 5);
    let host = &fleet.bad()[0];
    let before = fleet.study(&[]);
    assert_eq!(of(&before, host).map(|machine| machine.verdict), Some(Verdict::Accuse));
    let after = fleet.study(&[said(host, false, UNTIL)]);
    assert!(of(&after, host).is_none(), "{:?}", of(&after, host));
    assert!(!after.rulings[0].confirmed && after.rulings[0].crashes >= 10, "{:?}", after.rulings);
    // Said before most of it happened, it decides little.
    let machine = of(&before, host).unwrap();
    let early = machine.first + (machine.last - machine.first) / 5;
    let again = fleet.study(&[said(host, false, early)]);
    let ruling = again.rulings.iter().find(|ruling| ruling.host == *host).unwrap();
    assert!(ruling.since > 0 && ruling.crashes < after.rulings[0].crashes, "{ruling:?}");
    assert!(posterior(&again, host) > 0.5, "{:?}", of(&again, host));
    // The other one is thought of as before.
    let other = &fleet.bad()[1];
    assert!((posterior(&after, other) - posterior(&before, other)).abs() < 0.05);
}

#[test]
fn a_newer_verdict_of_the_same_host_counts_and_the_older_one_does_not() {
    let strong = Plant { hosts: 1, crashes: 8, evidence: Level::Strong, ..Plant::default() };
    let fleet = Fleet::new(strong, 7);
    let host = &fleet.bad()[0];
    let both = fleet.study(&[said(host, true, UNTIL), said(host, false, UNTIL - DAY)]);
    assert_eq!((posterior(&both, host), both.rulings.len()), (1.0, 1), "{:?}", both.rulings);
    let turned = fleet.study(&[said(host, true, UNTIL - 1), said(host, false, UNTIL)]);
    assert_eq!((posterior(&turned, host), turned.rulings.len()), (0.0, 1), "{:?}", turned.rulings);
}

#[test]
fn what_looks_like_confirmed_crashes_is_suspected_more_than_before() {
    let medium = Plant { hosts: 12, crashes: 4, evidence: Level::Medium, ..Plant::default() };
    let fleet = Fleet::new(medium, 11);
    let bad = fleet.bad();
    let (confirmed, rest) = bad.split_at(8);
    let told: Vec<Told> = confirmed.iter().map(|host| said(host, true, UNTIL)).collect();
    let (before, after) = (fleet.study(&[]), fleet.study(&told));
    let sum = |study: &Study| rest.iter().map(|host| posterior(study, host)).sum::<f64>();
    assert!(sum(&after) > sum(&before), "{} {}", sum(&before), sum(&after));
    let innocent = |study: &Study| {
        let accused = study.machines.iter().filter(|machine| machine.verdict == Verdict::Accuse);
        accused.filter(|machine| !bad.contains(&machine.host)).count()
    };
    assert_eq!((innocent(&before), innocent(&after)), (0, 0));
}

#[test]
fn a_verdict_on_what_is_not_there_changes_nothing() {
    let strong = Plant { hosts: 1, crashes: 8, evidence: Level::Strong, ..Plant::default() };
    let fleet = Fleet::new(strong, 7);
    let host = &fleet.bad()[0];
    let signature = Told { signature: Some(1), ..said(host, false, UNTIL) };
    let told = [said("nobody", true, UNTIL), said(host, true, UNTIL - 40 * DAY), signature];
    let json = |study: &Study| serde_json::to_string(study).unwrap();
    assert_eq!(json(&fleet.study(&told)), json(&fleet.study(&[])));
}
