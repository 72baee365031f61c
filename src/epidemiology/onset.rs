//! When did it begin? Bayesian online change points (Adams and MacKay 2007) of a
//! cluster's crashes, per exposure.
//!
//! ```text
//! run         since some bin the rate is constant: gamma, so that the next bin's
//!             count is negative binomial
//! new run     its rate is the last one's (as uncertain as that is) times a ratio of a
//!             grid; the grid up, and down, has the hazard each
//! alarm       odds "it rose, unannounced" : "it never did" > hazard / false alarms per day
//! ```
//!
//! The odds are hazard × Σ over beginnings of their likelihood ratio, which is the
//! statistic of Shiryaev and Roberts: under a constant rate its mean after d days is
//! d, so that the mean time to a false alarm is at least 1 / [`Prior::false_alarms`]
//! (Pollak 1985), at any rate, any width of bins, and however often one looks. The
//! hazard cancels; it only weighs runs against each other. That holds on average over
//! the rates of the prior, so that a prior of one gamma would not do
//! ([`super::history`]).
//!
//! Days differ in what exposure does not say, so that ten cases in one morning are
//! less odd than ten in a month: the odds are reduced by what a gamma of variance
//! [`Prior::dispersion`] for each day explains without any rise.
//!
//! A run upwards is opened where a crash is, with the hazard of the days before it
//! in which it could have begun unseen; between crashes nothing favours it. Ratios
//! start at 2.5: below, days and loads differ by more than we know.

use super::history::{Bin, Prior};
use super::math::{ln_gamma, ln_sum};

/// Ratios of a rate to the one before, that an alarm is about.
const UP: [f64; 5] = [2.5, 5.0, 10.0, 20.0, 50.0];
/// And those that make a run end quietly.
const DOWN: [f64; 3] = [0.4, 0.15, 0.04];
/// A run counts as a rise while its rate is more than this times the announced one,
/// whatever came between.
const RISEN: f64 = 1.4;
/// Runs that are kept, the likeliest: bounded work per bin.
const MOST_RUNS: usize = 160;
/// ln by which a run is less likely than another of its kind (it rose, it fell back,
/// it never rose) to be forgotten: a hundred such runs change their sum by half a per cent.
const NEGLIGIBLE: f64 = 10.0;
/// ln of the weight of "it never rose", relative to the likeliest run, at least.
const LEAST: f64 = -300.0;
/// Probability that the rate changed within one gap, at most.
const MOST_CHANGES: f64 = 0.05;
/// Crashes that a rate remembers: it may drift over a year.
const MEMORY: f64 = 400.0;
/// Half of what an interval leaves out.
const TAIL: f64 = 0.025;
/// Places within a gap at which a run may have begun.
const PLACES: u32 = 8;

/// A rise that was found.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Onset {
    /// The bin of its first crash, as far as known.
    pub bin: usize,
    /// First and last bin in which it began, 95 %.
    pub interval: (usize, usize),
    /// The bin at whose end it was known.
    pub known: usize,
    /// Crashes per exposure before and after.
    pub before: f64,
    /// See `before`.
    pub after: f64,
    /// after / before, and its 95 % interval, nominally: one stops where the count
    /// happens to be high, so that it covers 85 %.
    pub ratio: f64,
    /// See `ratio`.
    pub ratio_interval: (f64, f64),
    /// ln of "it rose at some time" against "it did not", all times alike.
    pub ln_bayes: f64,
}

/// Since some bin the rate is constant.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// Its first crash's bin, and bins and exposure before without one.
    start: usize,
    gap: usize,
    quiet: f64,
    /// ln of its weight.
    ln: f64,
    /// The last rate's gamma; this one's is `ratio` times that.
    shape: f64,
    rate: f64,
    ratio: f64,
    /// ln of ratio / rate.
    ln_scale: f64,
    /// All ratios since a rise was announced, and the mean rate at the first.
    level: f64,
    before: f64,
    /// It rose, and fell back.
    fell: bool,
    /// Cases, exposure and days since it began, or since the rise that it is part of.
    own: (f64, f64, f64),
}

impl Run {
    fn rose(&self) -> bool {
        self.level > RISEN
    }

    fn mean(&self) -> f64 {
        self.ratio * self.shape / self.rate
    }

    /// ln of how much better its cases are explained by days that differ (gamma,
    /// independent) than by chance alone, without any rise.
    fn ordinary(&self, dispersion: f64) -> f64 {
        let (count, mean, shape) = (self.own.0, self.before * self.own.1, self.own.2.max(1.0) / dispersion);
        let better =
            rising(shape, count) - count * (shape + mean).ln() - shape * (mean / shape).ln_1p() + mean;
        better.max(0.0)
    }

    /// Takes a bin, up to what all runs have in common.
    fn take(&mut self, count: f64, exposure: f64, days: f64) {
        let exposed = self.ratio * exposure;
        let longer = (exposed / self.rate).ln_1p();
        self.ln -= self.shape * longer;
        self.ln_scale -= longer;
        if count > 0.0 {
            self.ln += rising(self.shape, count) + count * self.ln_scale;
        }
        self.shape += count;
        self.rate += exposed;
        self.own = (self.own.0 + count, self.own.1 + exposure, self.own.2 + days);
        if self.shape > MEMORY {
            self.rate *= MEMORY / self.shape;
            self.ln_scale -= (MEMORY / self.shape).ln();
            self.shape = MEMORY;
        }
    }
}

/// Counts up to here are multiplied out.
const PRODUCT: f64 = 16.0;

/// ln of Γ(a + n) / Γ(a).
fn rising(a: f64, n: f64) -> f64 {
    if n == 1.0 {
        return a.ln();
    }
    if n > PRODUCT {
        return ln_gamma(a + n) - ln_gamma(a);
    }
    // No product of so few numbers below 10⁷ is too large.
    let (mut product, mut factor) = (a, a);
    while factor + 1.0 < a + n - 0.5 {
        factor += 1.0;
        product *= factor;
    }
    product.ln()
}

/// Looks at a cluster bin by bin.
#[derive(Clone, Debug)]
pub struct Detector {
    prior: Prior,
    runs: Vec<Run>,
    at: usize,
    days: f64,
    /// Since the last crash: bins, exposure, days.
    quiet: (usize, f64, f64),
    exposure: f64,
}

impl Detector {
    /// Before the first bin.
    pub fn new(prior: &Prior) -> Detector {
        let prior = prior.sane();
        let mut detector =
            Detector { prior, runs: Vec::new(), at: 0, days: 0.0, quiet: (0, 0.0, 0.0), exposure: 1.0 };
        detector.settle(prior.gammas());
        detector
    }

    /// Runs whose rates are no news.
    fn settle(&mut self, gammas: impl Iterator<Item = (f64, f64, f64)>) {
        let start = self.at;
        let own = (0.0, 0.0, 0.0);
        let (gap, quiet, ratio, level) = (0, 0.0, 1.0, 1.0);
        let run = |(ln, shape, rate)| {
            let before = shape / rate;
            let ln_scale = -f64::ln(rate);
            Run { start, gap, quiet, ln, shape, rate, ratio, ln_scale, level, before, fell: false, own }
        };
        self.runs = gammas.map(run).collect();
        self.days = 0.0;
    }

    /// The next bin, and what became known by it.
    pub fn push(&mut self, bin: &Bin) -> Option<Onset> {
        let exposure = if bin.exposure > 0.0 { bin.exposure.min(1e100) } else { 0.0 };
        let days = if bin.days > 0.0 { bin.days.min(1e6) } else { 0.0 };
        self.days += days;
        let found = if bin.count == 0 {
            self.quiet = (self.quiet.0.saturating_add(1), self.quiet.1 + exposure, self.quiet.2 + days);
            None
        } else {
            // Cases without exposure: it was not measured.
            let exposure = if exposure > 0.0 { exposure } else { self.exposure };
            self.exposure = exposure;
            self.crash(f64::from(bin.count), exposure, days)
        };
        self.at = self.at.saturating_add(1);
        found
    }

    fn crash(&mut self, count: f64, exposure: f64, days: f64) -> Option<Onset> {
        let (gap, quiet, quiet_days) = std::mem::take(&mut self.quiet);
        for run in &mut self.runs {
            run.take(0.0, quiet, quiet_days);
        }
        let parent = self.heaviest()?;
        let per_day = parent.mean() * (quiet + exposure) / (quiet_days + days).max(1e-9);
        let up = UP.map(|ratio| {
            let unseen = 1.0 / ((ratio - 1.0) * per_day).max(1e-12);
            let run = self.open(parent, ratio, quiet_days.min(unseen) + days, UP.len());
            if parent.rose() { run } else { Run { gap, quiet, ..run } }
        });
        self.runs.extend(up);
        for run in &mut self.runs {
            run.take(count, exposure, days);
        }
        let onset = self.alarm();
        if let Some(onset) = &onset {
            let own = self.runs.iter().filter(|run| run.start >= onset.bin).map(|run| run.own);
            let (cases, exposure) = own.fold((0.0_f64, 0.0_f64), |a, b| (a.0.max(b.0), a.1.max(b.1)));
            self.settle(std::iter::once((0.0, cases + 0.5, exposure + 0.5 / onset.after)));
            return Some(*onset);
        }
        let parent = self.heaviest()?;
        // As long as the silence before it, so long may it have been silent since.
        let down = DOWN.map(|ratio| self.open(parent, ratio, quiet_days + days, DOWN.len()));
        self.runs.extend(down);
        self.prune();
        None
    }

    /// A run that begins now, with the hazard of these days.
    fn open(&self, parent: Run, ratio: f64, days: f64, share: usize) -> Run {
        let ln = parent.ln + ((self.prior.hazard * days).min(MOST_CHANGES) / share as f64).ln();
        let rate = parent.rate / parent.ratio;
        let ln_scale = (ratio / rate).ln();
        let run = Run { ln, rate, ratio, ln_scale, level: parent.level * ratio, ..parent };
        if run.rose() && parent.rose() {
            return run;
        }
        // What fell, and what fell back, is where the next rise begins.
        let (level, own, fell) = (ratio.max(1.0), (0.0, 0.0, 0.0), parent.rose());
        Run { start: self.at, gap: 0, quiet: 0.0, level, before: parent.mean(), fell, own, ..run }
    }

    fn heaviest(&self) -> Option<Run> {
        self.runs.iter().copied().max_by(|a, b| a.ln.total_cmp(&b.ln))
    }

    fn prune(&mut self) {
        let (most, fell) = self.heaviest().map_or((0.0, false), |run| (run.ln, run.fell));
        for run in &mut self.runs {
            run.ln -= most;
            // It is over: the next rise begins from here.
            run.fell &= !fell;
        }
        let kind = |run: &Run| match (run.rose(), run.fell) {
            (false, false) => 0,
            (true, false) => 1,
            (false, true) => 2,
            (true, true) => 3,
        };
        let mut best = [f64::NEG_INFINITY; 4];
        for run in &self.runs {
            if let Some(best) = best.get_mut(kind(run)) {
                *best = best.max(run.ln);
            }
        }
        self.runs.retain(|run| best.get(kind(run)).is_none_or(|best| run.ln > best - NEGLIGIBLE));
        if self.runs.len() > MOST_RUNS {
            self.runs.sort_by(|a, b| b.ln.total_cmp(&a.ln));
            self.runs.truncate(MOST_RUNS);
        }
    }

    fn alarm(&self) -> Option<Onset> {
        let most = self.heaviest()?.ln;
        let (mut rise, mut fell, mut never) = (0.0, 0.0, 0.0);
        for run in &self.runs {
            *(if run.rose() {
                &mut rise
            } else if run.fell {
                &mut fell
            } else {
                &mut never
            }) += (run.ln - most).exp();
        }
        let never = (f64::ln(never) + most).max(LEAST);
        let threshold = (self.prior.hazard / self.prior.false_alarms).ln();
        if !(f64::ln(rise) + most - never > threshold && rise > fell) {
            return None;
        }
        let mut rises: Vec<Run> = self.runs.iter().filter(|run| run.rose()).copied().collect();
        for run in &mut rises {
            run.ln -= run.ordinary(self.prior.dispersion);
        }
        let rise = ln_sum(rises.iter().map(|run| run.ln));
        let ln_odds = rise - never;
        if ln_odds <= threshold {
            return None;
        }
        let weighed: Vec<(Run, f64)> = rises.iter().map(|run| (*run, (run.ln - rise).exp())).collect();
        let best = weighed.iter().max_by(|a, b| a.1.total_cmp(&b.1))?.0;
        let mean = |of: fn(&Run) -> f64| weighed.iter().map(|(run, weight)| weight * of(run)).sum::<f64>();
        let before = mean(|run| run.before);
        let after = mean(|run| (run.own.0 + 0.5) / (run.own.1 + 0.5 / run.mean()));
        let places = weighed.iter().flat_map(|(run, weight)| places(run, *weight)).collect();
        let spread =
            1.96 * mean(|run| 1.0 / (run.own.0 + 0.5) + 1.0 / (run.shape - run.own.0).max(0.5)).sqrt();
        let ratio = after / before;
        let ln_bayes = ln_odds - (self.prior.hazard * self.days.max(1e-9)).ln();
        Some(Onset {
            bin: best.start,
            interval: interval(places).unwrap_or((best.start, best.start)),
            known: self.at,
            before,
            after,
            ratio,
            ratio_interval: (ratio * (-spread).exp(), ratio * spread.exp()),
            ln_bayes,
        })
    }
}

/// Where within its gap a run began: the longer before its first crash, the more
/// silence it must explain.
fn places(run: &Run, weight: f64) -> Vec<(usize, f64)> {
    let silence = (run.level - 1.0) * run.before * run.quiet;
    let place = |step: u32| {
        let back = f64::from(step) / f64::from(PLACES);
        let share = |step: u32| usize::try_from(step).unwrap_or(1);
        let bins = run.gap.saturating_mul(share(step)).div_ceil(share(PLACES));
        (run.start.saturating_sub(bins), (-silence * back).exp())
    };
    let all: Vec<(usize, f64)> = (0..=PLACES).map(place).collect();
    let sum: f64 = all.iter().map(|(_, share)| share).sum();
    all.into_iter().map(|(bin, share)| (bin, weight * share / sum)).collect()
}

/// The 95 % interval of weighed values.
pub(super) fn interval<T: Copy + PartialOrd>(mut all: Vec<(T, f64)>) -> Option<(T, T)> {
    all.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(std::cmp::Ordering::Equal));
    let sum: f64 = all.iter().map(|(_, weight)| weight).sum();
    let at = |share: f64| {
        let mut below = 0.0;
        let reached = |(_, weight): &&(T, f64)| {
            below += weight;
            below >= share * sum
        };
        all.iter().find(reached).or(all.last()).map(|(value, _)| *value)
    };
    Some((at(TAIL)?, at(1.0 - TAIL)?))
}

/// Every rise of a history, in the order in which they became known.
pub fn onsets(bins: &[Bin], prior: &Prior) -> Vec<Onset> {
    let mut detector = Detector::new(prior);
    bins.iter().filter_map(|bin| detector.push(bin)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(rate: f64, from: u32, to: u32) -> impl Iterator<Item = Bin> {
        // As even as whole numbers allow.
        let until = move |day: u32| (rate * f64::from(day)).floor();
        let count =
            move |day: u32| (0..1000).find(|n| f64::from(*n) >= until(day + 1) - until(day)).unwrap_or(0);
        (from..to).map(move |day| Bin { count: count(day), exposure: 1.0, days: 1.0 })
    }

    #[test]
    fn a_rise_by_ten_is_known_within_fourteen_crashes() {
        for base in [0.05, 0.1, 0.2] {
            let bins: Vec<Bin> = days(base, 0, 300).chain(days(10.0 * base, 300, 400)).collect();
            let found = onsets(&bins, &Prior::default());
            assert_eq!(found.len(), 1, "{found:?}");
            let crashes: u32 = bins[300..=found[0].known].iter().map(|bin| bin.count).sum();
            assert!(crashes <= 14, "{crashes} {found:?}");
            assert!(found[0].interval.0 <= 300 && 300 <= found[0].interval.1, "{found:?}");
            assert!(found[0].ratio > 5.0 && found[0].ratio < 20.0 && found[0].ln_bayes > 4.0, "{found:?}");
        }
    }

    #[test]
    fn a_constant_rate_a_fall_and_more_exposure_are_no_onset() {
        let steady: Vec<Bin> = days(0.7, 0, 2000).collect();
        assert_eq!(onsets(&steady, &Prior::default()), []);
        let fall: Vec<Bin> = days(2.0, 0, 200).chain(days(0.1, 200, 600)).collect();
        assert_eq!(onsets(&fall, &Prior::default()), []);
        let grown = days(5.0, 200, 300).map(|bin| Bin { exposure: 10.0, ..bin });
        let grown: Vec<Bin> = days(0.5, 0, 200).chain(grown).collect();
        assert_eq!(onsets(&grown, &Prior::default()), []);
    }

    #[test]
    fn a_second_rise_is_found_after_the_first_and_after_a_fall() {
        let bins = days(0.1, 0, 300).chain(days(1.5, 300, 360)).chain(days(0.1, 360, 700));
        let bins: Vec<Bin> = bins.chain(days(1.5, 700, 760)).collect();
        let found = onsets(&bins, &Prior::default());
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[1].bin.abs_diff(700) < 5, "{found:?}");
    }

    #[test]
    fn a_cluster_that_is_far_more_frequent_than_all_others_has_not_risen() {
        // Of one crash in ten days a thousand are known, of forty a day none.
        let prior = Prior::fit(&vec![(10, 100.0); 1000]);
        let hour = |index: u32| Bin { count: 5 * (index % 3) / 3, exposure: 1.0 / 24.0, days: 1.0 / 24.0 };
        let steady: Vec<Bin> = (0..24 * 60).map(hour).collect();
        assert_eq!(onsets(&steady, &prior), []);
        // One gamma would have it that it rose in its first hours.
        let one = Prior { scales: Default::default(), ..prior };
        assert!(!onsets(&steady, &one).is_empty());
    }

    #[test]
    fn hourly_bins_tell_a_rise_in_fewer_crashes_than_daily_ones() {
        let bins = |per: u32| -> Vec<Bin> {
            // One crash in ten hours, then one each hour.
            let crash = |hour: u32| u32::from(hour >= 2400 || hour.is_multiple_of(10));
            let bin = |index: u32| {
                let count = (index * per..(index + 1) * per).map(crash).sum();
                Bin { count, exposure: f64::from(per) / 24.0, days: f64::from(per) / 24.0 }
            };
            (0..3000 / per).map(bin).collect()
        };
        let crashes = |per: u32| {
            let (bins, begin) = (bins(per), 2400 / per as usize);
            let known = onsets(&bins, &Prior::default()).first().expect("an onset").known;
            bins[begin..=known].iter().map(|bin| bin.count).sum::<u32>()
        };
        assert!(crashes(1) <= 12 && crashes(24) >= 24, "{} {}", crashes(1), crashes(24));
    }

    #[test]
    fn hostile_bins_end_in_numbers() {
        let odd = [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e-300, 1e300, 1.0];
        let counts = [0, 1, u32::MAX, 3, 0, 0, 1_000_000];
        let scales = [f64::NAN, -1.0, 0.0, f64::INFINITY, 1.0, 1e-300, 1e300, 0.0, 0.0, 1.0, 1.0];
        let (shape, dispersion) = (f64::NAN, f64::NAN);
        let prior = Prior { shape, rate: -1.0, hazard: 1e9, false_alarms: 0.0, dispersion, scales };
        for prior in [prior, Prior::default()] {
            let mut detector = Detector::new(&prior);
            for i in 0..20_000_usize {
                let bin = Bin { count: counts[i / 7 % 7], exposure: odd[i % 7], days: odd[i / 49 % 7] };
                if let Some(onset) = detector.push(&bin) {
                    let all =
                        [onset.before, onset.after, onset.ratio, onset.ln_bayes, onset.ratio_interval.0];
                    assert!(all.iter().all(|value| !value.is_nan()), "{onset:?}");
                }
                assert!(detector.runs.len() <= MOST_RUNS, "bounded");
                assert!(detector.runs.iter().all(|run| !run.ln.is_nan()), "{i} {:?}", detector.runs.first());
            }
        }
    }
}
