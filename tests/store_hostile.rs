//! Bodies that nobody vouches for: refused with a reason or kept within
//! bounds, and the batch around them is stored.
#![cfg(feature = "collector")]

#[path = "support/store.rs"]
mod support;

use epicore::record::*;
use epicore::store::{Incoming, Search, Store};
use epicore::wire::{ItemKind, Said};
use serde::Serialize;
use support::*;

fn raw(n: u64, body: Vec<u8>) -> Incoming {
    Incoming { id: id(n), kind: ItemKind::Crash, body }
}

#[test]
fn what_is_not_a_record_is_refused_and_its_neighbours_are_stored() {
    let place = Place::new();
    let store = place.open();
    let nested = [vec![0x81, 0xa1, b'x'], vec![0x91; 4000], vec![0xc0]].concat();
    let batch = vec![
        body(&crash(1, "web-1", 1)),
        raw(2, b"not MessagePack \xc1".to_vec()),
        raw(3, Vec::new()),
        raw(4, nested),
        raw(5, vec![0x80; 300 << 10]),
        raw(6, vec![0xdd, 0xff, 0xff, 0xff, 0xff]),
        body(&crash(7, "web-1", 1)),
    ];
    let said = store.ingest(&origin("web-1"), batch).unwrap();
    let refused: Vec<usize> = (0..7).filter(|at| said[*at].said == Said::Refused).collect();
    assert_eq!(refused, [1, 2, 3, 4, 5]);
    assert!(said.iter().all(|one| one.why.is_some() == (one.said == Said::Refused)));
    assert_eq!(store.amounts().unwrap().records, 2);
}

#[test]
fn truncated_and_flipped_records_never_stop_the_store() {
    let place = Place::new();
    let store = place.open();
    let whole = body(&crash(1, "web-1", 1)).body;
    let cut = (0..whole.len()).map(|end| raw(1, whole[..end].to_vec()));
    let flipped = (0..whole.len() * 8).map(|bit| {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        raw(1, bytes)
    });
    let items: Vec<Incoming> = cut.chain(flipped).collect();
    let said = ingest(&store, "web-1", items.clone());
    // One bit makes a map's first byte that of a body packed by a later version.
    let newer = |item: &Incoming| item.body.first().is_some_and(|first| *first < 0x10);
    assert!(said.iter().zip(&items).all(|(said, item)| *said != Said::Later || newer(item)));
    put(&store, &crash(2, "web-1", 1));
    assert!(store.one(&id(2)).unwrap().is_some());
    store.study(&ever()).unwrap();
    all(&store);
}

#[test]
fn a_text_of_any_length_and_with_any_character_is_kept_within_bounds() {
    let place = Place::new();
    let store = place.open();
    let mut record = crash(1, "web-1", 1);
    record.process.unit = Some("ü".repeat(100_000));
    record.process.comm = Some("a\0b\n\u{202e}'; DROP TABLE crash; --".to_owned());
    record.process.exe = Some(String::new());
    record.process.build_id = Some(Id(vec![1; 5000]));
    assert_eq!(put(&store, &record), Said::Stored);
    let one = store.one(&id(1)).unwrap().unwrap();
    assert_eq!(one.summary.comm, record.process.comm);
    assert!(one.summary.unit.unwrap().len() <= 256);
    assert_eq!((one.summary.build, one.record.unwrap()), (None, record));
    assert_eq!(place.look::<i64>("SELECT max(length(CAST(text AS BLOB))) <= 256 FROM text"), [1]);
}

#[test]
fn numbers_beyond_any_sense_keep_their_bits_or_are_clamped() {
    let place = Place::new();
    let store = place.open();
    let mut record = crash(1, "web-1", u64::MAX);
    record.realtime_ns = Some(u64::MAX);
    record.crash.addr = Some(Hex(u64::MAX));
    record.crash.signal = Some(u32::MAX);
    record.hardware.topology =
        Some(Topology { core: Some(u32::MAX), package: Some(u32::MAX), ..Topology::default() });
    put(&store, &record);
    let one = store.one(&id(1)).unwrap().unwrap();
    assert_eq!((one.summary.signature, one.summary.addr), (Some(Hex(u64::MAX)), Some(Hex(u64::MAX))));
    assert_eq!((one.summary.at, one.summary.signal), (i64::MAX as u64, Some(u32::MAX)));
    let first = store.signatures(&ever()).unwrap()[0].first;
    assert_eq!(first, AT + DAY, "a time to come is counted when it arrives");
    let page = store.search(&Search { signature: Some("f".to_owned()), ..Search::default() }).unwrap();
    assert_eq!(page.records.len(), 1);
}

#[test]
fn a_schema_to_come_is_kept_raw_and_counted() {
    #[derive(Serialize)]
    struct Strange {
        v: u16,
        id: Id,
        at: &'static str,
        keys: Vec<u8>,
    }
    let place = Place::new();
    let store = place.open();
    let bytes = rmp_serde::to_vec_named(&Strange { v: 9, id: Id(id(1).to_vec()), at: "noon", keys: vec![1] })
        .unwrap();
    let readable = Record { v: 9, ..crash(2, "web-1", 4) };
    let said = ingest(&store, "web-1", vec![raw(1, bytes.clone()), body(&readable)]);
    assert_eq!(said, [Said::Stored; 2]);
    let amounts = store.amounts().unwrap();
    assert_eq!((amounts.records, amounts.undecoded), (2, 2));
    let one = store.one(&id(1)).unwrap().unwrap();
    assert_eq!((one.raw, one.record, one.summary.host.as_str()), (Some(Id(bytes)), None, "web-1"));
    assert_eq!(store.one(&id(2)).unwrap().unwrap().summary.signature, Some(Hex(4)));
}

#[test]
fn a_wrong_clock_is_corrected_by_what_the_batch_told() {
    let place = Place::new();
    let store = place.open();
    let mut behind = crash(1, "web-1", 1);
    behind.realtime_ns = Some(1000 * SECOND);
    let mut from = origin("web-1");
    from.received = AT;
    from.clock_ns = (1060 * SECOND) as i64 - AT as i64;
    store.ingest(&from, vec![body(&behind)]).unwrap();
    let (summary, signature) =
        (store.one(&id(1)).unwrap().unwrap().summary, store.signatures(&ever()).unwrap().remove(0));
    assert_eq!(summary.at, 1000 * SECOND, "as told");
    assert_eq!(signature.last, AT - HOUR, "a minute before it came");
    let clock = store.hosts(&ever()).unwrap()[0].clock.unwrap();
    assert!((clock - from.clock_ns as f64 / 1e9).abs() < 1e-3);
}

#[test]
fn a_census_of_absurd_numbers_is_kept_and_stays_finite() {
    let place = Place::new();
    let store = place.open();
    let mut census = census(1, "web-1", 0, 0);
    census.boottime_ns = Some(u64::MAX);
    census.realtime_ns = Some(u64::MAX);
    census.running = vec![runs("a.service", u32::MAX), runs("a.service", u32::MAX)];
    census.labels = (0..10_000).map(|n| (format!("label {n}"), "x".repeat(20))).take(5000).collect();
    assert_eq!(tell(&store, &census), Said::Stored);
    let row = &store.exposure(&ever()).unwrap()[0];
    assert_eq!(row.process_hours, 24.0 * f64::from(1 << 22));
    let host = &store.hosts(&ever()).unwrap()[0];
    assert_eq!((host.hours, host.labels.len()), (24.0, 64));
}

#[test]
fn a_host_that_overstates_what_it_runs_never_stops_the_others() {
    let place = Place::new();
    let store = place.open();
    let told =
        |n: u64, host: &str| Exposure { running: vec![runs("a.service", 1)], ..census(n, host, HOUR, 0) };
    assert_eq!(tell(&store, &told(1, "liar")), Said::Stored);
    // What some hundred thousand reports of four million processes add up to.
    let file = rusqlite::Connection::open(&place.path).unwrap();
    assert!(file.execute("UPDATE process_hour SET ms = 9223372036854775807", []).unwrap() > 0);
    assert_eq!(tell(&store, &told(2, "web-1")), Said::Stored);
    assert!(store.exposure(&ever()).unwrap()[0].process_hours > 1e9);
}

#[test]
fn a_census_adds_no_more_rows_than_a_host_can_have() {
    let place = Place::new();
    let store = place.open();
    let mut census = census(1, "web-1", HOUR, 0);
    census.images = (0..20_000).map(|n| (n.to_string(), "i".to_owned())).collect();
    assert_eq!(tell(&store, &census), Said::Stored);
    assert_eq!(place.look::<i64>("SELECT count(*) FROM container"), [1024]);
}

#[test]
fn a_host_that_invents_machine_ids_stays_a_few_rows() {
    let place = Place::new();
    let store = place.open();
    let invented = (0..1000).map(|n| {
        let mut record = crash(n, "web-1", 1);
        record.host.mid = Some(Id(n.to_be_bytes().to_vec()));
        body(&record)
    });
    assert!(ingest(&store, "web-1", invented.collect()).iter().all(|said| *said == Said::Stored));
    assert!(store.amounts().unwrap().hosts <= 17);
    assert_eq!(store.hosts(&ever()).unwrap().iter().map(|row| row.crashes).sum::<u64>(), 1000);
}

#[test]
fn what_cannot_be_read_of_a_schema_to_come_may_be_private() {
    #[derive(Serialize)]
    struct Strange {
        v: u16,
        id: Id,
        #[serde(rename = "priv")]
        private: &'static str,
    }
    let place = Place::new();
    let store = place.open();
    let bytes =
        rmp_serde::to_vec_named(&Strange { v: 9, id: Id(id(1).to_vec()), private: "dump mode" }).unwrap();
    assert_eq!(ingest(&store, "web-1", vec![raw(1, bytes)]), [Said::Stored]);
    assert!(store.search(&Search::default()).unwrap().records.is_empty());
    assert!(store.one(&id(1)).unwrap().unwrap().summary.private);
}

#[test]
fn a_clock_that_was_never_set_is_not_a_record_out_of_time() {
    let place = Place::new();
    let store = place.open();
    let keep = epicore::store::Keep { bodies_days: 0, records_days: 400 };
    store.retain(keep, AT + DAY).unwrap();
    let mut booting = crash(1, "web-1", 1);
    booting.realtime_ns = Some(90 * SECOND);
    assert_eq!(put(&store, &booting), Said::Stored, "the batch came after NTP did");
    let signature = &store.signatures(&ever()).unwrap()[0];
    assert_eq!((signature.crashes, signature.last), (1, AT + DAY), "counted when it came");
    assert_eq!(all(&store)[0].at, 90 * SECOND, "as told");
    // Another host says that so much time has passed.
    let then = epicore::store::Origin { received: AT + 402 * DAY, ..origin("web-2") };
    let late = Exposure { realtime_ns: Some(AT + 402 * DAY), ..census(2, "web-2", HOUR, 0) };
    store.ingest(&then, vec![report(&late)]).unwrap();
    store.retain(keep, AT + 402 * DAY).unwrap();
    assert_eq!(store.amounts().unwrap().records, 0);
    assert_eq!(put(&store, &booting), Said::Duplicate);
}
