//! The exposure report: the denominators. One is written by each census of a
//! host (at random times, mean one hour), so that crashes can be divided by
//! the hours in which they could have happened.
//!
//! A report says what it saw at one moment and since when nobody had looked
//! (`since`): the collector lets it stand for that span, which is unbiased
//! because the moments are random (they meet the system as it is on average).
//! Absent is unknown, as in a record. docs/exposure-format.md has every key.

use serde::{Deserialize, Serialize};

use super::schema::is_default;
use super::{Hardware, Hex, Host, Id, Process, Serials};
use crate::gap::Gap;

/// The version of the exposure schema that this code writes.
pub const EXPOSURE_SCHEMA: u16 = 1;

/// One census of one host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Exposure {
    /// Schema version ([`EXPOSURE_SCHEMA`] of the writer).
    pub v: u16,
    /// UUIDv7 of the census.
    pub id: Id,
    /// CLOCK_REALTIME, nanoseconds since the epoch.
    #[serde(rename = "at", skip_serializing_if = "Option::is_none")]
    pub realtime_ns: Option<u64>,
    /// CLOCK_BOOTTIME, nanoseconds since boot.
    #[serde(rename = "bt", skip_serializing_if = "Option::is_none")]
    pub boottime_ns: Option<u64>,
    /// CLOCK_BOOTTIME of the census before, of the same boot; 0 for the first.
    #[serde(rename = "since", skip_serializing_if = "Option::is_none")]
    pub since_ns: Option<u64>,
    /// Which machine, boot and kernel.
    #[serde(skip_serializing_if = "is_default")]
    pub host: Host,
    /// The machine and its counters; no crash CPU.
    #[serde(rename = "hw", skip_serializing_if = "is_default")]
    pub hardware: Hardware,
    /// Hashed serials, when there is a fleet key.
    #[serde(rename = "hwid", skip_serializing_if = "is_default")]
    pub serials: Serials,
    /// Labels of the configuration (region, rack, role …), sorted.
    #[serde(rename = "lab", skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<(String, String)>,
    /// Online CPUs and their time.
    #[serde(rename = "cpus", skip_serializing_if = "is_default")]
    pub cpus: CpuTime,
    /// What runs, by workload and build.
    #[serde(rename = "run", skip_serializing_if = "Vec::is_empty")]
    pub running: Vec<Running>,
    /// Containers seen: id and image. Joins a crash's container with a name
    /// that means something elsewhere too.
    #[serde(rename = "img", skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<(String, String)>,
    /// Crashes of this boot that left no record.
    #[serde(rename = "lost", skip_serializing_if = "is_default")]
    pub lost: Lost,
    /// One living process, drawn uniformly: the control of a case-control
    /// contrast.
    #[serde(rename = "ctl", skip_serializing_if = "Option::is_none")]
    pub control: Option<Control>,
    /// What the census cost.
    #[serde(rename = "cost", skip_serializing_if = "is_default")]
    pub cost: Cost,
    /// What could not be learned, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
}

/// CPU time of the online CPUs since boot (/proc/stat): equal indices belong
/// together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CpuTime {
    /// Logical CPU.
    pub cpu: Vec<u32>,
    /// Its physical core: package × 65536 + core_id. For all or for none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub core: Vec<u32>,
    /// Milliseconds since boot in which it worked: user, nice, system, irq and
    /// softirq; not idle, iowait and steal.
    #[serde(rename = "busy", skip_serializing_if = "Vec::is_empty")]
    pub busy_ms: Vec<u64>,
}

/// Processes of one workload and build.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Running {
    /// systemd unit, as a crash record's; absent where the image is known.
    #[serde(rename = "u", skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Container image.
    #[serde(rename = "i", skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Path of the executable.
    #[serde(rename = "x", skip_serializing_if = "Option::is_none")]
    pub exe: Option<String>,
    /// Its build-id.
    #[serde(rename = "b", skip_serializing_if = "Option::is_none")]
    pub build_id: Option<Id>,
    /// Processes.
    pub n: u32,
    /// Their threads.
    #[serde(rename = "t", skip_serializing_if = "is_default")]
    pub threads: u32,
}

/// Crashes of this boot that left no record. Absent = unknown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lost {
    /// Crashes for which no handler began: with `watched_ns` all since then, else those
    /// that the kernel's log tells of.
    #[serde(rename = "drop", skip_serializing_if = "Option::is_none")]
    pub dropped: Option<u64>,
    /// `dropped` is a lower bound: the log line is rate-limited, and the log
    /// forgets; with `watched_ns`: something is open just now, or was missed.
    #[serde(rename = "least", skip_serializing_if = "is_default")]
    pub at_least: bool,
    /// Since when epicored counts `dropped` by the proc connector, CLOCK_BOOTTIME;
    /// absent: nobody does.
    #[serde(rename = "watch", skip_serializing_if = "Option::is_none")]
    pub watched_ns: Option<u64>,
    /// Handlers that began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begun: Option<u64>,
    /// Suppressed by the throttle.
    #[serde(rename = "sup", skip_serializing_if = "Option::is_none")]
    pub suppressed: Option<u64>,
    /// Kept as a minimal record, because no analysis slot was free.
    #[serde(rename = "min", skip_serializing_if = "Option::is_none")]
    pub unanalysed: Option<u64>,
    /// Ended by an error that the kernel's log has: no record, or the minimal one.
    #[serde(rename = "fail", skip_serializing_if = "Option::is_none")]
    pub failed: Option<u64>,
    /// Handlers that began and did not end.
    #[serde(rename = "hand", skip_serializing_if = "Option::is_none")]
    pub handlers: Option<u64>,
    /// The executables that were suppressed most, the most first.
    #[serde(rename = "by", skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<SuppressedBy>,
    /// The last known numbers of the boots before, told once, by the first
    /// census that can.
    #[serde(rename = "prev", skip_serializing_if = "is_default")]
    pub previous: Previous,
    /// Records that gave way to the spool's quota before they were forwarded,
    /// since the spool was made.
    #[serde(rename = "evict", skip_serializing_if = "Option::is_none")]
    pub evicted: Option<u64>,
}

/// An executable that was suppressed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SuppressedBy {
    /// Hash of its user, device, inode and time of change, under the boot id.
    #[serde(rename = "h")]
    pub hash: Hex,
    /// Its path, where `running` has it too.
    #[serde(rename = "x", skip_serializing_if = "Option::is_none")]
    pub exe: Option<String>,
    /// How often.
    pub n: u64,
}

/// What earlier boots of this host had lost when they ended, to within some
/// seconds of a power cut. Absent is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Previous {
    /// Suppressed by the throttle.
    #[serde(rename = "sup", skip_serializing_if = "is_default")]
    pub suppressed: u64,
    /// Kept as a minimal record.
    #[serde(rename = "min", skip_serializing_if = "is_default")]
    pub unanalysed: u64,
    /// Ended by an error.
    #[serde(rename = "fail", skip_serializing_if = "is_default")]
    pub failed: u64,
    /// Handlers that began and did not end.
    #[serde(rename = "hand", skip_serializing_if = "is_default")]
    pub handlers: u64,
}

/// A living process with a crash's attributes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Control {
    /// Facts, as of a crashed one.
    #[serde(rename = "proc")]
    pub process: Process,
    /// CPU it ran on last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    /// It is one of so many processes.
    pub of: u32,
}

/// What the census cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cost {
    /// CPU time, microseconds.
    #[serde(rename = "us")]
    pub cpu_us: u64,
    /// Processes counted in `running`.
    #[serde(rename = "n")]
    pub processes: u32,
    /// Kernel threads passed over.
    #[serde(rename = "kt", skip_serializing_if = "is_default")]
    pub kernel_threads: u32,
    /// Processes that went away or could not be read.
    #[serde(rename = "gone", skip_serializing_if = "is_default")]
    pub unread: u32,
}
