//! Writing a record: whole under its final name, or not there.
//!
//! ```text
//! minimal  O_TMPFILE · write · linkat → <id>.rec                (no fsync)
//! full     O_TMPFILE · write · fsync · linkat → .<id>.tmp
//!          · renameat over <id>.rec · fsync(directory)
//! exposure O_TMPFILE · write · fsync · linkat → <id>.exp · fsync(directory)
//! ```
//!
//! linkat goes through /proc/self/fd (AT_EMPTY_PATH wants a capability before
//! 6.10) and never replaces, hence the temporary name in the second row. A
//! filesystem without O_TMPFILE, or a process without /proc, gets the
//! temporary name from the start. A full filesystem costs the oldest records
//! first; then it is an error, and the minimal record stays.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{fchmod, fstatat};
use nix::unistd::{UnlinkatFlags, fsync, linkat, unlinkat, write};

use super::layout::Part;
use super::name::file_name;
use super::{Header, Kind, RecordId, Spool, SpoolError, Stamp, State, Step};

impl Spool {
    /// Writes the first, small record of a crash. Not synced: the full one
    /// follows within milliseconds, and syncing twice would double the wear.
    pub fn write_minimal(&self, stamp: impl Into<Stamp>, payload: &[u8]) -> Result<(), SpoolError> {
        let header = stamp.into().header(false);
        self.with_room(header, payload, true, |part, file| {
            self.note(file.len(), false);
            self.publish_new(part, header.id, &header.id.file_name(), file, false)
        })
    }

    /// Puts the full record in the place of the minimal one, in one step, and
    /// returns when it would survive a power cut. Works without a minimal
    /// record too.
    pub fn replace_with_full(&self, stamp: impl Into<Stamp>, payload: &[u8]) -> Result<(), SpoolError> {
        let header = stamp.into().header(true);
        self.with_room(header, payload, true, |part, file| {
            let minimal = fstatat(&part.dir, header.id.file_name().as_str(), AtFlags::AT_SYMLINK_NOFOLLOW);
            self.note(file.len(), minimal.is_ok());
            self.publish_over(part, header.id, file)
        })
    }

    /// Writes an exposure report, and returns when it would survive a power
    /// cut. It never replaces one, whatever became of that.
    pub fn write_exposure(&self, id: impl Into<RecordId>, payload: &[u8]) -> Result<(), SpoolError> {
        let header = Stamp { id: id.into(), ..Stamp::default() }.header(true);
        let name = |state| file_name(header.id, Kind::Exposure, state);
        for done in [State::Sent, State::Refused] {
            if exists(&self.public, &name(done)) {
                return Err(SpoolError::Exists);
            }
        }
        // On a full disk only what a collector has gives way to a report: the
        // next one will say much the same, a crash says it once.
        self.with_room(header, payload, false, |part, file| {
            self.note(file.len(), true);
            self.publish_new(part, header.id, &name(State::Pending), file, true)
        })
    }

    /// Frames the payload and writes it; on a full filesystem once more, after
    /// the oldest records have given way.
    fn with_room(
        &self,
        header: Header,
        payload: &[u8],
        pending_too: bool,
        publish: impl Fn(&Part, &[u8]) -> Result<(), SpoolError>,
    ) -> Result<(), SpoolError> {
        let part = self.part(header.private)?;
        let file = header.frame(payload).ok_or(SpoolError::TooLarge(payload.len()))?;
        match publish(part, &file) {
            Err(error) if error.is_full() && self.give_way(file.len(), header.id, pending_too) => {
                publish(part, &file)
            }
            other => other,
        }
    }

    /// Under a name that must be free; `synced`: it survives a power cut then.
    fn publish_new(
        &self,
        part: &Part,
        id: RecordId,
        name: &str,
        file: &[u8],
        synced: bool,
    ) -> Result<(), SpoolError> {
        if !self.link_new(part, name, file, synced)? {
            if exists(part, name) {
                return Err(SpoolError::Exists);
            }
            let temporary = self.named(part, id)?;
            fill(temporary.fd.as_fd(), file, synced)?;
            temporary.rename_to(name)?;
        }
        if synced { sync_directory(part) } else { Ok(()) }
    }

    /// The usual way; false on a filesystem or in a process that has it not.
    fn link_new(&self, part: &Part, name: &str, file: &[u8], synced: bool) -> Result<bool, SpoolError> {
        let Some(unnamed) = self.unnamed(part)? else { return Ok(false) };
        fill(unnamed.as_fd(), file, synced)?;
        match link(unnamed.as_fd(), part, name) {
            Err(Errno::ENOENT) => Ok(false), // no /proc
            Err(Errno::EEXIST) => Err(SpoolError::Exists),
            result => result.map(|()| true).map_err(SpoolError::at(Step::Link)),
        }
    }

    fn publish_over(&self, part: &Part, id: RecordId, file: &[u8]) -> Result<(), SpoolError> {
        let temporary = match self.unnamed(part)? {
            Some(unnamed) => {
                fill(unnamed.as_fd(), file, true)?;
                Temporary::link(unnamed, part, id)?
            }
            None => None,
        };
        let temporary = match temporary {
            Some(temporary) => temporary,
            None => {
                let temporary = self.named(part, id)?;
                fill(temporary.fd.as_fd(), file, true)?;
                temporary
            }
        };
        temporary.rename_to(&id.file_name())?;
        sync_directory(part)
    }

    /// A file without a name, or `None` where the filesystem has none.
    fn unnamed(&self, part: &Part) -> Result<Option<OwnedFd>, SpoolError> {
        #[cfg(test)]
        if self.without_tmpfile {
            return Ok(None);
        }
        let flags = OFlag::O_TMPFILE | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        match openat(&part.dir, ".", flags, part.file_mode()) {
            Ok(fd) => self.prepared(part, fd).map(Some),
            // EISDIR: a kernel or filesystem that takes it for O_DIRECTORY.
            Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::ENOENT | Errno::EINVAL) => Ok(None),
            Err(errno) => Err(SpoolError::at(Step::Create)(errno)),
        }
    }

    /// A file under the temporary name; a dead writer's is removed first.
    fn named<'a>(&self, part: &'a Part, id: RecordId) -> Result<Temporary<'a>, SpoolError> {
        let name = id.temporary_name();
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let create = || openat(&part.dir, name.as_str(), flags, part.file_mode());
        let fd = match create() {
            Err(Errno::EEXIST) => {
                let _ = unlinkat(&part.dir, name.as_str(), UnlinkatFlags::NoRemoveDir);
                create()
            }
            other => other,
        };
        let fd = fd.map_err(SpoolError::at(Step::Create))?;
        let fd = self.prepared(part, fd)?;
        Ok(Temporary { part, name, fd, renamed: false })
    }

    /// Mode (whatever the umask was) and owner.
    fn prepared(&self, part: &Part, fd: OwnedFd) -> Result<OwnedFd, SpoolError> {
        fchmod(&fd, part.file_mode()).map_err(SpoolError::at(Step::Create))?;
        self.give_to_owner(fd.as_fd());
        Ok(fd)
    }
}

/// A file under a temporary name, removed unless it was renamed.
struct Temporary<'a> {
    part: &'a Part,
    name: String,
    fd: OwnedFd,
    renamed: bool,
}

impl<'a> Temporary<'a> {
    /// Names an unnamed file; `None` without /proc.
    fn link(fd: OwnedFd, part: &'a Part, id: RecordId) -> Result<Option<Self>, SpoolError> {
        let name = id.temporary_name();
        let linked = match link(fd.as_fd(), part, &name) {
            Err(Errno::EEXIST) => {
                let _ = unlinkat(&part.dir, name.as_str(), UnlinkatFlags::NoRemoveDir);
                link(fd.as_fd(), part, &name)
            }
            other => other,
        };
        match linked {
            Ok(()) => Ok(Some(Temporary { part, name, fd, renamed: false })),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(SpoolError::at(Step::Link)(errno)),
        }
    }

    fn rename_to(mut self, name: &str) -> Result<(), SpoolError> {
        renameat(&self.part.dir, self.name.as_str(), &self.part.dir, name)
            .map_err(SpoolError::at(Step::Rename))?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.renamed {
            let _ = unlinkat(&self.part.dir, self.name.as_str(), UnlinkatFlags::NoRemoveDir);
        }
    }
}

fn link(fd: BorrowedFd<'_>, part: &Part, name: &str) -> Result<(), Errno> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    linkat(AT_FDCWD, path.as_str(), &part.dir, name, AtFlags::AT_SYMLINK_FOLLOW)
}

fn exists(part: &Part, name: &str) -> bool {
    fstatat(&part.dir, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok()
}

/// The bytes of a file, on disk when `synced`.
fn fill(fd: BorrowedFd<'_>, bytes: &[u8], synced: bool) -> Result<(), SpoolError> {
    write_all(fd, bytes)?;
    if synced { fsync(fd).map_err(SpoolError::at(Step::Sync)) } else { Ok(()) }
}

/// The names in a directory, on disk.
pub(super) fn sync_directory(part: &Part) -> Result<(), SpoolError> {
    fsync(&part.dir).map_err(SpoolError::at(Step::SyncDirectory))
}

pub(super) fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), SpoolError> {
    while !bytes.is_empty() {
        match write(fd, bytes) {
            Ok(0) => return Err(SpoolError::Io(Step::Write, Errno::EIO)),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(SpoolError::at(Step::Write)(errno)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::{Reader, RecordStatus, initialise};

    #[test]
    fn a_filesystem_without_o_tmpfile_keeps_the_same_promises() {
        let parent = tempfile::tempdir().unwrap();
        initialise(parent.path(), None).unwrap();
        let mut spool = Spool::open(parent.path()).unwrap();
        spool.without_tmpfile = true;
        std::fs::write(parent.path().join(RecordId([1; 16]).temporary_name()), b"half").unwrap();
        spool.write_minimal(([1; 16], false), b"minimal").unwrap();
        assert_eq!(spool.write_minimal(([1; 16], false), b"again"), Err(SpoolError::Exists));
        spool.replace_with_full(([1; 16], false), b"full").unwrap();
        spool.write_minimal(([2; 16], true), b"private").unwrap();
        let reader = Reader::of(&spool).unwrap();
        let listing = reader.list().unwrap();
        assert_eq!(listing.temporaries, 0);
        let payloads: Vec<_> = listing.entries.iter().map(|entry| reader.read(entry)).collect();
        assert!(matches!(&payloads[0], RecordStatus::Valid { payload, .. } if payload == b"full"));
        assert!(matches!(&payloads[1], RecordStatus::Valid { payload, .. } if payload == b"private"));
    }
}
