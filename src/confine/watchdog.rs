//! The deadline: first it interrupts, so that a partial record is written;
//! a second later it ends the process. Nothing helps against an
//! uninterruptible wait in the kernel (a dead NFS server): such a handler
//! holds its task until the wait ends.

use nix::errno::Errno;

use crate::{limits, syscall};

/// While the crashed task is held.
pub fn held_deadline() -> Result<(), Errno> {
    syscall::set_deadline(limits::HELD_SECONDS, limits::GRACE_SECONDS)
}

/// For the analysis after the release.
pub fn analysis_deadline() -> Result<(), Errno> {
    syscall::set_deadline(limits::ANALYSIS_SECONDS, limits::GRACE_SECONDS)
}

/// For a census.
pub(super) fn census_deadline() -> Result<(), Errno> {
    syscall::set_deadline(limits::CENSUS_SECONDS, limits::GRACE_SECONDS)
}
