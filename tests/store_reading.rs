//! Reading: pages, wildcards, prefixes, private records, clones, what is last
//! known of a host.
#![cfg(feature = "collector")]

#[path = "support/store.rs"]
mod support;

use epicore::record::*;
use epicore::store::{Search, Store};
use support::*;

const NONE: [u64; 0] = [];

fn found(store: &dyn Store, search: Search) -> Vec<u64> {
    let page = store.search(&search).unwrap();
    let number = |id: &Id| u64::from_be_bytes(id.0[8..].try_into().unwrap());
    page.records.iter().map(|row| number(&row.id)).collect()
}

#[test]
fn pages_follow_each_other_without_a_gap_while_records_arrive() {
    let place = Place::new();
    let store = place.open();
    (0..25).for_each(|n| assert_eq!(put(&store, &crash(n, "web-1", 1)), epicore::wire::Said::Stored));
    let mut search = Search { newest_first: true, most: 10, ..Search::default() };
    let mut pages = Vec::new();
    for arriving in 100.. {
        let page = store.search(&search).unwrap();
        put(&store, &crash(arriving, "web-1", 1));
        pages.extend(page.records.iter().map(|row| row.id.clone()));
        search.after = page.next;
        if page.next.is_none() {
            break;
        }
    }
    let wanted: Vec<Id> = (0..25).rev().map(|n| Id(id(n).to_vec())).collect();
    assert_eq!(pages, wanted);
    let oldest = Search { most: 2, ..Search::default() };
    assert_eq!(found(&store, oldest), [0, 1]);
}

#[test]
fn the_star_is_any_text_and_every_other_character_is_itself() {
    let place = Place::new();
    let store = place.open();
    let units = ["web[1].service", "web1.service", "web?.service", "mail.service"];
    for (n, unit) in (0..).zip(units) {
        let mut record = crash(n, "web-1", 1);
        record.process.unit = Some(unit.to_owned());
        put(&store, &record);
    }
    let unit = |text: &str| found(&store, Search { unit: Some(text.to_owned()), ..Search::default() });
    assert_eq!(unit("web*"), [0, 1, 2]);
    assert_eq!(unit("web[1]*"), [0]);
    assert_eq!(unit("web?*"), [2]);
    assert_eq!(unit("web1"), [1]);
    assert_eq!(unit("mail.service"), [3]);
    assert_eq!(unit("*"), [0, 1, 2, 3]);
    assert_eq!(unit("WEB1"), NONE);
    assert_eq!(unit("%"), NONE);
}

#[test]
fn every_filter_finds_what_it_says() {
    let place = Place::new();
    let store = place.open();
    let mut other = crash(2, "db-1", 0x00aa_0000_0000_0002);
    other.keys.functions = Some(Hex(0xbeef_0000_0000_0000));
    other.process.exe = Some("/opt/app/server".to_owned());
    other.process.comm = Some("worker".to_owned());
    other.process.build_id = Id::from_hex("00ff12");
    other.crash.signal = Some(6);
    put(&store, &crash(1, "web-1", 0xffaa_0000_0000_0001));
    put(&store, &other);
    let text = |text: &str| Some(text.to_owned());
    let none = Search::default;
    assert_eq!(found(&store, Search { host: text("db-*"), ..none() }), [2]);
    assert_eq!(found(&store, Search { exe: text("server"), ..none() }), [2]);
    assert_eq!(found(&store, Search { exe: text("worker"), ..none() }), [2]);
    assert_eq!(found(&store, Search { exe: text("/opt/*"), ..none() }), [2]);
    assert_eq!(found(&store, Search { exe: text("/server"), ..none() }), NONE);
    assert_eq!(found(&store, Search { build: text("00F"), ..none() }), [2]);
    assert_eq!(found(&store, Search { build: text("*"), ..none() }), NONE);
    assert_eq!(found(&store, Search { signal: Some(6), ..none() }), [2]);
    assert_eq!(found(&store, Search { signature: text("0x00aa"), ..none() }), [2]);
    assert_eq!(found(&store, Search { signature: text("beef"), ..none() }), [2]);
    assert_eq!(found(&store, Search { signature: text("ffaa"), ..none() }), [1]);
    assert_eq!(found(&store, Search { signature: text("no"), ..none() }), NONE);
    assert_eq!(found(&store, Search { since: Some(AT + 2 * SECOND), ..none() }), [2]);
    assert_eq!(found(&store, Search { until: Some(AT + SECOND), ..none() }), [1]);
    assert_eq!(found(&store, Search { host: text("nobody"), ..none() }), NONE);
}

#[test]
fn a_private_record_is_shown_only_to_who_asks_for_private_ones() {
    let place = Place::new();
    let store = place.open();
    let mut record = crash(1, "web-1", 1);
    record.private = true;
    put(&store, &record);
    assert_eq!(found(&store, Search::default()), NONE);
    assert_eq!(found(&store, Search { private: true, ..Search::default() }), [1]);
    let signature = &store.signatures(&ever()).unwrap()[0];
    assert_eq!((signature.crashes, signature.signal), (1, None), "counted, not described");
}

#[test]
fn an_id_is_found_by_any_of_its_digits_those_at_its_ends_first() {
    let place = Place::new();
    let store = place.open();
    (1..=40).for_each(|n| assert_eq!(put(&store, &crash(n, "web-1", 1)), epicore::wire::Said::Stored));
    let find = |digits: &str| store.find(digits).unwrap().records.len();
    assert_eq!(find("7070"), 16);
    assert_eq!(find(&Id(id(7).to_vec()).hex()), 1);
    assert_eq!(find("000028"), 1);
    assert_eq!(find("0000000000000a"), 1);
    assert_eq!(find("0000A"), 1);
    let middle = Id(id(7).to_vec()).hex();
    assert_eq!((find(&middle[1..31]), find(&middle[3..31])), (15, 15), "those up to 0f");
    assert_eq!([find(""), find("xyz"), find(&"7".repeat(40))], [0, 0, 0]);
}

#[test]
fn cloned_machine_ids_are_kept_apart_and_told() {
    let place = Place::new();
    let store = place.open();
    for (n, host) in (1..).zip(["a", "b", "c"]) {
        let mut record = crash(n, host, n);
        record.host.mid = Some(Id(vec![if host == "c" { 2 } else { 1 }; 16]));
        put(&store, &record);
    }
    let hosts = store.hosts(&ever()).unwrap();
    let clones = |host: &str| hosts.iter().find(|row| row.host == host).unwrap().clones.clone();
    assert_eq!((clones("a"), clones("b")), (vec!["b".to_owned()], vec!["a".to_owned()]));
    assert!(clones("c").is_empty());
    assert!(hosts.iter().all(|row| row.crashes == 1));
}

#[test]
fn an_older_report_never_overwrites_what_a_newer_one_told() {
    let place = Place::new();
    let store = place.open();
    let told = |n: u64, kernel: Option<&str>, rack: &str| {
        let mut seen = census(n, "a", n * HOUR, (n - 1) * HOUR);
        seen.host.kernel = kernel.map(str::to_owned);
        seen.labels = vec![("rack".to_owned(), rack.to_owned())];
        seen
    };
    tell(&store, &told(3, None, "r3"));
    tell(&store, &told(2, Some("6.2"), "r2"));
    tell(&store, &told(1, Some("6.1"), "r1"));
    let host = store.hosts(&ever()).unwrap().remove(0);
    assert_eq!((host.kernel.as_deref(), host.hours), (Some("6.2"), 3.0));
    assert_eq!(host.labels, [("rack".to_owned(), "r3".to_owned())]);
}

#[test]
fn signatures_come_by_hosts_and_then_by_crashes() {
    let place = Place::new();
    let store = place.open();
    let crashes = [(1, "a", 7), (2, "a", 7), (3, "a", 7), (4, "a", 8), (5, "b", 8), (6, "b", 9), (7, "a", 0)];
    crashes.iter().for_each(|(n, host, key)| {
        assert!(put(&store, &crash(*n, host, *key)) == epicore::wire::Said::Stored)
    });
    let rows = store.signatures(&ever()).unwrap();
    let told: Vec<_> = rows.iter().map(|row| (row.signature.0, row.hosts, row.crashes, row.builds)).collect();
    assert_eq!(told, [(8, 2, 2, 1), (7, 1, 3, 1), (9, 1, 1, 1)]);
    let hosts = store.hosts(&ever()).unwrap();
    let told: Vec<_> =
        hosts.iter().map(|row| (row.host.as_str(), row.crashes, row.signatures, row.rare)).collect();
    assert_eq!(told, [("a", 5, 2, 2), ("b", 2, 2, 2)]);
}

#[test]
fn a_name_that_only_private_crashes_bear_is_in_no_sum() {
    let place = Place::new();
    let store = place.open();
    let mut secret = crash(1, "web-1", 5);
    secret.private = true;
    secret.process.unit = Some("treasury.service".to_owned());
    put(&store, &secret);
    put(&store, &crash(2, "web-1", 6));
    let told = |store: &dyn Store| {
        let program = store.signatures(&ever()).unwrap().into_iter().find(|row| row.signature == Hex(5));
        let named = |names: Vec<String>| names.iter().any(|name| name == "treasury.service");
        let study = store.study(&ever()).unwrap();
        assert_eq!(study.crashes.n.iter().sum::<u32>(), 2, "it is counted");
        assert_eq!(store.exposure(&ever()).unwrap().iter().map(|row| row.crashes).sum::<u64>(), 2);
        let exposure = store.exposure(&ever()).unwrap().into_iter().map(|row| row.workload).collect();
        [program.unwrap().program.is_some(), named(exposure), named(study.workloads)]
    };
    assert_eq!(told(&store), [false; 3]);
    // A census names what runs to everybody.
    tell(&store, &Exposure { running: vec![runs("treasury.service", 1)], ..census(3, "web-1", HOUR, 0) });
    assert_eq!(told(&store), [true; 3]);
}

#[test]
fn a_pattern_that_matches_very_many_names_finds_the_same() {
    let place = Place::new();
    let store = place.open();
    let many = (0..1200).map(|n| {
        let mut record = crash(n, "web-1", 1);
        record.process.unit = Some(format!("unit-{n}.service"));
        record.process.exe = Some(format!("/usr/bin/exe-{n}"));
        body(&record)
    });
    ingest(&store, "web-1", many.collect());
    let search = |search: Search| found(&store, Search { most: 1000, ..search }).len();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(search(Search { unit: text("unit-*"), ..Search::default() }), 1000);
    assert_eq!(search(Search { unit: text("unit-*0"), ..Search::default() }), 120);
    assert_eq!(search(Search { exe: text("exe-*"), ..Search::default() }), 1000);
    assert_eq!(search(Search { exe: text("/usr/bin/exe-1*"), signal: Some(11), ..Search::default() }), 311);
    assert_eq!(search(Search { exe: text("no*where"), ..Search::default() }), 0);
}
