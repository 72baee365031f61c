//! Reading a spool that crashed, was copied, or was tampered with.
//!
//! What it gives: a listing in the order of time, one record by id, by part
//! of an id, by "last" or by path, and for each file a [`RecordStatus`]:
//! damage is data, and one bad file never hides the next. What it trusts:
//! nothing. Symbolic links, FIFOs, devices, files with a second hard link and
//! oversize files are refused without reading a byte. Limits:
//! limits::SPOOL_PAYLOAD, SPOOL_HEADER, SPOOL_ENTRIES.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, fstat};
use nix::sys::uio::pread;

use super::layout::{DIRECTORY, PRIVATE, is_regular};
use super::name::{Name, classify};
use super::{Damage, Header, Item, Kind, RecordId, Spool, SpoolError, State, Step};
use crate::limits;

/// Why a file was not even read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A symbolic link.
    Symlink,
    /// A FIFO, device, socket or directory.
    NotRegular,
    /// It has another name somewhere.
    HardLinked,
    /// Larger than any spool file; its size.
    Oversize(u64),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::Symlink => f.write_str("is a symbolic link"),
            Refusal::NotRegular => f.write_str("is not a regular file"),
            Refusal::HardLinked => f.write_str("has a second hard link"),
            Refusal::Oversize(size) => write!(f, "{size} bytes are too many"),
        }
    }
}

/// What a spool file turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordStatus {
    /// Whole.
    Valid {
        /// What the header says.
        header: Header,
        /// The record.
        payload: Vec<u8>,
    },
    /// Damaged: torn by a power cut, rotten, or not ours.
    Corrupted(Damage),
    /// Not touched.
    Refused(Refusal),
    /// The kernel would not give it (EACCES, EIO …).
    Unreadable(Errno),
    /// Removed since it was listed.
    Gone,
}

/// One record of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its id: the order is the order of time.
    pub id: RecordId,
    /// It lies in the private part.
    pub private: bool,
    /// How far it has come.
    pub state: State,
}

/// What is in the spool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Crash records of every state, oldest first, each once: one that became
    /// pending again after it was acknowledged is pending.
    pub entries: Vec<Entry>,
    /// Exposure reports, in the same way.
    pub exposures: Vec<Entry>,
    /// Records being written, or left by writers that died.
    pub temporaries: u64,
    /// Files that are nobody's here.
    pub strangers: u64,
    /// The private part exists and may not be read.
    pub private_denied: bool,
    /// There were more names than limits::SPOOL_ENTRIES.
    pub truncated: bool,
}

/// Why a selector is not one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotOne {
    /// Not an id, a part of one, or "last".
    Malformed,
    /// Nothing like it.
    None,
    /// Several (the first few of them).
    Several(Vec<Entry>),
    /// The spool could not be listed.
    Spool(SpoolError),
}

impl std::fmt::Display for NotOne {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NotOne::Malformed => f.write_str("not a record id, a part of one, or \"last\""),
            NotOne::None => f.write_str("no such record"),
            NotOne::Several(_) => f.write_str("several records match"),
            NotOne::Spool(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for NotOne {}

/// A spool open for reading; no privilege is needed beyond the directory's.
#[derive(Debug)]
pub struct Reader {
    public: OwnedFd,
    private: Result<OwnedFd, Errno>,
}

impl Reader {
    /// Opens the spool at `path`, and its private part if that is permitted.
    pub fn open(path: &Path) -> Result<Reader, SpoolError> {
        let public = open(path, DIRECTORY, Mode::empty()).map_err(SpoolError::at(Step::Directory))?;
        let private = openat(&public, PRIVATE, DIRECTORY, Mode::empty());
        Ok(Reader { public, private })
    }

    /// The same spool as an open one.
    pub fn of(spool: &Spool) -> Result<Reader, SpoolError> {
        let public =
            spool.public.dir.try_clone().map_err(|_| SpoolError::Io(Step::Directory, Errno::EMFILE))?;
        let private = openat(&public, PRIVATE, DIRECTORY, Mode::empty());
        Ok(Reader { public, private })
    }

    /// Everything that is there, oldest first. Only names are read.
    pub fn list(&self) -> Result<Listing, SpoolError> {
        let mut listing = Listing { private_denied: self.private_denied(), ..Listing::default() };
        for (dir, private) in self.parts() {
            listing.add(dir, private)?;
        }
        for entries in [&mut listing.entries, &mut listing.exposures] {
            entries.sort_unstable();
            entries.dedup_by_key(|entry| (entry.id, entry.private));
        }
        Ok(listing)
    }

    /// Reads one crash record, wherever it has come to since it was listed.
    pub fn read(&self, entry: &Entry) -> RecordStatus {
        let item =
            |state| Item { id: entry.id, private: entry.private, kind: Kind::Crash, state, full: false };
        let states = [entry.state, State::Sent, State::Refused, State::Pending];
        let statuses = states.into_iter().map(|state| self.read_item(&item(state)));
        statuses.into_iter().find(|status| *status != RecordStatus::Gone).unwrap_or(RecordStatus::Gone)
    }

    /// The directories that may be read, and whether they are the private one.
    pub(super) fn parts(&self) -> impl Iterator<Item = (BorrowedFd<'_>, bool)> {
        let private = self.private.as_ref().ok().map(|dir| (dir.as_fd(), true));
        std::iter::once((self.public.as_fd(), false)).chain(private)
    }

    pub(super) fn part(&self, private: bool) -> Result<BorrowedFd<'_>, Errno> {
        if private {
            self.private.as_ref().map(AsFd::as_fd).map_err(|errno| *errno)
        } else {
            Ok(self.public())
        }
    }

    pub(super) fn public(&self) -> BorrowedFd<'_> {
        self.public.as_fd()
    }

    /// The one record that `selector` means: "last", an id (with or without
    /// dashes), its first or last digits, or, when no id begins or ends with
    /// them, digits from its middle.
    pub fn find(&self, selector: &str) -> Result<Entry, NotOne> {
        let listing = self.list().map_err(NotOne::Spool)?;
        if selector == "last" {
            return listing.entries.last().copied().ok_or(NotOne::None);
        }
        let digits: String = selector.chars().filter(|c| *c != '-').collect::<String>().to_ascii_lowercase();
        if digits.is_empty() || digits.len() > 32 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(NotOne::Malformed);
        }
        let at_an_end = |id: &str| id.starts_with(&digits) || id.ends_with(&digits);
        let found = Some(listing.candidates(at_an_end)).filter(|found| !found.is_empty());
        let found = found.unwrap_or_else(|| listing.candidates(|id| id.contains(&digits)));
        match found.as_slice() {
            [] => Err(NotOne::None),
            [one] => Ok(*one),
            _ => Err(NotOne::Several(found)),
        }
    }
}

impl Listing {
    /// The first few whose id is meant.
    fn candidates(&self, is_meant: impl Fn(&str) -> bool) -> Vec<Entry> {
        let meant = self.entries.iter().filter(|entry| is_meant(&entry.id.to_string()));
        meant.take(limits::SPOOL_CANDIDATES).copied().collect()
    }

    fn add(&mut self, dir: BorrowedFd<'_>, private: bool) -> Result<(), SpoolError> {
        let mut seen = 0usize;
        each_name(dir, |_, name| {
            seen = seen.saturating_add(1);
            if seen > limits::SPOOL_ENTRIES {
                self.truncated = true;
                return;
            }
            match name {
                Name::File(id, Kind::Crash, state) => self.entries.push(Entry { id, private, state }),
                Name::File(id, Kind::Exposure, state) => self.exposures.push(Entry { id, private, state }),
                Name::Temporary => self.temporaries = self.temporaries.saturating_add(1),
                Name::Stranger => self.strangers = self.strangers.saturating_add(1),
                Name::Own => {}
            }
        })
    }
}

const READ: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_NONBLOCK)
    .union(OFlag::O_NOCTTY)
    .union(OFlag::O_CLOEXEC);

/// Reads one spool file by its path.
pub fn read_file(path: &Path) -> RecordStatus {
    judge(open(path, READ, Mode::empty()))
}

/// Reads one file of a directory, which must hold this id.
pub(super) fn read_named(dir: BorrowedFd<'_>, name: &str, id: RecordId) -> RecordStatus {
    match judge(openat(dir, name, READ, Mode::empty())) {
        RecordStatus::Valid { header, .. } if header.id != id => RecordStatus::Corrupted(Damage::OtherId),
        status => status,
    }
}

/// What the beginning of a file says; nothing, when it is no spool file.
pub(super) fn peek(dir: BorrowedFd<'_>, name: &str) -> Option<Header> {
    let file = openat(dir, name, READ, Mode::empty()).ok()?;
    let mut beginning = [0; limits::SPOOL_HEADER];
    let length = pread(&file, &mut beginning, 0).ok()?;
    Header::peek(beginning.get(..length)?).ok()
}

/// One of the spool's own files, whole; `EFBIG` when it has more than `most`
/// bytes.
pub(super) fn read_own(dir: BorrowedFd<'_>, name: &str, most: usize) -> Result<Vec<u8>, Errno> {
    let file = openat(dir, name, READ, Mode::empty())?;
    let stat = fstat(&file)?;
    if !is_regular(&stat) {
        return Err(Errno::EINVAL);
    }
    let size = usize::try_from(stat.st_size).ok().filter(|size| *size <= most).ok_or(Errno::EFBIG)?;
    read_whole(&file, size)
}

fn judge(opened: Result<OwnedFd, Errno>) -> RecordStatus {
    let file = match opened {
        Ok(file) => file,
        Err(Errno::ELOOP) => return RecordStatus::Refused(Refusal::Symlink),
        Err(Errno::ENXIO) => return RecordStatus::Refused(Refusal::NotRegular), // a socket
        Err(Errno::ENOENT) => return RecordStatus::Gone,
        Err(errno) => return RecordStatus::Unreadable(errno),
    };
    let size = match inspect(&file) {
        Ok(size) => size,
        Err(status) => return status,
    };
    match read_whole(&file, size).as_deref().map(Header::open) {
        Ok(Ok((header, payload))) => RecordStatus::Valid { header, payload: payload.to_vec() },
        Ok(Err(damage)) => RecordStatus::Corrupted(damage),
        Err(errno) => RecordStatus::Unreadable(*errno),
    }
}

/// The size of a file that may be read.
fn inspect(file: &OwnedFd) -> Result<usize, RecordStatus> {
    let stat = fstat(file).map_err(RecordStatus::Unreadable)?;
    if !is_regular(&stat) {
        return Err(RecordStatus::Refused(Refusal::NotRegular));
    }
    match stat.st_nlink {
        0 => return Err(RecordStatus::Gone),
        1 => {}
        _ => return Err(RecordStatus::Refused(Refusal::HardLinked)),
    }
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    let most = limits::SPOOL_PAYLOAD.saturating_add(limits::SPOOL_HEADER);
    usize::try_from(size)
        .ok()
        .filter(|size| *size <= most)
        .ok_or(RecordStatus::Refused(Refusal::Oversize(size)))
}

/// At most `size` bytes: a file that shrinks meanwhile is shorter, one that
/// grows is not followed.
fn read_whole(file: &OwnedFd, size: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; size];
    let mut done = 0usize;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        let offset = i64::try_from(done).map_err(|_| Errno::EFBIG)?;
        match pread(file, rest, offset) {
            Ok(0) => break,
            Ok(count) => done = done.saturating_add(count),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    bytes.truncate(done);
    Ok(bytes)
}

/// Calls `see` with each name in a directory. It may rename and remove what it
/// is shown.
pub(super) fn each_name(dir: BorrowedFd<'_>, mut see: impl FnMut(&CStr, Name)) -> Result<(), SpoolError> {
    let mut listing = Dir::openat(dir, ".", DIRECTORY, Mode::empty()).map_err(SpoolError::at(Step::List))?;
    for entry in listing.iter() {
        let entry = entry.map_err(SpoolError::at(Step::List))?;
        see(entry.file_name(), classify(entry.file_name().to_bytes()));
    }
    Ok(())
}

/// How many names are not the spool's.
pub(super) fn strangers(dir: BorrowedFd<'_>) -> Result<usize, SpoolError> {
    let mut count = 0usize;
    each_name(dir, |_, name| count = count.saturating_add(usize::from(name == Name::Stranger)))?;
    Ok(count)
}
