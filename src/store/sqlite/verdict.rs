//! What people found out about hosts, and what became known of whom.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::number::{amount, clamp, key, unkey};
use super::remove::note;
use crate::record::Hex;
use crate::store::Subject;
use crate::wire::api::{AuditRow, Verdict};

/// Names that are looked through for one that was meant.
const NAMES: u32 = 200_000;

/// Writes a verdict and its audit line, when there is somebody whom it is about.
pub(super) fn judge(connection: &Connection, verdict: &Verdict) -> rusqlite::Result<Subject> {
    let host: Option<i64> = connection
        .prepare_cached(
            "SELECT host.name FROM text JOIN host ON host.name = text.id WHERE text.text = ?1 LIMIT 1",
        )?
        .query_row([&verdict.host], |row| row.get(0))
        .optional()?;
    let Some(host) = host else { return Ok(Subject::NoHost) };
    let signature = verdict.signature.map(|signature| key(signature.0));
    let crashes: i64 = match signature {
        None => connection
            .prepare_cached("SELECT count(*) FROM crash WHERE name = ?1")?
            .query_row([host], |row| row.get(0))?,
        Some(signature) => connection
            // A bug's signature has more crashes than any host: its index is kept out.
            .prepare_cached("SELECT count(*) FROM crash WHERE name = ?1 AND +signature = ?2")?
            .query_row([host, signature], |row| row.get(0))?,
    };
    if signature.is_some() && crashes == 0 {
        return Ok(Subject::NoCrash);
    }
    connection
        .prepare_cached(
            "INSERT INTO verdict (at, who, host, signature, confirmed, note) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            clamp(verdict.at),
            verdict.who,
            verdict.host,
            signature,
            verdict.confirmed,
            verdict.note
        ])?;
    let count = amount(crashes);
    let (at, who) = (verdict.at, verdict.who.clone());
    note(connection, &AuditRow { at, who, action: "verdict".to_owned(), what: told(verdict), count })?;
    Ok(Subject::Crashes(count))
}

/// The line of the audit log; the note is in the verdict.
fn told(verdict: &Verdict) -> String {
    let of = verdict.signature.map_or(String::new(), |key| format!(", signature {:016x}", key.0));
    let said = if verdict.confirmed { "confirmed" } else { "refuted" };
    format!("{said}: host {}{of}", verdict.host)
}

/// The newest first.
pub(super) fn list(connection: &Connection, most: u32) -> rusqlite::Result<Vec<Verdict>> {
    connection
        .prepare_cached(
            "SELECT at, who, host, signature, confirmed, note FROM verdict ORDER BY seq DESC LIMIT ?1",
        )?
        .query_map([most], verdict)?
        .collect()
}

fn verdict(row: &Row<'_>) -> rusqlite::Result<Verdict> {
    Ok(Verdict {
        at: amount(row.get(0)?),
        who: row.get(1)?,
        host: row.get(2)?,
        signature: row.get::<_, Option<i64>>(3)?.map(|bits| Hex(unkey(bits))),
        confirmed: row.get(4)?,
        note: row.get(5)?,
    })
}

/// Names of hosts, each once.
pub(super) fn names(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached("SELECT text FROM text WHERE id IN (SELECT name FROM host) LIMIT ?1")?
        .query_map([NAMES], |row| row.get(0))?
        .collect()
}
