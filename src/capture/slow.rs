//! What may never answer: files on a file system that asks somebody else (a server, a
//! program of the user's). While the task is held nothing of them is opened, asked or
//! faulted in, because a wait for them ends with an answer or with the handler: their
//! pages that are there are read, what is missing is a gap.
//!
//! By its path a file lies on a mount that mountinfo lists, and mostly that is one that
//! answers by itself. A mount that was detached is in no list. So a page of any file
//! that is not there yet is fetched only when the file's own mount is known.

use std::cell::OnceCell;
use std::fs::File;

use crate::address::AddrRange;
use crate::gap::{Gap, Stage};
use crate::memory::Plan;
use crate::process::{Dying, Mapping, absent};

/// A mapped file.
#[derive(Debug)]
struct Mapped {
    range: AddrRange,
    /// Whether its file system may never answer.
    slow: OnceCell<bool>,
}

/// The mappings of files.
#[derive(Default)]
pub(super) struct Slow<'a> {
    /// By address.
    files: Vec<Mapped>,
    pagemap: Option<File>,
    dying: Option<&'a Dying<'a>>,
}

impl<'a> Slow<'a> {
    /// Looks where the files of these mappings lie.
    pub(super) fn of(mappings: &[Mapping], dying: Option<&'a Dying<'a>>, gaps: &mut Vec<Gap>) -> Slow<'a> {
        let Some(process) = dying else { return Slow::default() };
        let (mut remote, mut kind): (Vec<&[u8]>, &str) = (Vec::new(), "");
        let mut files = Vec::new();
        for mapping in mappings.iter().filter(|mapping| mapping.path.starts_with(b"/")) {
            let slow = OnceCell::new();
            if let Some(own) = process.mounts().remote(&mapping.path) {
                kind = own;
                remote.push(&mapping.path);
                let _ = slow.set(true);
            }
            files.push(Mapped { range: mapping.range, slow });
        }
        if !remote.is_empty() {
            remote.sort_unstable();
            remote.dedup();
            let what = format!("files on {kind} are not opened while the process is held");
            gaps.push(Gap::counted(Stage::Module, what, remote.len() as u64));
        }
        files.sort_unstable_by_key(|file| file.range.start);
        Slow { files, pagemap: process.pagemap(), dying }
    }

    /// A file that is not to be touched.
    pub(super) fn has(&self, path: &[u8]) -> bool {
        self.dying.is_some_and(|dying| dying.mounts().remote(path).is_some())
    }

    /// Whether reading these bytes waits for nobody.
    pub(super) fn may_read(&self, range: AddrRange) -> bool {
        self.gone(range).is_empty()
    }

    /// A plan that waits for nobody.
    pub(super) fn without(&self, plan: Plan, gaps: &mut Vec<Gap>) -> Plan {
        let gone: Vec<AddrRange> = plan.ranges().iter().flat_map(|range| self.gone(*range)).collect();
        if gone.is_empty() {
            return plan;
        }
        let bytes = gone.iter().fold(0u64, |sum, range| sum.saturating_add(range.len()));
        gaps.push(Gap::counted(Stage::Memory, "bytes of files that would have to be fetched", bytes));
        plan.without(gone)
    }

    /// What of a range would have to be fetched from who may never answer.
    fn gone(&self, range: AddrRange) -> Vec<AddrRange> {
        let first = self.files.partition_point(|file| file.range.end <= range.start);
        let files = self.files.get(first..).unwrap_or(&[]);
        let touched = files.iter().map_while(|file| Some((file, file.range.intersect(&range)?)));
        touched
            .flat_map(|(file, part)| {
                let mut absent = absent(self.pagemap.as_ref(), part);
                if !absent.is_empty() && !self.is_slow(file) {
                    absent.clear();
                }
                absent
            })
            .collect()
    }

    fn is_slow(&self, file: &Mapped) -> bool {
        let unknown = || self.dying.is_some_and(|dying| dying.is_local(file.range) == Some(false));
        *file.slow.get_or_init(unknown)
    }
}
