//! Which executable crashed: one number for a file, as long as the host runs.
//!
//! Device, inode and time of change of the file behind /proc/TID/exe, hashed:
//! three numbers of one fstat(2), so that the crashed process is held for
//! microseconds. The build-id would be a read of its first page and a walk over
//! its notes, ten times as much, and would tell no more: a running file cannot
//! be written to, and what replaces it has another inode, or, where a
//! filesystem gives the same inode again, another time. Copies of one program
//! (a container's layers) have buckets of their own and share the one of all.

use std::hash::Hasher;

use nix::sys::stat::FileStat;
use siphasher::sip::SipHasher24;

/// An executable. Under the boot id: it means nothing on another host or boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub u64);

impl Key {
    /// Of a file as fstat(2) tells it; of none, what cannot be told apart.
    pub fn of(boot: &[u8; 16], file: Option<&FileStat>) -> Key {
        let mut hasher = SipHasher24::new_with_key(boot);
        if let Some(file) = file {
            hasher.write_u64(file.st_dev);
            hasher.write_u64(file.st_ino);
            hasher.write_i64(file.st_mtime);
            hasher.write_i64(file.st_mtime_nsec);
        }
        // 0 is an empty place of the table.
        Key(hasher.finish().max(1))
    }
}
