//! What is dropped first when a record is larger than a record may be.
//!
//! [`fit`] gives the record's bytes, never more than limits::RECORD_BYTES. It
//! cuts in the order of [`CUTS`] and not one step further than it must; each
//! cut is a gap of [`Stage::Record`] with its number. A crash of an ordinary
//! process (5 KB) passes untouched; 32,768 threads or a thousand paths of
//! 4 KiB do not. The order: what says least about why the process died goes
//! first, the crashing thread's registers, stack and keys last.

use super::texts;
use super::{EncodeError, Frame, Id, Keys, Record, Stack, encode};
use crate::gap::{Gap, Stage};
use crate::limits;

/// One cut.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// Registers of threads that did not crash.
    OtherRegisters,
    /// Last CPUs of threads.
    ThreadCpus,
    /// Threads beyond so many; `process.threads` still has their number.
    Threads(usize),
    /// Frames of other stacks, beyond so many innermost ones.
    OtherFrames(usize),
    /// Stacks beyond so many; the crashing thread's is the first.
    Stacks(usize),
    /// Modules that no frame refers to.
    IdleModules,
    /// Bytes of each text beyond so many.
    Texts(usize),
    /// Entries of each list of the hardware and process beyond so many.
    Lists(usize),
    /// Frames of the crashing thread: so many inner ones and a quarter as
    /// many outer ones stay.
    CrashingFrames(usize),
    /// All but identity, crash and keys.
    AllButTheCrash,
}

/// The order, with the words of each gap.
const CUTS: [(Cut, &str); 20] = [
    (Cut::OtherRegisters, "registers of other threads left out"),
    (Cut::ThreadCpus, "cpus of threads left out"),
    (Cut::Threads(8192), "threads left out"),
    (Cut::OtherFrames(32), "frames of other threads left out"),
    (Cut::IdleModules, "modules without frames left out"),
    (Cut::Stacks(64), "stacks left out"),
    (Cut::Threads(2048), "threads left out"),
    (Cut::OtherFrames(8), "frames of other threads left out"),
    (Cut::Texts(512), "texts cut"),
    (Cut::Threads(256), "threads left out"),
    (Cut::Stacks(8), "stacks left out"),
    (Cut::IdleModules, "modules without frames left out"),
    (Cut::Texts(128), "texts cut"),
    (Cut::Lists(64), "list entries left out"),
    (Cut::Threads(16), "threads left out"),
    (Cut::Stacks(1), "stacks left out"),
    (Cut::CrashingFrames(64), "frames of the crashing thread left out"),
    (Cut::IdleModules, "modules without frames left out"),
    (Cut::Lists(16), "list entries left out"),
    (Cut::AllButTheCrash, "everything but the crash left out"),
];

/// Room among the gaps for those that the cuts themselves add.
const OWN_GAPS: usize = 16;
const FURTHER: &str = "further gaps left out";
/// Bytes of a build-id or record id; longer ones are nobody's.
const ID_BYTES: usize = 64;

/// The record as bytes, cut until they are at most limits::RECORD_BYTES.
pub fn fit(record: &mut Record) -> Result<Vec<u8>, EncodeError> {
    fold(&mut record.gaps);
    let mut bytes = encode(record)?;
    for (cut, reason) in CUTS {
        if bytes.len() <= limits::RECORD_BYTES {
            break;
        }
        let count = cut.apply(record);
        if count > 0 {
            record.gaps.push(Gap::counted(Stage::Record, reason, count));
            fold(&mut record.gaps);
            bytes = encode(record)?;
        }
    }
    Ok(bytes)
}

/// Equal gaps become one, their numbers added; beyond limits::GAPS they are
/// only counted. The record's own come last and have room kept for them.
fn fold(gaps: &mut Vec<Gap>) {
    let mut folded: Vec<Gap> = Vec::new();
    let mut further = 0u64;
    for gap in gaps.drain(..) {
        let own = gap.stage == Stage::Record;
        let most = limits::GAPS.saturating_sub(if own { 1 } else { OWN_GAPS });
        let known = folded.iter().position(|known| known.stage == gap.stage && known.reason == gap.reason);
        if own && gap.reason == FURTHER {
            further = further.saturating_add(gap.count.unwrap_or(1));
        } else if let Some(known) = known.and_then(|at| folded.get_mut(at)) {
            known.count = sum(known.count, gap.count);
        } else if folded.len() < most {
            folded.push(gap);
        } else {
            further = further.saturating_add(1);
        }
    }
    if further > 0 {
        folded.push(Gap::counted(Stage::Record, FURTHER, further));
    }
    *gaps = folded;
}

fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (None, None) => None,
        (one, other) => Some(one.unwrap_or(1).saturating_add(other.unwrap_or(1))),
    }
}

impl Cut {
    /// Cuts, and says how many things went.
    fn apply(self, record: &mut Record) -> u64 {
        match self {
            Cut::OtherRegisters => shorten(&mut record.registers, 1),
            Cut::ThreadCpus => shorten(&mut record.threads.cpu, 0),
            Cut::Threads(most) => threads(record, most),
            Cut::OtherFrames(most) => record
                .stacks
                .iter_mut()
                .skip(1)
                .map(|stack| innermost(stack, most, 0))
                .fold(0, u64::saturating_add),
            Cut::Stacks(most) => stacks(record, most),
            Cut::IdleModules => idle_modules(record),
            Cut::Texts(most) => texts::cut(record, most).saturating_add(ids(record)),
            Cut::Lists(most) => lists(record, most),
            Cut::CrashingFrames(most) => crashing(record, most),
            Cut::AllButTheCrash => all_but_the_crash(record),
        }
    }
}

/// Keeps the first `most`; how many went.
fn shorten<T>(list: &mut Vec<T>, most: usize) -> u64 {
    let gone = list.len().saturating_sub(most);
    list.truncate(most);
    u64::try_from(gone).unwrap_or(u64::MAX)
}

fn threads(record: &mut Record, most: usize) -> u64 {
    let threads = &mut record.threads;
    let gone = shorten(&mut threads.tid, most);
    let columns = [shorten(&mut threads.ip, most), shorten(&mut threads.sp, most)];
    let short = [shorten(&mut threads.cpu, most), shorten(&mut threads.stack, most)];
    columns.into_iter().chain(short).fold(gone, u64::max)
}

fn stacks(record: &mut Record, most: usize) -> u64 {
    let gone = shorten(&mut record.stacks, most);
    let left = i32::try_from(record.stacks.len()).unwrap_or(i32::MAX);
    record.threads.stack.iter_mut().filter(|index| **index >= left).for_each(|index| *index = -1);
    gone
}

/// Keeps `inner` innermost and `outer` outermost frames. What a stack had
/// left out before is added to what is left out now.
fn innermost(stack: &mut Stack, inner: usize, outer: usize) -> u64 {
    let length = stack.frames.len();
    let inner = match stack.cut_at.and_then(|at| usize::try_from(at).ok()) {
        Some(at) => inner.min(at),
        None => inner,
    };
    let outer_at = length.saturating_sub(outer);
    if length <= inner.saturating_add(outer) {
        return 0;
    }
    let tail = stack.frames.split_off(outer_at);
    let gone = shorten(&mut stack.frames, inner);
    stack.frames.extend(tail);
    let before = u64::from(stack.cut.unwrap_or(0));
    stack.cut = u32::try_from(before.saturating_add(gone)).ok().or(Some(u32::MAX));
    stack.cut_at = u32::try_from(inner).ok();
    gone
}

fn crashing(record: &mut Record, inner: usize) -> u64 {
    let outer = inner.checked_div(4).unwrap_or(0);
    let Some(stack) = record.stacks.first_mut() else { return 0 };
    let gone = innermost(stack, inner, outer);
    let kept = stack.cut_at.unwrap_or(u32::MAX);
    record.keys.frames.retain(|frame| gone == 0 || *frame < kept);
    let values = record.registers.iter_mut().map(|registers| shorten(&mut registers.values, inner));
    let values = values.fold(gone, u64::saturating_add).saturating_add(classes(record, inner));
    values.saturating_add(shorten(&mut record.keys.frames, inner))
}

fn classes(record: &mut Record, most: usize) -> u64 {
    let classes = &mut record.register_classes;
    let wide = [shorten(&mut classes.class, most), shorten(&mut classes.offset, most)];
    let narrow = [shorten(&mut classes.low, most), shorten(&mut classes.distance, most)];
    wide.into_iter().chain(narrow).fold(shorten(&mut classes.module, most), u64::max)
}

/// Removes modules without frames; the frames' indices follow.
pub(super) fn idle_modules(record: &mut Record) -> u64 {
    let count = record.modules.len();
    let at = |frame: &Frame| frame.module.and_then(|index| usize::try_from(index).ok());
    let mut place: Vec<Option<u32>> = vec![None; count];
    for index in record.stacks.iter().flat_map(|stack| &stack.frames).filter_map(at) {
        if let Some(slot) = place.get_mut(index) {
            *slot = Some(0);
        }
    }
    // What a register points into stays named too.
    let told = record.register_classes.module.iter_mut().chain(record.fault.modules());
    for index in told {
        if let Some(slot) = usize::try_from(*index).ok().and_then(|index| place.get_mut(index)) {
            *slot = Some(0);
        }
    }
    for (to, slot) in (0u32..).zip(place.iter_mut().filter_map(Option::as_mut)) {
        *slot = to;
    }
    for frame in record.stacks.iter_mut().flat_map(|stack| &mut stack.frames) {
        frame.module = at(frame).and_then(|index| place.get(index).copied().flatten());
    }
    for index in record.register_classes.module.iter_mut().chain(record.fault.modules()) {
        let to = usize::try_from(*index).ok().and_then(|index| place.get(index).copied().flatten());
        *index = to.and_then(|to| i32::try_from(to).ok()).unwrap_or(-1);
    }
    let mut used = place.iter();
    record.modules.retain(|_| used.next().is_some_and(Option::is_some));
    u64::try_from(count.saturating_sub(record.modules.len())).unwrap_or(u64::MAX)
}

/// An id that no linker and no UUID makes is no id.
fn ids(record: &mut Record) -> u64 {
    let host = [&mut record.host.boot, &mut record.host.mid, &mut record.process.build_id];
    let mut gone = 0u64;
    for id in host.into_iter().chain(record.modules.iter_mut().map(|module| &mut module.build_id)) {
        if id.as_ref().is_some_and(|id| id.0.len() > ID_BYTES) {
            *id = None;
            gone = gone.saturating_add(1);
        }
    }
    let serials = &mut record.serials;
    let hashed = [&mut serials.board, &mut serials.product, &mut serials.uuid].into_iter().flatten();
    for id in hashed.chain(&mut serials.ppin) {
        gone = gone.saturating_add(shorten(&mut id.0, ID_BYTES));
    }
    gone.saturating_add(shorten(&mut record.id.0, ID_BYTES))
}

fn lists(record: &mut Record, most: usize) -> u64 {
    let hardware = &mut record.hardware;
    let mut gone = [
        shorten(&mut hardware.interrupts, most),
        shorten(&mut hardware.edac, most),
        shorten(&mut hardware.thermal, most),
        shorten(&mut record.process.namespaces, most),
        shorten(&mut record.process.limits, most),
        shorten(&mut record.capture.unconfined, most),
        shorten(&mut record.keys.frames, most),
        shorten(&mut record.keys.identities, most),
        shorten(&mut record.serials.ppin, most),
    ]
    .into_iter()
    .fold(0, u64::saturating_add);
    if let Some(topology) = &mut hardware.topology {
        gone = gone.saturating_add(shorten(&mut topology.siblings, most));
    }
    record.modules.iter_mut().fold(gone, |gone, module| gone.saturating_add(shorten(&mut module.flags, most)))
}

/// The least that is still a record, whatever was in it.
fn all_but_the_crash(record: &mut Record) -> u64 {
    let keys = Keys { frames: Vec::new(), ..record.keys.clone() };
    *record = Record {
        v: record.v,
        id: Id(std::mem::take(&mut record.id.0)),
        kind: record.kind,
        private: record.private,
        realtime_ns: record.realtime_ns,
        boottime_ns: record.boottime_ns,
        crash: record.crash.clone(),
        keys,
        gaps: std::mem::take(&mut record.gaps),
        ..Record::default()
    };
    texts::cut(record, 128);
    ids(record);
    1
}
