//! Conditions of a search or a purge as SQL: texts become numbers first, so
//! that the engine sees `unit = 17` and takes that index.
//!
//! `*` stands for any text; every other character for itself (GLOB's own `?`
//! and `[` are quoted). What can be a number is never text in the SQL.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params};

use super::number::{clamp, key};
use crate::store::Search;
use crate::wire::api::Purge;

/// Numbers written into a list; a pattern that matches more becomes a
/// subquery, so that no list is as long as a host has invented names.
const LISTED: usize = 500;
/// Rows of a time window that are sorted rather than met on the way through
/// all.
const SORTED: i64 = 20_000;

/// Conditions, all of which must hold.
#[derive(Debug, Default)]
pub(super) struct Filter {
    conditions: Vec<String>,
    values: Vec<Value>,
    /// Some condition has an index better than the order of arrival.
    indexed: bool,
}

impl Filter {
    pub(super) fn sql(&self) -> String {
        if self.conditions.is_empty() { "1".to_owned() } else { self.conditions.join(" AND ") }
    }

    pub(super) fn values(&self) -> &[Value] {
        &self.values
    }

    fn with(&mut self, condition: &str, value: i64) {
        self.values.push(Value::Integer(value));
        self.conditions.push(condition.replace('?', &format!("?{}", self.values.len())));
    }

    pub(super) fn of_purge(connection: &Connection, purge: &Purge) -> rusqlite::Result<Filter> {
        let mut filter = Filter::default();
        if let Some(unit) = &purge.unit {
            filter.unit(connection, unit)?;
        }
        if let Some(host) = &purge.host {
            filter.text(connection, "crash.name", &[glob(host)])?;
        }
        if let Some(uid) = purge.uid {
            filter.with("crash.uid = ?", i64::from(uid));
        }
        if let Some(before) = purge.before {
            filter.with("crash.at < ?", clamp(before));
        }
        Ok(filter)
    }

    pub(super) fn of_search(connection: &Connection, search: &Search) -> rusqlite::Result<Filter> {
        let mut filter = Filter::default();
        if let Some(host) = &search.host {
            filter.text(connection, "crash.name", &[glob(host)])?;
            filter.indexed = true;
        }
        if let Some(unit) = &search.unit {
            filter.unit(connection, unit)?;
            filter.indexed = true;
        }
        if let Some(signature) = &search.signature {
            filter.signature(connection, signature)?;
            filter.indexed = true;
        }
        if let Some(exe) = &search.exe {
            filter.exe(connection, exe)?;
        }
        if let Some(build) = &search.build {
            filter.build(connection, build)?;
            filter.indexed = true;
        }
        if let Some(signal) = search.signal {
            // Most crashes are of few signals: another index is the better one.
            let column = if filter.indexed || is_common(connection, signal)? {
                "+crash.signal"
            } else {
                "crash.signal"
            };
            filter.with(&format!("{column} = ?"), i64::from(signal));
        }
        if !search.private {
            filter.conditions.push("NOT crash.private".to_owned());
        }
        filter.time(connection, search)?;
        if let Some(after) = search.after {
            let condition = if search.newest_first { "crash.seq < ?" } else { "crash.seq > ?" };
            filter.with(condition, clamp(after));
        }
        Ok(filter)
    }

    fn time(&mut self, connection: &Connection, search: &Search) -> rusqlite::Result<()> {
        if search.since.is_none() && search.until.is_none() {
            return Ok(());
        }
        let (since, until) = (clamp(search.since.unwrap_or(0)), clamp(search.until.unwrap_or(u64::MAX)));
        // A narrow window is found by time and sorted; a wide one is met often
        // enough in the order of arrival (`+` keeps the index out).
        let count: i64 = connection
            .prepare_cached("SELECT count(*) FROM (SELECT 1 FROM crash WHERE at BETWEEN ?1 AND ?2 LIMIT ?3)")?
            .query_row([since, until, SORTED], |row| row.get(0))?;
        let at = if self.indexed || count >= SORTED { "+crash.at" } else { "crash.at" };
        self.with(&format!("{at} >= ?"), since);
        self.with(&format!("{at} <= ?"), until);
        Ok(())
    }

    /// With or without `.service`.
    fn unit(&mut self, connection: &Connection, unit: &str) -> rusqlite::Result<()> {
        let patterns = [glob(unit), glob(&format!("{unit}.service"))];
        self.text(connection, "crash.unit", &patterns)
    }

    /// A path, else the file name of one, or a comm.
    fn exe(&mut self, connection: &Connection, exe: &str) -> rusqlite::Result<()> {
        let whole = glob(exe);
        if exe.contains('/') {
            return self.text(connection, "crash.exe", &[whole]);
        }
        let name = Pattern { text: format!("*/{}", quoted(exe)), exact: false };
        let paths = self.texts(connection, "crash.exe", &[name])?;
        let names = self.texts(connection, "crash.comm", &[whole])?;
        self.conditions.push(format!("({paths} OR {names})"));
        Ok(())
    }

    fn text(&mut self, connection: &Connection, column: &str, patterns: &[Pattern]) -> rusqlite::Result<()> {
        let condition = self.texts(connection, column, patterns)?;
        self.conditions.push(condition);
        Ok(())
    }

    /// `column` is the number of a text that one of the patterns matches.
    fn texts(
        &mut self,
        connection: &Connection,
        column: &str,
        patterns: &[Pattern],
    ) -> rusqlite::Result<String> {
        let found = numbers(connection, patterns)?;
        if found.len() <= LISTED {
            return Ok(among(column, &found));
        }
        let mut either = Vec::new();
        for Pattern { text, exact } in patterns {
            self.values.push(Value::Text(text.clone()));
            let compare = if *exact { "=" } else { "GLOB" };
            either.push(format!("text {compare} ?{}", self.values.len()));
        }
        // No longer worth a look into the index of `column` for each.
        Ok(format!("+{column} IN (SELECT id FROM text WHERE {})", either.join(" OR ")))
    }

    /// The first digits of a build-id.
    fn build(&mut self, connection: &Connection, digits: &str) -> rusqlite::Result<()> {
        let digits = if digits.bytes().all(|digit| digit.is_ascii_hexdigit()) { digits } else { "?" };
        let most = i64::try_from(LISTED).unwrap_or(i64::MAX).saturating_add(1);
        let mut find = connection
            .prepare_cached("SELECT id FROM build WHERE substr(hex(build), 1, ?2) = ?1 LIMIT ?3")?;
        let (upper, length) = (digits.to_ascii_uppercase(), i64::try_from(digits.len()).unwrap_or(i64::MAX));
        let found = find.query_map(params![upper, length, most], |row| row.get(0))?;
        let found = found.collect::<rusqlite::Result<Vec<i64>>>()?;
        if found.len() <= LISTED {
            self.conditions.push(among("crash.build", &found));
            return Ok(());
        }
        self.values.push(Value::Text(upper));
        let matching = format!("substr(hex(build), 1, {length}) = ?{}", self.values.len());
        self.conditions.push(format!("+crash.build IN (SELECT id FROM build WHERE {matching})"));
        Ok(())
    }

    /// The first digits of the key it is counted under, or of L1.
    fn signature(&mut self, connection: &Connection, digits: &str) -> rusqlite::Result<()> {
        let Some((low, high)) = range(digits) else {
            self.conditions.push("0".to_owned());
            return Ok(());
        };
        let counted_under = format!("SELECT signature FROM alias WHERE functions BETWEEN {low} AND {high}");
        let known = format!("SELECT EXISTS ({counted_under})");
        if !connection.query_row(&known, [], |row| row.get::<_, bool>(0))? {
            self.with("crash.signature >= ?", low);
            self.with("crash.signature <= ?", high);
            return Ok(());
        }
        self.conditions.push(format!(
            "(crash.signature BETWEEN {low} AND {high} OR
              (crash.signature IN ({counted_under}) AND crash.functions BETWEEN {low} AND {high}))"
        ));
        Ok(())
    }
}

/// The keys that begin with these digits, as SQLite orders them.
fn range(digits: &str) -> Option<(i64, i64)> {
    let digits = digits.strip_prefix("0x").unwrap_or(digits);
    if digits.is_empty() || digits.len() > 16 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let low = u64::from_str_radix(&format!("{digits:0<16}"), 16).ok()?;
    let high = u64::from_str_radix(&format!("{digits:f<16}"), 16).ok()?;
    Some((key(low), key(high)))
}

/// True when so many crashes are of this signal that they are met often enough
/// in the order of arrival.
fn is_common(connection: &Connection, signal: u32) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT count(*) >= ?2 FROM (SELECT 1 FROM crash WHERE signal = ?1 LIMIT ?2)")?
        .query_row(params![signal, SORTED], |row| row.get(0))
}

/// A text to compare with.
struct Pattern {
    text: String,
    /// No wildcard in it: equality, and the index of texts.
    exact: bool,
}

fn glob(text: &str) -> Pattern {
    if text.contains('*') {
        Pattern { text: quoted(text), exact: false }
    } else {
        Pattern { text: text.to_owned(), exact: true }
    }
}

/// GLOB's own characters but `*` as themselves.
fn quoted(text: &str) -> String {
    text.replace('[', "[[]").replace('?', "[?]")
}

fn numbers(connection: &Connection, patterns: &[Pattern]) -> rusqlite::Result<Vec<i64>> {
    let mut found = Vec::new();
    for Pattern { text, exact } in patterns {
        if *exact {
            let mut find = connection.prepare_cached("SELECT id FROM text WHERE text = ?1")?;
            found.extend(find.query_row([text], |row| row.get::<_, i64>(0)).optional()?);
        } else {
            let mut find = connection.prepare_cached("SELECT id FROM text WHERE text GLOB ?1 LIMIT ?2")?;
            let most = i64::try_from(LISTED).unwrap_or(i64::MAX).saturating_add(1);
            for id in find.query_map(params![text, most], |row| row.get::<_, i64>(0))? {
                found.push(id?);
            }
        }
    }
    Ok(found)
}

/// `column` is one of these numbers.
fn among(column: &str, numbers: &[i64]) -> String {
    match numbers {
        [] => "0".to_owned(),
        [one] => format!("{column} = {one}"),
        many => {
            let list: Vec<String> = many.iter().map(i64::to_string).collect();
            format!("{column} IN ({})", list.join(","))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_digits_of_a_key_are_a_range_in_the_order_of_its_bits() {
        assert_eq!(range("8"), Some((i64::MIN, key(0x8fff_ffff_ffff_ffff))));
        assert_eq!(range("0x00aabbccddeeff00"), Some((0x00aa_bbcc_ddee_ff00, 0x00aa_bbcc_ddee_ff00)));
        assert_eq!(range(""), None);
        assert_eq!(range("x"), None);
        assert_eq!(range("-1"), None);
    }

    #[test]
    fn only_the_star_is_a_wildcard() {
        assert_eq!(quoted("a?[b]*"), "a[?][[]b]*");
    }
}
