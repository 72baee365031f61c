//! The last words of a handler that dies of itself: in which stage, of what, and of
//! whose crash. In the ledger, because nothing else is sure to work by then: a few
//! stores, no allocation, no lock, no system call but a clock.
//!
//! A panic says where in the source (never its text, which may hold what a crash
//! chose); a signal says its number. The kernel starts no handler for a handler
//! (RLIMIT_CORE is 1), so nothing recurses. What kills without asking (SIGKILL, the
//! deadline's second signal) leaves no words: it is one of the lost.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

use nix::errno::Errno;

use super::ledger::{BURIED, EPITAPH, EPITAPHS, EPITAPHS_KEPT, Ledger};
use crate::gap::Stage;
use crate::syscall;

const STAGES: [Stage; 10] = [
    Stage::Invocation,
    Stage::Confine,
    Stage::Process,
    Stage::Elfcore,
    Stage::Memory,
    Stage::Module,
    Stage::Unwind,
    Stage::Hardware,
    Stage::Record,
    Stage::Spool,
];
/// Of a panic, in the place of a signal's number.
const PANIC: u64 = 255;
/// Bytes of the name of a source file: its end.
const NAME: usize = 24;

static PLACE: OnceLock<Ledger> = OnceLock::new();
static STAGE: AtomicU8 = AtomicU8::new(0);
static TASK: AtomicU32 = AtomicU32::new(0);
static RECORD: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];
static SAID: AtomicBool = AtomicBool::new(false);

/// Why a handler died.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It panicked: the end of the source file's name, and the line.
    Panic(String, u32),
    /// A signal's number.
    Signal(u32),
}

/// What is left of one that died of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epitaph {
    /// CLOCK_BOOTTIME, nanoseconds.
    pub at: u64,
    /// What it was doing.
    pub stage: Stage,
    /// Of what it died.
    pub cause: Cause,
    /// The thread of whose crash.
    pub task: u32,
    /// The record that it had begun; zero when there was none yet.
    pub record: [u8; 16],
}

/// What this handler does now.
pub fn enter(stage: Stage) {
    let at = STAGES.iter().position(|known| *known == stage).unwrap_or(0);
    STAGE.store(u8::try_from(at).unwrap_or(0), Ordering::Relaxed);
}

/// Which record it writes.
pub fn writes(id: &[u8]) {
    for (word, half) in RECORD.iter().zip(id.as_chunks::<8>().0) {
        word.store(u64::from_le_bytes(*half), Ordering::Relaxed);
    }
}

/// From here on this process leaves last words, of this task's crash.
pub(super) fn expect(ledger: Ledger, task: Option<u32>) -> Result<(), Errno> {
    let _ = PLACE.set(ledger);
    TASK.store(task.unwrap_or(0), Ordering::Relaxed);
    std::panic::set_hook(Box::new(|panic| {
        let (file, line) = panic.location().map_or(("", 0), |place| (place.file(), place.line()));
        say(PANIC, line, file.as_bytes());
    }));
    syscall::on_fatal_signals(|signal| say(u64::from(signal), 0, b""))
}

/// Once: an abort behind a panic has nothing to add.
fn say(what: u64, line: u32, file: &[u8]) {
    let Some(ledger) = PLACE.get().filter(|_| !SAID.swap(true, Ordering::AcqRel)) else { return };
    let number = ledger.word(BURIED).fetch_add(1, Ordering::AcqRel);
    let first = place(number);
    let stage = u64::from(STAGE.load(Ordering::Relaxed));
    let end = file.get(file.len().saturating_sub(NAME)..).unwrap_or(file);
    let mut name = [0u8; NAME];
    name.iter_mut().zip(end).for_each(|(to, from)| *to = *from);
    let [first_half, second_half] = RECORD.each_ref().map(|half| half.load(Ordering::Relaxed));
    let words = [
        u64::from(TASK.load(Ordering::Relaxed)) | stage << 32 | what << 40,
        u64::from(line),
        first_half,
        second_half,
    ];
    let name = name.as_chunks::<8>().0.iter().map(|part| u64::from_le_bytes(*part));
    for (word, value) in (first.saturating_add(1)..).zip(words.into_iter().chain(name)) {
        ledger.word(word).store(value, Ordering::Relaxed);
    }
    // The time last: without it there is no epitaph.
    let now = syscall::clocks().1.unwrap_or(0).max(1);
    ledger.word(first).store(now, Ordering::Release);
}

/// The first word of the epitaph of this number.
fn place(number: u64) -> usize {
    let kept = usize::try_from(number).unwrap_or(0).checked_rem(EPITAPHS_KEPT).unwrap_or(0);
    EPITAPHS.saturating_add(kept.saturating_mul(EPITAPH))
}

/// Those that the words still have, the latest first.
pub(super) fn read(word: impl Fn(usize) -> u64) -> Vec<Epitaph> {
    let all = (0..EPITAPHS_KEPT as u64).map(place);
    let mut found: Vec<Epitaph> = all.filter_map(|first| one(&word, first)).collect();
    found.sort_by_key(|one| std::cmp::Reverse(one.at));
    found
}

fn one(word: &impl Fn(usize) -> u64, first: usize) -> Option<Epitaph> {
    let at = |offset: usize| word(first.saturating_add(offset));
    let low = |word: u64| u32::try_from(word & 0xffff_ffff).unwrap_or(0);
    let said = at(1);
    let stage = usize::try_from(said >> 32 & 0xff).ok().and_then(|index| STAGES.get(index));
    let cause = match said >> 40 & 0xff {
        PANIC => {
            let bytes: Vec<u8> = (5..8).flat_map(|offset| at(offset).to_le_bytes()).collect();
            let text = bytes.split(|byte| *byte == 0).next().unwrap_or(&[]);
            Cause::Panic(String::from_utf8_lossy(text).into_owned(), low(at(2)))
        }
        signal => Cause::Signal(low(signal)),
    };
    let id = u128::from(at(3)) | u128::from(at(4)) << 64;
    (at(0) > 0).then(|| Epitaph {
        at: at(0),
        stage: stage.copied().unwrap_or(Stage::Unknown),
        cause,
        task: low(said),
        record: id.to_le_bytes(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_words_are_read_and_a_ring_of_zeroes_is_empty() {
        assert_eq!(read(|_| 0), []);
        for seed in [1u64, 0xdead_beef_dead_beef, u64::MAX] {
            let found = read(|word| seed.rotate_left(u32::try_from(word % 64).unwrap()));
            assert!(found.len() <= EPITAPHS_KEPT);
            assert!(
                found.iter().all(|one| !matches!(&one.cause, Cause::Panic(name, _) if name.len() > 3 * NAME))
            );
        }
    }
}
