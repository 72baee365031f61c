//! "So many more would decide it."
//!
//! Evidence adds up case by case, each with a step of ln likelihood ratio; it is
//! decided when the sum passes a threshold: Wald's sequential probability ratio test
//! (1945). The number of cases until then is his (threshold − have) / mean step for
//! large numbers; for small ones the walk itself is followed exactly on a lattice of
//! [`CELL`] (steps are rounded so that their means stay), overshoot and spread
//! included, so that a median and "nine times out of ten" can be said as well.
//!
//! What is assumed is the effect that is asked about. If there is none, no number
//! of cases decides for it, and [`Needed`] is None.

/// A cell of the lattice, in ln units.
const CELL: f64 = 0.05;
/// The walk is followed down to here below what is had, where it is held: a drift up
/// brings it back, a little too early.
const DEPTH: f64 = 30.0;
/// Cases that are followed; Wald's approximation beyond.
const MOST: u32 = 400;
/// Outcomes of one case.
const MOST_OUTCOMES: usize = 64;
/// ln of a single step counts up to here.
const MOST_STEP: f64 = 40.0;

/// Further cases until it is decided.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Needed {
    /// On average.
    pub mean: f64,
    /// In half of all futures.
    pub median: f64,
    /// In nine of ten.
    pub ninety: f64,
}

/// Until the steps' sum, which is `have`, passes `need`. `steps`: how often, and ln of
/// the likelihood ratio; the first 64. To name a host, these are the evidence's outcomes
/// in hardware, and `need` the ln odds that accuse less those of the prior.
pub fn until(steps: &[(f64, f64)], have: f64, need: f64) -> Option<Needed> {
    let valid = |(p, ln): &&(f64, f64)| *p > 0.0 && p.is_finite() && !ln.is_nan();
    let steps: Vec<(f64, f64)> = steps.iter().take(MOST_OUTCOMES).filter(valid).copied().collect();
    let all: f64 = steps.iter().map(|(p, _)| p).sum();
    let steps: Vec<(f64, f64)> =
        steps.iter().map(|(p, ln)| (p / all, ln.clamp(-MOST_STEP, MOST_STEP))).collect();
    let drift: f64 = steps.iter().map(|(p, ln)| p * ln).sum();
    let gap = need - have;
    if !gap.is_finite() || drift.is_nan() || drift <= 1e-9 {
        return None;
    }
    if gap < 0.0 {
        return Some(Needed::default());
    }
    let mean = gap / drift;
    if mean > f64::from(MOST) / 4.0 || gap > 400.0 {
        return Some(wald(&steps, gap, drift));
    }
    Some(walk(&steps, gap).unwrap_or_else(|| wald(&steps, gap, drift)))
}

/// For large numbers: normal about Wald's mean.
fn wald(steps: &[(f64, f64)], gap: f64, drift: f64) -> Needed {
    let variance: f64 = steps.iter().map(|(p, ln)| p * (ln - drift).powi(2)).sum();
    let mean = gap / drift;
    // The first passage is inverse Gaussian (Wald 1947); its ninth decile, about.
    let spread = (gap * variance / drift.powi(3)).sqrt();
    let skew = variance / drift.powi(2);
    Needed { mean, median: (mean - 0.5 * skew).max(0.5 * mean), ninety: mean + 1.28 * spread + 0.3 * skew }
}

/// The walk, exactly but for the lattice. None if it is not over after [`MOST`].
fn walk(steps: &[(f64, f64)], gap: f64) -> Option<Needed> {
    // Cells from the bottom up: the walk begins at `depth`, and is over at the top.
    let cells = |ln: f64| (ln / CELL).floor();
    let depth = cells(DEPTH);
    let top = depth + cells(gap) + 1.0;
    // Each step between two cells, in a proportion that keeps its mean.
    let split = steps.iter().flat_map(|(p, ln)| {
        let (low, over) = (cells(*ln), ln / CELL - cells(*ln));
        [(p * (1.0 - over), low), (p * over, low + 1.0)]
    });
    let split = split.filter(|(p, _)| *p > 0.0);
    let moves: Vec<Move> = split.map(|(p, by)| Move { p, up: count(by), down: count(-by) }).collect();
    let mut at: Vec<f64> = places(top).map(|cell| f64::from(u8::from(cell == depth))).collect();
    let (mut left, mut mean) = (1.0, 0.0);
    let (mut median, mut ninety) = (None, None);
    for n in 1..=MOST {
        mean += left;
        at = shifted(&at, &moves);
        left = at.iter().sum();
        let n = f64::from(n);
        median = median.or((left <= 0.5).then_some(n));
        ninety = ninety.or((left <= 0.1).then_some(n));
        if left < 1e-4 {
            break;
        }
    }
    (left < 1e-2).then_some(())?;
    Some(Needed { mean, median: median?, ninety: ninety? })
}

fn places(top: f64) -> impl Iterator<Item = f64> {
    std::iter::successors(Some(0.0), |cell| Some(cell + 1.0)).take_while(move |cell| *cell < top)
}

/// One outcome of a case: so many cells up, or down.
struct Move {
    p: f64,
    up: usize,
    down: usize,
}

/// A small whole number of cells, as a count; none below zero.
fn count(cells: f64) -> usize {
    places(cells.min(2.0 * MOST_STEP / CELL)).count()
}

/// The walk's distribution after one more case. What has passed the top is gone, what
/// would fall below the bottom is held there.
fn shifted(at: &[f64], moves: &[Move]) -> Vec<f64> {
    let mut next = vec![0.0; at.len()];
    for Move { p, up, down } in moves {
        let held: f64 = at.iter().take(*down).sum();
        if let Some(bottom) = next.first_mut() {
            *bottom += p * held;
        }
        for (slot, mass) in next.iter_mut().skip(*up).zip(at.iter().skip(*down)) {
            *slot += p * mass;
        }
    }
    next
}

/// Of `share` of the exposure, at `ratio` times the others' rate: cases until a
/// contrast of shares passes `need`. Separating a trigger from a confounder asks this
/// of the cases without the confounder, and `share` among such hosts.
pub fn contrast(share: f64, ratio: f64, have: f64, need: f64) -> Option<Needed> {
    if !(share > 0.0 && share < 1.0 && ratio > 0.0 && ratio.is_finite()) {
        return None;
    }
    let cases = share * ratio / (1.0 - share + share * ratio);
    let steps = [(cases, (cases / share).ln()), (1.0 - cases, ((1.0 - cases) / (1.0 - share)).ln())];
    until(&steps, have, need)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_cases_are_counted_exactly_and_many_by_wald() {
        // Ten thousand simulated walks: 9.4, 7 and 17.
        let few = contrast(0.1, 10.0, 0.0, 100.0_f64.ln()).expect("decidable");
        assert!((few.mean - 9.4).abs() < 0.2 && (few.median, few.ninety) == (7.0, 17.0), "{few:?}");
        // Ten thousand simulated walks: 1,324.
        let many = contrast(0.1, 1.3, 0.0, 100.0_f64.ln()).expect("decidable");
        assert!((many.mean / 1320.0 - 1.0).abs() < 0.03, "{many:?}");
    }

    #[test]
    fn one_step_too_strong_for_doubt_takes_one_crash_and_none_if_it_is_decided() {
        assert_eq!(until(&[(1.0, 20.0)], 0.0, 10.0).map(|needed| needed.mean), Some(1.0));
        assert_eq!(until(&[(1.0, 20.0)], 11.0, 10.0), Some(Needed::default()));
    }

    #[test]
    fn no_effect_is_never_decided_and_nothing_hostile_is_a_number() {
        assert_eq!(contrast(0.1, 1.0, 0.0, 5.0), None);
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0, 1e300, 1e-300] {
            let answers = [
                contrast(odd, 10.0, 0.0, 5.0),
                contrast(0.1, odd, 0.0, 5.0),
                contrast(0.5, odd, odd, 5.0),
                until(&[(odd, 1.0), (0.5, odd), (0.5, 2.0)], odd, 3.0),
                until(&[(0.5, 40.0), (0.5, -39.999)], 0.0, odd),
            ];
            for needed in answers.into_iter().flatten() {
                assert!(!needed.mean.is_nan() && !needed.median.is_nan() && !needed.ninety.is_nan(), "{odd}");
            }
        }
    }
}
