//! Which executable crashed, and whose: one number, as long as the ledger is there.
//!
//! The user by the kernel's word, or anybody could use up what the interpreter of a
//! system service may leave. A user has a number too: programs are easily made, users
//! are not. Device, inode and time of change of the file behind /proc/TID/exe, hashed:
//! three numbers of one fstat(2), so that the crashed process is held for
//! microseconds. The build-id would be a read of its first page and a walk over
//! its notes, ten times as much, and would tell no more: a running file cannot
//! be written to, and what replaces it has another inode, or, where a
//! filesystem gives the same inode again, another time. Copies of one program
//! (a container's layers) have buckets of their own and share the one of all.

use std::hash::Hasher;

use nix::sys::stat::FileStat;
use siphasher::sip::SipHasher24;

/// An executable or a user, hashed under the ledger's secret: it means nothing elsewhere.
/// The highest bit is never set: the table needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub u64);

impl Key {
    /// Of a file as fstat(2) tells it, run by this user.
    pub fn of(secret: &[u8; 16], file: &FileStat, uid: u32) -> Key {
        let mut hasher = SipHasher24::new_with_key(secret);
        hasher.write_u32(uid);
        hasher.write_u64(file.st_dev);
        hasher.write_u64(file.st_ino);
        hasher.write_i64(file.st_mtime);
        hasher.write_i64(file.st_mtime_nsec);
        Key::from(hasher)
    }

    /// Of a user; `None` above 65,535, where a user namespace has its numbers: one user
    /// has 65,536 of them, and no share for each.
    pub fn of_user(secret: &[u8; 16], uid: u32) -> Option<Key> {
        let mut hasher = SipHasher24::new_with_key(secret);
        hasher.write_u32(uid);
        (uid >> 16 == 0).then(|| Key::from(hasher))
    }

    fn from(hasher: SipHasher24) -> Key {
        // 0 is an empty place of the table.
        Key((hasher.finish() >> 1).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::stat;

    #[test]
    fn a_copy_a_successor_and_another_ledger_are_others() {
        let place = tempfile::tempdir().unwrap();
        let (first, copy) = (place.path().join("a"), place.path().join("b"));
        std::fs::write(&first, "program").unwrap();
        std::fs::copy(&first, &copy).unwrap();
        let key = |secret: u8, path| Key::of(&[secret; 16], &stat(path).unwrap(), 998);
        let was = key(1, &first);
        assert_eq!(was, key(1, &first));
        assert_ne!(was, key(1, &copy));
        assert_ne!(was, key(2, &first));
        // An inode that a filesystem gave again, at another time.
        let later = std::time::SystemTime::now() + std::time::Duration::from_nanos(1_000_007);
        std::fs::File::options().write(true).open(&first).unwrap().set_modified(later).unwrap();
        assert_ne!(was, key(1, &first));
    }

    #[test]
    fn the_users_of_a_namespace_have_no_share_of_their_own() {
        let of = |uid| Key::of_user(&[3; 16], uid);
        assert_eq!((of(65_536), of(165_600)), (None, None));
        assert_ne!(of(0), of(998));
        assert!((0..=65_535).map(of).all(|key| key.is_some_and(|key| key.0 >> 63 == 0)));
    }
}
