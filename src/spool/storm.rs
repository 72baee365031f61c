//! The numbers of crashes that left no record, beyond a power cut: `.throttle`.
//!
//! A few lines of text that are the storm room's; here they are bytes. Replaced
//! as a whole and synced, by whoever finds that it is time: two who write at
//! once leave one of theirs, or something torn, which says nothing.

use std::os::fd::AsFd;

use nix::fcntl::{OFlag, renameat};
use nix::unistd::fsync;

use super::reader::read_own;
use super::writer::write_all;
use super::{Spool, SpoolError, Step};
use crate::limits;

pub(super) const FILE: &str = ".throttle";
pub(super) const NEXT: &str = ".throttle.tmp";

impl Spool {
    /// What was kept.
    pub fn storm(&self) -> Option<Vec<u8>> {
        read_own(self.public.dir.as_fd(), FILE, limits::STORM_KEPT).ok()
    }

    /// Keeps these bytes in its place.
    pub fn keep_storm(&self, bytes: &[u8]) -> Result<(), SpoolError> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC;
        let file = self.own_file(NEXT, flags, 0o640).map_err(SpoolError::at(Step::Create))?;
        write_all(file.as_fd(), bytes)?;
        fsync(&file).map_err(SpoolError::at(Step::Sync))?;
        renameat(&self.public.dir, NEXT, &self.public.dir, FILE).map_err(SpoolError::at(Step::Rename))
    }
}

#[cfg(test)]
mod tests {
    use crate::spool::{Reader, Spool, initialise};

    #[test]
    fn it_is_replaced_as_a_whole_and_no_record() {
        let place = tempfile::tempdir().unwrap();
        initialise(place.path(), None).unwrap();
        let spool = Spool::open(place.path()).unwrap();
        assert_eq!(spool.storm(), None);
        spool.keep_storm(b"a longer text").unwrap();
        spool.keep_storm(b"a text").unwrap();
        assert_eq!(spool.storm().as_deref(), Some(&b"a text"[..]));
        let listing = Reader::of(&spool).unwrap().list().unwrap();
        assert_eq!((listing.entries.len(), listing.temporaries, listing.strangers), (0, 0, 0));
        std::fs::write(place.path().join(super::FILE), vec![0; 5000]).unwrap();
        assert_eq!(spool.storm(), None, "that much is nobody's here");
    }
}
