//! One host of a split: which of its cases are hardware's, summed over all subsets.
//!
//! ```text
//! P(H1)/P(H0) = Σ core P(core) Σ subsets A of the host's cases, m = |A| ≥ 2
//!               P(m) / C(n, m) · P(count | m)/P(count | 0)
//!               · Π A evidence · place on core · symptoms(A, rest)/symptoms(all)
//! ```
//!
//! Subsets are summed as the coefficients of Π (1 + weight x), one product for each
//! symptom (Dirichlet-multinomials only ask how many of each), then multiplied:
//! k² steps for k cases instead of 2ᵏ. The posterior of a case is the same sum
//! over the subsets that have it.

use std::collections::BTreeMap;

use super::math::{ln_add, ln_beta, ln_choose, ln_gamma, ln_sum};
use super::split::{Case, Parts, Side};

/// Share of a core's wrong results that crash on that core.
const ON_CORE: f64 = 0.6;
/// Of hardware's faults those of one core; the rest has none (memory, uncore).
const CORE: f64 = 0.7;
/// Hardware's symptoms are its own, or, more often, those of the software it disturbs.
const OWN_SYMPTOMS: f64 = 0.25;
/// Dirichlet's α for each symptom that the signature shows (Jeffreys).
const ALPHA: f64 = 0.5;
/// ln of a case's ratio is believed up to here.
const MOST_BITS: f64 = 20.0;
/// Cores that are each tried in a host with more cases than [`FEW_CASES`]; the others
/// are taken together as "another core".
const MOST_CORES: usize = 8;
const FEW_CASES: usize = 24;
/// Euler's γ.
const EULER: f64 = 0.577_215_664_9;

/// What a case's evidence says, bounded.
pub(super) fn bits(case: &Case) -> f64 {
    if case.bits.is_nan() { 0.0 } else { case.bits.clamp(-MOST_BITS, MOST_BITS) }
}

/// Which core, as a hypothesis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Core {
    None,
    Other,
    This(u16),
}

/// A host with two or more cases.
#[derive(Default)]
pub(super) struct Candidate {
    pub(super) host: u32,
    pub(super) measured: bool,
    /// Of exposure.
    pub(super) share: f64,
    /// By symptom: how many cases the signature has, and those of this host.
    pub(super) groups: Vec<(f64, Vec<Case>)>,
    /// Cases of this host, and of the signature.
    pub(super) count: usize,
    pub(super) n: f64,
    /// Symptoms that the signature shows.
    pub(super) kinds: f64,
    /// ln of prior and count's ratio, for each m.
    pub(super) sizes: Vec<f64>,
    /// Hypotheses about the core, with ln of their prior.
    pub(super) cores: Vec<(Core, f64)>,
}

/// What is weighed of a case.
#[derive(Clone, Copy, Default)]
struct Weighed {
    symptom: bool,
    evidence: bool,
    core: bool,
}

impl Candidate {
    /// With what does not depend on the cases' weights. `shapes`: r, and ln of its prior
    /// and of the other hosts' counts.
    pub(super) fn weighed(mut self, shapes: &[(f64, f64)]) -> Candidate {
        self.sizes = self.ln_sizes(shapes);
        self.cores = self.cores();
        self
    }

    /// ln P(m) / C(n, m) · P(count | m) / P(count | 0).
    fn ln_sizes(&self, shapes: &[(f64, f64)]) -> Vec<f64> {
        let (n, k) = (self.n, self.count as f64);
        let harmonic: f64 = EULER + n.ln() + 0.5 / n - 1.0;
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
        ranked.sort_by_key(|(_, cases)| std::cmp::Reverse(*cases));
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

    /// ln H1/H0, by what is added to the count.
    pub(super) fn parts(&self) -> Parts {
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

    /// The core, if likelier than all else.
    pub(super) fn core(&self) -> Option<u16> {
        let every = Weighed { symptom: true, evidence: true, core: true };
        let weights = self.cores.iter().map(|(core, prior)| (*core, prior + self.ln_one(every, *core, None)));
        let weights: Vec<(Core, f64)> = weights.collect();
        let all = ln_sum(weights.iter().map(|(_, ln)| *ln));
        weights.iter().find_map(|(core, ln)| match core {
            Core::This(core) if (ln - all).exp() > 0.5 => Some(*core),
            _ => None,
        })
    }

    /// Of the signature's cases, those of this host's own population.
    pub(super) fn sides(&self, cases: &[Case], core: Option<u16>) -> Vec<Side> {
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
