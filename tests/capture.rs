//! The judge: every victim crashes on the real kernel, and what epicore says
//! about it is held against what truly happened, against the full core, and
//! against gdb and eu-stack on that core.
//!
//! Needs root (core_pattern); says so and passes when it is not. Takes the
//! lock of tests/support/pattern_guard.rs. EPICORE_DIST names the directory of
//! the binaries (default target/dist). While developing: EPICORE_VICTIMS=a,b
//! picks victims, EPICORE_KEEP_CORES=1 keeps the cores under target/victims/,
//! EPICORE_JUDGES_ONLY=1 measures gdb and eu-stack without epicore.

mod support;

use std::sync::LazyLock;

use support::evidence::{Case, gather};
use support::score_table;

/// Everything, gathered once; empty when the kernel may not be asked.
static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| match support::may_set_core_pattern() {
    Ok(()) => gather(),
    Err(why) => {
        println!("skipped: {why}");
        Vec::new()
    }
});

#[test]
fn more_chains_are_met_than_gdb_or_eu_stack_meet() {
    if CASES.is_empty() {
        return;
    }
    let (table, score) = score_table::table(&CASES);
    println!("{table}");
    let _ = std::fs::write(support::target_dir().join("victims/scores.txt"), &table);
    if support::handler_place::judges_only() {
        return;
    }
    assert!(score.epicore * 100 >= score.victims * 95, "{table}");
    assert!(score.epicore > score.gdb && score.epicore > score.eu_stack, "{table}");
}
