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

    /// What it says as soon as that holds.
    fn until(&self, what: &str, holds: impl Fn(&Dropped) -> bool) -> Dropped {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let told = self.told().unwrap_or_default();
            if holds(&told) {
                return told;
            }
            assert!(Instant::now() < end, "{what}: {told:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What it says of exactly so many crashes.
    fn of(&self, crashes: u64) -> Dropped {
        let told = self.until("it is sure", |told| told.exact && told.crashes >= crashes);
        assert_eq!(told.crashes, crashes, "{told:?}");
        told
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
    // As `epicore enable` does.
    epicore::storm::prepare(&place.run, epicore::hardware::boot_id().unwrap(), OWNER.1).unwrap();
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
    place.crash(&one, 1);
    assert_eq!(again.of(1).dropped, 0);
}

#[test]
fn who_was_too_slow_to_hear_every_crash_says_at_least() {
    let Some((place, watching)) = open() else { return };
    let one = place.copies("one", 1);
    place.without_handler(|| {
        place.crash(&one, 5);
        assert_eq!(watching.of(5).dropped, 5);
        watching.signal(Signal::SIGSTOP);
        // More than fit, whatever net.core.rmem_max is up to a megabyte.
        place.crash(&one, 3000);
        watching.signal(Signal::SIGCONT);
        let told = watching.until("it missed some", |told| !told.exact);
        // Two seconds later it counts anew.
        std::thread::sleep(Duration::from_millis(3500));
        place.crash(&one, 4);
        let more = watching.until("it goes on", |more| more.dropped >= told.dropped + 4);
        assert!(!more.exact && more.dropped <= 3009, "{more:?}");
    });
    assert!(census(&place).at_least);
}

#[test]
fn one_that_a_debugger_holds_at_its_end_makes_the_others_a_lower_bound() {
    let Some((place, watching)) = open() else { return };
    let one = place.copies("one", 1);
    place.crash(&one, 3);
    place.settled(3);
    assert_eq!(watching.of(3).dropped, 0);
    place.without_handler(|| {
        let held = Held::at_its_end(&one[0]);
        place.crash(&one, 12);
        let told = watching.until("the others are told", |told| told.dropped == 12);
        assert_eq!((told.crashes, told.exact), (16, false));
        assert!(census(&place).at_least);
        drop(held);
        assert_eq!(watching.of(16).dropped, 13);
    });
    assert_eq!(census(&place).dropped, Some(13));
}

#[test]
fn handlers_that_have_no_ledger_are_not_taken_for_none() {
    let Some((place, watching)) = open() else { return };
    let one = place.copies("one", 1);
    std::fs::remove_file(place.run.join("crashes")).unwrap();
    let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(&place.run, mode(0o777)).unwrap();
    place.crash(&one, 6);
    let told = watching.until("it heard of them", |told| told.crashes > 0 && !told.exact);
    assert_eq!((told.dropped, place.totals()), (0, None));
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(watching.told().unwrap().dropped, 0);
    std::fs::set_permissions(&place.run, mode(0o755)).unwrap();
}

#[test]
fn a_ledger_that_was_removed_is_noticed_whatever_the_next_one_says() {
    let Some((place, watching)) = open() else { return };
    let one = place.copies("one", 1);
    place.crash(&one, 2);
    place.settled(2);
    assert_eq!(watching.of(2).dropped, 0);
    watching.signal(Signal::SIGSTOP);
    std::fs::remove_file(place.run.join("crashes")).unwrap();
    place.crash(&one, 5);
    place.settled(5);
    watching.signal(Signal::SIGCONT);
    let told = watching.until("it looked", |told| told.crashes == 7);
    assert_eq!((told.dropped, told.exact), (0, false));
}

#[test]
fn it_sleeps_while_nothing_crashes() {
    let Some((place, watching)) = open() else { return };
    let one = place.copies("one", 1);
    place.without_handler(|| place.crash(&one, 2));
    watching.of(2);
    std::thread::sleep(Duration::from_millis(200));
    let before = switches(watching.child.id());
    assert!(!before.is_empty());
    // What ends otherwise than by a crash wakes nobody.
    for script in ["exit 3", "kill -TERM $$", "kill -KILL $$"] {
        assert!(!Command::new("sh").args(["-c", script]).status().unwrap().success());
    }
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(switches(watching.child.id()), before, "a thread woke up");
}

/// How often each thread went to sleep.
fn switches(pid: u32) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let mut all: Vec<String> = tasks
        .map(|task| {
            let status = std::fs::read_to_string(task.path().join("status")).unwrap();
            let count = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"));
            format!("{:?} {count:?}", task.file_name())
        })
        .collect();
    all.sort();
    all
}

/// A process that has dumped and is held before its end (PTRACE_EVENT_EXIT).
struct Held(std::process::Child);

impl Held {
    fn at_its_end(program: &std::path::Path) -> Held {
        use nix::sys::ptrace;
        let held = Held(Command::new(program).arg("sleep").spawn().unwrap());
        let pid = held.pid();
        ptrace::seize(pid, ptrace::Options::PTRACE_O_TRACEEXIT).unwrap();
        nix::sys::signal::kill(pid, Signal::SIGSEGV).unwrap();
        loop {
            match nix::sys::wait::waitpid(pid, None).unwrap() {
                nix::sys::wait::WaitStatus::Stopped(_, signal) => ptrace::cont(pid, signal).unwrap(),
                nix::sys::wait::WaitStatus::PtraceEvent(..) => return held,
                other => panic!("{other:?}"),
            }
        }
    }

    fn pid(&self) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).unwrap())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = nix::sys::ptrace::cont(self.pid(), None);
        self.0.wait().unwrap();
    }
}
