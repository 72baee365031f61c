//! Strings and build-ids once each: text → number, with bounded caches.
//!
//! Only the writer adds; it keeps the numbers of what it saw lately in two
//! generations (when the young one is full it becomes the old one), so that a
//! host that invents names costs a look-up each and never memory.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

use rusqlite::{Connection, OptionalExtension, ToSql};

/// Entries of one generation: 32,768 texts of at most 256 bytes.
const GENERATION: usize = 32_768;

/// Numbers of what was seen lately.
#[derive(Debug)]
pub(super) struct Cache<K> {
    young: HashMap<K, i64>,
    old: HashMap<K, i64>,
}

impl<K> Default for Cache<K> {
    fn default() -> Cache<K> {
        Cache { young: HashMap::new(), old: HashMap::new() }
    }
}

impl<K: Hash + Eq> Cache<K> {
    pub(super) fn get<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<i64>
    where
        K: Borrow<Q>,
    {
        if let Some(number) = self.young.get(key) {
            return Some(*number);
        }
        let (key, number) = self.old.remove_entry(key)?;
        self.put(key, number);
        Some(number)
    }

    pub(super) fn put(&mut self, key: K, number: i64) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, number);
    }
}

/// The writer's dictionaries.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    texts: Cache<Box<str>>,
    builds: Cache<Box<[u8]>>,
}

impl Dictionary {
    /// The number of a text, new or known.
    pub(super) fn text(&mut self, connection: &Connection, text: &str) -> rusqlite::Result<i64> {
        if let Some(number) = self.texts.get(text) {
            return Ok(number);
        }
        let number = number(
            connection,
            "SELECT id FROM text WHERE text = ?1",
            "INSERT INTO text (text) VALUES (?1)",
            &text,
        )?;
        self.texts.put(text.into(), number);
        Ok(number)
    }

    /// The same for what may be absent.
    pub(super) fn maybe(
        &mut self,
        connection: &Connection,
        text: Option<&str>,
    ) -> rusqlite::Result<Option<i64>> {
        text.map(|text| self.text(connection, text)).transpose()
    }

    /// The number of a build-id.
    pub(super) fn build(
        &mut self,
        connection: &Connection,
        build: Option<&[u8]>,
    ) -> rusqlite::Result<Option<i64>> {
        let Some(build) = build else { return Ok(None) };
        if let Some(number) = self.builds.get(build) {
            return Ok(Some(number));
        }
        let number = number(
            connection,
            "SELECT id FROM build WHERE build = ?1",
            "INSERT INTO build (build) VALUES (?1)",
            &build,
        )?;
        self.builds.put(build.into(), number);
        Ok(Some(number))
    }
}

fn number(connection: &Connection, find: &str, add: &str, value: &dyn ToSql) -> rusqlite::Result<i64> {
    let found = connection.prepare_cached(find)?.query_row([value], |row| row.get(0)).optional()?;
    match found {
        Some(number) => Ok(number),
        None => connection.prepare_cached(add)?.insert([value]),
    }
}
