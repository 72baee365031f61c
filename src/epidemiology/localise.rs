//! Where evidence against hardware gathers: a tree scan (Kulldorff, Fang and Walsh,
//! Biometrics 2003), from the fleet down to the CPU model and its microcode.
//!
//! Cases are hosts with a crash whose evidence leans towards the machine: one host with
//! many of them is no kind. A node of c cases of n, where E were expected by exposure,
//! has LLR = c ln(c/E) + (n − c) ln((n − c)/(n − E)). A child is believed when it gains
//! more over its node than ln(#children). Where a model with a microcode wins it is an
//! erratum and not a bad host; its hosts are then judged by what is usual among them.

use std::collections::{BTreeMap, HashSet};

use super::exposure::Background;
use super::likelihood::Likelihood;
use super::population::{Population, UNKNOWN};

/// Cases, at least.
const HOSTS: u32 = 5;
/// The gain that a whole group of machines needs beyond ln(#groups), ln 1000: it is a
/// heavier word than one host.
const BELIEVED: f64 = 6.907_755_278_982_137;

/// A group of machines of one kind that shows more than its share.
#[derive(Clone, Debug, PartialEq)]
pub struct Locus {
    /// The attributes that it is one value of each of.
    pub attributes: Vec<(usize, u32)>,
    /// Its hosts.
    pub hosts: HashSet<u32>,
    /// Hosts of it with such a crash, and how many were expected.
    pub cases: u32,
    /// See `cases`.
    pub expected: f64,
    /// Log likelihood ratio less ln(#groups).
    pub gain: f64,
}

impl Locus {
    /// Cases for each that was expected.
    pub fn ratio(&self) -> f64 {
        f64::from(self.cases) / self.expected.max(1e-9)
    }
}

/// Kulldorff's log likelihood ratio of c cases of n where so many were expected; 0
/// when there are no more than that.
pub fn kulldorff(c: u32, n: u32, expected: f64) -> f64 {
    let (c, n) = (f64::from(c), f64::from(n));
    if !(expected > 0.0 && c > expected && c <= n) {
        return 0.0;
    }
    let rest = n - c;
    let outside = if rest > 0.0 { rest * (rest / (n - expected)).ln() } else { 0.0 };
    (c * (c / expected).ln() + outside).max(0.0)
}

/// The groups by `attributes` taken together (CPU model and microcode) that are
/// errata, the strongest first.
pub fn errata(
    population: &Population,
    background: &Background,
    likelihood: &Likelihood,
    attributes: &[usize],
) -> Vec<Locus> {
    let mut groups: BTreeMap<Vec<u32>, Locus> = BTreeMap::new();
    let (mut all, mut exposure) = (0u32, 0.0);
    for (index, host) in (0u32..).zip(&population.hosts) {
        let key: Vec<u32> = attributes
            .iter()
            .map(|attribute| host.values.get(*attribute).copied().unwrap_or(UNKNOWN))
            .collect();
        if key.contains(&UNKNOWN) {
            continue;
        }
        let mut own = background.rare.get(&index).into_iter().flatten();
        let case = u32::from(own.any(|episode| likelihood.leans(episode.first.shown)));
        // A host that runs ten times as much is a case once, too.
        let expected = -(-background.mean(index)).exp_m1();
        all = all.saturating_add(case);
        exposure += expected;
        let named = attributes.iter().copied().zip(key.iter().copied()).collect();
        let group = groups.entry(key).or_insert_with(|| Locus {
            attributes: named,
            hosts: HashSet::new(),
            cases: 0,
            expected: 0.0,
            gain: 0.0,
        });
        group.hosts.insert(index);
        group.cases = group.cases.saturating_add(case);
        group.expected += expected;
    }
    if exposure <= 0.0 || groups.len() < 2 {
        return Vec::new();
    }
    let children = (groups.len() as f64).ln();
    let mut errata: Vec<Locus> = groups
        .into_values()
        .filter_map(|mut group| {
            group.expected *= f64::from(all) / exposure;
            group.gain = kulldorff(group.cases, all, group.expected) - children;
            (group.cases >= HOSTS && group.gain > BELIEVED).then_some(group)
        })
        .collect();
    errata.sort_by(|a, b| b.gain.total_cmp(&a.gain));
    errata
}
