//! What a crash's evidence says, with the software's side learnt from the fleet.
//!
//! P(outcome | hardware) is measured by injection ([`Counts`]); nobody can wait
//! for enough real defects. P(outcome | software) differs between fleets (their
//! programs have other bugs), and of it a fleet has plenty: nearly all its
//! crashes are software's. So the corpus is the prior, worth a share of its
//! innocents ([`PRIOR`]), and the fleet's rare crashes are counted on top, each by
//! the probability that it was software's. What neither has seen has happened half
//! a time (Jeffreys), and no ratio goes beyond (n + 1) / 3 of its innocents. Crashes
//! that people confirmed to be hardware's are counted on the other side, upon what was
//! measured (see [`verdict`](super::verdict)), within the same bounds.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::evidence::{Counts, GROUPS, Group, NONE, Shown};
use super::verdict;

/// What an innocent of the corpus is worth, in crashes of one's own: its programs
/// are few, and others'.
const PRIOR: f64 = 0.05;
/// And with how many times Jeffreys' prior begins.
const JEFFREYS: f64 = 0.5;
/// Outcomes of a group, at most, with "not looked" and "none".
const OUTCOMES: usize = 12;
/// P(outcome | hardware) of a group that was measured adds up to one within this.
const SHARES: f64 = 0.2;
/// log10 that a telling code has at least: with it a crash looks like hardware's.
const TELLING: f64 = 1.0;
/// The ratio from which on a code leans.
const LEANING: f64 = 2.0;
/// Codes that say that a pointer is one bit from a good one: what the shares of
/// wild pointers are about.
const FLIPS: [&str; 5] =
    ["E-BITFLIP-WITNESS", "E-BITFLIP-NONCANON", "E-BITFLIP-UNMAPPED", "E-BITFLIP-NULL", "E-BITFLIP-NEAR"];

type Table = [[f64; OUTCOMES]; GROUPS.len()];

/// Both sides.
#[derive(Clone, Debug)]
pub struct Likelihood {
    hardware: Table,
    software: Table,
    /// ln of the ratio, bounded.
    ln: Table,
    /// Share of flips among software's rare crashes.
    pub flips: f64,
}

/// Half units of ln: as fine as a number of crashes is told.
#[expect(clippy::cast_possible_truncation, reason = "clamped before")]
fn cell(ln: f64) -> i64 {
    (2.0 * ln).round().clamp(-60.0, 60.0) as i64
}

fn names(group: Group) -> impl Iterator<Item = &'static str> {
    std::iter::once(NONE).chain(group.codes().iter().copied())
}

/// What the corpus says.
struct Measured {
    /// The software's side times the ratio: of what was never seen, and where the
    /// ratio is bounded, that is no share.
    hardware: Table,
    software: Table,
    /// Shares among crashes of hardware.
    shares: Table,
    innocents: [f64; GROUPS.len()],
}

/// The corpus alone.
fn measured() -> &'static Measured {
    static MEASURED: OnceLock<Measured> = OnceLock::new();
    MEASURED.get_or_init(|| {
        let counts = Counts::measured();
        let ones = [[1.0; OUTCOMES]; GROUPS.len()];
        let mut innocents = [0.0; GROUPS.len()];
        let (mut hardware, mut software, mut shares) = (ones, ones, ones);
        let rows = hardware.iter_mut().zip(software.iter_mut()).zip(shares.iter_mut());
        for ((((hardware, software), shares), innocents), (group, _)) in
            rows.zip(innocents.iter_mut()).zip(&GROUPS)
        {
            *innocents = counts.innocents(*group) as f64;
            let cells = hardware.iter_mut().zip(software.iter_mut()).zip(shares.iter_mut()).skip(1);
            for (((hardware, software), share), outcome) in cells.zip(names(*group)) {
                let Some(ratio) = counts.ratio(*group, outcome) else { continue };
                (*software, *share) = (ratio.software, ratio.hardware);
                // Starting values and bounds are of the ratio.
                *hardware = ratio.software * 10f64.powf(ratio.log10);
            }
        }
        Measured { hardware, software, shares, innocents }
    })
}

/// Crashes by group and outcome, and how many of each group looked.
fn count(crashes: impl IntoIterator<Item = (Shown, f64)>) -> (Table, [f64; GROUPS.len()]) {
    let mut counts: Table = [[0.0; OUTCOMES]; GROUPS.len()];
    let mut looked = [0.0; GROUPS.len()];
    for (shown, weight) in crashes {
        for ((row, looked), outcome) in counts.iter_mut().zip(looked.iter_mut()).zip(shown.0) {
            if let Some(cell) = row.get_mut(usize::from(outcome)).filter(|_| outcome > 0) {
                *cell += weight;
                *looked += weight;
            }
        }
    }
    (counts, looked)
}

/// The hardware's side by the corpus and by confirmed crashes.
fn with_confirmed(mut hardware: Table, shares: &Table, confirmed: &[Shown]) -> Table {
    let (counts, looked) = count(confirmed.iter().map(|shown| (*shown, 1.0)));
    let rows = hardware.iter_mut().zip(shares).zip(counts.iter().zip(looked));
    for ((hardware, shares), (counts, looked)) in rows {
        // The first is "not looked".
        for ((hardware, share), count) in hardware.iter_mut().zip(shares).zip(counts).skip(1) {
            *hardware *= verdict::update(*share, *count, looked);
        }
    }
    hardware
}

impl Likelihood {
    /// From the corpus, and from crashes with the probability that each was
    /// software's.
    pub fn fit(crashes: impl IntoIterator<Item = (Shown, f64)>) -> Likelihood {
        Likelihood::fit_knowing(crashes, &[])
    }

    /// The same, with crashes that are known to be hardware's.
    pub fn fit_knowing(crashes: impl IntoIterator<Item = (Shown, f64)>, confirmed: &[Shown]) -> Likelihood {
        let Measured { hardware, software: prior, shares, innocents } = measured();
        let hardware = &with_confirmed(*hardware, shares, confirmed);
        let (counts, looked) = count(crashes);
        let (mut software, mut ln) = (*prior, [[0.0; OUTCOMES]; GROUPS.len()]);
        let rows = software.iter_mut().zip(ln.iter_mut()).zip(hardware).zip(&counts);
        for ((((software, ln), hardware), counts), (looked, innocents)) in
            rows.zip(looked.iter().zip(innocents))
        {
            let worth = PRIOR * innocents;
            let bound = ((looked + innocents + 1.0) / 3.0).ln().max(0.0);
            let cells = software.iter_mut().zip(ln.iter_mut()).zip(hardware.iter().zip(counts)).skip(1);
            for ((software, ln), (hardware, count)) in cells {
                *software = (count + (worth * *software).max(JEFFREYS)) / (looked + worth);
                *ln = (hardware / *software).ln().clamp(-bound, bound);
            }
        }
        let mut likelihood = Likelihood { hardware: *hardware, software, ln, flips: 0.0 };
        likelihood.flips = likelihood.flip_share();
        likelihood
    }

    fn pointer() -> usize {
        GROUPS.iter().position(|(group, _)| *group == Group::Pointer).unwrap_or(0)
    }

    fn flip_share(&self) -> f64 {
        let row = self.software.get(Likelihood::pointer());
        let shares = row.into_iter().flat_map(|row| row.iter().skip(2)).zip(Group::Pointer.codes());
        shares.filter(|(_, code)| FLIPS.contains(code)).map(|(share, _)| share).sum()
    }

    /// ln P(shown | hardware) / P(shown | software).
    pub fn ln_hardware(&self, shown: Shown) -> f64 {
        let cell = |(row, outcome): (&[f64; OUTCOMES], u8)| row.get(usize::from(outcome)).copied();
        self.ln.iter().zip(shown.0).filter_map(cell).sum()
    }

    /// ln P(shown | software of which this share are wild pointers that look
    /// flipped) / P(shown | software).
    pub fn ln_wild(&self, shown: Shown, share: f64) -> f64 {
        let outcome = shown.0.get(Likelihood::pointer()).copied().unwrap_or(0);
        if outcome == 0 {
            return 0.0;
        }
        let usual = self.flips.clamp(1e-6, 0.9);
        if Likelihood::is_flip(outcome) { (share / usual).ln() } else { ((1.0 - share) / (1.0 - usual)).ln() }
    }

    /// ln P(shown | software whose states look impossible so many times more often)
    /// / P(shown | software).
    pub fn ln_odd(&self, shown: Shown, times: f64) -> f64 {
        let place = GROUPS.iter().position(|(group, _)| *group == Group::ControlFlow).unwrap_or(0);
        let outcome = usize::from(shown.0.get(place).copied().unwrap_or(0));
        let Some(row) = self.software.get(place).filter(|_| outcome > 0) else { return 0.0 };
        let all: f64 = row.iter().skip(2).take(Group::ControlFlow.codes().len()).sum();
        let all = all.clamp(1e-9, 0.5 / times);
        if outcome > 1 { times.ln() } else { ((1.0 - times * all) / (1.0 - all)).ln() }
    }

    fn is_flip(outcome: u8) -> bool {
        let code = usize::from(outcome).checked_sub(2).and_then(|at| Group::Pointer.codes().get(at));
        code.is_some_and(|code| FLIPS.contains(code))
    }

    /// log10 of the crash's telling groups: those that speak against the machine by
    /// more than [`TELLING`].
    pub fn telling(&self, shown: Shown) -> f64 {
        let cell = |(row, outcome): (&[f64; OUTCOMES], u8)| row.get(usize::from(outcome)).copied();
        let log10 = self.ln.iter().zip(shown.0).filter_map(cell).map(|ln| ln / std::f64::consts::LN_10);
        log10.filter(|log10| *log10 >= TELLING).sum()
    }

    /// Some group of the crash leans towards the machine: enough for a comparison of
    /// groups of hosts, for none of one.
    pub fn leans(&self, shown: Shown) -> bool {
        let cell = |(row, outcome): (&[f64; OUTCOMES], u8)| row.get(usize::from(outcome)).copied();
        self.ln.iter().zip(shown.0).filter_map(cell).any(|ln| ln > LEANING.ln())
    }

    /// What one more crash of a defect would say, record complete: P(outcome | hardware)
    /// and ln of its ratio, all groups together; `wild` is the share of wild pointers
    /// that software of its own kind may have. Rare outcomes of like weight are one.
    pub fn further(&self, wild: f64) -> Vec<(f64, f64)> {
        let mut all = vec![(1.0, 0.0)];
        let usual = self.flips.clamp(1e-6, 0.9);
        for ((hardware, ln), (group, _)) in self.hardware.iter().zip(&self.ln).zip(&GROUPS) {
            let outcomes = hardware.iter().zip(ln).zip(0u8..).skip(1);
            let flip = |outcome: u8| *group == Group::Pointer && Likelihood::is_flip(outcome);
            let own: Vec<(f64, f64)> = outcomes
                .take(group.codes().len().saturating_add(1))
                .map(|((p, ln), outcome)| {
                    (*p, if flip(outcome) { ln - (wild / usual).ln().max(0.0) } else { *ln })
                })
                .collect();
            let sum: f64 = own.iter().map(|(p, _)| p).sum();
            // Starting values are of ratios, not shares: how often a defect makes a machine
            // check nobody has measured, and nothing is hoped from it.
            if !(1.0 - SHARES..1.0 + SHARES).contains(&sum) {
                continue;
            }
            let mut cells: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
            for (one, two) in all.iter().flat_map(|one| own.iter().map(move |two| (one, two))) {
                let (p, ln): (f64, f64) = (one.0 * two.0 / sum, one.1 + two.1);
                let cell = cells.entry(cell(ln)).or_insert((0.0, 0.0));
                *cell = (cell.0 + p, cell.1 + p * ln);
            }
            all = cells.into_values().filter(|(p, _)| *p > 0.0).map(|(p, ln)| (p, ln / p)).collect();
        }
        all
    }

    /// P(outcome | hardware), by group and outcome, for tests and tables.
    pub fn hardware(&self, group: usize, outcome: usize) -> f64 {
        self.hardware.get(group).and_then(|row| row.get(outcome)).copied().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was never seen has a starting value of its ratio, and that is no share:
    /// taken for one, confirmed crashes without any code made "none" speak against
    /// everybody.
    #[test]
    fn what_confirmed_crashes_do_not_show_becomes_no_evidence_and_bounds_hold() {
        let plain = Shown([1; GROUPS.len()]);
        let fleet = || (0..2000).map(|_| (plain, 1.0));
        let before = Likelihood::fit(fleet());
        let after = Likelihood::fit_knowing(fleet(), &[plain; 400]);
        for (group, _) in GROUPS.iter().enumerate() {
            let of = |likelihood: &Likelihood, outcome: usize| likelihood.ln[group][outcome];
            assert!(of(&after, 1) >= of(&before, 1) - 1e-9 && of(&after, 1) < 0.35, "{group}");
            for outcome in 2..OUTCOMES {
                assert!(of(&after, outcome) <= of(&before, outcome) + 1e-9, "{group} {outcome}");
            }
        }
        // Thousands that all show one code end at the bound.
        let flip = Shown::of(&["E-BITFLIP-NEAR"].into(), &[Group::Pointer]);
        let sure = Likelihood::fit_knowing(fleet(), &[flip; 100_000]);
        let bound = ((2000.0 + measured().innocents[Likelihood::pointer()] + 1.0) / 3.0f64).ln();
        assert!(sure.ln_hardware(flip) > before.ln_hardware(flip) && sure.ln_hardware(flip) <= bound + 1e-9);
    }

    #[test]
    fn a_further_crash_of_hardware_speaks_for_it_less_so_where_wild_pointers_are_usual() {
        let likelihood = Likelihood::fit([]);
        let drift = |wild: f64| -> f64 {
            let steps = likelihood.further(wild);
            let all: f64 = steps.iter().map(|(p, _)| p).sum();
            assert!((all - 1.0).abs() < 1e-9 && steps.len() <= 64, "{all} {}", steps.len());
            steps.iter().map(|(p, ln)| p * ln).sum()
        };
        assert!(drift(0.0) > 0.1 && drift(0.3) < drift(0.0), "{} {}", drift(0.0), drift(0.3));
        // Most crashes of a defect are not decisive by themselves.
        let decisive: f64 = likelihood.further(0.0).iter().filter(|(_, ln)| *ln > 4.6).map(|(p, _)| p).sum();
        assert!(decisive < 0.5, "{decisive}");
    }
}
