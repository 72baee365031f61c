//! How the forwarder stands, for whoever asks: the status and the gauges.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::forwarder::{Forwarder, SKEW, clock_words, wall};
use super::queue;
use super::start;
use super::status::{Activity, Dropped, Held, Outage, STATUS_VERSION, Status};
use crate::storm::Watched;

impl Forwarder {
    /// Sets the gauges; called when somebody reads them.
    pub(super) fn gauges(&self) {
        let (queued, up) = (self.queue.ready() as u64, self.outages.current().is_none());
        self.metrics.now(queued, self.held(), up, self.last_stored);
    }

    /// Crashes were counted anew.
    pub(super) fn dropped(&mut self, known: Option<Watched>, missed: bool) {
        self.changed = true;
        self.uncounted = known.is_none().then(|| "the handlers' ledger cannot be read".to_owned());
        let Some(Watched { crashes, dropped, begun, whole, .. }) = known else {
            self.dropped = None;
            return;
        };
        let (before, _) = self.dropped.unwrap_or((Dropped { since: wall(), ..Dropped::default() }, 0));
        self.metrics.crashed(crashes, dropped);
        self.dropped = Some((Dropped { crashes, dropped, exact: whole, missed, ..before }, begun));
    }

    /// As it is known now: handlers that have begun since are not in it.
    fn dropped_now(&self) -> Option<Dropped> {
        let (dropped, then) = self.dropped?;
        let begun = self.ledger.as_ref()?.begun()?;
        Some(Dropped { exact: dropped.exact && begun.count == then, ..dropped })
    }

    fn held(&self) -> Held {
        let queue::Held { private, newer, damaged, unmarked, other_name } = self.queue.held();
        Held { private, newer, damaged, unmarked, other_name }
    }

    /// How things are; what the directory says is added by who answers.
    pub(super) fn status(&self) -> Status {
        let now = Instant::now();
        let until = self.pace.until(now);
        let activity = match (self.forwards(), self.on_the_way) {
            _ if self.stopping.load(Ordering::Acquire) => Activity::Stopping,
            (false, _) => Activity::NoCollector,
            (true, 0) if until.is_some() => Activity::Waiting,
            (true, 0) => Activity::Idle,
            (true, _) => Activity::Sending,
        };
        let outage = self.outages.current().map(|(trouble, since)| Outage {
            trouble: trouble.clone(),
            since,
            failures: u64::from(self.pace.failures()),
            circuit_open: self.pace.is_open(),
            next_try_ms: until.map(|until| {
                u64::try_from(until.saturating_duration_since(now).as_millis()).unwrap_or(u64::MAX)
            }),
        });
        let (held, mut warnings) = (self.held(), self.warnings.clone());
        if held.other_name > 0 {
            warnings.push(format!("{} items stay on this host: {}", held.other_name, self.other_name));
        }
        if self.queue.is_crowded() {
            warnings.push(format!(
                "more than {} items stay on this host: those beyond are not counted, and looked at again every ten minutes",
                self.queue.most()
            ));
        }
        warnings.extend(self.ahead.filter(|ahead| ahead.abs() > SKEW).map(clock_words));
        Status {
            v: STATUS_VERSION,
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            host: start::name(),
            started: self.started,
            at: wall(),
            spool: self.config.spool_directory().display().to_string(),
            collector: self.config.collector.url.clone(),
            activity,
            on_the_way: self.on_the_way as u64,
            window: self.pace.window() as u64,
            young: self.queue.young() as u64,
            held,
            sent: self.sent,
            last_stored: self.last_stored,
            dropped: self.dropped_now(),
            uncounted: self.uncounted.clone(),
            run: self.run.display().to_string(),
            outage,
            warnings,
            ..Status::default()
        }
    }
}
