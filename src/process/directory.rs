//! A directory of /proc held by a descriptor, and bounded reads through it.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, readlinkat};
use nix::sys::stat::Mode;

use crate::limits;
use crate::syscall::deadline_passed;

/// Reads a file to its end, at most `most` bytes.
pub fn read_bounded(mut file: &File, most: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut chunk = [0u8; 4096];
    while bytes.len() < most {
        match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(chunk.get(..count).unwrap_or(&[])),
            Err(error) if error.kind() == ErrorKind::Interrupted && !deadline_passed() => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(most);
    Ok(bytes)
}

/// A directory descriptor.
pub struct Directory(OwnedFd);

impl Directory {
    /// Opens a directory.
    pub fn open(path: &Path) -> Result<Directory, Errno> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        nix::fcntl::open(path, flags, Mode::empty()).map(Directory)
    }

    /// Opens a directory inside this one.
    pub fn directory(&self, name: &str) -> Result<Directory, Errno> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        openat(&self.0, name, flags, Mode::empty()).map(Directory)
    }

    /// Opens a file of /proc inside this directory.
    pub fn file(&self, name: &str) -> Result<File, Errno> {
        openat(&self.0, name, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).map(File::from)
    }

    /// The text of a file inside this directory.
    pub fn text(&self, name: &str) -> Option<Vec<u8>> {
        read_bounded(&self.file(name).ok()?, limits::PROC_TEXT).ok()
    }

    /// The target of a link inside this directory.
    pub fn link(&self, name: &str) -> Option<Vec<u8>> {
        use std::os::unix::ffi::OsStringExt;
        readlinkat(&self.0, name).ok().map(|target| target.into_vec())
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
