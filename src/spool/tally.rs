//! How much was written since the spool was last counted.
//!
//! ```text
//! .tally   0x00  magic "EPITALLY"
//!          0x08  records at the last count
//!          0x10  bytes at the last count
//!          0x18  CRC32C of 0x00 … 0x17        0x1c  0
//!          0x20  one u64 a write since: its bytes; the highest bit is set
//!                when it replaced a record that was counted already
//! ```
//!
//! A write appends eight bytes (O_APPEND: whole, whoever else writes), before
//! the record has its name: a writer that is killed later was counted. Adding
//! up is microseconds, where listing 10,000 names is milliseconds. What others
//! removed is not in it, so it errs towards counting too early; an unreadable
//! or overlong tally means "count now". It is never synced: after a power cut
//! it is at worst wrong, and being wrong costs one count. Only the owner can
//! open it (0600), so nobody else can hold its lock.

use std::fs::File;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::sys::stat::fstat;
use nix::sys::uio::pread;
use nix::unistd::ftruncate;

use super::Spool;
use super::writer::write_all;
use crate::{bytes::Bytes, limits};

pub(super) const FILE: &str = ".tally";
const MAGIC: &[u8; 8] = b"EPITALLY";
const BASE: usize = 0x20;
const REPLACES: u64 = 1 << 63;

/// Records and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) records: u64,
    pub(super) bytes: u64,
}

impl Amount {
    pub(super) fn add(&mut self, bytes: u64) {
        self.records = self.records.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// The open tally.
pub(super) struct Tally(File);

impl Tally {
    pub(super) fn open(spool: &Spool) -> Result<Tally, Errno> {
        spool.own_file(FILE, OFlag::O_RDWR | OFlag::O_APPEND | OFlag::O_CREAT, 0o600).map(Tally)
    }

    /// Notes one write. A full disk may refuse it: then the sum is too small
    /// until the next count.
    pub(super) fn note(&self, bytes: u64, replaces: bool) {
        let flag = if replaces { REPLACES } else { 0 };
        // Overlong already means "count now"; more entries say no more.
        let most = limits::SPOOL_TALLY.saturating_add(2).saturating_mul(8).saturating_add(BASE);
        if fstat(&self.0).is_ok_and(|stat| usize::try_from(stat.st_size).is_ok_and(|size| size > most)) {
            return;
        }
        let _ = write_all(self.0.as_fd(), &(bytes | flag).to_le_bytes());
    }

    /// The sum; `None`: it must be counted.
    pub(super) fn sum(&self) -> Option<Amount> {
        let mut text = vec![0; limits::SPOOL_TALLY.saturating_add(1).saturating_mul(8).saturating_add(BASE)];
        let length = pread(&self.0, &mut text, 0).ok()?;
        sum(Bytes::new(text.get(..length)?))
    }

    /// Takes the lock that one counter holds; `None`: another one counts.
    pub(super) fn lock(self) -> Option<Counting> {
        let lock = Flock::lock(self.0, FlockArg::LockExclusiveNonblock).ok()?;
        let from = fstat(&*lock).map_or(0, |stat| stat.st_size);
        Some(Counting { lock, from })
    }
}

/// A count that is under way.
pub(super) struct Counting {
    lock: Flock<File>,
    /// Notes behind this offset came while it was.
    from: i64,
}

/// Starts the tally again from a count. What was written meanwhile may not have
/// been counted: its notes stay, and err towards an early count.
pub(super) fn restart(counting: &Counting, counted: Amount) {
    let tally = &counting.lock;
    let mut later = vec![0; limits::SPOOL_TALLY.saturating_mul(8)];
    let length = pread(&**tally, &mut later, counting.from).unwrap_or(0);
    let mut base = Vec::with_capacity(BASE);
    base.extend_from_slice(MAGIC);
    base.extend_from_slice(&counted.records.to_le_bytes());
    base.extend_from_slice(&counted.bytes.to_le_bytes());
    base.extend_from_slice(&crc32c::crc32c(&base).to_le_bytes());
    base.extend_from_slice(&[0; 4]);
    base.extend_from_slice(later.get(..length).unwrap_or(&[]));
    if ftruncate(&**tally, 0).is_ok() {
        let _ = write_all(tally.as_fd(), &base);
    }
}

fn sum(mut text: Bytes<'_>) -> Option<Amount> {
    let mut base = text.take(BASE)?;
    let covered = base.range(0, 0x18)?;
    if base.u32(0x18)? != crc32c::crc32c(covered.as_slice()) || base.take(8)?.as_slice() != MAGIC {
        return None;
    }
    let mut amount = Amount { records: base.take_u64()?, bytes: base.take_u64()? };
    let mut entries = 0usize;
    while !text.is_empty() {
        match text.take_u64()? {
            0 => return None, // a hole that a power cut left
            write if write & REPLACES != 0 => amount.bytes = amount.bytes.saturating_add(write & !REPLACES),
            bytes => amount.add(bytes),
        }
        entries = entries.saturating_add(1);
    }
    (entries <= limits::SPOOL_TALLY).then_some(amount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_or_foreign_tally_asks_for_a_count() {
        let mut base = MAGIC.to_vec();
        base.extend_from_slice(&[3, 0, 0, 0, 0, 0, 0, 0, 99, 0, 0, 0, 0, 0, 0, 0]);
        base.extend_from_slice(&crc32c::crc32c(&base).to_le_bytes());
        base.extend_from_slice(&[0; 4]);
        assert_eq!(sum(Bytes::new(&base)), Some(Amount { records: 3, bytes: 99 }));
        base.extend_from_slice(&1u64.to_le_bytes());
        assert_eq!(sum(Bytes::new(&base)), Some(Amount { records: 4, bytes: 100 }));
        for length in (0..base.len()).filter(|n| *n != BASE) {
            assert_eq!(sum(Bytes::new(&base[..length])), None, "cut at {length}");
        }
        base.extend_from_slice(&(REPLACES | 5).to_le_bytes());
        assert_eq!(sum(Bytes::new(&base)), Some(Amount { records: 4, bytes: 105 }));
        base.extend_from_slice(&0u64.to_le_bytes());
        assert_eq!(sum(Bytes::new(&base)), None);
    }
}
