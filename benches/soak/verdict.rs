//! Is every id in the store exactly once? Asked of the database file itself,
//! after the collector has gone: by SQL, not through the code under test.

use std::collections::BTreeMap;
use std::process::ExitCode;

use rusqlite::Connection;

use super::fleet::Place;

/// Compares what was written with what is stored, prints it, and decides.
pub(super) fn judge(place: &Place, written: &[[u8; 16]]) -> ExitCode {
    let database = Connection::open(&place.database).expect("the collector's database");
    let check: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("a check");
    let mut stored: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
    let mut statement = database.prepare(IDS).expect("the store's table of records");
    let ids = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).expect("ids");
    for id in ids {
        *stored.entry(id.expect("an id")).or_default() += 1;
    }
    let missing = written.iter().filter(|id| !stored.contains_key(id.as_slice())).count();
    let twice = stored.values().filter(|count| **count > 1).count();
    let mut expected: Vec<&[u8]> = written.iter().map(|id| id.as_slice()).collect();
    expected.sort_unstable();
    let foreign = stored.keys().filter(|id| expected.binary_search(&id.as_slice()).is_err()).count();
    println!(
        "written {}  stored {}  missing {missing}  twice {twice}  never written {foreign}",
        written.len(),
        stored.len()
    );
    println!("database: {check}");
    if missing == 0 && twice == 0 && foreign == 0 && check == "ok" && !written.is_empty() {
        println!("every id exactly once");
        ExitCode::SUCCESS
    } else {
        println!("FAILED; everything is kept in {}", place.keep().display());
        ExitCode::FAILURE
    }
}

/// One row a crash record.
const IDS: &str = "SELECT id FROM crash";
