//! An exposure report as the writer needs it: facts, labels, containers, and
//! what ran, added up by workload and build.
//!
//! Needs a report's bytes. Gives [`Report`]. Counts are clamped to what a
//! kernel can have, and lists cut where a census cuts them: each entry is a row
//! that the writer adds.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::number::clamp;
use super::part::HostPart;
use super::prepare::{ItemRow, build, identity, newest, readable_exposure, row};
use super::workload::{self, short};
use crate::limits;
use crate::record::{Exposure, decode_exposure};
use crate::store::{Incoming, Origin};

/// Processes of one workload on one host: the kernel's PID_MAX_LIMIT.
const PROCESSES: i64 = 1 << 22;
/// Labels of one host.
const LABELS: usize = 64;
/// The longest container id.
const CONTAINER_BYTES: usize = 128;
/// Nanoseconds of a millisecond, the unit of the roll-ups.
const MS: u64 = 1_000_000;

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

/// Reads a report, or says why it will never be taken.
pub(super) fn report(origin: &Origin, item: &Incoming, packed: Vec<u8>) -> Result<Report, String> {
    let exposure = match decode_exposure(&item.body) {
        Ok(exposure) => exposure,
        // Of a newer schema the id is enough: it is kept raw.
        Err(error) if newest(&item.body, &error).is_ok_and(|v| !readable_exposure(v)) => {
            Exposure { id: crate::record::Id(item.id.to_vec()), ..Exposure::default() }
        }
        Err(error) => return Err(error.to_string()),
    };
    let host = HostPart {
        name: exposure.host.name.as_deref(),
        mid: exposure.host.mid.as_ref().map(|id| id.0.as_slice()),
        kernel: exposure.host.kernel.as_deref(),
    };
    identity(origin, item, &exposure.id.0, &host)?;
    let hardware = &exposure.hardware;
    let microcode = hardware.microcode.map(|hex| hex.0);
    Ok(Report {
        item: ItemRow {
            packed,
            ..row(origin, item, exposure.realtime_ns, &host, hardware.model_name.as_deref(), microcode)
        },
        boot: exposure.host.boot.as_ref().and_then(|id| build(Some(&id.0))).unwrap_or_default(),
        span: span(&exposure),
        labels: pairs(&exposure.labels, LABELS),
        containers: containers(&exposure),
        running: running(&exposure),
    })
}

/// `since` to `bt`, when both are told and in order.
fn span(exposure: &Exposure) -> Option<(i64, i64)> {
    let ms = |ns: u64| clamp(ns.checked_div(MS).unwrap_or(0));
    let (low, high) = (ms(exposure.since_ns?), ms(exposure.boottime_ns?));
    (low < high).then_some((low, high))
}

fn pairs(list: &[(String, String)], most: usize) -> Vec<(String, String)> {
    let own = |text: &str| short(text).into_owned();
    list.iter().take(most).map(|(name, value)| (own(name), own(value))).collect()
}

fn containers(exposure: &Exposure) -> Vec<(String, String)> {
    let fits = exposure.images.iter().filter(|(id, _)| !id.is_empty() && id.len() <= CONTAINER_BYTES);
    let fits = fits.take(limits::CENSUS_CONTAINERS);
    fits.map(|(id, image)| (id.clone(), short(image).into_owned())).collect()
}

fn running(exposure: &Exposure) -> BTreeMap<Ran, i64> {
    let mut running = BTreeMap::new();
    for row in exposure.running.iter().take(limits::CENSUS_WORKLOADS) {
        let workload = workload::of(row.image.as_deref(), row.unit.as_deref(), row.exe.as_deref());
        let ran = (workload.map(Cow::into_owned), build(row.build_id.as_ref().map(|id| id.0.as_slice())));
        let n = running.entry(ran).or_insert(0i64);
        *n = n.saturating_add(i64::from(row.n)).min(PROCESSES);
    }
    running.retain(|_, n| *n > 0);
    running
}
