//! The fleet's end: hosts hand in what crashed, people ask what it means.
//!
//! What it gives: [`run`], the program epicore-collector, and [`Server`], the
//! same without a process around it. What it trusts: its settings, its secrets
//! and its store. Nothing that comes over the network: every read has a limit
//! in bytes and one in time, memory is admitted before it is used, and no
//! length that was sent is allocated.
//!
//! ```text
//!  accept ──► TLS ──► HTTP/1.1 ──► who is it? ──► may it? ──► route
//!  (connections)      (header)     token, or      role        │
//!                                  certificate                │
//!       POST /v1/batches ◄────────────────────────────────────┤
//!       rate ─► body ─► zstd ─► MessagePack ─► Store::ingest  │
//!               (bytes in flight) (unpacked)   (fsync) ─► 200 │
//!                                                 │           │
//!                                              tide ──► GET /v1/…  (waiters)
//! ```
//!
//! The contract is docs/wire-protocol.md; docs/openapi.json is the same for
//! machines, and tests hold a running server against both. The operator's page
//! is docs/collector.md.
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

mod accept;
mod answer;
mod arguments;
mod auth;
mod body;
mod crowd;
mod database;
mod desk;
mod files;
#[doc(hidden)]
pub mod fuzzing;
mod health;
mod ingest;
mod log;
mod metrics;
mod order;
mod parameters;
mod population;
mod rate;
mod reading;
mod removal;
mod routes;
mod server;
mod settings;
mod stall;
mod tail;
mod tls;
mod token;
mod unpack;
mod verdicts;

pub use arguments::{command, run};
pub use server::{Server, Stop};
pub use settings::Settings;
pub use token::{Role, Secrets};

/// Why the collector does not start, or does not take new settings: what
/// happened and what to do next, in words.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    fn new(words: impl Into<String>) -> Failure {
        Failure(words.into())
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}
