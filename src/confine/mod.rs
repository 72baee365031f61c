//! Privileges shrink in two steps, and the order of everything else follows.
//!
//! ```text
//! root, all capabilities      open spool, kmsg, config, /proc and /sys
//!   ── before_first_byte ──   limits, deadline, oom score; the uid of the
//!                             spool's owner; three capabilities; bounding set
//!                             empty; no_new_privs; not dumpable; seccomp
//! three capabilities          the head, live memory, /proc, module files
//!   ── release (stdin closed, the task is reaped)
//!   ── after_release ──       no capability at all; Landlock; fewer system calls
//! nothing                     unwind, encode, write through the spool's fd
//! ```
//!
//! uid 0 never sees a byte of the crash. What could not be done on an older
//! kernel is returned in words and becomes a field of the record.
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

mod files;
mod filter;
mod limits;
mod privileges;
mod watchdog;

use std::os::fd::BorrowedFd;

use nix::errno::Errno;

pub use limits::{Cgroup, let_others_go_first};
pub use watchdog::{analysis_deadline, held_deadline};

/// What the confined handler may need, and whose name it takes.
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    /// Owner of the spool: the user and group to become.
    pub owner: (u32, u32),
    /// CAP_KILL, for release.sparse = "kill".
    pub kill: bool,
}

/// The first step. Returns what could not be confined.
pub fn before_first_byte(needs: Needs) -> Vec<String> {
    let keep = |known| privileges::keep_few(needs.kill, known);
    first_step(needs.owner, held_deadline, keep, needs.kill)
}

/// A census: the spool's owner instead of root, with the two capabilities that
/// look into other users' processes and files, and no way to a third. Returns
/// what could not be confined.
pub fn for_census(owner: (u32, u32)) -> Vec<String> {
    first_step(owner, watchdog::census_deadline, |_| privileges::keep_two(), false)
}

/// `keep` is told how many capabilities the kernel knows; `kill`: signals may be sent.
fn first_step(
    owner: (u32, u32),
    deadline: impl FnOnce() -> Result<(), Errno>,
    keep: impl FnOnce(u64) -> Result<(), Errno>,
    kill: bool,
) -> Vec<String> {
    let mut open = Vec::new();
    let mut note = |what: &str, result: Result<(), Errno>| {
        if let Err(error) = result {
            open.push(format!("{what}: {}", error.desc()));
        }
    };
    note("limits", limits::lower());
    note("oom score", limits::offer_to_oom_killer());
    note("deadline", deadline());
    // An ordinary user (a replay, a test) has nothing to give away.
    if nix::unistd::geteuid().is_root() {
        let known = privileges::empty_bounding_set();
        note("bounding set", known.map(drop));
        note("uid", privileges::become_user(owner));
        note("capabilities", keep(known.unwrap_or(u64::MAX)));
        if owner.0 == 0 {
            note("uid stays 0: the spool belongs to root", Err(Errno::EPERM));
        }
    }
    note("no_new_privs", nix::sys::prctl::set_no_new_privs());
    note("dumpable", nix::sys::prctl::set_dumpable(false));
    note("seccomp", filter::before_release(kill));
    open
}

/// The second step, once the task is released: no capability, no file but below
/// these directories, and fewer system calls. `written` is the spool.
pub fn after_release(written: &[BorrowedFd<'_>], read: &[BorrowedFd<'_>]) -> Vec<String> {
    let mut open = Vec::new();
    if let Err(error) = privileges::drop_all() {
        open.push(format!("capabilities after release: {}", error.desc()));
    }
    open.extend(files::restrict(written, read));
    if let Err(error) = filter::after_release() {
        open.push(format!("seccomp after release: {}", error.desc()));
    }
    open
}
