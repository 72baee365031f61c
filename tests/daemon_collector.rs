//! epicored and epicore-collector, both real: TLS, a token of the collector's
//! own making, a collector that dies in between.

#[path = "support/collector.rs"]
mod collector;
#[path = "support/daemon.rs"]
mod daemon;

use std::time::Duration;

use collector::{Collector, Options};
use daemon::{Place, host, record};
use epicore::config::Collector as Access;
use epicore::daemon::Activity;
use epicore::forward::Api;
use epicore::record::Record;
use epicore::spool::RecordId;
use epicore::wire::api::{One, Page};

/// A record of this host.
fn own(n: u64) -> Record {
    let mut record = record(n);
    record.host.name = Some(host());
    record.crash.signal = Some(11);
    record
}

fn configure(place: &Place, collector: &Collector) {
    std::fs::write(place.path("token"), collector.token("ingest", &host())).unwrap();
    std::fs::write(place.path("ca.pem"), &collector.ca_pem).unwrap();
    let files = format!(
        "token_file = \"{}\"\nca_file = \"{}\"\n[forward]\nbatch_records = 50\n",
        place.path("token").display(),
        place.path("ca.pem").display()
    );
    place.configure(Some(&collector.url), &files);
}

fn api(place: &Place, collector: &Collector) -> Api {
    std::fs::write(place.path("reader"), collector.token("admin", "tester")).unwrap();
    let access = Access {
        url: Some(collector.url.clone()),
        token_file: Some(place.path("reader")),
        ca_file: Some(place.path("ca.pem")),
        proxy: Some(String::new()),
        ..Access::default()
    };
    Api::new(&access, Duration::from_secs(20)).unwrap()
}

/// Every id at the collector.
fn ids(api: &Api) -> Vec<String> {
    let (mut ids, mut after) = (Vec::new(), 0);
    loop {
        let query =
            [("limit", "100".to_owned()), ("order", "oldest".to_owned()), ("after", after.to_string())];
        let page: Page = api.get("/v1/records", &query).unwrap();
        ids.extend(page.records.iter().map(|summary| summary.id.hex()));
        match page.next {
            Some(next) => after = next,
            None => return ids,
        }
    }
}

#[test]
fn a_collector_that_dies_in_between_has_everything_once_in_the_end() {
    let (place, mut collector) = (Place::new(), Collector::start(Options::default()));
    configure(&place, &collector);
    let mut written: Vec<RecordId> = (0..300).map(|n| place.put(&own(n), false)).collect();
    let mut daemon = place.start();
    daemon.wait("some have arrived", |_| place.named(".rec.sent") > 0);
    collector.restart(); // SIGKILL, another port
    daemon.wait("the outage is told, or nothing was left", |daemon| {
        let status = daemon.status();
        status.outage.is_some() || status.crashes.pending == 0
    });
    written.extend((300..330).map(|n| place.put(&own(n), false)));
    configure(&place, &collector);
    daemon.signal(nix::sys::signal::Signal::SIGHUP);
    daemon.wait("everything is acknowledged", |daemon| {
        let status = daemon.status();
        status.crashes.sent == 330 && status.activity == Activity::Idle
    });
    let mut stored = ids(&api(&place, &collector));
    stored.sort();
    let mut wanted: Vec<String> = written.iter().map(ToString::to_string).collect();
    wanted.sort();
    assert_eq!(stored, wanted);
}

#[test]
fn what_was_written_is_what_people_read_and_another_hosts_stays() {
    let (place, collector) = (Place::new(), Collector::start(Options::default()));
    configure(&place, &collector);
    let mut daemon = place.start();
    let mine = own(1);
    place.put(&mine, false);
    let mut other = record(2);
    other.host.name = Some("another".into());
    place.put(&other, false);
    daemon.wait("one is stored, one stays", |daemon| {
        let status = daemon.status();
        (status.crashes.sent, status.held.other_name, status.crashes.refused) == (1, 1, 0)
    });
    let one: One = api(&place, &collector).get(&format!("/v1/records/{}", mine.id.hex()), &[]).unwrap();
    assert_eq!(one.record, Some(mine));
    let error =
        api(&place, &collector).get::<One>("/v1/records/00000000000000000000000000000000", &[]).unwrap_err();
    assert_eq!(error.status(), Some(404), "{error}");
}
