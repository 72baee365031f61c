//! At most so many handlers analyse at once.
//!
//! A slot is a byte of a file of root's, locked through the handler's own open
//! file description (F_OFD_SETLK): nobody waits for it, no user can hold it, and
//! it is free again in the moment in which its holder ends, however it ends.

use std::fs::File;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use crate::limits;

/// Takes one of `count` slots until the file is closed; `first` is where to
/// look first, so that handlers look at different ones.
pub(super) fn take(file: &File, count: u64, first: u32) -> bool {
    let count = count.clamp(1, limits::SLOTS);
    (0..count).any(|step| {
        let byte = u64::from(first).saturating_add(step).checked_rem(count).unwrap_or(0);
        lock(file, byte).is_ok()
    })
}

/// How many slots there are when nobody says.
pub(super) fn by_cpus() -> u64 {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    u64::try_from(cpus).unwrap_or(1).saturating_mul(limits::SLOTS_PER_CPU)
}

fn lock(file: &File, byte: u64) -> Result<(), Errno> {
    let start = libc::off_t::try_from(byte).map_err(|_| Errno::EINVAL)?;
    let (kind, from) = (libc::F_WRLCK, libc::SEEK_SET);
    let range = libc::flock {
        l_type: i16::try_from(kind).map_err(|_| Errno::EINVAL)?,
        l_whence: i16::try_from(from).map_err(|_| Errno::EINVAL)?,
        l_start: start,
        l_len: 1,
        l_pid: 0,
    };
    fcntl(file, FcntlArg::F_OFD_SETLK(&range)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_as_were_said_and_each_ends_with_its_holder() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("slots");
        let open =
            || File::options().create(true).truncate(false).write(true).read(true).open(&path).unwrap();
        let mut holders: Vec<File> = (0..3).map(|_| open()).collect();
        for (first, holder) in holders.iter().enumerate() {
            assert!(take(holder, 3, 7 + first as u32));
        }
        let fourth = open();
        assert!(!take(&fourth, 3, 0));
        drop(holders.remove(1));
        assert!(take(&fourth, 3, 0));
        assert!(!take(&open(), 3, 2));
    }
}
