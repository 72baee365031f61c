//! A process that lives, held by its /proc directory: what a census asks.
//!
//! Gives: few answers, each one system call or two, because a thousand
//! processes are asked. Trusts: nothing; the process may end between two
//! questions, and then every further one fails, because the directory is that
//! process's and never a later one's of the same number. Limit: a dead file
//! server can hold a stat of its executables for as long as the deadline lets
//! it; then there is no census, and the next one stands for its time too.

use std::fs::File;

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, readlinkat};
use nix::sys::stat::{FileStat, fstatat};

use crate::syscall::stat_unasked;

use super::cgroup::{self, Cgroup};
use super::directory::Directory;
use super::facts::{self, Facts};
use super::{files, stat, status};

/// Of a kernel thread (include/linux/sched.h).
const PF_KTHREAD: u32 = 0x0020_0000;

/// A living process.
pub struct Living<'a> {
    proc_root: &'a Directory,
    directory: Directory,
}

/// What it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exe {
    /// The link as it stands, " (deleted)" included.
    pub link: Vec<u8>,
    /// What fstat(2) says of it; `None` where the file system does not tell us (a FUSE
    /// of somebody else's).
    pub stat: Option<FileStat>,
}

impl Exe {
    /// Device and inode.
    pub fn identity(&self) -> Option<(u64, u64)> {
        self.stat.as_ref().map(|stat| (stat.st_dev, stat.st_ino))
    }
}

impl<'a> Living<'a> {
    /// Opens /proc/PID.
    pub fn open(proc_root: &'a Directory, pid: u32) -> Result<Living<'a>, Errno> {
        Ok(Living { proc_root, directory: proc_root.directory(&pid.to_string())? })
    }

    /// What it runs. A kernel thread has nothing (ENOENT), and so has a zombie.
    pub fn exe(&self) -> Result<Exe, Errno> {
        use std::os::unix::ffi::OsStringExt;
        let link = readlinkat(&self.directory, "exe")?.into_vec();
        let stat = match files::identity(&self.directory) {
            Ok(stat) => Some(stat),
            Err(gone @ (Errno::ENOENT | Errno::ESRCH)) => return Err(gone),
            Err(_) => None,
        };
        Ok(Exe { link, stat })
    }

    /// Whose it is: the owner of its directory (the effective user; root's, where it is
    /// not dumpable).
    pub fn user(&self) -> Option<u32> {
        stat_unasked(self.directory.as_fd()).ok().map(|(stat, _)| stat.st_uid)
    }

    /// True for a thread of the kernel's own.
    pub fn is_kernel_thread(&self) -> bool {
        let flags = self.directory.text("stat").and_then(|text| stat::parse(&text).flags);
        flags.is_some_and(|flags| flags & PF_KTHREAD != 0)
    }

    /// Its executable, readable: a regular file that is still what [`exe`] said,
    /// on a file system that answers by itself.
    ///
    /// [`exe`]: Living::exe
    pub fn executable(&self, exe: &Exe) -> Result<File, Errno> {
        files::executable(&self.directory, exe.identity().ok_or(Errno::EREMOTE)?)
    }

    /// Where it belongs.
    pub fn cgroup(&self) -> Option<Cgroup> {
        self.directory.text("cgroup").map(|text| cgroup::parse(&text))
    }

    /// Threads. The kernel adds their number to the links of the directory
    /// `task` (proc_task_getattr), which costs a tenth of reading stat.
    // 64 bits wide on x86_64, 32 on aarch64.
    #[allow(clippy::useless_conversion)]
    pub fn threads(&self) -> Option<u32> {
        let links = fstatat(&self.directory, "task", AtFlags::empty()).ok()?.st_nlink;
        u32::try_from(links).ok()?.checked_sub(2)
    }

    /// All that a crash's record would hold of it.
    pub fn facts(&self) -> Option<Facts> {
        let status = status::parse(&self.directory.text("status")?);
        let stat = stat::parse(&self.directory.text("stat")?);
        Some(facts::gather(&self.directory, self.proc_root, &status, stat))
    }
}
