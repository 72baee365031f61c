//! What no handler began for, counted by epicored from what the kernel tells of crashes
//! (the proc connector), through the real kernel, and told by the census.
//!
//! Needs root (core_pattern), gcc and a kernel with CONFIG_PROC_EVENTS; says so and passes
//! without. Takes the lock of tests/support/pattern_guard.rs.

mod support;

#[path = "support/storm.rs"]
#[allow(dead_code)]
mod storm;

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use epicore::daemon::{Dropped, ask_status};
use epicore::record::Lost;
use nix::sys::signal::Signal;
use storm::Place;
use support::observe::OWNER;

/// epicored as the spool's owner, as its unit runs it.
struct Watching {
    child: std::process::Child,
    socket: PathBuf,
}

impl Watching {
    /// `None`, and a line that says why, where the kernel tells nobody of crashes.
    fn start(place: &Place) -> Option<Watching> {
        let directory = place.path("d");
        std::fs::create_dir_all(&directory).unwrap();
        std::os::unix::fs::chown(&directory, Some(OWNER.0), Some(OWNER.1)).unwrap();
        let log = place.path("log");
        let mut epicored = Command::new(env!("CARGO_BIN_EXE_epicored"));
        epicored.arg("--config").arg(&place.config).arg("--run").arg(&place.run);
        epicored.uid(OWNER.0).gid(OWNER.1).stdin(Stdio::null()).stdout(Stdio::null());
        epicored.stderr(std::fs::File::create(&log).unwrap());
        let child = epicored.env_clear().spawn().unwrap();
        let watching = Watching { child, socket: directory.join("sock") };
        let end = Instant::now() + Duration::from_secs(20);
        while watching.told().is_none() {
            let log = std::fs::read_to_string(&log).unwrap();
            if let Some(why) = log.split("known from its log only: ").nth(1) {
                println!("skipped: the kernel tells nobody of crashes: {why}");
                return None;
            }
            assert!(Instant::now() < end, "it never counted\n{log}");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(watching)
    }

    fn told(&self) -> Option<Dropped> {
        ask_status(&self.socket).ok()?.dropped
    }

    /// What it says when it has heard of so many crashes.
    fn of(&self, crashes: u64) -> Dropped {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let told = self.told().unwrap();
            if told.crashes >= crashes || Instant::now() > end {
                assert_eq!(told.crashes, crashes, "{told:?}");
                return told;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(place: &str) -> String {
    format!("[daemon]\nsocket = \"{place}/d/sock\"\n")
}

fn open() -> Option<(Place, Watching)> {
    let place = Place::open("")?;
    let spool = std::fs::read_to_string(&place.config).unwrap();
    let directory = place.path("");
    std::fs::write(&place.config, spool + &configuration(&directory.display().to_string())).unwrap();
    let watching = Watching::start(&place)?;
    Some((place, watching))
}

/// What a census says now.
fn census(place: &Place) -> Lost {
    let mut census = Command::new(place.program());
    census.args(["--census", "--run"]).arg(&place.run).arg("--config").arg(&place.config);
    assert!(census.status().expect("a census").success());
    place.reports().pop().expect("a report").lost
}

#[test]
fn every_crash_for_which_no_handler_began_is_counted_exactly_and_the_census_tells_it() {
    let Some((place, watching)) = open() else { return };
    let one = place.copies("one", 1);
    place.crash(&one, 20);
    place.settled(20);
    let told = watching.of(20);
    assert_eq!((told.dropped, told.exact), (0, true), "a handler began for each");

    place.without_handler(|| place.crash(&one, 7));
    assert_eq!(watching.of(27).dropped, 7, "a handler that is not there");

    for _ in 0..3 {
        assert!(!Command::new("prlimit").arg("--core=1").arg(&one[0]).status().unwrap().success());
    }
    assert_eq!(watching.of(30).dropped, 10, "limits of 1");

    let storm = if std::env::var_os("EPICORE_STORM").is_some() { 2500 } else { 200 };
    place.with_pipe_limit(1, || place.crash(&one, storm));
    let totals = place.quiet();
    let (begun, told) = (totals.begun, watching.of(30 + storm as u64));
    println!(
        "of {storm} crashes, eight at once with core_pipe_limit 1, the kernel dropped {}",
        told.dropped - 10
    );
    assert_eq!((told.dropped, told.exact), (told.crashes - begun, true), "{begun} began");
    assert_eq!(totals.recorded + totals.suppressed + told.dropped, told.crashes, "each is known: {totals:?}");
    assert!(told.dropped > 10, "one at a time was enough");

    let lost = census(&place);
    assert_eq!((lost.dropped, lost.at_least, lost.begun), (Some(told.dropped), false, Some(begun)));
    let now = lost.watched_ns.expect("it says who counted");
    drop(watching);
    let lost = census(&place);
    assert_eq!(lost.watched_ns, None, "nobody counts any more, whatever the file says");
    let again = Watching::start(&place).expect("it starts again");
    let lost = census(&place);
    assert_eq!((lost.dropped, lost.at_least), (Some(0), false), "from its own beginning");
    assert!(lost.watched_ns > Some(now));
    drop(again);
}

#[test]
fn who_was_too_slow_to_hear_every_crash_says_at_least() {
    let Some((place, watching)) = open() else { return };
    let one = place.copies("one", 1);
    place.without_handler(|| {
        place.crash(&one, 5);
        assert_eq!(watching.of(5), Dropped { dropped: 5, exact: true, ..watching.told().unwrap() });
        watching.signal(Signal::SIGSTOP);
        place.crash(&one, 3000);
        watching.signal(Signal::SIGCONT);
        let end = Instant::now() + Duration::from_secs(20);
        while watching.told().unwrap().exact && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        let told = watching.told().unwrap();
        assert!(!told.exact && (5..=3005).contains(&told.dropped), "{told:?}");
        place.crash(&one, 4);
        let more = watching.of(told.crashes + 4);
        assert_eq!((more.dropped, more.exact), (told.dropped + 4, false), "it goes on");
    });
    assert!(census(&place).at_least);
}
