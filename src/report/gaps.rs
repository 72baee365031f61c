//! What could not be learned, in words, and what the capture cost.

use super::amount;
use super::escape::clean;
use super::facts::Fact;
use crate::gap::{Gap, Stage};
use crate::record::{Kind, Record};

/// A stage as it is called in a sentence.
pub fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Invocation => "the kernel's arguments",
        Stage::Confine => "confinement",
        Stage::Process => "/proc of the process",
        Stage::Elfcore => "the core's headers",
        Stage::Memory => "memory",
        Stage::Module => "modules",
        Stage::Unwind => "unwinding",
        Stage::Hardware => "the machine",
        Stage::Record => "the record's budget",
        Stage::Spool => "the spool",
        Stage::Unknown => "a stage that this version does not know",
    }
}

/// "unwinding: no frame description for the caller (3)".
pub fn words(gap: &Gap) -> String {
    let count = gap.count.map_or(String::new(), |n| format!(" ({})", amount::count(n)));
    format!("{}: {}{count}", stage(gap.stage), clean(&gap.reason))
}

/// How the record was made.
pub fn capture(record: &Record, full: bool) -> Vec<Fact> {
    let capture = &record.capture;
    let mut parts = vec![
        match record.kind {
            Kind::Minimal => "minimal record: the analysis did not finish",
            Kind::Full => "full record",
            Kind::Replay => "replayed from a core file",
        }
        .to_owned(),
    ];
    let us = |value: u64| amount::duration_ns(value.saturating_mul(1000));
    parts.extend(capture.held_us.map(|v| format!("process held {}", us(v))));
    parts.extend(capture.total_us.map(|v| format!("done in {}", us(v))));
    parts.extend(capture.source.as_deref().map(|s| format!("memory from {}", clean(s))));
    parts.extend(capture.kept_bytes.map(|b| format!("{} looked at", amount::bytes(b))));
    parts.extend(capture.core_bytes.map(|b| format!("the core would have been {}", amount::bytes(b))));
    if capture.killed {
        parts.push("ended with SIGKILL: release.sparse = \"kill\"".to_owned());
    }
    let mut out = vec![("capture", parts.join(", "))];
    out.extend(storm(record));
    if full {
        out.extend(details(record));
    }
    out
}

/// The crashes of this boot that left less, until then.
fn storm(record: &Record) -> Option<Fact> {
    let storm = &record.storm;
    let all = [
        (storm.own, "of this program suppressed"),
        (storm.suppressed, "suppressed in all"),
        (storm.unanalysed, "not analysed"),
        (storm.failed, "ended by an error"),
        (storm.lost, "whose handler was lost"),
    ];
    let told: Vec<String> =
        all.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", amount::count(*n))).collect();
    (!told.is_empty()).then(|| ("storms", format!("crashes since boot: {}", told.join(", "))))
}

fn details(record: &Record) -> Vec<Fact> {
    let capture = &record.capture;
    let mut parts = Vec::new();
    parts.extend(capture.version.as_deref().map(|v| format!("epicore {}", clean(v))));
    parts.push(format!("schema {}", record.v));
    parts.extend(capture.stream_bytes.map(|b| format!("{} read from the stream", amount::bytes(b))));
    parts.extend(capture.identity.as_deref().map(|i| format!("identity by {}", clean(i))));
    parts.push(capture.run_uid.map_or("ran as uid 0".to_owned(), |uid| format!("ran as uid {uid}")));
    let mut out = vec![("handler", parts.join(", "))];
    if !capture.unconfined.is_empty() {
        let open: Vec<String> = capture.unconfined.iter().map(|w| clean(w)).collect();
        out.push(("unconfined", open.join(", ")));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Storm;

    #[test]
    fn a_record_says_what_was_suppressed_until_then_and_nothing_of_a_calm_boot() {
        let told = |storm| capture(&Record { storm, ..Record::default() }, false).get(1).cloned();
        assert_eq!(told(Storm::default()), None);
        let storm = Storm { own: 2000, suppressed: 2294, lost: 1, ..Storm::default() };
        let words = "crashes since boot: 2,000 of this program suppressed, 2,294 suppressed in all, \
                     1 whose handler was lost";
        assert_eq!(told(storm), Some(("storms", words.to_owned())));
    }
}
