//! Process-hours by workload and build, with the crashes of the same window:
//! the two halves of a rate.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::cells::{self, Hours, Names, as_hours};
use super::number::amount;
use crate::record::Id;
use crate::store::Window;
use crate::wire::api::ExposureRow;

/// What ran for how long, on how many hosts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ran {
    pub hours: f64,
    pub hosts: u64,
    pub crashes: u64,
}

/// By (workload, build), from exposure alone.
pub(super) fn ran(connection: &Connection, hours: Hours) -> rusqlite::Result<BTreeMap<(i64, i64), Ran>> {
    let mut ran: BTreeMap<(i64, i64), Ran> = BTreeMap::new();
    let mut asked = connection.prepare_cached(
        "SELECT workload, build, total(ms) FROM process_hour WHERE hour BETWEEN ?1 AND ?2 GROUP BY workload, build",
    )?;
    let mut rows = asked.query([hours.first, hours.last])?;
    while let Some(row) = rows.next()? {
        ran.entry((row.get(0)?, row.get(1)?)).or_default().hours = as_hours(row.get(2)?);
    }
    let mut asked = connection.prepare_cached(
        "SELECT workload, build, count(*) FROM ran WHERE first <= ?2 AND last >= ?1 GROUP BY workload, build",
    )?;
    let mut rows = asked.query([hours.first, hours.last])?;
    while let Some(row) = rows.next()? {
        ran.entry((row.get(0)?, row.get(1)?)).or_default().hosts = amount(row.get(2)?);
    }
    Ok(ran)
}

/// Longest first; what crashed and was in no census stands at the end, with no
/// hours.
pub(super) fn list(connection: &Connection, window: &Window) -> rusqlite::Result<Vec<ExposureRow>> {
    let hours = Hours::of(window);
    let mut ran = ran(connection, hours)?;
    cells::each(connection, hours, None, |cell, n| {
        let row = ran.entry((cell.workload, cell.build)).or_default();
        row.crashes = row.crashes.saturating_add(n);
    })?;
    let mut rows: Vec<((i64, i64), Ran)> = ran.into_iter().collect();
    rows.sort_by(|(_, a), (_, b)| b.hours.total_cmp(&a.hours).then(b.crashes.cmp(&a.crashes)));
    rows.truncate(cells::most(window));
    let mut names = Names::new(connection);
    rows.into_iter()
        .map(|((workload, build), ran)| {
            Ok(ExposureRow {
                workload: names.workload(workload)?,
                build: names.build(build)?.map(Id),
                hosts: ran.hosts,
                process_hours: ran.hours,
                crashes: ran.crashes,
            })
        })
        .collect()
}
