//! Standard input is the crashed task's last breath: it is held as long as
//! one descriptor of the pipe is open anywhere.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, fstat};

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

/// True when a descriptor of this process still refers to the file that
/// `device` and `inode` name: a forgotten duplicate would hold the task.
pub fn is_pipe_open(identity: (u64, u64)) -> bool {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return false };
    entries.flatten().any(|entry| {
        let held = open(&entry.path(), OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty());
        held.and_then(|fd| fstat(&fd)).is_ok_and(|stat| {
            let fifo = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFIFO;
            fifo && (stat.st_dev, stat.st_ino) == identity
        })
    })
}
