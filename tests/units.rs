//! No program makes a system call that its systemd unit forbids: a unit without
//! SystemCallErrorNumber= would end it there, under systemd alone.
//!
//! The programs do their work under strace; systemd-analyze says what a filter's groups are.
//! Says so and passes without them, or without root.

#[path = "support/census.rs"]
mod census;
#[path = "support/daemon.rs"]
mod daemon;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

type Names = BTreeSet<String>;

/// The calls of a group, with those of the groups in it; `None` where nobody knows.
fn group(name: &str) -> Option<Names> {
    let said = Command::new("systemd-analyze").args(["--no-pager", "syscall-filter", name]).output().ok()?;
    let text = String::from_utf8(said.stdout).ok().filter(|_| said.status.success())?;
    let mut names = Names::new();
    for line in text.lines().filter(|line| line.starts_with(' ')) {
        match line.trim() {
            comment if comment.starts_with('#') => {}
            inner if inner.starts_with('@') => names.extend(group(inner)?),
            call => drop(names.insert(call.to_owned())),
        }
    }
    Some(names)
}

/// What a unit allows, as systemd.exec(5) reads its lines one after another.
fn allowed(unit: &str) -> Option<Names> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(unit);
    let text = std::fs::read_to_string(path).expect(unit);
    let mut names = group("@default")?;
    for line in text.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")) {
        let (less, words) = line.strip_prefix('~').map_or((false, line), |words| (true, words));
        for word in words.split_ascii_whitespace() {
            let calls = if word.starts_with('@') { group(word)? } else { Names::from([word.to_owned()]) };
            match less {
                true => names = &names - &calls,
                false => names.extend(calls),
            }
        }
    }
    assert!(names.len() > 100, "{unit}: {names:?}");
    Some(names)
}

/// strace that leaves the calls of a program in `trace`.
fn traced(trace: &Path, plain: &Command) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(trace).arg(plain.get_program()).args(plain.get_args());
    command
}

/// The calls in a trace, but that by which the program was started.
fn made(trace: &Path) -> Names {
    let text = String::from_utf8_lossy(&std::fs::read(trace).expect("a trace")).into_owned();
    let calls = text.lines().filter_map(|line| {
        let call = line.split_once(' ')?.1.trim_start();
        let name = call.strip_prefix("<... ").unwrap_or(call);
        let name: String = name.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        (!name.is_empty() && (call.contains('(') || call.starts_with('<'))).then_some(name)
    });
    calls.filter(|name| name != "execve").collect()
}

/// `None`, and a line that says why, where this cannot be seen.
fn tools(unit: &str) -> Option<Names> {
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        println!("skipped: strace is not installed");
        return None;
    }
    let allowed = allowed(unit);
    if allowed.is_none() {
        println!("skipped: systemd-analyze is not installed");
    }
    allowed
}

#[test]
fn a_census_makes_no_call_that_its_unit_forbids() {
    let Some(place) = census::Place::new() else { return };
    let Some(allowed) = tools("epicore-census.service") else { return };
    let trace = place.path("trace");
    assert!(traced(&trace, &place.command(&[])).status().unwrap().success());
    let made = made(&trace);
    assert!(made.contains("capset") && made.contains("openat"), "{made:?}");
    assert_eq!(&made - &allowed, Names::new(), "epicore-census.service does not allow these");
}

#[test]
fn epicored_makes_no_call_that_its_unit_forbids() {
    let Some(allowed) = tools("epicored.service") else { return };
    let place = daemon::Place::new();
    // Nobody listens there; what is sent fails.
    place.configure(Some("http://127.0.0.1:9"), "plain_http = true\n");
    place.crash(1);
    let trace: PathBuf = place.path("trace");
    let mut daemon = place.start_as(traced(&trace, &place.command()));
    daemon.wait("it tried", |daemon| daemon.status().outage.is_some());
    daemon.wait("it counts, or says why not", |daemon| {
        daemon.status().dropped.is_some() || daemon.log().contains("known from its log only")
    });
    place.crash(2);
    let _ = place.status_as_told();
    let pid = i32::try_from(daemon.status().pid).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGHUP).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM).unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while daemon.child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < end, "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    let made = made(&trace);
    assert!(made.contains("inotify_add_watch") && made.contains("socket"), "{made:?}");
    assert_eq!(&made - &allowed, Names::new(), "epicored.service does not allow these");
}
