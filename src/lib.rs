//! epicore: what a crash leaves behind, kept; what many crashes mean, counted.
//!
//! The rooms below stand in the order in which a crash passes through them.
//! A newcomer reads [`capture`] first: it is the whole way from the kernel to
//! the record on one screen, and the only file that names all the stages.
//! Who may import whom is one table, in ARCHITECTURE.md, held by
//! `tests/layering.rs`.
//!
//! The library needs from you: a Linux kernel that runs `epicore-handler` as
//! its `core_pattern` pipe (or a core file to replay). It gives you: one
//! compact record for each crash, with what could not be learned named as a
//! gap. It is not for: keeping core files; nothing here ever writes one.

// The ground: everything stands on these seven, and they stand on nothing.
pub mod address;
pub mod bytes;
pub mod config;
pub mod gap;
pub mod limits;
/// Whose a file is, and what its mode lets somebody do.
#[cfg(any(feature = "cli", feature = "collector"))]
pub mod owner;
pub mod syscall;

// The stages of a crash, in order.
/// Kernel to record on one screen.
pub mod capture;
/// The denominators: what runs here, for how long.
pub mod census;
/// Privileges shrink: a little before the first byte, wholly after the release.
pub mod confine;
/// Its core streams past: headers, notes, segments, and nothing is stored.
pub mod elfcore;
/// Why it died, and whether it could have been the machine.
pub mod fault;
/// The machine under it is asked how it feels.
pub mod hardware;
/// The kernel hands over: arguments, standard input, a pidfd.
pub mod invocation;
/// A few bytes of its memory are chosen, and copied.
pub mod memory;
/// The objects it had loaded are told apart, by build-id.
pub mod module;
/// The dying process says who it is, through one directory descriptor.
pub mod process;
/// All of it becomes one record: the contract with every reader, a leaf.
pub mod record;
/// The record survives power loss.
pub mod spool;
/// Storms of crashes: who leaves a record, who is only counted, who was lost.
pub mod storm;
/// Who called whom, for every thread, and how each step is known.
pub mod unwind;

// Between host and collector.
/// Host → collector: batch, retry, transport.
#[cfg(feature = "forward")]
pub mod forward;
/// What both say to each other: a leaf.
#[cfg(feature = "forward")]
pub mod wire;

/// epicored on one screen.
#[cfg(feature = "daemon")]
pub mod daemon;
/// Fleets that never were, with the truth beside them.
#[cfg(feature = "forward")]
pub mod simulate;

// At the fleet's end.
/// The fleet's end: hosts hand in, people ask.
#[cfg(feature = "collector")]
pub mod collector;
/// Every record of the fleet, once, and what can be counted of it.
#[cfg(feature = "collector")]
pub mod store;

// For people. Never linked into the handler.
/// What an SRE types.
#[cfg(feature = "cli")]
pub mod cli;
/// How sure one may be: pure statistics.
#[cfg(feature = "forward")]
pub mod epidemiology;
/// A record becomes text: values in, text out.
#[cfg(feature = "cli")]
pub mod report;
/// Records become a population, a population findings.
#[cfg(feature = "forward")]
pub mod study;
