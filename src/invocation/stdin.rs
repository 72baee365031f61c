//! Standard input is the crashed task's last breath: it is held as long as
//! one descriptor of the pipe is open anywhere.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, fstat};

/// Moves standard input away from descriptor 0 and puts /dev/null there, so
/// that dropping the result is the release and nothing else holds the pipe.
///
/// Descriptors 1 and 2, which the kernel leaves closed, have been opened on
/// /dev/null by the runtime before main.
pub fn take_stdin() -> io::Result<File> {
    let stream: OwnedFd = io::stdin().as_fd().try_clone_to_owned()?;
    let null = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
    nix::unistd::dup2_stdin(&null)?;
    Ok(File::from(stream))
}

/// Whether standard input is a pipe, as the kernel makes one. A person's seldom is.
pub fn is_piped() -> bool {
    fstat(io::stdin()).is_ok_and(|stat| stat.st_mode & nix::libc::S_IFMT == nix::libc::S_IFIFO)
}

/// The pipe's inode, to recognise it by.
pub fn pipe_inode(stream: &File) -> Option<u64> {
    fstat(stream).ok().map(|stat| stat.st_ino)
}

/// True when a descriptor of this process still refers to the pipe: a
/// forgotten duplicate would hold the task until the handler ends.
pub fn still_holds(inode: u64) -> bool {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return false };
    let pipe = format!("pipe:[{inode}]");
    entries
        .flatten()
        .any(|entry| std::fs::read_link(entry.path()).is_ok_and(|target| target.as_os_str() == pipe.as_str()))
}
