//! A handler that is killed at any moment of its life: what it had begun is a record or
//! a number, the spool can be read, and the crashed process is let go.
//!
//! The kernel runs the real handler; somebody kills it after a time that chance
//! chooses. 60 times, 200 with EPICORE_HARDENING=1. Needs root; says so and passes
//! without.

mod support;

#[path = "support/storm.rs"]
#[allow(dead_code)]
mod storm;

use epicore::record::Kind;
use epicore::spool::Reader;
use epicore::storm::Totals;
use support::handler_place::{SPECIFIERS, handler};
use support::observe::{Observatory, Watch, dumped, records, victim};

fn totals(run: &std::path::Path) -> Totals {
    storm::ledger(run).map(|ledger| storm::totals(&ledger)).unwrap_or_default()
}

#[test]
fn a_handler_that_is_killed_at_any_moment_leaves_a_record_or_a_number() {
    let Some(observatory) = Observatory::open() else { return };
    let many = if std::env::var_os("EPICORE_HARDENING").is_some() { 200 } else { 60 };
    let (spool, run) = (observatory.spool("s"), observatory.place.path("r"));
    let config = observatory.place.path("c");
    std::fs::write(&config, format!("spool = {spool:?}\n[throttle]\nenabled = false\n"))
        .expect("a configuration");
    let arguments = format!("{SPECIFIERS} --run {} --config {}", run.display(), config.display());
    let program = support::workshop::helper("crash");
    let (mut before_begun, mut lost, mut minimal, mut full, mut whole) = (0, 0, 0, 0, 0);
    // How long one lives here when nobody kills it.
    observatory.crash_with(Watch::Usage, &handler(), &arguments, victim(&program).arg("3"));
    let life = records(&spool).last().and_then(|record| record.capture.total_us).expect("a whole record");
    let longest = 2 * life + 2000;
    let mut dice = 88_172_645_463_325_252u64;
    for _ in 0..many {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        observatory.inject(&format!("kill {}", dice % longest));
        let (were, had) = (totals(&run), records(&spool).len());
        let seen = observatory.crash_with(Watch::Usage, &handler(), &arguments, victim(&program).arg("3"));
        assert!(dumped(seen.status, 11), "it is let go: {:?}", seen.status);
        let (are, all) = (totals(&run), records(&spool));
        // Suppressed ones would hide what is asked here.
        assert_eq!(are.suppressed, 0);
        let begun = are.begun - were.begun;
        match (begun, all.len() - had) {
            (0, 0) => before_begun += 1,
            (1, 0) => {
                assert_eq!(
                    are.lost.unwrap_or(0) - were.lost.unwrap_or(0),
                    1,
                    "neither a record nor a number"
                );
                lost += 1;
            }
            (1, 1) if are.recorded > were.recorded => {
                whole += 1;
                assert_eq!(all.last().map(|record| record.kind), Some(Kind::Full));
            }
            (1, 1) => {
                assert!(are.lost > were.lost, "it did not end");
                let kind = all.iter().map(|record| record.kind).filter(|kind| *kind == Kind::Minimal).count();
                minimal += u32::from(kind > 0);
                full += u32::from(kind == 0);
            }
            other => panic!("{other:?}"),
        }
        // Minimal ones are looked at once.
        for record in all.iter().filter(|record| record.kind == Kind::Minimal) {
            std::fs::remove_file(spool.join(format!("{}.rec", record.id.hex()))).expect("removed");
        }
    }
    let listing = Reader::open(&spool).expect("a spool").list().expect("a listing");
    println!(
        "{many} killed: {before_begun} before they were counted, {lost} lost and counted, {minimal} with a \
         minimal record, {full} with a full one, {whole} had ended; {} temporary files, {} strangers",
        listing.temporaries, listing.strangers
    );
    assert_eq!(listing.strangers, 0);
    assert!(listing.temporaries <= 3, "{} temporary files", listing.temporaries);
    assert!(lost > 0 && lost < many, "the times reach from the beginning beyond it");
}
