//! What the writer knows beside the file: numbers of texts and hosts, the next
//! position, and what the open transaction has yet to add to the roll-ups.
//!
//! After a rollback all of it is forgotten and read again ([`Ledger::load`]):
//! a number that was given in a transaction that never happened must not
//! survive it.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::dictionary::{Cache, Dictionary};
use super::facts::Hosts;
use super::horizon::Horizon;
use super::prepare::{ItemRow, Prepared};
use super::rollup::RollUp;
use crate::wire::Said;

/// The writer's memory.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) dictionary: Dictionary,
    pub(super) hosts: Hosts,
    pub(super) aliases: Cache<(i64, i64)>,
    named: Cache<i64>,
    pub(super) roll: RollUp,
    /// Records by schema version, as changes.
    pub(super) versions: BTreeMap<u16, i64>,
    /// The position that the next item takes.
    pub(super) seq: i64,
    /// Hours before it are gone and stay away.
    pub(super) horizon: Horizon,
    pub(super) exposures: i64,
    /// The horizon of the last sweep; 0: not since this was loaded.
    pub(super) swept: i64,
    /// Some ids were purged: only then is each new one looked for among them.
    pub(super) purged: bool,
}

impl Ledger {
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Ledger> {
        let number = |name: &str| {
            connection.query_row("SELECT n FROM number WHERE name = ?1", [name], |row| row.get(0))
        };
        Ok(Ledger {
            seq: number("seq")?,
            horizon: Horizon::load(connection)?,
            exposures: number("exposures")?,
            purged: connection.query_row("SELECT EXISTS (SELECT 1 FROM purged)", [], |row| row.get(0))?,
            ..Ledger::default()
        })
    }

    /// Takes one item in; a refusal says why.
    pub(super) fn take(
        &mut self,
        connection: &Connection,
        item: &Prepared,
    ) -> rusqlite::Result<(Said, Option<String>)> {
        match item {
            Prepared::Crash(row) => self.crash(connection, row),
            Prepared::Exposure(report) => self.exposure(connection, report),
            Prepared::Refused(_, why) => Ok((Said::Refused, Some(why.clone()))),
            Prepared::Later(_, why) => Ok((Said::Later, Some(why.clone()))),
        }
    }

    /// What is said of what was removed on purpose, and of what would be
    /// removed at once: that is only a duplicate when it is still here, all else
    /// would be a loss that nobody hears of.
    pub(super) fn turned_away(
        &self,
        connection: &Connection,
        item: &ItemRow,
        is_here: impl FnOnce() -> rusqlite::Result<bool>,
    ) -> rusqlite::Result<Option<(Said, Option<String>)>> {
        if self.purged && was_purged(connection, &item.id)? {
            return Ok(Some((Said::Duplicate, None)));
        }
        if item.hour >= self.horizon.oldest(item.received) {
            return Ok(None);
        }
        if is_here()? {
            return Ok(Some((Said::Duplicate, None)));
        }
        let days = self.horizon.days;
        let why = format!("older than the collector keeps ({days} days), or the host's clock was wrong then");
        Ok(Some((Said::Refused, Some(why))))
    }

    pub(super) fn next(&mut self) -> i64 {
        let seq = self.seq;
        self.seq = seq.saturating_add(1);
        seq
    }

    pub(super) fn count_version(&mut self, v: u16, n: i64) {
        let sum = self.versions.entry(v).or_insert(0);
        *sum = sum.saturating_add(n);
    }

    /// A workload whose name everybody may see; 0 has none.
    pub(super) fn name(&mut self, connection: &Connection, workload: i64) -> rusqlite::Result<()> {
        if workload != 0 && self.named.get(&workload).is_none() {
            connection.prepare_cached("INSERT OR IGNORE INTO named VALUES (?1)")?.execute([workload])?;
            self.named.put(workload, 0);
        }
        Ok(())
    }

    pub(super) fn keep_body(
        connection: &Connection,
        seq: i64,
        received: i64,
        packed: &[u8],
    ) -> rusqlite::Result<()> {
        connection
            .prepare_cached("INSERT INTO body VALUES (?1, ?2, ?3)")?
            .execute(params![seq, received, packed])?;
        Ok(())
    }

    /// Writes what the transaction gathered; the last step before its commit.
    pub(super) fn settle(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.roll.settle(connection)?;
        self.hosts.settle(connection)?;
        for (v, n) in std::mem::take(&mut self.versions) {
            connection
                .prepare_cached(
                    "INSERT INTO version VALUES (?1, ?2) ON CONFLICT DO UPDATE SET n = n + excluded.n",
                )?
                .execute(params![v, n])?;
        }
        let mut number = connection.prepare_cached("UPDATE number SET n = ?2 WHERE name = ?1 AND n <> ?2")?;
        let own = [("seq", self.seq), ("exposures", self.exposures)];
        for (name, n) in own.into_iter().chain(self.horizon.numbers()) {
            number.execute(params![name, n])?;
        }
        Ok(())
    }
}

fn was_purged(connection: &Connection, id: &[u8; 16]) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM purged WHERE id = ?1)")?
        .query_row([id], |row| row.get(0))
}
