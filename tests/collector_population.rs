//! What a study reads of a collector: every item once, whatever arrives
//! meanwhile; slim, bounded, and nothing private unasked. And verdicts.
#![cfg(feature = "collector")]

#[path = "support/collector.rs"]
mod collector;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use collector::{Collector, Options, batch, crash};
use epicore::record::{
    Control, CpuTime, Exposure, Frame, Hex, Id, Module, Process, Record, Serials, Stack, decode,
    decode_exposure, encode_exposure, new_id,
};
use epicore::wire::api::{Portion, Verdict};
use epicore::wire::{Item, ItemKind};
use reqwest::blocking::Response;
use serde_json::{Value, json};

fn portion(collector: &Collector, query: &str, token: &str) -> Portion {
    let request = collector.client().get(format!("{}/v1/population?{query}", collector.url));
    let response = request.bearer_auth(token).header("Accept", "application/msgpack").send().unwrap();
    assert_eq!(response.status(), 200, "{query}");
    rmp_serde::from_slice(&response.bytes().unwrap()).unwrap()
}

fn judge(collector: &Collector, token: &str, body: &Value) -> Response {
    let request = collector.client().post(format!("{}/v1/verdicts", collector.url)).bearer_auth(token);
    request.body(body.to_string()).send().unwrap()
}

fn census(host: &str) -> Item {
    let id = new_id();
    let exposure = Exposure {
        v: 1,
        id: id.clone(),
        realtime_ns: Some(collector::now()),
        host: crash(host).host,
        ..Exposure::default()
    };
    Item { id, kind: ItemKind::Exposure, body: encode_exposure(&exposure).unwrap() }
}

#[test]
fn pages_have_every_item_once_while_others_arrive() {
    let collector = Collector::start(Options::default());
    let (ingest, read) = (collector.token("ingest", "*"), collector.token("read", "mia"));
    let send = |n: usize| {
        let host = format!("web-{}", n % 5);
        let mut sent = batch(&host, &[crash(&host), crash(&host)]);
        sent.items.push(census(&host));
        collector.ingest(&ingest, &sent);
        sent.items.into_iter().map(|item| item.id).collect::<Vec<_>>()
    };
    let before: BTreeSet<_> = (0..20).flat_map(send).collect();
    let done = AtomicBool::new(false);
    let (seen, after) = std::thread::scope(|scope| {
        let arriving = scope.spawn(|| {
            let more: Vec<_> = (0..40).flat_map(send).collect();
            done.store(true, Ordering::Release);
            more
        });
        let (mut seen, mut after, mut last) = (Vec::new(), 0, 0);
        loop {
            // Asked before the page: what is done now is on it or behind it.
            let was_done = done.load(Ordering::Acquire);
            let page = portion(&collector, &format!("limit=7&after={after}"), &read);
            assert!(page.items.len() <= 7);
            for item in &page.items {
                assert!(item.seq > last, "{} after {last}", item.seq);
                last = item.seq;
            }
            seen.extend(page.items.into_iter().map(|item| item.id));
            match page.next {
                Some(next) => after = next,
                None if was_done => break,
                None => after = last,
            }
        }
        (seen, arriving.join().unwrap())
    });
    let all: BTreeSet<_> = before.into_iter().chain(after).collect();
    assert_eq!(all.len(), 180);
    assert_eq!(seen.len(), all.len(), "nothing twice");
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), all, "and nothing missed");
}

#[test]
fn a_crash_comes_without_what_only_people_look_at() {
    let collector = Collector::start(Options::default());
    let read = collector.token("read", "mia");
    let mut record = crash("web-1");
    let frame = |n: u32| Frame { module: Some(n), offset: Hex(u64::from(n)), ..Frame::default() };
    let named = |n: u32| Module { path: Some(format!("/lib/{n}.so")), ..Module::default() };
    record.modules = (0..20).map(named).collect();
    record.stacks = vec![Stack { frames: (0..20).map(frame).collect(), ..Stack::default() }];
    record.threads.tid = vec![1, 2, 3];
    collector.ingest(&collector.token("ingest", "web-1"), &batch("web-1", &[record.clone()]));
    let page = portion(&collector, "", &read);
    let slim = decode(&page.items[0].body.0).unwrap();
    assert_eq!((slim.stacks[0].frames.len(), slim.modules.len(), slim.threads.tid.len()), (8, 8, 0));
    assert_eq!((&slim.keys, &slim.process, &slim.host), (&record.keys, &record.process, &record.host));
    // JSON has the same keys.
    let json = collector.json("/v1/population", &read);
    let json: Portion = serde_json::from_value(json).unwrap();
    assert_eq!(json, page);
}

#[test]
fn a_window_and_the_end_of_what_there_is_can_be_asked_for() {
    let collector = Collector::start(Options::default());
    let read = collector.token("read", "mia");
    let ingest = collector.token("ingest", "web-1");
    assert_eq!(portion(&collector, "limit=0", &read).latest, None);
    let at = |ns: u64| Record { realtime_ns: Some(ns), ..crash("web-1") };
    let now = collector::now();
    let hour = 3_600_000_000_000;
    let records = [at(now - 48 * hour), at(now - hour), at(now + 100 * hour)];
    collector.ingest(&ingest, &batch("web-1", &records));
    let head = portion(&collector, "limit=0", &read);
    assert_eq!((head.latest, head.items.len(), head.next), (Some(now - hour), 0, None));
    assert!(head.last > 0, "a clock that is four days ahead is not the newest");
    let query = format!("since={}&until={now}", now - 24 * hour);
    let page = portion(&collector, &query, &read);
    assert_eq!(page.items.len(), 1);
    assert_eq!(page.items[0].id, records[1].id);
    assert_eq!(collector.get("/v1/population?limit=x", &read).status(), 400);
}

#[test]
fn private_crashes_are_for_admins_who_ask_and_the_audit_log_has_the_reading() {
    let collector = Collector::start(Options::default());
    let [read, admin] = ["read", "admin"].map(|role| collector.token(role, "mia"));
    let secret = Record { private: true, ..crash("web-1") };
    collector.ingest(&collector.token("ingest", "web-1"), &batch("web-1", &[secret.clone(), crash("web-1")]));
    assert_eq!(collector.get("/v1/population?private=true", &read).status(), 403);
    for token in [&read, &admin] {
        let page = portion(&collector, "", token);
        assert_eq!((page.items.len(), page.private), (1, 1));
    }
    assert_eq!(collector.json("/v1/audit", &admin).as_array().unwrap().len(), 0);
    let page = portion(&collector, "private=true", &admin);
    assert_eq!((page.items.len(), page.private), (2, 0));
    let audit = collector.json("/v1/audit", &admin);
    let row = &audit[0];
    assert_eq!((row["who"].as_str(), row["action"].as_str()), (Some("mia"), Some("read-private")), "{audit}");
    assert!(row["what"].as_str().unwrap().contains(&secret.id.hex()), "{audit}");
}

#[test]
fn how_many_crashes_are_private_is_told_of_whole_days_and_when_they_were_is_not() {
    let collector = Collector::start(Options::default());
    let [read, admin] = ["read", "admin"].map(|role| collector.token(role, "mia"));
    let (hour, day) = (3_600_000_000_000, 86_400_000_000_000);
    let noon = collector::now() / day * day - day / 2;
    let at = |ns: u64, private: bool| Record { realtime_ns: Some(ns), private, ..crash("web-1") };
    let records = [at(noon - day, true), at(noon, false), at(noon + hour, true), at(noon + 2 * hour, true)];
    collector.ingest(&collector.token("ingest", "web-1"), &batch("web-1", &records));
    let private = |query: &str| portion(&collector, query, &read).private;
    // Of the second day, whichever of its minutes one asks for, and however small the page is.
    for (since, until) in
        [(noon - hour, noon), (noon + hour, noon + hour), (noon + 3 * hour, noon + 4 * hour)]
    {
        assert_eq!(private(&format!("since={since}&until={until}&limit=1")), 2);
    }
    assert_eq!(private("limit=1"), 3);
    // Not page by page, and not as the newest.
    assert_eq!(private("limit=1&after=0"), 0);
    assert_eq!(portion(&collector, "limit=0", &read).latest, Some(noon));
    assert_eq!(portion(&collector, "limit=0&private=true", &admin).latest, Some(noon + 2 * hour));
}

#[test]
fn of_a_report_neither_serials_nor_what_a_study_does_not_count_is_handed_out() {
    let collector = Collector::start(Options::default());
    let [read, admin] = ["read", "admin"].map(|role| collector.token(role, "mia"));
    let process = Process {
        exe: Some("/usr/bin/passwd".into()),
        cgroup: Some("/user.slice".into()),
        unit: Some("session-42.scope".into()),
        euid: Some(0),
        ..Process::default()
    };
    let whole = Exposure {
        v: 1,
        id: new_id(),
        realtime_ns: Some(collector::now()),
        host: crash("web-1").host,
        serials: Serials { board: Some(Id(vec![7; 8])), ..Serials::default() },
        cpus: CpuTime { cpu: vec![0], busy_ms: vec![5], ..CpuTime::default() },
        control: Some(Control { process, cpu: Some(1), of: 9 }),
        ..Exposure::default()
    };
    let body = encode_exposure(&whole).unwrap();
    let mut sent = batch("web-1", &[]);
    sent.items = vec![Item { id: whole.id.clone(), kind: ItemKind::Exposure, body }];
    collector.ingest(&collector.token("ingest", "web-1"), &sent);
    for (token, query) in [(&read, ""), (&admin, "private=true")] {
        let page = portion(&collector, query, token);
        let slim = decode_exposure(&page.items[0].body.0).unwrap();
        assert_eq!((&slim.serials, &slim.cpus), (&Serials::default(), &CpuTime::default()));
        let known = Process { unit: Some("session-*.scope".into()), ..Process::default() };
        assert_eq!(slim.control.unwrap().process, known);
    }
}

#[test]
fn a_page_ends_when_its_bodies_are_many_bytes() {
    let collector = Collector::start(Options::default());
    let (ingest, read) = (collector.token("ingest", "web-1"), collector.token("read", "mia"));
    // 60 reports of 120 KiB are 7 MiB: two pages.
    let large = |_| {
        let mut item = census("web-1");
        let label = |n: u32| (format!("label-{n}"), "x".repeat(4000));
        let exposure = Exposure {
            id: item.id.clone(),
            realtime_ns: Some(collector::now()),
            host: crash("web-1").host,
            labels: (0..30).map(label).collect(),
            ..Exposure::default()
        };
        item.body = encode_exposure(&exposure).unwrap();
        item
    };
    let items: Vec<Item> = (0..60).map(large).collect();
    for part in items.chunks(20) {
        let mut sent = batch("web-1", &[]);
        sent.items = part.to_vec();
        collector.ingest(&ingest, &sent);
    }
    let first = portion(&collector, "", &read);
    assert!((30..40).contains(&first.items.len()), "{}", first.items.len());
    let second = portion(&collector, &format!("after={}", first.next.unwrap()), &read);
    assert_eq!((first.items.len() + second.items.len(), second.next), (60, None));
}

#[test]
fn a_verdict_is_kept_with_who_said_it_and_is_a_line_of_the_audit_log() {
    let collector = Collector::start(Options::default());
    let [read, admin] = ["read", "admin"].map(|role| collector.token(role, "mia"));
    collector
        .ingest(&collector.token("ingest", "web-17"), &batch("web-17", &[crash("web-17"), crash("web-17")]));
    let whole = json!({ "host": "web-17", "confirmed": true, "note": "memtest" });
    let judged: Value = serde_json::from_str(&judge(&collector, &admin, &whole).text().unwrap()).unwrap();
    assert_eq!((&judged["crashes"], &judged["verdict"]["who"]), (&json!(2), &json!("mia")));
    let one = json!({ "host": "web-17", "signature": "0x123456789abcdef0", "confirmed": false });
    assert_eq!(judge(&collector, &admin, &one).status(), 200);
    let verdicts: Vec<Verdict> = serde_json::from_value(collector.json("/v1/verdicts", &read)).unwrap();
    assert_eq!(verdicts.len(), 2, "nothing is overwritten");
    assert_eq!((verdicts[0].confirmed, verdicts[0].signature), (false, Some(Hex(0x1234_5678_9abc_def0))));
    assert_eq!((verdicts[1].confirmed, verdicts[1].note.as_deref()), (true, Some("memtest")));
    let audit = collector.json("/v1/audit", &admin);
    let told = |n: usize| (audit[n]["action"].as_str().unwrap(), audit[n]["what"].as_str().unwrap());
    assert_eq!(told(0), ("verdict", "refuted: host web-17, signature 123456789abcdef0"));
    assert_eq!(told(1), ("verdict", "confirmed: host web-17"));
    assert_eq!((&audit[1]["count"], &audit[1]["who"]), (&json!(2), &json!("mia")));
}

#[test]
fn a_verdict_on_nobody_or_by_somebody_who_may_not_is_refused_in_words() {
    let collector = Collector::start(Options::default());
    let [read, admin] = ["read", "admin"].map(|role| collector.token(role, "mia"));
    let ingest = collector.token("ingest", "web-17");
    collector.ingest(&ingest, &batch("web-17", &[crash("web-17")]));
    let good = json!({ "host": "web-17", "confirmed": true });
    assert_eq!(judge(&collector, &read, &good).status(), 403);
    assert_eq!(judge(&collector, &ingest, &good).status(), 403);
    let refused = |body: &Value| {
        let response = judge(&collector, &admin, body);
        (response.status().as_u16(), response.text().unwrap())
    };
    let (status, words) = refused(&json!({ "host": "web-7", "confirmed": true }));
    assert!(
        status == 422 && words.contains("no host web-7") && words.contains("did you mean web-17?"),
        "{words}"
    );
    let (status, words) = refused(&json!({ "host": "web-17", "confirmed": true, "signature": "0xabc" }));
    assert!(status == 422 && words.contains("no crash of signature 0000000000000abc"), "{words}");
    for wrong in
        [json!({ "host": "web-17" }), json!({ "host": "web-17", "confirmed": true, "at": 5 }), json!([])]
    {
        assert_eq!(refused(&wrong).0, 400, "{wrong}");
    }
    assert_eq!(collector.json("/v1/verdicts", &read), json!([]));
    assert_eq!(collector.json("/v1/audit", &admin), json!([]), "what was refused was not done");
}
