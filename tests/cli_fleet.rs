//! What the command line promises about a fleet: list, show, tail, purge and
//! audit of a real collector, and the same of the spool here.
#![allow(missing_docs)]

#[path = "support/collector.rs"]
mod collector;
#[path = "support/records.rs"]
mod records;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use collector::{Collector, Options, batch, crash};
use epicore::record::{Id, Record, encode};
use epicore::spool::{RecordId, Spool};
use records::{epicore, err, null_read, out, spool};

/// A collector, and a person who may ask it.
struct Fleet {
    collector: Collector,
    ca: String,
    token: String,
}

impl Fleet {
    fn start(role: &str) -> Fleet {
        let collector = Collector::start(Options::default());
        collector.write("ca-for-people.pem", &collector.ca_pem);
        collector.write("token-of-a-person", &collector.token(role, "alice"));
        let path = |name: &str| collector.path(name).to_str().unwrap().to_owned();
        let (ca, token) = (path("ca-for-people.pem"), path("token-of-a-person"));
        Fleet { collector, ca, token }
    }

    fn store(&self, host: &str, records: &[Record]) {
        let answer = self.collector.ingest(&self.collector.token("ingest", host), &batch(host, records));
        assert_eq!(answer.outcomes.len(), records.len());
    }

    fn words<'a>(&'a self, words: &[&'a str]) -> Vec<&'a str> {
        let access = ["--remote", &self.collector.url, "--token-file", &self.token, "--ca-file", &self.ca];
        words.iter().copied().chain(access).collect()
    }

    fn run(&self, words: &[&str]) -> Output {
        epicore(&self.words(words))
    }
}

fn of_host(host: &str, unit: &str) -> Record {
    let mut record = crash(host);
    record.process.unit = Some(unit.to_owned());
    record.process.exe = Some("/usr/bin/server".to_owned());
    record.crash.signal = Some(11);
    record
}

#[test]
fn the_fleets_crashes_are_listed_like_those_of_this_host() {
    let fleet = Fleet::start("read");
    fleet.store("web-1", &[of_host("web-1", "web.service")]);
    fleet.store("db-1", &[of_host("db-1", "db.service")]);
    let text = out(&fleet.run(&["list"]));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(
        lines[0].starts_with("TIME ") && lines[1].contains("web-1") && lines[2].contains("db-1"),
        "{text}"
    );
    let text = out(&fleet.run(&["list", "--unit", "db", "--host", "db-*", "--signal", "SEGV"]));
    assert!(text.contains("db-1") && !text.contains("web-1"), "{text}");
    let json = out(&fleet.run(&["list", "--json", "--host", "web-1"]));
    let value: serde_json::Value = serde_json::from_str(json.trim()).unwrap();
    assert_eq!(value["host"], "web-1");
    let nothing = fleet.run(&["list", "--host", "nobody"]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(err(&nothing).contains("no crash matches"), "{}", err(&nothing));
}

#[test]
fn one_crash_of_the_fleet_is_shown_by_the_end_of_its_id() {
    let fleet = Fleet::start("read");
    let record = of_host("web-1", "web.service");
    fleet.store("web-1", std::slice::from_ref(&record));
    let id = record.id.hex();
    for selector in [id.as_str(), &id[20..], &id[24..29], &id[..9], "last"] {
        let text = out(&fleet.run(&["show", selector]));
        assert!(text.contains(&id), "{selector}: {text}");
    }
    let other = of_host("web-2", "web.service");
    fleet.store("web-2", std::slice::from_ref(&other));
    let several = fleet.run(&["show", &id[..4]]);
    assert_eq!(several.status.code(), Some(1));
    let said = err(&several);
    assert!(said.contains("a part of several ids") && said.contains(&id), "{said}");
    assert!(said.contains(&other.id.hex()) && said.contains("more digits"), "{said}");
    let missing = fleet.run(&["show", "00000000000000000000000000000001"]);
    assert_eq!(missing.status.code(), Some(1), "{}", err(&missing));
}

#[test]
fn what_a_collector_tells_does_not_reach_the_terminal_as_it_is() {
    let fleet = Fleet::start("read");
    let mut record = of_host("web-1", "\u{1b}]0;owned\u{7}\u{1b}[2J.service");
    record.process.exe = Some("/usr/bin/a\u{1b}[31m\nb".to_owned());
    fleet.store("web-1", &[record]);
    for words in [&["list"][..], &["show", "last"], &["tail"]] {
        let text = out(&fleet.run(words));
        assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'), "{text:?}");
    }
}

#[test]
fn tail_shows_a_crash_of_the_fleet_as_it_comes() {
    let fleet = Fleet::start("read");
    fleet.store("web-1", &[of_host("web-1", "old.service")]);
    let mut tail = Command::new(env!("CARGO_BIN_EXE_epicore"))
        .args(fleet.words(&["tail", "-f"]))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("TIME"));
    assert!(lines.next().unwrap().unwrap().contains("old.service"));
    fleet.store("web-2", &[of_host("web-2", "new.service")]);
    assert!(lines.next().unwrap().unwrap().contains("new.service"));
    tail.kill().unwrap();
    tail.wait().unwrap();
}

#[test]
fn who_may_not_is_told_what_would_be_right() {
    let fleet = Fleet::start("read");
    let purge = fleet.run(&["purge", "--uid", "0"]);
    assert_eq!(purge.status.code(), Some(1));
    assert!(err(&purge).contains("admin"), "{}", err(&purge));
    let without = epicore(&["list", "--remote", &fleet.collector.url, "--ca-file", &fleet.ca]);
    assert!(err(&without).contains("token"), "{}", err(&without));
    let distrusted = epicore(&["list", "--remote", &fleet.collector.url, "--token-file", &fleet.token]);
    assert_eq!(distrusted.status.code(), Some(1));
    assert!(err(&distrusted).contains("certificate"), "{}", err(&distrusted));
}

#[test]
fn a_purge_of_the_fleet_removes_what_it_counted_and_is_written_down() {
    let fleet = Fleet::start("admin");
    fleet.store("web-1", &[of_host("web-1", "web.service"), of_host("web-1", "db.service")]);
    let nothing = fleet.run(&["purge"]);
    assert_eq!(nothing.status.code(), Some(2));
    assert_eq!(
        out(&fleet.run(&["purge", "--unit", "db.service", "--dry-run"])),
        "1 record would be removed\n"
    );
    assert_eq!(out(&fleet.run(&["purge", "--unit", "db.service"])), "1 record removed\n");
    let text = out(&fleet.run(&["list"]));
    assert!(text.contains("web.service") && !text.contains("db.service"), "{text}");
    let log = fleet.collector.log();
    assert!(log.contains("alice would purge records records=1 unit=\"db.service\""), "{log}");
    assert!(
        log.contains("alice purged records records=1 unit=\"db.service\"") && !log.contains("Purge {"),
        "{log}"
    );
    let text = out(&fleet.run(&["audit"]));
    assert!(text.contains("alice") && text.contains("purge") && text.contains("db.service"), "{text}");
}

/// A spool with these records, and its path as an argument.
fn here(records: &[Record]) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool");
    spool(&path, records);
    let text = path.to_str().unwrap().to_owned();
    (dir, text)
}

fn put(path: &str, record: &Record) {
    let id: [u8; 16] = record.id.0.as_slice().try_into().unwrap();
    let spool = Spool::open(Path::new(path)).unwrap();
    spool.replace_with_full((RecordId(id), record.private), &encode(record).unwrap()).unwrap();
}

#[test]
fn tail_shows_a_crash_of_this_host_as_it_comes() {
    let (_dir, path) = here(&[null_read()]);
    let mut tail = Command::new(env!("CARGO_BIN_EXE_epicore"))
        .args(["tail", "-f", "-n", "1", "--spool", &path])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("TIME"));
    assert!(lines.next().unwrap().unwrap().contains("server.service"));
    for n in 0..3 {
        let mut record = records::later(60 + n, "9b00d8e1");
        record.id = epicore::record::new_id();
        record.process.unit = Some(format!("fresh-{n}.service"));
        put(&path, &record);
        assert!(lines.next().unwrap().unwrap().contains(&format!("fresh-{n}.service")));
    }
    tail.kill().unwrap();
    tail.wait().unwrap();
}

#[test]
fn a_purge_here_removes_sent_records_too_and_is_written_down() {
    let mut other = records::later(60, "f000beef");
    other.crash.uid = Some(77);
    let mut sent = records::later(120, "f000bee0");
    sent.crash.uid = Some(77);
    let (_dir, path) = here(&[null_read(), other, sent.clone()]);
    let name = format!("{}/{}.rec", path, Id(sent.id.0).hex());
    std::fs::rename(&name, format!("{name}.sent")).unwrap();
    assert_eq!(
        out(&epicore(&["purge", "--uid", "77", "-n", "--spool", &path])),
        "2 records would be removed\n"
    );
    assert_eq!(out(&epicore(&["purge", "--uid", "77", "--spool", &path])), "2 records removed\n");
    assert_eq!(out(&epicore(&["list", "--json", "--spool", &path])).lines().count(), 1);
    let text = out(&epicore(&["audit", "--spool", &path]));
    assert!(text.contains("purge") && text.contains("uid 77") && text.trim_end().ends_with('2'), "{text}");
    let me = nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().unwrap();
    assert!(text.contains(&format!("  {} ({})  ", me.name, me.uid)), "{text}");
    let json = out(&epicore(&["audit", "--json", "--spool", &path]));
    assert!(json.contains(&format!("\"who\":\"{}\"", me.uid)), "{json}");
}

#[test]
fn reading_a_privileged_programs_record_is_written_down() {
    let mut private = records::later(60, "f000beef");
    private.private = true;
    let (_dir, path) = here(&[null_read()]);
    put(&path, &private);
    let id = private.id.hex();
    assert!(out(&epicore(&["show", &id, "--spool", &path])).contains(&id));
    let text = out(&epicore(&["audit", "--spool", &path]));
    assert!(text.contains("read-private") && text.contains(&id), "{text}");
}

#[test]
fn status_without_a_daemon_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("nobody.sock");
    let asked = epicore(&["status", "--socket", socket.to_str().unwrap()]);
    assert_eq!(asked.status.code(), Some(1));
    assert!(err(&asked).contains("does not answer") && err(&asked).contains("running"), "{}", err(&asked));
}

/// They were taken and not obeyed: `epicore --remote … doctor` spoke of this
/// host as if it were the fleet.
#[test]
fn a_command_about_this_host_refuses_to_be_asked_of_a_collector() {
    for words in [
        &["doctor"][..],
        &["status"],
        &["config", "show"],
        &["enable"],
        &["disable"],
        &["replay", "/nonexistent"],
        &["demo"],
    ] {
        for (asked, option) in
            [(&["--remote", "https://c.example"][..], "--remote"), (&["--fleet"], "--fleet")]
        {
            let said = epicore(&[words, asked].concat());
            assert_eq!((said.status.code(), out(&said)), (Some(2), String::new()), "{words:?} {asked:?}");
            let text = err(&said);
            assert!(text.starts_with(&format!("epicore: {option}: `{}` is about", words[0])), "{text}");
            assert!(text.contains("list, show, tail, study, verdict, purge and audit"), "{text}");
        }
    }
}

/// A bad address, a bad CA file and a collector that is down all said "A token
/// comes from …", or named keys of a configuration that nobody had written.
#[test]
fn each_mistake_of_whoever_asks_has_its_own_next_step() {
    let fleet = Fleet::start("read");
    let at = |name: &str| fleet.collector.path(name).to_str().unwrap().to_owned();
    fleet.collector.write("no-token", "two words\n");
    let url = fleet.collector.url.as_str();
    let plain = url.replace("https://", "http://");
    let (garbage, missing) = (at("no-token"), at("missing"));
    let (token, ca) = (fleet.token.as_str(), fleet.ca.as_str());
    for (words, code, what, next) in [
        (
            ["ftp://x", token, ca],
            2,
            "--remote: ftp://x: it must begin with https:// or http://",
            "looks like",
        ),
        (["https://u:p@x", token, ca], 2, "--remote: no user, password", "looks like"),
        ([url, token, &missing], 1, "missing: No such file", "--ca-file must be a file"),
        ([url, token, &garbage], 1, "no certificate in it", "--ca-file must be a file"),
        ([url, &missing, ca], 1, "missing: No such file", "--token-file must be a file"),
        ([url, &garbage, ca], 1, "one token and nothing else", "--token-file must be a file"),
        (["http://127.0.0.1:1", token, ca], 1, "nobody listens at that address", "port of --remote"),
        (["https://collector.invalid", token, ca], 1, "cannot be resolved", "the host in --remote"),
        ([&plain, token, ca], 1, "broke", "whether --remote needs https://"),
    ] {
        let [url, token, ca] = words;
        let said = epicore(&["list", "--remote", url, "--token-file", token, "--ca-file", ca]);
        let text = err(&said);
        assert_eq!(said.status.code(), Some(code), "{words:?}: {text}");
        assert!(text.contains(what) && text.contains(next), "{words:?}: {text}");
        assert!(!text.contains("collector.url") && !text.contains("curl"), "{words:?}: {text}");
    }
}

#[test]
fn https_asked_of_a_port_that_speaks_plain_http_is_told() {
    let collector = Collector::start(Options { tls: false, ..Options::default() });
    let url = collector.url.replace("http://", "https://");
    collector.write("ca.of-nobody", &collector.ca_pem);
    let ca = collector.path("ca.of-nobody");
    let said = epicore(&["list", "--remote", &url, "--ca-file", ca.to_str().unwrap()]);
    let text = err(&said);
    assert!(text.contains("speaks no TLS: plain HTTP") && text.contains("http:// in --remote"), "{text}");
}

/// `--remote` without a token of one's own took the host's and said "the role
/// ingest may not do this", of a token that nobody had named.
#[test]
fn whose_token_was_refused_is_told_and_how_a_person_gets_one() {
    let fleet = Fleet::start("ingest");
    let config = fleet.collector.path("epicore.toml");
    let host = |token: &str| {
        let url = &fleet.collector.url;
        let text = format!("[collector]\nurl = {url:?}\nca_file = {:?}\n{token}", fleet.ca);
        std::fs::write(&config, text).unwrap();
    };
    let ask = |words: &[&str], home: &Path| {
        let said = Command::new(env!("CARGO_BIN_EXE_epicore"))
            .args([words, &["--fleet", "--config", config.to_str().unwrap()]].concat())
            .env_clear()
            .env("HOME", home)
            .output()
            .unwrap();
        assert_eq!(said.status.code(), Some(1), "{}", err(&said));
        err(&said)
    };
    let home = tempfile::tempdir().unwrap();
    host(&format!("token_file = {:?}\n", fleet.token));
    let text = ask(&["list"], home.path());
    assert!(text.contains("the role ingest may not do this: it needs read"), "{text}");
    assert!(text.contains("`epicore-collector token read NAME`"), "{text}");
    assert!(text.contains(&format!("this host's, {}", fleet.token)), "{text}");
    assert!(text.contains("~/.config/epicore/token"), "{text}");

    std::fs::create_dir_all(home.path().join(".config/epicore")).unwrap();
    let own = home.path().join(".config/epicore/token");
    std::fs::write(&own, fleet.collector.token("read", "alice")).unwrap();
    let text = ask(&["audit"], home.path());
    assert!(text.contains("it needs admin") && text.contains("token admin NAME"), "{text}");
    assert!(text.contains(&format!("yours, {}", own.display())), "{text}");

    std::fs::remove_file(&own).unwrap();
    host("");
    assert!(ask(&["list"], home.path()).contains("No token was sent."));
}
