//! What a study keeps of stacks: of each signature the innermost functions of one of
//! its crashes, as small numbers.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::names::{Names, named};
use crate::epidemiology::population::{Frame, UNKNOWN};
use crate::record::{Hex, Id, Record, Trust, module_stem};

/// Functions of a stack that are kept; a record has the identities of as many.
const FRAMES: usize = 8;
/// Stacks of a signature that are compared, and hosts of each that are counted.
const STACKS: usize = 8;
const HOSTS: usize = 64;

/// One function of a stack.
#[derive(Clone, Copy, Debug)]
struct Seen {
    file: u32,
    at: u64,
    /// What it is over builds, else its build.
    own: Result<u64, u32>,
    library: bool,
}

/// One of a signature's stacks, and who showed it.
#[derive(Clone, Debug)]
struct Stack {
    functions: Vec<Seen>,
    hosts: Vec<u32>,
}

/// Of every signature the stack that most hosts show, whatever was read first. A
/// signature is its innermost functions; those further out may differ.
#[derive(Clone, Debug, Default)]
pub(super) struct Frames {
    files: Names,
    builds: Names,
    /// By a hash of what they are: of too many those of the lowest stay, which are the
    /// same in whatever order they come.
    stacks: HashMap<u32, BTreeMap<u64, Stack>>,
}

impl Frames {
    /// Takes the stack of a record.
    pub(super) fn learn(&mut self, signature: u32, host: u32, record: &Record) {
        if signature == UNKNOWN {
            return;
        }
        let functions = self.functions(record);
        if functions.is_empty() {
            return;
        }
        let hash = self.hash(&functions);
        let stacks = self.stacks.entry(signature).or_default();
        let stack = stacks.entry(hash).or_insert_with(|| Stack { functions, hosts: Vec::new() });
        if stack.hosts.len() < HOSTS && !stack.hosts.contains(&host) {
            stack.hosts.push(host);
        }
        if stacks.len() > STACKS {
            stacks.pop_last();
        }
    }

    /// Not of numbers, which are those of who came first.
    fn hash(&self, functions: &[Seen]) -> u64 {
        let name = |names: &Names, number: u32| named(names.list(), number).map(str::to_owned);
        let mut hasher = DefaultHasher::new();
        for seen in functions {
            let own = seen.own.map_err(|build| name(&self.builds, build));
            (name(&self.files, seen.file), seen.at, own, seen.library).hash(&mut hasher);
        }
        hasher.finish()
    }

    fn functions(&mut self, record: &Record) -> Vec<Seen> {
        let begin = begin(record);
        let frames = record.stacks.first().map_or(&[][..], |stack| stack.frames.as_slice());
        let identities = record.keys.identities.iter().copied().chain(std::iter::repeat(Hex(0)));
        // Frames of the key that are not its last are a library's.
        let libraries = record.keys.frames.split_last().map_or(&[][..], |(_, rest)| rest);
        let mut functions = Vec::new();
        for ((place, frame), identity) in frames.iter().enumerate().skip(begin).zip(identities).take(FRAMES) {
            // What was found by searching a damaged stack may be anybody's.
            if matches!(frame.trust, Trust::Scan | Trust::Tail) {
                break;
            }
            let module = frame.module.and_then(|module| record.modules.get(usize::try_from(module).ok()?));
            let Some(module) = module else { continue };
            let path = module.path.as_deref().unwrap_or("");
            let own = if identity.0 != 0 {
                Ok(identity.0)
            } else {
                let build = module.build_id.as_ref().map_or(path.to_owned(), Id::hex);
                Err(self.builds.number(&build))
            };
            functions.push(Seen {
                file: self.files.number(&String::from_utf8_lossy(module_stem(path.as_bytes()))),
                at: frame.function.unwrap_or(frame.offset).0,
                own,
                library: libraries.contains(&u32::try_from(place).unwrap_or(UNKNOWN)),
            });
        }
        functions
    }

    /// Stacks, functions, and names of files. `signatures` are all, in the order in which
    /// they will be numbered: so the other numbers are those of that order, too.
    pub(super) fn done(self, signatures: &[u32]) -> (Vec<Vec<u32>>, Vec<Frame>, Vec<String>) {
        let (mut files, mut builds) = (Names::default(), Names::default());
        let mut numbers: HashMap<(Option<u32>, u64), u32> = HashMap::new();
        let (mut list, mut stacks) = (Vec::new(), Vec::with_capacity(signatures.len()));
        let name = |names: &Names, number: u32| named(names.list(), number).unwrap_or_default().to_owned();
        for signature in signatures {
            let own = self.stacks.get(signature).into_iter().flatten();
            let most = own.max_by_key(|(hash, stack)| (stack.hosts.len(), Reverse(**hash)));
            let functions = most.map_or(&[][..], |(_, stack)| stack.functions.as_slice());
            let mut stack = Vec::with_capacity(functions.len());
            for seen in functions {
                let build = seen.own.err().map(|build| builds.number(&name(&self.builds, build)));
                let key = (build, seen.own.unwrap_or(seen.at));
                let next = u32::try_from(list.len()).unwrap_or(UNKNOWN);
                let number = *numbers.entry(key).or_insert(next);
                if number == next {
                    let file = files.number(&name(&self.files, seen.file));
                    list.push(Frame { file, at: seen.at, build, library: seen.library });
                }
                stack.push(number);
            }
            stacks.push(stack);
        }
        (stacks, list, files.list().to_vec())
    }
}

/// The first frame that says something.
fn begin(record: &Record) -> usize {
    record.keys.frames.first().and_then(|first| usize::try_from(*first).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{self, Module, Stack, slim};

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
            frames.learn(signature, 0, record);
        }
        let all: Vec<u32> = (0u32..).zip(records).map(|(signature, _)| signature).collect();
        frames.done(&all)
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
    fn a_slim_record_tells_the_same_stack() {
        let whole = record(&[7, 0, 8], 1);
        let slim = slim(whole.clone());
        assert!(slim.modules.len() == 2 && slim.stacks[0].frames.len() == FRAMES);
        assert_eq!(stacks(std::slice::from_ref(&whole)), stacks(std::slice::from_ref(&slim)));
        assert_eq!(record::slim(slim.clone()), slim, "once more changes nothing");
    }

    #[test]
    fn the_stack_that_most_hosts_show_stays_whichever_was_read_first() {
        let of = |order: &mut dyn Iterator<Item = u64>| {
            let mut frames = Frames::default();
            for n in order {
                // Hosts 0 to 19 show one; 20 others, one each, and one host shows them all.
                let host = u32::try_from(if n < 20 { n } else { 7 }).unwrap();
                let own = if n < 20 { 5 } else { n };
                frames.learn(4, host, &record(&[1, 2, own], 1));
            }
            frames.done(&[9, 4])
        };
        let forwards = of(&mut (0..40));
        assert_eq!(forwards, of(&mut (0..40).rev()));
        assert!(forwards.0[0].is_empty() && forwards.0[1].len() == FRAMES);
    }
}
