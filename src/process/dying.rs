//! One crashing thread, held by its /proc directory and its pidfd.

use std::cell::OnceCell;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::major;

use super::directory::{Directory, read_bounded};
use super::facts::{self, Facts};
use super::files;
use super::mapping::Mapping;
use super::maps;
use super::mem::Memory;
use super::mounts::Mounts;
use super::stat::{self, Stat};
use super::status::{self, Status};
use crate::address::AddrRange;
use crate::limits;

/// How well it is known that what was read belongs to the crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The pidfd of the kernel names this pid and the task is not reaped.
    Pidfd,
    /// No pidfd (before Linux 6.16): start time unchanged, CoreDumping set,
    /// uid as the kernel said.
    StartTime,
    /// It is somebody else by now, or cannot be told.
    Lost,
}

/// The crashing thread.
pub struct Dying<'a> {
    proc_root: &'a Directory,
    directory: Directory,
    pid: u32,
    tid: u32,
    uid: Option<u32>,
    status: Status,
    stat: Stat,
    maps: OnceCell<Vec<Mapping>>,
    mounts: OnceCell<Mounts>,
    own_mounts: OnceCell<Mounts>,
}

impl<'a> Dying<'a> {
    /// Opens /proc/TID and checks that it is a thread of `pid`.
    pub fn open(proc_root: &'a Directory, pid: u32, tid: u32, uid: Option<u32>) -> Result<Dying<'a>, Errno> {
        let directory = proc_root.directory(&tid.to_string())?;
        let status = status::parse(&directory.text("status").ok_or(Errno::ESRCH)?);
        if status.tgid != Some(pid) {
            return Err(Errno::ESTALE);
        }
        let stat = directory.text("stat").map(|text| stat::parse(&text)).unwrap_or_default();
        let (maps, mounts, own_mounts) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Ok(Dying { proc_root, directory, pid, tid, uid, status, stat, maps, mounts, own_mounts })
    }

    /// Its memory. Fails under ptrace_scope 3 and without CAP_SYS_PTRACE.
    pub fn memory(&self) -> Result<Memory, Errno> {
        Memory::open(&self.directory, self.tid)
    }

    /// What it says of itself.
    pub fn facts(&self) -> Facts {
        facts::gather(&self.directory, self.proc_root, &self.status, self.stat)
    }

    /// The CPU that each of these threads (ids in our pid namespace) ran on
    /// last.
    pub fn thread_cpus(&self, tids: &[u32]) -> Vec<Option<u32>> {
        if tids.is_empty() {
            return Vec::new();
        }
        let Ok(tasks) = self.directory.directory("task") else { return vec![None; tids.len()] };
        let cpu = |tid: &u32| stat::parse(&tasks.text(&format!("{tid}/stat"))?).cpu;
        tids.iter().map(cpu).collect()
    }

    /// Its mappings, when the core does not tell; the flag says that the limit
    /// cut them.
    pub fn mappings(&self) -> Option<(Vec<Mapping>, bool)> {
        self.directory.file("maps").ok().map(maps::read)
    }

    /// What its files lie on.
    pub fn mounts(&self) -> &Mounts {
        self.mounts.get_or_init(|| mounts_of(self.directory.file("mountinfo").ok()))
    }

    /// Whether the file behind a mapping is there without asking somebody; `None` where
    /// that cannot be told (before Linux 5.8).
    pub fn is_local(&self, range: AddrRange) -> Option<bool> {
        files::is_local(&self.directory, range, &|mount, device| self.is_local_mount(mount, device))
    }

    /// One that neither its namespace nor ours lists was detached, or lies outside of its
    /// root, or is the kernel's own (memfd): then the device tells, a disk's, a listed
    /// one's, or that of the kernel's own tmpfs. Else nobody knows what it is.
    fn is_local_mount(&self, mount: u64, device: u64) -> bool {
        let ours = || self.own_mounts.get_or_init(|| mounts_of(self.proc_root.file("self/mountinfo").ok()));
        self.mounts().is_local(mount).or_else(|| ours().is_local(mount)).unwrap_or_else(|| {
            major(device) != 0
                || self.mounts().has_local_device(device)
                || ours().has_local_device(device)
                || files::memory_device() == Some(device)
        })
    }

    /// Which of its pages are there.
    pub fn pagemap(&self) -> Option<File> {
        self.directory.file("pagemap").ok()
    }

    /// The file behind a mapping: surely that one.
    pub fn open_mapped(&self, mapping: &Mapping) -> Option<File> {
        let local = |mount, device| self.is_local_mount(mount, device);
        files::mapped(&self.directory, mapping, &local).or_else(|| {
            let identity = mapping.identity.or_else(|| self.identity_at(mapping.range))?;
            files::rooted(&self.directory, mapping, identity, &local)
        })
    }

    /// Device and inode behind a mapping, which the core does not tell.
    fn identity_at(&self, range: AddrRange) -> Option<(u64, u64)> {
        let maps = self.maps.get_or_init(|| self.mappings().map(|(maps, _)| maps).unwrap_or_default());
        let index = maps.binary_search_by_key(&range.start, |mapping| mapping.range.start).ok()?;
        maps.get(index).filter(|mapping| mapping.range == range)?.identity
    }

    /// After the reads: is it still the crashed process that was read?
    pub fn still(&self, pidfd: Option<&OwnedFd>) -> Identity {
        match pidfd {
            Some(pidfd) if self.named_by(pidfd.as_fd()) => Identity::Pidfd,
            Some(_) => Identity::Lost,
            None if self.unchanged() => Identity::StartTime,
            None => Identity::Lost,
        }
    }

    /// The pidfd names this pid and the process is not reaped: as long as it
    /// is not, its number cannot be anybody else's.
    fn named_by(&self, pidfd: BorrowedFd<'_>) -> bool {
        use std::os::fd::AsRawFd;
        let path = format!("self/fdinfo/{}", pidfd.as_raw_fd());
        let Some(text) = self.proc_root.text(&path) else { return false };
        let pid = text.split(|byte| *byte == b'\n').find_map(|line| {
            std::str::from_utf8(line.strip_prefix(b"Pid:")?).ok()?.trim().parse::<u32>().ok()
        });
        let mut ready = [PollFd::new(pidfd, PollFlags::POLLIN)];
        // And the thread, by whose number memory was read: its directory is bound to it.
        let lives = self.directory.text("comm").is_some();
        lives && pid == Some(self.pid) && poll(&mut ready, PollTimeout::ZERO) == Ok(0)
    }

    fn unchanged(&self) -> bool {
        let Some(status) = self.directory.text("status").map(|text| status::parse(&text)) else {
            return false;
        };
        let start = self.directory.text("stat").and_then(|text| stat::parse(&text).start_ticks);
        let uid = self.uid.is_none() || status.uid.map(|(real, _)| real) == self.uid;
        status.core_dumping
            && status.tgid == Some(self.pid)
            && start.is_some()
            && start == self.stat.start_ticks
            && uid
    }
}

fn mounts_of(file: Option<File>) -> Mounts {
    let text = file.and_then(|file| read_bounded(&file, limits::MOUNTS_BYTES).ok());
    text.map(|text| Mounts::parse(&text)).unwrap_or_default()
}
