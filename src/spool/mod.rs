//! The spool: records survive the handler, the daemon and a power cut here.
//!
//! Design constraints, from which the rest follows:
//! - a record is visible under its final name whole or not at all; the full
//!   record replaces the minimal one in one step, and a failure on the way
//!   leaves the minimal one;
//! - names come from the record's id (UUIDv7: names sort by time), never from
//!   anything a crashing process chose;
//! - after [`Spool::open`] everything goes through directory descriptors:
//!   privileges may be dropped, paths may be swapped, nothing changes;
//! - no lookup of users, no daemon, no lock that a writer waits for;
//! - the name is the ledger: pending, sent and refused are three names of one
//!   file, and a state changes by one rename ([`State`]);
//! - the quota is kept without reading the directory on each crash: a tally
//!   counts, and only an exceeded tally makes somebody look ([`Quota`]); what a
//!   collector has goes first, then the executable that holds most;
//! - what cannot be read back is data ([`RecordStatus`]), never an error that
//!   ends a listing.
//!
//! ```text
//! /var/spool/epicore/            0750 owner = service user, group = readers
//! ├─ <32 hex digits>.rec         0640 a crash record, name = id: pending
//! │            … .rec.sent            the collector has it
//! │            … .rec.refused         the collector will not have it
//! ├─ <32 hex digits>.exp         0640 an exposure report; .sent, .refused alike
//! ├─ .<32 hex digits>.tmp        0640 being written (only while it is)
//! ├─ .tally                      0600 how much was written since the last count
//! ├─ .evicted                    0640 how many pending records gave way
//! ├─ .throttle                   0640 how many crashes left no record, and why
//! ├─ .refusals                   0640 why the collector refused the last ones
//! ├─ .audit  .audit.1            0640 who purged, who read private records
//! ├─ .forwarder                  0600 the lock of the one daemon
//! └─ private/                    0700 records of privileged processes
//!    └─ <32 hex digits>.rec      0600
//!
//! one file, little-endian
//!          0     1     2     3     4     5     6     7
//!       ┌─────┬─────┬─────┬─────┬─────┬─────┬─────┬─────┐
//!  0x00 │ 89    'E'   'P'   'I'   0d    0a    1a    0a   │ magic (as PNG's)
//!       ├───────────┬───────────┬───────────────────────┤
//!  0x08 │ version 1 │ header 64 │ flags                 │ 1 full, 2 private
//!       ├───────────┴───────────┴───────────────────────┤
//!  0x10 │ id                                            │ equal to the name
//!  0x18 │                                               │
//!       ├───────────────────────┬───────────────────────┤
//!  0x20 │ payload length        │ CRC32C of the payload │
//!       ├───────────────────────┴───────────────────────┤
//!  0x28 │ group                                         │ whose crash it is
//!       ├───────────────────────────────────────────────┤
//!  0x30 │ reserved, 0                                   │
//!       ├───────────────────────┬───────────────────────┤
//!  0x38 │ reserved, 0           │ CRC32C of 0x00 … 0x3b │
//!       ├───────────────────────┴───────────────────────┤
//!  0x40 │ payload: one record (opaque bytes here)       │
//!       └───────────────────────────────────────────────┘
//! ```
//!
//! docs/spool-format.md explains each field and each step of a write.
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

mod audit;
mod claim;
mod error;
mod escape;
mod evicted;
mod fair;
mod header;
mod layout;
mod ledger;
mod name;
mod oldest;
mod pending;
mod reader;
mod refusals;
mod storm;
mod sweep;
mod tally;
mod vacuum;
mod writer;

pub use audit::AuditLine;
pub use claim::{Claim, ClaimError};
pub use error::{SpoolError, Step};
pub use header::{Damage, HEADER, Header, Stamp};
pub use layout::{PRIVATE, Spool, initialise};
pub use name::{Kind, RecordId, State};
pub use pending::{Counts, Item, Pending, Totals};
pub use reader::{Entry, Listing, NotOne, Reader, RecordStatus, Refusal, read_file};
pub use vacuum::{Quota, Retention, Vacuumed};
