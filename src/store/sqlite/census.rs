//! An exposure report as the writer needs it: facts, labels, containers, and
//! what ran, added up by workload and build.
//!
//! Needs a report's bytes. Gives [`Report`], and what it costs the writer.
//! Counts are clamped to what a kernel can have.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::number::clamp;
use super::part::{ExposurePart, RunningPart};
use super::prepare::{ItemRow, build, identity, newest, readable_exposure, row};
use crate::limits;
use crate::record::coverage;
use crate::record::decode_part;
use crate::record::workload::{self, short};
use crate::store::{Incoming, Origin};

/// Processes of one workload on one host: the kernel's PID_MAX_LIMIT.
const PROCESSES: i64 = 1 << 22;
/// The longest container id.
const CONTAINER_BYTES: usize = 128;
/// Nanoseconds of a millisecond, the unit of the roll-ups.
const MS: u64 = 1_000_000;
/// Rows of process-hours that one report changes: the most workloads that a
/// census tells, in the two hours that it usually touches. Beyond it all of
/// its process-hours are counted in the report's own hour.
const ROWS: usize = 2 * limits::CENSUS_WORKLOADS;
/// Row updates beside them: of the report itself; of a workload (its names,
/// who ran it); of a container; of a label.
const COSTS: [u64; 4] = [10, 4, 4, 3];

/// A workload and its build-id.
pub(super) type Ran = (Option<String>, Option<Vec<u8>>);

/// One census.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub item: ItemRow,
    pub boot: Vec<u8>,
    /// Boottime of the census and of the one before, ms; absent: it stands
    /// for no span.
    pub span: Option<(i64, i64)>,
    pub labels: Vec<(String, String)>,
    pub containers: Vec<(String, String)>,
    pub running: BTreeMap<Ran, i64>,
}

impl Report {
    /// A span of boottime as one of the wall clock.
    pub(super) fn on_the_wall(&self, (low, high): coverage::Span) -> coverage::Span {
        let booted =
            self.item.moment.div_euclid(clamp(MS)).saturating_sub(self.span.map_or(0, |span| span.1));
        (low.saturating_add(booted), high.saturating_add(booted))
    }

    /// True when so many hours would be too many rows.
    pub(super) fn too_wide(&self, hours: usize) -> bool {
        self.running.len().saturating_mul(hours) > ROWS
    }

    /// About how many rows the writer changes.
    pub(super) fn cost(&self) -> u64 {
        let span = self.span.map(|span| self.on_the_wall(coverage::claim(span)));
        let hours = span.map_or(0, |span| coverage::hours(span).count());
        let hours = if self.too_wide(hours) { 1 } else { hours };
        let rows = self.running.len().saturating_mul(hours);
        let amounts = [1, self.running.len(), self.containers.len(), self.labels.len()];
        let costs = amounts.into_iter().zip(COSTS).map(|(n, cost)| (n as u64).saturating_mul(cost));
        costs.fold(rows as u64, u64::saturating_add)
    }
}

/// Reads a report, or says why it will never be taken.
pub(super) fn report(origin: &Origin, item: &Incoming, packed: Vec<u8>) -> Result<Report, String> {
    let part = match decode_part::<ExposurePart<'_>>(&item.body) {
        Ok(part) => part,
        // Of a newer schema the id is enough: it is kept raw.
        Err(error) if newest(&item.body, &error).is_ok_and(|v| !readable_exposure(v)) => {
            ExposurePart { id: &item.id, ..ExposurePart::default() }
        }
        Err(error) => return Err(error.to_string()),
    };
    identity(origin, item, part.id, &part.host)?;
    let (model, microcode) = (part.hardware.model, part.hardware.microcode);
    Ok(Report {
        item: ItemRow { packed, ..row(origin, item, part.at, &part.host, model, microcode) },
        boot: build(part.host.boot).unwrap_or_default(),
        span: span(&part),
        labels: part.labels.0.iter().map(|(name, value)| (own(name), own(value))).collect(),
        containers: containers(&part),
        running: running(&part.running.0),
    })
}

fn own(text: &str) -> String {
    short(text).into_owned()
}

/// `since` to `bt`, when both are told and in order.
fn span(part: &ExposurePart<'_>) -> Option<(i64, i64)> {
    let ms = |ns: u64| clamp(ns.checked_div(MS).unwrap_or(0));
    let (low, high) = (ms(part.since?), ms(part.boottime?));
    (low < high).then_some((low, high))
}

fn containers(part: &ExposurePart<'_>) -> Vec<(String, String)> {
    let fits = part.images.0.iter().filter(|(id, _)| !id.is_empty() && id.len() <= CONTAINER_BYTES);
    fits.map(|(id, image)| ((*id).to_owned(), own(image))).collect()
}

fn running(rows: &[RunningPart<'_>]) -> BTreeMap<Ran, i64> {
    let mut running = BTreeMap::new();
    for row in rows {
        let workload = workload::of(row.image, row.unit, row.exe);
        let n = running.entry((workload.map(Cow::into_owned), build(row.build))).or_insert(0i64);
        *n = n.saturating_add(i64::from(row.n)).min(PROCESSES);
    }
    running.retain(|_, n| *n > 0);
    running
}
