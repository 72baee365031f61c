//! Of what is declared, how much is wrong: false discovery rates.
//!
//! From p-values: Benjamini and Hochberg 1995, and Benjamini and Yekutieli 2001, which holds under any dependence (items
//! of one fleet overlap) at the price of ln m. From posteriors: the mean of 1 − P over the
//! accused is what one expects to be wrong of them (Newton et al. 2004).

/// Benjamini and Hochberg's q of each p, of tests that have little to do with each
/// other.
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    step_up(p, p.len() as f64)
}

/// Benjamini and Yekutieli's q of each p; the others of `tests` have p = 1.
pub fn benjamini_yekutieli(p: &[f64], tests: usize) -> Vec<f64> {
    let tests = tests.max(p.len());
    step_up(p, tests as f64 * harmonic(tests))
}

fn step_up(p: &[f64], factor: f64) -> Vec<f64> {
    let clean = |p: f64| if p.is_nan() { 1.0 } else { p.clamp(0.0, 1.0) };
    let mut ranked: Vec<(usize, f64)> = p.iter().map(|p| clean(*p)).enumerate().collect();
    ranked.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut q: Vec<(usize, f64)> = Vec::with_capacity(p.len());
    let mut least = 1.0f64;
    for (rank, (place, p)) in ranked.iter().enumerate().rev() {
        least = least.min(p * factor / (rank as f64 + 1.0));
        q.push((*place, least));
    }
    q.sort_unstable_by_key(|(place, _)| *place);
    q.into_iter().map(|(_, q)| q).collect()
}

/// Σ 1/i up to m; beyond a thousand by ln m and Euler's constant.
fn harmonic(m: usize) -> f64 {
    let terms = m.min(1000);
    let sum: f64 = (1..=terms).map(|i| 1.0 / i as f64).sum();
    sum + (m.max(1) as f64 / terms.max(1) as f64).ln()
}

/// What share of these one expects to be wrong: mean of 1 − P. None: 0.
pub fn declared(posteriors: &[f64]) -> f64 {
    if posteriors.is_empty() {
        return 0.0;
    }
    posteriors.iter().map(|p| 1.0 - probability(*p)).sum::<f64>() / posteriors.len() as f64
}

/// The places of the most that may be accused with a declared rate of at most `q`,
/// the surest first.
pub fn accept_at(posteriors: &[f64], q: f64) -> Vec<usize> {
    let mut ranked: Vec<(usize, f64)> = posteriors.iter().map(|p| probability(*p)).enumerate().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut wrong = 0.0;
    // Sorted, the mean only grows: the first that is too much ends it.
    let within = |(rank, (_, p)): &(usize, (usize, f64))| {
        wrong += 1.0 - p;
        wrong <= q * (*rank as f64 + 1.0)
    };
    ranked.into_iter().enumerate().take_while(within).map(|(_, (place, _))| place).collect()
}

/// What is no probability accuses nobody.
fn probability(p: f64) -> f64 {
    if p.is_nan() { 0.0 } else { p.clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(got: &[f64], want: &[f64]) {
        assert_eq!(got.len(), want.len());
        for (a, b) in got.iter().zip(want) {
            assert!((a - b).abs() < 1e-9, "{got:?} {want:?}");
        }
    }

    #[test]
    fn q_values_are_those_of_p_adjust() {
        // R: p.adjust(c(.01, .04, .03, .5), "BY").
        let p = [0.01, 0.04, 0.03, 0.5];
        let by = 25.0 / 12.0;
        near(&benjamini_yekutieli(&p, 4), &[0.04 * by, 0.16 / 3.0 * by, 0.16 / 3.0 * by, 1.0]);
    }

    #[test]
    fn tests_that_are_not_listed_count() {
        near(&benjamini_yekutieli(&[1e-4], 100), &[0.01 * harmonic(100)]);
        assert!((harmonic(1_000_000) - 14.392_726_7).abs() < 1e-3);
        near(&benjamini_yekutieli(&[f64::NAN, -1.0], 0), &[1.0, 0.0]);
        assert!(benjamini_yekutieli(&[], 7).is_empty());
    }

    #[test]
    fn the_declared_rate_of_the_accepted_is_at_most_what_was_asked() {
        let posteriors = [0.5, 0.999, f64::NAN, 0.93, 0.99];
        let accepted = accept_at(&posteriors, 0.05);
        assert_eq!(accepted, [1, 4, 3]);
        let theirs: Vec<f64> = accepted.iter().map(|at| posteriors[*at]).collect();
        assert!((declared(&theirs) - 0.027).abs() < 1e-9);
        assert!(accept_at(&[0.2], 0.05).is_empty() && declared(&[]) == 0.0);
    }
}
