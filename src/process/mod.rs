//! The dying process says who it is, while the kernel still holds it.
//!
//! ```text
//! Dying   /proc/%I as one directory descriptor: the crashing thread, which
//!         resolves although it is not listed; Tgid must be %P
//! facts   status, stat, cgroup, limits, exe, namespaces → Facts
//! maps    /proc/TID/maps → Mapping (only when the core has no NT_FILE)
//! mem     its memory, by process_vm_readv(2) or /proc/TID/mem
//! resident  /proc/TID/pagemap: which pages are there
//! mounts  /proc/TID/mountinfo: which files may never answer
//! files   the file behind a mapping, opened without running anybody's driver
//! living  /proc/PID of a process that lives: what a census asks
//! life    whether process PID lives
//! ```
//!
//! It needs from you: CAP_SYS_PTRACE, and CAP_DAC_READ_SEARCH for files. It
//! trusts nothing it reads: names may hold spaces, parentheses, newlines and
//! invalid UTF-8, and a pid may have been reused (CVE-2025-4598): what was
//! read counts only when [`Dying::still`] says so afterwards.
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

mod cgroup;
mod directory;
mod dying;
mod facts;
mod files;
mod life;
mod living;
mod mapping;
mod maps;
mod mem;
mod mounts;
mod resident;
mod stat;
mod status;

pub use cgroup::Cgroup;
pub use directory::{Directory, read_bounded};
pub use dying::{Dying, Identity};
pub use facts::Facts;
pub use files::{learn_memory_device, of_task as executable, open_by_path};
pub use life::{Life, life};
pub use living::{Exe, Living};
pub use mapping::Mapping;
pub use mem::Memory;
pub use mounts::Mounts;
pub use resident::absent;
pub use status::Status;
