//! Hosts by number of crashes, and how cases and exposure share what hosts
//! have in common.

use std::collections::{BTreeMap, HashMap};

use rusqlite::Connection;

use super::cells::{self, Hours, Names, Places, Sums, as_hours};
use super::number::{amount, clamp, key, unkey};
use crate::record::{Hex, Id};
use crate::store::Window;
use crate::wire::api::{AttributeRow, HostRow};

/// A signature that no more hosts show is rare.
const RARE: u64 = 2;
/// Nanoseconds of a second.
const SECOND: f64 = 1e9;

/// What is last known of a host.
#[derive(Debug)]
struct Known {
    id: i64,
    name: i64,
    mid: Vec<u8>,
    seen: i64,
    clock: Option<i64>,
    kernel: Option<i64>,
    cpu: Option<i64>,
    microcode: Option<i64>,
}

fn known(connection: &Connection) -> rusqlite::Result<Vec<Known>> {
    connection
        .prepare_cached("SELECT id, name, mid, seen, clock, kernel, cpu, microcode FROM host")?
        .query_map([], |row| {
            Ok(Known {
                id: row.get(0)?,
                name: row.get(1)?,
                mid: row.get(2)?,
                seen: row.get(3)?,
                clock: row.get(4)?,
                kernel: row.get(5)?,
                cpu: row.get(6)?,
                microcode: row.get(7)?,
            })
        })?
        .collect()
}

/// Milliseconds covered by a census, by host.
pub(super) fn covered(connection: &Connection, hours: Hours) -> rusqlite::Result<HashMap<i64, f64>> {
    connection
        .prepare_cached("SELECT host, total(ms) FROM host_hour WHERE hour BETWEEN ?1 AND ?2 GROUP BY host")?
        .query_map([hours.first, hours.last], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Crashes, signatures, rare signatures.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    crashes: u64,
    signatures: u64,
    rare: u64,
}

fn sums(connection: &Connection, hours: Hours) -> rusqlite::Result<HashMap<i64, Sum>> {
    let mut keys = Places::default();
    let mut pairs = Sums::default();
    let mut sums: HashMap<i64, Sum> = HashMap::new();
    cells::each(connection, hours, None, |cell, n| {
        let sum = sums.entry(cell.host).or_default();
        sum.crashes = sum.crashes.saturating_add(n);
        if cell.signature != 0 {
            pairs.add((keys.place(cell.signature), cell.host), n);
        }
    })?;
    // Pairs lie by signature: a run of them is the hosts that show it.
    for run in pairs.done().chunk_by(|((one, _), _), ((other, _), _)| one == other) {
        let rare = u64::from(u64::try_from(run.len()).is_ok_and(|hosts| hosts <= RARE));
        for ((_, host), _) in run {
            let sum = sums.entry(*host).or_default();
            sum.signatures = sum.signatures.saturating_add(1);
            sum.rare = sum.rare.saturating_add(rare);
        }
    }
    Ok(sums)
}

fn labels(connection: &Connection) -> rusqlite::Result<HashMap<i64, Vec<(i64, i64)>>> {
    let mut labels: HashMap<i64, Vec<(i64, i64)>> = HashMap::new();
    let mut asked = connection.prepare_cached("SELECT host, name, value FROM label")?;
    let mut rows = asked.query([])?;
    while let Some(row) = rows.next()? {
        labels.entry(row.get(0)?).or_default().push((row.get(1)?, row.get(2)?));
    }
    Ok(labels)
}

/// Hosts that crashed, were looked at or were heard of in the window.
pub(super) fn list(connection: &Connection, window: &Window) -> rusqlite::Result<Vec<HostRow>> {
    let hours = Hours::of(window);
    let (sums, covered) = (sums(connection, hours)?, covered(connection, hours)?);
    let known = known(connection)?;
    let mut namesakes: HashMap<&[u8], Vec<i64>> = HashMap::new();
    for host in known.iter().filter(|host| !host.mid.is_empty()) {
        namesakes.entry(&host.mid).or_default().push(host.name);
    }
    let sum = |host: &Known| sums.get(&host.id).copied().unwrap_or_default();
    let mut hosts: Vec<&Known> = known
        .iter()
        .filter(|host| {
            host.seen >= clamp(window.since) || sums.contains_key(&host.id) || covered.contains_key(&host.id)
        })
        .collect();
    hosts.sort_by_key(|host| (std::cmp::Reverse(sum(host).crashes), host.id));
    hosts.truncate(cells::most(window));
    let (labels, mut names) = (labels(connection)?, Names::new(connection));
    hosts
        .into_iter()
        .map(|host| {
            let others = namesakes.get(host.mid.as_slice()).map_or(&[][..], Vec::as_slice);
            let mut row = row(&mut names, host, others, labels.get(&host.id).map_or(&[], Vec::as_slice))?;
            let Sum { crashes, signatures, rare } = sum(host);
            (row.crashes, row.signatures, row.rare) = (crashes, signatures, rare);
            row.hours = as_hours(covered.get(&host.id).copied().unwrap_or(0.0));
            Ok(row)
        })
        .collect()
}

fn row(
    names: &mut Names<'_>,
    host: &Known,
    namesakes: &[i64],
    labels: &[(i64, i64)],
) -> rusqlite::Result<HostRow> {
    let mut clones = Vec::new();
    for name in namesakes.iter().filter(|name| **name != host.name) {
        clones.extend(names.text(*name)?);
    }
    let mut texts = Vec::new();
    for (name, value) in labels {
        texts.push((names.text(*name)?.unwrap_or_default(), names.text(*value)?.unwrap_or_default()));
    }
    clones.sort();
    texts.sort();
    #[allow(clippy::cast_precision_loss)]
    let clock = host.clock.map(|ns| ns as f64 / SECOND);
    Ok(HostRow {
        host: names.text(host.name)?.unwrap_or_default(),
        mid: (!host.mid.is_empty()).then(|| Id(host.mid.clone())),
        clones,
        kernel: names.text(host.kernel.unwrap_or(0))?,
        cpu: names.text(host.cpu.unwrap_or(0))?,
        microcode: host.microcode.map(|bits| Hex(unkey(bits))),
        labels: texts,
        seen: amount(host.seen),
        clock,
        ..HostRow::default()
    })
}

/// Attributes that every host has; a label of one of these names is told apart
/// by "label:".
const ATTRIBUTES: [&str; 4] = ["kernel", "cpu", "microcode", "host"];

/// For each value of each attribute: hosts that show the signature (or any),
/// their crashes, all hosts, and hours.
pub(super) fn attributes(
    connection: &Connection,
    window: &Window,
    signature: Option<u64>,
) -> rusqlite::Result<Vec<AttributeRow>> {
    let hours = Hours::of(window);
    let covered = covered(connection, hours)?;
    let mut crashes: HashMap<i64, u64> = HashMap::new();
    cells::each(connection, hours, signature.map(key), |cell, n| {
        let sum = crashes.entry(cell.host).or_insert(0);
        *sum = sum.saturating_add(n);
    })?;
    let (labels, mut names) = (labels(connection)?, Names::new(connection));
    let mut rows: BTreeMap<(String, String), AttributeRow> = BTreeMap::new();
    for host in known(connection)? {
        let of_host = labels.get(&host.id).map_or(&[][..], Vec::as_slice);
        let n = crashes.get(&host.id).copied().unwrap_or(0);
        let hours = as_hours(covered.get(&host.id).copied().unwrap_or(0.0));
        for pair in values(&mut names, &host, of_host)? {
            let row = rows.entry(pair).or_default();
            row.hosts = row.hosts.saturating_add(1);
            row.cases = row.cases.saturating_add(u64::from(n > 0));
            row.crashes = row.crashes.saturating_add(n);
            row.hours += hours;
        }
    }
    let mut rows: Vec<AttributeRow> =
        rows.into_iter().map(|((attribute, value), row)| AttributeRow { attribute, value, ..row }).collect();
    rows.sort_by_key(|row| std::cmp::Reverse((row.cases, row.crashes)));
    rows.truncate(cells::most(window));
    Ok(rows)
}

fn values(
    names: &mut Names<'_>,
    host: &Known,
    labels: &[(i64, i64)],
) -> rusqlite::Result<Vec<(String, String)>> {
    let texts = [
        names.text(host.kernel.unwrap_or(0))?,
        names.text(host.cpu.unwrap_or(0))?,
        host.microcode.map(|bits| format!("{:#x}", unkey(bits))),
        names.text(host.name)?,
    ];
    let own = ATTRIBUTES.iter().zip(texts).filter_map(|(name, text)| Some(((*name).to_owned(), text?)));
    let mut values: Vec<(String, String)> = own.collect();
    for (name, value) in labels {
        let name = names.text(*name)?.unwrap_or_default();
        let taken = ATTRIBUTES.contains(&name.as_str());
        let name = if taken { format!("label:{name}") } else { name };
        values.push((name, names.text(*value)?.unwrap_or_default()));
    }
    Ok(values)
}
