//! The file behind a mapping, opened so that nothing of the crashed process
//! runs and nothing hangs.
//!
//! Opening a path can execute a driver's open() (a container with mknod puts a
//! device at a library's path) or wait for ever (a FIFO: CVE-2021-25684). So a
//! file is first held by O_PATH, looked at, and reopened for reading only when
//! it is a regular file: through map_files, which names the mapped file itself
//! whatever namespace or chroot it is in and even when it was deleted; else
//! below /proc/TID/root with openat2, and only when device and inode are the
//! mapping's.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat, openat2};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use nix::sys::statfs::{FsType, fstatfs};

use super::directory::Directory;
use super::mapping::Mapping;
use crate::address::AddrRange;
use crate::limits;
use crate::syscall::stat_unasked;

/// Whether the files of a mount and a device are there without asking somebody.
type IsLocal<'a> = &'a dyn Fn(u64, u64) -> bool;

/// Held, not opened: no driver runs.
const HOLD: OFlag = OFlag::O_PATH.union(OFlag::O_CLOEXEC);
/// File systems that ask somebody else before they answer.
const REMOTE: [u32; 4] = [
    0x6573_5546, /* FUSE */
    0x6969,      /* NFS */
    0x0102_1997, /* 9p */
    0xff53_4d42, /* CIFS */
];

/// The file behind a mapping, through map_files. `None` without
/// CAP_CHECKPOINT_RESTORE (CAP_SYS_ADMIN before Linux 5.9).
pub(super) fn mapped(process: &Directory, mapping: &Mapping, local: IsLocal<'_>) -> Option<File> {
    reopen(map_file(process, mapping.range).ok()?, None, Some(local)).ok()
}

/// Whether the file of a mapping is there without asking somebody; `None` where that
/// cannot be told.
pub(super) fn is_local(process: &Directory, range: AddrRange, local: IsLocal<'_>) -> Option<bool> {
    let (stat, mount) = known(&map_file(process, range).ok()?).ok()?;
    mount.map(|mount| local(mount, stat.st_dev))
}

static MEMORY_DEVICE: OnceLock<u64> = OnceLock::new();

/// The device of the kernel's own tmpfs, which no list of mounts has: memfd, SysV shared
/// memory. Known once [`learn_memory_device`] was called.
pub(super) fn memory_device() -> Option<u64> {
    MEMORY_DEVICE.get().copied()
}

/// Makes one such file to see its device: before system calls are filtered.
pub fn learn_memory_device() {
    let file = memfd_create(c"", MFdFlags::MFD_CLOEXEC);
    if let Ok(stat) = file.and_then(|file| fstat(&file)) {
        let _ = MEMORY_DEVICE.set(stat.st_dev);
    }
}

fn map_file(process: &Directory, range: AddrRange) -> Result<OwnedFd, Errno> {
    let name = format!("map_files/{:x}-{:x}", range.start.0, range.end.0);
    openat(process, name.as_str(), HOLD, Mode::empty())
}

/// The file behind a mapping, by its path inside the process's root. `None`
/// when it is not the mapped one, or openat2 is missing (before Linux 5.6).
pub(super) fn rooted(
    process: &Directory,
    mapping: &Mapping,
    identity: (u64, u64),
    local: IsLocal<'_>,
) -> Option<File> {
    let root = openat(process, "root", HOLD | OFlag::O_DIRECTORY, Mode::empty()).ok()?;
    let how =
        OpenHow::new().flags(HOLD).resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_SYMLINKS);
    let held = openat2(root, Path::new(OsStr::from_bytes(mapping.clean_path())), how).ok()?;
    reopen(held, Some(identity), Some(local)).ok()
}

/// What a task runs, as fstat(2) tells it: held, not opened, so that nobody's
/// driver runs.
pub fn of_task(proc_root: &Directory, task: u32) -> Result<FileStat, Errno> {
    known(&openat(proc_root, format!("{task}/exe").as_str(), HOLD, Mode::empty())?).map(|(stat, _)| stat)
}

/// What a process runs, held and not opened.
pub(super) fn identity(process: &Directory) -> Result<FileStat, Errno> {
    known(&openat(process, "exe", HOLD, Mode::empty())?).map(|(stat, _)| stat)
}

/// The executable of a process, when it is still the one of this identity.
pub(super) fn executable(process: &Directory, identity: (u64, u64)) -> Result<File, Errno> {
    reopen(openat(process, "exe", HOLD, Mode::empty())?, Some(identity), None)
}

/// A file by its path in our own namespace: for a replay.
pub fn open_by_path(path: &[u8]) -> Option<File> {
    if !path.starts_with(b"/") {
        return None;
    }
    reopen(open(Path::new(OsStr::from_bytes(path)), HOLD, Mode::empty()).ok()?, None, None).ok()
}

/// Without asking a server; on a kernel that cannot, asking.
fn known(held: &OwnedFd) -> Result<(FileStat, Option<u64>), Errno> {
    match stat_unasked(held.as_fd()) {
        Err(Errno::ENOSYS) => fstat(held).map(|stat| (stat, None)),
        known => known,
    }
}

/// From held to readable: only a regular file, of a bounded size, on a file
/// system that answers by itself.
fn reopen(held: OwnedFd, identity: Option<(u64, u64)>, local: Option<IsLocal<'_>>) -> Result<File, Errno> {
    let (stat, mount) = known(&held)?;
    let regular = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG;
    let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
    if !regular || size > limits::MODULE_FILE {
        return Err(Errno::EINVAL);
    }
    if identity.is_some_and(|identity| identity != (stat.st_dev, stat.st_ino)) {
        return Err(Errno::ESTALE);
    }
    // Asking a file system for its type is asking it, so the mount is what counts. Where
    // the kernel does not tell it: a remote file is a gap and not a risk.
    let answers =
        local.zip(mount).map_or_else(|| !is_remote(&held), |(local, mount)| local(mount, stat.st_dev));
    if !answers {
        return Err(Errno::EREMOTE);
    }
    let path = format!("/proc/self/fd/{}", held.as_raw_fd());
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    open(path.as_str(), flags, Mode::empty()).map(File::from)
}

fn is_remote(held: &impl AsFd) -> bool {
    // The magic is 32 bits wide; which integer holds it depends on the C library.
    fstatfs(held)
        .is_ok_and(|statfs| REMOTE.iter().any(|magic| statfs.filesystem_type() == FsType((*magic).into())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::{makedev, mknod};
    use nix::unistd::mkfifo;

    fn opened(path: &Path) -> bool {
        open_by_path(path.as_os_str().as_bytes()).is_some()
    }

    /// CVE-2021-25684: a FIFO at a path that was opened stopped the handler for ever.
    /// Whoever waits to write to it would be woken by an open.
    #[test]
    fn a_fifo_at_a_modules_path_is_not_opened() {
        let place = tempfile::tempdir().unwrap();
        let fifo = place.path().join("fifo");
        mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        let path = fifo.clone();
        let writer = std::thread::spawn(move || std::fs::OpenOptions::new().write(true).open(path));
        std::thread::sleep(std::time::Duration::from_millis(50));
        let link = place.path().join("link");
        std::os::unix::fs::symlink(&fifo, &link).unwrap();
        assert!(!opened(&fifo) && !opened(&link));
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(!writer.is_finished(), "somebody opened the FIFO");
        let _reader = File::open(&fifo).unwrap();
        writer.join().unwrap().unwrap();
    }

    /// Opening a device runs its driver: a watchdog at a library's path restarts the
    /// machine.
    #[test]
    fn devices_directories_and_sockets_are_not_opened() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        assert!(!opened(place.path()));
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        assert!(!opened(&at("socket")));
        std::fs::write(at("file"), b"x").unwrap();
        assert!(opened(&at("file")));
        assert!(!opened(Path::new("relative")));
        for (name, kind, device) in
            [("char", SFlag::S_IFCHR, makedev(1, 3)), ("block", SFlag::S_IFBLK, makedev(7, 250))]
        {
            if let Err(error) = mknod(&at(name), kind, Mode::S_IRWXU, device) {
                println!("skipped: mknod: {error}");
                continue;
            }
            assert!(!opened(&at(name)), "{name}");
        }
    }

    /// A file of another device or inode than the mapping's was put there later.
    #[test]
    fn another_file_at_the_path_is_not_the_mapped_one() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        std::fs::write(&path, b"x").unwrap();
        let held = || open(&path, HOLD, Mode::empty()).unwrap();
        let stat = fstat(held()).unwrap();
        assert!(reopen(held(), Some((stat.st_dev, stat.st_ino)), None).is_ok());
        assert_eq!(reopen(held(), Some((stat.st_dev, stat.st_ino + 1)), None).err(), Some(Errno::ESTALE));
    }

    /// CVE-2021-25684's cousin: a server that does not answer, of a mount that was detached.
    #[test]
    fn a_file_of_a_mount_that_is_not_known_to_be_local_is_not_opened() {
        let place = tempfile::NamedTempFile::new().unwrap();
        let held = || open(place.path(), HOLD, Mode::empty()).unwrap();
        let Some(own) = known(&held()).unwrap().1 else {
            return println!("skipped: statx(2) tells no mount");
        };
        assert!(reopen(held(), None, Some(&|mount, _| mount == own)).is_ok());
        assert_eq!(reopen(held(), None, Some(&|_, _| false)).err(), Some(Errno::EREMOTE));
    }
}
