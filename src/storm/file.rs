//! The files of the run directory: opened as root, believed only when nobody
//! else can have written them.
//!
//! ```text
//! /run/epicore/          0755 root
//! ├─ crashes             0640 root, group of the spool's owner: the ledger
//! └─ slots               0600 root: its byte ranges are the slots
//! ```
//!
//! A ledger comes into being whole: sized, its blocks there (a hole on a full
//! tmpfs would be SIGBUS), its header written, and only then with a name, which
//! never replaces another. One of another size, version or boot, a link, or
//! somebody else's is removed first; should two do that in one instant, one
//! handler's numbers may be lost.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open, openat, posix_fallocate};
use nix::libc;
use nix::sys::stat::{FileStat, Mode, fchmod, fstat, fstatat};
use nix::sys::uio::{pread, pwrite};
use nix::unistd::{Gid, UnlinkatFlags, fchown, geteuid, linkat, unlinkat};

use super::ledger::{HEADER, SECRET, WORDS, header};
use crate::syscall::errno;

/// The run directory.
pub const RUN: &str = "/run/epicore";
/// The ledger in it.
pub const FILE: &str = "crashes";
const SLOTS: &str = "slots";

const BYTES: usize = WORDS * size_of::<u64>();
/// Rounds of opening and making, each of which another process can spoil.
const ROUNDS: usize = 8;
/// st_blocks counts in these.
const BLOCK: u64 = 512;

const OPEN: OFlag = OFlag::O_NOFOLLOW.union(OFlag::O_NONBLOCK).union(OFlag::O_NOCTTY).union(OFlag::O_CLOEXEC);

/// The run directory, which is made when it is missing; one that others may
/// write to is refused.
pub(super) fn directory(run: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let again = || open(run, flags, Mode::empty());
    let directory = match again() {
        Err(Errno::ENOENT) => {
            std::fs::create_dir_all(run).map_err(|error| errno(&error))?;
            let made = again()?;
            fchmod(&made, Mode::from_bits_truncate(0o755))?;
            made
        }
        other => other?,
    };
    is_ours(&fstat(&directory)?).then_some(directory).ok_or(Errno::EPERM)
}

/// The ledger's file of this boot.
pub(super) fn ledger(directory: &OwnedFd, boot: &[u8; 16]) -> Result<File, Errno> {
    for _ in 0..ROUNDS {
        match openat(directory, FILE, OFlag::O_RDWR | OPEN, Mode::empty()) {
            Ok(file) if is_trusted(&file, boot) => return Ok(File::from(file)),
            Ok(file) => remove(directory, fstat(&file).ok())?,
            Err(Errno::ENOENT) => {}
            Err(Errno::ELOOP | Errno::ENXIO | Errno::EISDIR) => remove(directory, None)?,
            Err(errno) => return Err(errno),
        }
        match make(directory, boot) {
            Err(Errno::EEXIST) | Ok(()) => {}
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::EAGAIN)
}

/// The file whose byte ranges are the slots.
pub(super) fn slots(directory: &OwnedFd) -> Result<File, Errno> {
    let mode = Mode::from_bits_truncate(0o600);
    let file = openat(directory, SLOTS, OFlag::O_RDWR | OFlag::O_CREAT | OPEN, mode)?;
    let stat = fstat(&file)?;
    let closed = is_file(&stat) && is_ours(&stat) && stat.st_mode & 0o077 == 0;
    closed.then(|| File::from(file)).ok_or(Errno::EPERM)
}

/// Lets a group read the ledger. Root's own needs no leave: a handler with a spool of
/// root's (the demo's) takes it from nobody.
pub(super) fn let_read(ledger: &File, group: u32) {
    if group != 0 && fstat(ledger).is_ok_and(|stat| stat.st_gid != group) {
        let _ = fchown(ledger, None, Some(Gid::from_raw(group)));
    }
}

/// The words of a ledger for who may only read it; `None` when it is not one.
pub(super) fn read(file: &File) -> Option<Vec<u64>> {
    let mut bytes = vec![0; BYTES.saturating_add(1)];
    let length = pread(file, &mut bytes, 0).ok()?;
    let (words, _) = bytes.get(..length).filter(|bytes| bytes.len() == BYTES)?.as_chunks::<8>();
    Some(words.iter().map(|word| u64::from_ne_bytes(*word)).collect())
}

/// Whether nobody but root, or this user, can have written it.
pub(super) fn is_roots(file: &File) -> bool {
    is_of(file, 0)
}

/// Whether nobody but root, `owner` or this user can have written it.
pub(super) fn is_of(file: &File, owner: u32) -> bool {
    let theirs = |stat: &FileStat| [0, owner, geteuid().as_raw()].contains(&stat.st_uid);
    fstat(file).is_ok_and(|stat| is_file(&stat) && theirs(&stat) && stat.st_mode & 0o022 == 0)
}

/// One word of it.
pub(super) fn word(file: &File, index: usize) -> Option<u64> {
    let mut word = [0; 8];
    let at = libc::off_t::try_from(index.checked_mul(word.len())?).ok()?;
    (pread(file, &mut word, at).ok()? == word.len()).then(|| u64::from_ne_bytes(word))
}

/// One byte of a file, for a lock of the open file description (fcntl(2)).
pub(super) fn byte(start: u64, kind: libc::c_int) -> Result<libc::flock, Errno> {
    Ok(libc::flock {
        l_type: i16::try_from(kind).map_err(|_| Errno::EINVAL)?,
        l_whence: i16::try_from(libc::SEEK_SET).map_err(|_| Errno::EINVAL)?,
        l_start: libc::off_t::try_from(start).map_err(|_| Errno::EINVAL)?,
        l_len: 1,
        l_pid: 0,
    })
}

fn is_ours(stat: &FileStat) -> bool {
    stat.st_uid == geteuid().as_raw() && stat.st_mode & 0o022 == 0
}

fn is_file(stat: &FileStat) -> bool {
    stat.st_mode & libc::S_IFMT == libc::S_IFREG && stat.st_nlink == 1
}

fn is_trusted(file: &OwnedFd, boot: &[u8; 16]) -> bool {
    let Ok(stat) = fstat(file) else { return false };
    let size = usize::try_from(stat.st_size) == Ok(BYTES);
    let there = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(BLOCK) >= BYTES as u64;
    let mut begins = [0; HEADER * 8];
    let read = pread(file, &mut begins, 0);
    is_file(&stat) && is_ours(&stat) && size && there && read == Ok(begins.len()) && begins == head(boot)
}

fn head(boot: &[u8; 16]) -> [u8; HEADER * 8] {
    let mut bytes = [0; HEADER * 8];
    let words = header(boot).into_iter().flat_map(u64::to_ne_bytes);
    bytes.iter_mut().zip(words).for_each(|(to, from)| *to = from);
    bytes
}

/// Removes what was opened, if it is still what bears the name.
fn remove(directory: &OwnedFd, opened: Option<FileStat>) -> Result<(), Errno> {
    let named = fstatat(directory, FILE, AtFlags::AT_SYMLINK_NOFOLLOW);
    let other = |seen: FileStat| named.is_ok_and(|named| named.st_ino != seen.st_ino);
    if opened.is_some_and(other) {
        return Ok(());
    }
    match unlinkat(directory, FILE, UnlinkatFlags::NoRemoveDir) {
        Err(Errno::ENOENT) => Ok(()),
        other => other,
    }
}

fn make(directory: &OwnedFd, boot: &[u8; 16]) -> Result<(), Errno> {
    let mode = Mode::from_bits_truncate(0o640);
    let file = openat(directory, ".", OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC, mode)?;
    fchmod(&file, mode)?;
    posix_fallocate(&file, 0, libc::off_t::try_from(BYTES).map_err(|_| Errno::EFBIG)?)?;
    let head = head(boot);
    let secret = secret()?;
    let at = libc::off_t::try_from(SECRET.saturating_mul(8)).map_err(|_| Errno::EFBIG)?;
    if pwrite(file.as_fd(), &head, 0)? != head.len() || pwrite(file.as_fd(), &secret, at)? != secret.len() {
        return Err(Errno::EIO);
    }
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    linkat(AT_FDCWD, path.as_str(), directory, FILE, AtFlags::AT_SYMLINK_FOLLOW)
}

/// Random bytes, before anything confines.
fn secret() -> Result<[u8; 16], Errno> {
    let mut bytes = [0; 16];
    let mut file = File::open("/dev/urandom").map_err(|error| errno(&error))?;
    std::io::Read::read_exact(&mut file, &mut bytes).map_err(|error| errno(&error))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    const BOOT: [u8; 16] = [7; 16];

    fn inode(file: &File) -> u64 {
        file.metadata().unwrap().ino()
    }

    #[test]
    fn the_ledger_is_made_once_closed_to_others_and_with_all_its_blocks() {
        let place = tempfile::tempdir().unwrap();
        let run = place.path().join("a/run");
        let directory = directory(&run).unwrap();
        let first = ledger(&directory, &BOOT).unwrap();
        let facts = first.metadata().unwrap();
        assert_eq!((facts.len(), facts.mode() & 0o7777), (BYTES as u64, 0o640));
        assert!(facts.blocks() * BLOCK >= BYTES as u64);
        assert_eq!(inode(&ledger(&directory, &BOOT).unwrap()), inode(&first));
        assert_eq!(std::fs::read_dir(&run).unwrap().count(), 1, "nothing else is left there");
        assert_eq!(read(&first).unwrap()[..HEADER], header(&BOOT));
    }

    /// Puts something in the ledger's place; a new one must come and take it.
    fn is_replaced(what: &str, spoil: impl FnOnce(&Path)) {
        let place = tempfile::tempdir().unwrap();
        std::fs::set_permissions(place.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let directory = directory(place.path()).unwrap();
        // Held, so that its number is nobody else's.
        let old = ledger(&directory, &BOOT).unwrap();
        spoil(&place.path().join(FILE));
        let new = ledger(&directory, &BOOT).unwrap_or_else(|errno| panic!("{what}: {errno}"));
        assert_ne!(inode(&new), inode(&old), "{what}");
        assert!(is_trusted(&OwnedFd::from(new), &BOOT), "{what}");
    }

    #[test]
    fn what_is_not_a_whole_ledger_of_this_boot_is_replaced() {
        let rewrite = |path: &Path, change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = std::fs::read(path).unwrap();
            change(&mut bytes);
            std::fs::write(path, bytes).unwrap();
        };
        is_replaced("another boot", |path| rewrite(path, &|bytes| bytes[16] ^= 1));
        is_replaced("another version", |path| rewrite(path, &|bytes| bytes[12] ^= 1));
        is_replaced("another magic", |path| rewrite(path, &|bytes| bytes[0] ^= 1));
        is_replaced("cut", |path| rewrite(path, &|bytes| bytes.truncate(4096)));
        is_replaced("longer", |path| rewrite(path, &|bytes| bytes.push(0)));
        is_replaced("of others", |path| {
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o666)).unwrap();
        });
        is_replaced("a second name", |path| std::fs::hard_link(path, path.with_extension("x")).unwrap());
        is_replaced("a link", |path| {
            std::fs::rename(path, path.with_extension("x")).unwrap();
            std::os::unix::fs::symlink(path.with_extension("x"), path).unwrap();
        });
        is_replaced("a hole", |path| {
            let whole = std::fs::read(path).unwrap();
            let file = File::create(path).unwrap();
            file.set_len(whole.len() as u64).unwrap();
            pwrite(&file, &whole[..64], 0).unwrap();
        });
    }

    #[test]
    fn a_directory_in_which_others_may_write_has_no_ledger() {
        let place = tempfile::tempdir().unwrap();
        std::fs::set_permissions(place.path(), PermissionsExt::from_mode(0o777)).unwrap();
        assert_eq!(directory(place.path()).unwrap_err(), Errno::EPERM);
    }
}
