//! Where evidence against hardware gathers: a tree scan (Kulldorff, Fang and Walsh,
//! Biometrics 2003), from the fleet down to the CPU model and its microcode.
//!
//! Cases are crashes whose evidence leans towards the machine, each signature of a host once. A node
//! of c cases of n, where E were expected by exposure, has
//! LLR = c ln(c/E) + (n − c) ln((n − c)/(n − E)). A child is believed when it gains
//! more over its node than ln(#children). Where a model with a microcode wins and
//! no few of its hosts have the cases, it is an erratum and not a bad host; its
//! hosts are then judged by what is usual among them.

use std::collections::{BTreeMap, HashSet};

use super::exposure::Background;
use super::likelihood::Likelihood;
use super::population::{Population, UNKNOWN};

/// Cases on at least so many hosts, of which none has more than this share.
const HOSTS: usize = 5;
const LARGEST: f64 = 0.34;
/// The gain that a whole group of machines needs beyond ln(#groups): it is a
/// heavier word than one host.
const BELIEVED: f64 = 4.605_170_185_988_091; // ln 100

/// A group of machines of one kind that shows more than its share.
#[derive(Clone, Debug, PartialEq)]
pub struct Locus {
    /// The attributes that it is one value of each of.
    pub attributes: Vec<(usize, u32)>,
    /// Its hosts.
    pub hosts: HashSet<u32>,
    /// Cases there, and how many were expected.
    pub cases: u32,
    /// See `cases`.
    pub expected: f64,
    /// Hosts with a case.
    pub affected: u32,
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
    let mut largest: BTreeMap<Vec<u32>, u32> = BTreeMap::new();
    for (index, host) in (0u32..).zip(&population.hosts) {
        let key: Vec<u32> = attributes
            .iter()
            .map(|attribute| host.values.get(*attribute).copied().unwrap_or(UNKNOWN))
            .collect();
        if key.contains(&UNKNOWN) {
            continue;
        }
        let mut seen = HashSet::new();
        let own = background.rare.get(&index).into_iter().flatten();
        let leaning = own
            .filter(|episode| likelihood.leans(episode.first.shown))
            .filter(|episode| seen.insert(episode.first.signature))
            .count();
        let cases = u32::try_from(leaning).unwrap_or(u32::MAX);
        let expected = background.mean(index);
        all = all.saturating_add(cases);
        exposure += expected;
        let most = largest.entry(key.clone()).or_insert(0);
        *most = cases.max(*most);
        let named = attributes.iter().copied().zip(key.iter().copied()).collect();
        let group = groups.entry(key).or_insert_with(|| Locus {
            attributes: named,
            hosts: HashSet::new(),
            cases: 0,
            expected: 0.0,
            affected: 0,
            gain: 0.0,
        });
        group.hosts.insert(index);
        group.cases = group.cases.saturating_add(cases);
        group.expected += expected;
        group.affected = group.affected.saturating_add(u32::from(cases > 0));
    }
    if exposure <= 0.0 || groups.len() < 2 {
        return Vec::new();
    }
    let children = (groups.len() as f64).ln();
    let mut errata: Vec<Locus> = groups
        .into_iter()
        .filter_map(|(key, mut group)| {
            group.expected *= f64::from(all) / exposure;
            group.gain = kulldorff(group.cases, all, group.expected) - children;
            let most = f64::from(largest.get(&key).copied().unwrap_or(0));
            let many = usize::try_from(group.affected).is_ok_and(|hosts| hosts >= HOSTS)
                && most <= LARGEST * f64::from(group.cases);
            (many && group.gain > BELIEVED).then_some(group)
        })
        .collect();
    errata.sort_by(|a, b| b.gain.total_cmp(&a.gain));
    errata
}
