//! The least that could be done: rows that are ready, prepared INSERTs, the
//! same tables (crash, body, and the roll-up's row of each crash), indexes, page
//! size, journal and fsync, commits of the same size.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

/// A crash's columns and its body's.
pub struct Row {
    crash: Vec<Value>,
    body: Vec<Value>,
}

/// Columns of a crash that are the roll-up's key: hour, signature, host,
/// workload, build, core.
const CELL: [usize; 6] = [5, 20, 7, 15, 14, 24];

/// The rows of a store that ingested them.
pub fn rows(store: &Path) -> Vec<Row> {
    let file = Connection::open(store).unwrap();
    let read = |sql: &str| -> Vec<Vec<Value>> {
        let mut asked = file.prepare(sql).unwrap();
        let columns = asked.column_count();
        let rows = asked.query_map([], |row| (0..columns).map(|at| row.get(at)).collect());
        rows.unwrap().map(Result::unwrap).collect()
    };
    let mut crashes = read("SELECT * FROM crash ORDER BY seq");
    for crash in &mut crashes {
        if crash[CELL[4]] == Value::Null {
            crash[CELL[4]] = Value::Integer(0);
        }
    }
    let bodies = read("SELECT * FROM body ORDER BY seq");
    crashes.into_iter().zip(bodies).map(|(crash, body)| Row { crash, body }).collect()
}

/// A file that only the bare loop writes.
pub struct Bare {
    connection: Connection,
    next: i64,
}

impl Bare {
    pub fn open(path: &Path) -> Bare {
        let options = epicore::store::sqlite::Options::default();
        // The same schema, made by the store itself.
        drop(epicore::store::sqlite::Sqlite::open(path, options).unwrap());
        let connection = Connection::open(path).unwrap();
        connection.pragma_update(None, "synchronous", "FULL").unwrap();
        connection.pragma_update(None, "wal_autocheckpoint", options.checkpoint_pages).unwrap();
        let cache = -i64::from(options.writer_cache >> 10);
        connection.pragma_update(None, "cache_size", cache).unwrap();
        Bare { connection, next: 1 }
    }

    /// Inserts them in commits of `size`; how long it took.
    pub fn insert(&mut self, rows: &[Row], size: usize) -> Duration {
        let marks = |count: usize| vec!["?"; count].join(",");
        let Row { crash, body } = &rows[0];
        let mut crashes =
            self.connection.prepare(&format!("INSERT INTO crash VALUES ({})", marks(crash.len()))).unwrap();
        let mut bodies =
            self.connection.prepare(&format!("INSERT INTO body VALUES ({})", marks(body.len()))).unwrap();
        let mut cells = self
            .connection
            .prepare("INSERT INTO crash_hour VALUES (?,?,?,?,?,?,1) ON CONFLICT DO UPDATE SET n = n + 1")
            .unwrap();
        let began = Instant::now();
        for commit in rows.chunks(size) {
            self.connection.execute_batch("BEGIN IMMEDIATE").unwrap();
            for row in commit {
                let seq = Value::Integer(self.next);
                self.next += 1;
                let crash = std::iter::once(&seq).chain(&row.crash[1..]);
                crashes.execute(params_from_iter(crash)).unwrap();
                cells.execute(params_from_iter(CELL.map(|column| &row.crash[column]))).unwrap();
                bodies.execute(params_from_iter(std::iter::once(&seq).chain(&row.body[1..]))).unwrap();
            }
            self.connection.execute_batch("COMMIT").unwrap();
        }
        began.elapsed()
    }
}
