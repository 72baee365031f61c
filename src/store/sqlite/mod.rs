//! The embedded engine: one SQLite file, one thread that writes, and as many
//! connections that read as are asked for at once.
//!
//! ```text
//! caller's thread                 writer's thread              readers
//! decode, refuse, pack  ──────►   all that wait: one           a snapshot each (WAL)
//!   (prepare, a slice   channel   transaction, one fsync,  ──► columns, roll-ups
//!       at a time)      ◄──────   then all are answered
//! ```
//!
//! What it needs: a file on a local disk that nothing else writes. What it
//! gives: [`Store`]. Its promises: what was called stored is on disk
//! (`synchronous=FULL`); the roll-ups equal a recount of the rows after every
//! transaction; no question reads records into memory. Its limits: one
//! machine; what was measured is in docs/store.md.

mod access;
mod backup;
mod cells;
mod census;
mod checkpoint;
mod crash;
mod dictionary;
mod exposure;
mod facts;
mod fault;
mod filter;
mod horizon;
mod hosts;
mod ledger;
mod number;
mod open;
mod part;
mod portion;
mod prepare;
mod rates;
mod remove;
mod rollup;
mod search;
mod signatures;
mod slices;
mod study;
mod sweep;
mod verdict;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use rusqlite::Connection;

use super::{Amounts, Incoming, Keep, Origin, Search, Store, StoreError, Subject, Walk, Window};
use crate::wire::Outcome;
use crate::wire::api::{
    AttributeRow, AuditRow, ExposureRow, HostRow, One, Page, Portion, Purge, Purged, Signature, StudyInput,
    Verdict,
};
use checkpoint::Checkpoints;
use fault::sort;
use slices::{Allowance, Slices};
use sweep::Sweep;
use writer::{Job, Writer};

pub use access::{closed_to_owner, usable};
#[doc(hidden)]
pub use open::create_old;

/// Jobs that wait for the writer before callers wait too.
const WAITING: usize = 64;

/// What can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes of pages that the writer keeps.
    pub writer_cache: u32,
    /// Bytes of pages that each reader keeps.
    pub reader_cache: u32,
    /// Readers that stay open; more are opened when more ask at once.
    pub readers: usize,
    /// How long a commit waits for further batches; zero: only while the one
    /// before it is being written.
    pub linger: Duration,
    /// How long to wait for another process's lock (a backup, a shell).
    pub busy: Duration,
    /// Pages in the WAL at which they begin to move into the file; it may have
    /// four times as many.
    pub checkpoint_pages: u32,
    /// Bytes that an idle WAL is cut to.
    pub wal_bytes: i64,
    /// Bytes of a page, of a new file only.
    pub page_size: u32,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            writer_cache: 64 << 20,
            reader_cache: 8 << 20,
            readers: 4,
            linger: Duration::ZERO,
            busy: Duration::from_secs(10),
            checkpoint_pages: 8192,
            wal_bytes: 128 << 20,
            page_size: 4096,
        }
    }
}

/// A store in one file.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    options: Options,
    /// Gone when it is closed.
    jobs: RwLock<Option<Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    idle: Mutex<Vec<Connection>>,
    allowance: Allowance,
}

impl Sqlite {
    /// Opens or makes the store, and brings an older one up to date. A newer
    /// one, another program's file and a damaged one are refused in words.
    pub fn open(path: &Path, options: Options) -> Result<Sqlite, StoreError> {
        let mut connection = open::writer(path, &options)?;
        let checkpoints = Checkpoints::of(&mut connection, path, &options)?;
        let writer = Writer::new(connection)?;
        let (jobs, work) = bounded(WAITING);
        let linger = options.linger;
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run(&work, linger, checkpoints))
            .map_err(|error| fault::io("the writer's thread", &error))?;
        Ok(Sqlite {
            path: path.to_owned(),
            options,
            jobs: RwLock::new(Some(jobs)),
            thread: Mutex::new(Some(thread)),
            idle: Mutex::new(Vec::new()),
            allowance: Allowance::default(),
        })
    }

    /// Looks whether the store at `path` can be opened and is one that this
    /// program knows; writes nothing.
    pub fn look(path: &Path) -> Result<(), StoreError> {
        open::recognise(&open::reader(path, &Options::default())?)
    }

    /// Copies the store at `path` into the file `to`, without touching it: the
    /// collector that writes it may be an older or a newer one.
    pub fn copy(path: &Path, to: &Path) -> Result<(), StoreError> {
        backup::copy(&open::reader(path, &Options::default())?, to)
    }

    /// Lets the file grow to so many pages and no further; StoreError::Full
    /// beyond.
    pub fn limit_pages(&self, pages: u32) -> Result<(), StoreError> {
        self.write(move |writer| {
            writer.connection.pragma_update(None, "max_page_count", i64::from(pages)).map_err(sort)
        })
    }

    fn must_be_open(&self) -> Result<(), StoreError> {
        let jobs = self.jobs.read().unwrap_or_else(PoisonError::into_inner);
        jobs.as_ref().map(drop).ok_or(StoreError::Closed)
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        let jobs = self.jobs.read().unwrap_or_else(PoisonError::into_inner).clone();
        jobs.ok_or(StoreError::Closed)?.send(job).map_err(|_| StoreError::Closed)
    }

    /// Has the writer do something alone.
    fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = bounded(1);
        self.send(Job::Alone(Box::new(move |writer| {
            let _ = answer.send(work(writer));
        })))?;
        answered.recv().unwrap_or(Err(StoreError::Closed))
    }

    /// Goes through what has no index by hour, when a day has passed.
    fn sweep(&self) -> Result<(), StoreError> {
        let must = self.write(|writer| writer.transaction(|ledger, _| Ok(ledger.must_sweep())))?;
        let mut sweep = if must { Sweep::begin() } else { Sweep::Done };
        while sweep != Sweep::Done {
            sweep = self.write(move |writer| {
                writer.transaction(|ledger, connection| {
                    let next = sweep.step(connection, ledger.horizon.hour)?;
                    ledger.swept = if next == Sweep::Done { ledger.horizon.hour } else { ledger.swept };
                    Ok(next)
                })
            })?;
        }
        Ok(())
    }

    /// Asks on a connection of one's own, in one snapshot.
    fn read<T>(&self, ask: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.must_be_open()?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open::reader(&self.path, &self.options)?,
        };
        let asked = {
            let snapshot = connection.unchecked_transaction().map_err(sort)?;
            ask(&snapshot)?
        };
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.options.readers {
            idle.push(connection);
        }
        Ok(asked)
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.close();
    }
}

impl Store for Sqlite {
    fn ingest(&self, origin: &Origin, items: Vec<Incoming>) -> Result<Vec<Outcome>, StoreError> {
        let mut outcomes = Vec::with_capacity(items.len());
        let mut slices = Slices::new(origin, &self.allowance, items);
        // An empty batch goes there too: whoever asks whether it can store.
        let first = slices.next().unwrap_or_default();
        for slice in std::iter::once(first).chain(slices) {
            let (answer, answered) = bounded(1);
            self.send(Job::Ingest(slice, answer))?;
            outcomes.extend(answered.recv().unwrap_or(Err(StoreError::Closed))?);
        }
        Ok(outcomes)
    }

    fn search(&self, search: &Search) -> Result<Page, StoreError> {
        self.read(|connection| search::search(connection, search))
    }

    fn one(&self, id: &[u8; 16]) -> Result<Option<One>, StoreError> {
        self.read(|connection| search::one(connection, id))
    }

    fn find(&self, digits: &str) -> Result<Page, StoreError> {
        self.read(|connection| search::find(connection, digits))
    }

    fn signatures(&self, window: &Window) -> Result<Vec<Signature>, StoreError> {
        self.read(|connection| signatures::list(connection, window).map_err(sort))
    }

    fn hosts(&self, window: &Window) -> Result<Vec<HostRow>, StoreError> {
        self.read(|connection| hosts::list(connection, window).map_err(sort))
    }

    fn attributes(&self, window: &Window, signature: Option<u64>) -> Result<Vec<AttributeRow>, StoreError> {
        self.read(|connection| hosts::attributes(connection, window, signature).map_err(sort))
    }

    fn exposure(&self, window: &Window) -> Result<Vec<ExposureRow>, StoreError> {
        self.read(|connection| rates::list(connection, window).map_err(sort))
    }

    fn study(&self, window: &Window) -> Result<StudyInput, StoreError> {
        self.read(|connection| study::input(connection, window).map_err(sort))
    }

    fn portion(&self, walk: &Walk) -> Result<Portion, StoreError> {
        self.read(|connection| portion::portion(connection, walk))
    }

    fn judge(&self, verdict: &Verdict) -> Result<Subject, StoreError> {
        let verdict = verdict.clone();
        self.write(move |writer| writer.transaction(|_, connection| verdict::judge(connection, &verdict)))
    }

    fn verdicts(&self, most: u32) -> Result<Vec<Verdict>, StoreError> {
        self.read(|connection| verdict::list(connection, most).map_err(sort))
    }

    fn host_names(&self) -> Result<Vec<String>, StoreError> {
        self.read(|connection| verdict::names(connection).map_err(sort))
    }

    fn purge(&self, purge: &Purge, who: &str) -> Result<Purged, StoreError> {
        remove::must_be_narrow(purge)?;
        let (purge, audit) = (purge.clone(), remove::audit(purge, who));
        self.write(move |writer| writer.purge(&purge, &audit))
    }

    fn note(&self, row: &AuditRow) -> Result<(), StoreError> {
        let row = row.clone();
        self.write(move |writer| writer.transaction(|_, connection| remove::note(connection, &row)))
    }

    fn audit(&self, most: u32) -> Result<Vec<AuditRow>, StoreError> {
        self.read(|connection| remove::audit_log(connection, most).map_err(sort))
    }

    fn retain(&self, keep: Keep, now: u64) -> Result<u64, StoreError> {
        let mut gone = 0u64;
        if !self.write(move |writer| writer.transaction(|ledger, _| Ok(ledger.advance(keep, now))))? {
            return Ok(gone);
        }
        loop {
            let step = self.write(move |writer| {
                writer.transaction(|ledger, connection| ledger.retain(connection, keep, now))
            });
            let (crashes, rows) = step?;
            gone = gone.saturating_add(crashes);
            if rows == 0 {
                break;
            }
        }
        self.sweep()?;
        while self.write(|writer| writer.vacuum())? {}
        Ok(gone)
    }

    fn backup(&self, to: &Path) -> Result<(), StoreError> {
        self.must_be_open()?;
        backup::copy(&open::reader(&self.path, &self.options)?, to)
    }

    fn amounts(&self) -> Result<Amounts, StoreError> {
        self.read(|connection| search::amounts(connection, &self.path))
    }

    fn close(&self) {
        drop(self.jobs.write().unwrap_or_else(PoisonError::into_inner).take());
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let _ = thread.map(JoinHandle::join);
    }
}
