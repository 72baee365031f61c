//! Starting, stopping and copying: what was acknowledged is there afterwards.
#![cfg(feature = "collector")]

#[path = "support/collector.rs"]
mod collector;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use collector::{Collector, Options, batch, crash, pack};
use epicore::record::Record;
use epicore::wire::Said;

/// 200 hosts that each post one batch of five records; those whose batch was
/// acknowledged. `interrupt` is called when half of them are on their way.
fn storm(collector: &Collector, interrupt: impl FnOnce(&Collector) + Send) -> Vec<Record> {
    let token = collector.token("ingest", "*");
    let (sent, client) = (AtomicUsize::new(0), collector.client());
    let acknowledged = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for n in 0..200 {
            let (sent, client, token, acknowledged) = (&sent, &client, &token, &acknowledged);
            scope.spawn(move || {
                let host = format!("web-{n}");
                let records: Vec<Record> = (0..5).map(|_| crash(&host)).collect();
                let request = client.post(format!("{}/v1/batches", collector.url)).bearer_auth(token);
                let request = request.header("Content-Type", "application/msgpack");
                let request = request.header("Content-Encoding", "zstd").body(pack(&batch(&host, &records)));
                sent.fetch_add(1, Ordering::SeqCst);
                let Ok(response) = request.send() else { return };
                if response.status() != 200 {
                    return;
                }
                let Ok(bytes) = response.bytes() else { return };
                let answer: epicore::wire::Answer = rmp_serde::from_slice(&bytes).unwrap();
                for (record, outcome) in records.into_iter().zip(answer.outcomes) {
                    if matches!(outcome.said, Said::Stored | Said::Duplicate) {
                        acknowledged.lock().unwrap().push(record);
                    }
                }
            });
        }
        while sent.load(Ordering::SeqCst) < 100 || acknowledged.lock().unwrap().is_empty() {
            std::thread::sleep(Duration::from_millis(1));
        }
        interrupt(collector);
    });
    acknowledged.into_inner().unwrap()
}

fn all_there(collector: &Collector, acknowledged: &[Record]) {
    let (client, read) = (collector.client(), collector.token("read", "mia"));
    assert!(!acknowledged.is_empty());
    for record in acknowledged {
        let url = format!("{}/v1/records/{}", collector.url, record.id.hex());
        assert_eq!(client.get(url).bearer_auth(&read).send().unwrap().status(), 200, "{}", record.id.hex());
    }
}

#[test]
fn sigterm_in_a_storm_loses_nothing_that_was_acknowledged() {
    let mut collector = Collector::start(Options::default());
    let acknowledged = storm(&collector, |collector| collector.signal(nix::sys::signal::Signal::SIGTERM));
    assert!(collector.stop_waits().success());
    println!("{} of 1,000 records were acknowledged before the stop", acknowledged.len());
    assert!(collector.log().contains("stopped"), "{}", collector.log());
    collector.restart();
    all_there(&collector, &acknowledged);
}

#[test]
fn sigkill_in_a_storm_loses_nothing_that_was_acknowledged() {
    let mut collector = Collector::start(Options::default());
    let acknowledged = storm(&collector, |collector| collector.signal(nix::sys::signal::Signal::SIGKILL));
    println!("{} of 1,000 records were acknowledged before the end", acknowledged.len());
    collector.restart();
    all_there(&collector, &acknowledged);
}

#[test]
fn a_backup_is_whole_while_the_collector_runs() {
    let collector = Collector::start(Options::default());
    let records: Vec<Record> = (0..50).map(|_| crash("web-17")).collect();
    collector.ingest(&collector.token("ingest", "web-17"), &batch("web-17", &records));
    let copy = collector.path("copy.db");
    collector.run(&["backup", copy.to_str().unwrap()]);
    let again = collector.try_run(&["backup", copy.to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(1), "a backup replaces nothing");
    let mut other = Collector::start(Options::default());
    assert!(other.stop().success());
    for name in ["collector.db-wal", "collector.db-shm"] {
        let _ = std::fs::remove_file(other.path(name));
    }
    std::fs::copy(&copy, other.path("collector.db")).unwrap();
    other.restart();
    all_there(&other, &records);
    all_there(&collector, &records);
}

#[test]
fn the_log_goes_on_and_the_port_is_free_after_a_stop() {
    let mut collector = Collector::start(Options::default());
    assert!(collector.stop().success());
    assert!(std::net::TcpStream::connect(collector.address).is_err());
    collector.restart();
    assert_eq!(collector.log().matches("listens on https://127.0.0.1:").count(), 2);
}

#[test]
fn the_words_of_the_program_are_checked() {
    let collector = Collector::start(Options::default());
    assert!(collector.run(&["check"]).contains("listens on https://127.0.0.1:0"));
    assert!(collector.run(&["--version"]).starts_with("epicore-collector "));
    assert_eq!(collector.run(&["secret"]).len(), 64);
    assert_ne!(collector.run(&["secret"]), collector.run(&["secret"]));
    assert_eq!(collector.try_run(&["token", "king", "mia"]).status.code(), Some(1));
    assert_eq!(collector.try_run(&["--nonsense"]).status.code(), Some(2));
    collector.write("collector.toml.d/60.toml", "[limits]\nconections = 1\n");
    let said = collector.try_run(&["check"]);
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("60.toml") && said.contains("line 2") && said.contains("`connections`"), "{said}");
}

/// `epicore-collector` typed as root left a database of root's, and the service
/// said "unable to open database file" with the path three times.
#[test]
fn a_database_that_is_not_the_services_is_told_by_check_and_when_it_starts() {
    use std::os::unix::fs::{PermissionsExt, chown};
    use std::os::unix::process::CommandExt;
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let mut collector = Collector::start(Options::default());
    assert!(collector.run(&["check"]).contains("keeps records in"));
    assert!(collector.stop().success());
    let database = collector.path("collector.db");
    assert!(!collector.path("collector.db-wal").exists(), "check made nothing that stays");
    let place = database.parent().unwrap();
    // The service's directory and files, and a database that root made there.
    let service = 54321;
    for entry in
        std::fs::read_dir(place).unwrap().chain(std::fs::read_dir(place.join("collector.toml.d")).unwrap())
    {
        chown(entry.unwrap().path(), Some(service), Some(service)).unwrap();
    }
    chown(place, Some(service), Some(service)).unwrap();
    chown(&database, Some(0), Some(0)).unwrap();
    std::fs::set_permissions(&database, std::fs::Permissions::from_mode(0o640)).unwrap();
    let said = |output: std::process::Output| {
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let shown = database.display().to_string();
    let checked = said(collector.try_run(&["check"]));
    assert!(
        checked.contains("root:root's, mode 0640") && checked.contains("chown 54321:54321 "),
        "{checked}"
    );
    let as_service = |words: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_epicore-collector"));
        command.arg("--config").arg(collector.path("collector.toml")).args(words);
        command.uid(service).gid(service).output().unwrap()
    };
    for words in [&["check"][..], &["serve"]] {
        let text = said(as_service(words));
        assert_eq!(text.matches(&shown).count(), 1, "{text}");
        assert!(text.contains("cannot be opened: Permission denied; it is root:root's, mode 0640"), "{text}");
    }
    chown(&database, Some(service), Some(service)).unwrap();
    assert_eq!(collector.try_run(&["check"]).status.code(), Some(0));
    assert_eq!(as_service(&["check"]).status.code(), Some(0));
    std::fs::write(&database, "no database at all, but long enough to be looked at".repeat(20)).unwrap();
    let text = said(as_service(&["check"]));
    assert!(text.contains("is not a store of epicore-collector"), "{text}");
}

#[test]
fn the_largest_batches_from_sixteen_hosts_at_once_stay_within_200_megabytes() {
    let collector = Collector::start(Options::default());
    let token = collector.token("ingest", "*");
    std::thread::scope(|scope| {
        for n in 0..16 {
            let (collector, token) = (&collector, &token);
            scope.spawn(move || {
                let host = format!("web-{n}");
                // 60 records of 200 KB, which compress to just below 4 MiB.
                let mut sent = batch(&host, &[]);
                for _ in 0..60 {
                    let mut record = crash(&host);
                    let noise: String = (0..60_000).map(|_| char::from(b'a' + rand() % 16)).collect();
                    record.process.cgroup = Some(noise + &"x".repeat(140_000));
                    sent.items.push(collector::item(&record));
                }
                let body = pack(&sent);
                assert!(body.len() < 4 << 20, "{}", body.len());
                for _ in 0..3 {
                    let status = collector.post(token, body.clone()).status().as_u16();
                    assert!(status == 200 || status == 503, "{status}");
                }
            });
        }
    });
    let most = collector.memory_kib("VmHWM");
    println!("48 batches of 12 MB from 16 hosts: {} MiB at most", most >> 10);
    assert!(most < 200 << 10, "{most} KiB");
}

fn rand() -> u8 {
    use std::cell::Cell;
    thread_local!(static STATE: Cell<u64> = const { Cell::new(0x9e37_79b9_7f4a_7c15) });
    STATE.with(|state| {
        let mut x = state.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        state.set(x);
        (x >> 32) as u8
    })
}
