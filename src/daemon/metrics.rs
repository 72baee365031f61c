//! Numbers for Prometheus: on the socket, and as a text file where one is
//! configured (node_exporter's textfile collector).
//!
//! What it gives: [`Metrics`]; counters are added to as things happen, gauges
//! set when somebody reads. The file is replaced as a whole, never seen half
//! written, and only when something changed. docs/daemon.md has every name.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::status::{Held, Sent};

type Label = [(&'static str, &'static str); 1];

/// Every number of the daemon.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    items: Family<Label, Counter>,
    held: Family<Label, Gauge>,
    crashes: Family<Label, Counter>,
    requests: Counter,
    failures: Counter,
    bytes: Counter,
    queued: Gauge,
    up: Gauge,
    last_stored: Gauge,
}

impl Metrics {
    /// All of them at zero.
    pub(super) fn new() -> Metrics {
        let mut metrics = Metrics {
            registry: Registry::with_prefix("epicored"),
            items: Family::default(),
            held: Family::default(),
            crashes: Family::default(),
            requests: Counter::default(),
            failures: Counter::default(),
            bytes: Counter::default(),
            queued: Gauge::default(),
            up: Gauge::default(),
            last_stored: Gauge::default(),
        };
        let Metrics { registry, items, held, crashes, requests, failures, bytes, queued, up, last_stored } =
            &mut metrics;
        registry.register("items", "Items by what the collector said", items.clone());
        registry.register("held", "Items that stay on this host, by reason", held.clone());
        registry.register("crashes", "Crashes of which the kernel told", crashes.clone());
        registry.register("requests", "Batches posted", requests.clone());
        registry.register("failures", "Batches that were not taken", failures.clone());
        registry.register("sent_bytes", "Bytes posted, compressed", bytes.clone());
        registry.register("queued", "Items ready to be sent", queued.clone());
        registry.register("collector_up", "1 unless the last batch failed", up.clone());
        registry.register(
            "last_stored_seconds",
            "When the collector last stored something",
            last_stored.clone(),
        );
        metrics
    }

    /// One more batch was not taken.
    pub(super) fn failed(&self) {
        self.failures.inc();
    }

    /// So many crashes the kernel told of, and for so many of them no handler began.
    pub(super) fn crashed(&self, crashes: u64, dropped: u64) {
        for (which, count) in [("told", crashes), ("dropped", dropped)] {
            let counter = self.crashes.get_or_create(&[("which", which)]);
            counter.inc_by(count.saturating_sub(counter.get()));
        }
    }

    /// What happened since the last time.
    pub(super) fn sent(&self, more: Sent) {
        let said = [("stored", more.stored), ("duplicate", more.duplicates), ("refused", more.refused)];
        for (said, count) in said {
            self.items.get_or_create(&[("said", said)]).inc_by(count);
        }
        self.requests.inc_by(more.requests);
        self.bytes.inc_by(more.bytes);
    }

    /// How things are now.
    pub(super) fn now(&self, queued: u64, held: Held, up: bool, last_stored: Option<u64>) {
        let reasons = [
            ("private", held.private),
            ("newer", held.newer),
            ("damaged", held.damaged),
            ("unmarked", held.unmarked),
            ("other-name", held.other_name),
        ];
        for (reason, count) in reasons {
            self.held.get_or_create(&[("reason", reason)]).set(whole(count));
        }
        self.queued.set(whole(queued));
        self.up.set(i64::from(up));
        self.last_stored.set(whole(last_stored.unwrap_or(0) / 1_000_000_000));
    }

    /// OpenMetrics text.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(_) => String::new(), // writing to a String does not fail
        }
    }
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Replaces the text file, in one step.
pub(super) fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let mut next = path.as_os_str().to_owned();
    next.push(".next");
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&next)?;
    file.write_all(text.as_bytes())?;
    std::fs::rename(&next, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_holds_every_number() {
        let metrics = Metrics::new();
        metrics.sent(Sent { stored: 3, duplicates: 2, refused: 1, requests: 4, bytes: 500 });
        metrics.failed();
        metrics.crashed(5, 2);
        metrics.now(7, Held { damaged: 5, ..Held::default() }, true, Some(9_000_000_000));
        let text = metrics.text();
        for line in [
            "epicored_items_total{said=\"stored\"} 3",
            "epicored_items_total{said=\"duplicate\"} 2",
            "epicored_items_total{said=\"refused\"} 1",
            "epicored_held{reason=\"damaged\"} 5",
            "epicored_crashes_total{which=\"told\"} 5",
            "epicored_crashes_total{which=\"dropped\"} 2",
            "epicored_requests_total 4",
            "epicored_failures_total 1",
            "epicored_sent_bytes_total 500",
            "epicored_queued 7",
            "epicored_collector_up 1",
            "epicored_last_stored_seconds 9",
            "# EOF",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
