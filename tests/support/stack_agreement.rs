//! How far epicore's frames of all threads are gdb's, where gdb meets the
//! chain of the crashing thread (so that it can be believed).

use super::evidence::Case;
use super::score_table::{crash_places, frames_of};
use super::symbols::Pc;

/// Frames of gdb's that epicore has at the same place, of how many.
#[derive(Clone, Debug, Default)]
pub(crate) struct Agreement {
    pub(crate) victim: String,
    pub(crate) same: usize,
    pub(crate) of: usize,
    /// The first stack that differs: thread, gdb's and epicore's frames.
    pub(crate) first_difference: Option<(u32, String, String)>,
}

impl Agreement {
    pub(crate) fn share(&self) -> f64 {
        self.same as f64 / self.of.max(1) as f64
    }
}

/// One victim's threads compared.
pub(crate) fn of(case: &Case) -> Option<Agreement> {
    let teed = case.teed.as_ref().ok()?;
    if !case.victim.chain.is_met_by(&crash_places(teed, &teed.gdb)) {
        return None;
    }
    let ours = teed.record.as_ref().map(super::record_json::RecordJson::stacks).unwrap_or_default();
    let mut sum = Agreement { victim: case.victim.name.clone(), ..Agreement::default() };
    let cuts = teed.record.as_ref().map(super::record_json::RecordJson::cuts).unwrap_or_default();
    for (tid, theirs) in &teed.gdb {
        let ours = frames_of(&ours, *tid);
        let inner = theirs.iter().zip(ours).take_while(|(a, b)| a.at == b.at).count();
        let outer = theirs.iter().rev().zip(ours.iter().rev()).take_while(|(a, b)| a.at == b.at).count();
        // What the record says it left out of the middle is not a difference
        // of what was found, when the two ends are whole and the count is right.
        let left_out = cuts.get(tid).is_some_and(|cut| match cut {
            0 => ours.len() < theirs.len(),
            n => ours.len() as u64 + n == theirs.len() as u64,
        });
        let same = if left_out && inner + outer >= ours.len() { theirs.len() } else { inner };
        sum.same += same;
        sum.of += theirs.len();
        if same != theirs.len() && sum.first_difference.is_none() {
            let text = |frames: &[Pc]| {
                let rest = frames.get(inner..).unwrap_or_default();
                let pcs: Vec<String> = rest.iter().take(4).map(|pc| format!("{:#x}", pc.at)).collect();
                format!(
                    "{inner} frames, then {} ({})",
                    super::chain::shown(&teed.space.places(rest)),
                    pcs.join(" ")
                )
            };
            sum.first_difference = Some((*tid, text(theirs), text(ours)));
        }
    }
    Some(sum)
}
