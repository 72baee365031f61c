//! A store in a directory of its own, and small records and censuses to put
//! into it.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::path::PathBuf;

use epicore::record::*;
use epicore::store::sqlite::{Options, Sqlite};
use epicore::store::{Incoming, Origin, Search, Store, Window};
use epicore::wire::api::Summary;
use epicore::wire::{ItemKind, Said};

/// 2026-11-22 14:00:00 UTC, a full hour.
pub const AT: u64 = 1_795_356_000_000_000_000;
pub const SECOND: u64 = 1_000_000_000;
pub const HOUR: u64 = 3600 * SECOND;
pub const DAY: u64 = 24 * HOUR;

pub struct Place {
    pub directory: tempfile::TempDir,
    pub path: PathBuf,
}

impl Place {
    pub fn new() -> Place {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.db");
        Place { directory, path }
    }

    pub fn open(&self) -> Sqlite {
        Sqlite::open(&self.path, Options::default()).unwrap()
    }

    /// The file itself, as any SQLite sees it.
    pub fn look<T: rusqlite::types::FromSql>(&self, sql: &str) -> Vec<T> {
        let file = rusqlite::Connection::open(&self.path).unwrap();
        let mut asked = file.prepare(sql).unwrap();
        asked.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }
}

pub fn id(n: u64) -> [u8; 16] {
    let mut id = [0x70; 16];
    id[8..].copy_from_slice(&n.to_be_bytes());
    id
}

pub fn origin(host: &str) -> Origin {
    Origin { host: host.to_owned(), mid: None, clock_ns: 0, received: AT + DAY }
}

/// A full record of `host` with nothing but what is counted.
pub fn crash(n: u64, host: &str, signature: u64) -> Record {
    let mut record = Record { v: SCHEMA, id: Id(id(n).to_vec()), kind: Kind::Full, ..Record::default() };
    record.realtime_ns = Some(AT + n * SECOND);
    record.host.name = Some(host.to_owned());
    record.crash.signal = Some(11);
    record.process.unit = Some("nginx.service".to_owned());
    record.process.exe = Some("/usr/sbin/nginx".to_owned());
    record.process.comm = Some("nginx".to_owned());
    record.process.build_id = Some(Id(vec![0xab, 0xcd]));
    record.keys.portable = (signature != 0).then_some(Hex(signature));
    record
}

pub fn body(record: &Record) -> Incoming {
    let id = <[u8; 16]>::try_from(record.id.0.as_slice()).unwrap();
    Incoming { id, kind: ItemKind::Crash, body: encode(record).unwrap() }
}

/// A census of `host` at `at` that stands for the `span` before it.
pub fn census(n: u64, host: &str, boottime: u64, since: u64) -> Exposure {
    let mut exposure = Exposure { v: EXPOSURE_SCHEMA, id: Id(id(n).to_vec()), ..Exposure::default() };
    exposure.realtime_ns = Some(AT + boottime);
    exposure.boottime_ns = Some(boottime);
    exposure.since_ns = Some(since);
    exposure.host.name = Some(host.to_owned());
    exposure.host.boot = Some(Id(vec![7; 16]));
    exposure
}

pub fn runs(unit: &str, n: u32) -> Running {
    Running { unit: Some(unit.to_owned()), build_id: Some(Id(vec![0xab, 0xcd])), n, ..Running::default() }
}

pub fn report(exposure: &Exposure) -> Incoming {
    let id = <[u8; 16]>::try_from(exposure.id.0.as_slice()).unwrap();
    Incoming { id, kind: ItemKind::Exposure, body: encode_exposure(exposure).unwrap() }
}

/// What became of each of these, all of one host.
pub fn ingest(store: &dyn Store, host: &str, items: Vec<Incoming>) -> Vec<Said> {
    store.ingest(&origin(host), items).unwrap().into_iter().map(|outcome| outcome.said).collect()
}

pub fn put(store: &dyn Store, record: &Record) -> Said {
    ingest(store, record.host.name.as_deref().unwrap(), vec![body(record)])[0]
}

pub fn tell(store: &dyn Store, exposure: &Exposure) -> Said {
    ingest(store, exposure.host.name.as_deref().unwrap(), vec![report(exposure)])[0]
}

/// Every record, by pages of 1,000.
pub fn all(store: &dyn Store) -> Vec<Summary> {
    let mut search = Search { private: true, most: 1000, ..Search::default() };
    let mut found = Vec::new();
    loop {
        let page = store.search(&search).unwrap();
        found.extend(page.records);
        search.after = page.next;
        if page.next.is_none() {
            return found;
        }
    }
}

pub fn ever() -> Window {
    Window { most: 10_000, ..Window::default() }
}
