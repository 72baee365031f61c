//! The batch that a host posts, and the answer item by item.

use serde::{Deserialize, Serialize};

use crate::record::Id;

/// The version of the protocol that this code speaks.
pub const PROTOCOL: u16 = 1;

/// What a host hands over in one request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Batch {
    /// [`PROTOCOL`] of the sender.
    pub v: u16,
    /// Who speaks.
    pub from: Sender,
    /// The sender's CLOCK_REALTIME, nanoseconds: tells a wrong clock.
    pub at: u64,
    /// Records and exposures, oldest first as far as the sender knows.
    pub items: Vec<Item>,
}

/// The host that speaks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sender {
    /// uname(2) nodename, as in its records.
    pub name: String,
    /// /etc/machine-id under the application-specific HMAC, as in its records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mid: Option<Id>,
    /// Boot id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot: Option<Id>,
    /// Version of epicored.
    #[serde(rename = "ver")]
    pub version: String,
}

/// What an item is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ItemKind {
    /// One crash record (docs/record-format.md).
    #[default]
    Crash,
    /// One exposure report (docs/exposure-format.md).
    Exposure,
}

/// One thing to store, known by its id for ever.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Item {
    /// UUIDv7, sixteen bytes.
    pub id: Id,
    /// What it is.
    pub kind: ItemKind,
    /// Its MessagePack.
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
}

/// The collector's answer: one outcome for each item, in the same order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Answer {
    /// [`PROTOCOL`] of the collector.
    pub v: u16,
    /// What became of each item.
    pub outcomes: Vec<Outcome>,
}

/// What became of one item.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcome {
    /// The item's id.
    pub id: Id,
    /// What became of it.
    pub said: Said,
    /// In words, for a refusal or a delay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What became of one item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Said {
    /// It is on the collector's disk.
    Stored,
    /// It was there already, equally or more complete.
    Duplicate,
    /// It will never be taken; the sender keeps it and stops sending it.
    Refused,
    /// Not now; send it again. (The default: an answer that is not understood
    /// loses nothing.)
    #[default]
    Later,
}
