//! Did it begin with this rollout? And is it the new build that crashes more?
//!
//! ```text
//! none     one rate λ, gamma
//! rollout  from this bin on λ times a ratio; or λ (1 + (ratio − 1) share of the build)
//! other    the same at any other bin, each as likely
//! build    of each bin's cases the new build has share·ratio / (1 − share + share·ratio)
//! ```
//!
//! λ is integrated out in closed form, ratios are a grid. "build" needs to know which
//! build each case had, and then does not ask for λ at all: what the rate does over
//! time is no matter, so that its ratio is a martingale while the builds are alike,
//! and the probability that it *ever* exceeds B is at most 1 / B, however often one
//! looks (Ville 1939; Robbins 1970). [`Began::named`] asks for 1000 for each rollout
//! that is compared: at most one rollout in a thousand is named falsely, ever.

use super::history::{Bin, Prior};
use super::math::{ln_add, ln_sum};

/// Ratios of the new build's rate; the last stands for crashes that only it has.
const RATIOS: [f64; 5] = [2.5, 5.0, 10.0, 30.0, 1000.0];
/// A rollout is named at this Bayes factor, for each one that is compared.
const NAMED: f64 = 1000.0;
/// And began it, when so much likelier than all other times together.
const AGAINST_OTHERS: f64 = 3.0;
/// Rollouts that are compared; the first ones.
const MOST_ROLLOUTS: usize = 256;

/// A rollout that may have begun it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rollout<'a> {
    /// When it began, in bins since the beginning.
    pub at: f64,
    /// The new build's share of exposure in each bin; empty: all of it from `at` on.
    pub share: &'a [f64],
    /// Cases of the new build in each bin, and cases of any build that is known, if
    /// builds are known. They may be fewer than the bin's (each host's first).
    pub cases: Option<&'a [(u32, u32)]>,
}

/// What speaks for a rollout.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Began {
    /// ln of "the rate rose with it" against "no change".
    pub ln_rollout: f64,
    /// ln of "it rose at some other time" against "no change".
    pub ln_other: f64,
    /// ln of "the build crashes more" against "builds are alike", by the cases' own
    /// builds; 0 without them.
    pub ln_build: f64,
    /// The build's rate ratio, or where no case has one the rollout's: the grid's mean.
    pub ratio: f64,
    /// What the Bayes factor must exceed, ln.
    pub threshold: f64,
}

impl Began {
    /// The build is the cause: its cases are more than its share.
    pub fn named(&self) -> bool {
        self.ln_build > self.threshold
    }

    /// It began with the rollout: rather than not at all, and than at other times.
    pub fn began(&self) -> bool {
        self.ln_rollout > self.threshold && self.ln_rollout - self.ln_other > AGAINST_OTHERS.ln()
    }
}

/// A history: cases and exposure by bin, valid.
struct History {
    bins: Vec<(f64, f64)>,
    cases: f64,
    exposure: f64,
    prior: Prior,
}

impl History {
    fn of(bins: &[Bin], prior: &Prior) -> History {
        let valid = |bin: &Bin| {
            let exposure = if bin.exposure > 0.0 { bin.exposure.min(1e100) } else { 0.0 };
            // Cases without exposure cannot be weighed by it.
            (if exposure > 0.0 { f64::from(bin.count) } else { 0.0 }, exposure)
        };
        let bins: Vec<(f64, f64)> = bins.iter().map(valid).collect();
        let sum = |of: fn(&(f64, f64)) -> f64| bins.iter().map(of).sum::<f64>();
        let (cases, exposure) = (sum(|bin| bin.0), sum(|bin| bin.1));
        History { bins, cases, exposure, prior: prior.sane() }
    }

    /// ln against "no change", when `raised` of the exposure had the ratio more, and
    /// `ln_cases` is what the cases say.
    fn ln_raised(&self, ln_cases: f64, raised: f64, ratio: f64) -> f64 {
        let all = self.prior.rate + self.exposure;
        ln_cases - (self.prior.shape + self.cases) * ((ratio - 1.0) * raised / all).ln_1p()
    }

    /// ln for a step after each bin, from the last bin back: with so many of the cases
    /// and so much of the exposure behind it.
    fn ln_steps(&self) -> Vec<f64> {
        let (mut cases, mut exposure) = (0.0, 0.0);
        let step = |bin: &(f64, f64)| {
            cases += bin.0;
            exposure += bin.1;
            grid(|ratio| self.ln_raised(cases * ratio.ln(), exposure, ratio)).0
        };
        let mut steps: Vec<f64> = self.bins.iter().rev().map(step).collect();
        steps.reverse();
        steps
    }

    fn ln_rollout(&self, share: &[f64]) -> (f64, f64) {
        let raised: f64 = self.bins.iter().zip(share).map(|(bin, share)| bin.1 * share).sum();
        grid(|ratio| {
            let cases = self.bins.iter().zip(share).filter(|(bin, _)| bin.0 > 0.0);
            let ln = cases.map(|(bin, share)| bin.0 * ((ratio - 1.0) * share).ln_1p()).sum();
            self.ln_raised(ln, raised, ratio)
        })
    }
}

/// ln of the mean over the grid, and the grid's mean (of the ratios' logarithms) by
/// what each says.
fn grid(ln: impl Fn(f64) -> f64) -> (f64, f64) {
    let each = RATIOS.map(|ratio| (ratio, ln(ratio)));
    let all = ln_sum(each.iter().map(|(_, ln)| *ln));
    let mean = each.iter().map(|(ratio, ln)| (ln - all).exp() * ratio.ln()).sum::<f64>();
    (all - (RATIOS.len() as f64).ln(), mean.exp())
}

fn ln_build(share: &[f64], cases: &[(u32, u32)]) -> (f64, f64) {
    let split =
        share.iter().zip(cases).filter(|(share, (_, all))| **share > 0.0 && **share < 1.0 && *all > 0);
    let split: Vec<(f64, f64, f64)> =
        split.map(|(share, (new, all))| (f64::from(*new.min(all)), f64::from(*all), *share)).collect();
    grid(|ratio| {
        let one =
            |(new, all, share): &(f64, f64, f64)| new * ratio.ln() - all * ((ratio - 1.0) * share).ln_1p();
        split.iter().map(one).sum()
    })
}

/// Weighs each of the rollouts (the first 256) against a cluster's history.
pub fn rollouts(bins: &[Bin], rollouts: &[Rollout], prior: &Prior) -> Vec<Began> {
    let history = History::of(bins, prior);
    let steps = history.ln_steps();
    let compared = rollouts.len().clamp(1, MOST_ROLLOUTS);
    let threshold = NAMED.ln() + (compared as f64).ln();
    let weigh = |rollout: &Rollout| {
        let step = |at: usize| if at as f64 + 0.5 >= rollout.at { 1.0 } else { 0.0 };
        let share: Vec<f64> = if rollout.share.is_empty() {
            (0..bins.len()).map(step).collect()
        } else {
            let valid = rollout.share.iter().map(|share| if *share > 0.0 { share.min(1.0) } else { 0.0 });
            valid.chain(std::iter::repeat(0.0)).take(bins.len()).collect()
        };
        let (ln_rollout, by_time) = history.ln_rollout(&share);
        // Every other bin, but for the first, where nothing was before, and those next
        // to the rollout, which are no other time.
        let others = steps.iter().enumerate().skip(1).filter(|(at, _)| (*at as f64 - rollout.at).abs() > 1.0);
        let (ln, count) =
            others.fold((f64::NEG_INFINITY, 0.0), |(ln, n), (_, step)| (ln_add(ln, *step), n + 1.0));
        let ln_other = if count > 0.0 { ln - f64::ln(count) } else { f64::NEG_INFINITY };
        let (ln_build, by_build) = rollout.cases.map_or((0.0, by_time), |new| ln_build(&share, new));
        let ratio = if rollout.cases.is_some() { by_build } else { by_time };
        Began { ln_rollout, ln_other, ln_build, ratio, threshold }
    };
    rollouts.iter().take(MOST_ROLLOUTS).map(weigh).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bin(count: u32) -> Bin {
        Bin { count, exposure: 1.0, days: 1.0 }
    }

    /// 60 days of one crash in four days, then 20 with these.
    fn history(after: u32) -> Vec<Bin> {
        let before = (0..60).map(|day| bin(u32::from(day % 4 == 0)));
        before.chain(std::iter::repeat_n(bin(after), 20)).collect()
    }

    #[test]
    fn a_rise_at_a_rollout_began_with_it_and_not_with_another() {
        let at = |at: f64| Rollout { at, ..Rollout::default() };
        let found = rollouts(&history(2), &[at(60.0), at(30.0)], &Prior::default());
        assert!(found[0].began() && !found[1].began(), "{found:?}");
        assert!(found[0].ratio > 5.0 && found[0].ratio < 12.0, "{found:?}");
    }

    #[test]
    fn a_canary_is_named_by_its_share_of_cases_whatever_the_rate_does() {
        let bins = history(2);
        let share: Vec<f64> = (0..80).map(|day| if day < 60 { 0.0 } else { 0.1 }).collect();
        let cases = |new: &dyn Fn(u32) -> bool| -> Vec<(u32, u32)> {
            (0..80).zip(&bins).map(|(day, bin)| (u32::from(day >= 60 && new(day)), bin.count)).collect()
        };
        let (half, tenth) = (cases(&|_| true), cases(&|day| day % 5 == 0));
        let rollout = |cases| Rollout { at: 60.0, share: &share, cases: Some(cases) };
        let found = rollouts(&bins, &[rollout(&half)], &Prior::default());
        assert!(found[0].named() && found[0].ratio > 5.0 && found[0].ratio < 20.0, "{found:?}");
        // The rate rose as much, but the build has what its share explains.
        let found = rollouts(&bins, &[rollout(&tenth)], &Prior::default());
        assert!(!found[0].named(), "{found:?}");
    }

    #[test]
    fn hostile_rollouts_end_in_numbers_or_minus_infinity() {
        let odd = [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e300, 0.5, 1.0];
        let bins: Vec<Bin> =
            odd.iter().map(|odd| Bin { count: u32::MAX, exposure: *odd, days: *odd }).collect();
        let all: Vec<Rollout> = odd
            .iter()
            .map(|at| Rollout { at: *at, share: &odd, cases: Some(&[(u32::MAX, 3), (0, u32::MAX), (7, 7)]) })
            .chain([Rollout::default()])
            .collect();
        for bins in [&bins[..], &bins[..1], &[]] {
            for began in rollouts(bins, &all, &Prior::default()) {
                let all = [began.ln_rollout, began.ln_other, began.ln_build, began.ratio, began.threshold];
                assert!(all.iter().all(|value| !value.is_nan()), "{began:?}");
            }
        }
        let many = vec![Rollout::default(); 1000];
        assert_eq!(rollouts(&bins, &many, &Prior::default()).len(), MOST_ROLLOUTS);
    }
}
