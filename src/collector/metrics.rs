//! What the collector counts of itself, as OpenMetrics text.
//!
//! Labels are words of the program, never of the network: a scan for unknown
//! paths is one series ("other"), an unknown host none.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::store::Amounts;
use crate::wire::{ItemKind, Said};

/// Seconds; a batch's fsync takes milliseconds, a study some hundred.
const LATENCIES: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Request {
    route: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Route {
    route: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Item {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Cause {
    cause: &'static str,
}

type Unsigned = Gauge<u64, AtomicU64>;

/// All series.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    latency: Family<Route, Histogram, fn() -> Histogram>,
    items: Family<Item, Counter>,
    received: Counter,
    auth: Family<Cause, Counter>,
    tls: Family<Cause, Counter>,
    /// Connections that are open.
    pub(super) connections: Gauge,
    in_flight: Unsigned,
    store: [Unsigned; 5],
    reloads: Family<Cause, Counter>,
}

impl Metrics {
    pub(super) fn new() -> Metrics {
        let mut registry = Registry::with_prefix("epicore_collector");
        let mut metrics = Metrics {
            registry: Registry::default(),
            requests: Family::default(),
            latency: Family::new_with_constructor(|| Histogram::new(LATENCIES)),
            items: Family::default(),
            received: Counter::default(),
            auth: Family::default(),
            tls: Family::default(),
            connections: Gauge::default(),
            in_flight: Unsigned::default(),
            store: Default::default(),
            reloads: Family::default(),
        };
        metrics.register(&mut registry);
        metrics.registry = registry;
        metrics
    }

    fn register(&self, registry: &mut Registry) {
        let version = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "Version of the collector", version);
        registry.register("requests", "Requests by route and status", self.requests.clone());
        registry.register("request_seconds", "Time to the answer, by route", self.latency.clone());
        registry.register("items", "Items of batches by kind and outcome", self.items.clone());
        registry.register("received_bytes", "Bytes of batches as they arrived", self.received.clone());
        registry.register("auth_failures", "Requests that were not let in", self.auth.clone());
        registry.register("tls_failures", "Connections without a handshake", self.tls.clone());
        registry.register("connections", "Connections that are open", self.connections.clone());
        registry.register(
            "in_flight_bytes",
            "Memory admitted for bodies and answers",
            self.in_flight.clone(),
        );
        registry.register("reloads", "SIGHUPs by what came of them", self.reloads.clone());
        let told = [
            ("store_records", "Crash records in the store"),
            ("store_undecoded", "Of them, with a schema newer than this collector"),
            ("store_exposures", "Exposure reports in the store"),
            ("store_hosts", "Hosts that were heard of"),
            ("store_bytes", "Bytes of the store on disk"),
        ];
        for ((name, help), gauge) in told.into_iter().zip(&self.store) {
            registry.register(name, help, gauge.clone());
        }
    }

    /// One request was answered.
    pub(super) fn request(&self, route: &str, status: u16, took: Duration) {
        let route = route.to_owned();
        self.latency.get_or_create(&Route { route: route.clone() }).observe(took.as_secs_f64());
        self.requests.get_or_create(&Request { route, status }).inc();
        match status {
            401 => self.auth.get_or_create(&Cause { cause: "credentials" }).inc(),
            403 => self.auth.get_or_create(&Cause { cause: "permission" }).inc(),
            _ => 0,
        };
    }

    /// A connection ended before its handshake did.
    pub(super) fn tls_failure(&self, cause: &'static str) {
        self.tls.get_or_create(&Cause { cause }).inc();
    }

    /// Settings were read again.
    pub(super) fn reload(&self, good: bool) {
        self.reloads.get_or_create(&Cause { cause: if good { "done" } else { "failed" } }).inc();
    }

    /// A batch arrived.
    pub(super) fn received(&self, bytes: usize) {
        self.received.inc_by(bytes as u64);
    }

    /// One item had an outcome.
    pub(super) fn item(&self, kind: ItemKind, said: Said) {
        let kind = match kind {
            ItemKind::Crash => "crash",
            ItemKind::Exposure => "exposure",
        };
        let outcome = match said {
            Said::Stored => "stored",
            Said::Duplicate => "duplicate",
            Said::Refused => "refused",
            Said::Later => "later",
        };
        self.items.get_or_create(&Item { kind, outcome }).inc();
    }

    /// The text of one scrape.
    pub(super) fn text(&self, amounts: Amounts, in_flight: usize) -> String {
        let told = [amounts.records, amounts.undecoded, amounts.exposures, amounts.hosts, amounts.bytes];
        for (gauge, amount) in self.store.iter().zip(told) {
            gauge.set(amount);
        }
        self.in_flight.set(in_flight as u64);
        let mut out = String::new();
        match text::encode(&mut out, &self.registry) {
            Ok(()) => out,
            Err(_) => "# EOF\n".to_owned(),
        }
    }
}
