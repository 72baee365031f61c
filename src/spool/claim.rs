//! One daemon for one spool: a lock on `.forwarder`.
//!
//! What it gives: [`Claim`], which holds the spool until it is dropped or its
//! process ends, however it ends. What it trusts: that only the spool's owner
//! can open the file (0600), so that nobody else can hold the lock. It does not
//! keep out the handler, which needs no lock, nor readers.

use std::fs::File;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::unistd::ftruncate;

use super::reader::read_own;
use super::writer::write_all;
use super::{Spool, SpoolError, Step};

pub(super) const FILE: &str = ".forwarder";
/// More than any process id and a newline.
const TEXT: usize = 32;

/// The spool is this process's to forward, while this lives. The descriptor is
/// closed on exec, so no child keeps the lock.
#[derive(Debug)]
pub struct Claim(#[expect(dead_code, reason = "held for its lock")] Flock<File>);

/// Why a spool cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimError {
    /// Another process forwards it; its id, when it can be read.
    Held(Option<u32>),
    /// The lock file cannot be opened or locked.
    Spool(SpoolError),
}

impl std::fmt::Display for ClaimError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ClaimError::Held(Some(pid)) => {
                write!(
                    f,
                    "process {pid} forwards this spool already; stop it, or give this one another spool"
                )
            }
            ClaimError::Held(None) => f.write_str(
                "another process forwards this spool already; `fuser .forwarder` in it says which",
            ),
            ClaimError::Spool(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ClaimError {}

impl Spool {
    /// Takes the spool for forwarding; at once, or not.
    pub fn claim(&self) -> Result<Claim, ClaimError> {
        let failed = |errno| ClaimError::Spool(SpoolError::at(Step::Lock)(errno));
        let file = self.own_file(FILE, OFlag::O_RDWR | OFlag::O_CREAT, 0o600).map_err(failed)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => {
                // For people only: the lock is what counts.
                if ftruncate(&*lock, 0).is_ok() {
                    let _ = write_all(lock.as_fd(), format!("{}\n", std::process::id()).as_bytes());
                }
                Ok(Claim(lock))
            }
            Err((_, Errno::EWOULDBLOCK)) => Err(ClaimError::Held(self.holder())),
            Err((_, errno)) => Err(failed(errno)),
        }
    }

    fn holder(&self) -> Option<u32> {
        let text = read_own(self.public.dir.as_fd(), FILE, TEXT).ok()?;
        std::str::from_utf8(&text).ok()?.trim().parse().ok()
    }
}
