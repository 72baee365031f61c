//! What `epicore status` is told: one versioned document.
//!
//! What it gives: [`Status`], written by the daemon as one line of JSON and
//! read by the command line. Times are nanoseconds since the epoch. Fields are
//! only ever added; [`STATUS_VERSION`] changes when one changes its meaning.
//! docs/daemon.md explains each line.

use serde::{Deserialize, Serialize};

use crate::forward::Trouble;

/// The version of this document.
pub const STATUS_VERSION: u16 = 1;

/// What the daemon does just now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activity {
    /// No collector is configured: records stay on this host.
    NoCollector,
    /// Everything that may leave has left.
    #[default]
    Idle,
    /// Batches are on their way.
    Sending,
    /// The collector does not take records; the next attempt is due later.
    Waiting,
    /// It was told to end.
    Stopping,
}

/// How the daemon is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// [`STATUS_VERSION`].
    pub v: u16,
    /// Version of epicored.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// The name under which it speaks.
    pub host: String,
    /// When it started.
    pub started: u64,
    /// When this was written.
    pub at: u64,
    /// The spool's directory.
    pub spool: String,
    /// The collector's address, when one is configured.
    pub collector: Option<String>,
    /// What it does.
    pub activity: Activity,
    /// Batches on their way.
    pub on_the_way: u64,
    /// Batches that may be on their way at once.
    pub window: u64,
    /// Crash records in the spool.
    pub crashes: Tally,
    /// Exposure reports in the spool.
    pub exposures: Tally,
    /// Minimal records whose full one may still come.
    pub young: u64,
    /// What stays, and why.
    pub held: Held,
    /// Pending records that the spool's quota has cost, ever.
    pub evicted: u64,
    /// Files in the spool that are nobody's.
    pub strangers: u64,
    /// Since the daemon started.
    pub sent: Sent,
    /// When the collector last stored something.
    pub last_stored: Option<u64>,
    /// What the kernel told of crashes; nothing where it does not.
    pub dropped: Option<Dropped>,
    /// Why it does not.
    pub uncounted: Option<String>,
    /// Where crash handlers count.
    pub run: String,
    /// What is wrong with the collector or the way to it.
    pub outage: Option<Outage>,
    /// The last refusals, newest last.
    pub refusals: Vec<Refusal>,
    /// What somebody should look at, in sentences.
    pub warnings: Vec<String>,
}

/// Files of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// To be sent, or held.
    pub pending: u64,
    /// The collector has them.
    pub sent: u64,
    /// The collector will not have them.
    pub refused: u64,
}

/// What stays on this host although it is pending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Held {
    /// Of privileged processes, without `forward.private`.
    pub private: u64,
    /// Of a schema later than this epicored's.
    pub newer: u64,
    /// Damaged or tampered files.
    pub damaged: u64,
    /// The collector has them, and the spool could not note it.
    pub unmarked: u64,
    /// They name another host: this one was renamed.
    #[serde(rename = "other-name")]
    pub other_name: u64,
}

/// What was sent since the daemon started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sent {
    /// Items that the collector stored.
    pub stored: u64,
    /// Items that it had.
    pub duplicates: u64,
    /// Items that it refused.
    pub refused: u64,
    /// Requests.
    pub requests: u64,
    /// Bytes posted, compressed.
    pub bytes: u64,
}

/// Crashes of which the kernel told, whether or not a handler began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dropped {
    /// Since when.
    pub since: u64,
    /// All of them.
    pub crashes: u64,
    /// Those for which no handler began.
    pub dropped: u64,
    /// Both are exact; else lower bounds.
    pub exact: bool,
    /// Something was missed: they are lower bounds until epicored starts again.
    pub missed: bool,
}

/// A collector that does not take records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outage {
    /// What is wrong, and what to do.
    pub trouble: Trouble,
    /// Since when.
    pub since: u64,
    /// Failures in a row.
    pub failures: u64,
    /// One batch at a time tries it.
    pub circuit_open: bool,
    /// Milliseconds until the next attempt.
    pub next_try_ms: Option<u64>,
}

/// One refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Refusal {
    /// The item's id, hexadecimal.
    pub id: String,
    /// Why, in the collector's words; printable.
    pub why: String,
}
