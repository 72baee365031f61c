//! A crash's way into the tables: new, a duplicate, or the full record of one
//! whose minimal record came first.

use rusqlite::{Connection, OptionalExtension, params};

use super::ledger::Ledger;
use super::prepare::CrashRow;
use super::rollup::Cell;
use crate::wire::Said;

/// A row's texts as numbers.
struct Numbers {
    host: i64,
    name: i64,
    unit: Option<i64>,
    image: Option<i64>,
    exe: Option<i64>,
    comm: Option<i64>,
    build: Option<i64>,
    workload: i64,
    culprit: Option<i64>,
    kernel: Option<i64>,
}

/// What is there under an id already.
struct Before {
    seq: i64,
    v: u16,
    minimal: bool,
    name: i64,
    cell: Cell,
}

const INSERT: &str = "INSERT INTO crash VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14,
    ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28) ON CONFLICT (id) DO NOTHING";

impl Ledger {
    pub(super) fn crash(
        &mut self,
        connection: &Connection,
        row: &CrashRow,
    ) -> rusqlite::Result<(Said, Option<String>)> {
        if let Some(said) = self.turned_away(connection, &row.item, || is_here(connection, row))? {
            return Ok(said);
        }
        let numbers = self.numbers(connection, row)?;
        if insert(connection, self.seq, row, &numbers)? {
            let seq = self.next();
            Ledger::keep_body(connection, seq, row.item.received, &row.item.packed)?;
            self.count(connection, row, &numbers)?;
            return Ok((Said::Stored, None));
        }
        let before = before(connection, &row.item.id)?;
        if before.name != numbers.name {
            return Ok((Said::Refused, Some("this id belongs to a crash of another host".to_owned())));
        }
        if !before.minimal || row.minimal {
            return Ok((Said::Duplicate, None));
        }
        self.replace(connection, &before, row, &numbers)?;
        Ok((Said::Stored, None))
    }

    fn numbers(&mut self, connection: &Connection, row: &CrashRow) -> rusqlite::Result<Numbers> {
        let (host, name, kernel) = self.hosts.row(connection, &mut self.dictionary, &row.item)?;
        let dictionary = &mut self.dictionary;
        let image = match &row.container {
            Some(container) => image(connection, container, name)?,
            None => None,
        };
        let workload = match image {
            Some(image) => Some(image),
            None => dictionary.maybe(connection, row.workload.as_deref())?,
        };
        Ok(Numbers {
            host,
            name,
            unit: dictionary.maybe(connection, row.unit.as_deref())?,
            image,
            exe: dictionary.maybe(connection, row.exe.as_deref())?,
            comm: dictionary.maybe(connection, row.comm.as_deref())?,
            build: dictionary.build(connection, row.build.as_deref())?,
            workload: workload.unwrap_or(0),
            culprit: dictionary.maybe(connection, row.culprit.as_deref())?,
            kernel,
        })
    }

    fn count(&mut self, connection: &Connection, row: &CrashRow, numbers: &Numbers) -> rusqlite::Result<()> {
        self.roll.add(cell(row, numbers), 1);
        self.count_version(row.v, 1);
        if !row.private {
            self.name(connection, numbers.workload)?;
        }
        let Some(functions) = row.functions.filter(|functions| *functions != row.signature) else {
            return Ok(());
        };
        let pair = (functions, row.signature);
        if self.aliases.get(&pair).is_none() {
            connection.prepare_cached("INSERT OR IGNORE INTO alias VALUES (?1, ?2)")?.execute(pair)?;
            self.aliases.put(pair, 0);
        }
        Ok(())
    }

    /// The full record takes the place of the minimal one, and its position.
    fn replace(
        &mut self,
        connection: &Connection,
        before: &Before,
        row: &CrashRow,
        numbers: &Numbers,
    ) -> rusqlite::Result<()> {
        self.roll.add(before.cell, -1);
        self.count_version(before.v, -1);
        connection.prepare_cached("DELETE FROM crash WHERE seq = ?1")?.execute([before.seq])?;
        connection.prepare_cached("DELETE FROM body WHERE seq = ?1")?.execute([before.seq])?;
        insert(connection, before.seq, row, numbers)?;
        Ledger::keep_body(connection, before.seq, row.item.received, &row.item.packed)?;
        self.count(connection, row, numbers)
    }
}

fn cell(row: &CrashRow, numbers: &Numbers) -> Cell {
    Cell {
        hour: row.item.hour,
        signature: row.signature,
        host: numbers.host,
        workload: numbers.workload,
        build: numbers.build.unwrap_or(0),
        core: row.core,
    }
}

/// False when the id is there already.
fn insert(connection: &Connection, seq: i64, row: &CrashRow, numbers: &Numbers) -> rusqlite::Result<bool> {
    let (item, n) = (&row.item, numbers);
    let changed = connection.prepare_cached(INSERT)?.execute(params![
        seq,
        item.id,
        row.v,
        item.at,
        item.received,
        item.hour,
        item.shifted,
        n.host,
        n.name,
        n.unit,
        n.image,
        row.container,
        n.exe,
        n.comm,
        n.build,
        n.workload,
        row.signal,
        row.code,
        row.addr,
        row.uid,
        row.signature,
        row.functions,
        n.culprit,
        row.cpu,
        row.core,
        n.kernel,
        row.private,
        row.minimal,
    ])?;
    Ok(changed > 0)
}

/// True when it is here, equally or more complete.
fn is_here(connection: &Connection, row: &CrashRow) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM crash WHERE id = ?1 AND (?2 OR NOT minimal))")?
        .query_row(params![row.item.id, row.minimal], |row| row.get(0))
}

fn image(connection: &Connection, container: &str, name: i64) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT image FROM container WHERE id = ?1 AND name = ?2")?
        .query_row(params![container, name], |row| row.get(0))
        .optional()
}

fn before(connection: &Connection, id: &[u8; 16]) -> rusqlite::Result<Before> {
    connection
        .prepare_cached(
            "SELECT hour, signature, host, workload, ifnull(build, 0), core, seq, v, minimal, name
             FROM crash WHERE id = ?1",
        )?
        .query_row([id], |row| {
            Ok(Before {
                cell: super::remove::cell(row)?,
                seq: row.get(6)?,
                v: row.get(7)?,
                minimal: row.get(8)?,
                name: row.get(9)?,
            })
        })
}
