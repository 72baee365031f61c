//! What lasts and what goes: old files, purge, retention, copies, power cuts,
//! full disks.
#![cfg(feature = "collector")]

#[path = "support/store.rs"]
mod support;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use epicore::record::{Kind, Record};
use epicore::store::sqlite::{Options, Sqlite, create_old};
use epicore::store::{Incoming, Keep, Origin, Search, Store, StoreError};
use epicore::wire::Said;
use epicore::wire::api::{AuditRow, Purge};
use support::*;

const NEWEST: i32 = 7;

fn version(place: &Place) -> i32 {
    place.look("PRAGMA user_version")[0]
}

#[test]
fn a_store_of_every_older_version_is_brought_up_to_date() {
    let fresh = Place::new();
    drop(fresh.open());
    let schema = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
    for old in 0..=NEWEST {
        let place = Place::new();
        create_old(&place.path, old).unwrap();
        assert_eq!(version(&place), old);
        let store = place.open();
        assert_eq!(put(&store, &crash(1, "web-1", 1)), Said::Stored);
        assert_eq!(tell(&store, &census(2, "web-1", HOUR, 0)), Said::Stored);
        assert_eq!(version(&place), NEWEST);
        assert_eq!(place.look::<String>(schema), fresh.look::<String>(schema));
    }
}

#[test]
fn a_store_of_a_newer_program_is_refused_and_left_alone() {
    let place = Place::new();
    drop(place.open());
    rusqlite::Connection::open(&place.path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let refused = Sqlite::open(&place.path, Options::default()).unwrap_err().to_string();
    assert!(refused.contains("newer epicore-collector (version 99, this one knows 7)"), "{refused}");
    assert_eq!(version(&place), 99);
}

#[test]
fn a_file_that_is_no_store_is_refused_in_words() {
    let place = Place::new();
    std::fs::write(&place.path, "a letter to somebody, longer than a page header is. ".repeat(40)).unwrap();
    let refused = Sqlite::open(&place.path, Options::default()).unwrap_err().to_string();
    assert!(refused.contains("not a store of epicore-collector"), "{refused}");
    let other = Place::new();
    rusqlite::Connection::open(&other.path).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    let refused = Sqlite::open(&other.path, Options::default()).unwrap_err().to_string();
    assert!(refused.contains("another program's"), "{refused}");
}

#[test]
fn a_damaged_file_is_an_error_that_says_what_to_do() {
    let place = Place::new();
    let store = place.open();
    let batch = (0..2000).map(|n| body(&crash(n, "web-1", n))).collect();
    ingest(&store, "web-1", batch);
    drop(store);
    let mut bytes = std::fs::read(&place.path).unwrap();
    let end = bytes.len();
    bytes[8192..end].fill(0xa5);
    std::fs::write(&place.path, bytes).unwrap();
    let answer = Sqlite::open(&place.path, Options::default()).and_then(|store| {
        store.search(&Search { host: Some("web-1".into()), ..Search::default() }).map(|_| ())
    });
    let told = answer.unwrap_err().to_string();
    assert!(told.contains("damaged") && told.contains("restore a backup"), "{told}");
}

#[test]
fn what_was_purged_is_gone_is_noted_and_stays_away() {
    let place = Place::new();
    let store = place.open();
    let mut secret = crash(1, "web-1", 1);
    secret.crash.uid = Some(1000);
    secret.process.comm = Some("a name that must go".to_owned());
    put(&store, &secret);
    put(&store, &crash(2, "web-1", 1));
    let purge = Purge { uid: Some(1000), dry_run: true, ..Purge::default() };
    assert_eq!(store.purge(&purge, "alice").unwrap().records, 1);
    assert_eq!((all(&store).len(), store.audit(10).unwrap().len()), (2, 0));
    let purge = Purge { dry_run: false, ..purge };
    assert_eq!(store.purge(&purge, "alice").unwrap().records, 1);
    let noted = store.audit(10).unwrap().remove(0);
    assert_eq!((noted.who.as_str(), noted.what.as_str(), noted.count), ("alice", "uid 1000", 1));
    assert_eq!(put(&store, &secret), Said::Duplicate);
    drop(store);
    assert_eq!(put(&place.open(), &secret), Said::Duplicate);
    assert_eq!(place.look::<i64>("SELECT count(*) FROM crash"), [1]);
    assert_eq!(place.look::<i64>("SELECT count(*) FROM body"), [1]);
    assert_eq!(place.look::<i64>("SELECT sum(n) FROM crash_hour"), [1]);
}

#[test]
fn a_purge_without_a_condition_is_refused() {
    let place = Place::new();
    let store = place.open();
    put(&store, &crash(1, "web-1", 1));
    assert!(store.purge(&Purge::default(), "alice").is_err());
    assert_eq!(all(&store).len(), 1);
}

#[test]
fn a_purge_takes_all_of_its_conditions_together() {
    let place = Place::new();
    let store = place.open();
    (0..10).for_each(|n| {
        assert_eq!(put(&store, &crash(n, if n < 5 { "web-1" } else { "db-1" }, 1)), Said::Stored)
    });
    let purge = Purge { host: Some("web-*".into()), before: Some(AT + 3 * SECOND), ..Purge::default() };
    assert_eq!(store.purge(&purge, "alice").unwrap().records, 3);
    assert_eq!(all(&store).len(), 7);
}

#[test]
fn the_audit_log_is_newest_first() {
    let place = Place::new();
    let store = place.open();
    for at in 1..=3 {
        store
            .note(&AuditRow { at, who: "bob".into(), action: "read-private".into(), ..AuditRow::default() })
            .unwrap();
    }
    let read: Vec<u64> = store.audit(2).unwrap().iter().map(|row| row.at).collect();
    assert_eq!(read, [3, 2]);
}

/// The same, when the collector's clock says `now` and the host's agrees.
fn at(store: &dyn Store, now: u64, items: Vec<Incoming>) -> Vec<Said> {
    let origin = Origin { received: now, ..origin("web-1") };
    store.ingest(&origin, items).unwrap().into_iter().map(|outcome| outcome.said).collect()
}

#[test]
fn bodies_go_first_then_everything_and_nothing_comes_back_as_new() {
    let place = Place::new();
    let store = place.open();
    let batch: Vec<_> = (0..1200).map(|n| body(&crash(n, "web-1", 1))).collect();
    ingest(&store, "web-1", batch.clone());
    tell(&store, &census(5000, "web-1", HOUR, 0));
    let now = AT + 40 * DAY;
    assert_eq!(store.retain(Keep { bodies_days: 30, records_days: 0 }, now).unwrap(), 0);
    let one = store.one(&id(1)).unwrap().unwrap();
    assert_eq!((one.record, one.raw, one.summary.signal), (None, None, Some(11)));
    assert_eq!(store.signatures(&ever()).unwrap()[0].crashes, 1200);
    let before = place.look::<i64>("PRAGMA page_count")[0];
    assert_eq!(store.retain(Keep { bodies_days: 30, records_days: 30 }, now).unwrap(), 1200);
    assert!(store.signatures(&ever()).unwrap().is_empty());
    assert!(store.exposure(&ever()).unwrap().is_empty());
    assert_eq!(store.amounts().unwrap().exposures, 0);
    assert!(place.look::<i64>("PRAGMA page_count")[0] < before / 2, "space is given back");
    assert_eq!(at(&store, now, batch), [Said::Refused; 1200]);
    drop(store);
    let store = place.open();
    assert_eq!(at(&store, now, vec![report(&census(5000, "web-1", HOUR, 0))]), [Said::Refused]);
    // Keeping for longer again does not bring back what is gone.
    store.retain(Keep { bodies_days: 0, records_days: 400 }, now).unwrap();
    assert_eq!(at(&store, now, vec![body(&crash(1, "web-1", 1))]), [Said::Refused]);
    for table in ["crash", "body", "crash_hour", "exposure", "span", "host_hour", "process_hour", "ran"] {
        assert_eq!(place.look::<i64>(&format!("SELECT count(*) FROM {table}")), [0], "{table}");
    }
}

#[test]
fn an_expired_record_whose_clock_was_wrong_stays_away_too() {
    let place = Place::new();
    let store = place.open();
    let mut future = crash(1, "web-1", 1);
    future.realtime_ns = Some(AT + 10_000 * DAY);
    put(&store, &future);
    let keep = Keep { bodies_days: 0, records_days: 30 };
    assert_eq!(store.retain(keep, AT + 40 * DAY).unwrap(), 1);
    let mut later = origin("web-1");
    later.received = AT + 40 * DAY;
    assert_eq!(store.ingest(&later, vec![body(&future)]).unwrap()[0].said, Said::Duplicate);
}

/// A host's clock was a year and more behind when it crashed, and right when it
/// sent: the record was called a duplicate, and the host threw it away.
#[test]
fn a_record_that_is_too_old_and_was_never_here_is_refused_in_words_and_not_a_duplicate() {
    let place = Place::new();
    let store = place.open();
    let (keep, now) = (Keep { bodies_days: 0, records_days: 30 }, AT + 40 * DAY);
    at(&store, now, vec![body(&Record { realtime_ns: Some(now), ..crash(1, "web-1", 1) })]);
    store.retain(keep, now).unwrap();
    let old = crash(2, "web-1", 1);
    let said =
        store.ingest(&Origin { received: now, ..origin("web-1") }, vec![body(&old)]).unwrap().remove(0);
    assert_eq!(said.said, Said::Refused);
    let why = said.why.unwrap();
    assert!(why.contains("older than the collector keeps (30 days)") && why.contains("clock"), "{why}");
    assert_eq!(at(&store, now, vec![report(&census(3, "web-1", HOUR, 0))]), [Said::Refused]);
    // One that says no time happened when it came; what is here is a duplicate.
    let timeless = Record { realtime_ns: None, kind: Kind::Minimal, ..crash(4, "web-1", 1) };
    assert_eq!(at(&store, now, vec![body(&timeless)]), [Said::Stored]);
    let minimal = Record { kind: Kind::Minimal, ..crash(4, "web-1", 1) };
    assert_eq!(at(&store, now, vec![body(&minimal)]), [Said::Duplicate]);
    assert_eq!(at(&store, now, vec![body(&crash(4, "web-1", 1))]), [Said::Refused], "it would be lost");
}

#[test]
fn the_roll_ups_of_exposure_go_once_a_day() {
    let place = Place::new();
    let store = place.open();
    let keep = Keep { bodies_days: 0, records_days: 30 };
    at(&store, AT + DAY, vec![report(&census(1, "web-1", 12 * HOUR, 0))]);
    let hours = |now| {
        store.retain(keep, now).unwrap();
        place.look::<i64>("SELECT count(*) FROM host_hour")[0]
    };
    let over = AT + 30 * DAY;
    assert_eq!(hours(over + 2 * HOUR), 10, "not since it was opened");
    assert_eq!((hours(over + 5 * HOUR), hours(over + 20 * HOUR)), (10, 10));
    assert_eq!(hours(over + 26 * HOUR), 0);
}

/// A collector once ran with its clock three years ahead: retention moved the
/// horizon there for good, and every record since was a "duplicate" and lost.
#[test]
fn a_clock_that_was_far_ahead_once_costs_no_record_of_later() {
    let place = Place::new();
    let keep = Keep { bodies_days: 90, records_days: 400 };
    let now = AT + 2 * DAY;
    place.open().retain(keep, now + 1095 * DAY).unwrap();
    let store = place.open();
    assert_eq!(at(&store, now, vec![body(&crash(1, "web-1", 1))]), [Said::Stored], "before retention ran");
    assert_eq!(at(&store, now, vec![report(&census(2, "web-1", HOUR, 0))]), [Said::Stored]);
    assert_eq!(store.hosts(&ever()).unwrap()[0].hours, 1.0);
    assert_eq!(store.retain(keep, now).unwrap(), 0);
    drop(store);
    let store = place.open();
    assert_eq!(at(&store, now, vec![body(&crash(3, "web-1", 1))]), [Said::Stored]);
    assert_eq!(store.amounts().unwrap().records, 2);
}

/// The same clock, in a store that had records: all of them were removed.
#[test]
fn a_clock_that_jumps_ahead_removes_nothing_until_the_hosts_say_the_same() {
    let place = Place::new();
    let store = place.open();
    let keep = Keep { bodies_days: 90, records_days: 400 };
    store.retain(keep, AT + DAY).unwrap();
    put(&store, &crash(1, "web-1", 1));
    let ahead = AT + 1100 * DAY;
    assert_eq!(store.retain(keep, ahead).unwrap(), 0, "nobody was heard");
    let wrong = Origin { received: ahead, clock_ns: -1_000_000 * SECOND as i64, ..origin("web-1") };
    let late = Record { realtime_ns: Some(ahead), ..crash(2, "web-1", 1) };
    store.ingest(&wrong, vec![body(&late)]).unwrap();
    assert_eq!(store.retain(keep, ahead).unwrap(), 0, "the host has another time");
    assert!(store.one(&id(1)).unwrap().unwrap().record.is_some());
    let late = Record { realtime_ns: Some(ahead), ..crash(3, "web-1", 1) };
    at(&store, ahead, vec![body(&late)]);
    assert_eq!(store.retain(keep, ahead).unwrap(), 1);
    assert!(store.one(&id(1)).unwrap().is_none());
}

/// Bodies go in the order in which they came: one that a wrong clock stamped
/// with a time to come kept all behind it for ever.
#[test]
fn a_body_stamped_by_a_clock_that_was_ahead_goes_too() {
    let place = Place::new();
    let store = place.open();
    let keep = Keep { bodies_days: 30, records_days: 0 };
    at(&store, AT + 1000 * DAY, vec![body(&crash(1, "web-1", 1))]);
    for (n, days) in [(2, 1), (3, 40), (4, 80)] {
        let now = AT + days * DAY;
        at(&store, now, vec![body(&Record { realtime_ns: Some(now), ..crash(n, "web-1", 1) })]);
        store.retain(keep, now).unwrap();
    }
    let kept = |n| store.one(&id(n)).unwrap().unwrap().record.is_some();
    assert_eq!([kept(1), kept(2), kept(3), kept(4)], [false, false, false, true]);
}

#[test]
fn a_backup_made_while_records_arrive_is_a_store_of_one_moment() {
    let place = Place::new();
    let store = place.open();
    let to = place.directory.path().join("copy.db");
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for batch in 0.. {
                let items = (0..100).map(|n| body(&crash(batch * 100 + n, "web-1", n))).collect();
                assert_eq!(ingest(&store, "web-1", items), [Said::Stored; 100]);
                if batch > 20 && done.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
            }
        });
        while store.amounts().unwrap().records < 500 {}
        store.backup(&to).unwrap();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let copy = Sqlite::open(&to, Options::default()).unwrap();
    let records = copy.amounts().unwrap().records;
    assert!(records >= 500 && records.is_multiple_of(100), "{records}");
    assert!(records < store.amounts().unwrap().records);
    assert_eq!(all(&copy).len() as u64, records);
    assert_eq!(put(&copy, &crash(1, "web-1", 1)), Said::Duplicate);
    let whole: String = rusqlite::Connection::open(&to)
        .unwrap()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(whole, "ok");
}

#[test]
fn a_full_disk_is_said_loses_nothing_and_is_got_over() {
    let place = Place::new();
    drop(place.open());
    let store = place.open();
    let some: Vec<_> = (0..100).map(|n| body(&crash(n, "web-1", n))).collect();
    ingest(&store, "web-1", some);
    // The file may not grow: what a full disk does, without one.
    store.limit_pages(place.look::<u32>("PRAGMA page_count")[0] + 8).unwrap();
    let many: Vec<_> = (100..3000).map(|n| body(&crash(n, "web-1", n))).collect();
    let refused = store.ingest(&origin("web-1"), many.clone());
    assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
    assert_eq!(store.amounts().unwrap().records, 100);
    assert_eq!(place.look::<i64>("SELECT sum(n) FROM crash_hour"), [100]);
    store.limit_pages(u32::MAX - 2).unwrap();
    assert_eq!(ingest(&store, "web-1", many), [Said::Stored; 2900]);
    assert_eq!(place.look::<i64>("SELECT sum(n) FROM crash_hour"), [3000]);
}

#[test]
fn a_filesystem_without_room_is_the_same() {
    let place = Place::new();
    let at = place.directory.path().join("small");
    std::fs::create_dir(&at).unwrap();
    let mount =
        |arguments: &[&str]| Command::new("mount").args(arguments).arg(&at).stderr(Stdio::null()).status();
    if !mount(&["-t", "tmpfs", "-o", "size=3m", "tmpfs"]).is_ok_and(|status| status.success()) {
        println!("skipped: a filesystem of 3 MiB needs root");
        return;
    }
    let outcome = std::panic::catch_unwind(|| fill(&at));
    Command::new("umount").arg(&at).status().unwrap();
    outcome.unwrap();
}

fn fill(at: &std::path::Path) {
    let store = Sqlite::open(&at.join("store.db"), Options::default()).unwrap();
    let ballast = at.join("ballast");
    std::fs::write(&ballast, vec![1; 1 << 20]).unwrap();
    let mut stored = 0u64;
    let full = loop {
        let items = (0..100).map(|n| body(&crash(stored + n, "web-1", n))).collect();
        match store.ingest(&origin("web-1"), items) {
            Ok(_) => stored += 100,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, StoreError::Full(_)), "{full}");
    assert_eq!(store.amounts().unwrap().records, stored);
    std::fs::remove_file(ballast).unwrap();
    let items = (0..100).map(|n| body(&crash(stored + n, "web-1", n))).collect();
    assert_eq!(ingest(&store, "web-1", items), [Said::Stored; 100]);
    assert_eq!(all(&store).len() as u64, stored + 100);
}

#[test]
fn a_closed_store_says_so_and_has_written_everything() {
    let place = Place::new();
    let store = place.open();
    put(&store, &crash(1, "web-1", 1));
    store.close();
    store.close();
    assert!(matches!(store.ingest(&origin("web-1"), Vec::new()), Err(StoreError::Closed)));
    assert!(matches!(store.search(&Search::default()), Err(StoreError::Closed)));
    assert!(matches!(store.backup(&place.directory.path().join("x")), Err(StoreError::Closed)));
    assert_eq!(place.look::<i64>("SELECT count(*) FROM crash"), [1]);
}

/// A checkpoint beside the writer never sees the WAL's end while somebody
/// writes: the writer must finish it, or the file grows for ever.
#[test]
fn the_wal_stays_short_however_long_somebody_writes() {
    let place = Place::new();
    let store = Sqlite::open(&place.path, Options { checkpoint_pages: 32, ..Options::default() }).unwrap();
    let wal = place.path.with_file_name(format!("{}-wal", place.path.file_name().unwrap().to_str().unwrap()));
    let mut longest = 0;
    for batch in 0..400 {
        let items = (batch * 20..batch * 20 + 20).map(|n| body(&crash(n, "web-1", n % 11))).collect();
        ingest(&store, "web-1", items);
        longest = longest.max(wal.metadata().map_or(0, |file| file.len()));
    }
    let page = 4096 + 24;
    let whole = place.path.metadata().unwrap().len();
    assert!(whole > 2 * 32 * 4 * page, "{whole} bytes are in the file");
    assert!(longest <= 3 * 32 * 4 * page, "the WAL had {longest} bytes");
    store.close();
    assert_eq!(wal.metadata().map_or(0, |file| file.len()), 0, "nothing is left in it");
    assert_eq!(place.look::<i64>("SELECT count(*) FROM crash"), [8000]);
}

const CHILD: &str = "EPICORE_STORE_TO_BE_KILLED";

/// Not a test of its own: the process that is killed. Stores for ever and
/// prints what was acknowledged.
#[test]
fn stores_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let store = Sqlite::open(path.as_ref(), Options { checkpoint_pages: 64, ..Options::default() }).unwrap();
    let begin = store.amounts().unwrap().records;
    for batch in 0.. {
        let first = begin + batch * 20;
        let items = (first..first + 20).map(|n| body(&crash(n, "web-1", n % 11))).collect();
        let said = ingest(&store, "web-1", items);
        assert!(said.iter().all(|said| *said == Said::Stored), "{said:?}");
        println!("\nacknowledged {}", first + 20);
    }
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let place = Place::new();
    for round in 0..10 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "stores_until_it_is_killed", "--nocapture"])
            .env(CHILD, &place.path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut number = || -> Option<u64> {
            lines
                .by_ref()
                .map_while(Result::ok)
                .find_map(|line| line.strip_prefix("acknowledged ")?.parse().ok())
        };
        for _ in 0..3 + round * 4 {
            number().unwrap();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // Also what it managed to print before it died.
        let acknowledged = std::iter::from_fn(&mut number).last();
        let store = place.open();
        let records = store.amounts().unwrap().records;
        assert!(
            records.is_multiple_of(20) && records >= acknowledged.unwrap_or(0),
            "{records} {acknowledged:?}"
        );
        assert_eq!(all(&store).len() as u64, records);
        assert_eq!(place.look::<i64>("SELECT sum(n) FROM crash_hour"), [records as i64]);
    }
}

#[test]
fn a_copy_is_its_owners_alone_and_leaves_the_store_as_it_is() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    create_old(&place.path, 1).unwrap();
    let to = place.directory.path().join("copy.db");
    Sqlite::copy(&place.path, &to).unwrap();
    assert_eq!(version(&place), 1, "another program is still writing it");
    assert_eq!(std::fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
    let fresh = Place::new();
    drop(fresh.open());
    assert_eq!(std::fs::metadata(&fresh.path).unwrap().permissions().mode() & 0o007, 0);
}
