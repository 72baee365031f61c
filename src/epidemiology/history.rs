//! A cluster's history, bin by bin, and what is known of rates before it begins:
//! what [`super::onset`] and [`super::rollout`] look at.
//!
//! Clusters lend each other strength (empirical Bayes): rates of new ones are drawn
//! from those that are known ([`Prior::fit`]), and how much one day differs from the
//! next, beyond exposure and chance, is measured over all of them
//! ([`Prior::days_differ`]).
//!
//! Rates of clusters span four decades (Zipf), which no one gamma does: to it the
//! most frequent bug of a fleet is so odd from its first hour on that it seems to
//! have risen. So the prior is a mixture of gammas on a grid of scales.

use super::math::ln_sum;

/// Scales of the grid, each four times the one before; the prior's own mean is the
/// one in the middle.
pub(super) const SCALES: usize = 11;
const SCALE_STEP: f64 = 4.0;
/// Shape of each: exponential, as wide as the step.
const SCALE_SHAPE: f64 = 1.0;
/// Clusters' worth of "any scale": what a fit of few clusters leans on, and what the
/// rarest scale keeps.
const ANY_SCALE: f64 = 5.0;
/// Rounds of expectation and maximisation.
const ROUNDS: usize = 20;

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
    /// False alarms per day that are accepted, as a bound.
    pub false_alarms: f64,
    /// Variance of a day's rate, relative to its mean.
    pub dispersion: f64,
    /// Weight of each scale about `shape / rate`; all 0: only that one gamma.
    pub scales: [f64; SCALES],
}

/// What every cluster is thought to have: a change in three years.
const HAZARD: f64 = 1e-3;
/// The bound at which no more than one false alarm in 100,000 days of a cluster comes:
/// sums pass a threshold by a leap (a crash says ln 2.5 to 50 at once), so that the true
/// number is a third of the bound. Measured at 3e-5, Poisson counts, clusters as a fleet
/// has them: 0.4, 0.7 and 0.8 in windows of 28, 90 and 365 days; by whole studies at
/// this value 0.1 and 0.8 in 28 and 90 days (`make study-bench`, onset).
const FALSE_ALARMS: f64 = 2.5e-5;
/// Days differ by a fifth.
const DISPERSION: f64 = 0.05;
/// And how much that counts among what is measured, as the sum of squares of days'
/// expected cases: as much as ten days of ten; Poisson alone measures it to ± 0.05 then.
const DISPERSION_WORTH: f64 = 1000.0;
/// What one cluster says of days that differ counts at most so much of what all others
/// say: one that rose is not to hide itself.
const ONE_CLUSTER: f64 = 0.03;

impl Default for Prior {
    fn default() -> Prior {
        Prior {
            shape: 0.5,
            rate: 0.5,
            hazard: HAZARD,
            false_alarms: FALSE_ALARMS,
            dispersion: DISPERSION,
            scales: [0.0; SCALES],
        }
    }
}

impl Prior {
    /// Of the rates of all clusters (empirical Bayes): cases and exposure of each. With
    /// few of them every scale is thought possible.
    pub fn fit(clusters: &[(u32, f64)]) -> Prior {
        let valid = |one: &&(u32, f64)| one.1 > 0.0 && one.1.is_finite();
        let clusters: Vec<(f64, f64)> =
            clusters.iter().filter(valid).map(|(n, exposure)| (f64::from(*n), *exposure)).collect();
        let all = clusters.iter().fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        let mean = all.0 / all.1;
        if !(mean > 0.0 && mean.is_finite()) {
            return Prior::default();
        }
        let even = [1.0 / SCALES as f64; SCALES];
        let mut prior =
            Prior { shape: SCALE_SHAPE, rate: SCALE_SHAPE / mean, scales: even, ..Prior::default() };
        for _ in 0..ROUNDS {
            let mut sums = even.map(|share| share * ANY_SCALE);
            for (n, exposure) in &clusters {
                // Negative binomial of shape 1, but for what all scales share.
                let own = prior
                    .gammas()
                    .map(|(ln, _, rate)| ln + (rate / (rate + exposure)).ln() - n * (rate + exposure).ln());
                let own: Vec<f64> = own.collect();
                let all = ln_sum(own.iter().copied());
                for (sum, ln) in sums.iter_mut().zip(own) {
                    *sum += (ln - all).exp();
                }
            }
            let all: f64 = sums.iter().sum();
            prior.scales = sums.map(|sum| sum / all);
        }
        prior
    }

    /// ln of the weight, shape and rate of each gamma of the mixture.
    pub(super) fn gammas(&self) -> impl Iterator<Item = (f64, f64, f64)> + use<> {
        let Prior { shape, rate, mut scales, .. } = *self;
        let sum: f64 = scales.iter().sum();
        if sum <= 0.0 {
            scales = [0.0; SCALES];
        }
        let middle = (SCALES as f64 - 1.0) / 2.0;
        let grid = (0u32..).zip(scales).filter(|(_, weight)| *weight > 0.0).map(move |(place, weight)| {
            ((weight / sum).ln(), shape, rate * SCALE_STEP.powf(middle - f64::from(place)))
        });
        let one = (sum <= 0.0).then_some((0.0, shape, rate));
        grid.chain(one)
    }

    /// How much days differ: the variance of a day's rate relative to its mean, by
    /// moments over clusters, each with its bins of a day. One that rose among them
    /// counts as differing days, though no more than [`ONE_CLUSTER`] allows.
    pub fn days_differ(clusters: &[&[Bin]]) -> f64 {
        let own: Vec<(f64, f64)> = clusters.iter().map(|bins| excess(bins)).collect();
        let valid = |one: &&(f64, f64)| one.0.is_finite() && one.1.is_finite();
        let own: Vec<(f64, f64)> = own.iter().filter(valid).copied().collect();
        let all: f64 = own.iter().map(|(_, scale)| scale).sum();
        let (mut sum, mut scales) = (DISPERSION * DISPERSION_WORTH, DISPERSION_WORTH);
        for (excess, scale) in own {
            let part = (ONE_CLUSTER * (all - scale + DISPERSION_WORTH) / scale).min(1.0);
            sum += part * excess;
            scales += part * scale;
        }
        let variance = sum / scales;
        if variance.is_finite() { variance.clamp(1e-6, 10.0) } else { DISPERSION }
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
            scales: self.scales.map(|weight| if weight > 0.0 { weight.min(1e6) } else { 0.0 }),
        }
    }
}

/// Squares of a cluster's days beyond Poisson's, and the squares of their means.
fn excess(bins: &[Bin]) -> (f64, f64) {
    let valid = bins.iter().filter(|bin| bin.exposure > 0.0 && bin.exposure.is_finite());
    let days: Vec<(f64, f64)> = valid.map(|bin| (f64::from(bin.count), bin.exposure)).collect();
    let all = days.iter().fold((0.0, 0.0), |sum, day| (sum.0 + day.0, sum.1 + day.1));
    let (mut excess, mut scale) = (0.0, 0.0);
    for (count, exposure) in &days {
        let mean = all.0 / all.1 * exposure;
        // The mean is of the same days: n − 1 of n.
        let unbiased = (1.0 - exposure / all.1).max(0.1);
        excess += (count - mean).powi(2) / unbiased - mean;
        scale += mean.powi(2);
    }
    (excess, scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_much_days_differ_is_measured_and_one_cluster_that_rose_does_not_hide_itself() {
        let days = |counts: &dyn Fn(u32) -> u32| -> Vec<Bin> {
            (0..100).map(|day| Bin { count: counts(day), exposure: 1.0, days: 1.0 }).collect()
        };
        let even = vec![days(&|_| 4); 20];
        let even: Vec<&[Bin]> = even.iter().map(Vec::as_slice).collect();
        assert!(Prior::days_differ(&even) < 0.01, "{}", Prior::days_differ(&even));
        let odd = vec![days(&|day| day % 2 * 8); 20];
        let odd: Vec<&[Bin]> = odd.iter().map(Vec::as_slice).collect();
        assert!((Prior::days_differ(&odd) - 0.72).abs() < 0.05, "{}", Prior::days_differ(&odd));
        let risen = days(&|day| if day < 90 { 2 } else { 200 });
        let with: Vec<&[Bin]> = even.iter().copied().chain([&risen[..]]).collect();
        assert!(Prior::days_differ(&with) < 0.3, "{}", Prior::days_differ(&with));
        let (few, none) = (Prior::days_differ(&odd[..1]), Prior::days_differ(&[]));
        assert!(few > DISPERSION && none == DISPERSION, "{few} {none}");
    }

    #[test]
    fn a_prior_knows_rare_and_frequent_clusters_and_of_few_clusters_believes_any_rate() {
        // As a fleet has them: 990 of one crash in ten days, ten of ten a day.
        let clusters: Vec<(u32, f64)> =
            (0..1000).map(|n| if n < 990 { (10, 100.0) } else { (1000, 100.0) }).collect();
        let weight = |prior: &Prior, low: f64, high: f64| -> f64 {
            let within = prior.gammas().filter(|(_, shape, rate)| (low..high).contains(&(shape / rate)));
            within.map(|(ln, ..)| ln.exp()).sum()
        };
        let prior = Prior::fit(&clusters);
        assert!(weight(&prior, 0.04, 0.4) > 0.8, "{prior:?}");
        let frequent = weight(&prior, 3.0, 40.0);
        assert!((0.002..0.05).contains(&frequent), "{frequent}");
        // Of one cluster nearly nothing is known.
        let alone = Prior::fit(&[(31, 28.0)]);
        assert!(weight(&alone, 0.0, 0.2) > 0.2 && weight(&alone, 3.0, 1e9) > 0.2, "{alone:?}");
        for odd in [&[][..], &[(0, 0.0), (7, f64::NAN)], &[(0, 5.0)]] {
            assert_eq!(Prior::fit(odd), Prior::default());
        }
    }
}
