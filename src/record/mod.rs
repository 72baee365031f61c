//! The record: the contract between the host that saw a crash and everybody
//! who reads about it later. A leaf: it imports no stage, so that a collector
//! never links an unwinder.
//!
//! ```text
//! record = MessagePack map, short stable keys, every field optional
//!   v     schema version            id    UUIDv7, 16 bytes
//!   at bt CLOCK_REALTIME/BOOTTIME   host  which machine, which kernel
//!   crash signal, address, who      proc  facts of the process
//!   th    threads, columnar         regs  general registers
//!   mod   modules by build-id       st    distinct stacks, with counts
//!   keys  L0 L1 L2                  flt   why: cause, evidence
//!   hw    the machine under it      cap   how it was captured
//!   gaps  what could not be learned
//! ```
//!
//! Every key, its unit and its source: docs/record-format.md. A reader skips
//! keys it does not know; a writer never gives a key a second meaning.

mod budget;
pub mod coverage;
mod decode;
mod encode;
mod exposure;
mod exposure_budget;
mod fault;
mod id;
mod keys;
mod schema;
mod slim;
mod slim_exposure;
mod strip;
mod text;
mod texts;
pub mod workload;

pub use budget::fit;
pub use decode::{DecodeError, decode, decode_exposure, decode_part};
pub use encode::{EncodeError, encode, encode_exposure};
pub use exposure::*;
pub use exposure_budget::fit_exposure;
pub use fault::{CodePage, Fault, Residue, Window};
pub use id::new_id;
pub use keys::{FrameKey, group, location_keys, module_stem, symptom_key};
pub use schema::*;
pub use slim::slim;
pub use slim_exposure::slim_exposure;
pub use strip::{Stripped, strip};
pub use text::{app_specific, text};
