//! The store against a model of sets and counts: whatever is ingested, sent
//! again, upgraded, purged and expired, in whatever order, the tables hold what
//! the model holds, and the roll-ups are a recount of the rows.
#![cfg(feature = "collector")]

#[path = "support/store.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};

use epicore::record::*;
use epicore::store::sqlite::Sqlite;
use epicore::store::{Keep, Store};
use epicore::wire::Said;
use epicore::wire::api::Purge;
use proptest::prelude::*;
use support::*;

const HOSTS: [&str; 3] = ["web-1", "web-2", "db-1"];

#[derive(Clone, Debug)]
enum Step {
    /// Crashes (id, minimal) in one batch of one host.
    Batch(usize, Vec<(u64, bool)>),
    /// The image of a container becomes known.
    Image(usize, u64, u64),
    /// Everything of a unit goes.
    Purge(u64),
    /// Days that pass before retention keeps ten.
    Retain(u64),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let batch = proptest::collection::vec((0u64..40, any::<bool>()), 1..12);
    prop_oneof![
        8 => (0..HOSTS.len(), batch).prop_map(|(host, items)| Step::Batch(host, items)),
        2 => (0..HOSTS.len(), 0u64..3, 0u64..1000).prop_map(|(h, c, n)| Step::Image(h, c, n)),
        1 => (0u64..4).prop_map(Step::Purge),
        1 => (0u64..3).prop_map(Step::Retain),
        1 => Just(Step::Restart),
    ]
}

fn host_of(n: u64) -> usize {
    (n % 3) as usize
}

/// Everything about a crash follows from its number.
fn record(n: u64, minimal: bool) -> Record {
    let mut record = crash(n, HOSTS[host_of(n)], if minimal { 0 } else { n % 5 });
    record.realtime_ns = Some(AT + (n % 4) * DAY);
    record.kind = if minimal { Kind::Minimal } else { Kind::Full };
    record.process.unit = Some(format!("unit-{}.service", n % 4));
    record.process.container = n.is_multiple_of(2).then(|| format!("container-{}", n % 3));
    record.hardware.topology = n.is_multiple_of(5).then(|| Topology { core: Some(3), ..Topology::default() });
    record
}

#[derive(Default)]
struct Model {
    /// Id → minimal.
    rows: BTreeMap<u64, bool>,
    purged: BTreeSet<u64>,
    horizon_days: u64,
    /// Days since AT, beyond ten.
    passed: u64,
}

impl Model {
    fn expect(&mut self, n: u64, minimal: bool) -> Said {
        let expired = n % 4 < self.horizon_days;
        // Purged ids are forgotten when the horizon keeps them away.
        if expired {
            return Said::Refused;
        }
        if self.purged.contains(&n) {
            return Said::Duplicate;
        }
        match self.rows.get(&n) {
            Some(true) if !minimal => {}
            Some(_) => return Said::Duplicate,
            None => {}
        }
        self.rows.insert(n, minimal);
        Said::Stored
    }
}

fn apply(place: &Place, store: &mut Option<Sqlite>, model: &mut Model, step: &Step) {
    let open = store.as_ref().unwrap();
    match step {
        Step::Batch(host, items) => {
            let mine: Vec<_> = items.iter().filter(|(n, _)| host_of(*n) == *host).collect();
            let bodies = mine.iter().map(|(n, minimal)| body(&record(*n, *minimal))).collect();
            let expected: Vec<Said> = mine.iter().map(|(n, minimal)| model.expect(*n, *minimal)).collect();
            let said = open.ingest(&late(HOSTS[*host]), bodies).unwrap();
            assert_eq!(said.into_iter().map(|one| one.said).collect::<Vec<_>>(), expected);
        }
        Step::Image(host, container, n) => {
            let mut seen = census(10_000 + n, HOSTS[*host], HOUR, 0);
            seen.realtime_ns = Some(AT + 5 * DAY);
            seen.images = vec![(format!("container-{container}"), format!("image-{container}"))];
            open.ingest(&late(HOSTS[*host]), vec![report(&seen)]).unwrap();
        }
        Step::Purge(unit) => {
            let gone: Vec<u64> = model.rows.keys().copied().filter(|n| n % 4 == *unit).collect();
            let purge = Purge { unit: Some(format!("unit-{unit}")), ..Purge::default() };
            assert_eq!(open.purge(&purge, "test").unwrap().records, gone.len() as u64);
            model.rows.retain(|n, _| n % 4 != *unit);
            model.purged.extend(gone);
        }
        Step::Retain(days) => {
            model.passed = (model.passed + days).min(4);
            model.horizon_days = model.passed;
            let before = model.rows.len();
            let horizon = model.horizon_days;
            model.rows.retain(|n, _| n % 4 >= horizon);
            let gone = open
                .retain(Keep { bodies_days: 0, records_days: 10 }, AT + (10 + model.passed) * DAY)
                .unwrap();
            assert_eq!(gone as usize, before - model.rows.len());
        }
        Step::Restart => {
            drop(store.take());
            *store = Some(place.open());
        }
    }
}

fn late(host: &str) -> epicore::store::Origin {
    epicore::store::Origin { received: AT + 30 * DAY, ..origin(host) }
}

/// Key columns as one text, for rows of both sides.
const ROLLED: &str = "SELECT hour||'/'||signature||'/'||host||'/'||workload||'/'||build||'/'||core||'='||n
    FROM crash_hour ORDER BY 1";
const RECOUNTED: &str =
    "SELECT hour||'/'||signature||'/'||host||'/'||workload||'/'||ifnull(build, 0)||'/'||core||'='||count(*)
    FROM crash GROUP BY hour, signature, host, workload, build, core ORDER BY 1";

fn check(place: &Place, store: &Sqlite, model: &Model) {
    let held: BTreeMap<[u8; 16], bool> = all(store)
        .iter()
        .map(|row| (<[u8; 16]>::try_from(row.id.0.as_slice()).unwrap(), row.minimal))
        .collect();
    let wanted: BTreeMap<[u8; 16], bool> = model.rows.iter().map(|(n, minimal)| (id(*n), *minimal)).collect();
    assert_eq!(held, wanted);
    assert_eq!(store.amounts().unwrap().records as usize, model.rows.len());
    assert_eq!(place.look::<String>(ROLLED), place.look::<String>(RECOUNTED));
    let bodies = place.look::<i64>("SELECT count(*) FROM crash WHERE seq NOT IN (SELECT seq FROM body)");
    assert_eq!(bodies, [0]);
    let counted: u64 = store.hosts(&ever()).unwrap().iter().map(|host| host.crashes).sum();
    assert_eq!(counted as usize, model.rows.len());
    let study = store.study(&ever()).unwrap();
    let keyed = model.rows.iter().filter(|(n, minimal)| !**minimal && **n % 5 != 0).count();
    assert_eq!(study.crashes.n.iter().sum::<u32>() as usize, keyed);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_tables_hold_what_the_model_holds(steps in proptest::collection::vec(step(), 1..24)) {
        let place = Place::new();
        let mut store = Some(place.open());
        let mut model = Model::default();
        for step in &steps {
            apply(&place, &mut store, &mut model, step);
            check(&place, store.as_ref().unwrap(), &model);
        }
    }
}

#[test]
fn of_many_senders_of_one_record_exactly_one_stored_it() {
    let place = Place::new();
    let store = place.open();
    let stored: usize = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..8u64)
            .map(|sender| {
                let store = &store;
                scope.spawn(move || {
                    let mut stored = 0;
                    for round in 0..20u64 {
                        let numbers = (0..25).map(|n| (n * 7 + sender + round * 25) % 500);
                        let batch = numbers.map(|n| body(&crash(n, "web-1", n % 9))).collect();
                        let said = ingest(store, "web-1", batch);
                        stored += said.into_iter().filter(|said| *said == Said::Stored).count();
                    }
                    stored
                })
            })
            .collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).sum()
    });
    assert_eq!(stored as u64, store.amounts().unwrap().records);
    assert_eq!(place.look::<String>(ROLLED), place.look::<String>(RECOUNTED));
}
