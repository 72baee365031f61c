//! Reading the roll-up of crashes: each row of the window once, in the order
//! of the file, reduced as it passes.
//!
//! The roll-up lies by hour, because that is how it is written; a question
//! asks by signature or host. A GROUP BY would sort every row of the window;
//! here they pass by once and distinct pairs of small numbers are kept. What
//! is kept is bounded by the distinct pairs or cells of the answer, never by
//! records.

use std::collections::HashMap;
use std::hash::Hash;

use rusqlite::Connection;

use super::number::{amount, clamp, hour};
use super::rollup::Cell;
use crate::store::Window;

/// Elements that are gathered before equal ones are first folded.
const FOLD: usize = 1 << 20;
/// Rows of an answer when nobody says how many.
const ROWS: u32 = 1000;

/// The hours that a window touches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hours {
    pub first: i64,
    pub last: i64,
}

impl Hours {
    pub(super) fn of(window: &Window) -> Hours {
        Hours { first: hour(clamp(window.since)), last: hour(clamp(window.until)) }
    }
}

/// Rows that an answer may have.
pub(super) fn most(window: &Window) -> usize {
    usize::try_from(if window.most == 0 { ROWS } else { window.most }).unwrap_or(usize::MAX)
}

/// Visits every row of the roll-up in the window.
pub(super) fn each(
    connection: &Connection,
    hours: Hours,
    signature: Option<i64>,
    mut visit: impl FnMut(Cell, u64),
) -> rusqlite::Result<()> {
    let sql = match signature {
        Some(key) => format!("{EACH} AND signature = {key}"),
        None => EACH.to_owned(),
    };
    let mut asked = connection.prepare(&sql)?;
    let mut rows = asked.query([hours.first, hours.last])?;
    while let Some(row) = rows.next()? {
        visit(super::remove::cell(row)?, amount(row.get(6)?));
    }
    Ok(())
}

const EACH: &str = "SELECT hour, signature, host, workload, build, core, n FROM crash_hour
    WHERE hour BETWEEN ?1 AND ?2";

/// Small numbers in the place of large ones, in the order of first sight.
#[derive(Debug)]
pub(super) struct Places<K> {
    pub list: Vec<K>,
    of: HashMap<K, u32>,
}

impl<K> Default for Places<K> {
    fn default() -> Places<K> {
        Places { list: Vec::new(), of: HashMap::new() }
    }
}

impl<K: Copy + Eq + Hash> Places<K> {
    pub(super) fn place(&mut self, key: K) -> u32 {
        *self.of.entry(key).or_insert_with(|| {
            let place = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
            self.list.push(key);
            place
        })
    }
}

/// Equal keys folded into sums; in order when it is done.
#[derive(Debug)]
pub(super) struct Sums<K> {
    list: Vec<(K, u32)>,
    fold_at: usize,
}

impl<K> Default for Sums<K> {
    fn default() -> Sums<K> {
        Sums { list: Vec::new(), fold_at: FOLD }
    }
}

impl<K: Copy + Ord> Sums<K> {
    pub(super) fn add(&mut self, key: K, n: u64) {
        self.list.push((key, u32::try_from(n).unwrap_or(u32::MAX)));
        if self.list.len() >= self.fold_at {
            self.fold();
            self.fold_at = self.list.len().saturating_mul(2).max(FOLD);
        }
    }

    fn fold(&mut self) {
        self.list.sort_unstable_by_key(|(key, _)| *key);
        self.list.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 = kept.1.saturating_add(next.1);
            }
            same
        });
    }

    pub(super) fn done(mut self) -> Vec<(K, u32)> {
        self.fold();
        self.list
    }
}

/// Texts and builds by number, each looked up once.
#[derive(Debug)]
pub(super) struct Names<'a> {
    connection: &'a Connection,
    texts: HashMap<i64, Option<String>>,
}

/// In the place of a workload's name that only private crashes bear.
const PRIVATE: &str = "(private)";

impl<'a> Names<'a> {
    pub(super) fn new(connection: &'a Connection) -> Names<'a> {
        Names { connection, texts: HashMap::new() }
    }

    /// The text; none for 0 and what is not there.
    pub(super) fn text(&mut self, number: i64) -> rusqlite::Result<Option<String>> {
        use rusqlite::OptionalExtension;
        if let Some(known) = self.texts.get(&number) {
            return Ok(known.clone());
        }
        let text: Option<String> = self
            .connection
            .prepare_cached("SELECT text FROM text WHERE id = ?1")?
            .query_row([number], |row| row.get(0))
            .optional()?;
        self.texts.insert(number, text.clone());
        Ok(text)
    }

    /// A workload's name, when everybody may see it; none for 0.
    pub(super) fn program(&mut self, number: i64) -> rusqlite::Result<Option<String>> {
        let open = self
            .connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM named WHERE workload = ?1)")?
            .query_row([number], |row| row.get(0))?;
        if open { self.text(number) } else { Ok(None) }
    }

    /// The same where a name must stand: empty for 0.
    pub(super) fn workload(&mut self, number: i64) -> rusqlite::Result<String> {
        let hidden = if number == 0 { "" } else { PRIVATE };
        Ok(self.program(number)?.unwrap_or_else(|| hidden.to_owned()))
    }

    /// The build-id; none for 0.
    pub(super) fn build(&self, number: i64) -> rusqlite::Result<Option<Vec<u8>>> {
        use rusqlite::OptionalExtension;
        self.connection
            .prepare_cached("SELECT build FROM build WHERE id = ?1")?
            .query_row([number], |row| row.get(0))
            .optional()
    }
}

/// Milliseconds as hours.
pub(super) fn as_hours(ms: f64) -> f64 {
    ms / 3_600_000.0
}
