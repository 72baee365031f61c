//! What the crash handlers of this boot counted, and what the boots before had
//! when they ended.

use std::collections::HashMap;
use std::path::Path;

use crate::process::{Directory, Exe};
use crate::record::{Hex, Lost, Previous, SuppressedBy, text};
use crate::spool::Spool;
use crate::storm::{Kept, Key, Snapshot, Sums, Totals, ask};

/// The handlers' ledger, and the names of what was suppressed.
pub(super) struct Storms {
    boot: [u8; 16],
    secret: [u8; 16],
    snapshot: Option<Snapshot>,
    /// Suppressed executables, and what the walk found out of them.
    names: HashMap<Key, Option<Vec<u8>>>,
}

impl Storms {
    /// Reads the ledger in `run`, as root.
    pub(super) fn read(run: &Path, boot: [u8; 16]) -> Storms {
        let snapshot = Snapshot::read(run, boot);
        let most = snapshot.as_ref().map(|snapshot| snapshot.most_suppressed().0).unwrap_or_default();
        let secret = snapshot.as_ref().map(Snapshot::secret).unwrap_or_default();
        Storms { boot, secret, snapshot, names: most.into_iter().map(|(key, _)| (key, None)).collect() }
    }

    /// The walk met this executable, under this path, run by this user.
    pub(super) fn meet(&mut self, exe: &Exe, path: &[u8], user: impl FnOnce() -> Option<u32>) {
        let Some(file) = exe.stat.as_ref().filter(|_| !self.names.is_empty()) else { return };
        let Some(uid) = user() else { return };
        if let Some(name) = self.names.get_mut(&Key::of(&self.secret, file, uid)) {
            name.get_or_insert_with(|| path.to_vec());
        }
    }

    /// Adds the numbers to a report.
    pub(super) fn tell(&self, lost: &mut Lost, kept: Option<Kept>) {
        let before = kept.map(|kept| kept.before).unwrap_or_default();
        lost.previous = Previous {
            suppressed: before.suppressed,
            unanalysed: before.unanalysed,
            failed: before.failed,
            handlers: before.lost,
        };
        let (Some(snapshot), Some(totals)) = (&self.snapshot, self.totals()) else { return };
        lost.begun = Some(totals.begun);
        lost.suppressed = Some(totals.suppressed);
        lost.unanalysed = Some(totals.unanalysed);
        lost.failed = Some(totals.failed);
        lost.handlers = totals.lost;
        lost.by = snapshot.most_suppressed().0.into_iter().map(|(key, n)| self.by(key, n)).collect();
    }

    fn by(&self, key: Key, n: u64) -> SuppressedBy {
        let name = self.names.get(&key).and_then(Option::as_ref);
        SuppressedBy { hash: Hex(key.0), exe: name.map(|name| text(name)), n }
    }

    /// What is kept in the spool, by a handler of this boot or, before the first
    /// one, of the boot before.
    pub(super) fn kept(&self, spool: &Spool) -> Option<Kept> {
        let old = spool.storm().and_then(|text| Kept::parse(&text))?;
        let now = || self.totals().map(Sums::from).unwrap_or_default();
        Some(if old.is_of(&self.boot) { old } else { Kept::next(Some(old), &self.boot, now()) })
    }

    fn totals(&self) -> Option<Totals> {
        let proc_root = Directory::open(Path::new("/proc")).ok();
        Some(self.snapshot.as_ref()?.totals(&ask(proc_root.as_ref())))
    }
}
