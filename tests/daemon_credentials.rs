//! Credentials that are wrong are mended under a running epicored.

#[path = "support/daemon.rs"]
mod daemon;
#[path = "support/fake_collector.rs"]
mod fake_collector;

use daemon::Place;
use epicore::forward::Cause;
use fake_collector::{Act, Collector};

fn token(place: &Place, text: &str) {
    std::fs::create_dir_all(place.path("etc")).unwrap();
    std::fs::write(place.path("etc/token.new"), text).unwrap();
    std::fs::rename(place.path("etc/token.new"), place.path("etc/token")).unwrap();
}

/// Starts with this token, waits for the trouble, mends it, and waits for the
/// record; nobody restarts or asks anything.
fn is_mended(first: Option<&str>, cause: Cause) {
    let (place, collector) = (Place::new(), Collector::start());
    collector.otherwise(Act::Token("sesame".into()));
    std::fs::create_dir_all(place.path("etc")).unwrap();
    if let Some(text) = first {
        token(&place, text);
    }
    let id = place.crash(1);
    place.configure(
        Some(&collector.url()),
        &format!("token_file = \"{}\"\n", place.path("etc/token").display()),
    );
    let mut daemon = place.start();
    daemon.wait("the trouble is told", |daemon| daemon.status().outage.is_some());
    let outage = daemon.status().outage.unwrap();
    assert_eq!(outage.trouble.cause, cause, "{}", outage.trouble.what);
    assert!(outage.next_try_ms.is_some_and(|ms| ms > 10_000), "it is tried slowly");
    token(&place, "sesame\n");
    collector.until("it is stored", |state| state.stored.contains_key(&id.0));
    daemon.wait("it is acknowledged", |_| place.named(".rec.sent") == 1);
    assert!(!daemon.log().contains("sesame"), "a token is in no log");
}

#[test]
fn a_wrong_token_is_mended_without_a_restart() {
    is_mended(Some("wrong\n"), Cause::Token);
}

#[test]
fn a_token_that_was_not_there_is_used_when_it_comes() {
    is_mended(None, Cause::Setup);
}

#[test]
fn a_wrong_clock_is_told() {
    let (place, collector) = (Place::new(), Collector::start());
    collector.otherwise(Act::Header("Date: Sun, 06 Nov 2044 08:49:37 GMT".into()));
    place.configure(Some(&collector.url()), "");
    let mut daemon = place.start();
    place.crash(1);
    daemon.wait("it is told", |daemon| {
        daemon.status().warnings.iter().any(|w| w.contains("behind the collector's"))
    });
    assert_eq!(daemon.log().matches("clock").count(), 1);
}
