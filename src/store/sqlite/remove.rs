//! What goes: by purge, because somebody said so; by retention, because its
//! time is over. Either way the roll-ups go with it, in the same transaction.
//!
//! Nothing that went comes back as new. Purged ids are remembered. Retention
//! moves the horizon first ([`horizon`](super::horizon)): what is older is
//! refused from then on, so that ids need not be remembered, except those of
//! records whose own clock does not say their hour.

use std::time::SystemTime;

use rusqlite::{Connection, Row, params};

use super::fault::sort;
use super::filter::Filter;
use super::horizon::Witnesses;
use super::ledger::Ledger;
use super::number::{HOUR_NS, amount, clamp};
use super::rollup::Cell;
use super::writer::Writer;
use crate::store::{Keep, StoreError};
use crate::wire::api::{AuditRow, Purge, Purged};

/// Rows of one step: what a batch may have to wait for.
const STEP: i64 = 500;
/// Spans of one step: they are small.
const SPANS: i64 = 5000;
/// Hours between two sweeps.
const SWEPT: i64 = 24;
/// Free pages given back in one step.
const VACUUM: i64 = 2000;
/// Nanoseconds of a day.
const DAY_NS: i64 = HOUR_NS.saturating_mul(24);

/// What remembers the ids that were removed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Remember {
    /// Somebody wanted them gone.
    All,
    /// The horizon keeps the others away.
    Shifted,
}

/// The cell of a row that begins with its six columns.
pub(super) fn cell(row: &Row<'_>) -> rusqlite::Result<Cell> {
    Ok(Cell {
        hour: row.get(0)?,
        signature: row.get(1)?,
        host: row.get(2)?,
        workload: row.get(3)?,
        build: row.get(4)?,
        core: row.get(5)?,
    })
}

impl Ledger {
    fn remove(&mut self, connection: &Connection, seqs: &[i64], remember: Remember) -> rusqlite::Result<()> {
        let mut find = connection.prepare_cached(
            "SELECT hour, signature, host, workload, ifnull(build, 0), core, v, shifted FROM crash WHERE seq = ?1",
        )?;
        let mut forget = connection.prepare_cached(
            "INSERT OR IGNORE INTO purged SELECT id, iif(shifted, ?2, hour) FROM crash WHERE seq = ?1",
        )?;
        let mut delete = connection.prepare_cached("DELETE FROM crash WHERE seq = ?1")?;
        let mut strip = connection.prepare_cached("DELETE FROM body WHERE seq = ?1")?;
        for seq in seqs {
            let (cell, v, shifted): (Cell, u16, bool) =
                find.query_row([seq], |row| Ok((cell(row)?, row.get(6)?, row.get(7)?)))?;
            if remember == Remember::All || shifted {
                forget.execute([*seq, i64::MAX])?;
                self.purged = true;
            }
            self.roll.add(cell, -1);
            self.count_version(v, -1);
            delete.execute([seq])?;
            strip.execute([seq])?;
        }
        Ok(())
    }

    /// Removes what matches and says so in the audit log.
    pub(super) fn purge(
        &mut self,
        connection: &Connection,
        purge: &Purge,
        audit: &AuditRow,
    ) -> rusqlite::Result<u64> {
        let filter = Filter::of_purge(connection, purge)?;
        let sql = format!("SELECT crash.seq FROM crash WHERE {}", filter.sql());
        let seqs: Vec<i64> = connection
            .prepare(&sql)?
            .query_map(rusqlite::params_from_iter(filter.values()), |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let count = u64::try_from(seqs.len()).unwrap_or(u64::MAX);
        if purge.dry_run {
            return Ok(count);
        }
        self.remove(connection, &seqs, Remember::All)?;
        note(connection, &AuditRow { count, ..audit.clone() })?;
        Ok(count)
    }

    /// Moves the horizon; false when the clock is not to be believed, and
    /// nothing may be removed by it. Who was heard before is asked no more.
    pub(super) fn advance(&mut self, keep: Keep, now: u64) -> bool {
        let believed = self.horizon.advance(keep, now, &self.hosts.witnesses);
        self.hosts.witnesses = Witnesses::default();
        believed
    }

    /// One step of retention; how many crashes and how many rows went.
    pub(super) fn retain(
        &mut self,
        connection: &Connection,
        keep: Keep,
        now: u64,
    ) -> rusqlite::Result<(u64, u64)> {
        let seqs: Vec<i64> = connection
            .prepare_cached(
                "SELECT seq FROM (SELECT seq FROM crash WHERE at < ?2 AND hour < ?1 LIMIT ?3)
                 UNION SELECT seq FROM (SELECT seq FROM crash WHERE shifted AND hour < ?1 LIMIT ?3)",
            )?
            .query_map([self.horizon.hour, self.horizon.hour.saturating_mul(HOUR_NS), STEP], |row| {
                row.get(0)
            })?
            .collect::<rusqlite::Result<_>>()?;
        self.remove(connection, &seqs, Remember::Shifted)?;
        let crashes = u64::try_from(seqs.len()).unwrap_or(u64::MAX);
        let mut rows = crashes.saturating_add(self.old_exposures(connection)?);
        rows = rows.saturating_add(old_bodies(connection, keep, now)?);
        rows = rows.saturating_add(old_spans(connection, self.horizon.hour)?);
        Ok((crashes, rows))
    }

    /// True when the tables without an index by hour are to be gone through:
    /// once in a day of the horizon, and when nobody knows when it was done.
    pub(super) fn must_sweep(&self) -> bool {
        self.horizon.hour > 0 && self.horizon.hour >= self.swept.saturating_add(SWEPT)
    }

    fn old_exposures(&mut self, connection: &Connection) -> rusqlite::Result<u64> {
        let seqs: Vec<i64> = connection
            .prepare_cached(BY_INDEX[0])?
            .query_map([self.horizon.hour, STEP], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for seq in &seqs {
            connection.prepare_cached("DELETE FROM exposure WHERE seq = ?1")?.execute([seq])?;
            connection.prepare_cached("DELETE FROM body WHERE seq = ?1")?.execute([seq])?;
        }
        let gone = i64::try_from(seqs.len()).unwrap_or(i64::MAX);
        self.exposures = self.exposures.saturating_sub(gone).max(0);
        Ok(u64::try_from(gone).unwrap_or(0))
    }
}

/// What of the hourly steps goes by an index of its hour: rows, then each by
/// its key. (A row-value IN would read all spans of each host.)
pub(super) const BY_INDEX: [&str; 3] = [
    "SELECT seq FROM exposure WHERE hour < ?1 LIMIT ?2",
    "SELECT host, boot, low FROM span WHERE hour < ?1 LIMIT ?2",
    "DELETE FROM span WHERE host = ?1 AND boot = ?2 AND low = ?3",
];

fn old_spans(connection: &Connection, horizon: i64) -> rusqlite::Result<u64> {
    let [_, find, delete] = BY_INDEX;
    let mut list = connection.prepare_cached(find)?;
    let list = list.query_map([horizon, SPANS], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let list: Vec<(i64, Vec<u8>, i64)> = list.collect::<rusqlite::Result<_>>()?;
    let mut delete = connection.prepare_cached(delete)?;
    for (host, boot, low) in &list {
        delete.execute(params![host, boot, low])?;
    }
    Ok(u64::try_from(list.len()).unwrap_or(u64::MAX))
}

/// Bodies go by the time at which they came: in the order of their positions.
/// What a clock that was ahead stamped came now at the latest, or all behind it
/// would wait for that time.
fn old_bodies(connection: &Connection, keep: Keep, now: u64) -> rusqlite::Result<u64> {
    if keep.bodies_days == 0 {
        return Ok(0);
    }
    let (now, age) = (clamp(now), i64::from(keep.bodies_days).saturating_mul(DAY_NS));
    connection
        .prepare_cached(
            "UPDATE body SET received = ?1
             WHERE seq IN (SELECT seq FROM body ORDER BY seq LIMIT ?2) AND received > ?1",
        )?
        .execute([now, STEP])?;
    let rows = connection
        .prepare_cached(
            "DELETE FROM body WHERE seq IN (SELECT seq FROM body ORDER BY seq LIMIT ?2) AND received < ?1",
        )?
        .execute([now.saturating_sub(age), STEP])?;
    Ok(u64::try_from(rows).unwrap_or(u64::MAX))
}

/// One line of the audit log.
pub(super) fn note(connection: &Connection, row: &AuditRow) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO audit (at, who, action, what, count) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![clamp(row.at), row.who, row.action, row.what, clamp(row.count)])?;
    Ok(())
}

/// The audit log, newest first.
pub(super) fn audit_log(connection: &Connection, most: u32) -> rusqlite::Result<Vec<AuditRow>> {
    connection
        .prepare_cached("SELECT at, who, action, what, count FROM audit ORDER BY seq DESC LIMIT ?1")?
        .query_map([most], |row| {
            Ok(AuditRow {
                at: amount(row.get(0)?),
                who: row.get(1)?,
                action: row.get(2)?,
                what: row.get(3)?,
                count: amount(row.get(4)?),
            })
        })?
        .collect()
}

/// The line that a purge writes; how many is not known yet.
pub(super) fn audit(purge: &Purge, who: &str) -> AuditRow {
    let Purge { uid, unit, host, before, dry_run: _ } = purge;
    let told = [
        uid.map(|uid| format!("uid {uid}")),
        unit.as_ref().map(|unit| format!("unit {unit}")),
        host.as_ref().map(|host| format!("host {host}")),
        before.map(|before| format!("before {before}")),
    ];
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    AuditRow {
        at: u64::try_from(now.as_nanos()).unwrap_or(u64::MAX),
        who: who.to_owned(),
        action: "purge".to_owned(),
        what: told.into_iter().flatten().collect::<Vec<_>>().join(", "),
        count: 0,
    }
}

impl Writer {
    /// Purged bytes are overwritten, in the file and, by a checkpoint that
    /// empties it, in the WAL.
    pub(super) fn purge(&mut self, purge: &Purge, audit: &AuditRow) -> Result<Purged, StoreError> {
        let secure = |writer: &Writer, on: bool| {
            writer.connection.pragma_update(None, "secure_delete", on).map_err(sort)
        };
        secure(self, true)?;
        let purged = self.transaction(|ledger, connection| ledger.purge(connection, purge, audit));
        secure(self, false)?;
        if !purge.dry_run {
            let _ = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
        }
        purged.map(|records| Purged { records })
    }

    /// Gives some free pages back to the filesystem; false when none is left.
    pub(super) fn vacuum(&mut self) -> Result<bool, StoreError> {
        // Each step of the statement gives one page back: all of them are one
        // transaction only when it is stepped to its end.
        let mut give =
            self.connection.prepare(&format!("PRAGMA incremental_vacuum({VACUUM})")).map_err(sort)?;
        let mut pages = give.query([]).map_err(sort)?;
        while pages.next().map_err(sort)?.is_some() {}
        drop(pages);
        let left: i64 =
            self.connection.pragma_query_value(None, "freelist_count", |row| row.get(0)).map_err(sort)?;
        Ok(left > 0)
    }
}

/// A purge without a condition would be everything.
pub(super) fn must_be_narrow(purge: &Purge) -> Result<(), StoreError> {
    let Purge { uid, unit, host, before, dry_run: _ } = purge;
    if uid.is_none() && unit.is_none() && host.is_none() && before.is_none() {
        return Err(StoreError::Broken("a purge needs a uid, a unit, a host or a time".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::{Options, open};

    fn free(writer: &Writer) -> i64 {
        writer.connection.pragma_query_value(None, "freelist_count", |row| row.get(0)).unwrap()
    }

    /// A step gave one page back, in a transaction with an fsync of its own: a
    /// gigabyte took hours in which every batch waited for a page.
    #[test]
    fn a_step_gives_two_thousand_free_pages_back_and_not_one() {
        let place = tempfile::tempdir().unwrap();
        let connection = open::writer(&place.path().join("store.db"), &Options::default()).unwrap();
        let mut writer = Writer::new(connection).unwrap();
        let many = "WITH n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 3000)
            INSERT INTO body SELECT n, 0, zeroblob(4000) FROM n; DELETE FROM body;";
        writer.connection.execute_batch(many).unwrap();
        let before = free(&writer);
        assert!((3000..4000).contains(&before), "{before}");
        assert!(writer.vacuum().unwrap());
        assert_eq!(free(&writer), before - VACUUM);
        assert!(!writer.vacuum().unwrap());
        assert_eq!(free(&writer), 0);
    }
}
