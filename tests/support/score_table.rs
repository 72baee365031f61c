//! Who met which chain: three columns, one row a victim.

use super::chain::shown;
use super::evidence::{Case, Teed};
use super::judge_gdb::Stacks;
use super::symbols::{Pc, Place};

/// The frames of one thread.
pub(crate) fn frames_of(stacks: &Stacks, tid: u32) -> &[Pc] {
    stacks.iter().find(|(t, _)| *t == tid).map_or(&[], |(_, frames)| frames.as_slice())
}

/// What a tool says the crashing thread's frames are.
pub(crate) fn crash_places(teed: &Teed, stacks: &Stacks) -> Vec<Place> {
    let tid = teed.full.threads.first().map_or(0, |t| t.tid);
    teed.space.places(frames_of(stacks, tid))
}

/// Chains met, of how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Score {
    pub(crate) epicore: usize,
    pub(crate) gdb: usize,
    pub(crate) eu_stack: usize,
    pub(crate) victims: usize,
}

/// The table as text, and the score.
pub(crate) fn table(cases: &[Case]) -> (String, Score) {
    let mut score = Score { victims: cases.len(), ..Score::default() };
    let mut rows = format!("{:<28} epicore  gdb  eu-stack\n", "victim");
    let mut missed = String::new();
    for case in cases {
        let Ok(teed) = &case.teed else {
            rows += &format!("{:<28} no core: {}\n", case.victim.name, case.teed.as_ref().err().unwrap());
            continue;
        };
        let epicore =
            teed.record.as_ref().map(crate::support::record_json::RecordJson::stacks).unwrap_or_default();
        let seen = [("epicore", &epicore), ("gdb", &teed.gdb), ("eu-stack", &teed.eu_stack)]
            .map(|(tool, stacks)| (tool, crash_places(teed, stacks)))
            .map(|(tool, places)| (tool, case.victim.chain.is_met_by(&places), places));
        let mark = |i: usize| if seen[i].1 { "yes" } else { "-" };
        rows += &format!("{:<28} {:<7}  {:<3}  {}\n", case.victim.name, mark(0), mark(1), mark(2));
        score.epicore += usize::from(seen[0].1);
        score.gdb += usize::from(seen[1].1);
        score.eu_stack += usize::from(seen[2].1);
        for (tool, met, places) in &seen {
            if !met && !places.is_empty() {
                missed += &format!("  {} {tool}: {}\n", case.victim.name, shown(places));
            }
        }
    }
    let percent = |n: usize| n as f64 * 100.0 / cases.len().max(1) as f64;
    rows += &format!(
        "{:<28} {:.1} %  {:.1} %  {:.1} %   ({} / {} / {} of {})\n",
        "chains met",
        percent(score.epicore),
        percent(score.gdb),
        percent(score.eu_stack),
        score.epicore,
        score.gdb,
        score.eu_stack,
        score.victims
    );
    (format!("{rows}\nnot met:\n{missed}"), score)
}
