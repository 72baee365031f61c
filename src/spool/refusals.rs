//! Why a collector refused what it refused: `.refusals`, the last few.
//!
//! One line each: id, tab, reason. Rewritten as a whole and renamed over the
//! old one, so that a power cut leaves the old or the new list. The states
//! themselves are in the names; this file only explains them, and a missing or
//! foreign one explains nothing. Limits: limits::SPOOL_REFUSALS lines of
//! limits::SPOOL_REASON bytes.

use std::os::fd::{AsFd, BorrowedFd};

use nix::fcntl::{OFlag, renameat};
use nix::unistd::fsync;

use super::escape::{escape, unescape};
use super::reader::read_own;
use super::writer::write_all;
use super::{Reader, RecordId, Spool, SpoolError, Step};
use crate::limits;

pub(super) const FILE: &str = ".refusals";
pub(super) const NEXT: &str = ".refusals.tmp";
/// An id, a reason of which every byte was escaped, a tab and a newline.
const LINE: usize = limits::SPOOL_REASON * 4 + 34;

impl Spool {
    /// Which items were refused last, and why, in the collector's words
    /// (untrusted text); the newest last.
    pub fn refusals(&self) -> Vec<(RecordId, String)> {
        read(self.public.dir.as_fd())
    }

    /// Adds one reason. On disk when the directory is synced.
    pub(super) fn note_refusal(&self, id: RecordId, why: &str) -> Result<(), SpoolError> {
        let mut all = self.refusals();
        all.push((id, why.to_owned()));
        let old = all.len().saturating_sub(limits::SPOOL_REFUSALS);
        let line = |(id, why): &(RecordId, String)| format!("{id}\t{}\n", escape(why, limits::SPOOL_REASON));
        let text: String = all.iter().skip(old).map(line).collect();
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC;
        let file = self.own_file(NEXT, flags, 0o640).map_err(SpoolError::at(Step::Create))?;
        write_all(file.as_fd(), text.as_bytes())?;
        fsync(&file).map_err(SpoolError::at(Step::Sync))?;
        renameat(&self.public.dir, NEXT, &self.public.dir, FILE).map_err(SpoolError::at(Step::Rename))
    }
}

impl Reader {
    /// The same as [`Spool::refusals`], for who may only read.
    pub fn refusals(&self) -> Vec<(RecordId, String)> {
        read(self.public())
    }
}

fn read(dir: BorrowedFd<'_>) -> Vec<(RecordId, String)> {
    let most = limits::SPOOL_REFUSALS.saturating_mul(LINE);
    let text = read_own(dir, FILE, most).unwrap_or_default();
    let line = |line: &str| {
        let (id, why) = line.split_once('\t')?;
        Some((RecordId::from_hex(id.as_bytes())?, unescape(why)))
    };
    String::from_utf8_lossy(&text).lines().filter_map(line).collect()
}
