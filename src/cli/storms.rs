//! Crashes of this boot that left less than a full record, in one line.

use std::path::Path;

use crate::process::Directory;
use crate::record::Id;
use crate::report::amount;
use crate::report::escape::clean;
use crate::storm::{Cause, Epitaph, Snapshot, Totals, ask};

/// What a ledger says of the crashes.
pub(super) fn totals(ledger: &Snapshot) -> Totals {
    let proc_root = Directory::open(Path::new("/proc")).ok();
    ledger.totals(&ask(proc_root.as_ref()))
}

/// "2 handlers died of themselves; the last while unwinding, of signal 11, …"; `None`
/// when none did.
pub(super) fn deaths(ledger: &Snapshot) -> Option<String> {
    let (count, epitaphs) = ledger.epitaphs();
    let last = epitaphs.first()?;
    Some(format!("{} died of a bug; the last {}", amount::of(count, "handler"), epitaph(last)))
}

/// "in stage unwind, of signal 11, at the crash of thread 4242 (record …1f0c)".
fn epitaph(one: &Epitaph) -> String {
    let stage = format!("{:?}", one.stage).to_lowercase();
    let cause = match &one.cause {
        Cause::Panic(file, line) => format!("of a panic at {}:{line}", clean(file)),
        Cause::Signal(signal) => format!("of signal {signal}"),
    };
    let id = Id(one.record.to_vec()).hex();
    let record = match one.record == [0; 16] {
        true => "before a record was begun".to_owned(),
        false => format!("record {}", id.get(id.len().saturating_sub(8)..).unwrap_or(&id)),
    };
    format!("in stage {stage}, {cause}, at the crash of thread {} ({record})", one.task)
}

/// The same of a run directory of this host, for whoever may read its ledger.
pub(super) fn here(run: &Path) -> Option<String> {
    words(&Snapshot::read(run, crate::hardware::boot_id()?)?)
}

/// "812 crashes suppressed by the throttle (the last 3 min 2 s ago), 2 handlers lost, of
/// 1,024 since boot"; `None` when every crash left a full record.
pub(super) fn words(ledger: &Snapshot) -> Option<String> {
    let now = crate::syscall::clocks().1;
    let ago = ledger.last_suppressed().zip(now).map(|(at, now)| now.saturating_sub(at));
    told(&totals(ledger), ago)
}

fn told(totals: &Totals, ago: Option<u64>) -> Option<String> {
    let lost = totals.lost.unwrap_or(0);
    let last = ago.map(|ago| format!(" (the last {} ago)", amount::duration_ns(ago))).unwrap_or_default();
    let crashes = |n: u64| amount::of(n, "crash");
    let all = [
        (totals.suppressed, format!("{} suppressed by the throttle{last}", crashes(totals.suppressed))),
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
        assert_eq!(told(&calm, None), None);
        let storm = Totals { begun: 1024, recorded: 210, suppressed: 812, lost: Some(2), ..calm };
        let words = "812 crashes suppressed by the throttle, 2 handlers lost, of 1,024 crashes since boot";
        assert_eq!(told(&storm, None).as_deref(), Some(words));
        assert!(
            told(&storm, Some(182_000_000_000)).unwrap().contains("throttle (the last 3 min 2 s ago), 2")
        );
        assert_eq!(told(&Totals { lost: None, ..calm }, Some(1)), None);
    }

    #[test]
    fn last_words_name_stage_cause_thread_and_record_and_obey_nobody() {
        let mut one = Epitaph {
            at: 1,
            stage: crate::gap::Stage::Unwind,
            cause: Cause::Signal(11),
            task: 4242,
            record: [0; 16],
        };
        let before = "in stage unwind, of signal 11, at the crash of thread 4242 (before a record was begun)";
        assert_eq!(epitaph(&one), before);
        one.record[15] = 0x1f;
        one.cause = Cause::Panic("walk\u{1b}[2J.rs".into(), 7);
        let words = epitaph(&one);
        assert!(words.ends_with("(record 0000001f)") && !words.contains('\u{1b}'), "{words}");
    }
}
