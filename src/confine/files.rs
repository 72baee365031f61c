//! Which files are left after the release: the spool to write, /proc and /sys to
//! read, and nothing else by any path (landlock(7)). Descriptors that are open stay.
//!
//! As far as the kernel can (the ABI that it speaks): TCP, signals and abstract
//! sockets to the outside are closed where it knows how.

use std::os::fd::BorrowedFd;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, LandlockStatus, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

/// The newest ABI that is known here; older kernels do what they can.
const NEWEST: ABI = ABI::V6;
/// What names the machine.
const MACHINE_ID: &str = "/etc/machine-id";

/// Returns what could not be had.
pub(super) fn restrict(written: &[BorrowedFd<'_>], read: &[BorrowedFd<'_>]) -> Option<String> {
    match enforce(written, read) {
        Ok((RulesetStatus::FullyEnforced, _)) => None,
        Ok((_, LandlockStatus::Available { effective_abi, .. })) => {
            Some(format!("Landlock: in part ({effective_abi:?})"))
        }
        Ok((_, LandlockStatus::NotEnabled)) => Some("Landlock: not enabled".to_owned()),
        Ok(_) => Some("Landlock: this kernel has none".to_owned()),
        Err(error) => Some(format!("Landlock: {error}")),
    }
}

fn enforce(
    written: &[BorrowedFd<'_>],
    read: &[BorrowedFd<'_>],
) -> Result<(RulesetStatus, LandlockStatus), RulesetError> {
    let spool = AccessFs::ReadFile
        | AccessFs::ReadDir
        | AccessFs::WriteFile
        | AccessFs::MakeReg
        | AccessFs::RemoveFile
        | AccessFs::Truncate;
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    for directory in written {
        rules = rules.add_rule(PathBeneath::new(directory, spool))?;
    }
    for directory in read {
        rules = rules.add_rule(PathBeneath::new(directory, AccessFs::ReadFile | AccessFs::ReadDir))?;
    }
    if let Ok(file) = PathFd::new(MACHINE_ID) {
        rules = rules.add_rule(PathBeneath::new(file, AccessFs::ReadFile))?;
    }
    let status = rules.restrict_self()?;
    Ok((status.ruleset, status.landlock))
}
