//! A handler that crashes: its last words stand in the ledger, the minimal record
//! stays where it had been written, the crashed process is released, and no second
//! handler is started for the first.
//!
//! The kernel runs the real handler; under ptrace it jumps to address 0
//! (tests/support/inject.c), or strace takes its memory away. Needs root; says so and
//! passes without.

mod support;

#[path = "support/storm.rs"]
#[allow(dead_code)]
mod storm;

use std::path::Path;
use std::time::Duration;

use epicore::gap::Stage;
use epicore::record::Kind;
use epicore::storm::{Cause, Epitaph};
use support::handler_place::{SPECIFIERS, handler};
use support::observe::{Observatory, Watch, dumped, records, victim, wait_for_full};

const SIGABRT: u32 = 6;
const SIGSEGV: u32 = 11;

/// How many handlers began, and the only epitaph.
fn left(run: &Path) -> (u64, u64, Epitaph) {
    let ledger = storm::ledger(run).expect("a ledger");
    let totals = storm::totals(&ledger);
    let (count, epitaphs) = ledger.epitaphs();
    assert_eq!((count, epitaphs.len()), (1, 1), "{epitaphs:?}");
    (totals.begun, totals.recorded, epitaphs.into_iter().next().expect("an epitaph"))
}

#[test]
fn a_handler_that_crashes_leaves_last_words_and_is_nobodys_crash() {
    if !cfg!(target_arch = "x86_64") {
        println!("skipped: a jump is injected on x86_64 only");
        return;
    }
    for (moment, stages) in
        [("first-byte", &[Stage::Elfcore][..]), ("released", &[Stage::Confine, Stage::Spool])]
    {
        let Some(observatory) = Observatory::open() else { return };
        let (spool, run) = (observatory.spool("s"), observatory.place.path("r"));
        observatory.inject(&format!("jump {moment}"));
        let mut crash = victim(&support::workshop::helper("crash"));
        let (seen, text) = observatory.crash_injected(&spool, crash.arg("3"));
        // wait(2)'s word: the signal, and no core.
        assert_eq!(seen.handler_status, 11, "{moment}: {text}");
        assert!(dumped(seen.status, 11), "{moment}: {:?}", seen.status);
        let (begun, recorded, epitaph) = left(&run);
        assert_eq!((begun, recorded), (1, 0), "{moment}: a handler was started for the handler");
        assert_eq!((epitaph.cause.clone(), epitaph.task), (Cause::Signal(SIGSEGV), seen.pid), "{moment}");
        assert!(stages.contains(&epitaph.stage), "{moment}: {epitaph:?}");
        assert!(records(&spool).is_empty(), "{moment}: it had not come so far");
    }
}

#[test]
fn a_handler_without_memory_leaves_its_minimal_record_and_says_where_it_was() {
    let Some(observatory) = Observatory::with_strace() else { return };
    let crash = |number: usize, fault: &str| {
        let (spool, run) =
            (observatory.spool(&format!("s{number}")), observatory.place.path(&format!("r{number}")));
        observatory.inject(fault);
        let arguments = format!("{SPECIFIERS} --spool {} --run {}", spool.display(), run.display());
        let mut command = victim(&support::workshop::helper("crash"));
        let seen = observatory.crash_with(Watch::Calls, &handler(), &arguments, command.arg("3"));
        (seen, spool, run)
    };
    // Where the minimal record is there: the last call that asks for memory.
    let (seen, spool, _) = crash(0, "");
    assert_eq!(wait_for_full(&spool, 1, Duration::from_secs(10)).len(), 1);
    let grows = |name: &str| matches!(name, "mmap" | "brk" | "mremap");
    let calls: Vec<&str> = seen.trace.calls.iter().map(|call| call.name.as_str()).collect();
    let linked = calls.iter().position(|name| *name == "linkat").expect("the minimal record");
    let before = calls.iter().take(linked).filter(|name| **name == "mmap").count();
    assert!(calls.iter().skip(linked).any(|name| grows(name)), "{calls:?}");

    let (seen, spool, run) = crash(1, &format!("mmap,brk,mremap:error=ENOMEM:when={}+", before + 40));
    if seen.handler_status == 0 {
        println!("skipped: the handler needed no more memory than it had");
        return;
    }
    assert_eq!(seen.handler_status, 6, "an abort");
    let (begun, _, epitaph) = left(&run);
    assert_eq!((begun, epitaph.cause.clone()), (1, Cause::Signal(SIGABRT)), "{epitaph:?}");
    let kept = records(&spool).pop().expect("the minimal record");
    assert_eq!(kept.kind, Kind::Minimal);
    assert_eq!(kept.id.0, epitaph.record, "{epitaph:?}");
    assert!(
        matches!(epitaph.stage, Stage::Hardware | Stage::Unwind | Stage::Record | Stage::Spool),
        "{epitaph:?}"
    );
}
