//! epicored's life: one for a spool, started, reloaded, ended, and asleep.

#[path = "support/daemon.rs"]
mod daemon;
#[path = "support/fake_collector.rs"]
mod fake_collector;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;
use std::time::{Duration, SystemTime};

use daemon::{Place, run};
use epicore::daemon::{Activity, AskError, STATUS_VERSION, Status};
use epicore::spool::RecordId;
use fake_collector::{Act, Collector};
use nix::sys::signal::Signal;

/// Voluntary and involuntary switches of every thread: what wakes up, switches.
fn switches(pid: u32) -> Vec<(String, u64)> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let count = |text: &str| -> u64 {
        let lines = text.lines().filter(|line| line.contains("ctxt_switches"));
        lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum()
    };
    let mut all: Vec<_> = tasks
        .map(|task| {
            let status = std::fs::read_to_string(task.path().join("status")).unwrap();
            (task.file_name().to_string_lossy().into_owned(), count(&status))
        })
        .collect();
    all.sort();
    all
}

#[test]
fn it_sleeps_while_nothing_happens() {
    let (place, collector) = (Place::new(), Collector::start());
    // Crashes of other tests would wake it: tests/daemon_dropped.rs is about these.
    place.configure_daemon(Some(&collector.url()), "count_dropped = false\n");
    let mut daemon = place.start();
    // Both as it started and with a connection that has just been used.
    for n in 0..2 {
        daemon.wait("it rests", |daemon| daemon.status().activity == Activity::Idle);
        std::thread::sleep(Duration::from_millis(500));
        let before = switches(daemon.child.id());
        std::thread::sleep(Duration::from_secs(3));
        assert_eq!(switches(daemon.child.id()), before, "a thread woke up");
        let id = place.crash(n);
        collector.until("it is stored", |state| state.stored.contains_key(&id.0));
        daemon.wait("it is acknowledged", |_| place.named(".rec.sent") == usize::try_from(n).unwrap() + 1);
    }
}

#[test]
fn the_second_daemon_says_who_has_the_spool() {
    let place = Place::new();
    place.configure(None, "");
    let daemon = place.start();
    let (code, text) = run(place.command());
    assert_eq!(code, Some(1));
    assert!(text.contains(&format!("process {}", daemon.child.id())), "{text}");
    assert!(daemon.try_status().is_ok(), "the first one goes on");
}

#[test]
fn a_wrong_configuration_is_not_half_used() {
    let place = Place::new();
    place.configure(Some("http://collector.example"), "tokenfile = \"/x\"\n[forward]\nconcurrency = 0\n");
    let (code, text) = run(place.command());
    assert_eq!(code, Some(2), "{text}");
    for wrong in ["tokenfile", "concurrency", "plain_http"] {
        assert!(text.contains(wrong), "{wrong}: {text}");
    }
    let mut command = place.command();
    command.arg("--nonsense");
    assert_eq!(run(command).0, Some(2));
}

#[test]
fn a_spool_that_is_not_there_is_told_in_words() {
    let place = Place::new();
    place.configure(None, "");
    let mut command = place.command();
    command.arg("--spool").arg(place.path("nowhere"));
    let (code, text) = run(command);
    assert_eq!(code, Some(1));
    assert!(text.contains("nowhere") && text.contains("epicore enable"), "{text}");
}

#[test]
fn sigterm_lets_the_request_in_flight_end() {
    let (place, collector) = (Place::new(), Collector::start());
    collector.otherwise(Act::Late(Duration::from_millis(800)));
    let ids: Vec<RecordId> = (0..30).map(|n| place.crash(n)).collect();
    place.configure(Some(&collector.url()), "[forward]\nbatch_records = 10\nconcurrency = 1\n");
    let daemon = place.start();
    collector.until("a request came", |state| state.most_at_once == 1);
    assert_eq!(daemon.status().on_the_way, 1);
    assert_eq!(daemon.end().code(), Some(0));
    let stored = collector.stored().len();
    assert_eq!((stored, place.named(".rec.sent"), place.named(".rec")), (10, 10, 20));
    assert!(!place.path("sock").exists());

    collector.otherwise(Act::Store);
    let _daemon = place.start();
    collector.until("the others follow", |state| state.stored.len() == ids.len());
    let state = collector.state.0.lock().unwrap();
    assert!(state.stored.values().all(|(times, ..)| *times == 1));
}

#[test]
fn killed_at_any_moment_it_loses_nothing() {
    let (place, collector) = (Place::new(), Collector::start());
    collector.otherwise(Act::Late(Duration::from_millis(15)));
    let ids: Vec<RecordId> = (0..200).map(|n| place.crash(n)).collect();
    place.configure(Some(&collector.url()), "[forward]\nbatch_records = 5\n");
    for n in 0..8 {
        let daemon = place.start();
        std::thread::sleep(Duration::from_millis(20 + 13 * n));
        drop(daemon); // SIGKILL
    }
    collector.otherwise(Act::Store);
    let mut daemon = place.start();
    collector.until("all are stored", |state| state.stored.len() == ids.len());
    daemon.wait("all are acknowledged", |_| place.named(".rec.sent") == ids.len());
    assert_eq!(place.named(".rec"), 0);
}

#[test]
fn sighup_takes_another_configuration() {
    let (place, old, new) = (Place::new(), Collector::start(), Collector::start());
    old.otherwise(Act::Status(503, String::new(), Vec::new()));
    place.configure(Some(&old.url()), "");
    let mut daemon = place.start();
    let id = place.crash(1);
    daemon.wait("the old one fails", |daemon| daemon.status().outage.is_some());
    std::fs::write(place.path("epicore.toml"), "[forward]\nconcurrency = \"many\"\n").unwrap();
    daemon.signal(Signal::SIGHUP);
    daemon.wait("the mistake is told", |daemon| !daemon.status().warnings.is_empty());
    assert_eq!(daemon.status().collector, Some(old.url()));
    place.configure(Some(&new.url()), "");
    daemon.signal(Signal::SIGHUP);
    new.until("the new one has it", |state| state.stored.contains_key(&id.0));
    daemon.wait("nothing is wrong any more", |daemon| {
        let status = daemon.status();
        status.warnings.is_empty() && status.outage.is_none() && status.collector == Some(new.url())
    });
}

#[test]
fn the_socket_is_for_the_spools_group_and_for_words_it_knows() {
    let place = Place::new();
    place.configure(None, "");
    let daemon = place.start();
    let meta = std::fs::metadata(place.path("sock")).unwrap();
    assert_eq!(meta.permissions().mode() & 0o777, 0o660);
    assert_eq!(meta.gid(), std::fs::metadata(place.path("spool")).unwrap().gid());
    assert!(matches!(daemon.ask("reboot"), Err(AskError::Refused(_))));
    assert!(daemon.ask(&"x".repeat(100_000)).is_err());
    assert!(daemon.ask("metrics").unwrap().contains("# EOF"));
    let json = daemon.ask("status").unwrap();
    assert_eq!(json.lines().count(), 1);
    let status: Status = serde_json::from_str(&json).unwrap();
    assert_eq!((status.v, status.pid), (STATUS_VERSION, daemon.child.id()));
}

#[test]
fn a_socket_that_nobody_answers_is_replaced() {
    let place = Place::new();
    place.configure(None, "");
    drop(place.start()); // SIGKILL leaves it
    assert!(place.path("sock").exists());
    let daemon = place.start();
    assert_eq!(daemon.status().warnings, Vec::<String>::new());
}

/// A second daemon, of another spool but with the same socket in its
/// configuration, took the first one's socket along when it ended.
#[test]
fn a_daemon_that_ends_leaves_another_ones_socket() {
    let (place, other) = (Place::new(), Place::new());
    place.configure(None, "");
    let daemon = place.start();
    let mut command = place.command();
    command.arg("--spool").arg(other.path("spool"));
    let mut second = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(second.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("another epicored answers there")));
    let pid = nix::unistd::Pid::from_raw(i32::try_from(second.id()).unwrap());
    nix::sys::signal::kill(pid, Signal::SIGTERM).unwrap();
    assert_eq!((second.wait().unwrap().code(), lines.last().is_some()), (Some(0), true));
    assert_eq!(daemon.try_status().unwrap().pid, daemon.child.id());

    // Nor one that was put in its place.
    std::fs::remove_file(place.path("sock")).unwrap();
    let _theirs = std::os::unix::net::UnixListener::bind(place.path("sock")).unwrap();
    assert_eq!(daemon.end().code(), Some(0));
    assert!(place.path("sock").exists());
}

#[test]
fn the_metrics_file_is_whole_and_current() {
    let (place, collector) = (Place::new(), Collector::start());
    place.configure(Some(&collector.url()), "");
    let mut daemon = place.start();
    daemon.wait("it is written", |_| place.path("epicore.prom").exists());
    place.crash(1);
    collector.until("it is stored", |state| state.stored.len() == 1);
    daemon.wait("it is counted", |daemon| {
        daemon.ask("metrics").unwrap().contains("epicored_items_total{said=\"stored\"} 1")
    });
    let text = std::fs::read_to_string(place.path("epicore.prom")).unwrap();
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[test]
fn records_too_old_leave_the_spool_only_when_the_collector_has_them() {
    let (place, collector) = (Place::new(), Collector::start());
    let old = place.put(&daemon::record_at(1_600_000_000_000, 1), false);
    // Older than the spool: such an id tells no age, its file does.
    let file = std::fs::File::options().append(true).open(place.path("spool").join(old.file_name())).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000)).unwrap();
    collector.otherwise(Act::Status(500, String::new(), Vec::new()));
    place.configure(Some(&collector.url()), "[retention]\ndays = 3\n");
    let mut daemon = place.start();
    daemon.wait("the collector fails", |daemon| daemon.status().outage.is_some());
    assert_eq!(place.named(".rec"), 1);
    collector.otherwise(Act::Store);
    daemon.ask("flush").unwrap();
    collector.until("it is stored", |state| state.stored.contains_key(&old.0));
    daemon.wait("it is acknowledged", |_| place.named(".rec.sent") == 1);
    assert_eq!(daemon.end().code(), Some(0));
    let mut daemon = place.start();
    daemon.wait("it has gone", |_| place.named(".rec.sent") == 0);
}

/// Another name for a daemon in a UTS namespace of its own.
fn rename(daemon: &daemon::Daemon, name: &str) {
    let pid = daemon.child.id().to_string();
    let renamed = Command::new("nsenter").args(["--uts", "--target", &pid, "hostname", name]).status();
    assert!(renamed.unwrap().success());
}

/// cloud-init gave a host its name after epicored had started: all records from
/// then on were sent under the name before, and refused for good.
#[test]
fn a_host_that_is_renamed_sends_what_bears_its_name_and_keeps_the_rest() {
    if !nix::unistd::geteuid().is_root() {
        return println!("skipped: a host name of its own needs root");
    }
    let (place, collector) = (Place::new(), Collector::start());
    place.configure(Some(&collector.url()), "");
    let under = |name: &str, n| {
        let mut record = daemon::record(n);
        record.host.name = Some(name.into());
        place.put(&record, false)
    };
    let mut command = Command::new("unshare");
    command.args([
        "--uts",
        "sh",
        "-c",
        "hostname old-name && exec \"$@\"",
        "sh",
        env!("CARGO_BIN_EXE_epicored"),
    ]);
    command.arg("--config").arg(place.path("epicore.toml")).env_remove("NOTIFY_SOCKET");
    let mut daemon = place.start_as(command);
    let first = under("old-name", 1);
    collector.until("the first is stored", |state| state.stored.contains_key(&first.0));
    rename(&daemon, "new-name");
    let (late, new) = (under("old-name", 2), under("new-name", 3));
    collector.until("the new name's is stored", |state| state.stored.contains_key(&new.0));
    let names: Vec<String> = collector.requests().into_iter().map(|seen| seen.batch.from.name).collect();
    assert_eq!(names, ["old-name", "new-name"]);
    daemon.wait("the old name's is held", |daemon| daemon.status().held.other_name == 1);
    daemon.ask("retry").unwrap();
    daemon.wait("it is held again", |daemon| {
        let status = daemon.status();
        status.held.other_name == 1 && status.activity == Activity::Idle
    });
    let (code, text) = place.status_as_told();
    assert!(code == Some(1) && text.contains("of host old-name; this host is called new-name now"), "{text}");
    assert_eq!((place.named(".rec"), place.named(".refused")), (1, 0));
    rename(&daemon, "old-name");
    daemon.ask("flush").unwrap();
    collector.until("it leaves under its name", |state| state.stored.contains_key(&late.0));
    daemon.wait("nothing stays", |daemon| daemon.status().held.other_name == 0);
}

/// Tidying took the ids' word for it, and a host without a collector lost what
/// it had recorded before its clock was set.
#[test]
fn records_of_a_clock_that_was_not_set_stay_without_a_collector() {
    let place = Place::new();
    place.put(&daemon::record_at(5000, 1), false);
    place.configure(None, "[retention]\ndays = 3\n");
    let daemon = place.start();
    assert_eq!((daemon.status().crashes.pending, place.named(".rec")), (1, 1));
}

#[test]
fn the_service_manager_is_told() {
    let place = Place::new();
    place.configure(None, "");
    let socket = std::os::unix::net::UnixDatagram::bind(place.path("notify")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut command = place.command();
    command.env("NOTIFY_SOCKET", place.path("notify")).env("WATCHDOG_USEC", "400000");
    let daemon = place.start_as(command);
    let mut seen = String::new();
    let mut until = |words: &[&str]| {
        let mut buffer = [0; 4096];
        while !words.iter().all(|word| seen.contains(word)) {
            let length = socket.recv(&mut buffer).unwrap();
            seen.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
        seen.clear();
    };
    until(&["READY=1", "STATUS=", "WATCHDOG=1"]);
    until(&["WATCHDOG=1"]);
    daemon.signal(Signal::SIGHUP);
    until(&["RELOADING=1", "MONOTONIC_USEC=", "READY=1"]);
    daemon.signal(Signal::SIGTERM);
    until(&["STOPPING=1"]);
}
