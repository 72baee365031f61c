//! Is it the machine? The posterior that a host computes wrongly, core by core.
//!
//! ```text
//! H0  as every host:          D ~ NB(μe, r)
//! H1  hardware:               D ~ NB(μe, r) + Poisson(λ), λ log-uniform; on one core
//!                             (it misses it with 1 − q), or on none (memory, uncore)
//! H2  a rogue write:          as H1, of one unit, software's evidence
//! H3  a host of its own kind  as H1, of any unit, software's evidence with a share
//!                             of wild pointers of its own (CI, fuzzing, development)
//! ```
//!
//! A crash of process i on core c weighs q·[core = c]/π + (1 − q), π one by the
//! cores that the process was allowed to use: where it was pinned nothing follows
//! from where it was. Every ratio is against H0 and all in closed form, λ summed
//! over a grid. The shares of H1, H2 and H3 are fitted over the fleet (empirical
//! Bayes); that of H1 leans on the literature's: one server in a thousand computes
//! wrongly (Hochschild et al., HotOS 2021; Dixit et al. 2021).
//!
//! The rate alone never accuses: beyond [`GATE`] a host needs a core that unpinned
//! crashes of several processes met, or evidence of the crashes themselves.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::episode::Episode;
use super::exposure::Background;
use super::likelihood::Likelihood;
use super::localise::{self, Locus};
use super::math::{ln_add, ln_negative_binomial, ln_poisson, ln_sum};
use super::population::{Population, UNKNOWN};
use super::verdict::Known;

/// P(H1) before anything was seen, and how many hosts that is worth: a fleet of
/// ten thousand has a share of its own.
pub const PRIOR: f64 = 1e-3;
const PRIOR_HOSTS: f64 = 2000.0;
/// P(H2) and P(H3) at least; the fleet's own shares may be larger.
const SPRAY: f64 = 2e-3;
const OTHER: f64 = 5e-3;
/// Share of hosts that H2 or H3 can be at most.
const LARGEST_SHARE: f64 = 0.2;
/// Share of a defect's crashes that happen on its core: threads move between the
/// wrong result and the crash.
pub const ON_CORE: f64 = 0.6;
/// Of hardware faults those of one core; the rest has no core.
const CORE: f64 = 0.7;
/// λ: signatures that a defect adds in a window.
const LEAST_RATE: f64 = 0.7;
const MOST_RATE: f64 = 30.0;
const RATES: u32 = 8;
/// A host's own kind of software: its share of wild pointers that look flipped (0
/// is the fleet's own), and how many times more often than the fleet's its crashes
/// show states that look impossible (hand-written assembly, coroutines, code that
/// writes code). How common each kind is, is learnt, from this many hosts' worth of
/// "all alike".
const WILD: [(f64, f64); 8] =
    [(0.0, 1.0), (0.03, 1.0), (0.12, 1.0), (0.25, 1.0), (0.45, 1.0), (0.0, ODD), (0.12, ODD), (0.35, ODD)];
const ODD: f64 = 10.0;
const WILD_PRIOR: f64 = 5.0;
/// Rounds in which shares and software's evidence are learnt: with fewer, a share that
/// is far from the prior has not yet been reached, and P is too small.
const ROUNDS: usize = 6;
/// Posterior that needs more than a rate.
pub const GATE: f64 = 0.9;
/// Ladder: look closer, drain and test, accuse.
pub const LOOK: f64 = 0.1;
/// See [`LOOK`].
pub const ACCUSE: f64 = 0.99;
/// log10 of evidence that accuses without a core.
pub const EVIDENCE: f64 = 3.0;
/// Share of a defect's signatures that no other host shows. What it hits is the
/// code that runs most, so that two hosts may meet.
const ALONE: f64 = 0.95;
/// Rare crashes of one host that are weighed; a host with more is of its own kind
/// anyway.
const MOST: usize = 400;

/// Cores of a host of which nothing tells how many it has, at most: what a record claims
/// is no prior to choose.
const MOST_CORES: u32 = 4096;
/// Chance that the crashes of an ordinary host meet on any one core as often. Two of
/// four do so in 64 cores once in eleven hosts; of few cores nearly always.
const MEET: f64 = 0.1;

/// What is thought of a host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Suspicion {
    /// Index of the host.
    pub host: u32,
    /// P(H1), after the gate.
    pub posterior: f64,
    /// ln odds of H1 against everything else, before the gate.
    pub ln_odds: f64,
    /// D and what was expected.
    pub observed: u32,
    /// μ e.
    pub expected: f64,
    /// The core that the crashes point at, and how sure among H1.
    pub core: Option<(u32, f64)>,
    /// Unpinned crashes on that core, of so many with a known core.
    pub on_core: (u32, u32),
    /// Share of H1 that is of no core: memory or uncore.
    pub elsewhere: f64,
    /// log10 of telling evidence.
    pub evidence: f64,
    /// ln of H2 and of H3 against H0.
    pub spray: f64,
    /// See `spray`.
    pub other: f64,
    /// The gate held it back.
    pub held: bool,
    /// ln of H3 with each kind of software.
    by_wild: [f64; WILD.len()],
}

/// What was learnt of the fleet.
#[derive(Clone, Debug)]
pub struct Judge {
    /// P(H1).
    pub defects: f64,
    /// P(H2), P(H3).
    pub shares: (f64, f64),
    /// P(kind of software | H2 or H3), as [`WILD`].
    wild: [f64; WILD.len()],
    /// Evidence.
    pub likelihood: Likelihood,
    /// Share of hosts with corrected memory errors.
    noisy: f64,
    /// Evidence of hosts of an erratum: what is usual among them.
    apart: HashMap<u32, Likelihood>,
    /// What people found out.
    known: Known,
}

/// One rare signature on a host: its first episode, and cores of its repetitions
/// in other boots.
struct Item {
    ln_hardware: f64,
    ln_wild: [f64; WILD.len()],
    unit: u32,
    /// (core, allowed) of every boot.
    places: Vec<(u32, u32)>,
    telling: f64,
    boot: u32,
    at: f64,
}

/// What a study says of the machines.
#[derive(Clone, Debug)]
pub struct Machines {
    /// Every host with a rare crash, the most suspect first.
    pub hosts: Vec<Suspicion>,
    /// Kinds of machines that show more than others.
    pub errata: Vec<Locus>,
    /// What was learnt of the fleet.
    pub judge: Judge,
}

/// Judges every host. `kind` are the attributes that a revision of a processor is
/// made of: CPU model and microcode.
pub fn suspects(population: &Population, background: &mut Background, kind: &[usize]) -> Machines {
    suspects_knowing(population, background, kind, Known::default())
}

/// The same, where some of the truth is known.
pub fn suspects_knowing(
    population: &Population,
    background: &mut Background,
    kind: &[usize],
    known: Known,
) -> Machines {
    let shown = |own: &Vec<Episode>, weight: f64| -> Vec<_> {
        firsts(own).into_iter().map(|episode| (episode.first.shown, weight)).collect()
    };
    let all = background.rare.iter().flat_map(|(host, own)| shown(own, known.usual(*host)));
    let all = all.chain(known.software.iter().map(|shown| (*shown, 1.0)));
    let noisy = population.hosts.iter().filter(|host| host.corrected > 0).count();
    let noisy = (noisy as f64 + 0.5) / (population.hosts.len() as f64 + 1.0);
    let wild = WILD.map(|_| 1.0 / WILD.len() as f64);
    let likelihood = Likelihood::fit_knowing(all, &known.hardware);
    let shares = (SPRAY, OTHER);
    let mut judge = Judge { defects: PRIOR, shares, wild, likelihood, noisy, apart: HashMap::new(), known };
    let errata = localise::errata(population, background, &judge.likelihood, kind);
    for locus in &errata {
        judge.set_apart(background, locus);
    }
    let mut suspicions = Vec::new();
    for round in 1..=ROUNDS {
        suspicions = background
            .rare
            .iter()
            .filter_map(|(host, own)| judge.weigh(population, background, *host, own))
            .map(|suspicion| judge.settle(suspicion))
            .collect::<Vec<Suspicion>>();
        if round < ROUNDS {
            let usual = judge.learn(population, background, &suspicions);
            background.fit(&usual);
        }
    }
    let known = |suspicion: &Suspicion| judge.known.confirmed.contains(&suspicion.host);
    suspicions.sort_by(|a, b| {
        known(b).cmp(&known(a)).then(b.ln_odds.total_cmp(&a.ln_odds)).then(a.host.cmp(&b.host))
    });
    Machines { hosts: suspicions, errata, judge }
}

/// The first episode of each signature.
fn firsts(own: &[Episode]) -> Vec<&Episode> {
    let mut seen = HashSet::new();
    own.iter().filter(|episode| seen.insert(episode.first.signature)).collect()
}

impl Judge {
    /// Hosts of an erratum are judged by each other.
    fn set_apart(&mut self, background: &mut Background, locus: &Locus) {
        let own = || locus.hosts.iter().filter_map(|host| background.rare.get(host));
        let firsts = own().flat_map(|own| firsts(own)).map(|episode| &episode.first);
        let shown = firsts.map(|crash| (crash.shown, self.known.usual(crash.host)));
        let likelihood = Likelihood::fit_knowing(shown.collect::<Vec<_>>(), &self.known.hardware);
        let seen: f64 = locus.hosts.iter().map(|host| f64::from(background.observed(*host))).sum();
        let all: f64 = locus.hosts.iter().map(|host| background.mean(*host)).sum();
        let scale = ((seen + 0.5) / (all + 0.5)).max(1.0);
        for host in &locus.hosts {
            background.scale.insert(*host, scale);
            self.apart.insert(*host, likelihood.clone());
        }
    }

    /// What people confirmed is not weighed any more.
    fn settle(&self, mut suspicion: Suspicion) -> Suspicion {
        if self.known.confirmed.contains(&suspicion.host) {
            (suspicion.posterior, suspicion.held) = (1.0, false);
        }
        suspicion
    }

    fn likelihood_of(&self, host: u32) -> &Likelihood {
        self.apart.get(&host).unwrap_or(&self.likelihood)
    }

    /// Shares of H2 and H3, and software's evidence, by the posteriors of now.
    fn learn(
        &mut self,
        population: &Population,
        background: &Background,
        suspicions: &[Suspicion],
    ) -> BTreeMap<u32, f64> {
        let (mut defects, mut spray, mut other) = (self.known.silent(background), 0.0, 0.0);
        let mut wild = [WILD_PRIOR / WILD.len() as f64; WILD.len()];
        let mut weights: BTreeMap<u32, f64> = BTreeMap::new();
        for suspicion in suspicions {
            let usual = (1.0 - self.defects - self.shares.0 - self.shares.1).ln();
            let two = self.shares.0.ln() + suspicion.spray;
            let three = self.shares.1.ln() + suspicion.other;
            let rest = ln_sum([usual, two, three]);
            let innocent = (1.0 - sigmoid(suspicion.ln_odds)) * self.known.usual(suspicion.host);
            defects += suspicion.posterior;
            spray += innocent * (two - rest).exp();
            other += innocent * (three - rest).exp();
            for (sum, ln) in wild.iter_mut().zip(suspicion.by_wild) {
                *sum += innocent * (three + ln - suspicion.other - rest).exp();
            }
            weights.insert(suspicion.host, innocent * (usual - rest).exp());
        }
        let all: f64 = wild.iter().sum();
        self.wild = wild.map(|sum| sum / all);
        let hosts = population.hosts.len().max(1) as f64;
        self.defects = (defects + PRIOR * PRIOR_HOSTS) / (hosts + PRIOR_HOSTS);
        self.shares =
            ((spray / hosts).clamp(SPRAY, LARGEST_SHARE), (other / hosts).clamp(OTHER, LARGEST_SHARE));
        let usual = background.rare.iter().filter(|(host, _)| !self.apart.contains_key(host));
        let crashes = usual.flat_map(|(host, own)| {
            let weight = weights.get(host).copied().unwrap_or(1.0);
            firsts(own).into_iter().map(move |episode| (episode.first.shown, weight))
        });
        let crashes = crashes.chain(self.known.software.iter().map(|shown| (*shown, 1.0)));
        self.likelihood = Likelihood::fit_knowing(crashes, &self.known.hardware);
        weights
    }

    fn items(&self, background: &Background, own: &[Episode]) -> Vec<Item> {
        let mut items: BTreeMap<u32, Item> = BTreeMap::new();
        let mut boots: HashSet<(u32, u32)> = HashSet::new();
        for episode in own {
            let crash = &episode.first;
            let is_new_boot = boots.insert((crash.signature, crash.boot));
            let place = (crash.core, crash.allowed);
            if let Some(item) = items.get_mut(&crash.signature) {
                if is_new_boot {
                    item.places.push(place);
                }
                continue;
            }
            if items.len() >= MOST {
                break;
            }
            let likelihood = self.likelihood_of(crash.host);
            items.insert(
                crash.signature,
                Item {
                    ln_hardware: likelihood.ln_hardware(crash.shown)
                        + self.alone(background, crash.signature),
                    ln_wild: WILD.map(|(share, odd)| {
                        let wild = if share > 0.0 { likelihood.ln_wild(crash.shown, share) } else { 0.0 };
                        wild + likelihood.ln_odd(crash.shown, odd)
                    }),
                    unit: crash.unit,
                    places: vec![place],
                    telling: likelihood.telling(crash.shown),
                    boot: crash.boot,
                    at: crash.at,
                },
            );
        }
        items.into_values().collect()
    }

    /// ln of what it says that no other host at all shows the signature.
    fn alone(&self, background: &Background, signature: u32) -> f64 {
        let usual = background.alone_share;
        if background.shared.contains(&signature) {
            ((1.0 - ALONE) / (1.0 - usual)).ln()
        } else {
            (ALONE / usual).ln()
        }
    }

    fn weigh(
        &self,
        population: &Population,
        background: &Background,
        host: u32,
        own: &[Episode],
    ) -> Option<Suspicion> {
        let facts = population.host(host)?;
        let mut items = self.items(background, own);
        let observed = u32::try_from(items.len()).unwrap_or(u32::MAX);
        let expected = background.mean(host);
        let usual = ln_negative_binomial(observed, expected, background.dispersion);
        let cores = distinct_cores(&items);
        let all_cores = f64::from(settle_cores(&mut items, facts.cores, cores.len()));
        let unit_shares = unit_shares(facts, background, &items);
        let step = (MOST_RATE / LEAST_RATE).ln() / f64::from(RATES.saturating_sub(1));
        // Each item's ratio under each explanation: what the rates below mix.
        let ratios =
            |ln: &dyn Fn(&Item) -> f64| -> Vec<f64> { items.iter().map(|item| ln(item).exp()).collect() };
        let on_cores: Vec<Vec<f64>> =
            cores.iter().map(|core| ratios(&|item| item.ln_hardware + item.ln_place(*core))).collect();
        let on_unseen = ratios(&|item| item.ln_hardware + item.ln_place(UNKNOWN));
        let on_none = ratios(&|item| item.ln_hardware);
        let wild = |place: usize| move |item: &Item| item.ln_wild.get(place).copied().unwrap_or(0.0);
        let of_kinds: Vec<Vec<f64>> = (0..WILD.len()).map(|place| ratios(&wild(place))).collect();
        let of_unit = |place: usize, unit: u32, portion: f64| {
            let of_kind = wild(place);
            ratios(&|item| if item.unit == unit { of_kind(item) - portion.ln() } else { f64::NEG_INFINITY })
        };
        let of_units: Vec<Vec<Vec<f64>>> = (0..WILD.len())
            .map(|place| unit_shares.iter().map(|(unit, portion)| of_unit(place, *unit, *portion)).collect())
            .collect();
        let (mut by_core, mut unseen, mut none) =
            (vec![f64::NEG_INFINITY; cores.len()], f64::NEG_INFINITY, f64::NEG_INFINITY);
        let (mut spray, mut by_wild) = (f64::NEG_INFINITY, [f64::NEG_INFINITY; WILD.len()]);
        for index in 0..RATES {
            let rate = LEAST_RATE * (step * f64::from(index)).exp();
            let more = (0..=observed).map(|k| {
                let rest = ln_negative_binomial(observed.saturating_sub(k), expected, background.dispersion);
                ln_poisson(k, rate) + rest
            });
            let count = ln_sum(more) - usual - f64::from(RATES).ln();
            let share = rate / (rate + expected);
            for (sum, core) in by_core.iter_mut().zip(&on_cores) {
                *sum = ln_add(*sum, count + ln_mixed(core, share));
            }
            unseen = ln_add(unseen, count + ln_mixed(&on_unseen, share));
            none = ln_add(none, count + ln_mixed(&on_none, share));
            let kinds = by_wild.iter_mut().zip(self.wild).zip(of_kinds.iter().zip(&of_units));
            for ((sum, each), (kind, units)) in kinds {
                *sum = ln_add(*sum, count + each.ln() + ln_mixed(kind, share));
                for unit in units {
                    let each = each.ln() - (unit_shares.len() as f64).ln();
                    spray = ln_add(spray, count + each + ln_mixed(unit, share));
                }
            }
        }
        let other = ln_sum(by_wild);
        let unseen_cores = all_cores - cores.len() as f64;
        let rest = if unseen_cores > 0.0 { unseen + unseen_cores.ln() } else { f64::NEG_INFINITY };
        let core_sum = ln_add(ln_sum(by_core.iter().copied()), rest) - all_cores.ln() + CORE.ln();
        let none = none + (1.0 - CORE).ln() + self.machine(facts.corrected, facts.uncorrected);
        let hardware = ln_add(core_sum, none);
        let (two, three) = self.shares;
        let against = ln_sum([(1.0 - self.defects - two - three).ln(), two.ln() + spray, three.ln() + other]);
        let ln_odds = self.defects.ln() + hardware - against;
        let best = cores.iter().zip(&by_core).max_by(|a, b| a.1.total_cmp(b.1));
        let best =
            best.map(|(core, ln)| (*core, (ln - all_cores.ln() + CORE.ln() - hardware).exp().min(1.0)));
        let mut suspicion = Suspicion {
            host,
            posterior: sigmoid(ln_odds),
            ln_odds,
            observed,
            expected,
            core: best,
            on_core: (0, 0),
            elsewhere: (none - hardware).exp().min(1.0),
            evidence: items.iter().map(|item| item.telling).sum(),
            spray,
            other,
            held: false,
            by_wild,
        };
        let concentrated = suspicion.count_core(&items, all_cores);
        if suspicion.posterior > GATE && !concentrated && suspicion.evidence < EVIDENCE {
            suspicion.posterior = GATE;
            suspicion.held = true;
        }
        Some(suspicion)
    }

    /// ln of what the host's memory counters say for a fault that is of no core:
    /// half of the bad modules count corrected errors; uncorrected ones are no
    /// habit of any host. Corrected errors are common, so they never say more than
    /// ten to one.
    fn machine(&self, corrected: u32, uncorrected: u32) -> f64 {
        const SHOW: f64 = 0.5;
        let corrected = if corrected > 0 { SHOW / self.noisy } else { (1.0 - SHOW) / (1.0 - self.noisy) };
        let uncorrected = if uncorrected > 0 { 1000.0_f64 } else { 1.0 };
        corrected.ln().clamp(-std::f64::consts::LN_10, std::f64::consts::LN_10) + uncorrected.ln()
    }
}

impl Item {
    /// ln of how much more often a defect of `core` would be seen where this was.
    fn ln_place(&self, core: u32) -> f64 {
        let one = |(own, allowed): &(u32, u32)| {
            if *own == UNKNOWN || *allowed == 0 {
                return 0.0;
            }
            let there = if *own == core { ON_CORE * f64::from(*allowed) } else { 0.0 };
            (there + 1.0 - ON_CORE).ln()
        };
        self.places.iter().map(one).sum()
    }
}

impl Suspicion {
    /// Counts the unpinned crashes on the best core; true when they are of two
    /// units, boots or moments and more than chance brings to any of `cores`.
    fn count_core(&mut self, items: &[Item], cores: f64) -> bool {
        let Some((core, _)) = self.core else { return false };
        let places = items.iter().flat_map(|item| item.places.iter().map(move |place| (item, place)));
        let free: Vec<(&Item, &(u32, u32))> =
            places.filter(|(_, (own, allowed))| *own != UNKNOWN && *allowed > 1).collect();
        let there: Vec<&Item> =
            free.iter().filter(|(_, (own, _))| *own == core).map(|(item, _)| *item).collect();
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        self.on_core = (count(there.len()), count(free.len()));
        let apart = there.iter().any(|item| {
            there.iter().any(|other| {
                item.unit != other.unit || item.boot != other.boot || (item.at - other.at).abs() > 1.0
            })
        });
        let repeats = items.iter().any(|item| {
            item.places.iter().filter(|(own, allowed)| *own == core && *allowed > 1).count() >= 3
        });
        let chance = || meet(free.iter().map(|(_, (_, allowed))| 1.0 / f64::from(*allowed)), there.len());
        (apart || repeats) && chance() * cores < MEET
    }
}

/// P(at least `wanted` of these happen), each with its own probability.
fn meet(chances: impl Iterator<Item = f64>, wanted: usize) -> f64 {
    // P(so many), below what is wanted; what leaves the top has met.
    let mut exactly = vec![0.0; wanted];
    let Some(none) = exactly.first_mut() else { return 1.0 };
    *none = 1.0;
    let mut met = 0.0;
    for chance in chances {
        let mut below = 0.0;
        for slot in &mut exactly {
            let up = *slot * chance;
            *slot += below - up;
            below = up;
        }
        met += below;
    }
    met
}

/// How many cores the host has: as the machine says, else what its processes might use,
/// and never fewer than were seen. Nothing may use more.
fn settle_cores(items: &mut [Item], known: u32, seen: usize) -> u32 {
    let seen = u32::try_from(seen).unwrap_or(u32::MAX).max(1);
    let most = if known > 0 { known.max(seen) } else { MOST_CORES.max(seen) };
    let mut all = known.max(seen);
    for (_, allowed) in items.iter_mut().flat_map(|item| &mut item.places) {
        *allowed = (*allowed).min(most);
        all = all.max(*allowed);
    }
    all
}

fn distinct_cores(items: &[Item]) -> Vec<u32> {
    let mut cores: Vec<u32> = items.iter().flat_map(|item| item.places.iter().map(|place| place.0)).collect();
    cores.retain(|core| *core != UNKNOWN);
    cores.sort_unstable();
    cores.dedup();
    cores
}

/// Units of the host's rare crashes, with the share of its expectation that is
/// theirs.
fn unit_shares(facts: &super::population::Host, background: &Background, items: &[Item]) -> Vec<(u32, f64)> {
    let mut shares: BTreeMap<u32, f64> = items.iter().map(|item| (item.unit, 0.0)).collect();
    let rate = |unit: u32| {
        usize::try_from(unit).ok().and_then(|unit| background.rates.get(unit)).copied().unwrap_or(0.0)
    };
    let mut all = 0.0;
    for run in &facts.runs {
        let expected = run.hours.max(0.0) * rate(run.unit);
        all += expected;
        if let Some(share) = shares.get_mut(&run.unit) {
            *share += expected;
        }
    }
    let count = shares.len().max(1) as f64;
    let portion = |share: f64| if all > 0.0 { share / all } else { 1.0 / count };
    shares.into_iter().map(|(unit, share)| (unit, portion(share).clamp(0.02, 1.0))).collect()
}

/// ln Π (share · ratio + 1 − share).
fn ln_mixed(ratios: &[f64], share: f64) -> f64 {
    const LARGE: f64 = 1e150;
    let (mut ln, mut product) = (0.0, 1.0f64);
    for ratio in ratios {
        product *= share * ratio.min(LARGE) + (1.0 - share);
        if !(1.0 / LARGE..LARGE).contains(&product) {
            ln += product.ln();
            product = 1.0;
        }
    }
    ln + product.ln()
}

fn sigmoid(ln_odds: f64) -> f64 {
    if ln_odds.is_nan() { 0.0 } else { 1.0 / (1.0 + (-ln_odds).exp()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A crash of its own unit and boot on each of these cores.
    fn items(cores: &[u32], allowed: u32) -> Vec<Item> {
        let one = |(number, core): (u32, &u32)| Item {
            ln_hardware: 0.0,
            ln_wild: [0.0; WILD.len()],
            unit: number,
            places: vec![(*core, allowed)],
            telling: 0.0,
            boot: number,
            at: f64::from(number),
        };
        (0u32..).zip(cores).map(one).collect()
    }

    fn concentrated(cores: &[u32], of: u32) -> bool {
        let mut suspicion = Suspicion { core: Some((1, 1.0)), ..Suspicion::default() };
        suspicion.count_core(&items(cores, of), f64::from(of))
    }

    #[test]
    fn crashes_that_chance_brings_to_one_core_are_no_core() {
        assert!(!concentrated(&[1, 1], 2) && !concentrated(&[1, 1], 4) && !concentrated(&[1, 1, 1, 0], 4));
        assert!(concentrated(&[1; 8], 2) && concentrated(&[1; 5], 4) && concentrated(&[1, 1, 1, 9], 64));
    }

    #[test]
    fn the_chance_that_crashes_meet_is_the_binomial_tail() {
        // R: pbinom(2, 5, 0.25, lower.tail = FALSE).
        assert!((meet([0.25; 5].into_iter(), 3) - 0.103_515_625).abs() < 1e-12);
        // Two coins that differ: both, or any.
        assert!((meet([0.5, 0.1].into_iter(), 2) - 0.05).abs() < 1e-12);
        assert!((meet([0.5, 0.1].into_iter(), 1) - 0.55).abs() < 1e-12);
        assert!(meet([0.5].into_iter(), 0) >= 1.0 && meet([0.5].into_iter(), 2) <= 0.0);
    }

    #[test]
    fn a_host_has_the_cores_that_its_processes_might_use_where_it_does_not_say() {
        assert_eq!(settle_cores(&mut items(&[1, 1], 64), 0, 1), 64);
        let mut claimed = items(&[1, 2], u32::MAX);
        assert_eq!(settle_cores(&mut claimed, 8, 2), 8);
        assert_eq!(claimed[0].places, [(1, 8)]);
        assert_eq!(settle_cores(&mut items(&[1], u32::MAX), 0, 1), MOST_CORES);
        assert_eq!(settle_cores(&mut items(&[1, 2, 3], 0), 2, 3), 3);
    }
}
