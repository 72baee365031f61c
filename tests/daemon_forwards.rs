//! epicored forwards the spool: nothing is lost, nothing is doubled, whatever
//! the collector answers.

#[path = "support/daemon.rs"]
mod daemon;
#[path = "support/fake_collector.rs"]
mod fake_collector;

use std::time::{Duration, Instant};

use daemon::{Place, record, record_at};
use epicore::daemon::Activity;
use epicore::forward::Cause;
use epicore::record::{
    EXPOSURE_SCHEMA, Exposure, Kind, Record, SCHEMA, decode, encode, encode_exposure, new_id,
};
use epicore::spool::RecordId;
use epicore::wire::{ItemKind, Said};
use fake_collector::{Act, Collector};

/// All of `ids` are stored, acknowledged in the spool, and the daemon rests.
fn all_arrive(place: &Place, collector: &Collector, daemon: &mut daemon::Daemon, ids: &[RecordId]) {
    collector.until("all are stored", |state| ids.iter().all(|id| state.stored.contains_key(&id.0)));
    daemon.wait("it rests", |daemon| {
        let status = daemon.status();
        status.activity == Activity::Idle && status.crashes.pending == 0
    });
    assert_eq!(place.named(".rec.sent"), ids.len());
}

/// The same, for who does not want to wait for the backoff: it is asked to try
/// until nothing is pending.
fn all_arrive_when_asked(
    place: &Place,
    collector: &Collector,
    daemon: &mut daemon::Daemon,
    ids: &[RecordId],
) {
    daemon.wait("nothing is pending", |daemon| {
        daemon.ask("flush").is_ok() && daemon.status().crashes.pending == 0
    });
    all_arrive(place, collector, daemon, ids);
}

#[test]
fn a_crash_is_at_the_collector_at_once() {
    let (place, collector) = (Place::new(), Collector::start());
    place.configure(Some(&collector.url()), "");
    let mut daemon = place.start();
    let mut late = Vec::new();
    for n in 0..20 {
        let before = Instant::now();
        let id = place.crash(n);
        collector.until("it is stored", |state| state.stored.contains_key(&id.0));
        late.push(before.elapsed());
    }
    late.sort();
    println!("spool → collector: median {:?}, worst {:?}", late[10], late[19]);
    daemon.wait("all are acknowledged", |_| place.named(".rec.sent") == 20);
    let seen = collector.requests();
    assert!(seen.iter().all(|seen| seen.batch.v == 1 && !seen.batch.from.name.is_empty()));
    assert!(seen.iter().all(|seen| seen.head.contains("content-encoding: zstd")));
}

#[test]
fn a_backlog_leaves_in_batches_of_the_configured_size() {
    let (place, collector) = (Place::new(), Collector::start());
    let ids: Vec<RecordId> = (0..700).map(|n| place.crash(n)).collect();
    place.configure(Some(&collector.url()), "[forward]\nbatch_records = 100\nconcurrency = 2\n");
    let mut daemon = place.start();
    all_arrive(&place, &collector, &mut daemon, &ids);
    let state = collector.state.0.lock().unwrap();
    assert!(state.seen.iter().all(|seen| seen.batch.items.len() <= 100));
    assert!(state.seen.len() <= 10, "{} batches for 700 records", state.seen.len());
    assert!(state.most_at_once <= 2);
    assert!(state.stored.values().all(|(times, ..)| *times == 1), "something was sent twice");
}

#[test]
fn a_batch_is_bounded_in_bytes_too() {
    let (place, collector) = (Place::new(), Collector::start());
    let ids: Vec<RecordId> = (0..12)
        .map(|n| {
            let mut record = record(n);
            record.process.cgroup = Some("x".repeat(60_000));
            place.put(&record, false)
        })
        .collect();
    place.configure(Some(&collector.url()), "[forward]\nbatch_bytes = 262144\n");
    let mut daemon = place.start();
    all_arrive(&place, &collector, &mut daemon, &ids);
    assert!(collector.requests().iter().all(|seen| seen.plain.len() <= 262_144));
}

#[test]
fn what_the_collector_cannot_take_now_is_sent_again() {
    let problem = rmp_serde::to_vec_named(&epicore::wire::api::Problem {
        error: "the disk is full".into(),
        next: None,
    })
    .unwrap();
    for (status, cause) in [
        (408, Cause::Status),
        (409, Cause::Status),
        (425, Cause::Status),
        (429, Cause::TooMany),
        (500, Cause::Status),
        (503, Cause::CannotStore),
        (599, Cause::Status),
        (204, Cause::Status),
    ] {
        let (place, collector) = (Place::new(), Collector::start());
        collector.otherwise(Act::Status(
            status,
            String::new(),
            if status == 204 { Vec::new() } else { problem.clone() },
        ));
        let id = place.crash(1);
        place.configure(Some(&collector.url()), "");
        let mut daemon = place.start();
        daemon.wait("the outage is told", |daemon| daemon.status().outage.is_some());
        let outage = daemon.status().outage.unwrap();
        assert_eq!(outage.trouble.cause, cause, "{status}: {}", outage.trouble.what);
        if status == 503 {
            assert!(outage.trouble.what.contains("the disk is full"), "{}", outage.trouble.what);
        }
        assert_eq!(place.named(".rec"), 1, "{status}");
        collector.otherwise(Act::Store);
        all_arrive_when_asked(&place, &collector, &mut daemon, &[id]);
        assert!(daemon.status().outage.is_none());
    }
}

#[test]
fn what_somebody_must_mend_is_kept_and_tried_slowly() {
    for (status, cause) in [
        (401, Cause::Token),
        (403, Cause::Forbidden),
        (404, Cause::NotACollector),
        (405, Cause::NotACollector),
        (415, Cause::NotACollector),
        (426, Cause::NotACollector),
        (301, Cause::NotACollector),
    ] {
        let (place, collector) = (Place::new(), Collector::start());
        collector.otherwise(Act::Status(status, "Location: http://127.0.0.1:1/\r\n".into(), Vec::new()));
        let id = place.crash(1);
        place.configure(Some(&collector.url()), "");
        let mut daemon = place.start();
        daemon.wait("the outage is told", |daemon| daemon.status().outage.is_some());
        let outage = daemon.status().outage.unwrap();
        assert_eq!(outage.trouble.cause, cause, "{status}");
        assert!(!outage.trouble.next.is_empty());
        assert!(outage.next_try_ms.is_some_and(|ms| ms > 10_000), "{status}: {:?}", outage.next_try_ms);
        collector.otherwise(Act::Store);
        all_arrive_when_asked(&place, &collector, &mut daemon, &[id]);
        assert_eq!(daemon.status().sent.refused, 0);
    }
}

/// An nginx before the collector said 400 to an expired client certificate;
/// 200 records were marked as refused for good, and the status was well.
#[test]
fn a_400_of_somebody_else_refuses_nothing_and_is_told() {
    let page = b"<html><head><title>400 The SSL certificate error</title></head></html>".to_vec();
    let (place, collector) = (Place::new(), Collector::start());
    let ids: Vec<RecordId> = (0..20).map(|n| place.crash(n)).collect();
    collector.otherwise(Act::Status(400, "Content-Type: text/html\r\n".into(), page));
    place.configure(Some(&collector.url()), "");
    let mut daemon = place.start();
    daemon.wait("the outage is told", |daemon| daemon.status().outage.is_some());
    let outage = daemon.status().outage.unwrap();
    assert_eq!(outage.trouble.cause, Cause::NotACollector);
    assert!(outage.trouble.next.contains("client certificate"), "{:?}", outage.trouble);
    assert!(outage.next_try_ms.is_some_and(|ms| ms > 10_000));
    assert_eq!((collector.requests().len(), place.named(".rec")), (1, 20));
    let (code, text) = place.status_as_told();
    assert!(code == Some(1) && text.contains("refuses this host's requests (400)"), "{text}");
    collector.otherwise(Act::Store);
    all_arrive_when_asked(&place, &collector, &mut daemon, &ids);
    assert_eq!((daemon.status().sent.refused, place.status_as_told().0), (0, Some(0)));
}

/// A collector that was down for a night was said to have got 1,500 requests.
#[test]
fn what_found_no_connection_is_not_counted_as_sent() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (place, collector) = (Place::new(), Collector::start());
    place.crash(1);
    place.configure(Some(&closed), "");
    let mut daemon = place.start();
    daemon.wait("the outage is told", |daemon| daemon.status().outage.is_some());
    let sent = daemon.status().sent;
    assert_eq!((sent.requests, sent.bytes), (0, 0), "{sent:?}");
    drop(daemon);
    // An answer of no use was a request all the same.
    collector.otherwise(Act::Status(503, String::new(), Vec::new()));
    place.configure(Some(&collector.url()), "");
    let mut daemon = place.start();
    daemon.wait("the outage is told", |daemon| daemon.status().outage.is_some());
    assert!(daemon.status().sent.requests >= 1 && daemon.status().sent.bytes > 0);
}

#[test]
fn one_bad_record_is_found_and_the_others_are_stored() {
    for status in [400, 413] {
        let (place, collector) = (Place::new(), Collector::start());
        let ids: Vec<RecordId> = (0..40).map(|n| place.crash(n)).collect();
        collector.otherwise(Act::Blame(status, vec![ids[17].0]));
        place.configure(Some(&collector.url()), "");
        let mut daemon = place.start();
        daemon.wait("it is refused", |_| place.named(".rec.refused") == 1);
        daemon.wait("the others are acknowledged", |_| place.named(".rec.sent") == 39);
        assert!(place.path(&format!("spool/{}.rec.refused", ids[17])).exists());
        assert_eq!(daemon.status().refusals.len(), 1);
        assert!(daemon.log().contains(&ids[17].to_string()), "{}", daemon.log());
        let (code, text) = place.status_as_told();
        assert!(code == Some(1) && text.contains("1 item since") && text.contains("--retry"), "{text}");

        collector.otherwise(Act::Store);
        assert!(daemon.ask("retry").unwrap().starts_with("1 "));
        all_arrive(&place, &collector, &mut daemon, &ids);
        assert_eq!(place.status_as_told().0, Some(0));
    }
}

#[test]
fn a_refused_item_is_kept_and_not_sent_again() {
    let (place, collector) = (Place::new(), Collector::start());
    collector.otherwise(Act::Say(Said::Refused));
    place.crash(1);
    place.configure(Some(&collector.url()), "");
    let mut daemon = place.start();
    daemon.wait("it is refused", |_| place.named(".rec.refused") == 1);
    daemon.ask("flush").unwrap();
    drop(daemon);
    collector.otherwise(Act::Store);
    let id = place.crash(2);
    let _daemon = place.start();
    collector.until("the other one is stored", |state| state.stored.contains_key(&id.0));
    assert_eq!((collector.stored().len(), place.named(".rec.refused")), (1, 1));
}

#[test]
fn an_answer_that_says_nothing_confirms_nothing() {
    let (place, collector) = (Place::new(), Collector::start());
    let ids: Vec<RecordId> = (0..3).map(|n| place.crash(n)).collect();
    collector.script([
        Act::Garbage(b"<html>Please log in</html>".to_vec()),
        Act::Garbage(Vec::new()),
        Act::Garbage(vec![0xdf; 100]),
        Act::Garbage(b"\x82\xa1v\x01\xa8outcomes\x90".to_vec()),
        Act::Say(Said::Later),
        Act::Close,
        Act::StoreAndCut,
    ]);
    place.configure(Some(&collector.url()), "");
    let mut daemon = place.start();
    all_arrive_when_asked(&place, &collector, &mut daemon, &ids);
    let times: Vec<u32> =
        collector.state.0.lock().unwrap().stored.values().map(|(times, ..)| *times).collect();
    assert_eq!(times, [2, 2, 2], "the cut answer made one duplicate of each, and nothing else did");
    assert_eq!(daemon.status().sent.duplicates, 3);
}

#[test]
fn an_endless_answer_is_not_read_to_its_end() {
    let (place, collector) = (Place::new(), Collector::start());
    collector.script([Act::Garbage(vec![0xc0; 6 << 20])]);
    let id = place.crash(1);
    place.configure(Some(&collector.url()), "");
    let mut daemon = place.start();
    all_arrive_when_asked(&place, &collector, &mut daemon, &[id]);
    assert!(daemon.log().contains("larger than"), "{}", daemon.log());
}

#[test]
fn a_collector_that_dawdles_is_given_up_and_tried_again() {
    let (place, collector) = (Place::new(), Collector::start());
    collector.script([Act::Late(Duration::from_millis(1500))]);
    let id = place.crash(1);
    place.configure(Some(&collector.url()), "[forward]\ntimeout_seconds = 1\n");
    let mut daemon = place.start();
    daemon.wait("it is told", |daemon| daemon.log().contains("did not answer in time"));
    all_arrive_when_asked(&place, &collector, &mut daemon, &[id]);
}

#[test]
fn after_an_outage_everything_arrives() {
    let (place, collector) = (Place::new(), Collector::start());
    collector.otherwise(Act::Status(500, String::new(), Vec::new()));
    place.configure(Some(&collector.url()), "[forward]\nbatch_records = 10\n");
    let mut daemon = place.start();
    let mut ids: Vec<RecordId> = (0..50).map(|n| place.crash(n)).collect();
    daemon.wait("the circuit is open", |daemon| {
        daemon.ask("flush").is_ok() && daemon.status().outage.is_some_and(|outage| outage.circuit_open)
    });
    ids.extend((50..60).map(|n| place.crash(n)));
    collector.otherwise(Act::Store);
    all_arrive_when_asked(&place, &collector, &mut daemon, &ids);
    let log = daemon.log();
    assert_eq!(log.matches("failed (500)").count(), 1, "an outage is one line:\n{log}");
    assert_eq!(log.matches("takes records again").count(), 1, "{log}");
}

#[test]
fn retry_after_is_obeyed() {
    let (place, collector) = (Place::new(), Collector::start());
    collector.script([Act::Status(429, "Retry-After: 2\r\n".into(), Vec::new())]);
    let id = place.crash(1);
    place.configure(Some(&collector.url()), "");
    let mut daemon = place.start();
    all_arrive(&place, &collector, &mut daemon, &[id]);
    let seen = collector.requests();
    assert!(seen[1].at - seen[0].at >= Duration::from_secs(2), "{:?}", seen[1].at - seen[0].at);
}

#[test]
fn a_minimal_record_waits_for_its_full_one() {
    let (place, collector) = (Place::new(), Collector::start());
    place.configure(Some(&collector.url()), "");
    let mut daemon = place.start();
    let full = record(1);
    let id = RecordId(full.id.0.as_slice().try_into().unwrap());
    let minimal = Record { kind: Kind::Minimal, ..full.clone() };
    place.spool.write_minimal((id, false), &encode(&minimal).unwrap()).unwrap();
    daemon.wait("it is seen", |daemon| daemon.status().young == 1);
    assert!(collector.stored().is_empty());
    place.put(&full, false);
    all_arrive(&place, &collector, &mut daemon, &[id]);
    let state = collector.state.0.lock().unwrap();
    let (times, kind, body) = &state.stored[&id.0];
    assert_eq!((*times, *kind, decode(body).unwrap().kind), (1, ItemKind::Crash, Kind::Full));
    drop(state);
    assert_eq!(daemon.status().young, 0);
}

#[test]
fn a_minimal_record_of_long_ago_is_sent_as_it_is() {
    let (place, collector) = (Place::new(), Collector::start());
    let old = Record { kind: Kind::Minimal, ..record_at(1_700_000_000_000, 1) };
    let id = RecordId(old.id.0.as_slice().try_into().unwrap());
    place.spool.write_minimal((id, false), &encode(&old).unwrap()).unwrap();
    place.configure(Some(&collector.url()), "[retention]\ndays = 0\n");
    let mut daemon = place.start();
    all_arrive(&place, &collector, &mut daemon, &[id]);
    place.put(&Record { kind: Kind::Full, ..old }, false);
    collector.until("the full one follows", |state| state.stored[&id.0].0 == 2);
}

#[test]
fn exposure_reports_leave_like_crashes() {
    let (place, collector) = (Place::new(), Collector::start());
    place.configure(Some(&collector.url()), "");
    let mut daemon = place.start();
    let id: [u8; 16] = new_id().0.try_into().unwrap();
    let report = Exposure { v: EXPOSURE_SCHEMA, id: epicore::record::Id(id.to_vec()), ..Exposure::default() };
    place.spool.write_exposure(id, &encode_exposure(&report).unwrap()).unwrap();
    collector.until("it is stored", |state| state.stored.contains_key(&id));
    assert_eq!(collector.state.0.lock().unwrap().stored[&id].1, ItemKind::Exposure);
    daemon.wait("it is acknowledged", |daemon| daemon.status().exposures.sent == 1);
}

#[test]
fn what_cannot_be_redacted_stays_and_is_told() {
    let (place, collector) = (Place::new(), Collector::start());
    let newer = Record { v: SCHEMA + 1, ..record(1) };
    place.put(&newer, false);
    std::fs::write(place.path("spool/00000000000070008000000000000001.rec"), b"rubbish").unwrap();
    place.put(&Record { private: true, ..record(2) }, true);
    place.put(&Record { private: true, ..record(3) }, false);
    let id = place.crash(4);
    place.configure(Some(&collector.url()), "");
    let mut daemon = place.start();
    collector.until("the good one is stored", |state| state.stored.contains_key(&id.0));
    daemon.wait("the others are held", |daemon| {
        let held = daemon.status().held;
        (held.newer, held.damaged, held.private) == (1, 1, 2)
    });
    assert_eq!(collector.stored(), [id.0]);
    let log = daemon.log();
    assert!(log.contains("schema 2 is later") && log.contains("not a spool file"), "{log}");
    daemon.ask("flush").unwrap();
    daemon.wait("it rests", |daemon| daemon.status().activity == Activity::Idle);
    assert_eq!(daemon.log().matches("stays here").count(), 3, "what is held is told once");
}

#[test]
fn private_records_leave_when_that_is_configured() {
    let (place, collector) = (Place::new(), Collector::start());
    place.configure(Some(&collector.url()), "[forward]\nprivate = true\n");
    let before = place.put(&Record { private: true, ..record(1) }, true);
    let _daemon = place.start();
    let after = place.put(&Record { private: true, ..record(2) }, true);
    collector
        .until("both are stored", |state| [before, after].iter().all(|id| state.stored.contains_key(&id.0)));
}

#[test]
fn without_a_collector_nothing_leaves_and_nothing_is_lost() {
    let place = Place::new();
    place.configure(None, "");
    let daemon = place.start();
    place.crash(1);
    let status = daemon.status();
    assert_eq!((status.activity, status.crashes.pending), (Activity::NoCollector, 1));
}
