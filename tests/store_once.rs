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
