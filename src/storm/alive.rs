//! Which handlers live: a word for each, with its process and when it began.
//!
//! A handler enters itself before it is counted as begun and leaves after it is
//! counted as ended, so whoever counts the living never finds too few of them.
//! The process id may be somebody else's by then: a process that started after
//! the handler began is not the handler.

use std::sync::atomic::Ordering;

use super::ledger::{HANDLERS, Ledger};
use crate::limits;
use crate::process::{self, Directory, Life};

/// Bits of the milliseconds since boot: 34 years. Process ids have 22 bits.
const TIME: u32 = 40;
/// A process's start is told in hundredths of a second.
const COARSE: u64 = 10;

/// Asks /proc, opened before.
pub fn ask(proc_root: Option<&Directory>) -> impl Fn(u32) -> Life {
    move |pid| proc_root.map_or(Life::Unknown, |root| process::life(root, pid))
}

/// A handler's own word.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    index: usize,
    word: u64,
}

/// Enters this process; `None` where there is no room, which is counted.
pub(super) fn enter(ledger: &Ledger, pid: u32, now: u64) -> Option<Entry> {
    let time = now.checked_div(1_000_000).unwrap_or(0) & !(u64::MAX << TIME);
    let word = u64::from(pid) << TIME | time;
    let first = usize::try_from(pid).unwrap_or(0);
    (0..limits::STORM_HANDLERS).find_map(|step| {
        let index = place(first.wrapping_add(step));
        let taken = ledger.word(index).compare_exchange(0, word, Ordering::AcqRel, Ordering::Relaxed);
        taken.is_ok().then_some(Entry { index, word })
    })
}

fn place(number: usize) -> usize {
    number.checked_rem(limits::STORM_HANDLERS).unwrap_or(0).saturating_add(HANDLERS)
}

/// Leaves again.
pub(super) fn leave(ledger: &Ledger, entry: Entry) {
    clear(ledger, entry.index, entry.word);
}

/// Takes a word away that is still the same.
pub(super) fn clear(ledger: &Ledger, index: usize, word: u64) {
    let _ = ledger.word(index).compare_exchange(word, 0, Ordering::AcqRel, Ordering::Relaxed);
}

/// Whether the handler behind a word lives; `None` when that cannot be told.
pub(super) fn lives(word: u64, life: &dyn Fn(u32) -> Life) -> Option<bool> {
    let pid = u32::try_from(word >> TIME).ok().filter(|pid| *pid != 0);
    let began = word & !(u64::MAX << TIME);
    match pid.map_or(Life::Gone, life) {
        Life::Since(start) => Some(start.checked_div(1_000_000).unwrap_or(0) <= began.saturating_add(COARSE)),
        Life::Gone => Some(false),
        Life::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storm::ledger::tests::of;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_process_that_took_a_dead_handlers_number_is_not_the_handler() {
        let ledger = of(|_| 0);
        let entry = enter(&ledger, 4711, 5000 * MS).unwrap();
        let at = |start: u64| lives(entry.word, &|pid| (pid == 4711).then_some(Life::Since(start)).unwrap());
        assert_eq!((at(4990 * MS), at(5010 * MS)), (Some(true), Some(true)));
        assert_eq!(at(5020 * MS), Some(false));
        assert_eq!(lives(entry.word, &|_| Life::Gone), Some(false));
        assert_eq!(lives(entry.word, &|_| Life::Unknown), None);
        leave(&ledger, entry);
        assert_eq!(ledger.get(entry.index), 0);
    }

    #[test]
    fn a_full_table_is_said_and_searched_once() {
        let ledger = of(|_| 0);
        let all: Vec<_> = (1..=1024).map(|pid| enter(&ledger, pid * 1024, 0).unwrap()).collect();
        assert!(enter(&ledger, 7, 0).is_none());
        leave(&ledger, all[500]);
        assert_eq!(enter(&ledger, 7, 0).unwrap().index, all[500].index);
    }
}
