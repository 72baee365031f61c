//! Crashes of this boot that left less than a full record, in one line.

use std::path::Path;

use crate::process::Directory;
use crate::report::amount;
use crate::storm::{Snapshot, Totals, ask};

/// What the ledger in `run` says; `None` when it says nothing, or to nobody
/// like us.
pub(super) fn totals(run: &Path, boot: [u8; 16]) -> Option<Totals> {
    let proc_root = Directory::open(Path::new("/proc")).ok();
    Some(Snapshot::read(run, boot)?.totals(&ask(proc_root.as_ref())))
}

/// "812 crashes suppressed by the throttle, 2 handlers lost, of 1,024 since
/// boot"; `None` when every crash left a full record.
pub(super) fn words(totals: &Totals) -> Option<String> {
    let lost = totals.lost.unwrap_or(0);
    let crashes =
        |n: u64| if n == 1 { "1 crash".to_owned() } else { format!("{} crashes", amount::count(n)) };
    let all = [
        (totals.suppressed, format!("{} suppressed by the throttle", crashes(totals.suppressed))),
        (totals.unanalysed, format!("{} not analysed for want of a slot", crashes(totals.unanalysed))),
        (totals.failed, format!("{} ended by an error (the kernel's log has it)", crashes(totals.failed))),
        (lost, format!("{} lost", amount::of(lost, "handler"))),
    ];
    let words: Vec<String> = all.into_iter().filter(|(n, _)| *n > 0).map(|(_, words)| words).collect();
    (!words.is_empty()).then(|| format!("{}, of {} since boot", words.join(", "), crashes(totals.begun)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_of_a_boot_in_which_every_crash_left_its_record() {
        let calm = Totals { begun: 7, recorded: 7, lost: Some(0), ..Totals::default() };
        assert_eq!(words(&calm), None);
        let storm = Totals { begun: 1024, recorded: 210, suppressed: 812, lost: Some(2), ..calm };
        let told = "812 crashes suppressed by the throttle, 2 handlers lost, of 1,024 crashes since boot";
        assert_eq!(words(&storm).as_deref(), Some(told));
        assert_eq!(words(&Totals { lost: None, ..calm }), None);
    }
}
