//! When did it begin? Bayesian online change points (Adams and MacKay 2007) of a
//! cluster's crashes, per exposure.
//!
//! ```text
//! run         since some bin the rate is constant: gamma, so that the next bin's
//!             count is negative binomial
//! new run     its rate is the last one's (as uncertain as that is) times a ratio of a
//!             grid; the grid up, and down, has the hazard each
//! alarm       odds of an unannounced run upwards > hazard / false alarms per day
//! ```
//!
//! The odds are hazard × Σ over beginnings of their likelihood ratio, which is the
//! statistic of Shiryaev and Roberts: under a constant rate its mean after d days is
//! d, so that the mean time to a false alarm is at least 1 / [`Prior::false_alarms`]
//! (Pollak 1985), at any rate, any width of bins, and however often one looks. The
//! hazard cancels; it only weighs runs against each other.
//!
//! A run upwards is opened where a crash is, with the hazard of the days before it
//! in which it could have begun unseen; between crashes nothing favours it. Ratios
//! start at 2.5: below, days and loads differ by more than we know.

use super::math::{ln_add, ln_gamma, ln_sum};

/// Ratios of a rate to the one before, that an alarm is about.
pub(super) const UP: [f64; 5] = [2.5, 5.0, 10.0, 20.0, 50.0];
/// And those that make a run end quietly.
const DOWN: [f64; 3] = [0.4, 0.15, 0.04];
/// A run counts as a rise while its rate is more than this times the announced one,
/// whatever came between.
const RISEN: f64 = 2.0;
/// Runs that are kept, the likeliest: bounded work per bin.
const MOST_RUNS: usize = 160;
/// Probability that the rate changed within one gap, at most.
const MOST_CHANGES: f64 = 0.05;
/// Crashes that a rate remembers: it may drift over a year.
const MEMORY: f64 = 400.0;
/// Half of what an interval leaves out.
pub(super) const TAIL: f64 = 0.025;
/// Places within a gap at which a run may have begun.
const PLACES: u32 = 8;

/// One bin of a cluster's history.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bin {
    /// Cases (episodes).
    pub count: u32,
    /// Process-hours, or any measure of what could crash. What is not positive is
    /// taken as none, or, where there are cases, as in the last bin.
    pub exposure: f64,
    /// Length in days.
    pub days: f64,
}

/// What is known before the first bin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prior {
    /// Gamma's shape of clusters' rates.
    pub shape: f64,
    /// And its inverse scale, in units of exposure.
    pub rate: f64,
    /// Changes per day.
    pub hazard: f64,
    /// False alarms per day that are accepted.
    pub false_alarms: f64,
    /// Variance of a day's rate, relative to its mean.
    pub dispersion: f64,
}

/// What every cluster is thought to have: a change in three years.
const HAZARD: f64 = 1e-3;
/// One false alarm in 100,000 days of a cluster.
const FALSE_ALARMS: f64 = 1e-5;
/// Days differ by a third.
const DISPERSION: f64 = 0.1;

impl Default for Prior {
    fn default() -> Prior {
        Prior { shape: 0.5, rate: 0.5, hazard: HAZARD, false_alarms: FALSE_ALARMS, dispersion: DISPERSION }
    }
}

impl Prior {
    /// Of the rates of all clusters, by their moments (empirical Bayes): cases and
    /// exposure of each. Its weight is between half a crash and five.
    pub fn fit(clusters: &[(u32, f64)]) -> Prior {
        let valid = |one: &(u32, f64)| one.1 > 0.0 && one.1.is_finite();
        let rates: Vec<f64> =
            clusters.iter().filter(|one| valid(one)).map(|(n, e)| f64::from(*n) / e).collect();
        let count = rates.len() as f64;
        let mean = rates.iter().sum::<f64>() / count;
        if !(mean > 0.0 && mean.is_finite()) {
            return Prior::default();
        }
        let relative = rates.iter().map(|rate| (rate / mean - 1.0).powi(2)).sum::<f64>() / count;
        let shape = (1.0 / relative.max(1e-3)).clamp(0.5, 5.0);
        Prior { shape, rate: shape / mean, ..Prior::default() }
    }

    /// The same with every value possible.
    pub(super) fn sane(self) -> Prior {
        let or = |value: f64, other: f64| if value > 0.0 && value.is_finite() { value } else { other };
        Prior {
            shape: or(self.shape, 0.5).clamp(1e-3, 1e6),
            rate: or(self.rate, 0.5).clamp(1e-100, 1e100),
            hazard: or(self.hazard, HAZARD).clamp(1e-9, 0.1),
            false_alarms: or(self.false_alarms, FALSE_ALARMS).clamp(1e-12, 0.1),
            dispersion: or(self.dispersion, 1e-6).clamp(1e-6, 10.0),
        }
    }
}

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
    /// after / before, and its 95 % interval.
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
    /// All ratios since a rise was announced, and the mean rate at the first.
    level: f64,
    before: f64,
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
        self.ln += self.shape * (-(exposed / self.rate).ln_1p());
        if count > 0.0 {
            self.ln += rising(self.shape, count) + count * (self.ratio / (self.rate + exposed)).ln();
        }
        self.shape += count;
        self.rate += exposed;
        self.own = (self.own.0 + count, self.own.1 + exposure, self.own.2 + days);
        if self.shape > MEMORY {
            self.rate *= MEMORY / self.shape;
            self.shape = MEMORY;
        }
    }
}

/// ln of Γ(a + n) / Γ(a).
fn rising(a: f64, n: f64) -> f64 {
    if n == 1.0 { a.ln() } else { ln_gamma(a + n) - ln_gamma(a) }
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
        detector.settle(prior.shape, prior.rate);
        detector
    }

    /// One run, whose rate is no news.
    fn settle(&mut self, shape: f64, rate: f64) {
        let start = self.at;
        let own = (0.0, 0.0, 0.0);
        let before = shape / rate;
        let (gap, quiet, ln, ratio, level) = (0, 0.0, 0.0, 1.0, 1.0);
        self.runs = vec![Run { start, gap, quiet, ln, shape, rate, ratio, level, before, own }];
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
        let all = ln_sum(self.runs.iter().map(|run| run.ln));
        let per_day = parent.mean() * (quiet + exposure) / (quiet_days + days).max(1e-9);
        let up = UP.map(|ratio| {
            let unseen = 1.0 / ((ratio - 1.0) * per_day).max(1e-12);
            let run = self.open(parent, all, ratio, quiet_days.min(unseen) + days, UP.len());
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
            self.settle(cases + 0.5, exposure + 0.5 / onset.after);
            return Some(*onset);
        }
        let parent = self.heaviest()?;
        let all = ln_sum(self.runs.iter().map(|run| run.ln));
        // As long as the silence before it, so long may it have been silent since.
        let down = DOWN.map(|ratio| self.open(parent, all, ratio, quiet_days + days, DOWN.len()));
        self.runs.extend(down);
        self.prune();
        None
    }

    /// A run that begins now, with the hazard of these days.
    fn open(&self, parent: Run, all: f64, ratio: f64, days: f64, share: usize) -> Run {
        let ln = all + ((self.prior.hazard * days).min(MOST_CHANGES) / share as f64).ln();
        let rate = parent.rate / parent.ratio;
        let run = Run { ln, rate, ratio, level: parent.level * ratio, ..parent };
        if run.rose() && parent.rose() {
            return run;
        }
        // What fell, and what fell back, is where the next rise begins.
        let (level, own) = (ratio.max(1.0), (0.0, 0.0, 0.0));
        Run { start: self.at, gap: 0, quiet: 0.0, level, before: parent.mean(), own, ..run }
    }

    fn heaviest(&self) -> Option<Run> {
        self.runs.iter().copied().max_by(|a, b| a.ln.total_cmp(&b.ln))
    }

    fn prune(&mut self) {
        let most = self.heaviest().map_or(0.0, |run| run.ln);
        for run in &mut self.runs {
            run.ln -= most;
        }
        self.runs.sort_by(|a, b| b.ln.total_cmp(&a.ln));
        self.runs.truncate(MOST_RUNS);
    }

    fn alarm(&self) -> Option<Onset> {
        let (mut rises, others): (Vec<Run>, Vec<Run>) = self.runs.iter().partition(|run| run.rose());
        let other = ln_sum(others.iter().map(|run| run.ln));
        let threshold = (self.prior.hazard / self.prior.false_alarms).ln();
        let odds = |rises: &[Run]| ln_sum(rises.iter().map(|run| run.ln)) - other;
        if !(odds(&rises) > threshold) {
            return None;
        }
        for run in &mut rises {
            run.ln -= run.ordinary(self.prior.dispersion);
        }
        let ln_odds = odds(&rises);
        let rise = ln_odds + other;
        if !(ln_odds > threshold) {
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
        // Integer arithmetic: an eighth of the gap, so many times.
        let bins = run.gap.saturating_mul(usize::try_from(step).unwrap_or(0)).div_ceil(8);
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
impl Detector { pub fn dump(&self) -> String { let all = ln_sum(self.runs.iter().map(|r| r.ln)); let mut v: Vec<_> = self.runs.iter().collect(); v.sort_by(|a,b| b.ln.total_cmp(&a.ln)); v.iter().take(4).map(|r| format!("[st {} w {:.3} ratio {} level {:.2} A {:.1} mean {:.3} before {:.3} own {:?}]", r.start/24, (r.ln-all).exp(), r.ratio, r.level, r.shape, r.mean(), r.before, (r.own.0, r.own.1.round()))).collect::<Vec<_>>().join(" ") } }
