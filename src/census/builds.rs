//! Build-ids of running executables, each file read once.

use std::collections::HashMap;

use nix::errno::Errno;

use crate::limits;
use crate::module;
use crate::process::{Exe, Living};

/// Build-ids by device and inode.
#[derive(Default)]
pub(super) struct Builds {
    known: HashMap<(u64, u64), Option<Vec<u8>>>,
    /// Executables on a file system that asks somebody else: not read.
    pub(super) remote: u64,
    /// Executables beyond the limit.
    pub(super) left_out: u64,
}

impl Builds {
    /// The build-id of what a process runs; `None` when it has none, or could
    /// not be read.
    pub(super) fn of(&mut self, process: &Living<'_>, exe: &Exe) -> Option<Vec<u8>> {
        let Some(identity) = exe.identity() else {
            self.remote = self.remote.saturating_add(1);
            return None;
        };
        if let Some(known) = self.known.get(&identity) {
            return known.clone();
        }
        if self.known.len() >= limits::CENSUS_BUILDS {
            self.left_out = self.left_out.saturating_add(1);
            return None;
        }
        let found = match process.executable(exe) {
            Ok(file) => module::build_id_of(file),
            // It ended, or runs something else by now: the next may tell.
            Err(Errno::ENOENT | Errno::ESRCH | Errno::ESTALE) => return None,
            Err(Errno::EREMOTE) => {
                self.remote = self.remote.saturating_add(1);
                None
            }
            Err(_) => None,
        };
        self.known.insert(identity, found.clone());
        found
    }
}
