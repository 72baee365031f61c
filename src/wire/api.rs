//! What the API answers, as JSON or MessagePack. Times are nanoseconds since
//! the epoch, keys hexadecimal text in JSON, durations hours where a rate
//! divides by them.

use serde::{Deserialize, Serialize};

use super::ItemKind;
use crate::record::{Hex, Id, Record};

/// One page of crashes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Page {
    /// In the order asked for.
    pub records: Vec<Summary>,
    /// Give this as `after` to go on; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// One crash as a list shows it: the columns that the store keeps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Summary {
    /// Position in the order of arrival: what `after` means.
    pub seq: u64,
    /// The record's id.
    pub id: Id,
    /// The record's schema version.
    pub v: u16,
    /// When it crashed (the host's clock).
    pub at: u64,
    /// When the collector had it.
    pub received: u64,
    /// Host name.
    pub host: String,
    /// systemd unit.
    pub unit: Option<String>,
    /// Container image, where a census told it.
    pub image: Option<String>,
    /// Path of the executable.
    pub exe: Option<String>,
    /// comm of the process.
    pub comm: Option<String>,
    /// Build-id of the executable.
    pub build: Option<Id>,
    /// Signal number.
    pub signal: Option<u32>,
    /// si_code.
    pub code: Option<i32>,
    /// si_addr.
    pub addr: Option<Hex>,
    /// The key it is counted under: L2, else L1, else L0.
    pub signature: Option<Hex>,
    /// L1.
    pub functions: Option<Hex>,
    /// Function or module+offset of the culprit frame, for people.
    pub culprit: Option<String>,
    /// CPU of the crash.
    pub cpu: Option<u32>,
    /// Kernel release.
    pub kernel: Option<String>,
    /// It was a privileged process.
    pub private: bool,
    /// Only the minimal record came.
    pub minimal: bool,
}

/// One record, whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct One {
    /// The columns.
    pub summary: Summary,
    /// The record; absent when its schema is newer than the collector.
    pub record: Option<Record>,
    /// The record's MessagePack, when `record` is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<Id>,
}

/// One signature.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Signature {
    /// The key.
    pub signature: Hex,
    /// Crashes in the window.
    pub crashes: u64,
    /// Hosts that showed it.
    pub hosts: u64,
    /// Builds that showed it.
    pub builds: u64,
    /// First crash, in the resolution of the roll-ups (an hour).
    pub first: u64,
    /// Last crash, likewise.
    pub last: u64,
    /// The unit, executable or comm that shows it most.
    pub program: Option<String>,
    /// Signal of the newest one.
    pub signal: Option<u32>,
    /// The culprit of the newest one.
    pub culprit: Option<String>,
}

/// One host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostRow {
    /// Name.
    pub host: String,
    /// machine-id under the HMAC.
    pub mid: Option<Id>,
    /// Other names that came with the same machine-id: a cloned image.
    pub clones: Vec<String>,
    /// Crashes in the window.
    pub crashes: u64,
    /// Distinct signatures in the window.
    pub signatures: u64,
    /// Signatures that no more than two hosts show.
    pub rare: u64,
    /// Hours covered by a census in the window.
    pub hours: f64,
    /// Kernel release, last known.
    pub kernel: Option<String>,
    /// CPU model name, last known.
    pub cpu: Option<String>,
    /// Microcode revision, last known.
    pub microcode: Option<Hex>,
    /// Labels, last known.
    pub labels: Vec<(String, String)>,
    /// Last time that it was heard of.
    pub seen: u64,
    /// Its clock minus the collector's at the last batch, seconds.
    pub clock: Option<f64>,
}

/// One value of one attribute, and how cases and exposure share it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AttributeRow {
    /// kernel, cpu, microcode, host, or a label's name.
    pub attribute: String,
    /// The value.
    pub value: String,
    /// Hosts of that value that show the signature.
    pub cases: u64,
    /// Crashes on them.
    pub crashes: u64,
    /// Hosts of that value.
    pub hosts: u64,
    /// Hours of hosts of that value.
    pub hours: f64,
}

/// Exposure of one workload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExposureRow {
    /// Unit or container image.
    pub workload: String,
    /// Build-id of the executable.
    pub build: Option<Id>,
    /// Hosts that ran it.
    pub hosts: u64,
    /// Process-hours.
    pub process_hours: f64,
    /// Crashes in the same window.
    pub crashes: u64,
}

/// What a study begins with: aggregates, columnar, names once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StudyInput {
    /// The window, nanoseconds since the epoch.
    pub since: u64,
    /// Its end.
    pub until: u64,
    /// Host names; the columns below hold indices.
    pub hosts: Vec<String>,
    /// Signature keys.
    pub signatures: Vec<Hex>,
    /// Units, images or executables.
    pub workloads: Vec<String>,
    /// Build-ids; an empty one is "unknown".
    pub builds: Vec<Id>,
    /// Crashes by (signature, host, workload, build).
    pub crashes: CrashCells,
    /// Crashes by (host, core): index, physical core, crashes.
    pub cores: Vec<(u32, u32, u64)>,
    /// Hours by host.
    pub host_hours: Vec<f64>,
    /// Process-hours by (workload, build): indices, hours, hosts.
    pub process_hours: Vec<(u32, u32, f64, u64)>,
    /// Hosts without any census in the window.
    pub without_census: u64,
}

/// The sparse table of crashes: equal indices belong together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CrashCells {
    /// Index into signatures.
    pub signature: Vec<u32>,
    /// Index into hosts.
    pub host: Vec<u32>,
    /// Index into workloads.
    pub workload: Vec<u32>,
    /// Index into builds.
    pub build: Vec<u32>,
    /// Crashes.
    pub n: Vec<u32>,
}

/// One page of what a study is made of: crashes without what only people look
/// at, and exposure reports, in the order of arrival.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Portion {
    /// In the order of `seq`.
    pub items: Vec<PortionItem>,
    /// Give this as `after` to go on; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
    /// Position of what came last.
    pub last: u64,
    /// The newest time that an item tells; a clock that is a day ahead is not
    /// believed. Only where no items were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest: Option<u64>,
    /// Crashes that are left out because they are private: of every day that the
    /// window touches. Only on the first page (no `after`).
    pub private: u64,
    /// Left out because their bodies are gone, damaged, or of a newer schema.
    pub unread: u64,
}

/// One item of a [`Portion`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PortionItem {
    /// Position in the order of arrival.
    pub seq: u64,
    /// Crash or exposure.
    pub kind: ItemKind,
    /// It was a privileged process.
    pub private: bool,
    /// The item's id.
    pub id: Id,
    /// MessagePack of the record (docs/record-format.md) or exposure report.
    pub body: Id,
}

/// What somebody found out about a host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judgement {
    /// Host name, whole.
    pub host: String,
    /// Only crashes of this signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Hex>,
    /// It was hardware; else it was not.
    pub confirmed: bool,
    /// How that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A judgement, by whom and when. It is about crashes up to then.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Verdict {
    /// When.
    pub at: u64,
    /// Who: the subject of the token, or a user of a host.
    pub who: String,
    /// Host name.
    pub host: String,
    /// Only crashes of this signature.
    pub signature: Option<Hex>,
    /// It was hardware; else it was not.
    pub confirmed: bool,
    /// How that is known.
    pub note: Option<String>,
}

/// A judgement that was written down.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Judged {
    /// As it stands there now.
    pub verdict: Verdict,
    /// Crashes that it is about.
    pub crashes: u64,
}

/// One line of the audit log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuditRow {
    /// When.
    pub at: u64,
    /// Who: the subject of the token or certificate, or the uid on a host.
    pub who: String,
    /// purge, read-private, verdict …
    pub action: String,
    /// To what, in words.
    pub what: String,
    /// How many records.
    pub count: u64,
}

/// What is to be removed. At least one of them must be given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Purge {
    /// Real uid of the crashed process.
    pub uid: Option<u32>,
    /// systemd unit, `*` for any text.
    pub unit: Option<String>,
    /// Host name, `*` for any text.
    pub host: Option<String>,
    /// Crashed before this moment.
    pub before: Option<u64>,
    /// Only say how many.
    pub dry_run: bool,
}

/// What a purge did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Purged {
    /// Records removed (or that would be).
    pub records: u64,
}

/// An error of the API.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// What is wrong.
    pub error: String,
    /// What to do about it.
    pub next: Option<String>,
}
