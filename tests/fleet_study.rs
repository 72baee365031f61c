//! `epicore study` and `epicore verdict` with a real collector, of fleets that
//! `epicore simulate` sends.
#![cfg(feature = "collector")]

#[path = "support/collector.rs"]
mod collector;
#[path = "support/records.rs"]
mod records;

use std::io::{Read, Write};
use std::process::Output;

use collector::{Collector, Options};
use epicore::wire::Batch;
use epicore::wire::api::{Portion, PortionItem, Problem};
use records::{epicore, err, out};
use serde_json::Value;

const SCENARIO: &str =
    "twice = 0\n[[plant]]\nkind = \"bad-core\"\nhosts = 2\ncrashes = 9\nevidence = \"strong\"\n";

/// A collector, and a person's files.
struct Fleet {
    collector: Collector,
}

impl Fleet {
    fn start() -> Fleet {
        let collector = Collector::start(Options::default());
        collector.write("ca-for-people.pem", &collector.ca_pem);
        for (role, subject) in [("ingest", "*"), ("read", "alice"), ("admin", "mia")] {
            collector.write(&format!("{role}.token"), &collector.token(role, subject));
        }
        collector.write("scenario.toml", SCENARIO);
        Fleet { collector }
    }

    fn path(&self, name: &str) -> String {
        self.collector.path(name).to_str().unwrap().to_owned()
    }

    fn run(&self, role: &str, words: &[&str]) -> Output {
        let (ca, token) = (self.path("ca-for-people.pem"), self.path(&format!("{role}.token")));
        let access = ["--remote", &self.collector.url, "--token-file", &token, "--ca-file", &ca];
        epicore(&words.iter().copied().chain(access).collect::<Vec<_>>())
    }

    fn simulate(&self, hosts: &str) {
        let scenario = self.path("scenario.toml");
        out(&self.run("ingest", &["simulate", "--scenario", &scenario, "--hosts", hosts, "--seed", "4"]));
    }

    fn study(&self, role: &str) -> Value {
        serde_json::from_str(&out(&self.run(role, &["study", "--json"]))).unwrap()
    }
}

fn machine<'a>(study: &'a Value, host: &str) -> Option<&'a Value> {
    study["machines"].as_array().unwrap().iter().find(|machine| machine["host"] == host)
}

#[test]
fn a_collectors_study_is_that_of_the_same_records_in_a_file() {
    let fleet = Fleet::start();
    let (scenario, file) = (fleet.path("scenario.toml"), fleet.path("fleet.batches"));
    out(&epicore(&["simulate", "--scenario", &scenario, "--hosts", "150", "--seed", "4", "--out", &file]));
    let mut bytes = Vec::new();
    zstd::Decoder::new(std::fs::File::open(&file).unwrap()).unwrap().read_to_end(&mut bytes).unwrap();
    let mut rest = bytes.as_slice();
    let ingest = fleet.collector.token("ingest", "*");
    let mut batches: Vec<Batch> = Vec::new();
    while !rest.is_empty() {
        batches.push(rmp_serde::from_read(&mut rest).unwrap());
    }
    // In another order than they stand in the file.
    for batch in batches.iter().rev() {
        fleet.collector.ingest(&ingest, batch);
    }
    let from_file: Value = serde_json::from_str(&out(&epicore(&["study", &file, "--json"]))).unwrap();
    assert!(from_file["heard"]["crashes"].as_u64() > Some(50), "{}", from_file["heard"]);
    assert_eq!(fleet.study("read"), from_file);
    let text = fleet.run("read", &["study"]);
    assert_eq!(out(&text), out(&epicore(&["study", &file])));
    assert!(err(&text).is_empty(), "no progress where nobody looks: {}", err(&text));
}

#[test]
fn a_verdict_changes_the_next_study_and_is_told_there() {
    let fleet = Fleet::start();
    fleet.simulate("150");
    let before = fleet.study("read");
    let host = before["machines"][0]["host"].as_str().unwrap().to_owned();
    assert_eq!(before["machines"][0]["verdict"], "accuse");
    let said = out(&fleet.run("admin", &["verdict", &host, "refuted", "--note", "a bug of 4.1"]));
    assert!(said.starts_with(&format!("{host} refuted: its ")) && said.contains("software's"), "{said}");
    let refuted = fleet.study("read");
    assert!(machine(&refuted, &host).is_none(), "{:?}", machine(&refuted, &host));
    let text = out(&fleet.run("read", &["study"]));
    assert!(
        text.contains(&format!("{host}  refuted on ")) && text.contains("by mia (a bug of 4.1)"),
        "{text}"
    );
    out(&fleet.run("admin", &["verdict", &host, "confirmed"]));
    let confirmed = fleet.study("read");
    let found = machine(&confirmed, &host).unwrap();
    assert_eq!((found["posterior"].as_f64(), &found["ruling"]["confirmed"]), (Some(1.0), &Value::Bool(true)));
    let text = out(&fleet.run("read", &["study"]));
    assert!(text.contains("confirmed on ") && text.contains("Next: repair "), "{text}");
    let list = out(&fleet.run("read", &["verdict"]));
    let lines: Vec<&str> = list.lines().collect();
    assert!(lines[0].starts_with("TIME  ") && lines.len() == 3, "{list}");
    assert!(lines[1].contains("(refuted)") && lines[2].contains(" confirmed "), "{list}");
    let audit = out(&fleet.run("admin", &["audit"]));
    assert!(audit.contains(&format!("confirmed: host {host}")) && audit.contains("verdict"), "{audit}");
}

#[test]
fn a_verdict_of_the_wrong_host_or_role_is_refused_with_what_to_do() {
    let fleet = Fleet::start();
    fleet.simulate("20");
    let wrong = fleet.run("admin", &["verdict", "sim-0003", "confirmed"]);
    assert_eq!(wrong.status.code(), Some(1));
    let words = err(&wrong);
    assert!(words.contains("no host sim-0003") && words.contains("sim-00003"), "{words}");
    let role = fleet.run("read", &["verdict", "sim-00003", "confirmed"]);
    assert!(err(&role).contains("needs admin"), "{}", err(&role));
    for (words, told) in [
        (&["verdict", "sim-00003"][..], "<VERDICT>"),
        (&["verdict", "sim-00003/xyz", "refuted"], "is no signature"),
        (&["verdict", "sim-00003", "perhaps"], "perhaps"),
        (&["study", "somewhere"], "a collector, or records from elsewhere?"),
    ] {
        let refused = fleet.run("admin", words);
        assert_eq!(refused.status.code(), Some(2), "{words:?}: {}", err(&refused));
        assert!(err(&refused).contains(told), "{words:?}: {}", err(&refused));
    }
    let empty = Fleet::start();
    let nothing = empty.run("read", &["study"]);
    assert!(err(&nothing).contains("no records"), "{}", err(&nothing));
    assert_eq!(out(&empty.run("read", &["verdict"])), "No verdict was given.\n");
}

/// Answers every page with the same one.
fn in_circles(items: Vec<PortionItem>, next: u64) -> String {
    let latest = Some(collector::now());
    let page = Portion { items, last: 100_000, next: Some(next), latest, ..Portion::default() };
    let page = rmp_serde::to_vec_named(&page).unwrap();
    answering(200, move |asked| if asked.contains("/v1/verdicts") { vec![0x90] } else { page.clone() })
}

#[test]
fn pages_that_do_not_go_on_are_not_followed() {
    let item = PortionItem { seq: 5, body: epicore::record::Id(vec![0xc1]), ..PortionItem::default() };
    let same = (vec![item], 5000, "the same items twice");
    for (items, next, told) in [same, (Vec::new(), 5000, "do not go on"), (Vec::new(), 1, "do not go on")] {
        let said = epicore(&["study", "--remote", &in_circles(items, next)]);
        assert_eq!(said.status.code(), Some(1), "{}", out(&said));
        assert!(err(&said).contains(told), "{}", err(&said));
    }
}

/// Answers every request as a collector does that knows none of the routes.
fn of_yesterday() -> String {
    let problem =
        Problem { error: "there is nothing here".into(), next: Some("see /v1/openapi.json".into()) };
    let body = rmp_serde::to_vec_named(&problem).unwrap();
    answering(404, move |_| body.clone())
}

/// A server of few words; its address.
fn answering(status: u16, body: impl Fn(&str) -> Vec<u8> + Send + 'static) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut asked = [0; 8192];
            let length = stream.read(&mut asked).unwrap_or(0);
            let body = body(&String::from_utf8_lossy(&asked[..length]));
            let kind = "Content-Type: application/msgpack\r\nConnection: close";
            let head = format!("HTTP/1.1 {status} X\r\n{kind}\r\nContent-Length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.write_all(&body);
        }
    });
    format!("http://{address}")
}

#[test]
fn a_collector_that_is_too_old_is_told_as_that() {
    let url = of_yesterday();
    for words in [&["study"][..], &["verdict"], &["verdict", "web-1", "confirmed"]] {
        let old = epicore(&words.iter().copied().chain(["--remote", &url]).collect::<Vec<_>>());
        assert_eq!(old.status.code(), Some(1));
        let said = err(&old);
        assert!(said.contains("older than this epicore") && said.contains("Upgrade it"), "{words:?}: {said}");
    }
}

#[test]
fn without_a_collector_verdicts_stand_beside_the_records() {
    let place = tempfile::tempdir().unwrap();
    let spool = place.path().join("spool");
    epicore::spool::initialise(&spool, None).unwrap();
    let path = spool.to_str().unwrap();
    let scenario = place.path().join("scenario.toml");
    std::fs::write(&scenario, SCENARIO).unwrap();
    let scenario = scenario.to_str().unwrap();
    out(&epicore(&["simulate", "--scenario", scenario, "--hosts", "60", "--seed", "4", "--spool", path]));
    let study = || serde_json::from_str::<Value>(&out(&epicore(&["study", path, "--json"]))).unwrap();
    let before = study();
    let host = before["machines"][0]["host"].as_str().unwrap().to_owned();
    let wrong = epicore(&["verdict", &format!("{host}x"), "refuted", "--spool", path]);
    assert!(err(&wrong).contains(&format!("Did you mean {host}")), "{}", err(&wrong));
    out(&epicore(&["verdict", &host, "refuted", "--note", "memtest is clean", "--spool", path]));
    let after = study();
    assert!(machine(&after, &host).is_none(), "{:?}", machine(&after, &host));
    assert_eq!(after["rulings"][0]["note"], "memtest is clean");
    let text = std::fs::read_to_string(spool.join("verdicts.toml")).unwrap();
    assert!(text.contains(&format!("host = \"{host}\"\nverdict = \"refuted\"")), "{text}");
    assert!(out(&epicore(&["verdict", "--spool", path])).contains("memtest is clean"));
    let json: Value = serde_json::from_str(&out(&epicore(&["verdict", "--spool", path, "--json"]))).unwrap();
    assert_eq!((&json["host"], &json["confirmed"]), (&Value::from(host), &Value::Bool(false)));
    assert!(out(&epicore(&["audit", "--spool", path])).contains("refuted: host"));
    // The spool is as good as before.
    assert!(epicore(&["list", "--spool", path, "-n", "1"]).status.success());
    std::fs::write(spool.join("verdicts.toml"), "nonsense\n").unwrap();
    let broken = epicore(&["study", path]);
    assert!(!broken.status.success() && err(&broken).contains("verdicts.toml: line 1"), "{}", err(&broken));
}
