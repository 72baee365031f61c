//! The roll-up of crashes: what one transaction adds and takes away, applied
//! once, in the order of the key.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

/// A row's key: everything that a count is asked by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cell {
    pub hour: i64,
    pub signature: i64,
    pub host: i64,
    pub workload: i64,
    pub build: i64,
    pub core: i64,
}

/// Changes that wait for the end of the transaction.
#[derive(Debug, Default)]
pub(super) struct RollUp(BTreeMap<Cell, i64>);

impl RollUp {
    pub(super) fn add(&mut self, cell: Cell, n: i64) {
        let sum = self.0.entry(cell).or_insert(0);
        *sum = sum.saturating_add(n);
    }

    pub(super) fn settle(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut more = connection.prepare_cached(
            "INSERT INTO crash_hour VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT DO UPDATE SET n = n + excluded.n",
        )?;
        for (cell, n) in std::mem::take(&mut self.0) {
            if n < 0 {
                fewer(connection, cell, n)?;
            } else if n > 0 {
                let Cell { hour, signature, host, workload, build, core } = cell;
                more.execute([hour, signature, host, workload, build, core, n])?;
            }
        }
        Ok(())
    }
}

fn fewer(connection: &Connection, cell: Cell, n: i64) -> rusqlite::Result<()> {
    const KEY: &str =
        "hour = ?1 AND signature = ?2 AND host = ?3 AND workload = ?4 AND build = ?5 AND core = ?6";
    let Cell { hour, signature, host, workload, build, core } = cell;
    connection
        .prepare_cached(&format!("UPDATE crash_hour SET n = n + ?7 WHERE {KEY}"))?
        .execute(params![hour, signature, host, workload, build, core, n])?;
    connection
        .prepare_cached(&format!("DELETE FROM crash_hour WHERE {KEY} AND n <= 0"))?
        .execute([hour, signature, host, workload, build, core])?;
    Ok(())
}
