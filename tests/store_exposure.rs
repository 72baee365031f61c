//! Exposure by hand: every expected number below was worked out on paper.
#![cfg(feature = "collector")]

#[path = "support/store.rs"]
mod support;

use epicore::record::*;
use epicore::store::{Store, Window};
use epicore::wire::Said;
use proptest::prelude::*;
use support::*;

const MINUTE: u64 = 60 * SECOND;

fn hours(store: &dyn Store, host: &str) -> f64 {
    store.hosts(&ever()).unwrap().into_iter().find(|row| row.host == host).unwrap().hours
}

#[test]
fn a_census_stands_for_the_span_since_the_one_before_in_the_hours_it_covers() {
    let place = Place::new();
    let store = place.open();
    // 14:30 to 16:15: half of one hour, one whole, a quarter.
    let mut seen = census(1, "web-1", 135 * MINUTE, 30 * MINUTE);
    seen.running = vec![runs("nginx.service", 4), runs("sshd.service", 1)];
    tell(&store, &seen);
    assert_eq!(hours(&store, "web-1"), 1.75);
    let rows = store.exposure(&ever()).unwrap();
    assert_eq!((rows[0].workload.as_str(), rows[0].process_hours, rows[0].hosts), ("nginx.service", 7.0, 1));
    assert_eq!((rows[1].workload.as_str(), rows[1].process_hours), ("sshd.service", 1.75));
    let middle = Window { since: AT + HOUR, until: AT + 2 * HOUR - 1, most: 10 };
    let rows = store.exposure(&middle).unwrap();
    assert_eq!(rows[0].process_hours, 4.0);
    assert_eq!(store.study(&middle).unwrap().host_hours, [1.0]);
}

#[test]
fn a_census_told_twice_or_overlapped_by_a_lie_counts_once() {
    let place = Place::new();
    let store = place.open();
    let first = census(1, "web-1", 2 * HOUR, HOUR);
    assert_eq!([tell(&store, &first), tell(&store, &first)], [Said::Stored, Said::Duplicate]);
    // The daemon forgot the census before and says that nobody ever looked.
    tell(&store, &census(2, "web-1", 3 * HOUR, 0));
    assert_eq!(hours(&store, "web-1"), 3.0);
    // Another boot's hours are its own.
    let mut other = census(3, "web-1", HOUR, 0);
    other.host.boot = Some(Id(vec![8; 16]));
    other.realtime_ns = Some(AT + 9 * HOUR);
    tell(&store, &other);
    assert_eq!(hours(&store, "web-1"), 4.0);
}

#[test]
fn a_host_that_slept_for_a_month_weighs_a_day() {
    let place = Place::new();
    let store = place.open();
    let mut woken = census(1, "web-1", 30 * DAY, 0);
    woken.realtime_ns = Some(AT);
    tell(&store, &woken);
    assert_eq!(hours(&store, "web-1"), 24.0);
}

#[test]
fn a_census_that_does_not_say_since_when_counts_no_hours() {
    let place = Place::new();
    let store = place.open();
    let mut blind = census(1, "web-1", HOUR, 0);
    blind.since_ns = None;
    blind.running = vec![runs("nginx.service", 4)];
    tell(&store, &blind);
    let backwards = census(2, "web-1", HOUR, 2 * HOUR);
    tell(&store, &backwards);
    assert_eq!(hours(&store, "web-1"), 0.0);
    let row = &store.exposure(&ever()).unwrap()[0];
    assert_eq!((row.process_hours, row.hosts), (0.0, 1));
}

#[test]
fn a_container_is_counted_under_its_image_whichever_comes_first() {
    let place = Place::new();
    let store = place.open();
    let inside = |n| {
        let mut record = crash(n, "web-1", 5);
        record.process.unit = Some("docker-0123456789abcdef.scope".to_owned());
        record.process.container = Some("0123456789abcdef".to_owned());
        record
    };
    put(&store, &inside(1));
    assert_eq!(store.signatures(&ever()).unwrap()[0].program.as_deref(), Some("docker-*.scope"));
    let mut seen = census(2, "web-1", HOUR, 0);
    seen.images = vec![("0123456789abcdef".to_owned(), "shop/cart:7".to_owned())];
    seen.running = vec![Running { image: Some("shop/cart:7".to_owned()), n: 2, ..Running::default() }];
    tell(&store, &seen);
    put(&store, &inside(3));
    let signature = &store.signatures(&ever()).unwrap()[0];
    assert_eq!((signature.program.as_deref(), signature.crashes), (Some("shop/cart:7"), 2));
    assert!(all(&store).iter().all(|row| row.image.as_deref() == Some("shop/cart:7")));
    let study = store.study(&ever()).unwrap();
    assert_eq!(study.workloads, ["shop/cart:7"]);
    // Another host's container of that id is another container.
    let mut other = inside(4);
    other.host.name = Some("web-2".to_owned());
    put(&store, &other);
    assert_eq!(store.one(&id(4)).unwrap().unwrap().summary.image, None);
}

/// What a census of 16,384 workloads says of a day, in another boot each time.
fn wide(n: u64) -> epicore::store::Incoming {
    let mut seen = census(n, "web-1", DAY, 0);
    seen.host.boot = Some(Id(n.to_be_bytes().to_vec()));
    seen.running = (0..16_384).map(|n| runs(&format!("{n:x}"), 1)).collect();
    for row in &mut seen.running {
        row.build_id = None;
    }
    report(&seen)
}

/// 8 KB of exposure reports unfolded to 24 million rows: gigabytes, and minutes
/// in which nobody else was answered.
#[test]
fn a_batch_that_unfolds_is_taken_in_slices_and_within_an_allowance() {
    let place = Place::new();
    let store = place.open();
    let said = ingest(&store, "web-1", (0..60).map(wide).collect());
    let stored = said.iter().filter(|said| **said == Said::Stored).count();
    assert!((2..=3).contains(&stored), "{stored}");
    assert!(said[stored..].iter().all(|said| *said == Said::Later), "the rest is sent again");
    // Too many rows for each hour: all of its process-hours, in its own hour.
    let rows = store.exposure(&ever()).unwrap();
    assert_eq!((rows.len(), rows[0].process_hours), (10_000, 24.0 * stored as f64));
    assert_eq!(place.look::<i64>("SELECT count(*) FROM process_hour"), [16_384]);
    assert_eq!(hours(&store, "web-1"), 24.0 * stored as f64);
    // In one hour of the collector a host has one allowance, others have theirs.
    assert_eq!(ingest(&store, "web-1", vec![wide(100), wide(101)])[1], Said::Later);
    assert_eq!(tell(&store, &census(102, "web-1", HOUR, 0)), Said::Later);
    assert_eq!(tell(&store, &census(102, "web-2", HOUR, 0)), Said::Stored);
    assert_eq!(put(&store, &crash(103, "web-1", 1)), Said::Stored, "crashes are no exposure");
    let next = epicore::store::Origin { received: AT + DAY + HOUR, ..origin("web-1") };
    assert_eq!(store.ingest(&next, vec![wide(104)]).unwrap()[0].said, Said::Stored);
}

#[test]
fn what_hosts_have_in_common_is_counted_by_hosts_and_hours() {
    let place = Place::new();
    let store = place.open();
    for (n, host, kernel, rack) in [(1, "a", "6.1", "r1"), (2, "b", "6.1", "r2"), (3, "c", "6.9", "r1")] {
        let mut seen = census(n, host, n * HOUR, 0);
        seen.host.kernel = Some(kernel.to_owned());
        seen.labels = vec![("rack".to_owned(), rack.to_owned())];
        tell(&store, &seen);
    }
    put(&store, &crash(10, "a", 5));
    put(&store, &crash(11, "a", 5));
    put(&store, &crash(12, "c", 6));
    let rows = store.attributes(&ever(), Some(5)).unwrap();
    let of = |attribute: &str, value: &str| {
        let row = rows.iter().find(|row| row.attribute == attribute && row.value == value).unwrap();
        (row.cases, row.crashes, row.hosts, row.hours)
    };
    assert_eq!(of("kernel", "6.1"), (1, 2, 2, 3.0));
    assert_eq!(of("kernel", "6.9"), (0, 0, 1, 3.0));
    assert_eq!(of("rack", "r1"), (1, 2, 2, 4.0));
    assert_eq!(of("host", "b"), (0, 0, 1, 2.0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever arrives, how often and in which order: the hours are those of
    /// the union of what did arrive.
    #[test]
    fn hours_are_the_union_of_all_spans(
        spans in proptest::collection::vec((0u64..40, 1u64..20), 1..12),
        order in proptest::collection::vec(0usize..12, 1..30),
    ) {
        let place = Place::new();
        let store = place.open();
        let mut covered = std::collections::BTreeSet::new();
        for at in order.iter().filter(|at| **at < spans.len()) {
            let (from, length) = spans[*at];
            tell(&store, &census(*at as u64, "web-1", (from + length) * 15 * MINUTE, from * 15 * MINUTE));
            covered.extend(from..from + length);
        }
        if !covered.is_empty() {
            prop_assert_eq!(hours(&store, "web-1"), covered.len() as f64 / 4.0);
        }
    }
}
