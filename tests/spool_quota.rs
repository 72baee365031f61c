//! The spool's promises about its size.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant, SystemTime};

use epicore::limits;
use epicore::spool::{Quota, Vacuumed};

#[path = "support/spool.rs"]
mod support;
use support::{fresh, id, numbers};

const MANY: u64 = u64::MAX;

#[test]
fn the_oldest_records_of_either_part_go_first() {
    let (_parent, path, spool) = fresh();
    for n in 1..=10 {
        spool.write_minimal((id(n), n % 2 == 0), b"x").unwrap();
    }
    let done = spool.make_room(Quota { bytes: MANY, records: 4 }, id(10)).unwrap();
    let bytes = 6 * limits::SPOOL_BLOCK;
    assert_eq!(
        done,
        Vacuumed { counted: true, records: 6, evicted: 6, bytes, left: 4, ..Vacuumed::default() }
    );
    assert_eq!(spool.evicted(), 6);
    assert_eq!(numbers(&path), [7, 8, 9, 10]);
}

#[test]
fn bytes_are_counted_as_the_disk_counts_them() {
    let (_parent, path, spool) = fresh();
    for n in 1..=4 {
        spool.write_minimal((id(n), false), &[0; 5000]).unwrap();
    }
    let quota = Quota { bytes: 5 * limits::SPOOL_BLOCK, records: MANY };
    spool.make_room(quota, id(4)).unwrap();
    assert_eq!(numbers(&path), [3, 4]);
}

/// A host whose clock says 1970 writes records that sort before all others.
#[test]
fn the_record_just_written_stays_even_when_its_clock_is_wrong() {
    let (_parent, path, spool) = fresh();
    for n in 0..=5 {
        spool.write_minimal((id(n), false), b"x").unwrap();
    }
    spool.make_room(Quota { bytes: MANY, records: 2 }, id(0)).unwrap();
    assert_eq!(numbers(&path), [0, 5]);
}

#[test]
fn within_the_quota_nobody_lists_the_directory() {
    let (_parent, _path, spool) = fresh();
    spool.write_minimal((id(1), false), b"x").unwrap();
    assert!(spool.make_room(Quota::default(), id(1)).unwrap().counted, "there was no tally yet");
    let mut counts = 0;
    for n in 2..=1000 {
        spool.write_minimal((id(n), false), b"x").unwrap();
        counts += u64::from(spool.make_room(Quota { bytes: MANY, records: 500 }, id(n)).unwrap().counted);
    }
    println!("1,000 records into a quota of 500: counted {counts} times");
    assert!(counts < 20, "{counts}");
}

#[test]
fn the_quota_holds_after_every_single_write() {
    let (_parent, path, spool) = fresh();
    for n in 1..=300 {
        spool.write_minimal((id(n), n % 7 == 0), b"x").unwrap();
        spool.make_room(Quota { bytes: MANY, records: 48 }, id(n)).unwrap();
        assert!(numbers(&path).len() <= 48, "after {n}");
    }
}

/// A handler that meets its deadline has written the minimal record and dies.
#[test]
fn writers_that_died_before_making_room_were_counted() {
    let (_parent, path, spool) = fresh();
    let quota = Quota { bytes: MANY, records: 10 };
    spool.write_minimal((id(0), false), b"x").unwrap();
    spool.make_room(quota, id(0)).unwrap();
    for n in 1..=50 {
        spool.write_minimal((id(n), false), b"x").unwrap();
    }
    spool.replace_with_full((id(51), false), b"x").unwrap();
    spool.make_room(quota, id(51)).unwrap();
    assert_eq!(numbers(&path), Vec::from_iter(42..=51));
}

#[test]
fn a_full_record_is_the_same_record_in_the_tally() {
    let (_parent, path, spool) = fresh();
    for n in 0..20 {
        spool.write_minimal((id(n), false), b"x").unwrap();
        spool.replace_with_full((id(n), false), b"x").unwrap();
        let done = spool.make_room(Quota { bytes: MANY, records: 20 }, id(n)).unwrap();
        assert_eq!(done.counted, n == 0, "{n}");
    }
    assert_eq!(numbers(&path).len(), 20);
}

#[test]
fn a_destroyed_tally_costs_one_count_and_no_record() {
    let (_parent, path, spool) = fresh();
    let tally = path.join(".tally");
    let write = |n| {
        spool.write_minimal((id(n), false), b"x").unwrap();
        spool.make_room(Quota::default(), id(n)).unwrap().counted
    };
    assert!(write(1));
    assert!(!write(2));
    fs::write(&tally, b"garbage").unwrap();
    assert!(write(3));
    assert!(!write(4));
    fs::write(&tally, vec![0xff; 100_000]).unwrap();
    assert!(write(5));
    assert!(!write(6));
    fs::remove_file(&tally).unwrap();
    symlink("/etc/passwd", &tally).unwrap();
    assert!(write(7));
    assert!(write(8), "a tally that is a link is never followed");
    assert_eq!(numbers(&path).len(), 8);
}

#[test]
fn a_long_crash_loop_does_not_grow_the_tally_without_end() {
    let (_parent, path, spool) = fresh();
    let mut longest = 0;
    for n in 1..=limits::SPOOL_TALLY as u64 + 10 {
        spool.write_minimal((id(n), false), b"x").unwrap();
        spool.make_room(Quota { bytes: MANY, records: 100 }, id(n)).unwrap();
        longest = longest.max(fs::metadata(path.join(".tally")).unwrap().len());
    }
    assert!(longest <= 8 * (limits::SPOOL_TALLY as u64 + 8), "{longest}");
}

#[test]
fn a_dead_writers_temporary_files_go_when_the_spool_is_counted() {
    let (_parent, path, spool) = fresh();
    let old = path.join(format!(".{}.tmp", id(1)));
    let young = path.join("private").join(format!(".{}.tmp", id(2)));
    fs::write(&old, b"half").unwrap();
    fs::write(&young, b"half").unwrap();
    let hours = SystemTime::now() - Duration::from_secs(2 * limits::SPOOL_TEMPORARY_SECONDS);
    fs::File::options().write(true).open(&old).unwrap().set_modified(hours).unwrap();
    let done = spool.make_room(Quota::default(), id(3)).unwrap();
    assert_eq!(done.temporaries, 1);
    assert!(!old.exists() && young.exists());
}

#[test]
fn strangers_are_never_removed() {
    let (_parent, path, spool) = fresh();
    fs::write(path.join("README"), b"x").unwrap();
    spool.write_minimal((id(1), false), b"x").unwrap();
    spool.make_room(Quota { bytes: 0, records: 0 }, id(2)).unwrap();
    assert!(numbers(&path).is_empty() && path.join("README").exists());
}

#[test]
fn concurrent_writers_keep_the_quota_and_lose_nothing_new() {
    let (_parent, path, spool) = fresh();
    std::thread::scope(|scope| {
        for writer in 0..8u64 {
            let spool = &spool;
            scope.spawn(move || {
                for n in 0..50 {
                    let id = id(n * 8 + writer);
                    spool.write_minimal((id, false), b"minimal").unwrap();
                    spool.replace_with_full((id, false), b"full").unwrap();
                    spool.make_room(Quota { bytes: MANY, records: 64 }, id).unwrap();
                }
            });
        }
    });
    let left = numbers(&path);
    println!("8 writers, 400 records, quota 64: {} left", left.len());
    assert!(left.len() < 400 && left.contains(&399), "{left:?}");
    // Whoever found another one counting left it to the next record.
    spool.write_minimal((id(400), false), b"minimal").unwrap();
    spool.make_room(Quota { bytes: MANY, records: 64 }, id(400)).unwrap();
    let left = numbers(&path);
    assert!(left.len() <= 64 && left.contains(&400), "{left:?}");
}

#[test]
fn a_count_of_ten_thousand_records_is_printed() {
    let (_parent, path, spool) = fresh();
    for n in 0..10_000 {
        fs::write(path.join(id(n).file_name()), b"").unwrap();
    }
    let timed = |what: &str, n: u64| {
        let begun = Instant::now();
        let done = spool.make_room(Quota::default(), id(n)).unwrap();
        println!("{what}: {:?} {done:?}", begun.elapsed());
    };
    timed("without a tally", 9_999);
    timed("with one", 9_999);
    let begun = Instant::now();
    spool.write_minimal((id(10_000), false), &[0; 1000]).unwrap();
    println!("one minimal record: {:?}", begun.elapsed());
    let begun = Instant::now();
    spool.replace_with_full((id(10_000), false), &[0; 6000]).unwrap();
    println!("one full record, synced: {:?}", begun.elapsed());
}
