//! The core as it streams past: a sans-I/O state machine.
//!
//! ```text
//! ELF header    64 bytes: class, machine, where the program headers are
//! phdrs         56 bytes each: PT_NOTE, and one PT_LOAD for each mapping
//! notes         12 bytes, name, descriptor, each padded to 4:
//!                 CORE  1 PRSTATUS   registers of one thread (crashing first)
//!                 CORE  3 PRPSINFO   comm, uid
//!                 CORE  6 AUXV       vdso, program headers, stack base
//!                 CORE  SIGI SIGINFO the signal
//!                 CORE  FILE FILE    which file behind which addresses
//!                 everything else    skipped, never buffered
//! segments      p_filesz bytes each, in the order of the headers
//! ```
//!
//! It needs from you: the bytes it asks for, in order. It gives you: [`Head`],
//! with gaps for what was damaged. It is not for: segments, which belong to
//! `memory`. Never panics; uses a small constant factor of the input, and no
//! more than `limits` allow. Matches core(5) and `eu-readelf -n`.
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

mod auxv;
mod file_map;
mod head;
mod header;
mod note;
mod prpsinfo;
mod prstatus;
mod registers;
mod segment;
mod siginfo;

pub use auxv::Auxv;
pub use file_map::FileMapping;
pub use head::{Head, Parser, Want};
pub use prpsinfo::Prpsinfo;
pub use prstatus::Thread;
pub use registers::{Machine, Registers};
pub use segment::Segment;
pub use siginfo::{Origin, SI_KERNEL, SI_TKILL, Siginfo, signal};
