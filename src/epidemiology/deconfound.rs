//! Which of two items it is, when cases have both.
//!
//! The one is tested within the hosts with and without the other, and the other way
//! round (exact, given the cases of each; see rate.rs):
//!
//! ```text
//!                      y still stands out       y does not
//! x still stands out   both, or interaction     x: supported
//! x does not           x: explained away by y   inseparable
//! ```
//!
//! What scores less explains nothing away: it was chosen of many, and stands out a
//! little within anything; "inseparable" is said then. What cannot be separated says
//! how many further cases of the bug would do: at that number x, if it is x, stands
//! out within y with a chance of 80 %, the cases seen included (normal approximation).
//! Hosts that always have both or neither are never separated.

use super::rate::{self, Ratio};
use super::tally::{Fleet, Split, Strata};
use super::trigger::{Finding, Item, Status};

/// Level of the tests within the other: two tests are read together, and a wrong
/// "explained away" is worse than "inseparable".
const LEVEL: f64 = 0.05;
/// Its quantile of the normal distribution, and that of 80 % power.
const Z_LEVEL: f64 = 1.644_853_626_951_472_7;
const Z_POWER: f64 = 0.841_621_233_572_914_3;
/// The ratio that an item is thought to have, for the power: estimates of little
/// data are too large, and infinite ones say nothing.
const RATIOS: (f64, f64) = (2.0, 20.0);
/// Cases beyond which there is no telling apart.
const MOST: u32 = 1_000_000;

/// What the other leaves of an item: the status, and the ratio within the other.
/// `ahead` says that the other has the better score.
pub(super) fn against(fleet: &Fleet, finding: &Finding, other: Item, ahead: bool) -> (Status, Option<Ratio>) {
    let item = finding.item;
    let mine = fleet.split(item, Strata::Of(other));
    let theirs = fleet.split(other, Strata::Of(item));
    let strata: Vec<rate::Stratum> = mine.iter().map(Split::stratum).collect();
    let others: Vec<rate::Stratum> = theirs.iter().map(Split::stratum).collect();
    let weight: f64 = mine.iter().map(Split::weight).sum();
    let each = if weight > 0.0 { fleet.hosts.len() as f64 / weight } else { 0.0 };
    let tables: Vec<rate::Table> = mine.iter().map(|split| split.table(each)).collect();
    let adjusted = rate::mantel_haenszel(&tables);
    let status = match (rate::tail(&strata) < LEVEL, rate::tail(&others) < LEVEL) {
        (true, false) => Status::Supported,
        (false, true) if ahead => Status::ExplainedAway { by: other },
        (false, _) => Status::Inseparable { from: other, more: more(&mine, finding.ratio.ratio) },
        (true, true) => match strata.as_slice() {
            [without, with] if rate::heterogeneity(without, with) < LEVEL => {
                Status::Interaction { with: other }
            }
            _ => Status::Supported,
        },
    };
    (status, adjusted)
}

/// How many cases more separate an item of this ratio from what made the strata: the
/// least m with
///
/// ```text
/// seen + m shift >= Z_LEVEL sqrt(var seen + m before) + Z_POWER sqrt(m after)
/// ```
fn more(strata: &[Split], ratio: f64) -> Option<u32> {
    let ratio = ratio.clamp(RATIOS.0, RATIOS.1);
    let risk = |split: &Split| split.weight() * (1.0 + (ratio - 1.0) * split.stratum().share);
    let risks: f64 = strata.iter().map(risk).sum();
    let (mut seen, mut spread, mut shift, mut before, mut after) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for split in strata.iter().filter(|split| split.weight() > 0.0) {
        let rate::Stratum { exposed, cases, share: p } = split.stratum();
        let (part, now) = (risk(split) / risks, ratio * p / (ratio * p + 1.0 - p));
        seen += f64::from(exposed) - f64::from(cases) * p;
        spread += f64::from(cases) * p * (1.0 - p);
        shift += part * (now - p);
        before += part * p * (1.0 - p);
        after += part * now * (1.0 - now);
    }
    let enough = |m: u32| {
        let m = f64::from(m);
        seen + m * shift >= Z_LEVEL * (spread + m * before).sqrt() + Z_POWER * (m * after).sqrt()
    };
    if shift <= 0.0 || !enough(MOST) {
        return None;
    }
    let (mut low, mut high) = (1, MOST);
    while low < high {
        let middle = low.midpoint(high);
        if enough(middle) {
            high = middle;
        } else {
            low = middle.saturating_add(1);
        }
    }
    Some(low)
}
