//! How many pending records gave way to newer ones: `.evicted`.
//!
//! ```text
//! 16 bytes a time: u64 how many, u32 CRC32C of those eight, u32 0
//! ```
//!
//! A number for the fleet: without it a host whose spool overflows looks
//! healthier than it is. Appended (O_APPEND: whole, whoever else writes), not
//! synced: a power cut loses the last few, and a torn entry counts nothing. Who
//! counts the spool writes a long file anew as one entry; what another writer
//! appends in that moment is lost.

use std::os::fd::{AsFd, BorrowedFd};

use nix::fcntl::{OFlag, renameat};
use nix::sys::stat::fstat;

use super::reader::read_own;
use super::writer::write_all;
use super::{Reader, Spool};
use crate::{bytes::Bytes, limits};

pub(super) const FILE: &str = ".evicted";
pub(super) const NEXT: &str = ".evicted.tmp";
const ENTRY: usize = 16;
/// Twice what is ever kept.
const MOST: usize = limits::SPOOL_TALLY * ENTRY * 2;

impl Spool {
    /// How many pending crash records the quota has cost, since the spool was
    /// made.
    pub fn evicted(&self) -> u64 {
        read(self.public.dir.as_fd())
    }

    /// Adds to it.
    pub(super) fn note_evicted(&self, count: u64) {
        if count == 0 {
            return;
        }
        let flags = OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CREAT;
        let Ok(file) = self.own_file(FILE, flags, 0o640) else { return };
        let _ = write_all(file.as_fd(), &entry(count));
        let most = i64::try_from(limits::SPOOL_TALLY.saturating_mul(ENTRY)).unwrap_or(i64::MAX);
        if fstat(&file).is_ok_and(|stat| stat.st_size > most) {
            self.shorten();
        }
    }

    fn shorten(&self) {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC;
        let Ok(file) = self.own_file(NEXT, flags, 0o640) else { return };
        if write_all(file.as_fd(), &entry(self.evicted())).is_ok() {
            let _ = renameat(&self.public.dir, NEXT, &self.public.dir, FILE);
        }
    }
}

impl Reader {
    /// The same as [`Spool::evicted`], for who may only read.
    pub fn evicted(&self) -> u64 {
        read(self.public())
    }
}

fn entry(count: u64) -> [u8; ENTRY] {
    let count = count.to_le_bytes();
    let mut entry = [0; ENTRY];
    let bytes = count.into_iter().chain(crc32c::crc32c(&count).to_le_bytes());
    entry.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    entry
}

fn read(dir: BorrowedFd<'_>) -> u64 {
    let text = read_own(dir, FILE, MOST).unwrap_or_default();
    let mut bytes = Bytes::new(&text);
    let mut sum = 0u64;
    while let Some(entry) = bytes.take(ENTRY) {
        let whole = entry.range(0, 8).map(|count| crc32c::crc32c(count.as_slice())) == entry.u32(8);
        sum = sum.saturating_add(entry.u64(0).filter(|_| whole).unwrap_or(0));
    }
    sum
}
