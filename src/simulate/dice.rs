//! Random numbers that are the same everywhere: SplitMix64 (Steele, Lea and
//! Flood, OOPSLA 2014), one stream for each thing that is drawn for.

/// One stream.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

/// SplitMix64's increment.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64's finaliser: a bijection that mixes all bits.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number that stands for `values`, in this order.
pub(super) fn hash(values: &[u64]) -> u64 {
    values.iter().fold(GOLDEN, |state, value| mix(state.wrapping_add(GOLDEN) ^ mix(*value)))
}

impl Dice {
    /// The stream of these values.
    pub(super) fn of(values: &[u64]) -> Dice {
        Dice(hash(values))
    }

    /// 64 random bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// Uniform in 0 … below − 1 (0 for 0). The bias of the multiplication is
    /// below 2⁻³² for what is drawn here.
    pub(super) fn below(&mut self, below: u32) -> u32 {
        let wide = u64::from(below).wrapping_mul(self.bits() >> 32);
        u32::try_from(wide >> 32).unwrap_or(0)
    }

    /// Uniform in [0, 1).
    pub(super) fn unit(&mut self) -> f64 {
        let top = u32::try_from(self.bits() >> 32).unwrap_or(0);
        f64::from(top) / 4_294_967_296.0
    }

    /// Normal, by Box and Muller's transformation.
    pub(super) fn normal(&mut self) -> f64 {
        let (u, v) = (1.0 - self.unit(), self.unit());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    /// Gamma of this shape and scale 1 (Marsaglia and Tsang 2000).
    pub(super) fn gamma(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            let boost = (1.0 - self.unit()).powf(1.0 / shape.max(1e-3));
            return self.gamma(shape + 1.0) * boost;
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && (1.0 - self.unit()).ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v;
            }
        }
    }

    /// A Poisson count: by inversion, of large means as a sum of small ones.
    pub(super) fn poisson(&mut self, mean: f64) -> u32 {
        if mean > 30.0 {
            let half = self.poisson(mean / 2.0);
            return half.saturating_add(self.poisson(mean / 2.0));
        }
        let (mut probability, mut sum, mut count) = ((-mean).exp(), 0.0, 0u32);
        let drawn = self.unit();
        loop {
            sum += probability;
            if drawn < sum || count >= 1_000 {
                return count;
            }
            count = count.saturating_add(1);
            probability *= mean / f64::from(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_values_give_the_same_stream_and_the_moments_are_right() {
        let (mut one, mut two) = (Dice::of(&[1, 2]), Dice::of(&[1, 2]));
        assert_eq!([one.bits(), one.bits()], [two.bits(), two.bits()]);
        assert_ne!(Dice::of(&[2, 1]).bits(), Dice::of(&[1, 2]).bits());
        let mut dice = Dice::of(&[7]);
        let draws = 100_000;
        let mean = (0..draws).map(|_| f64::from(dice.poisson(0.7))).sum::<f64>() / f64::from(draws);
        assert!((mean - 0.7).abs() < 0.02, "{mean}");
        let mean = (0..draws).map(|_| dice.gamma(0.5)).sum::<f64>() / f64::from(draws);
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        let mean = (0..1000).map(|_| f64::from(dice.poisson(100.0))).sum::<f64>() / 1000.0;
        assert!((mean - 100.0).abs() < 2.0, "{mean}");
        let mean = (0..draws).map(|_| f64::from(dice.below(10))).sum::<f64>() / f64::from(draws);
        assert!((mean - 4.5).abs() < 0.05, "{mean}");
    }
}
