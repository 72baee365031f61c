//! One signature, two populations: a bug of many hosts and one machine that
//! computes wrongly.
//!
//! ```text
//! H0      all software: a host has its share of exposure times gamma(r, r)
//! H1(h*)  m of the n cases are hardware's, all on h*: P(m) ∝ 1/m, m ≥ 2; with
//!         symptoms of their own (or, three in four, software's), a core that they
//!         meet with q (or, three in ten, none), and the evidence of hardware
//! ```
//!
//! Every host with two cases is tried, and nothing is maximised: which of its cases
//! are hardware's is summed over all subsets (symptoms are Dirichlet-multinomial,
//! so the sum over subsets of weights is a product of elementary symmetric
//! polynomials, one for each symptom). EM would fit two or three points as it likes.
//!
//! Two populations need ln H1/H0 > ln hosts + ln symptoms (as far as these carry it) +
//! ln 1000, and never by the host alone: symptoms, cores and evidence together must
//! speak for it ([`Parts::beside_count`]), more so when several hosts have two cases,
//! and by a hundred to one where nobody measured how long the host ran. r is the
//! caller's, and one time in a hundred whatever the other hosts' counts say: a bug
//! confined to ten hosts makes three cases on each of them nothing odd. Two populations
//! are not yet a bad machine: [`Split::machine`] weighs it against software of the
//! host's own. Remove what was found, and ask again.

use std::collections::BTreeMap;

use super::math::ln_negative_binomial;
use super::mixture::{Candidate, bits};

/// Odds that a posterior must have beyond those of the search.
const ODDS: f64 = 1000.0;
/// And beside the count, where the host's exposure is not known: one tenant's host
/// may have a third of all cases and be well.
const ODDS_UNMEASURED: f64 = 100.0;
/// A host with a software of its own for each one that computes wrongly (5 and 1 in
/// a thousand).
const OWN_KIND: f64 = 5.0;
/// Own symptoms tell hardware from own software by this at most: either has them.
const OWN_SYMPTOMS_TELL: f64 = 4.0;
/// Shapes r of hosts' true rates, for bugs that are confined to few hosts.
const SHAPES: [f64; 9] = [10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001];
/// How often such bugs are expected.
const CONFINED: f64 = 0.01;
/// Hosts are never more alike than this: exposure is itself an estimate.
const LEAST_DISPERSION: f64 = 0.05;
const MOST_DISPERSION: f64 = 1e3;
/// Cases of one host whose subsets are summed; of more, so many evenly spaced, which
/// only weakens the host's count.
const MOST_CASES: usize = 64;
/// Hosts that are tried, those with most for them first.
const MOST_HOSTS: usize = 256;

/// One case of the signature: an episode, not a crash.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Case {
    /// Index of the host.
    pub host: u32,
    /// Index of the symptom key S.
    pub symptom: u32,
    /// Physical core.
    pub core: Option<u16>,
    /// Physical cores that the process was allowed to use; 0 unknown, 1 pinned.
    pub allowed: u16,
    /// ln of P(evidence | hardware) / P(evidence | software).
    pub bits: f64,
}

/// Where cases could have happened.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fleet<'a> {
    /// Hosts; at least those of `share` and of the cases are assumed.
    pub hosts: u32,
    /// Exposure of each host to the signature's units, in any measure. What is not
    /// positive was not measured and counts as the mean.
    pub share: &'a [f64],
    /// Variance of hosts' true rates about what exposure says (1/r).
    pub dispersion: f64,
}

/// What carried a split, in ln units that add up to the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Parts {
    /// More cases on the host than its exposure explains.
    pub count: f64,
    /// Symptoms unlike the others'.
    pub symptom: f64,
    /// The cases' evidence.
    pub evidence: f64,
    /// One core.
    pub core: f64,
}

impl Parts {
    /// All.
    pub fn sum(&self) -> f64 {
        self.count + self.symptom + self.evidence + self.core
    }

    /// What speaks for two populations beside the count. Like symptoms say nothing
    /// against it.
    pub fn beside_count(&self) -> f64 {
        self.symptom.max(0.0) + self.evidence + self.core
    }
}

/// One case's side.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Side {
    /// It belongs to the host's own population: hardware's, as far as
    /// [`Split::machine`] is sure of that.
    pub apart: bool,
    /// P(it does).
    pub posterior: f64,
}

/// Two populations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Split {
    /// Whose the second population is.
    pub host: u32,
    /// ln H1/H0.
    pub ln_bayes: f64,
    /// What it had to exceed.
    pub threshold: f64,
    /// What it is made of.
    pub parts: Parts,
    /// P(the machine computes wrongly) against a software of its own on that host;
    /// what the count cannot tell.
    pub machine: f64,
    /// The core, if more likely than every other explanation together.
    pub core: Option<u16>,
    /// One for each case, in their order.
    pub sides: Vec<Side>,
}

/// Splits the cases of one signature, or says that one population explains them.
pub fn split(cases: &[Case], fleet: &Fleet) -> Option<Split> {
    let table = Table::of(cases, fleet)?;
    let tried = table.candidates();
    let weighed = tried.iter().map(|host| (host, host.parts()));
    let (best, parts) = weighed.max_by(|a, b| a.1.sum().total_cmp(&b.1.sum()))?;
    let several = table.by_host.values().filter(|own| own.len() >= 2).count().min(MOST_HOSTS);
    // The search among symptoms costs what they carry, at most.
    let searched = parts.symptom.clamp(0.0, (table.symptoms.len() as f64).ln());
    let threshold = table.hosts.ln() + searched + ODDS.ln();
    let measured = if best.measured { 0.0 } else { ODDS_UNMEASURED.ln() };
    let gate = (several as f64).ln() + measured;
    let ln_bayes = parts.sum();
    if !(ln_bayes > threshold && parts.beside_count() > gate) {
        return None;
    }
    let tells = parts.symptom.clamp(0.0, OWN_SYMPTOMS_TELL.ln()) + parts.evidence + parts.core;
    let machine = 1.0 / (1.0 + OWN_KIND * (-tells).exp());
    let core = best.core();
    let sides = best.sides(cases, core);
    Some(Split { host: best.host, ln_bayes, threshold, parts, machine, core, sides })
}

/// The whole signature.
struct Table {
    by_host: BTreeMap<u32, Vec<Case>>,
    symptoms: BTreeMap<u32, f64>,
    n: f64,
    hosts: f64,
    /// Share of a host that was not measured, and of those that were.
    mean: f64,
    share: Vec<Option<f64>>,
    /// r, and ln of prior and of all hosts' counts.
    shapes: Vec<(f64, f64)>,
}

impl Table {
    fn of(cases: &[Case], fleet: &Fleet) -> Option<Table> {
        let mut by_host: BTreeMap<u32, Vec<Case>> = BTreeMap::new();
        let mut symptoms = BTreeMap::new();
        for case in cases {
            by_host.entry(case.host).or_default().push(*case);
            *symptoms.entry(case.symptom).or_insert(0.0) += 1.0;
        }
        let hosts = (fleet.share.len().max(by_host.len()) as f64).max(f64::from(fleet.hosts));
        let valid = |share: &f64| (*share > 0.0 && share.is_finite()).then(|| share.min(1e200));
        let known: Vec<f64> = fleet.share.iter().filter_map(valid).collect();
        let sum: f64 = known.iter().sum();
        let total = if known.is_empty() { hosts } else { sum * hosts / known.len() as f64 };
        let share = fleet.share.iter().map(|share| valid(share).map(|share| share / total)).collect();
        let n = cases.len() as f64;
        let mut table = Table { by_host, symptoms, n, hosts, mean: 1.0 / hosts, share, shapes: Vec::new() };
        if table.promising().is_empty() {
            return None;
        }
        let given = if fleet.dispersion.is_finite() { fleet.dispersion } else { 1.0 };
        let given = 1.0 / given.clamp(LEAST_DISPERSION, MOST_DISPERSION);
        let others: Vec<f64> = SHAPES.iter().copied().filter(|shape| *shape < given).collect();
        let each = (CONFINED / others.len().max(1) as f64).ln();
        let prior = std::iter::once((given, 0.0)).chain(others.into_iter().map(|shape| (shape, each)));
        table.shapes = prior.map(|(shape, ln)| (shape, ln + table.ln_counts(shape))).collect();
        Some(table)
    }

    fn share(&self, host: u32) -> (f64, bool) {
        let known = usize::try_from(host).ok().and_then(|at| self.share.get(at).copied().flatten());
        (known.unwrap_or(self.mean).clamp(1e-9, 0.999), known.is_some())
    }

    /// ln P(every host's count | r).
    fn ln_counts(&self, shape: f64) -> f64 {
        let none = |share: f64| -shape * (self.n * share / shape).ln_1p();
        let known: f64 = self.share.iter().flatten().map(|share| none(*share)).sum();
        let unknown = (self.hosts - self.share.iter().flatten().count() as f64) * none(self.mean);
        let some = self
            .by_host
            .iter()
            .map(|(host, own)| self.ln_count(*host, own.len(), shape) - none(self.share(*host).0));
        known + unknown + some.sum::<f64>()
    }

    fn ln_count(&self, host: u32, count: usize, shape: f64) -> f64 {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        ln_negative_binomial(count, self.n * self.share(host).0, shape)
    }

    /// Hosts with at least two cases for which two populations could be named, those
    /// with most for them first. Most have no chance, and a bound is cheap: the count
    /// at its best, all evidence, the rarest symptoms, one core for all.
    fn promising(&self) -> Vec<(u32, &Vec<Case>)> {
        let least = self.hosts.ln() + ODDS.ln();
        let kinds = self.symptoms.len() as f64;
        let bound = |host: u32, own: &[Case]| {
            let count = own.len() as f64;
            let beside: f64 = own
                .iter()
                .map(|case| {
                    let same = self.symptoms.get(&case.symptom).copied().unwrap_or(1.0);
                    bits(case).max(0.0) + ((self.n + kinds) / same).ln() + f64::from(case.allowed.max(1)).ln()
                })
                .sum();
            count * (count / (self.n * self.share(host).0)).ln().max(0.0) + beside
        };
        let several = self.by_host.iter().filter(|(_, own)| own.len() >= 2);
        let mut all: Vec<_> = several.map(|(host, own)| (bound(*host, own), *host, own)).collect();
        all.retain(|(bound, ..)| *bound > least);
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        all.truncate(MOST_HOSTS);
        all.into_iter().map(|(_, host, own)| (host, own)).collect()
    }

    fn candidates(&self) -> Vec<Candidate> {
        self.promising().into_iter().map(|(host, own)| self.candidate(host, own)).collect()
    }

    fn candidate(&self, host: u32, own: &[Case]) -> Candidate {
        let step = own.len().div_ceil(MOST_CASES).max(1);
        let mut cases: Vec<Case> = own.iter().step_by(step).copied().collect();
        cases.sort_by_key(|case| case.symptom);
        let n = self.n - own.len() as f64 + cases.len() as f64;
        let mut groups: Vec<(f64, Vec<Case>)> = Vec::new();
        for same in cases.chunk_by(|a, b| a.symptom == b.symptom) {
            let symptom = same.first().map_or(0, |case| case.symptom);
            let left_out =
                own.iter().filter(|case| case.symptom == symptom).count() as f64 - same.len() as f64;
            let all = self.symptoms.get(&symptom).copied().unwrap_or(0.0) - left_out;
            groups.push((all, same.to_vec()));
        }
        let (share, measured) = self.share(host);
        let without = |(shape, ln): &(f64, f64)| (*shape, ln - self.ln_count(host, own.len(), *shape));
        let shapes: Vec<_> = self.shapes.iter().map(without).collect();
        let kinds = self.symptoms.len() as f64;
        let count = cases.len();
        let seen = Candidate { host, measured, share, groups, count, n, kinds, ..Candidate::default() };
        seen.weighed(&shapes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTS: u32 = 10_000;

    fn fleet(share: &[f64]) -> Fleet<'_> {
        Fleet { hosts: HOSTS, share, dispersion: 0.1 }
    }

    fn equal() -> Vec<f64> {
        vec![1.0; 10_000]
    }

    /// So many cases of a race, each on another host and core.
    fn race(cases: u32) -> Vec<Case> {
        let one = |i: u32| Case {
            host: i * 37,
            symptom: 1,
            core: u16::try_from(i * 7 % 64).ok(),
            allowed: 64,
            bits: -0.6,
        };
        (1..=cases).map(one).collect()
    }

    fn on(host: u32, core: u16, bits: f64) -> Case {
        Case { host, symptom: 1, core: Some(core), allowed: 64, bits }
    }

    #[test]
    fn three_cases_of_a_bad_machine_are_told_from_a_race_with_the_same_symptom() {
        let mut cases = race(27);
        cases.extend([on(5000, 3, 2.6), on(5000, 3, -0.6), on(5000, 3, -0.6)]);
        let split = split(&cases, &fleet(&equal())).expect("two populations");
        assert_eq!((split.host, split.core), (5000, Some(3)));
        assert!(split.sides.iter().zip(&cases).all(|(side, case)| side.apart == (case.host == 5000)));
        assert!(split.machine > 0.9 && split.ln_bayes > split.threshold, "{split:?}");
        assert!((split.parts.sum() - split.ln_bayes).abs() < 1e-9);
    }

    #[test]
    fn a_host_is_never_split_off_by_its_count_alone() {
        let mut cases = race(27);
        cases.extend([on(5000, 3, -0.6), on(5000, 9, -0.6), on(5000, 40, -0.6)]);
        assert_eq!(split(&cases, &fleet(&equal())), None);
        // Nor where it was pinned to a core.
        let pinned = Case { allowed: 1, ..on(5000, 3, -0.6) };
        cases.truncate(27);
        cases.extend([pinned; 10]);
        assert_eq!(split(&cases, &fleet(&equal())), None);
    }

    #[test]
    fn symptoms_of_its_own_split_a_host_off_but_do_not_make_it_a_bad_machine() {
        let mut cases = race(20);
        cases.extend([3, 17, 20, 31, 40, 44, 50, 60].map(|core| Case { symptom: 2, ..on(5000, core, -0.6) }));
        let split = split(&cases, &fleet(&equal())).expect("two populations");
        assert!(split.parts.symptom > 0.0 && split.machine < 0.1, "{split:?}");
        assert_eq!(split.sides.iter().filter(|side| side.apart).count(), 8);
    }

    #[test]
    fn exposure_explains_a_tenants_own_host_and_its_absence_asks_for_more() {
        let mut cases = race(20);
        cases.extend((0..10).map(|i| on(5000, i * 5, if i == 0 { 5.0 } else { 0.0 })));
        let mut share = equal();
        share[5000] = 5000.0;
        assert_eq!(split(&cases, &fleet(&share)), None);
        share[5000] = 0.0;
        assert_eq!(split(&cases, &fleet(&share)), None);
    }

    #[test]
    fn a_bug_of_ten_hosts_makes_three_cases_on_one_nothing_odd() {
        let cases: Vec<Case> = (0..30).map(|i| on(i % 10, u16::try_from(i).unwrap_or(0), 0.5)).collect();
        assert_eq!(split(&cases, &fleet(&equal())), None);
    }

    #[test]
    fn hostile_cases_end_in_an_answer_without_nan() {
        assert_eq!(split(&[], &Fleet::default()), None);
        let odd = [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e300];
        let bits = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 3.0];
        let case = |i: u32| Case {
            host: if i.is_multiple_of(3) { u32::MAX } else { i % 700 },
            symptom: i % 1000,
            core: u16::try_from(i % 70_000).ok(),
            allowed: u16::try_from(i % 5).unwrap_or(0).wrapping_sub(1),
            bits: bits[usize::try_from(i % 4).unwrap_or(0)],
        };
        let many: Vec<Case> = (0..200_000).map(case).collect();
        for dispersion in odd {
            for cases in [&many[..], &many[..2], &many[..50]] {
                if let Some(split) = split(cases, &Fleet { hosts: 0, share: &odd, dispersion }) {
                    let sides = split.sides.iter().all(|side| (0.0..=1.0).contains(&side.posterior));
                    assert!(
                        sides && split.ln_bayes.is_finite() && split.machine.is_finite(),
                        "{:?}",
                        split.parts
                    );
                    assert_eq!(split.sides.len(), cases.len());
                }
            }
        }
        // Everything from one host.
        let one = vec![on(7, 3, 9.0); 1_000_000];
        assert_eq!(
            split(&one, &Fleet { hosts: 1, share: &[1.0], dispersion: 0.0 }).map(|split| split.sides.len()),
            Some(1_000_000)
        );
    }
}
