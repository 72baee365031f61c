//! What can stop a write, sorted by what its caller does about it.
//!
//! A full or read-only filesystem is worth one line in the kernel log and is
//! somebody's to fix; every error names the step that failed, so that this
//! one line is enough.

use nix::errno::Errno;

/// The step of a write that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Opening or inspecting the directory.
    Directory,
    /// Creating the unnamed or temporary file.
    Create,
    /// Writing the bytes.
    Write,
    /// fsync of the file.
    Sync,
    /// Giving the file its name.
    Link,
    /// Renaming it over the minimal record.
    Rename,
    /// fsync of the directory.
    SyncDirectory,
    /// Listing the directory.
    List,
    /// Removing a record.
    Remove,
    /// Locking a file.
    Lock,
    /// Reading one of the spool's own files.
    Read,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Step::Directory => "open directory",
            Step::Create => "create file",
            Step::Write => "write",
            Step::Sync => "fsync",
            Step::Link => "link",
            Step::Rename => "rename",
            Step::SyncDirectory => "fsync directory",
            Step::List => "list directory",
            Step::Remove => "remove",
            Step::Lock => "lock",
            Step::Read => "read",
        })
    }
}

/// Why the spool did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpoolError {
    /// ENOSPC or EDQUOT, after the oldest records gave way in vain.
    Full(Step, Errno),
    /// EROFS.
    ReadOnly(Step),
    /// A record of that id is there already.
    Exists,
    /// The payload is larger than [`crate::limits::SPOOL_PAYLOAD`].
    TooLarge(usize),
    /// The directory cannot be trusted with records; the reason.
    Unsafe(&'static str),
    /// Anything else.
    Io(Step, Errno),
}

impl SpoolError {
    /// Sorts an errno.
    pub(super) fn at(step: Step) -> impl FnOnce(Errno) -> SpoolError {
        move |errno| match errno {
            Errno::ENOSPC | Errno::EDQUOT => SpoolError::Full(step, errno),
            Errno::EROFS => SpoolError::ReadOnly(step),
            errno => SpoolError::Io(step, errno),
        }
    }

    /// True when freeing space may help.
    pub fn is_full(&self) -> bool {
        matches!(self, SpoolError::Full(..))
    }
}

impl std::fmt::Display for SpoolError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SpoolError::Full(step, errno) => write!(f, "spool is full ({step}: {errno})"),
            SpoolError::ReadOnly(step) => write!(f, "spool is on a read-only filesystem ({step})"),
            SpoolError::Exists => f.write_str("a record of this id exists"),
            SpoolError::TooLarge(size) => {
                write!(f, "{size} bytes are more than a spool file holds ({})", crate::limits::SPOOL_PAYLOAD)
            }
            SpoolError::Unsafe(why) => write!(f, "spool directory refused: {why}"),
            SpoolError::Io(step, errno) => write!(f, "spool: {step}: {errno}"),
        }
    }
}

impl std::error::Error for SpoolError {}
