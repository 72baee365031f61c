//! Random numbers for sampling: SplitMix64 (Steele, Lea, Flood 2014), seeded
//! by the kernel. Not for keys: nobody gains by guessing which process was
//! drawn.

use std::fs::File;
use std::io::Read;

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Seeded from /dev/urandom.
    pub fn from_kernel() -> std::io::Result<Random> {
        let mut seed = [0; 8];
        File::open("/dev/urandom")?.read_exact(&mut seed)?;
        Ok(Random(u64::from_le_bytes(seed)))
    }

    /// The same stream for the same seed.
    pub fn seeded(seed: u64) -> Random {
        Random(seed)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Uniform in [0, 1): 53 bits.
    pub fn unit(&mut self) -> f64 {
        const STEP: f64 = 1.0 / (1u64 << 53) as f64;
        (self.bits() >> 11) as f64 * STEP
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: u32) -> bool {
        // High bits of the product; off from uniform by less than 2^-32.
        let product = u128::from(self.bits()).wrapping_mul(u128::from(n));
        product >> 64 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_the_published_one() {
        let mut random = Random::seeded(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| random.bits()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }
}
