//! The directories of a spool: opened once, then never named again.
//!
//! What it gives: [`Spool::open`], to be called before any privilege is
//! dropped, and [`initialise`], which makes the directories. What it trusts:
//! that whoever owns the directory may own the records; a directory that
//! everybody may write to is refused. Owner and group are those of the
//! directory itself, never looked up by name.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, open, openat};
use nix::libc;
use nix::sys::stat::{FileStat, Mode, fchmod, fstat, mkdirat};
use nix::unistd::{Gid, Uid, fchown, geteuid};

use super::{SpoolError, Step};

/// The part for records of privileged processes.
pub const PRIVATE: &str = "private";

pub(super) const DIRECTORY: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// One directory of records, and the mode of the files in it.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) dir: OwnedFd,
    pub(super) private: bool,
}

impl Part {
    pub(super) fn file_mode(&self) -> Mode {
        if self.private { Mode::from_bits_truncate(0o600) } else { Mode::from_bits_truncate(0o640) }
    }
}

/// An open spool.
#[derive(Debug)]
pub struct Spool {
    pub(super) public: Part,
    pub(super) private: Option<Part>,
    owner: (u32, u32),
    /// Tests write as on a filesystem without O_TMPFILE.
    #[cfg(test)]
    pub(super) without_tmpfile: bool,
}

impl Spool {
    /// Opens the spool at `path`. A missing `private/` is made when that is
    /// possible; without it only private writes fail.
    pub fn open(path: &Path) -> Result<Spool, SpoolError> {
        let dir = open(path, DIRECTORY, Mode::empty()).map_err(SpoolError::at(Step::Directory))?;
        let stat = fstat(&dir).map_err(SpoolError::at(Step::Directory))?;
        if stat.st_mode & 0o002 != 0 {
            return Err(SpoolError::Unsafe("everybody may write to it"));
        }
        let owner = (stat.st_uid, stat.st_gid);
        let private = match open_private(dir.as_fd(), owner.0) {
            Err(SpoolError::Io(_, Errno::ENOENT)) => make_private(dir.as_fd(), owner).ok(),
            other => other.ok(),
        };
        Ok(Spool {
            public: Part { dir, private: false },
            private: private.map(|dir| Part { dir, private: true }),
            owner,
            #[cfg(test)]
            without_tmpfile: false,
        })
    }

    /// Owner and group of the spool directory: who the handler becomes.
    pub fn owner(&self) -> (u32, u32) {
        self.owner
    }

    /// When the directory was made, in milliseconds since the epoch, where the
    /// filesystem tells it and this host's clock allows it: no record in it is
    /// older.
    pub(super) fn made(&self) -> Option<u64> {
        let directory = File::from(self.public.dir.try_clone().ok()?);
        let made = directory.metadata().ok()?.created().ok()?;
        let passed = made.duration_since(UNIX_EPOCH).ok().filter(|_| made <= SystemTime::now())?;
        u64::try_from(passed.as_millis()).ok()
    }

    /// True when records of privileged processes can be written.
    pub fn has_private(&self) -> bool {
        self.private.is_some()
    }

    /// The directories, for whoever allows them in a sandbox: writing, making,
    /// renaming and removing regular files, and listing.
    pub fn directories(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.parts().map(|part| part.dir.as_fd())
    }

    pub(super) fn parts(&self) -> impl Iterator<Item = &Part> {
        std::iter::once(&self.public).chain(self.private.as_ref())
    }

    pub(super) fn part(&self, private: bool) -> Result<&Part, SpoolError> {
        if !private {
            return Ok(&self.public);
        }
        self.private.as_ref().ok_or(SpoolError::Unsafe("it has no private part"))
    }

    /// Opens one of the spool's own files: a regular one, of its owner.
    pub(super) fn own_file(&self, name: &str, flags: OFlag, mode: u32) -> Result<File, Errno> {
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let fd = openat(&self.public.dir, name, flags, Mode::from_bits_truncate(mode))?;
        if !is_regular(&fstat(&fd)?) {
            return Err(Errno::EINVAL);
        }
        self.give_to_owner(fd.as_fd());
        Ok(File::from(fd))
    }

    /// A file made by root belongs to the spool's owner all the same.
    pub(super) fn give_to_owner(&self, file: BorrowedFd<'_>) {
        if geteuid().is_root() && self.owner != (0, 0) {
            let (uid, gid) = self.owner;
            let _ = fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        }
    }
}

pub(super) fn is_regular(stat: &FileStat) -> bool {
    stat.st_mode & libc::S_IFMT == libc::S_IFREG
}

/// Opens `private/`; one that belongs to somebody else is refused.
pub(super) fn open_private(dir: BorrowedFd<'_>, owner: u32) -> Result<OwnedFd, SpoolError> {
    let private = openat(dir, PRIVATE, DIRECTORY, Mode::empty()).map_err(SpoolError::at(Step::Directory))?;
    let stat = fstat(&private).map_err(SpoolError::at(Step::Directory))?;
    if stat.st_uid != owner {
        return Err(SpoolError::Unsafe("its private part belongs to somebody else"));
    }
    if stat.st_mode & 0o077 != 0 {
        fchmod(&private, Mode::S_IRWXU)
            .map_err(|_| SpoolError::Unsafe("its private part is open to others"))?;
    }
    Ok(private)
}

fn make_private(dir: BorrowedFd<'_>, owner: (u32, u32)) -> Result<OwnedFd, SpoolError> {
    match mkdirat(dir, PRIVATE, Mode::S_IRWXU) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(SpoolError::at(Step::Directory)(errno)),
    }
    let private = openat(dir, PRIVATE, DIRECTORY, Mode::empty()).map_err(SpoolError::at(Step::Directory))?;
    own(private.as_fd(), owner, 0o700)?;
    Ok(private)
}

fn own(dir: BorrowedFd<'_>, (uid, gid): (u32, u32), mode: u32) -> Result<(), SpoolError> {
    let stat = fstat(dir).map_err(SpoolError::at(Step::Directory))?;
    if (stat.st_uid, stat.st_gid) != (uid, gid) {
        fchown(dir, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
            .map_err(SpoolError::at(Step::Directory))?;
    }
    fchmod(dir, Mode::from_bits_truncate(mode)).map_err(SpoolError::at(Step::Directory))
}

/// Makes the spool's directories, or puts right the modes and owners of those
/// that are there. `owner` is (uid, gid); without one they stay the caller's,
/// or whose they are. A directory that holds other things is left alone and
/// refused: it is more likely a slip of the path than a spool.
pub fn initialise(path: &Path, owner: Option<(u32, u32)>) -> Result<(), SpoolError> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|error| {
            SpoolError::at(Step::Directory)(Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
        })?;
    }
    match mkdirat(AT_FDCWD, path, Mode::S_IRWXU) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(SpoolError::at(Step::Directory)(errno)),
    }
    let dir = open(path, DIRECTORY, Mode::empty()).map_err(SpoolError::at(Step::Directory))?;
    if super::reader::strangers(dir.as_fd())? > 0 {
        return Err(SpoolError::Unsafe("it holds files that are no records"));
    }
    let stat = fstat(&dir).map_err(SpoolError::at(Step::Directory))?;
    let owner = owner.unwrap_or((stat.st_uid, stat.st_gid));
    own(dir.as_fd(), owner, 0o750)?;
    make_private(dir.as_fd(), owner).map(drop)
}
