//! The fleet's records: each once, for as long as retention says, and beside
//! them the columns and roll-ups that questions are answered from.
//!
//! What it needs: items as they came over the wire, with the name of the host
//! that was allowed to speak. What it gives: [`Store`], behind which SQLite is
//! the embedded engine. What it trusts: nothing of a body: it is decoded under
//! `record`'s limits, and what cannot be decoded is refused with a reason; a
//! schema that is newer than this program is kept raw and counted.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )
)]

mod question;
pub mod sqlite;

pub use question::{Search, Walk, Window};

use std::path::Path;

use crate::wire::api::{
    AttributeRow, AuditRow, ExposureRow, HostRow, One, Page, Portion, Purge, Purged, Signature, StudyInput,
    Verdict,
};
use crate::wire::{ItemKind, Outcome};

/// One item of a batch, whose sender was let in.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Its id.
    pub id: [u8; 16],
    /// Crash or exposure.
    pub kind: ItemKind,
    /// Its MessagePack.
    pub body: Vec<u8>,
}

/// Whose items they are.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The name under which the sender was let in: records that name another
    /// host are refused.
    pub host: String,
    /// The sender's machine-id HMAC.
    pub mid: Option<[u8; 16]>,
    /// The sender's clock minus ours, nanoseconds.
    pub clock_ns: i64,
    /// Ours, nanoseconds since the epoch.
    pub received: u64,
}

/// Why the store did not answer.
#[derive(Clone, Debug)]
pub enum StoreError {
    /// The disk is full, or the file grew to its limit.
    Full(String),
    /// The store is being closed.
    Closed,
    /// Anything else.
    Broken(String),
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StoreError::Full(why) => write!(f, "the store's disk is full: {why}"),
            StoreError::Closed => f.write_str("the store is closed"),
            StoreError::Broken(why) => write!(f, "the store failed: {why}"),
        }
    }
}

impl std::error::Error for StoreError {}

/// Amounts, for metrics and readiness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Crash records.
    pub records: u64,
    /// Of them, with a schema that is newer than this program.
    pub undecoded: u64,
    /// Exposure reports.
    pub exposures: u64,
    /// Hosts heard of.
    pub hosts: u64,
    /// Bytes on disk.
    pub bytes: u64,
}

/// Whom a verdict is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Nobody: no host of this name was ever heard of. Nothing was written.
    NoHost,
    /// The host has no crash of this signature. Nothing was written.
    NoCrash,
    /// So many crashes; it was written.
    Crashes(u64),
}

/// How long things are kept; 0 = for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Days that whole records are kept; their columns and roll-ups stay.
    pub bodies_days: u32,
    /// Days that records and exposure are kept at all.
    pub records_days: u32,
}

/// What every engine does. All calls block; several threads may call at once.
pub trait Store: Send + Sync {
    /// Stores what is new. When it returns, what it calls stored or duplicate
    /// is on disk. Outcomes in the order of the items.
    fn ingest(&self, origin: &Origin, items: Vec<Incoming>) -> Result<Vec<Outcome>, StoreError>;
    /// Crashes that match, one page.
    fn search(&self, search: &Search) -> Result<Page, StoreError>;
    /// One crash by its id.
    fn one(&self, id: &[u8; 16]) -> Result<Option<One>, StoreError>;
    /// Ids (with a summary) that begin with these hexadecimal digits, else that
    /// end with them, else that hold them; a few of them.
    fn find(&self, digits: &str) -> Result<Page, StoreError>;
    /// Signatures by number of hosts, then crashes.
    fn signatures(&self, window: &Window) -> Result<Vec<Signature>, StoreError>;
    /// Hosts by number of crashes.
    fn hosts(&self, window: &Window) -> Result<Vec<HostRow>, StoreError>;
    /// How cases of a signature (or of all) and exposure share attributes.
    fn attributes(&self, window: &Window, signature: Option<u64>) -> Result<Vec<AttributeRow>, StoreError>;
    /// Process-hours by workload and build.
    fn exposure(&self, window: &Window) -> Result<Vec<ExposureRow>, StoreError>;
    /// All aggregates that a study begins with.
    fn study(&self, window: &Window) -> Result<StudyInput, StoreError>;
    /// What a study is made of, item by item: one page.
    fn portion(&self, walk: &Walk) -> Result<Portion, StoreError>;
    /// Writes a verdict and its audit line in one transaction, when there is
    /// somebody whom it is about.
    fn judge(&self, verdict: &Verdict) -> Result<Subject, StoreError>;
    /// Verdicts, the newest first.
    fn verdicts(&self, most: u32) -> Result<Vec<Verdict>, StoreError>;
    /// Names of hosts that were heard of, some of them when there are very many.
    fn host_names(&self) -> Result<Vec<String>, StoreError>;
    /// Removes records, writes the audit line in the same transaction.
    fn purge(&self, purge: &Purge, who: &str) -> Result<Purged, StoreError>;
    /// One line into the audit log.
    fn note(&self, row: &AuditRow) -> Result<(), StoreError>;
    /// The audit log, newest first.
    fn audit(&self, most: u32) -> Result<Vec<AuditRow>, StoreError>;
    /// Applies retention; how many records went.
    fn retain(&self, keep: Keep, now: u64) -> Result<u64, StoreError>;
    /// A consistent copy while writers go on.
    fn backup(&self, to: &Path) -> Result<(), StoreError>;
    /// Amounts.
    fn amounts(&self) -> Result<Amounts, StoreError>;
    /// Commits what waits and closes; later calls are [`StoreError::Closed`].
    fn close(&self);
}
