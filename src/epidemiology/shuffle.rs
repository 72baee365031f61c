//! What the best item of chance looks like: cases drawn anew, the best score kept.
//!
//! In every stratum as many hosts as it has cases are drawn without repeating, in
//! proportion to their weight, which is what time alone would do. The best score of
//! all items, by what the strata let expect, is compared with the finding's: the
//! chance that any item does as well by luck, whatever the items have to do with
//! each other (Westfall and Young 1993).

use super::localise::kulldorff;
use super::tally::{Cell, Fleet, Host};

/// Steps over all shuffles, about 0.15 s: with thousands of cases fewer are made.
const MAX_WORK: usize = 1 << 24;
/// Draws of one host before the next one that is free is taken.
const DRAWS: u32 = 64;

/// Sebastiano Vigna's SplitMix64: a few hundred thousand draws ask for no more.
pub(super) struct SplitMix64(pub(super) u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to below 1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / 9_007_199_254_740_992.0
    }
}

/// Hosts of one stratum that has cases.
#[derive(Default)]
struct Urn<'a> {
    cases: u32,
    /// With the sum of weights up to and with each.
    hosts: Vec<(usize, &'a Host)>,
    sums: Vec<f64>,
}

/// The best score of each shuffle, ascending.
pub(super) fn best_of_chance(fleet: &Fleet, wanted: u32, seed: u64) -> Vec<f64> {
    let mut random = SplitMix64(seed);
    let urns = urns(fleet);
    let (cells, known) = fleet.cells();
    let work = usize::try_from(fleet.cases).unwrap_or(usize::MAX).saturating_mul(known.len()).max(1);
    let most = MAX_WORK.checked_div(work).unwrap_or(0);
    let count = usize::try_from(wanted).unwrap_or(usize::MAX).min(most);
    let mut tally = Tally {
        costs: fleet.costs(),
        counts: vec![0; cells.len()],
        of: vec![0; known.len()],
        touched: Vec::new(),
        cells,
        known,
    };
    let mut taken = vec![0usize; fleet.hosts.len()];
    let mut best: Vec<f64> = (1..=count)
        .map(|shuffle| {
            for urn in &urns {
                for _ in 0..urn.cases {
                    if let Some(host) = draw(urn, &mut taken, shuffle, &mut random) {
                        fleet.places(host, |known, cell| tally.add(known, cell));
                    }
                }
            }
            tally.best()
        })
        .collect();
    best.sort_unstable_by(f64::total_cmp);
    best
}

fn urns(fleet: &Fleet) -> Vec<Urn<'_>> {
    let mut urns: Vec<Urn<'_>> = (0..fleet.strata).map(|_| Urn::default()).collect();
    for (place, host) in fleet.hosts.iter().enumerate() {
        if let Some(urn) = urns.get_mut(host.stratum) {
            urn.cases = urn.cases.saturating_add(u32::from(host.case));
            urn.hosts.push((place, host));
            urn.sums.push(urn.sums.last().copied().unwrap_or(0.0) + host.weight);
        }
    }
    urns.retain(|urn| urn.cases > 0);
    urns
}

/// A host that this shuffle has not taken.
fn draw<'a>(urn: &Urn<'a>, taken: &mut [usize], shuffle: usize, random: &mut SplitMix64) -> Option<&'a Host> {
    let all = urn.sums.last().copied().unwrap_or(0.0);
    let mut start = 0;
    for _ in 0..DRAWS {
        let at = random.unit() * all;
        start = urn.sums.partition_point(|sum| *sum <= at);
        let Some((place, host)) = urn.hosts.get(start) else { continue };
        if let Some(free) = taken.get_mut(*place).filter(|last| **last != shuffle) {
            *free = shuffle;
            return Some(host);
        }
    }
    let onwards = urn.hosts.iter().skip(start).chain(urn.hosts.iter().take(start));
    for (place, host) in onwards {
        if let Some(free) = taken.get_mut(*place).filter(|last| **last != shuffle) {
            *free = shuffle;
            return Some(host);
        }
    }
    None
}

struct Tally<'a> {
    /// By place of what is known.
    costs: &'a [f64],
    cells: Vec<Cell>,
    known: Vec<Cell>,
    counts: Vec<u32>,
    of: Vec<u32>,
    /// Cells with a case, and the place of what is known of them.
    touched: Vec<(usize, usize)>,
}

impl Tally<'_> {
    fn add(&mut self, known: usize, cell: Option<usize>) {
        if let Some(of) = self.of.get_mut(known) {
            *of = of.saturating_add(1);
        }
        if let Some(cell) = cell
            && let Some(count) = self.counts.get_mut(cell)
        {
            if *count == 0 {
                self.touched.push((cell, known));
            }
            *count = count.saturating_add(1);
        }
    }

    /// The best score; the counts are 0 again.
    fn best(&mut self) -> f64 {
        let mut best = 0.0f64;
        for (place, known) in self.touched.drain(..) {
            let (Some(count), Some(cell)) = (self.counts.get_mut(place), self.cells.get(place)) else {
                continue;
            };
            let c = std::mem::take(count);
            // One case never reaches what is declared.
            let (Some(all), Some(of)) = (self.known.get(known), self.of.get(known)) else { continue };
            if c < 2 || all.within <= 0.0 {
                continue;
            }
            let expected = f64::from(*of) * cell.within / all.within;
            let cost = self.costs.get(known).copied().unwrap_or(f64::INFINITY);
            best = best.max(kulldorff(c, *of, expected) - cost);
        }
        self.of.fill(0);
        best
    }
}
