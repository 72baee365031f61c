//! Each record once: duplicates, other orders, the minimal record's upgrade,
//! and what will never be taken.
#![cfg(feature = "collector")]

#[path = "support/store.rs"]
mod support;

use epicore::record::*;
use epicore::store::{Search, Store};
use epicore::wire::Said;
use support::*;

#[test]
fn a_batch_sent_twice_is_stored_once() {
    let place = Place::new();
    let store = place.open();
    let batch: Vec<_> = (0..50).map(|n| body(&crash(n, "web-1", n % 7))).collect();
    assert_eq!(ingest(&store, "web-1", batch.clone()), [Said::Stored; 50]);
    assert_eq!(ingest(&store, "web-1", batch), [Said::Duplicate; 50]);
    assert_eq!(store.amounts().unwrap().records, 50);
    assert_eq!(all(&store).len(), 50);
}

#[test]
fn a_duplicate_within_a_batch_is_stored_once() {
    let place = Place::new();
    let store = place.open();
    let one = body(&crash(1, "web-1", 5));
    assert_eq!(ingest(&store, "web-1", vec![one.clone(), one]), [Said::Stored, Said::Duplicate]);
}

#[test]
fn what_was_stored_is_read_back_whole_after_a_restart() {
    let place = Place::new();
    let record = crash(1, "web-1", 0xfedc_ba98_7654_3210);
    put(&place.open(), &record);
    let store = place.open();
    let one = store.one(&id(1)).unwrap().unwrap();
    assert_eq!(one.record.unwrap(), record);
    assert_eq!(one.summary.signature, Some(Hex(0xfedc_ba98_7654_3210)));
    assert_eq!((one.summary.unit.as_deref(), one.summary.signal), (Some("nginx.service"), Some(11)));
    let page = store.search(&Search { signature: Some("fedc".to_owned()), ..Search::default() }).unwrap();
    assert_eq!(page.records, [one.summary]);
}

#[test]
fn the_full_record_takes_the_place_of_the_minimal_one_and_never_the_other_way() {
    let place = Place::new();
    let store = place.open();
    let full = crash(1, "web-1", 9);
    let minimal = Record { kind: Kind::Minimal, keys: Keys::default(), ..full.clone() };
    assert_eq!(put(&store, &minimal), Said::Stored);
    let before = store.one(&id(1)).unwrap().unwrap().summary;
    assert!(before.minimal && before.signature.is_none());
    assert_eq!(put(&store, &full), Said::Stored);
    assert_eq!(put(&store, &minimal), Said::Duplicate);
    assert_eq!(put(&store, &full), Said::Duplicate);
    let after = store.one(&id(1)).unwrap().unwrap();
    assert_eq!(after.record.unwrap(), full);
    assert_eq!((after.summary.seq, after.summary.minimal), (before.seq, false));
    let signatures = store.signatures(&ever()).unwrap();
    assert_eq!((signatures.len(), signatures[0].crashes), (1, 1));
    assert_eq!(store.hosts(&ever()).unwrap()[0].crashes, 1);
}

#[test]
fn another_hosts_record_and_another_records_id_are_refused() {
    let place = Place::new();
    let store = place.open();
    let foreign = body(&crash(1, "db-1", 9));
    let mut wrong = body(&crash(2, "web-1", 9));
    wrong.id = id(3);
    assert_eq!(ingest(&store, "web-1", vec![foreign, wrong]), [Said::Refused; 2]);
    let nameless = Record { host: Host::default(), ..crash(4, "", 9) };
    assert_eq!(ingest(&store, "web-1", vec![body(&nameless)]), [Said::Stored]);
    assert_eq!(store.one(&id(4)).unwrap().unwrap().summary.host, "web-1");
}

#[test]
fn a_host_cannot_overwrite_the_record_of_another() {
    let place = Place::new();
    let store = place.open();
    let minimal = Record { kind: Kind::Minimal, ..crash(1, "web-1", 0) };
    put(&store, &minimal);
    assert_eq!(put(&store, &crash(1, "db-1", 5)), Said::Refused);
    assert_eq!(store.one(&id(1)).unwrap().unwrap().record.unwrap(), minimal);
}

#[test]
fn the_full_record_of_a_schema_to_come_takes_the_place_of_its_minimal_one() {
    let place = Place::new();
    let store = place.open();
    let full = Record { v: SCHEMA + 1, ..crash(1, "web-1", 7) };
    let minimal = Record { kind: Kind::Minimal, keys: Keys::default(), ..full.clone() };
    assert_eq!(put(&store, &minimal), Said::Stored);
    assert_eq!(put(&store, &full), Said::Stored);
    assert_eq!(put(&store, &minimal), Said::Duplicate);
    assert_eq!(store.one(&id(1)).unwrap().unwrap().summary.signature, Some(Hex(7)));
}
