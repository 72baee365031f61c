//! Medians and bootstrap intervals of paired rounds.
//!
//! One statistic: the median over rounds of a number that was made inside one
//! round (a ratio or a difference to "no dump"), with the 2.5 % and 97.5 %
//! quantiles of its bootstrap distribution (Efron 1979: rounds drawn again
//! with replacement). Pairing takes out whatever slows a whole round down.
//! The generator has a fixed seed: the same samples give the same interval.

/// Rounds are drawn again this often; the quantiles are then stable to about
/// a tenth of the interval's width.
const RESAMPLES: usize = 10_000;

/// xorshift64*: good enough to draw and to shuffle, and the same everywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.max(1))
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bits = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(bits).unwrap_or(0) % bound.max(1)
    }

    /// Fisher and Yates.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// A median and where it lies with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Interval {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

/// The quantile `q` of sorted numbers, interpolated.
pub(crate) fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = q * last as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (above - below) * at.fract()
}

/// Sorted, without what is no number.
pub(crate) fn sorted(samples: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut sorted: Vec<f64> = samples.into_iter().filter(|x| x.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

pub(crate) fn median(samples: &[f64]) -> f64 {
    quantile(&sorted(samples.iter().copied()), 0.5)
}

/// The median of the samples with its bootstrap interval.
pub(crate) fn interval(samples: &[f64]) -> Interval {
    let mut random = Random::new(0x0065_7069_636f_7265);
    let draw = |_| {
        let again: Vec<f64> = samples.iter().map(|_| samples[random.below(samples.len())]).collect();
        median(&again)
    };
    let medians = sorted((0..RESAMPLES).map(draw));
    Interval { low: quantile(&medians, 0.025), median: median(samples), high: quantile(&medians, 0.975) }
}

/// What must hold before any figure is believed.
pub(crate) fn self_check() {
    assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
    assert_eq!(quantile(&[0.0, 10.0], 0.25), 2.5);
    let same = interval(&[1.5; 15]);
    assert_eq!((same.low, same.high), (1.5, 1.5));
    let one = interval(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
    assert!(one.low < 5.0 && one.median == 5.0 && one.high > 5.0, "{one:?}");
    assert_eq!(one, interval(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]));
}
