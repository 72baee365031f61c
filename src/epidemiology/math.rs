//! Distributions in log space. No answer is NaN: what a distribution does not allow
//! has ln p = −∞. ln Γ is libm's (FreeBSD msun).

/// ln Γ(x), x > 0.
pub(super) fn ln_gamma(x: f64) -> f64 {
    if x > 0.0 { libm::lgamma(x) } else { f64::INFINITY }
}

/// ln n!
pub(super) fn ln_factorial(n: f64) -> f64 {
    ln_gamma(n + 1.0)
}

/// ln of n over k.
pub(super) fn ln_choose(n: f64, k: f64) -> f64 {
    if k < 0.0 || k > n {
        return f64::NEG_INFINITY;
    }
    ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
}

/// ln B(a, b).
pub(super) fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// ln(eᵃ + eᵇ).
pub(super) fn ln_add(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

/// ln Σ eˣ.
pub(crate) fn ln_sum(terms: impl IntoIterator<Item = f64>) -> f64 {
    terms.into_iter().fold(f64::NEG_INFINITY, ln_add)
}

/// ln of the Poisson probability of k at `mean`.
pub(super) fn ln_poisson(k: u32, mean: f64) -> f64 {
    let k = f64::from(k);
    match mean {
        mean if mean > 0.0 => k * mean.ln() - mean - ln_factorial(k),
        _ if k == 0.0 => 0.0,
        _ => f64::NEG_INFINITY,
    }
}

/// ln of the negative binomial probability of k: mean `mean`, variance
/// mean + mean² / r. r = ∞ is Poisson's.
pub(super) fn ln_negative_binomial(k: u32, mean: f64, r: f64) -> f64 {
    if !r.is_finite() || r > 1e8 {
        return ln_poisson(k, mean);
    }
    if mean <= 0.0 || r <= 0.0 {
        return if k == 0 { 0.0 } else { f64::NEG_INFINITY };
    }
    let k = f64::from(k);
    ln_gamma(k + r) - ln_gamma(r) - ln_factorial(k) + r * (r / (r + mean)).ln() + k * (mean / (r + mean)).ln()
}

/// P(N(0, 1) > z).
pub(super) fn normal_above(z: f64) -> f64 {
    0.5 * libm::erfc(z / std::f64::consts::SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-9 * b.abs().max(1.0), "{a} {b}");
    }

    #[test]
    fn distributions_are_those_of_the_tables() {
        near(ln_poisson(3, 2.5), 0.213_763_017_249_735_35_f64.ln()); // dpois(3, 2.5)
        near(ln_negative_binomial(4, 2.0, 1.5), 0.073_617_863_844_712_21_f64.ln()); // dnbinom(4, 1.5, mu = 2)
        near(normal_above(1.959_963_984_540_054), 0.025);
    }
}
