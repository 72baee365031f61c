//! What may never answer: files on a file system that asks somebody else (a server, a
//! program of the user's). While the task is held nothing of them is opened, asked or
//! faulted in, because a wait for them ends with an answer or with the handler: their
//! pages that are there are read, what is missing is a gap.

use std::fs::File;

use crate::address::AddrRange;
use crate::gap::{Gap, Stage};
use crate::memory::{Plan, is_resident};
use crate::process::{Dying, Mapping, Mounts};

/// Mappings of such files.
#[derive(Debug, Default)]
pub(super) struct Slow {
    ranges: Vec<AddrRange>,
    pagemap: Option<File>,
    mounts: Mounts,
}

impl Slow {
    /// Looks where the files of these mappings lie.
    pub(super) fn of(mappings: &[Mapping], dying: Option<&Dying>, gaps: &mut Vec<Gap>) -> Slow {
        let Some(dying) = dying else { return Slow::default() };
        let mut slow = Slow { mounts: dying.mounts(), ..Slow::default() };
        let (mut files, mut kind): (Vec<&[u8]>, &str) = (Vec::new(), "");
        for mapping in mappings {
            let Some(own) = slow.mounts.remote(&mapping.path) else { continue };
            kind = own;
            slow.ranges.push(mapping.range);
            files.push(&mapping.path);
        }
        if slow.ranges.is_empty() {
            return slow;
        }
        files.sort_unstable();
        files.dedup();
        let what = format!("files on {kind} are not opened while the process is held");
        gaps.push(Gap::counted(Stage::Module, what, files.len() as u64));
        slow.pagemap = dying.pagemap();
        slow
    }

    /// A file that is not to be touched.
    pub(super) fn has(&self, path: &[u8]) -> bool {
        self.mounts.remote(path).is_some()
    }

    /// Whether these bytes are of no such file, or their pages are there.
    pub(super) fn may_read(&self, range: AddrRange) -> bool {
        let mut touched = self.ranges.iter().filter_map(|slow| range.intersect(slow));
        touched.all(|range| is_resident(self.pagemap.as_ref(), range))
    }

    /// A plan that waits for nobody.
    pub(super) fn without(&self, plan: Plan, gaps: &mut Vec<Gap>) -> Plan {
        if self.ranges.is_empty() {
            return plan;
        }
        let (plan, bytes) = plan.resident(&self.ranges, self.pagemap.as_ref());
        if bytes > 0 {
            gaps.push(Gap::counted(Stage::Memory, "bytes of files that would have to be fetched", bytes));
        }
        plan
    }
}
