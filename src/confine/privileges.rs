//! User, groups and capabilities: capabilities(7), credentials(7).

use std::collections::HashSet;

use caps::{CapSet, Capability};
use nix::errno::Errno;
use nix::sys::prctl::set_keepcaps;
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};

use crate::syscall::drop_bounding;

/// Capabilities end somewhere below this on every kernel (a 64-bit set).
const MOST_CAPABILITIES: u64 = 64;

/// Nothing that is executed could ever gain a capability again. Returns how
/// many capabilities this kernel knows.
pub(super) fn empty_bounding_set() -> Result<u64, Errno> {
    for capability in 0..MOST_CAPABILITIES {
        match drop_bounding(capability) {
            Err(Errno::EINVAL) => return Ok(capability),
            result => result?,
        }
    }
    Ok(MOST_CAPABILITIES)
}

/// The spool's owner instead of root, keeping the permitted set for now.
pub(super) fn become_user((uid, gid): (u32, u32)) -> Result<(), Errno> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    setgroups(&[])?;
    setresgid(gid, gid, gid)?;
    set_keepcaps(true)?;
    setresuid(uid, uid, uid)?;
    set_keepcaps(false)
}

/// CAP_CHECKPOINT_RESTORE came with Linux 5.9.
const CHECKPOINT_RESTORE: u64 = 40;

/// CAP_SYS_PTRACE for memory, CAP_DAC_READ_SEARCH for files,
/// CAP_CHECKPOINT_RESTORE for map_files (CAP_SYS_ADMIN on a kernel that knows
/// no such capability), and CAP_KILL only when it will be used.
pub(super) fn keep_few(kill: bool, known: u64) -> Result<(), Errno> {
    let map_files = if known > CHECKPOINT_RESTORE {
        Capability::CAP_CHECKPOINT_RESTORE
    } else {
        Capability::CAP_SYS_ADMIN
    };
    let mut few = HashSet::from([Capability::CAP_SYS_PTRACE, Capability::CAP_DAC_READ_SEARCH, map_files]);
    if kill {
        few.insert(Capability::CAP_KILL);
    }
    keep(&few)
}

/// What a census looks with: CAP_SYS_PTRACE for the links of /proc,
/// CAP_DAC_READ_SEARCH for files.
pub(super) fn keep_two() -> Result<(), Errno> {
    keep(&HashSet::from([Capability::CAP_SYS_PTRACE, Capability::CAP_DAC_READ_SEARCH]))
}

fn keep(few: &HashSet<Capability>) -> Result<(), Errno> {
    // All at once is one capset(2) too few: the effective set must be inside
    // the permitted one at every moment.
    set(CapSet::Effective, few)?;
    set(CapSet::Permitted, few)?;
    set(CapSet::Inheritable, &HashSet::new())
}

/// Not one capability left.
pub(super) fn drop_all() -> Result<(), Errno> {
    [CapSet::Effective, CapSet::Permitted].into_iter().try_for_each(|kind| set(kind, &HashSet::new()))
}

fn set(kind: CapSet, capabilities: &HashSet<Capability>) -> Result<(), Errno> {
    caps::set(None, kind, capabilities).map_err(|_| Errno::last())
}
