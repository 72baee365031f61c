//! What a study keeps of stacks: of each signature the innermost functions of one of
//! its crashes, as small numbers.

use std::collections::{HashMap, HashSet};

use super::names::Names;
use crate::epidemiology::population::{Frame, UNKNOWN};
use crate::record::{self, Hex, Record, Trust, module_stem};

/// Functions of a stack that are kept; a record has the identities of as many.
const FRAMES: usize = 8;
const DAY_NS: u64 = 86_400_000_000_000;

/// Functions and stacks, by number.
#[derive(Clone, Debug, Default)]
pub(super) struct Frames {
    files: Names,
    builds: Names,
    /// By identity; by build and place where there is none.
    numbers: HashMap<(Option<u32>, u64), u32>,
    list: Vec<Frame>,
    stacks: Vec<Vec<u32>>,
}

impl Frames {
    /// Takes the stack of a record, where its signature has none yet.
    pub(super) fn learn(&mut self, signature: u32, record: &Record) {
        let Ok(own) = usize::try_from(signature) else { return };
        if signature == UNKNOWN || self.stacks.get(own).is_some_and(|known| !known.is_empty()) {
            return;
        }
        let begin = begin(record);
        let frames = record.stacks.first().map_or(&[][..], |stack| stack.frames.as_slice());
        let identities = record.keys.identities.iter().copied().chain(std::iter::repeat(Hex(0)));
        let mut stack = Vec::new();
        // Frames of the key that are not its last are a library's.
        let libraries = record.keys.frames.split_last().map_or(&[][..], |(_, rest)| rest);
        for ((place, frame), identity) in frames.iter().enumerate().skip(begin).zip(identities).take(FRAMES) {
            // What was found by searching a damaged stack may be anybody's.
            if matches!(frame.trust, Trust::Scan | Trust::Tail) {
                break;
            }
            let module = frame.module.and_then(|module| record.modules.get(usize::try_from(module).ok()?));
            let Some(module) = module else { continue };
            let path = module.path.as_deref().unwrap_or("");
            let at = frame.function.unwrap_or(frame.offset).0;
            let build = (identity.0 == 0).then(|| match &module.build_id {
                Some(build) => self.builds.number(&build.hex()),
                None => self.builds.number(path),
            });
            let key = (build, if build.is_some() { at } else { identity.0 });
            let next = u32::try_from(self.list.len()).unwrap_or(UNKNOWN);
            let number = *self.numbers.entry(key).or_insert(next);
            if number == next {
                let file = self.files.number(&String::from_utf8_lossy(module_stem(path.as_bytes())));
                let library = libraries.contains(&u32::try_from(place).unwrap_or(UNKNOWN));
                self.list.push(Frame { file, at, build, library });
            }
            stack.push(number);
        }
        if self.stacks.len() <= own {
            self.stacks.resize(own.saturating_add(1), Vec::new());
        }
        if let Some(known) = self.stacks.get_mut(own) {
            *known = stack;
        }
    }

    /// Stacks by signature, functions, and names of files.
    pub(super) fn done(mut self, signatures: usize) -> (Vec<Vec<u32>>, Vec<Frame>, Vec<String>) {
        self.stacks.resize(signatures, Vec::new());
        (self.stacks, self.list, self.files.list().to_vec())
    }
}

/// The first frame that says something.
fn begin(record: &Record) -> usize {
    record.keys.frames.first().and_then(|first| usize::try_from(*first).ok()).unwrap_or(0)
}

/// Records without what a study does not read: 1,000,000 of them have to fit into
/// memory. Of each signature and day one stack stays, its innermost functions.
#[derive(Debug, Default)]
pub struct Slim {
    known: HashSet<(u64, u64)>,
}

impl Slim {
    /// The record, made small.
    pub fn of(&mut self, mut record: Record) -> Record {
        record.registers = Vec::new();
        record.register_classes = record::RegisterClasses::default();
        record.threads = record::Threads::default();
        record.fault.window = record::Window::default();
        let keys = &record.keys;
        let key = keys.portable.or(keys.functions).or(keys.leaf).map_or(0, |key| key.0);
        let day = record.realtime_ns.unwrap_or(0).checked_div(DAY_NS).unwrap_or(0);
        if !self.known.insert((key, day)) {
            record.stacks = Vec::new();
            record.modules = Vec::new();
            return record;
        }
        let begin = begin(&record);
        let modules = std::mem::take(&mut record.modules);
        record.stacks.truncate(1);
        if let Some(stack) = record.stacks.first_mut() {
            stack.frames = stack.frames.iter().skip(begin).take(FRAMES).cloned().collect();
            for place in &mut record.keys.frames {
                *place = place.saturating_sub(u32::try_from(begin).unwrap_or(0));
            }
            let mut kept: Vec<u32> = Vec::new();
            for frame in &mut stack.frames {
                let Some(old) = frame.module else { continue };
                let place = kept.iter().position(|known| *known == old).unwrap_or(kept.len());
                if place == kept.len() {
                    kept.push(old);
                    let module = usize::try_from(old).ok().and_then(|old| modules.get(old));
                    record.modules.push(module.cloned().unwrap_or_default());
                }
                frame.module = u32::try_from(place).ok();
            }
        }
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Id, Module, Stack};

    fn record(identities: &[u64], build: u8) -> Record {
        let frame = |n: u64| record::Frame {
            module: Some(u32::from(n % 2 == 1)),
            offset: Hex(n * 16 + 3),
            function: Some(Hex(n * 16)),
            ..record::Frame::default()
        };
        let module = |name: &str| Module {
            path: Some(name.to_owned()),
            build_id: Some(Id(vec![build])),
            ..Module::default()
        };
        let mut record = Record {
            modules: vec![module("/bin/app"), module("/lib/libx.so.2"), module("/lib/other.so")],
            stacks: vec![
                Stack { frames: (0..20).map(frame).collect(), ..Stack::default() },
                Stack::default(),
            ],
            ..Record::default()
        };
        record.keys.frames = vec![2];
        record.keys.identities = identities.iter().copied().map(Hex).collect();
        record
    }

    fn stacks(records: &[Record]) -> (Vec<Vec<u32>>, Vec<Frame>, Vec<String>) {
        let mut frames = Frames::default();
        for (signature, record) in (0u32..).zip(records) {
            frames.learn(signature, record);
        }
        frames.done(records.len())
    }

    #[test]
    fn a_function_is_the_same_over_builds_where_the_record_knows_it() {
        let (stacks, frames, files) = stacks(&[record(&[7, 0, 8], 1), record(&[7, 0, 8], 2)]);
        assert_eq!(stacks[0].len(), FRAMES);
        assert_eq!((stacks[0][0], stacks[0][2]), (stacks[1][0], stacks[1][2]));
        assert_ne!(stacks[0][1], stacks[1][1], "known in one build only");
        assert_eq!(frames[0], Frame { file: 0, at: 32, build: None, library: false });
        assert!(frames[1].build.is_some() && frames[1].at == 48, "{:?}", frames[1]);
        assert_eq!(files, ["app", "libx"]);
    }

    #[test]
    fn a_stack_ends_where_it_was_guessed_and_says_nothing_without_modules() {
        let mut guessed = record(&[7, 8, 9], 1);
        guessed.stacks[0].frames[4].trust = Trust::Scan;
        let mut wild = record(&[], 1);
        wild.modules.clear();
        let (stacks, ..) = stacks(&[guessed, wild, Record::default()]);
        assert_eq!(stacks.iter().map(Vec::len).collect::<Vec<_>>(), [2, 0, 0]);
    }

    #[test]
    fn a_slim_record_tells_the_same_stack_and_the_next_of_its_key_none() {
        let whole = record(&[7, 0, 8], 1);
        let mut slim = Slim::default();
        let first = slim.of(whole.clone());
        assert!(first.modules.len() == 2 && first.stacks[0].frames.len() == FRAMES);
        let mut again = stacks(std::slice::from_ref(&first));
        again.2.sort();
        assert_eq!(stacks(std::slice::from_ref(&whole)), again);
        assert!(slim.of(whole).stacks.is_empty());
        assert_eq!(Slim::default().of(first.clone()), first, "once more changes nothing");
    }
}
