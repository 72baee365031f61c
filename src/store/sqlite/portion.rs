//! What a study is made of, one page at a time: crashes and exposure reports
//! in the order of their positions, which they share.
//!
//! Positions are given by the one writer inside its transactions, so a page
//! never comes before one that was seen: nothing is read twice, and nothing that
//! was there at the beginning is missed, however much arrives meanwhile. The two
//! narrow tables say which rows are meant; bodies are then opened one by one
//! until the page is full, so that an answer has a bound in bytes.

use rusqlite::{Connection, OptionalExtension, Row};

use super::fault::sort;
use super::number::{HOUR_NS, amount, clamp};
use crate::record::{self, Id, SCHEMA};
use crate::store::{StoreError, Walk};
use crate::wire::ItemKind;
use crate::wire::api::{Portion, PortionItem};
use crate::wire::pack::unpack;

/// Items of a page, at most.
const MOST: u32 = 4000;
/// Bytes of their bodies after which a page ends.
const BYTES: usize = 4 << 20;
/// A clock that is further ahead does not say what is the newest.
const AHEAD: u64 = 24 * 3_600_000_000_000;

/// `+` keeps the index by time out: the order is that of arrival.
const ROWS: &str = "SELECT * FROM (
     SELECT seq, 0, private, v, id FROM crash
     WHERE seq > ?1 AND +at >= ?2 AND +at <= ?3 ORDER BY seq LIMIT ?4)
   UNION ALL SELECT * FROM (
     SELECT seq, 1, 0, 0, id FROM exposure
     WHERE seq > ?1 AND +at >= ?2 AND +at <= ?3 ORDER BY seq LIMIT ?4)
   ORDER BY 1 LIMIT ?4";

/// A row of one of the two.
struct Found {
    seq: i64,
    kind: ItemKind,
    private: bool,
    v: u16,
    id: Vec<u8>,
}

fn found(row: &Row<'_>) -> rusqlite::Result<Found> {
    let kind = if row.get(1)? { ItemKind::Exposure } else { ItemKind::Crash };
    Ok(Found { seq: row.get(0)?, kind, private: row.get(2)?, v: row.get(3)?, id: row.get(4)? })
}

/// One page.
pub(super) fn portion(connection: &Connection, walk: &Walk) -> Result<Portion, StoreError> {
    let mut portion = Portion { last: last(connection).map_err(sort)?, ..Portion::default() };
    if walk.most == 0 {
        portion.latest = latest(connection, walk.now).map_err(sort)?;
        return Ok(portion);
    }
    let most = walk.most.min(MOST);
    let after = walk.after.map_or(-1, clamp);
    let rows: Vec<Found> = connection
        .prepare_cached(ROWS)
        .and_then(|mut rows| {
            let bounds = [after, clamp(walk.since), clamp(walk.until), i64::from(most)];
            rows.query_map(bounds, found)?.collect()
        })
        .map_err(sort)?;
    let full = rows.len() >= usize::try_from(most).unwrap_or(usize::MAX);
    let mut next = rows.last().filter(|_| full).map(|row| amount(row.seq));
    let mut bytes = 0usize;
    for row in rows {
        if row.private && !walk.private {
            portion.private = portion.private.saturating_add(1);
            continue;
        }
        let seq = amount(row.seq);
        let Some(body) = body(connection, &row)? else {
            portion.unread = portion.unread.saturating_add(1);
            continue;
        };
        bytes = bytes.saturating_add(body.len());
        let (kind, private, id) = (row.kind, row.private, Id(row.id));
        portion.items.push(PortionItem { seq, kind, private, id, body: Id(body) });
        if bytes >= BYTES {
            next = Some(seq);
            break;
        }
    }
    Ok(portion_until(portion, next))
}

/// A page that ended early at what is the very last has nothing behind it.
fn portion_until(portion: Portion, next: Option<u64>) -> Portion {
    let next = next.filter(|next| *next < portion.last);
    Portion { next, ..portion }
}

/// What a study reads of an item; nothing of one that cannot be read.
fn body(connection: &Connection, row: &Found) -> Result<Option<Vec<u8>>, StoreError> {
    let packed: Option<Vec<u8>> = connection
        .prepare_cached("SELECT packed FROM body WHERE seq = ?1")
        .and_then(|mut find| find.query_row([row.seq], |row| row.get(0)).optional())
        .map_err(sort)?;
    let Some(raw) = packed.and_then(|packed| unpack(&packed).ok()) else { return Ok(None) };
    Ok(match row.kind {
        // Whoever asks decodes it anyway, and needs all of it.
        ItemKind::Exposure => Some(raw),
        ItemKind::Crash if row.v > SCHEMA => None,
        ItemKind::Crash => {
            record::decode(&raw).ok().and_then(|whole| record::encode(&record::slim(whole)).ok())
        }
    })
}

fn last(connection: &Connection) -> rusqlite::Result<u64> {
    let next: i64 = connection
        .prepare_cached("SELECT n FROM number WHERE name = 'seq'")?
        .query_row([], |row| row.get(0))?;
    Ok(amount(next.saturating_sub(1)))
}

/// The newest time that a crash or a report tells. Reports have no index by
/// their own time: those of the newest hours by ours are looked at.
fn latest(connection: &Connection, now: u64) -> rusqlite::Result<Option<u64>> {
    let ahead = clamp(now.saturating_add(AHEAD));
    let crash: Option<i64> = connection
        .prepare_cached("SELECT max(at) FROM crash WHERE at <= ?1")?
        .query_row([ahead], |row| row.get(0))?;
    let report: Option<i64> = connection
        .prepare_cached(
            "SELECT max(at) FROM exposure WHERE at <= ?1 AND hour BETWEEN
               (SELECT max(hour) FROM exposure WHERE hour <= ?2) - 1 AND ?2",
        )?
        .query_row([ahead, ahead.div_euclid(HOUR_NS)], |row| row.get(0))?;
    Ok(crash.max(report).map(amount))
}
