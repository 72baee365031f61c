//! How many times as often: rate ratios and odds ratios with their intervals.
//!
//! ```text
//! rate ratio   c of n cases where the share p of the exposure is:
//!              c ~ binomial(n, r p / (r p + 1 - p)), given n
//! stratified   the same r in each stratum, its own p: c is a sum of binomials,
//!              exact by convolution (Martin and Austin 1996)
//! odds ratio   a d / (b c) with 1/2 added to each cell (Haldane 1956, Anscombe 1956)
//! pooled       Mantel and Haenszel 1959, variance of Robins, Breslow and
//!              Greenland 1986
//! interaction  the exact test of a common ratio in two strata (Zelen 1971)
//! shrunk       exp E[ln r], r ~ gamma of mean 1, c ~ Poisson(r E) (DuMouchel 1999,
//!              one component)
//! ```
//!
//! Intervals of rate ratios are mid-p at 95 %, tails of tests are whole. Above
//! [`EXACT`] cases an interval is Wald's and a tail Chernoff's bound, which is never
//! too small. Ratios may be 0 or infinite, nothing is NaN.

use super::math::{ln_choose, ln_negative_binomial};

/// Cases that are convolved: n² / 2 multiplications for each of 100 steps.
const EXACT: u32 = 256;
/// Of a normal distribution: 95 % lie within.
const Z95: f64 = 1.959_963_984_540_054;
/// Where a Poisson count is 0 with a chance of 2.5 %: -ln 0.025.
const NONE_SEEN: f64 = 3.688_879_454_113_936;
/// Steps of a bisection of ln r: from 60 down to 60 / 2^40.
const STEPS: u32 = 40;
/// |ln r| beyond which a ratio is 0 or infinite.
const LN_MOST: f64 = 30.0;

/// An estimate, its 95 % interval, and the one-sided P(as many | ratio 1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// The estimate: 0 to infinite.
    pub ratio: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Chance of as many exposed cases or more where exposure does nothing.
    pub p: f64,
}

/// Cases of one stratum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stratum {
    /// Cases where the exposure is.
    pub exposed: u32,
    /// Cases.
    pub cases: u32,
    /// The exposed share of the stratum's exposure.
    pub share: f64,
}

impl Stratum {
    /// Both an exposed case and another were possible.
    fn speaks(&self) -> bool {
        self.share > 0.0 && self.share < 1.0 && self.cases > 0 && self.exposed <= self.cases
    }

    /// P(a case is exposed) at `ratio`.
    fn at(&self, ratio: f64) -> f64 {
        ratio * self.share / (ratio * self.share + 1.0 - self.share)
    }
}

/// The rate ratio of `exposed` of `cases` where `share` of the exposure is.
pub fn rate_ratio(exposed: u32, cases: u32, share: f64) -> Ratio {
    stratified(&[Stratum { exposed, cases, share }])
}

/// The rate ratio that strata have in common. Strata in which all or none is
/// exposed say nothing; when none speaks the answer is 1, from 0 to infinite.
pub fn stratified(strata: &[Stratum]) -> Ratio {
    let strata: Vec<Stratum> = strata.iter().copied().filter(Stratum::speaks).collect();
    let cases = strata.iter().fold(0u32, |sum, one| sum.saturating_add(one.cases));
    let exposed = strata.iter().fold(0u32, |sum, one| sum.saturating_add(one.exposed));
    if cases == 0 {
        return Ratio { ratio: 1.0, low: 0.0, high: f64::INFINITY, p: 1.0 };
    }
    let mean = |ln: f64| strata.iter().map(|one| f64::from(one.cases) * one.at(ln.exp())).sum::<f64>();
    let ln = match exposed {
        0 => f64::NEG_INFINITY,
        all if all == cases => f64::INFINITY,
        some => solve(|ln| mean(ln) < f64::from(some)),
    };
    let (low, high) = if cases <= EXACT {
        // Upper tail, half of the observed: grows with the ratio.
        let above = |ln: f64| {
            let (above, at) = upper(&strata, exposed, ln.exp());
            above - 0.5 * at
        };
        let low = if exposed == 0 { f64::NEG_INFINITY } else { solve(|ln| above(ln) < 0.025) };
        let high = if exposed == cases { f64::INFINITY } else { solve(|ln| above(ln) < 0.975) };
        (low, high)
    } else {
        let information: f64 = strata
            .iter()
            .map(|one| (f64::from(one.cases), one.at(ln.clamp(-LN_MOST, LN_MOST).exp())))
            .map(|(n, p)| n * p * (1.0 - p))
            .sum();
        let half = Z95 / information.max(1e-9).sqrt();
        match exposed {
            0 => (ln, solve(|ln| mean(ln) < NONE_SEEN)),
            all if all == cases => (solve(|ln| mean(ln) < f64::from(all) - NONE_SEEN), ln),
            _ => (ln - half, ln + half),
        }
    };
    Ratio { ratio: ln.exp(), low: low.exp(), high: high.exp(), p: tail(&strata) }
}

/// P(as many exposed cases or more | ratio 1), without the interval.
pub fn tail(strata: &[Stratum]) -> f64 {
    let strata: Vec<Stratum> = strata.iter().copied().filter(Stratum::speaks).collect();
    let cases = strata.iter().fold(0u32, |sum, one| sum.saturating_add(one.cases));
    let exposed = strata.iter().fold(0u32, |sum, one| sum.saturating_add(one.exposed));
    let p = if cases <= EXACT { upper(&strata, exposed, 1.0).0 } else { chernoff(&strata, exposed) };
    p.clamp(0.0, 1.0)
}

/// The ln r at which `below` ends to hold.
fn solve(below: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (-LN_MOST, LN_MOST);
    for _ in 0..STEPS {
        let middle = 0.5 * (low + high);
        if below(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// P(exposed cases ≥ k) and P(= k) at `ratio`: one Bernoulli factor per case.
fn upper(strata: &[Stratum], k: u32, ratio: f64) -> (f64, f64) {
    let mut chances = vec![1.0];
    for one in strata {
        let p = one.at(ratio);
        for _ in 0..one.cases {
            let mut carry = 0.0;
            for chance in &mut chances {
                let here: f64 = *chance;
                *chance = here * (1.0 - p) + carry * p;
                carry = here;
            }
            chances.push(carry * p);
        }
    }
    let tail = chances.get(usize::try_from(k).unwrap_or(usize::MAX)..).unwrap_or(&[]);
    (tail.iter().sum(), tail.first().copied().unwrap_or(0.0))
}

/// An upper bound of the same tail at ratio 1: min over t of E[exp(t X)] / exp(t k).
fn chernoff(strata: &[Stratum], k: u32) -> f64 {
    let k = f64::from(k);
    let mean: f64 = strata.iter().map(|one| f64::from(one.cases) * one.share).sum();
    if k <= mean {
        return 1.0;
    }
    let tilted = |t: f64| strata.iter().map(|one| f64::from(one.cases) * one.at(t.exp())).sum::<f64>();
    let t = solve(|t| tilted(t) < k).max(0.0);
    let ln: f64 = strata.iter().map(|one| f64::from(one.cases) * (one.share * t.exp_m1()).ln_1p()).sum();
    (ln - t * k).exp()
}

/// P(strata as unlike as these | one ratio in both), two-sided: given how many of
/// both are exposed the ratio cancels (Zelen 1971). Asymptotic tests (Breslow and
/// Day, Woolf) do not hold at twenty cases.
pub fn heterogeneity(one: &Stratum, two: &Stratum) -> f64 {
    if !one.speaks() || !two.speaks() {
        return 1.0;
    }
    let weight = |stratum: &Stratum, k: u32| {
        let odds = (stratum.share / (1.0 - stratum.share)).ln();
        ln_choose(f64::from(stratum.cases), f64::from(k)) + f64::from(k) * odds
    };
    let both = one.exposed.saturating_add(two.exposed);
    let first = both.saturating_sub(two.cases);
    let last = both.min(one.cases);
    let split = |k: u32| weight(one, k) + weight(two, both.saturating_sub(k));
    let seen = split(one.exposed);
    let (mut all, mut unlike) = (0.0, 0.0);
    for ln in (first..=last).map(split) {
        let part = (ln - seen).exp();
        all += part;
        // Ties count, whatever the rounding.
        unlike += if ln <= seen + 1e-9 { part } else { 0.0 };
    }
    if all > 0.0 && all.is_finite() { (unlike / all).clamp(0.0, 1.0) } else { 0.0 }
}

/// A 2 × 2 table of counts, or of weights that stand for counts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Table {
    /// Exposed cases.
    pub a: f64,
    /// Exposed controls.
    pub b: f64,
    /// Other cases.
    pub c: f64,
    /// Other controls.
    pub d: f64,
}

impl Table {
    fn clean(self) -> Table {
        let count = |x: f64| if x.is_finite() { x.max(0.0) } else { 0.0 };
        Table { a: count(self.a), b: count(self.b), c: count(self.c), d: count(self.d) }
    }
}

/// The odds ratio of one table with 1/2 in each cell, and Woolf's interval.
pub fn odds_ratio(table: Table) -> Ratio {
    let Table { a, b, c, d } = table.clean();
    let (a, b, c, d) = (a + 0.5, b + 0.5, c + 0.5, d + 0.5);
    of_ln((a * d / (b * c)).ln(), 1.0 / a + 1.0 / b + 1.0 / c + 1.0 / d)
}

/// The odds ratio that tables have in common; None when none has both a case and a
/// control against it.
pub fn mantel_haenszel(tables: &[Table]) -> Option<Ratio> {
    let (mut r, mut s, mut pr, mut mixed, mut qs) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for Table { a, b, c, d } in tables.iter().map(|table| table.clean()) {
        let all = a + b + c + d;
        if all <= 0.0 {
            continue;
        }
        let (ri, si, p, q) = (a * d / all, b * c / all, (a + d) / all, (b + c) / all);
        r += ri;
        s += si;
        pr += p * ri;
        mixed += p * si + q * ri;
        qs += q * si;
    }
    let variance = pr / (2.0 * r * r) + mixed / (2.0 * r * s) + qs / (2.0 * s * s);
    (r > 0.0 && s > 0.0 && variance.is_finite()).then(|| of_ln((r / s).ln(), variance))
}

fn of_ln(ln: f64, variance: f64) -> Ratio {
    let error = variance.max(0.0).sqrt();
    let (low, high) = (ln - Z95 * error, ln + Z95 * error);
    let p = if error > 0.0 { super::math::normal_above(ln / error) } else { 1.0 };
    Ratio { ratio: ln.exp(), low: low.exp(), high: high.exp(), p }
}

/// The spread of true ratios around 1 over all items, as they say themselves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shrinkage {
    /// Shape and rate of the gamma prior: its mean is 1, its variance 1 / alpha.
    alpha: f64,
}

impl Shrinkage {
    /// The likeliest, from cases and expected cases of the items: 1 / alpha from 20
    /// (anything may be) to 1/200 (nothing stands out) on a grid of 5 % steps of
    /// ln alpha's range, which is finer than the data can tell.
    pub fn fit(items: &[(u32, f64)]) -> Shrinkage {
        let (least, most) = (0.05f64.ln(), 200f64.ln());
        let likelihood = |alpha: f64| {
            let of = |&(c, e): &(u32, f64)| match c {
                0 => alpha * (alpha / (alpha + e)).ln(),
                c => ln_negative_binomial(c, e, alpha),
            };
            items.iter().filter(|(_, e)| *e > 0.0 && e.is_finite()).map(of).sum::<f64>()
        };
        let grid = (0u32..=20).map(|step| (least + (most - least) * f64::from(step) / 20.0).exp());
        let best = grid.map(|alpha| (alpha, likelihood(alpha))).max_by(|a, b| a.1.total_cmp(&b.1));
        Shrinkage { alpha: best.map_or(1.0, |best| best.0) }
    }

    /// The geometric mean of what the ratio may be, seen c where e were expected.
    pub fn ratio(&self, c: u32, e: f64) -> f64 {
        let e = if e.is_finite() { e.max(0.0) } else { 0.0 };
        digamma(self.alpha + f64::from(c)).exp() / (self.alpha + e)
    }
}

/// The derivative of ln gamma, x > 0: upwards to 6, then the asymptotic series.
fn digamma(x: f64) -> f64 {
    let (mut x, mut sum) = (x.max(1e-3), 0.0);
    while x < 6.0 {
        sum -= 1.0 / x;
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    sum + x.ln() - 0.5 / x - y * (1.0 / 12.0 - y * (1.0 / 120.0 - y * (1.0 / 252.0 - y / 240.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64, off: f64) {
        assert!((a - b).abs() <= off * b.abs().max(1e-300), "{a} is not {b}");
    }

    #[test]
    fn a_rate_ratio_is_that_of_the_conditional_binomial() {
        // 8 of 20 where 1/21 of the exposure is: odds 2/3 against 1/20.
        let ratio = rate_ratio(8, 20, 1.0 / 21.0);
        near(ratio.ratio, (8.0 / 12.0) * 20.0, 1e-6);
        // Solved by bisection in another language.
        near(ratio.low, 5.19061493, 1e-6);
        near(ratio.high, 32.7877915, 1e-6);
        near(ratio.p, 1.985319781463e-06, 1e-12);
    }

    #[test]
    fn all_or_none_exposed_leaves_one_end_open() {
        let all = rate_ratio(6, 6, 0.5);
        assert!(all.ratio.is_infinite() && all.high.is_infinite() && all.low > 1.0, "{all:?}");
        let none = rate_ratio(0, 6, 0.5);
        assert!(none.ratio == 0.0 && none.low == 0.0 && none.high < 1.2 && none.p == 1.0, "{none:?}");
        for silent in
            [rate_ratio(3, 6, 0.0), rate_ratio(3, 6, 1.0), rate_ratio(3, 6, f64::NAN), stratified(&[])]
        {
            assert_eq!(silent, Ratio { ratio: 1.0, low: 0.0, high: f64::INFINITY, p: 1.0 });
        }
    }

    #[test]
    fn strata_with_one_share_are_one_stratum() {
        let one = Stratum { exposed: 3, cases: 7, share: 0.1 };
        let two = Stratum { exposed: 4, cases: 9, share: 0.1 };
        let (both, pooled) = (stratified(&[one, two]), rate_ratio(7, 16, 0.1));
        near(both.ratio, pooled.ratio, 1e-9);
        near(both.low, pooled.low, 1e-9);
        near(both.p, pooled.p, 1e-9);
    }

    #[test]
    fn a_ratio_that_a_stratum_makes_is_gone_within_strata() {
        // All cases in a stratum that is 90 % exposed, none in the other.
        let strata =
            [Stratum { exposed: 18, cases: 20, share: 0.9 }, Stratum { exposed: 0, cases: 0, share: 0.1 }];
        let ratio = stratified(&strata);
        near(ratio.ratio, 1.0, 1e-6);
        assert!(ratio.low < 1.0 && ratio.high > 1.0 && ratio.p > 0.3, "{ratio:?}");
    }

    #[test]
    fn many_cases_are_bounded_and_do_not_take_long() {
        let many = rate_ratio(40_000, 100_000, 0.3);
        near(many.ratio, (0.4 / 0.6) / (0.3 / 0.7), 1e-6);
        assert!(many.low > 1.5 && many.high < 1.6 && many.p < 1e-300, "{many:?}");
        let (bound, exact) = (rate_ratio(100, 300, 0.25).p, rate_ratio(84, 256, 0.25).p);
        assert!(bound > 1e-4 && bound < 1e-2 && exact < bound, "{bound} {exact}");
    }

    #[test]
    fn unlike_strata_are_told_from_like_ones() {
        let like = heterogeneity(
            &Stratum { exposed: 5, cases: 10, share: 0.5 },
            &Stratum { exposed: 4, cases: 8, share: 0.5 },
        );
        let unlike = heterogeneity(
            &Stratum { exposed: 10, cases: 10, share: 0.2 },
            &Stratum { exposed: 2, cases: 12, share: 0.2 },
        );
        near(like, 1.0, 1e-9);
        // Fisher's exact test of 10, 0 against 2, 10.
        near(unlike, 67.0 / 646_646.0, 1e-9);
    }

    #[test]
    fn odds_ratios_are_those_of_the_books() {
        let simple = odds_ratio(Table { a: 10.0, b: 20.0, c: 5.0, d: 40.0 });
        near(simple.ratio, 10.5 * 40.5 / (20.5 * 5.5), 1e-12);
        // By hand, of two tables of 27 and 23.
        let tables = [Table { a: 8.0, b: 4.0, c: 5.0, d: 10.0 }, Table { a: 6.0, b: 5.0, c: 2.0, d: 10.0 }];
        let (r, s) = (80.0 / 27.0 + 60.0 / 23.0, 20.0 / 27.0 + 10.0 / 23.0);
        let pooled = mantel_haenszel(&tables).expect("a ratio");
        near(pooled.ratio, r / s, 1e-12);
        assert!(pooled.low > 1.0 && pooled.low < pooled.ratio && pooled.high < 25.0, "{pooled:?}");
        // One table: Robins, Breslow and Greenland's variance is Woolf's.
        let one = mantel_haenszel(&tables[..1]).expect("a ratio");
        let woolf = (1.0 / 8.0 + 1.0 / 4.0 + 1.0 / 5.0 + 1.0 / 10.0_f64).sqrt();
        near(one.high / one.ratio, (Z95 * woolf).exp(), 1e-9);
        assert_eq!(mantel_haenszel(&[Table { a: 3.0, b: 0.0, c: 0.0, d: 9.0 }]), None);
        assert_eq!(mantel_haenszel(&[Table { a: f64::NAN, b: -3.0, c: f64::INFINITY, d: 0.0 }]), None);
    }

    #[test]
    fn a_single_case_is_shrunk_and_many_are_not() {
        let items: Vec<(u32, f64)> = (0..200u32).map(|i| (i % 2, 0.5)).collect();
        let spread = Shrinkage::fit(&items);
        let (one, many) = (spread.ratio(1, 0.01), spread.ratio(5000, 50.0));
        assert!(one < 3.0 && many > 20.0, "{one} {many}");
        near(digamma(1.0), -0.577_215_664_901_532_9, 1e-9);
        near(digamma(10.5), 2.302_001_0, 1e-3);
        assert!(Shrinkage::fit(&[]).ratio(0, f64::NAN).is_finite());
    }
}
