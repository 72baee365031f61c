//! A cluster's history, bin by bin, and what is known of rates before it begins:
//! what [`super::onset`] and [`super::rollout`] look at.
//!
//! Clusters lend each other strength (empirical Bayes): rates of new ones are drawn
//! from the gamma of those that are known ([`Prior::fit`]), and how much one day
//! differs from the next, beyond exposure and chance, is measured over all of them
//! ([`Prior::days_differ`]).

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
/// Days differ by a fifth.
const DISPERSION: f64 = 0.05;

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

    /// How much days differ: the variance of a day's rate relative to its mean, by
    /// moments over clusters, each with its bins of a day. One that rose among them
    /// counts as differing days.
    pub fn days_differ(clusters: &[&[Bin]]) -> f64 {
        let (mut excess, mut scale) = (0.0, 0.0);
        for bins in clusters {
            let valid = bins.iter().filter(|bin| bin.exposure > 0.0 && bin.exposure.is_finite());
            let days: Vec<(f64, f64)> = valid.map(|bin| (f64::from(bin.count), bin.exposure)).collect();
            let all = days.iter().fold((0.0, 0.0), |sum, day| (sum.0 + day.0, sum.1 + day.1));
            for (count, exposure) in &days {
                let mean = all.0 / all.1 * exposure;
                // The mean is of the same days: n − 1 of n.
                let unbiased = (1.0 - exposure / all.1).max(0.1);
                excess += (count - mean).powi(2) / unbiased - mean;
                scale += mean.powi(2);
            }
        }
        let variance: f64 = excess / scale;
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_much_days_differ_and_clusters_prior_come_from_their_own_past() {
        let even = vec![Bin { count: 4, exposure: 1.0, days: 1.0 }; 100];
        assert_eq!(Prior::days_differ(&[&even]), 1e-6);
        let odd: Vec<Bin> = (0..100).map(|i| Bin { count: i % 2 * 8, exposure: 1.0, days: 1.0 }).collect();
        assert!((Prior::days_differ(&[&odd]) - 0.76).abs() < 0.05, "{}", Prior::days_differ(&[&odd]));
        assert!(Prior::days_differ(&[]).is_finite());
        let prior = Prior::fit(&[(1, 10.0), (20, 10.0), (3, 10.0), (7, f64::NAN)]);
        assert!((prior.shape / prior.rate - 0.8).abs() < 1e-9);
        assert_eq!(Prior::fit(&[]), Prior::default());
    }
}
