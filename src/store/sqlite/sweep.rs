//! What retention removes from tables that have no index by hour: the roll-ups
//! of exposure, containers, purged ids. An index would cost every census more
//! than the sweep costs a day.
//!
//! So it goes along their keys, once a day and not every hour, a bounded step
//! in each transaction: of a host, and of a workload's build, the hours before
//! the horizon are one range of the key, found without reading those behind
//! it; of what has no hour in its key all rows pass by, some thousands a step.

use rusqlite::{Connection, params};

/// Rows of one step, passed by or removed, but for one key's: what a batch may
/// have to wait for.
const ROWS: usize = LIMIT.unsigned_abs();
/// The same for SQLite.
const LIMIT: isize = 20_000;

const HOSTS: &str = "SELECT id FROM host WHERE id > ?1 ORDER BY id LIMIT ?2";
const HOST_HOURS: &str = "DELETE FROM host_hour WHERE host = ?1 AND hour < ?2";
const RAN: &str = "SELECT workload, build, host, last FROM ran WHERE (workload, build, host) > (?1, ?2, ?3)
    ORDER BY workload, build, host LIMIT ?4";
const PROCESS_HOURS: &str = "DELETE FROM process_hour WHERE workload = ?1 AND build = ?2 AND hour < ?3";
const RAN_NO_MORE: &str = "DELETE FROM ran WHERE workload = ?1 AND build = ?2 AND host = ?3";
const CONTAINERS: &str =
    "SELECT id, name, hour FROM container WHERE (id, name) > (?1, ?2) ORDER BY id, name LIMIT ?3";
const NO_CONTAINER: &str = "DELETE FROM container WHERE id = ?1 AND name = ?2";
const PURGED: &str = "SELECT id, until FROM purged WHERE id > ?1 ORDER BY id LIMIT ?2";
const FORGET: &str = "DELETE FROM purged WHERE id = ?1";

/// How far it is: the key after which it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sweep {
    /// Hours of hosts.
    Hosts(i64),
    /// Who ran what: workload, build, host; and the hours of what ran.
    Ran(i64, i64, i64),
    /// Containers: id, host name.
    Containers(String, i64),
    /// Ids that were purged.
    Purged(Vec<u8>),
    /// It is through.
    Done,
}

impl Sweep {
    pub(super) fn begin() -> Sweep {
        Sweep::Hosts(i64::MIN)
    }

    /// Removes what of the next rows lies before the horizon.
    pub(super) fn step(self, connection: &Connection, horizon: i64) -> rusqlite::Result<Sweep> {
        match self {
            Sweep::Hosts(after) => hosts(connection, horizon, after),
            Sweep::Ran(workload, build, host) => ran(connection, horizon, (workload, build, host)),
            Sweep::Containers(id, name) => containers(connection, horizon, &(id, name)),
            Sweep::Purged(id) => purged(connection, horizon, &id),
            Sweep::Done => Ok(Sweep::Done),
        }
    }
}

fn hosts(connection: &Connection, horizon: i64, after: i64) -> rusqlite::Result<Sweep> {
    let mut list = connection.prepare_cached(HOSTS)?;
    let list = list.query_map(params![after, LIMIT], |row| row.get(0))?;
    let list: Vec<i64> = list.collect::<rusqlite::Result<_>>()?;
    let mut delete = connection.prepare_cached(HOST_HOURS)?;
    let mut done = 0usize;
    for host in &list {
        done = done.saturating_add(1).saturating_add(delete.execute([*host, horizon])?);
        if done >= ROWS {
            return Ok(Sweep::Hosts(*host));
        }
    }
    Ok(Sweep::Ran(i64::MIN, i64::MIN, i64::MIN))
}

fn ran(connection: &Connection, horizon: i64, after: (i64, i64, i64)) -> rusqlite::Result<Sweep> {
    let mut list = connection.prepare_cached(RAN)?;
    let list = list.query_map(params![after.0, after.1, after.2, LIMIT], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    })?;
    let list: Vec<(i64, i64, i64, i64)> = list.collect::<rusqlite::Result<_>>()?;
    let mut hours = connection.prepare_cached(PROCESS_HOURS)?;
    let mut delete = connection.prepare_cached(RAN_NO_MORE)?;
    let (mut done, mut before) = (0usize, None);
    for (workload, build, host, last) in list {
        if before.replace((workload, build)) != Some((workload, build)) {
            done = done.saturating_add(hours.execute([workload, build, horizon])?);
        }
        if last < horizon {
            delete.execute([workload, build, host])?;
        }
        done = done.saturating_add(1);
        if done >= ROWS {
            return Ok(Sweep::Ran(workload, build, host));
        }
    }
    Ok(Sweep::Containers(String::new(), i64::MIN))
}

fn containers(connection: &Connection, horizon: i64, after: &(String, i64)) -> rusqlite::Result<Sweep> {
    let mut list = connection.prepare_cached(CONTAINERS)?;
    let list =
        list.query_map(params![after.0, after.1, LIMIT], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let list: Vec<(String, i64, i64)> = list.collect::<rusqlite::Result<_>>()?;
    let mut delete = connection.prepare_cached(NO_CONTAINER)?;
    for (id, name, _) in list.iter().filter(|(_, _, hour)| *hour < horizon) {
        delete.execute(params![id, name])?;
    }
    Ok(match list.into_iter().nth(ROWS.saturating_sub(1)) {
        Some((id, name, _)) => Sweep::Containers(id, name),
        None => Sweep::Purged(Vec::new()),
    })
}

fn purged(connection: &Connection, horizon: i64, after: &[u8]) -> rusqlite::Result<Sweep> {
    let mut list = connection.prepare_cached(PURGED)?;
    let list = list.query_map(params![after, LIMIT], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let list: Vec<(Vec<u8>, i64)> = list.collect::<rusqlite::Result<_>>()?;
    let mut delete = connection.prepare_cached(FORGET)?;
    for (id, _) in list.iter().filter(|(_, until)| *until < horizon) {
        delete.execute([id])?;
    }
    Ok(list.into_iter().nth(ROWS.saturating_sub(1)).map_or(Sweep::Done, |(id, _)| Sweep::Purged(id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::{Options, open};

    fn count(connection: &Connection, sql: &str) -> i64 {
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// 100 hours of 700 hosts and 700 builds; 50,000 containers and purged ids.
    fn filled(place: &std::path::Path) -> Connection {
        let connection = open::writer(&place.join("store.db"), &Options::default()).unwrap();
        let n = |most: u32| {
            format!("WITH n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < {})", most - 1)
        };
        let sql = [
            "BEGIN;".to_owned(),
            format!("{} INSERT INTO host (name, mid) SELECT n, x'' FROM n;", n(700)),
            format!("{} INSERT INTO host_hour SELECT id, n, 1 FROM n, host;", n(100)),
            format!("{} INSERT INTO ran SELECT n / 7, n % 7, 1, 0, iif(n % 2, 49, 99) FROM n;", n(700)),
            format!("{} INSERT INTO process_hour SELECT workload, build, n, 1 FROM n, ran;", n(100)),
            format!("{} INSERT INTO container SELECT 'c' || n, 1, 1, n % 100 FROM n;", n(50_000)),
            format!("{} INSERT INTO purged SELECT CAST(n AS BLOB), n % 100 FROM n;", n(50_000)),
            "COMMIT;".to_owned(),
        ];
        connection.execute_batch(&sql.concat()).unwrap();
        connection
    }

    #[test]
    fn everything_before_the_horizon_goes_in_bounded_steps_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let connection = filled(place.path());
        let (mut sweep, mut steps) = (Sweep::begin(), 0);
        while sweep != Sweep::Done {
            let before = connection.total_changes();
            let step = connection.unchecked_transaction().unwrap();
            sweep = sweep.step(&step, 50).unwrap();
            step.commit().unwrap();
            let changed = connection.total_changes() - before;
            assert!(changed <= ROWS as u64 + 50, "{changed} rows in one step: {sweep:?}");
            steps += 1;
        }
        assert!((8..=20).contains(&steps), "{steps}");
        for (table, hour, left) in [
            ("host_hour", "hour", 35_000),
            ("process_hour", "hour", 35_000),
            ("ran", "last", 350),
            ("container", "hour", 25_000),
            ("purged", "until", 25_000),
        ] {
            assert_eq!(count(&connection, &format!("SELECT count(*) FROM {table}")), left, "{table}");
            assert_eq!(count(&connection, &format!("SELECT min({hour}) >= 50 FROM {table}")), 1, "{table}");
        }
    }

    /// Each hour retention read all of the roll-ups, on the thread that writes.
    #[test]
    fn no_statement_of_it_reads_a_table_from_its_beginning() {
        let place = tempfile::tempdir().unwrap();
        let connection = open::writer(&place.path().join("store.db"), &Options::default()).unwrap();
        let all =
            [HOSTS, HOST_HOURS, RAN, PROCESS_HOURS, RAN_NO_MORE, CONTAINERS, NO_CONTAINER, PURGED, FORGET];
        for sql in all.into_iter().chain(super::super::remove::BY_INDEX) {
            let mut asked = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let mut rows = asked.raw_query();
            while let Some(row) = rows.next().unwrap() {
                let detail: String = row.get(3).unwrap();
                assert!(!detail.starts_with("SCAN") && !detail.contains("TEMP B-TREE"), "{sql}: {detail}");
            }
        }
    }
}
