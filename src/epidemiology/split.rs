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
//! Two populations need ln H1/H0 > ln hosts + ln symptoms + ln 1000 (symptoms
//! where they differ), and never by the
//! host alone: its symptoms, cores and evidence together must speak for it
//! ([`Parts::beside_count`]), more so when several hosts have two cases, and by a
//! hundred to one where nobody measured how long it ran. r is the caller's, and one
//! time in a hundred whatever the other hosts' counts say: a bug confined to ten hosts
//! makes three cases on each of them nothing odd. Remove what was found, and ask again.

use std::collections::BTreeMap;

use super::math::{ln_add, ln_beta, ln_choose, ln_gamma, ln_negative_binomial, ln_sum};

/// Share of a core's wrong results that crash on that core.
const ON_CORE: f64 = 0.6;
/// Of hardware's faults those of one core; the rest has none (memory, uncore).
const CORE: f64 = 0.7;
/// Hardware's symptoms are its own, or, more often, those of the software it disturbs.
const OWN_SYMPTOMS: f64 = 0.25;
/// Dirichlet's α for each symptom that the signature shows (Jeffreys).
const ALPHA: f64 = 0.5;
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
/// ln of a case's ratio is believed up to here.
const MOST_BITS: f64 = 20.0;
/// Cases of one host whose subsets are summed; of more, so many evenly spaced, which
/// only weakens the host's count.
const MOST_CASES: usize = 64;
/// Hosts that are tried, those with most for them first.
const MOST_HOSTS: usize = 256;
/// Cores that are each tried in a host with more cases than [`FEW_CASES`]; the others
/// are taken together as "another core".
const MOST_CORES: usize = 8;
const FEW_CASES: usize = 24;

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
    /// Of the host's own population.
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
    // Where like symptoms carry nothing, none was searched for.
    let searched = if parts.symptom > 0.0 { table.symptoms.len() as f64 } else { 1.0 };
    let threshold = table.hosts.ln() + searched.ln() + ODDS.ln();
    let measured = if best.measured { 0.0 } else { ODDS_UNMEASURED.ln() };
    let gate = (tried.len() as f64).ln() + measured;
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
        if !by_host.values().any(|own| own.len() >= 2) {
            return None;
        }
        let hosts = (fleet.share.len().max(by_host.len()) as f64).max(f64::from(fleet.hosts));
        let valid = |share: &f64| (*share > 0.0 && share.is_finite()).then(|| share.min(1e200));
        let known: Vec<f64> = fleet.share.iter().filter_map(valid).collect();
        let sum: f64 = known.iter().sum();
        let total = if known.is_empty() { hosts } else { sum * hosts / known.len() as f64 };
        let share = fleet.share.iter().map(|share| valid(share).map(|share| share / total)).collect();
        let n = cases.len() as f64;
        let mut table = Table { by_host, symptoms, n, hosts, mean: 1.0 / hosts, share, shapes: Vec::new() };
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

    /// Hosts with at least two cases.
    fn candidates(&self) -> Vec<Candidate> {
        let several = self.by_host.iter().filter(|(_, own)| own.len() >= 2);
        let promise = |host: u32, own: &[Case]| {
            let count = own.len() as f64;
            let bits: f64 = own.iter().map(|case| bits(case).max(0.0)).sum();
            count * (count / (self.n * self.share(host).0)).ln().max(0.0) + bits
        };
        let mut all: Vec<_> = several.map(|(host, own)| (promise(*host, own), *host, own)).collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        all.truncate(MOST_HOSTS);
        all.into_iter().map(|(_, host, own)| self.candidate(host, own)).collect()
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
        let mut candidate = Candidate {
            host,
            measured,
            share,
            groups,
            count,
            n,
            kinds,
            sizes: Vec::new(),
            cores: Vec::new(),
        };
        candidate.sizes = candidate.ln_sizes(&shapes);
        candidate.cores = candidate.cores();
        candidate
    }
}

fn bits(case: &Case) -> f64 {
    if case.bits.is_nan() { 0.0 } else { case.bits.clamp(-MOST_BITS, MOST_BITS) }
}

/// Which core, as a hypothesis.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Core {
    None,
    Other,
    This(u16),
}

/// A host with two or more cases.
struct Candidate {
    host: u32,
    measured: bool,
    share: f64,
    /// By symptom: how many the signature has, and those of this host.
    groups: Vec<(f64, Vec<Case>)>,
    count: usize,
    n: f64,
    /// Symptoms that the signature shows.
    kinds: f64,
    /// ln of prior and count's ratio, for each m.
    sizes: Vec<f64>,
    cores: Vec<(Core, f64)>,
}

/// What is weighed of a case.
#[derive(Clone, Copy, Default)]
struct Weighed {
    symptom: bool,
    evidence: bool,
    core: bool,
}

impl Candidate {
    /// ln P(m) / C(n, m) · P(count | m) / P(count | 0).
    fn ln_sizes(&self, shapes: &[(f64, f64)]) -> Vec<f64> {
        let (n, k) = (self.n, self.count as f64);
        let harmonic: f64 = 0.577_215_664_9 + n.ln() + 0.5 / n - 1.0;
        let counted = |m: f64| {
            ln_sum(shapes.iter().map(|(shape, ln)| {
                let (a, b) = (*shape, shape * (1.0 - self.share) / self.share);
                ln + ln_beta(a + k - m, b + n - k) - ln_beta(a, b)
            }))
        };
        let without = counted(0.0);
        let sizes = (0..=self.count).map(|m| m as f64).map(|m| {
            if m < 2.0 {
                return f64::NEG_INFINITY;
            }
            counted(m) - without - m.ln() - harmonic.max(0.5).ln() - ln_choose(n, m)
        });
        sizes.collect()
    }

    fn cases(&self) -> impl Iterator<Item = &Case> {
        self.groups.iter().flat_map(|(_, own)| own)
    }

    /// Hypotheses about the core, with ln of their prior.
    fn cores(&self) -> Vec<(Core, f64)> {
        let mut seen: BTreeMap<u16, usize> = BTreeMap::new();
        let mut all = 0;
        for case in self.cases().filter(|case| case.allowed > 1) {
            if let Some(core) = case.core {
                seen.entry(core).and_modify(|n| *n = n.saturating_add(1)).or_insert(1);
                all = all.max(usize::from(case.allowed));
            }
        }
        if seen.is_empty() {
            return vec![(Core::None, 0.0)];
        }
        let all = all.max(seen.len()) as f64;
        let mut ranked: Vec<(u16, usize)> = seen.into_iter().collect();
        ranked.sort_by(|a, b| b.1.cmp(&a.1));
        if self.count > FEW_CASES {
            ranked.truncate(MOST_CORES);
        }
        let others = (CORE * (all - ranked.len() as f64) / all).ln();
        let these = ranked.into_iter().map(|(core, _)| (Core::This(core), (CORE / all).ln()));
        these.chain([(Core::None, (1.0 - CORE).ln()), (Core::Other, others)]).collect()
    }

    /// ln H1/H0, of one hypothesis about the core. With `forced`, only subsets that
    /// have this case.
    fn ln_one(&self, weighed: Weighed, core: Core, forced: Option<usize>) -> f64 {
        let mut at = 0_usize;
        let mut own = vec![0.0];
        let mut like = vec![0.0];
        for (all, cases) in &self.groups {
            let mut subsets = vec![0.0];
            for case in cases {
                let evidence = if weighed.evidence { bits(case) } else { 0.0 };
                let weight = evidence + if weighed.core { ln_core(case, core) } else { 0.0 };
                subsets = with_case(&subsets, weight, forced == Some(at));
                at = at.saturating_add(1);
            }
            like = product(&like, &subsets);
            if weighed.symptom {
                let whole = ln_gamma(ALPHA) + ln_gamma(all + ALPHA);
                for (size, ln) in subsets.iter_mut().enumerate() {
                    let size = size as f64;
                    *ln += ln_gamma(size + ALPHA) + ln_gamma(all - size + ALPHA) - whole;
                }
                own = product(&own, &subsets);
            }
        }
        let like = ln_sum(like.iter().zip(&self.sizes).map(|(subsets, size)| subsets + size));
        if !weighed.symptom {
            return like;
        }
        let alpha = ALPHA * self.kinds;
        let own = own.iter().zip(&self.sizes).enumerate().map(|(m, (subsets, size))| {
            let m = m as f64;
            let split = ln_gamma(alpha) - ln_gamma(m + alpha) - ln_gamma(self.n - m + alpha);
            subsets + size + split + ln_gamma(self.n + alpha)
        });
        ln_add(OWN_SYMPTOMS.ln() + ln_sum(own), (1.0 - OWN_SYMPTOMS).ln() + like)
    }

    fn ln_all(&self, weighed: Weighed, forced: Option<usize>) -> f64 {
        if !weighed.core {
            return self.ln_one(weighed, Core::None, forced);
        }
        ln_sum(self.cores.iter().map(|(core, prior)| prior + self.ln_one(weighed, *core, forced)))
    }

    fn parts(&self) -> Parts {
        let mut weighed = Weighed::default();
        let count = self.ln_all(weighed, None);
        weighed.symptom = true;
        let symptom = self.ln_all(weighed, None);
        weighed.evidence = true;
        let evidence = self.ln_all(weighed, None);
        weighed.core = true;
        let core = self.ln_all(weighed, None);
        Parts { count, symptom: symptom - count, evidence: evidence - symptom, core: core - evidence }
    }

    fn core(&self) -> Option<u16> {
        let every = Weighed { symptom: true, evidence: true, core: true };
        let weights = self.cores.iter().map(|(core, prior)| (*core, prior + self.ln_one(every, *core, None)));
        let weights: Vec<(Core, f64)> = weights.collect();
        let all = ln_sum(weights.iter().map(|(_, ln)| *ln));
        weights.iter().find_map(|(core, ln)| match core {
            Core::This(core) if (ln - all).exp() > 0.5 => Some(*core),
            _ => None,
        })
    }

    fn sides(&self, cases: &[Case], core: Option<u16>) -> Vec<Side> {
        let every = Weighed { symptom: true, evidence: true, core: true };
        let all = self.ln_all(every, None);
        let sure = |at: usize| (self.ln_all(every, Some(at)) - all).exp().clamp(0.0, 1.0);
        let known: Vec<(Case, f64)> = self.cases().copied().zip((0..self.count).map(sure)).collect();
        let left_out = |case: &Case| self.predict(case, core, &known);
        let side = |case: &Case| {
            if case.host != self.host {
                return Side::default();
            }
            // Like cases have like posteriors.
            let like = known.iter().find(|(other, _)| other == case);
            let posterior = like.map_or_else(|| left_out(case), |(_, posterior)| *posterior);
            Side { apart: posterior > 0.5, posterior }
        };
        cases.iter().map(side).collect()
    }

    /// A case of the host that was left out, by what is known of the others.
    fn predict(&self, case: &Case, core: Option<u16>, known: &[(Case, f64)]) -> f64 {
        let m: f64 = known.iter().map(|(_, posterior)| posterior).sum();
        let same = known.iter().filter(|(other, _)| other.symptom == case.symptom);
        let own: f64 = same.map(|(_, posterior)| posterior).sum();
        let all = self.groups.iter().find(|(_, own)| own.iter().any(|own| own.symptom == case.symptom));
        let theirs = (all.map_or(0.0, |(all, _)| *all) - own).max(0.0);
        let (alpha, rest) = (ALPHA * self.kinds, (self.n - m).max(0.0));
        let hardware = m * (own + ALPHA) / (m + alpha);
        let here = (self.share + (self.count as f64 - m) / self.n).min(1.0);
        let software = rest * here * (theirs + ALPHA) / (rest + alpha);
        let ln = bits(case) + core.map_or(0.0, |core| ln_core(case, Core::This(core)));
        let odds = ln + hardware.max(1e-12).ln() - software.max(1e-12).ln();
        1.0 / (1.0 + (-odds).exp())
    }
}

/// ln P(core | hardware) / P(core | software): a pinned case says nothing.
fn ln_core(case: &Case, core: Core) -> f64 {
    match (core, case.core) {
        (Core::None, _) | (_, None) => 0.0,
        _ if case.allowed <= 1 => 0.0,
        (Core::This(this), Some(core)) if this == core => {
            (ON_CORE * f64::from(case.allowed) + 1.0 - ON_CORE).ln()
        }
        _ => (1.0 - ON_CORE).ln(),
    }
}

/// ln of the elementary symmetric polynomials with one more variable.
fn with_case(subsets: &[f64], weight: f64, forced: bool) -> Vec<f64> {
    let none = std::iter::once(f64::NEG_INFINITY);
    let with = none.clone().chain(subsets.iter().map(|ln| ln + weight));
    if forced {
        return with.collect();
    }
    subsets.iter().copied().chain(none).zip(with).map(|(without, with)| ln_add(without, with)).collect()
}

/// ln of the product of two polynomials.
fn product(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut all = vec![f64::NEG_INFINITY; a.len().saturating_add(b.len()).saturating_sub(1)];
    for (at, a) in a.iter().enumerate() {
        for (slot, b) in all.iter_mut().skip(at).zip(b) {
            *slot = ln_add(*slot, a + b);
        }
    }
    all
}
