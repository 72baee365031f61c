//! /proc and /sys as two descriptors.
//!
//! Opened while paths can still be opened, used afterwards. Files are opened
//! without blocking and read up to a named limit: a tree that a test, or a
//! container's lxcfs, put there may hold anything.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;
use nix::unistd::read;

use super::value;
use crate::limits;

const FILE: OFlag = OFlag::O_RDONLY.union(OFlag::O_NONBLOCK).union(OFlag::O_NOCTTY).union(OFlag::O_CLOEXEC);

/// The two trees.
#[derive(Debug)]
pub struct Roots {
    proc: OwnedFd,
    sys: OwnedFd,
}

impl Roots {
    /// Opens both trees, usually /proc and /sys.
    pub fn open(proc: &Path, sys: &Path) -> Result<Roots, Errno> {
        let directory =
            |path| open(path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty());
        Ok(Roots { proc: directory(proc)?, sys: directory(sys)? })
    }

    /// The descriptors, for whoever allows the trees in a sandbox: reading
    /// files and listing directories.
    pub fn directories(&self) -> [BorrowedFd<'_>; 2] {
        [self.proc.as_fd(), self.sys.as_fd()]
    }

    pub(super) fn proc_file(&self, path: &str) -> Result<OwnedFd, Errno> {
        openat(&self.proc, path, FILE, Mode::empty())
    }

    pub(super) fn proc_text(&self, path: &str) -> Result<Vec<u8>, Errno> {
        text(self.proc_file(path)?.as_fd(), limits::PROC_TEXT)
    }

    pub(super) fn sys_text(&self, path: &str) -> Result<Vec<u8>, Errno> {
        text(openat(&self.sys, path, FILE, Mode::empty())?.as_fd(), limits::SYSFS_TEXT)
    }

    /// A file of sysfs that holds one number.
    pub(super) fn sys_number(&self, path: &str) -> Option<u64> {
        value::decimal(&self.sys_text(path).ok()?)
    }

    /// The numbers N of the names `prefixN` in a directory of sysfs, in order.
    pub(super) fn sys_numbered(&self, path: &str, prefix: &str) -> Vec<u32> {
        let Ok(mut dir) = Dir::openat(&self.sys, path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
        else {
            return Vec::new();
        };
        let mut numbers: Vec<u32> = dir
            .iter()
            .take(limits::CPUS)
            .map_while(Result::ok)
            .filter_map(|entry| value::number(entry.file_name().to_bytes().strip_prefix(prefix.as_bytes())?))
            .collect();
        numbers.sort_unstable();
        numbers
    }
}

/// At most `limit` bytes of a file.
pub(super) fn text(file: BorrowedFd<'_>, limit: usize) -> Result<Vec<u8>, Errno> {
    let mut text = Vec::new();
    let mut chunk = [0; 4096];
    while text.len() < limit {
        match read(file, &mut chunk) {
            Ok(0) => break,
            Ok(count) => text.extend_from_slice(chunk.get(..count).unwrap_or_default()),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    text.truncate(limit);
    Ok(text)
}
