//! What is last known of each host: gathered over a transaction, written once
//! a host. An older report never overwrites a newer one, in whatever order
//! they come.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::dictionary::{Cache, Dictionary};
use super::horizon::Witnesses;
use super::prepare::ItemRow;

/// A value and the moment of the report that told it; -1 = nobody did.
#[derive(Clone, Copy, Debug)]
struct Told {
    at: i64,
    value: Option<i64>,
}

impl Default for Told {
    fn default() -> Told {
        Told { at: -1, value: None }
    }
}

impl Told {
    fn learn(&mut self, at: i64, value: Option<i64>) {
        if value.is_some() && at >= self.at {
            *self = Told { at, value };
        }
    }
}

/// Machine-ids that are told apart under one name: a name that was installed
/// anew so often has one row for all that come after.
const MACHINES: i64 = 16;

#[derive(Debug, Default)]
struct Known {
    seen: i64,
    clock: i64,
    kernel: Told,
    cpu: Told,
    microcode: Told,
}

/// A host's row, by name and machine-id.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    rows: Cache<(i64, Vec<u8>)>,
    known: HashMap<i64, Known>,
    /// Whose clocks agree with ours.
    pub(super) witnesses: Witnesses,
}

impl Hosts {
    /// The row of the host that sent this, new or known; what it tells of
    /// itself waits for [`Hosts::settle`].
    pub(super) fn row(
        &mut self,
        connection: &Connection,
        dictionary: &mut Dictionary,
        item: &ItemRow,
    ) -> rusqlite::Result<(i64, i64, Option<i64>)> {
        let name = dictionary.text(connection, &item.host)?;
        let host = self.number(connection, name, &item.mid)?;
        let kernel = dictionary.maybe(connection, item.kernel.as_deref())?;
        let model = dictionary.maybe(connection, item.model.as_deref())?;
        self.witnesses.hear(name, item.received, item.clock);
        let known = self.known.entry(host).or_default();
        if item.received >= known.seen {
            (known.seen, known.clock) = (item.received, item.clock);
        }
        known.kernel.learn(item.moment, kernel);
        known.cpu.learn(item.moment, model);
        known.microcode.learn(item.moment, item.microcode);
        Ok((host, name, kernel))
    }

    fn number(&mut self, connection: &Connection, name: i64, mid: &[u8]) -> rusqlite::Result<i64> {
        let key = (name, mid.to_vec());
        if let Some(host) = self.rows.get(&key) {
            return Ok(host);
        }
        let host = match find(connection, name, mid)? {
            Some(host) => host,
            None => add(connection, name, if crowded(connection, name)? { &[] } else { mid })?,
        };
        self.rows.put(key, host);
        Ok(host)
    }

    pub(super) fn settle(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut update = connection.prepare_cached(
            "UPDATE host SET
               clock = iif(?2 >= seen, ?3, clock), seen = max(seen, ?2),
               kernel = iif(?4 >= kernel_at, ?5, kernel), kernel_at = max(kernel_at, ?4),
               cpu = iif(?6 >= cpu_at, ?7, cpu), cpu_at = max(cpu_at, ?6),
               microcode = iif(?8 >= microcode_at, ?9, microcode), microcode_at = max(microcode_at, ?8)
             WHERE id = ?1",
        )?;
        for (host, known) in self.known.drain() {
            let Known { seen, clock, kernel, cpu, microcode } = known;
            update.execute(params![
                host,
                seen,
                clock,
                kernel.at,
                kernel.value,
                cpu.at,
                cpu.value,
                microcode.at,
                microcode.value
            ])?;
        }
        Ok(())
    }
}

/// True when no further machine is told apart under this name.
fn crowded(connection: &Connection, name: i64) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT count(*) >= ?2 FROM host WHERE name = ?1 AND mid <> x''")?
        .query_row([name, MACHINES], |row| row.get(0))
}

fn find(connection: &Connection, name: i64, mid: &[u8]) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT id FROM host WHERE name = ?1 AND mid = ?2")?
        .query_row(params![name, mid], |row| row.get(0))
        .optional()
}

fn add(connection: &Connection, name: i64, mid: &[u8]) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(
            "INSERT INTO host (name, mid) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET seen = seen RETURNING id",
        )?
        .query_row(params![name, mid], |row| row.get(0))
}
