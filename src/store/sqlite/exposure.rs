//! An exposure report's way into the tables.
//!
//! Host-hours are exact under duplicates, loss and any order: a report counts
//! only the part of its span (`since` to its own boottime) that no report of
//! the same boot has counted, so the sum is the union of all spans. A lost one
//! leaves a hole until it comes. Process-hours are what ran times that part.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::census::Report;
use super::ledger::Ledger;
use super::rollup::Cell;
use crate::record::coverage::{self, Span};
use crate::wire::Said;

impl Ledger {
    pub(super) fn exposure(
        &mut self,
        connection: &Connection,
        report: &Report,
    ) -> rusqlite::Result<(Said, Option<String>)> {
        let item = &report.item;
        if let Some(said) = self.turned_away(connection, item, || is_here(connection, &item.id))? {
            return Ok(said);
        }
        let (host, name, _) = self.hosts.row(connection, &mut self.dictionary, item)?;
        let added = connection
            .prepare_cached(
                "INSERT INTO exposure VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO NOTHING",
            )?
            .execute(params![self.seq, item.id, item.at, item.received, item.hour, host])?;
        if added == 0 {
            return Ok((Said::Duplicate, None));
        }
        let seq = self.next();
        self.exposures = self.exposures.saturating_add(1);
        Ledger::keep_body(connection, seq, item.received, &item.packed)?;
        let hours = self.cover(connection, report, host)?;
        self.run(connection, report, host, &hours)?;
        self.label(connection, report, host)?;
        for (container, image) in &report.containers {
            self.contain(connection, container, image, name, item.hour)?;
        }
        Ok((Said::Stored, None))
    }

    /// Counts what of the report's span was not; its milliseconds by hour.
    fn cover(
        &self,
        connection: &Connection,
        report: &Report,
        host: i64,
    ) -> rusqlite::Result<BTreeMap<i64, i64>> {
        let mut hours = BTreeMap::new();
        let Some(span) = report.span.map(coverage::claim) else { return Ok(hours) };
        let oldest = self.horizon.oldest(report.item.received);
        for (low, high) in coverage::uncounted(span, &counted(connection, host, &report.boot, span)?) {
            connection.prepare_cached("INSERT INTO span VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
                host,
                report.boot,
                low,
                high,
                report.item.hour
            ])?;
            let parts = coverage::hours(report.on_the_wall((low, high)));
            for (hour, ms) in parts.filter(|(hour, _)| *hour >= oldest) {
                let sum = hours.entry(hour).or_insert(0i64);
                *sum = sum.saturating_add(ms);
            }
        }
        let mut add = connection.prepare_cached(
            "INSERT INTO host_hour VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET ms = ms + excluded.ms",
        )?;
        for (hour, ms) in &hours {
            add.execute([host, *hour, *ms])?;
        }
        Ok(hours)
    }

    fn run(
        &mut self,
        connection: &Connection,
        report: &Report,
        host: i64,
        hours: &BTreeMap<i64, i64>,
    ) -> rusqlite::Result<()> {
        // A sum beyond 64 bits would be a REAL, which the table refuses: every
        // batch that names this hour would fail. It stops at 2⁶² instead.
        let mut add = connection.prepare_cached(
            "INSERT INTO process_hour VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE
             SET ms = min(ms + excluded.ms, 4611686018427387904)",
        )?;
        let mut ran = connection.prepare_cached(
            "INSERT INTO ran VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE
             SET first = min(first, excluded.first), last = max(last, excluded.last)",
        )?;
        let own = report.item.hour;
        let first = hours.keys().copied().fold(own, i64::min);
        let last = hours.keys().copied().fold(own, i64::max);
        let all = BTreeMap::from([(own, hours.values().copied().fold(0, i64::saturating_add))]);
        let hours = if report.too_wide(hours.len()) { &all } else { hours };
        for ((workload, build), n) in &report.running {
            let workload = self.dictionary.maybe(connection, workload.as_deref())?.unwrap_or(0);
            let build = self.dictionary.build(connection, build.as_deref())?.unwrap_or(0);
            for (hour, ms) in hours {
                add.execute([workload, build, *hour, n.saturating_mul(*ms)])?;
            }
            ran.execute([workload, build, host, first, last])?;
            self.name(connection, workload)?;
        }
        Ok(())
    }

    /// The labels of the newest report are the host's.
    fn label(&mut self, connection: &Connection, report: &Report, host: i64) -> rusqlite::Result<()> {
        let newer = connection
            .prepare_cached("UPDATE host SET labels_at = ?2 WHERE id = ?1 AND labels_at <= ?2")?
            .execute([host, report.item.moment])?;
        if newer == 0 {
            return Ok(());
        }
        connection.prepare_cached("DELETE FROM label WHERE host = ?1")?.execute([host])?;
        for (name, value) in &report.labels {
            let name = self.dictionary.text(connection, name)?;
            let value = self.dictionary.text(connection, value)?;
            connection
                .prepare_cached("INSERT OR REPLACE INTO label VALUES (?1, ?2, ?3)")?
                .execute([host, name, value])?;
        }
        Ok(())
    }

    /// Learns a container's image; crashes that came before it are counted
    /// under the image from now on.
    fn contain(
        &mut self,
        connection: &Connection,
        container: &str,
        image: &str,
        name: i64,
        hour: i64,
    ) -> rusqlite::Result<()> {
        let image = self.dictionary.text(connection, image)?;
        let new = connection
            .prepare_cached("INSERT OR IGNORE INTO container VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![container, name, image, hour])?;
        if new == 0 {
            connection
                .prepare_cached("UPDATE container SET hour = max(hour, ?3) WHERE id = ?1 AND name = ?2")?
                .execute(params![container, name, hour])?;
            return Ok(());
        }
        self.name(connection, image)?;
        for (seq, cell) in waiting(connection, container, name)? {
            self.roll.add(cell, -1);
            self.roll.add(Cell { workload: image, ..cell }, 1);
            connection
                .prepare_cached("UPDATE crash SET image = ?2, workload = ?2 WHERE seq = ?1")?
                .execute([seq, image])?;
        }
        Ok(())
    }
}

fn is_here(connection: &Connection, id: &[u8; 16]) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM exposure WHERE id = ?1)")?
        .query_row([id], |row| row.get(0))
}

/// Spans of the boot that touch this one, in order.
fn counted(connection: &Connection, host: i64, boot: &[u8], span: Span) -> rusqlite::Result<Vec<Span>> {
    connection
        .prepare_cached(
            "SELECT low, high FROM span WHERE host = ?1 AND boot = ?2 AND low < ?4 AND high > ?3 ORDER BY low",
        )?
        .query_map(params![host, boot, span.0, span.1], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Crashes in a container whose image nobody knew.
fn waiting(connection: &Connection, container: &str, name: i64) -> rusqlite::Result<Vec<(i64, Cell)>> {
    connection
        .prepare_cached(
            "SELECT hour, signature, host, workload, ifnull(build, 0), core, seq
             FROM crash WHERE container = ?1 AND name = ?2 AND image IS NULL",
        )?
        .query_map(params![container, name], |row| Ok((row.get(6)?, super::remove::cell(row)?)))?
        .collect()
}
