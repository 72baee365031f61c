//! What a study is made of, one page at a time: crashes and exposure reports
//! in the order of their positions, which they share.
//!
//! Positions are given by the one writer inside its transactions, so a page
//! never comes before one that was seen: nothing is read twice, and nothing that
//! was there at the beginning is missed, however much arrives meanwhile. The two
//! narrow tables say which rows are meant; bodies are then opened one by one
//! until the page is full, so that an answer has a bound in bytes.
//!
//! By arrival, and not by the index of crashes by time: reports, which are most of the
//! rows, have no such index, and all pages together pass over the two tables once.

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
const DAY_NS: u64 = 86_400_000_000_000;

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
        portion.latest = latest(connection, walk).map_err(sort)?;
        return Ok(portion);
    }
    let most = walk.most.min(MOST);
    let after = walk.after.map_or(-1, clamp);
    if walk.after.is_none() && !walk.private {
        portion.private = left_out(connection, walk).map_err(sort)?;
    }
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
        ItemKind::Exposure => record::decode_exposure(&raw)
            .ok()
            .and_then(|whole| record::encode_exposure(&record::slim_exposure(whole)).ok()),
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

/// Private crashes of all days that the window touches: of a page, or of an hour, the
/// number would tell when each of them was.
fn left_out(connection: &Connection, walk: &Walk) -> rusqlite::Result<u64> {
    let begin = walk.since.saturating_sub(walk.since % DAY_NS);
    let rest = (DAY_NS - 1).saturating_sub(walk.until % DAY_NS);
    let bounds = [clamp(begin), clamp(walk.until.saturating_add(rest))];
    let count: i64 = connection
        .prepare_cached("SELECT count(*) FROM crash WHERE private AND at >= ?1 AND at <= ?2")?
        .query_row(bounds, |row| row.get(0))?;
    Ok(amount(count))
}

/// The newest time that a crash, which the asker may see, or a report tells. Reports
/// have no index by their own time: those of the newest hours by ours are looked at.
fn latest(connection: &Connection, walk: &Walk) -> rusqlite::Result<Option<u64>> {
    let ahead = clamp(walk.now.saturating_add(AHEAD));
    let crash: Option<i64> = connection
        .prepare_cached("SELECT at FROM crash WHERE at <= ?1 AND private <= ?2 ORDER BY at DESC LIMIT 1")?
        .query_row([ahead, i64::from(walk.private)], |row| row.get(0))
        .optional()?;
    let report: Option<i64> = connection
        .prepare_cached(
            "SELECT max(at) FROM exposure WHERE at <= ?1 AND hour BETWEEN
               (SELECT max(hour) FROM exposure WHERE hour <= ?2) - 1 AND ?2",
        )?
        .query_row([ahead, ahead.div_euclid(HOUR_NS)], |row| row.get(0))?;
    Ok(crash.max(report).map(amount))
}
