//! Signatures by number of hosts: the list that says what is spreading.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, OptionalExtension};

use super::cells::{self, Hours, Names, Places, Sums};
use super::number::{HOUR_NS, unkey};
use super::rollup::Cell;
use crate::record::Hex;
use crate::store::Window;
use crate::wire::api::Signature;

#[derive(Debug)]
struct Sum {
    crashes: u64,
    hosts: u64,
    builds: u64,
    first: i64,
    last: i64,
    program: (u64, i64),
}

impl Sum {
    fn at(hour: i64) -> Sum {
        Sum { crashes: 0, hosts: 0, builds: 0, first: hour, last: hour, program: (0, 0) }
    }

    fn add(&mut self, cell: Cell, n: u64) {
        self.crashes = self.crashes.saturating_add(n);
        self.first = self.first.min(cell.hour);
        self.last = self.last.max(cell.hour);
    }
}

/// Signatures of the window, most hosts first; crashes without one are not
/// among them.
pub(super) fn list(connection: &Connection, window: &Window) -> rusqlite::Result<Vec<Signature>> {
    let mut rows = sums(connection, Hours::of(window))?;
    rows.sort_unstable_by(|(one, a), (other, b)| {
        (b.hosts, b.crashes, *one).cmp(&(a.hosts, a.crashes, *other))
    });
    rows.truncate(cells::most(window));
    let mut names = Names::new(connection);
    rows.into_iter().map(|(key, sum)| describe(connection, &mut names, key, &sum)).collect()
}

fn sums(connection: &Connection, hours: Hours) -> rusqlite::Result<Vec<(i64, Sum)>> {
    let mut keys = Places::default();
    let mut sums: Vec<Sum> = Vec::new();
    let (mut hosts, mut builds) = (Sums::default(), HashSet::new());
    let mut programs: HashMap<(u32, i64), u64> = HashMap::new();
    cells::each(connection, hours, None, |cell, n| {
        if cell.signature == 0 {
            return;
        }
        let place = keys.place(cell.signature);
        let at = usize::try_from(place).unwrap_or(usize::MAX);
        if at >= sums.len() {
            sums.push(Sum::at(cell.hour));
        }
        if let Some(sum) = sums.get_mut(at) {
            sum.add(cell, n);
        }
        hosts.add((place, cell.host), n);
        builds.insert((place, cell.build));
        let program = programs.entry((place, cell.workload)).or_insert(0);
        *program = program.saturating_add(n);
    })?;
    let mut of = |place: u32, change: &dyn Fn(&mut Sum)| {
        if let Some(sum) = usize::try_from(place).ok().and_then(|at| sums.get_mut(at)) {
            change(sum);
        }
    };
    for ((place, _), _) in hosts.done() {
        of(place, &|sum| sum.hosts = sum.hosts.saturating_add(1));
    }
    for (place, _) in builds.iter().filter(|(_, build)| *build != 0) {
        of(*place, &|sum| sum.builds = sum.builds.saturating_add(1));
    }
    for ((place, workload), n) in programs.iter().filter(|((_, workload), _)| *workload != 0) {
        of(*place, &|sum| sum.program = sum.program.max((*n, *workload)));
    }
    Ok(keys.list.into_iter().zip(sums).collect())
}

/// Signal and culprit are those of the newest crash that everybody may see.
fn describe(
    connection: &Connection,
    names: &mut Names<'_>,
    key: i64,
    sum: &Sum,
) -> rusqlite::Result<Signature> {
    let newest: Option<(Option<u32>, Option<i64>)> = connection
        .prepare_cached(
            "SELECT signal, culprit FROM crash WHERE signature = ?1 AND NOT private ORDER BY seq DESC LIMIT 1",
        )?
        .query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (signal, culprit) = newest.unwrap_or_default();
    let moment = |hour: i64| u64::try_from(hour.saturating_mul(HOUR_NS)).unwrap_or(0);
    Ok(Signature {
        signature: Hex(unkey(key)),
        crashes: sum.crashes,
        hosts: sum.hosts,
        builds: sum.builds,
        first: moment(sum.first),
        last: moment(sum.last),
        program: names.program(sum.program.1)?,
        signal,
        culprit: names.text(culprit.unwrap_or(0))?,
    })
}
