//! Power loss: no acknowledged-but-absent, no lost record.
//!
//! The real writer and the real forwarding steps run in a process that strace
//! watches. What they did to the disk is replayed into a filesystem that forgets
//! whatever was not synced (support/powerloss.rs has its rules), cut off after
//! each single step, in several ways each; every disk that comes of it is made
//! a real directory again, and the real reader judges it and forwards the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use epicore::spool::{
    Item, Kind, Quota, Reader, RecordId, RecordStatus, Retention, Spool, Stamp, State, initialise,
};
use proptest::collection::vec;
use proptest::prelude::*;

#[path = "support/powerloss.rs"]
mod powerloss;
#[path = "support/spool.rs"]
mod support;
#[path = "support/trace.rs"]
#[allow(dead_code)]
mod trace;

use powerloss::{CALLS, Dice, Event, Recording, materialise};
use support::id;

const SPOOL: &str = "EPICORE_TEST_POWERLOSS_SPOOL";
const SCRIPT: &str = "EPICORE_TEST_POWERLOSS_SCRIPT";
/// Ways in which each step is cut off.
const WAYS: usize = 12;

/// What the recorded process does, one word each.
fn step() -> impl Strategy<Value = String> {
    let n = 0u64..6;
    prop_oneof![
        3 => n.clone().prop_map(|n| format!("minimal {n}")),
        4 => n.clone().prop_map(|n| format!("full {n}")),
        2 => n.clone().prop_map(|n| format!("exposure {n}")),
        4 => (1u64..5).prop_map(|most| format!("forward {most}")),
        2 => (1u64..5).prop_map(|most| format!("race {most}")),
        1 => Just("retry 0".to_owned()),
        1 => Just("retain 0".to_owned()),
        1 => n.prop_map(|n| format!("purge {n}")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 16, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn after_any_power_cut_nothing_promised_is_lost(steps in vec(step(), 4..16), seed in any::<u64>()) {
        let Some(recording) = record(&steps) else { return Ok(()) };
        let judged = judge_all(&recording, seed);
        prop_assert!(judged.is_ok(), "{:?}", judged);
        static JUDGED: AtomicU64 = AtomicU64::new(0);
        let states = judged.unwrap_or(0);
        println!("{} crash states judged", JUDGED.fetch_add(states, Ordering::Relaxed) + states);
    }
}

/// The one thing that happens between two processes: the full record replaces
/// the minimal one while that is on its way to the collector.
#[test]
fn a_full_record_that_comes_while_the_minimal_one_is_sent_is_sent_too() {
    let steps = ["minimal 1", "minimal 3", "race 4", "full 5", "forward 1", "retry 0", "forward 9"];
    let Some(recording) = record(&steps.map(str::to_owned)) else { return };
    println!("{} crash states judged", judge_all(&recording, 3).unwrap());
}

/// A test that cannot fail is none.
#[test]
fn the_judge_finds_what_a_missing_guard_would_cost() {
    let steps = ["minimal 1", "full 1", "minimal 3", "full 3", "exposure 1", "full 2", "forward 9", "full 5"];
    let Some(recording) = record(&steps.map(str::to_owned)) else { return };
    assert_eq!(judge_all(&recording, 7).map(|states| states > 100), Ok(true));
    let without = |what: &dyn Fn(&Event) -> bool| {
        let mut broken = recording.clone();
        broken.events.retain(|event| !what(event));
        judge_all(&broken, 7).expect_err("the guard is missing and nobody noticed")
    };
    println!("no fsync of files: {}", without(&|event| matches!(event, Event::SyncFile(_))));
    println!("no fsync of directories: {}", without(&|event| matches!(event, Event::SyncDir(_))));
    println!("acknowledged unsent: {}", without(&|event| said(event).starts_with("holds")));
}

/// Runs the steps under strace in a fresh spool; `None`, with the reason printed,
/// where that cannot be.
fn record(steps: &[String]) -> Option<Recording> {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("spool");
    initialise(&path, None).unwrap();
    let log = parent.path().join("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-ttt", "-y", "-xx", "-v", "-s", "1000000", "-e"]).arg(format!("trace={CALLS}"));
    command.arg("-o").arg(&log).arg(std::env::current_exe().unwrap());
    command.args(["--exact", "recorded_process", "--nocapture", "--test-threads=1"]);
    let output = match command.env(SPOOL, &path).env(SCRIPT, steps.join(",")).output() {
        Ok(output) => output,
        Err(error) => {
            println!("skipped: strace: {error}");
            return None;
        }
    };
    if !log.exists() || String::from_utf8_lossy(&output.stderr).contains("PTRACE") {
        println!("skipped: strace: {}", String::from_utf8_lossy(&output.stderr));
        return None;
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(Recording::of(&std::fs::read(&log).unwrap(), &path))
}

fn said(event: &Event) -> &str {
    if let Event::Said(word) = event { word } else { "" }
}

/// Cuts the power after each event, in several ways, and judges each disk; how
/// many there were, or what was wrong with one.
fn judge_all(recording: &Recording, seed: u64) -> Result<u64, String> {
    let place = if Path::new("/dev/shm").is_dir() { PathBuf::from("/dev/shm") } else { std::env::temp_dir() };
    let mut dice = Dice(seed);
    let mut states = 0;
    for steps in 0..=recording.events.len() {
        let promises = Promises::until(&recording.events[..steps]);
        for _ in 0..WAYS {
            let at = tempfile::tempdir_in(&place).unwrap();
            initialise(at.path(), None).unwrap();
            materialise(&recording.crash(steps, &mut dice), at.path());
            states += 1;
            promises
                .judge(at.path())
                .map_err(|why| format!("after {steps} events ({:?}): {why}", recording.events.get(steps)))?;
        }
    }
    Ok(states)
}

/// What the process had been told, when the power went.
#[derive(Clone, Debug, Default)]
struct Promises {
    /// Full records and reports whose write returned.
    kept: BTreeSet<(Kind, u64)>,
    /// Full records whose write had begun.
    begun: BTreeSet<u64>,
    /// What the collector has on its disk, and what of it is the full record.
    holds: BTreeSet<(Kind, u64)>,
    holds_full: BTreeSet<u64>,
    /// What was acknowledged: whether as a full record.
    acknowledged: BTreeMap<(Kind, u64), bool>,
    /// What may be gone, and what must be.
    leaving: BTreeSet<(Kind, u64)>,
    gone: BTreeSet<u64>,
}

impl Promises {
    fn until(events: &[Event]) -> Promises {
        let mut promises = Promises::default();
        for word in events.iter().map(said).filter(|word| !word.is_empty()) {
            promises.hear(word);
        }
        promises
    }

    fn hear(&mut self, word: &str) {
        let parts: Vec<&str> = word.split('/').collect();
        let kind = if parts[1] == "exposure" { Kind::Exposure } else { Kind::Crash };
        let n: u64 = parts[2].parse().unwrap();
        match parts[0] {
            "beginning" => drop(self.gone.remove(&n)),
            "writing" => {
                self.begun.insert(n);
                self.gone.remove(&n);
            }
            "kept" => {
                self.kept.insert((kind, n));
                self.leaving.remove(&(kind, n));
            }
            "holds" => drop(self.holds.insert((kind, n))),
            "holds-full" => drop(self.holds_full.insert(n)),
            "acknowledged-full" => drop(self.acknowledged.insert((kind, n), true)),
            "acknowledged-minimal" => drop(self.acknowledged.insert((kind, n), false)),
            "purging" => {
                self.leaving.extend([(Kind::Crash, n), (Kind::Exposure, n)]);
                self.acknowledged.remove(&(Kind::Crash, n));
                self.acknowledged.remove(&(Kind::Exposure, n));
            }
            "purged" => drop(self.gone.insert(n)),
            "retaining" => self.leaving.extend(self.acknowledged.keys().copied()),
            other => panic!("{other}"),
        }
    }

    fn judge(&self, path: &Path) -> Result<(), String> {
        let spool = Spool::open(path).unwrap();
        let reader = Reader::of(&spool).unwrap();
        let items = every_item(&reader);
        self.names(&reader, &items)?;
        self.acknowledgements(&items)?;
        self.contents(&reader, &items)?;
        self.forward_the_rest(&spool, &reader)
    }

    /// A torn file hides no other: whatever lies there is listed and judged.
    fn names(&self, reader: &Reader, items: &[Item]) -> Result<(), String> {
        let totals = reader.pending(0).unwrap().totals;
        let listing = reader.list().unwrap();
        let (crashes, exposures) = (totals.crashes, totals.exposures);
        let sum = |counts: epicore::spool::Counts| counts.pending + counts.sent + counts.refused;
        if sum(crashes) + sum(exposures) != items.len() as u64 || totals.strangers > 0 {
            return Err(format!("{totals:?} and {listing:?}"));
        }
        for item in items {
            match reader.read_item(item) {
                RecordStatus::Valid { .. } | RecordStatus::Corrupted(_) => {}
                other => return Err(format!("{} is {other:?}", item.file_name())),
            }
            if self.gone.contains(&number(item.id)) {
                return Err(format!("{} was purged", item.file_name()));
            }
        }
        Ok(())
    }

    fn acknowledgements(&self, items: &[Item]) -> Result<(), String> {
        for item in items {
            let key = (item.kind, number(item.id));
            if item.state == State::Sent && !self.holds.contains(&key) {
                return Err(format!("{} is sent, and the collector has it not", item.file_name()));
            }
            // Only the full record, coming after the minimal one was sent, is
            // to be sent again.
            let again = self.acknowledged.get(&key) == Some(&false) && self.begun.contains(&key.1);
            if item.state != State::Sent && self.acknowledged.contains_key(&key) && !again {
                return Err(format!("{} was acknowledged", item.file_name()));
            }
        }
        for key in self.acknowledged.keys().filter(|key| !self.leaving.contains(key)) {
            if !items.iter().any(|item| (item.kind, number(item.id)) == *key) {
                return Err(format!("{key:?} was acknowledged and is absent"));
            }
        }
        Ok(())
    }

    fn contents(&self, reader: &Reader, items: &[Item]) -> Result<(), String> {
        for (kind, n) in self.kept.iter().filter(|key| !self.leaving.contains(key)) {
            let whole = |item: &&Item| match reader.read_item(item) {
                RecordStatus::Valid { header, payload } => header.full && payload == text(*kind, *n),
                _ => false,
            };
            // The full record of which only the minimal one was sent is to be
            // sent still, not merely there.
            let behind = *kind == Kind::Crash
                && self.acknowledged.get(&(*kind, *n)) == Some(&false)
                && !self.holds_full.contains(n);
            let of = |item: &&Item| {
                item.kind == *kind && item.id == id(*n) && (!behind || item.state != State::Sent)
            };
            if !items.iter().filter(of).any(|item| whole(&item)) {
                return Err(format!("{kind:?} {n} was kept and is lost"));
            }
        }
        Ok(())
    }

    /// The next daemon: in the end the collector has everything that was
    /// promised.
    fn forward_the_rest(&self, spool: &Spool, reader: &Reader) -> Result<(), String> {
        let mut holds = self.holds.clone();
        spool.retry_refused().unwrap();
        let found = reader.pending(usize::MAX).unwrap();
        let mut sent = Vec::new();
        for item in &found.items {
            if let RecordStatus::Valid { header, .. } = reader.read_item(item) {
                holds.insert((item.kind, number(item.id)));
                sent.push(item.read_as(&header));
            }
        }
        spool.acknowledge(&sent).unwrap();
        let left = reader.pending(usize::MAX).unwrap().items.len();
        match self.kept.iter().find(|key| !holds.contains(key) && !self.leaving.contains(key)) {
            Some(lost) => Err(format!("{lost:?} never reached the collector")),
            None if left + sent.len() != found.items.len() => Err(format!("{left} are pending still")),
            None => Ok(()),
        }
    }
}

fn every_item(reader: &Reader) -> Vec<Item> {
    let listing = reader.list().unwrap();
    let mut all = Vec::new();
    for (entries, kind) in [(&listing.entries, Kind::Crash), (&listing.exposures, Kind::Exposure)] {
        for entry in entries {
            for state in [State::Pending, State::Sent, State::Refused] {
                let item = Item { id: entry.id, private: entry.private, kind, state, full: false };
                if reader.read_item(&item) != RecordStatus::Gone {
                    all.push(item);
                }
            }
        }
    }
    all
}

fn number(id: RecordId) -> u64 {
    id.milliseconds() - support::id(0).milliseconds()
}

fn text(kind: Kind, n: u64) -> Vec<u8> {
    let most = if kind == Kind::Crash { 9000 } else { 700 };
    vec![b'a' + n as u8; most]
}

/// What the recorded process says, so that the order of deeds and words is the
/// order of its system calls.
fn say(word: &str, kind: Kind, n: u64) {
    let kind = if kind == Kind::Crash { "crash" } else { "exposure" };
    let _ = std::fs::metadata(format!("/promise/{word}/{kind}/{n}"));
}

fn write_full(spool: &Spool, n: u64) {
    say("writing", Kind::Crash, n);
    let stamp = Stamp { id: id(n), private: n.is_multiple_of(3), group: n };
    spool.replace_with_full(stamp, &text(Kind::Crash, n)).unwrap();
    say("kept", Kind::Crash, n);
}

/// What epicored does, with a collector that answers at once and refuses every
/// fifth. `race`: the full record comes between reading and acknowledging.
fn forward(spool: &Spool, reader: &Reader, most: usize, race: bool, full: &mut BTreeSet<u64>) {
    let mut taken = Vec::new();
    for item in reader.pending(most).unwrap().items {
        let RecordStatus::Valid { header, .. } = reader.read_item(&item) else { panic!("{item:?}") };
        let (item, n) = (item.read_as(&header), number(item.id));
        if n == 4 {
            spool.refuse(&item, "not today").unwrap();
            continue;
        }
        say("holds", item.kind, n);
        if item.kind == Kind::Crash && item.full {
            say("holds-full", item.kind, n);
        }
        taken.push(item);
        if race && !item.full && full.insert(n) {
            write_full(spool, n);
        }
    }
    spool.acknowledge(&taken).unwrap();
    for item in &taken {
        let word = if item.full { "acknowledged-full" } else { "acknowledged-minimal" };
        say(word, item.kind, number(item.id));
    }
}

#[test]
fn recorded_process() {
    let (Some(path), Ok(script)) = (std::env::var_os(SPOOL), std::env::var(SCRIPT)) else { return };
    let spool = Spool::open(Path::new(&path)).unwrap();
    let reader = Reader::of(&spool).unwrap();
    let _claim = spool.claim().unwrap();
    let (mut minimal, mut full) = (BTreeSet::new(), BTreeSet::new());
    // An id is one report's: what retention may have removed is not written
    // under it again.
    let (mut reported, mut left) = (BTreeSet::<u64>::new(), BTreeSet::<u64>::new());
    for step in script.split(',') {
        let (word, n) = step.split_once(' ').unwrap();
        let n: u64 = n.parse().unwrap();
        match word {
            "minimal" => {
                if minimal.insert(n) && !full.contains(&n) {
                    say("beginning", Kind::Crash, n);
                    spool.write_minimal((id(n), n.is_multiple_of(3)), b"minimal").unwrap();
                }
            }
            "full" => {
                if full.insert(n) {
                    write_full(&spool, n);
                }
            }
            "exposure" if left.contains(&n) => {}
            "exposure" => {
                reported.insert(n);
                say("beginning", Kind::Exposure, n);
                if spool.write_exposure(id(n), &text(Kind::Exposure, n)).is_ok() {
                    say("kept", Kind::Exposure, n);
                }
            }
            "forward" => forward(&spool, &reader, n as usize, false, &mut full),
            "race" => forward(&spool, &reader, n as usize, true, &mut full),
            "retry" => drop(spool.retry_refused().unwrap()),
            "retain" => {
                say("retaining", Kind::Crash, 0);
                let old = Some(u64::MAX);
                let retention =
                    Retention { quota: Quota::default(), acknowledged_before: old, any_before: None };
                spool.retain(&retention).unwrap();
                left.extend(reported.iter().copied());
            }
            "purge" => {
                say("purging", Kind::Crash, n);
                spool.purge(&mut |item| item.id == id(n)).unwrap();
                say("purged", Kind::Crash, n);
            }
            other => panic!("{other}"),
        }
    }
}
