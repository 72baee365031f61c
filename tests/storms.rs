//! Storms through the real kernel: one program in a loop and a hundred programs
//! at once leave some records, and every other crash is counted.
//!
//! Needs root (core_pattern) and gcc; says so and passes without. Takes the lock
//! of tests/support/pattern_guard.rs. EPICORE_STORM=1 makes the large one, which
//! prints what it cost beside the same crashes without a handler.

mod support;

#[path = "support/storm.rs"]
#[allow(dead_code)]
mod storm;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use epicore::record::{Kind, decode_exposure};
use epicore::spool::{Reader, Spool};
use epicore::storm::{Kept, Sums};
use storm::{Place, Watched};
use support::observe::{records, victim, wait_for_full};

/// What a record of the storm's own time must be, and what it says.
fn another_executable_is_recorded_in_full(place: &Place, suppressed: u64) {
    let before = records(&place.spool).len();
    // The bucket of all, from which the storm took what it may, has ten more a second.
    std::thread::sleep(Duration::from_millis(500));
    assert!(!victim(&support::workshop::helper("crash")).arg("3").status().expect("a crash").success());
    let found = place.newest(Duration::from_secs(20));
    assert_eq!(found.kind, Kind::Full, "{:?}", found.gaps);
    assert_eq!(found.threads.tid.len(), 3);
    assert_eq!((found.storm.own, found.storm.suppressed), (0, suppressed));
    assert!(before > 0);
}

#[test]
fn every_crash_of_a_storm_is_recorded_or_counted_and_the_next_program_is_heard() {
    const QUOTA: usize = 120;
    let Some(place) = Place::open(&format!("[limits]\nspool_records = {QUOTA}\n[throttle]\nburst = 300\n"))
    else {
        return;
    };
    let (one, many) = (place.copies("one", 1), place.copies("many", 100));
    place.crash(&one, 300);
    place.crash(&many, 100);
    let totals = place.settled(400);
    println!("{totals:?}");
    assert_eq!(totals.recorded + totals.suppressed, 400, "exactly: {totals:?}");
    assert_eq!((totals.failed, totals.unwanted, totals.lost), (0, 0, Some(0)), "{totals:?}");
    assert!(totals.suppressed > 150, "a loop leaves its burst and a few more: {totals:?}");
    assert!(totals.recorded >= 60 + 100, "each of the hundred has its own bucket: {totals:?}");

    another_executable_is_recorded_in_full(&place, totals.suppressed);
    let listing = Reader::open(&place.spool).unwrap().list().unwrap();
    assert!(listing.entries.len() <= QUOTA, "{} records", listing.entries.len());
    let evicted = Reader::open(&place.spool).unwrap().evicted();
    assert_eq!(listing.entries.len() as u64 + evicted, totals.recorded + 1, "what was recorded was kept");
    assert_eq!((listing.strangers, listing.temporaries), (0, 0));

    // The looping program's own records say how often it was suppressed.
    let own = records(&place.spool).iter().map(|record| record.storm.own).max();
    assert!(own <= Some(totals.suppressed), "{own:?}");
    // Beyond a power cut, but for the last seconds.
    let kept = Spool::open(&place.spool).unwrap().storm().and_then(|text| Kept::parse(&text));
    assert!(kept.is_some(), "no copy of the numbers");
}

#[test]
fn a_user_who_makes_a_storm_leaves_records_and_slots_to_the_others() {
    let Some(place) = Place::open("[throttle]\nburst = 20\nper_minute = 1\n") else { return };
    let (one, other) = (place.copies("one", 40), place.copies("other", 4));
    place.crash_as(61_001, &one, 40);
    let totals = place.settled(40);
    assert_eq!((totals.recorded, totals.suppressed), (15, 25), "{totals:?}");
    place.crash_as(61_002, &other, 4);
    let totals = place.settled(44);
    assert_eq!((totals.recorded, totals.suppressed), (19, 25), "{totals:?}");
}

#[test]
fn without_the_throttle_every_crash_leaves_its_record() {
    let Some(place) = Place::open("[throttle]\nenabled = false\n[analysis]\nslots = 1024\n") else { return };
    place.crash(&place.copies("one", 1), 90);
    let totals = place.settled(90);
    assert_eq!((totals.recorded, totals.suppressed, totals.unanalysed), (90, 0, 0), "{totals:?}");
    let full = records(&place.spool).iter().filter(|record| record.kind == Kind::Full).count();
    assert_eq!(full, 90);
}

#[test]
fn a_crash_that_finds_no_slot_keeps_its_minimal_record_and_says_so() {
    let Some(place) = Place::open("[analysis]\nslots = 1\n") else { return };
    let one = place.copies("one", 1);
    place.crash(&one, 1);
    place.settled(1);
    let slots = place.hold_first_slot();
    place.crash(&one, 1);
    let totals = place.settled(2);
    assert_eq!((totals.recorded, totals.unanalysed), (2, 1));
    let minimal = place.newest(Duration::ZERO);
    assert_eq!(minimal.kind, Kind::Minimal);
    assert!(minimal.gaps.iter().any(|gap| gap.reason.contains("no slot of analysis.slots")), "{minimal:?}");
    drop(slots);
    place.crash(&one, 1);
    place.settled(3);
    let full = place.newest(Duration::from_secs(10));
    assert_eq!((full.kind, full.storm.unanalysed), (Kind::Full, 1));
}

/// The mounted unified hierarchy, and a cgroup of ours in it.
struct Delegated(std::path::PathBuf);

impl Delegated {
    fn make() -> Option<Delegated> {
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
        let root = mounts.lines().find_map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            (words.get(2) == Some(&"cgroup2")).then(|| words[1].to_owned())
        });
        let path = Path::new(&root?).join(format!("epicore-test-{}", std::process::id()));
        std::fs::create_dir(&path).ok()?;
        Some(Delegated(path))
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[test]
fn the_analysis_goes_on_in_its_cgroup_and_lets_others_go_first() {
    let Some(cgroup) = Delegated::make() else { return println!("skipped: no cgroup can be made") };
    let configuration = format!("[analysis]\nslots = 1\ncgroup = {:?}\n", cgroup.0);
    let Some(place) = Place::open(&configuration) else { return };
    let one = place.copies("one", 1);
    place.crash(&one, 1);
    place.settled(1);
    let slots = place.hold_first_slot();
    // Its process is gone, and it waits for the slot.
    place.crash(&one, 1);
    let end = Instant::now() + Duration::from_secs(5);
    let (mut within, mut nice, name) = (String::new(), None, cgroup.0.file_name().unwrap().to_str().unwrap());
    let entered = format!("0::/{name}\n");
    while !within.contains(&entered) && Instant::now() < end {
        for pid in place.handlers() {
            let text =
                |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
            within = text("cgroup");
            let stat = text("stat");
            let behind = stat.rsplit(')').next().unwrap_or("").split_whitespace().nth(16);
            nice = behind.and_then(|nice| nice.parse().ok());
        }
    }
    assert_eq!(nice, Some(5));
    assert!(within.contains(&entered), "{within}");
    drop(slots);
    place.settled(2);
    let record = place.newest(Duration::from_secs(5));
    assert_eq!(record.kind, Kind::Full, "it had its slot in the end: {:?}", record.gaps);
    assert!(record.capture.unconfined.is_empty(), "{record:?}");
    // One that is not there costs a line of the record and nothing else.
    std::fs::remove_dir(&cgroup.0).unwrap();
    place.crash(&one, 1);
    place.settled(3);
    let record = place.newest(Duration::from_secs(5));
    assert_eq!(record.kind, Kind::Full);
    assert!(format!("{record:?}").contains("cgroup: No such file"), "{record:?}");
}

#[test]
fn a_handler_that_is_killed_is_a_lost_one_and_the_next_record_says_so() {
    let Some(place) = Place::open("") else { return };
    // The core never comes: it waits for its first byte.
    let mut handler = Command::new(place.program());
    handler.args(["-P1", "-I1", "-u0", "-g0", "-d1", "-s11", "--run"]).arg(&place.run);
    handler.arg("--config").arg(&place.config).stdin(Stdio::piped()).stderr(Stdio::null());
    let mut handler = handler.spawn().expect("the handler");
    let end = Instant::now() + Duration::from_secs(5);
    while place.totals().is_none_or(|totals| totals.begun == 0) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(place.totals().unwrap().lost, Some(0), "it lives");
    handler.kill().expect("kill -9");
    handler.wait().expect("its end");
    assert_eq!(place.totals().unwrap().lost, Some(1));
    place.crash(&place.copies("one", 1), 1);
    let found = wait_for_full(&place.spool, 1, Duration::from_secs(10));
    assert_eq!(found[0].storm.lost, 1, "{:?}", found[0].storm);
    assert_eq!(place.totals().unwrap().lost, Some(1), "counted once");
}

#[test]
fn handlers_killed_in_a_storm_are_lost_and_every_other_crash_is_counted() {
    let Some(place) = Place::open("[throttle]\nexecutable_burst = 120\n") else { return };
    let one = place.copies("one", 1);
    let killed = place.killing_handlers(|| place.crash(&one, 300));
    let totals = place.quiet();
    let (lost, known) = (totals.lost.unwrap(), totals.recorded + totals.suppressed);
    println!("{killed} killed: {totals:?}");
    assert!(lost > 0 && lost <= killed && totals.begun <= 300, "{killed} killed: {totals:?}");
    // Who died before its first act is in no number; who died between two of
    // them may be in both.
    assert!(totals.begun + killed >= 300 && known <= totals.begun && known + lost >= totals.begun);
    another_executable_is_recorded_in_full(&place, totals.suppressed);
}

#[test]
fn the_census_tells_what_was_suppressed_and_what_the_boot_before_had_lost_once() {
    let Some(place) = Place::open("[throttle]\nexecutable_burst = 5\nexecutable_per_minute = 1\n") else {
        return;
    };
    let before = Sums { suppressed: 41, unanalysed: 2, failed: 0, lost: 3 };
    let spool = Spool::open(&place.spool).unwrap();
    spool.keep_storm(Kept::next(None, &[9; 16], before).text().as_bytes()).unwrap();
    let (runs, gone) = (place.copies("runs", 1), place.copies("gone", 1));
    place.crash(&runs, 30);
    place.crash(&gone, 20);
    let totals = place.settled(50);
    assert_eq!((totals.recorded, totals.suppressed), (10, 40));
    let mut sleeper = Command::new(&runs[0]).arg("sleep").spawn().expect("it sleeps");
    let mut told = Vec::new();
    for _ in 0..2 {
        let mut census = Command::new(place.program());
        census.args(["--census", "--run"]).arg(&place.run).arg("--config").arg(&place.config);
        assert!(census.status().expect("a census").success());
        told.push(place.reports().pop().expect("a report"));
    }
    sleeper.kill().expect("kill");
    sleeper.wait().expect("its end");
    let lost = &told[0].lost;
    assert_eq!((lost.begun, lost.suppressed, lost.handlers), (Some(50), Some(40), Some(0)));
    let by: Vec<_> = lost.by.iter().map(|by| (by.exe.clone(), by.n)).collect();
    assert_eq!(by, [(Some(runs[0].display().to_string()), 25), (None, 15)], "only what runs has a name");
    assert_eq!((lost.previous.suppressed, lost.previous.unanalysed, lost.previous.handlers), (41, 2, 3));
    assert_eq!(told[1].lost.previous, Default::default(), "once");
    assert_eq!(told[1].lost.suppressed, Some(40));
    assert!(decode_exposure(b"").is_err());
}

#[test]
fn a_large_storm_hurts_nobody() {
    if std::env::var_os("EPICORE_STORM").is_none() {
        return println!("skipped: the large storm is made with EPICORE_STORM=1");
    }
    let Some(place) = Place::open("") else { return };
    let (one, many) = (place.copies("one", 1), place.copies("many", 500));
    let without = Watched::over(&place, || {
        place.without_handler(|| {
            place.crash(&one, 2000);
            place.crash(&many, 500);
        });
    });
    let with = Watched::over(&place, || {
        place.crash(&one, 2000);
        place.crash(&many, 500);
    });
    let totals = place.settled(2500);
    println!("without a handler: {without}\nwith it:           {with}\n{totals:?}");
    assert_eq!(totals.recorded + totals.suppressed, 2500, "exactly: {totals:?}");
    assert_eq!((totals.failed, totals.lost), (0, Some(0)));
    assert!(with.resident_kib < 1 << 20, "{with}");
    another_executable_is_recorded_in_full(&place, totals.suppressed);
}
