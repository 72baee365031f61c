//! Censuses happen at random: exponential gaps whatever the timer does, so that
//! a report stands for the host as it is on average. Simulated decisions, a
//! fixed seed.

use epicore::census::{Random, decides, probability};

const MEAN: u64 = 3600;
const SECOND: u64 = 1_000_000_000;

/// Seconds until the timer asks again: 5 to 15 minutes, and now and then the
/// hours of a suspended host.
fn question(random: &mut Random) -> f64 {
    let jitter = 300.0 + 600.0 * random.unit();
    if random.once_in(500) { jitter + 36_000.0 * random.unit() } else { jitter }
}

/// (seconds up to the question before the census, up to the census) of each gap.
fn gaps(count: usize, random: &mut Random) -> Vec<(f64, f64)> {
    let (mut gaps, mut since) = (Vec::new(), 0.0);
    while gaps.len() < count {
        let elapsed = question(random);
        let before = since;
        since += elapsed;
        if decides(random, (elapsed * SECOND as f64) as u64, MEAN) {
            gaps.push((before, since));
            since = 0.0;
        }
    }
    gaps
}

/// The gap is known up to the question before it: spread over that interval it
/// must be uniform under exp(−t/mean) (randomised probability integral
/// transform); Kolmogorov–Smirnov at 1 %.
#[test]
fn gaps_are_exponential_whatever_the_jitter_of_the_timer() {
    let mut random = Random::seeded(20_261_123);
    let count = 100_000;
    let survival = |t: f64| (-t / MEAN as f64).exp();
    let mut uniform: Vec<f64> = gaps(count, &mut random)
        .into_iter()
        .map(|(before, at)| survival(at) + random.unit() * (survival(before) - survival(at)))
        .collect();
    uniform.sort_by(f64::total_cmp);
    let n = count as f64;
    let distance = uniform
        .iter()
        .enumerate()
        .map(|(i, u)| (u - i as f64 / n).abs().max((u - (i + 1) as f64 / n).abs()))
        .fold(0.0, f64::max);
    let critical = 1.628 / n.sqrt();
    println!("KS distance {distance:.5}, critical at 1 % {critical:.5}");
    assert!(distance < critical);
}

#[test]
fn the_number_of_censuses_is_that_of_the_rate() {
    let mut random = Random::seeded(7);
    // Expected: the sum of p over the questions, which is what a Poisson
    // process puts into those intervals at least once.
    let (mut expected, mut variance, mut happened) = (0.0, 0.0, 0.0);
    for _ in 0..100_000 {
        let elapsed = (question(&mut random) * SECOND as f64) as u64;
        let p = probability(elapsed, MEAN);
        expected += p;
        variance += p * (1.0 - p);
        happened += f64::from(u8::from(decides(&mut random, elapsed, MEAN)));
    }
    assert!((happened - expected).abs() < 4.0 * f64::sqrt(variance), "{happened} of {expected}");
}

/// Cron: a job that runs for the first five minutes of every hour. A census on
/// the hour would meet it always, one at half past never.
#[test]
fn a_process_that_runs_five_minutes_an_hour_is_counted_for_a_twelfth_of_the_time() {
    let mut random = Random::seeded(11);
    let (mut now, mut covered, mut running) = (0.0, 0.0, 0.0);
    for (_, gap) in gaps(100_000, &mut random) {
        now += gap;
        covered += gap;
        // The report stands for the span since the one before.
        if now % 3600.0 < 300.0 {
            running += gap;
        }
    }
    let share = running / covered;
    println!("a twelfth is {:.4}; counted {share:.4}", 1.0 / 12.0);
    assert!((share - 1.0 / 12.0).abs() < 0.006);
}

#[test]
fn no_time_is_no_census_and_endless_time_is_one() {
    assert_eq!(probability(0, MEAN), 0.0);
    assert_eq!(probability(u64::MAX, MEAN), 1.0);
    assert!((probability(3600 * SECOND, MEAN) - (1.0 - (-1.0f64).exp())).abs() < 1e-12);
    // Small probabilities keep their digits.
    assert!((probability(1, 86_400) / (1e-9 / 86_400.0) - 1.0).abs() < 1e-9);
}

#[test]
fn every_process_is_drawn_as_often_as_every_other() {
    let mut random = Random::seeded(3);
    let (processes, draws) = (20u32, 100_000u32);
    let mut drawn = vec![0u32; processes as usize];
    for _ in 0..draws {
        let last = (1..=processes).filter(|n| random.once_in(*n)).last().unwrap();
        drawn[last as usize - 1] += 1;
    }
    let expected = f64::from(draws) / f64::from(processes);
    let chi_square: f64 = drawn.iter().map(|n| (f64::from(*n) - expected).powi(2) / expected).sum();
    println!("chi-square of 19 degrees of freedom: {chi_square:.1}");
    assert!(chi_square < 36.2, "{drawn:?}"); // 1 %
}
