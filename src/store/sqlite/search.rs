//! Crashes, one page at a time, and one crash whole.
//!
//! Pages go by position (`seq`), never by OFFSET: page thousand costs what
//! page one costs, and nothing is shown twice when new ones come between.

use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row};

use super::fault::sort;
use super::filter::Filter;
use super::number::{amount, unkey};
use crate::record::{Hex, Id, decode};
use crate::store::{Amounts, Search, StoreError};
use crate::wire::api::{One, Page, Summary};
use crate::wire::pack::unpack;

/// Rows of a page when nobody says how many, and at most.
const PAGE: u32 = 100;
const PAGE_MOST: u32 = 1000;
/// Candidates for a part of an id: more are no help.
const CANDIDATES: u32 = 16;

const COLUMNS: &str = "SELECT crash.seq, crash.id, crash.v, crash.at, crash.received,
    host.text, unit.text, image.text, exe.text, comm.text, build.build,
    crash.signal, crash.code, crash.addr, crash.signature, crash.functions,
    culprit.text, crash.cpu, kernel.text, crash.private, crash.minimal
  FROM crash
    JOIN text host ON host.id = crash.name
    LEFT JOIN text unit ON unit.id = crash.unit
    LEFT JOIN text image ON image.id = crash.image
    LEFT JOIN text exe ON exe.id = crash.exe
    LEFT JOIN text comm ON comm.id = crash.comm
    LEFT JOIN build ON build.id = crash.build
    LEFT JOIN text culprit ON culprit.id = crash.culprit
    LEFT JOIN text kernel ON kernel.id = crash.kernel";

fn summary(row: &Row<'_>) -> rusqlite::Result<Summary> {
    let hex = |value: Option<i64>| value.map(|bits| Hex(unkey(bits)));
    Ok(Summary {
        seq: amount(row.get(0)?),
        id: Id(row.get(1)?),
        v: row.get(2)?,
        at: amount(row.get(3)?),
        received: amount(row.get(4)?),
        host: row.get(5)?,
        unit: row.get(6)?,
        image: row.get(7)?,
        exe: row.get(8)?,
        comm: row.get(9)?,
        build: row.get::<_, Option<Vec<u8>>>(10)?.map(Id),
        signal: row.get(11)?,
        code: row.get(12)?,
        addr: hex(row.get(13)?),
        signature: hex(Some(row.get(14)?).filter(|key| *key != 0)),
        functions: hex(row.get(15)?),
        culprit: row.get(16)?,
        cpu: row.get(17)?,
        kernel: row.get(18)?,
        private: row.get(19)?,
        minimal: row.get(20)?,
    })
}

/// The positions are found first, in the narrow table; only those of the page
/// are then looked up in full.
fn page(
    connection: &Connection,
    condition: &str,
    values: &[Value],
    newest_first: bool,
    most: u32,
) -> rusqlite::Result<Vec<Summary>> {
    let order = if newest_first { "DESC" } else { "ASC" };
    let sql = format!(
        "{COLUMNS} WHERE crash.seq IN
           (SELECT crash.seq FROM crash WHERE {condition} ORDER BY crash.seq {order} LIMIT {most})
         ORDER BY crash.seq {order}"
    );
    connection.prepare(&sql)?.query_map(rusqlite::params_from_iter(values), summary)?.collect()
}

/// One page of what matches.
pub(super) fn search(connection: &Connection, search: &Search) -> Result<Page, StoreError> {
    let most = if search.most == 0 { PAGE } else { search.most.min(PAGE_MOST) };
    let filter = Filter::of_search(connection, search).map_err(sort)?;
    let more = most.saturating_add(1);
    let mut records =
        page(connection, &filter.sql(), filter.values(), search.newest_first, more).map_err(sort)?;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let next = (records.len() > most).then(|| {
        records.truncate(most);
        records.last().map(|last| last.seq)
    });
    Ok(Page { records, next: next.flatten() })
}

/// One crash by its id.
pub(super) fn one(connection: &Connection, id: &[u8; 16]) -> Result<Option<One>, StoreError> {
    let found = connection
        .prepare_cached(&format!("{COLUMNS} WHERE crash.id = ?1"))
        .and_then(|mut find| find.query_row([id], summary).optional())
        .map_err(sort)?;
    let Some(summary) = found else { return Ok(None) };
    let packed: Option<Vec<u8>> = connection
        .prepare_cached("SELECT packed FROM body WHERE seq = ?1")
        .and_then(|mut find| find.query_row([summary.seq.cast_signed()], |row| row.get(0)).optional())
        .map_err(sort)?;
    // Retention may have taken the body and left the columns.
    let Some(packed) = packed else { return Ok(Some(One { summary, record: None, raw: None })) };
    let raw = unpack(&packed).map_err(|why| StoreError::Broken(format!("a stored record: {why}")))?;
    Ok(Some(match decode(&raw) {
        Ok(record) if summary.v <= crate::record::SCHEMA => One { summary, record: Some(record), raw: None },
        _ => One { summary, record: None, raw: Some(Id(raw)) },
    }))
}

/// Ids that begin with these digits, else those that end with them, else those
/// that hold them anywhere: `epicore list` shows the end of an id, and whoever
/// types the first digits of that has a piece of the middle.
pub(super) fn find(connection: &Connection, digits: &str) -> Result<Page, StoreError> {
    let digits: String = digits.chars().filter(|c| *c != '-').map(|c| c.to_ascii_lowercase()).collect();
    let fits = !digits.is_empty() && digits.len() <= 32 && digits.bytes().all(|d| d.is_ascii_hexdigit());
    let (Some(low), Some(high), true) =
        (Id::from_hex(&format!("{digits:0<32}")), Id::from_hex(&format!("{digits:f<32}")), fits)
    else {
        return Ok(Page::default());
    };
    let bytes = [Value::Blob(low.0), Value::Blob(high.0)];
    let begins = "crash.id BETWEEN ?1 AND ?2";
    let mut records = page(connection, begins, &bytes, true, CANDIDATES).map_err(sort)?;
    if records.is_empty() {
        // Compares bytes of the whole index of ids: no text is made of each.
        let (sql, values) = ends(&digits);
        records = page(connection, &sql, &values, true, CANDIDATES).map_err(sort)?;
    }
    if records.is_empty() {
        let text = [Value::Text(digits.to_ascii_uppercase())];
        records = page(connection, "instr(hex(crash.id), ?1)", &text, true, CANDIDATES).map_err(sort)?;
    }
    Ok(Page { records, next: None })
}

/// An odd digit in front is the low half of a byte: sixteen bytes it could be.
fn ends(digits: &str) -> (String, Vec<Value>) {
    let bytes = digits.len().div_ceil(2);
    let heads: Vec<String> = match digits.len() % 2 {
        0 => vec![digits.to_owned()],
        _ => "0123456789abcdef".chars().map(|high| format!("{high}{digits}")).collect(),
    };
    let values: Vec<Value> =
        heads.iter().filter_map(|head| Some(Value::Blob(Id::from_hex(head)?.0))).collect();
    let marks: Vec<String> = (1..=values.len()).map(|n| format!("?{n}")).collect();
    let sql = format!("substr(crash.id, -{bytes}) IN ({})", marks.join(","));
    (sql, values)
}

/// Amounts; none of them counts rows but the hosts'.
pub(super) fn amounts(connection: &Connection, path: &Path) -> Result<Amounts, StoreError> {
    let one = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map(amount).map_err(sort);
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
    Ok(Amounts {
        records: one("SELECT ifnull(sum(n), 0) FROM version")?,
        undecoded: one(&format!(
            "SELECT ifnull(sum(n), 0) FROM version WHERE v > {}",
            crate::record::SCHEMA
        ))?,
        exposures: one("SELECT n FROM number WHERE name = 'exposures'")?,
        hosts: one("SELECT count(*) FROM host")?,
        bytes: size(path).saturating_add(size(Path::new(&wal))),
    })
}
