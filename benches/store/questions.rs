//! How long each question takes over many records, and how much memory.

use std::path::Path;
use std::time::Instant;

use epicore::store::sqlite::{Options, Sqlite};
use epicore::store::{Search, Store, Window};

use crate::fleet::{BEGIN, Fleet, HOUR, SPAN};

pub fn run(place: &Path, records: u64) {
    let store = Sqlite::open(&place.join("questions"), Options::default()).unwrap();
    let mut fleet = Fleet::new(2, records);
    let began = Instant::now();
    let mut storing = 0.0;
    for _ in 0..records.div_ceil(500) {
        let (origin, items) = fleet.batch(500);
        let one = Instant::now();
        store.ingest(&origin, items).unwrap();
        storing += one.elapsed().as_secs_f64();
    }
    println!("\n{records} records stored in {storing:.1} s of {:.1} s", began.elapsed().as_secs_f64());
    let began = Instant::now();
    for (origin, items) in fleet.censuses() {
        store.ingest(&origin, items).unwrap();
    }
    println!("30000 exposure reports in {:.1} s", began.elapsed().as_secs_f64());
    let amounts = store.amounts().unwrap();
    println!("{} bytes on disk, {} a record", amounts.bytes, amounts.bytes / records.max(1));
    println!("resident {} MiB, at most {} MiB", resident("VmRSS:"), resident("VmHWM:"));
    ask(&store);
    println!("resident {} MiB, at most {} MiB", resident("VmRSS:"), resident("VmHWM:"));
}

fn ask(store: &Sqlite) {
    let ever = Window::default();
    let week = Window { since: BEGIN + SPAN - 168 * HOUR, ..ever };
    let top = store.signatures(&ever).unwrap()[0].signature.0;
    println!("question                    rows   best ms  worst ms of 3");
    time("signatures, 30 days", || store.signatures(&ever).unwrap().len());
    time("signatures, 7 days", || store.signatures(&week).unwrap().len());
    time("hosts, 30 days", || store.hosts(&ever).unwrap().len());
    time("attributes of all", || store.attributes(&ever, None).unwrap().len());
    time("attributes of one", || store.attributes(&ever, Some(top)).unwrap().len());
    time("exposure, 30 days", || store.exposure(&ever).unwrap().len());
    time("study, 30 days", || store.study(&ever).unwrap().crashes.n.len());
    time("study, 7 days", || store.study(&week).unwrap().crashes.n.len());
    let search = |search: Search| store.search(&Search { newest_first: true, ..search }).unwrap();
    time("search newest", || search(Search::default()).records.len());
    time("search host", || {
        search(Search { host: Some("web-0042.example.net".to_owned()), ..Search::default() }).records.len()
    });
    time("search host*", || {
        search(Search { host: Some("web-004*".to_owned()), ..Search::default() }).records.len()
    });
    time("search unit", || {
        search(Search { unit: Some("service-7".to_owned()), ..Search::default() }).records.len()
    });
    let digits = format!("{top:016x}");
    time("search signature", || {
        search(Search { signature: Some(digits[..8].to_owned()), ..Search::default() }).records.len()
    });
    time("search one hour long ago", || {
        let since = Some(BEGIN + 10 * HOUR);
        search(Search { since, until: Some(BEGIN + 11 * HOUR), ..Search::default() }).records.len()
    });
    time("search a week long ago", || {
        let since = Some(BEGIN + 10 * HOUR);
        search(Search { since, until: Some(BEGIN + 178 * HOUR), ..Search::default() }).records.len()
    });
    time("search exe, signal", || {
        let exe = Some("server-3".to_owned());
        search(Search { exe, signal: Some(4), ..Search::default() }).records.len()
    });
    time("search in vain", || search(Search { signal: Some(63), ..Search::default() }).records.len());
    let id = search(Search::default()).records[0].id.hex();
    time("find by last digits", || store.find(&id[24..]).unwrap().records.len());
    time("amounts", || store.amounts().unwrap().records as usize);
}

fn time(what: &str, ask: impl Fn() -> usize) {
    let mut took = [0.0; 3];
    let mut rows = 0;
    for took in &mut took {
        let began = Instant::now();
        rows = ask();
        *took = began.elapsed().as_secs_f64() * 1e3;
    }
    took.sort_by(f64::total_cmp);
    println!("{what:26}  {rows:6}  {:8.1}  {:8.1}", took[0], took[2]);
}

fn resident(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
}
