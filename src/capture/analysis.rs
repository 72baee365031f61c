//! The expensive work, once the task is released: every thread's stack, the
//! keys, the machine.

use std::collections::HashMap;
use std::fs::File;

use super::evidence::Evidence;
use super::{fault, machine, registers};
use crate::gap::{Gap, Stage};
use crate::hardware::Roots;
use crate::limits;
use crate::record::{self, Frame, FrameKey, Hex, Id, Kind, Module, Record, Stack, Trust, text};
use crate::storm::enter;
use crate::syscall::deadline_passed;
use crate::unwind::{self, Cache, FrameKind, How, Stacks, Walk};

/// Completes a minimal record.
pub(super) fn run(
    minimal: Record,
    evidence: &Evidence,
    roots: Option<&Roots>,
    host_file: Option<&File>,
) -> Record {
    let mut record = Record { kind: Kind::Full, ..minimal };
    // First what takes a known time.
    enter(Stage::Hardware);
    if let Some(roots) = roots {
        machine::ask(&mut record, evidence, roots, host_file);
    }
    enter(Stage::Unwind);
    let writable = evidence.head.segments.iter().filter(|segment| segment.is_writable());
    let stacks = Stacks::new(writable.map(|segment| segment.range));
    let (mut walks, mut cache) = (Walks::default(), Cache::default());
    walks.all(evidence, &stacks, &mut cache);
    let chosen = Chosen::new(evidence, &walks);
    record.modules = chosen.modules(evidence);
    record.stacks =
        walks.distinct.iter().map(|(walk, count)| stack(evidence, &chosen, walk, *count)).collect();
    record.threads.stack = walks.of_thread.clone();
    let symbols = symbols(evidence, &walks);
    record.keys = keys(evidence, &walks, &symbols, record.crash.is_abort());
    if record.crash.is_abort() && record.keys.frames.first() == Some(&0) {
        // Static and stripped: nothing tells abort() from the program.
        walks.gaps.push(Gap::new(Stage::Unwind, "abort was not recognised: the keys name its machinery"));
    }
    record.register_classes =
        registers::classify(evidence, executable(evidence), |index| chosen.place.get(&index).copied());
    record.fault = fault::of(
        evidence,
        symbols.into_iter().flatten().collect(),
        walks.callers(),
        &stacks,
        &mut cache,
        |index| chosen.place.get(&index).copied(),
    );
    enter(Stage::Record);
    record.process.build_id = executable(evidence).and_then(|module| module.build_id.clone()).map(Id);
    let path = executable(evidence).map(|module| text(&module.path));
    record.process.exe = record.process.exe.take().or(path);
    let left_out = evidence.modules.len().saturating_sub(chosen.order.len());
    if left_out > 0 {
        walks.gaps.push(Gap::counted(Stage::Module, "modules beyond the limit", left_out as u64));
    }
    record.gaps.extend(walks.gaps.into_iter().chain(evidence.modules.gaps()));
    record
}

/// The module that the kernel started.
fn executable(evidence: &Evidence) -> Option<&crate::module::Module> {
    let auxv = &evidence.head.auxv;
    let at = auxv.program_headers.or(auxv.entry)?;
    evidence.modules.find(at).map(|(_, module)| module)
}

/// The stacks of all threads, equal ones once.
#[derive(Default)]
struct Walks {
    distinct: Vec<(Walk, u32)>,
    /// For each thread the index of its stack, -1 none.
    of_thread: Vec<i32>,
    gaps: Vec<Gap>,
}

impl Walks {
    /// The modules of the crashing thread's frames, each once.
    fn callers(&self) -> Vec<usize> {
        let mut all: Vec<usize> = Vec::new();
        let frames = self.distinct.first().map_or(&[][..], |(walk, _)| &walk.frames);
        for module in frames.iter().filter_map(|frame| frame.module) {
            if !all.contains(&module) {
                all.push(module);
            }
        }
        all
    }

    fn all(&mut self, evidence: &Evidence, stacks: &Stacks, cache: &mut Cache) {
        let mut seen: HashMap<Vec<(u64, u8)>, usize> = HashMap::new();
        let (mut late, mut many) = (0u64, 0u64);
        for thread in &evidence.head.threads {
            if deadline_passed() {
                late = late.saturating_add(1);
                self.of_thread.push(-1);
                continue;
            }
            let walk = unwind::walk(&thread.registers, stacks, &evidence.image, &evidence.modules, cache);
            let shape = walk.frames.iter().map(|frame| (frame.ip.0, frame.how as u8)).collect();
            let known = seen.get(&shape).copied();
            let index = known.unwrap_or(self.distinct.len());
            if let Some((_, count)) = self.distinct.get_mut(index) {
                *count = count.saturating_add(1);
            } else if index < limits::RECORD_STACKS {
                seen.insert(shape, index);
                self.distinct.push((walk, 1));
            } else {
                many = many.saturating_add(1);
                self.of_thread.push(-1);
                continue;
            }
            self.of_thread.push(i32::try_from(index).unwrap_or(-1));
        }
        let mut gap = |reason: &str, count: u64| {
            if count > 0 {
                self.gaps.push(Gap::counted(Stage::Unwind, reason, count));
            }
        };
        gap("threads not walked: deadline", late);
        gap("threads with further stacks beyond the limit", many);
    }

    fn crashing(&self) -> Option<&Walk> {
        self.distinct.first().map(|(walk, _)| walk)
    }
}

/// Which modules the record names, and where they are in it: those of frames
/// first, then the others by address.
struct Chosen {
    order: Vec<usize>,
    place: HashMap<usize, u32>,
}

impl Chosen {
    fn new(evidence: &Evidence, walks: &Walks) -> Chosen {
        let mut chosen = Chosen { order: Vec::new(), place: HashMap::new() };
        let framed =
            walks.distinct.iter().flat_map(|(walk, _)| &walk.frames).filter_map(|frame| frame.module);
        for index in framed.chain(0..evidence.modules.len()) {
            if chosen.order.len() < limits::RECORD_MODULES && !chosen.place.contains_key(&index) {
                chosen.place.insert(index, u32::try_from(chosen.order.len()).unwrap_or(u32::MAX));
                chosen.order.push(index);
            }
        }
        chosen
    }

    fn modules(&self, evidence: &Evidence) -> Vec<Module> {
        let named = |index: &usize| {
            let module = evidence.modules.get(*index)?;
            Some(Module {
                path: Some(text(&module.path)),
                build_id: module.build_id.clone().map(Id),
                bias: Hex(module.bias.0),
                start: Hex(module.range.start.0),
                size: module.range.len(),
                flags: module.flags.names().into_iter().map(str::to_owned).collect(),
            })
        };
        self.order.iter().filter_map(named).collect()
    }
}

fn stack(evidence: &Evidence, chosen: &Chosen, walk: &Walk, count: u32) -> Stack {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Stack {
        frames: walk.frames.iter().map(|frame| one_frame(evidence, chosen, frame)).collect(),
        count,
        end: Some(walk.end.name().to_owned()),
        cut: walk.cut.map(|cut| cut.omitted.map_or(0, number)),
        cut_at: walk.cut.map(|cut| number(cut.at)),
    }
}

fn one_frame(evidence: &Evidence, chosen: &Chosen, frame: &unwind::Frame) -> Frame {
    let place =
        frame.module.and_then(|index| Some((chosen.place.get(&index)?, evidence.modules.get(index)?)));
    let linked = |address: crate::address::Addr| match place {
        Some((_, module)) => Hex(module.linked(address)),
        None => Hex(address.0),
    };
    Frame {
        module: place.map(|(index, _)| *index),
        offset: linked(frame.ip),
        function: frame.function.map(linked),
        trust: match frame.how {
            How::Context => Trust::Context,
            How::Cfi => Trust::Cfi,
            How::Signal => Trust::Signal,
            How::Slot => Trust::Slot,
            How::FramePointer => Trust::Fp,
            How::Scan => Trust::Scan,
            How::Tail => Trust::Tail,
        },
        kind: match frame.kind {
            FrameKind::Code => None,
            FrameKind::Jit => Some("jit".to_owned()),
            FrameKind::Wild => Some("wild".to_owned()),
        },
    }
}

/// The location keys of the crashing thread's stack.
fn keys(evidence: &Evidence, walks: &Walks, symbols: &[Option<Vec<u8>>], aborted: bool) -> record::Keys {
    let Some(walk) = walks.crashing() else { return record::Keys::default() };
    // A key needs a few frames; a deep one below an abort needs a few more.
    let frames = walk.frames.iter().take(limits::KEY_SEARCH);
    let told: Vec<FrameKey<'_>> = frames
        .zip(symbols)
        .enumerate()
        .map(|(index, (frame, symbol))| frame_key(evidence, index, frame, symbol.as_deref()))
        .collect();
    record::location_keys(&told, aborted)
}

/// Names of the crashing thread's innermost functions, where they are known.
fn symbols(evidence: &Evidence, walks: &Walks) -> Vec<Option<Vec<u8>>> {
    let frames = walks.crashing().into_iter().flat_map(|walk| walk.frames.iter().take(limits::KEY_SEARCH));
    frames.map(|frame| symbol(evidence, frame)).collect()
}

fn symbol(evidence: &Evidence, frame: &unwind::Frame) -> Option<Vec<u8>> {
    let index = frame.module?;
    let module = evidence.modules.get(index)?;
    evidence.modules.symbol(index, module.linked(frame.lookup))
}

fn frame_key<'a>(
    evidence: &'a Evidence,
    index: usize,
    frame: &unwind::Frame,
    symbol: Option<&'a [u8]>,
) -> FrameKey<'a> {
    let module = frame.module.and_then(|index| evidence.modules.get(index));
    let function = module.zip(frame.function).map(|(module, start)| module.linked(start));
    let identity = frame.module.zip(function).and_then(|(index, start)| {
        evidence.modules.function_identity(index, start, frame.function_len, &evidence.image)
    });
    FrameKey {
        index: u32::try_from(index).unwrap_or(u32::MAX),
        module: module.map(|module| module.path.as_slice()),
        build_id: module.and_then(|module| module.build_id.as_deref()),
        offset: module.map_or(frame.ip.0, |module| module.linked(frame.ip)),
        function,
        identity,
        symbol,
    }
}
