//! All aggregates that a study begins with, in one pass over the roll-ups.
//!
//! Names instead of machine-ids: a host that was installed anew is the same
//! host here. Crashes without a signature are in `cores` and in no cell: they
//! have nothing in common but that.

use std::collections::{BTreeMap, HashMap};

use rusqlite::Connection;

use super::cells::{self, Hours, Names, Places, Sums, as_hours};
use super::number::unkey;
use super::rollup::Cell;
use super::{hosts, rates};
use crate::record::{Hex, Id};
use crate::store::Window;
use crate::wire::api::{CrashCells, StudyInput};

/// Numbers of the store → places in the answer.
#[derive(Debug, Default)]
struct Axes {
    hosts: Places<i64>,
    signatures: Places<i64>,
    workloads: Places<i64>,
    builds: Places<i64>,
    cells: Sums<[u32; 4]>,
    cores: BTreeMap<(u32, u32), u64>,
}

impl Axes {
    fn add(&mut self, cell: Cell, name: i64, n: u64) {
        let host = self.hosts.place(name);
        if let Ok(core) = u32::try_from(cell.core) {
            let sum = self.cores.entry((host, core)).or_insert(0);
            *sum = sum.saturating_add(n);
        }
        if cell.signature != 0 {
            let signature = self.signatures.place(cell.signature);
            let (workload, build) = (self.workloads.place(cell.workload), self.builds.place(cell.build));
            self.cells.add([signature, host, workload, build], n);
        }
    }
}

/// The window's crashes and exposure.
pub(super) fn input(connection: &Connection, window: &Window) -> rusqlite::Result<StudyInput> {
    let hours = Hours::of(window);
    let names: HashMap<i64, i64> = connection
        .prepare_cached("SELECT id, name FROM host")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut axes = Axes::default();
    cells::each(connection, hours, None, |cell, n| {
        axes.add(cell, names.get(&cell.host).copied().unwrap_or(0), n);
    })?;
    let mut covered: BTreeMap<u32, f64> = BTreeMap::new();
    for (host, ms) in hosts::covered(connection, hours)? {
        let place = axes.hosts.place(names.get(&host).copied().unwrap_or(0));
        *covered.entry(place).or_insert(0.0) += ms;
    }
    let process_hours: Vec<(u32, u32, f64, u64)> = rates::ran(connection, hours)?
        .into_iter()
        .map(|((workload, build), ran)| {
            (axes.workloads.place(workload), axes.builds.place(build), ran.hours, ran.hosts)
        })
        .collect();
    let mut study = named(connection, &axes)?;
    (study.since, study.until) = (window.since, window.until);
    study.host_hours = (0u32..)
        .zip(&study.hosts)
        .map(|(place, _)| as_hours(covered.get(&place).copied().unwrap_or(0.0)))
        .collect();
    study.without_census = u64::try_from(study.hosts.len().saturating_sub(covered.len())).unwrap_or(u64::MAX);
    study.process_hours = process_hours;
    study.cores = axes.cores.into_iter().map(|((host, core), n)| (host, core, n)).collect();
    study.crashes = columns(axes.cells.done());
    Ok(study)
}

fn named(connection: &Connection, axes: &Axes) -> rusqlite::Result<StudyInput> {
    let mut names = Names::new(connection);
    let mut texts = |numbers: &[i64]| -> rusqlite::Result<Vec<String>> {
        numbers.iter().map(|number| Ok(names.text(*number)?.unwrap_or_default())).collect()
    };
    let hosts = texts(&axes.hosts.list)?;
    let workloads: rusqlite::Result<Vec<String>> =
        axes.workloads.list.iter().map(|number| names.workload(*number)).collect();
    let builds: rusqlite::Result<Vec<Id>> =
        axes.builds.list.iter().map(|number| Ok(Id(names.build(*number)?.unwrap_or_default()))).collect();
    let signatures = axes.signatures.list.iter().map(|bits| Hex(unkey(*bits))).collect();
    Ok(StudyInput { hosts, workloads: workloads?, builds: builds?, signatures, ..StudyInput::default() })
}

fn columns(cells: Vec<([u32; 4], u32)>) -> CrashCells {
    let mut columns = CrashCells::default();
    for ([signature, host, workload, build], n) in cells {
        columns.signature.push(signature);
        columns.host.push(host);
        columns.workload.push(workload);
        columns.build.push(build);
        columns.n.push(n);
    }
    columns
}
