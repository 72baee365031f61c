//! What a study says of machines.

use std::collections::{BTreeMap, BTreeSet};

use super::findings::{Erratum, Machine, More, Ruling, Verdict};
use super::gather::{Directory, KIND};
use crate::epidemiology::exposure::Background;
use crate::epidemiology::fdr;
use crate::epidemiology::math::ln_sum;
use crate::epidemiology::population::Population;
use crate::epidemiology::power::{self, Needed};
use crate::epidemiology::suspicion::{ACCUSE, EVIDENCE, GATE, LOOK, Machines, ON_CORE, Suspicion};

/// Machines that are told, at most.
const MOST: usize = 200;
/// One explanation has to be so many times better than another (ln) to rule it out.
const RULED_OUT: f64 = 3.0;
/// And at most so many times (ln).
const MOST_BETTER: f64 = 1e6;

/// Share of wild pointers that software of its own kind is granted where one asks
/// what a further crash would say against it: the middle of those that are weighed.
const WILD: f64 = 0.12;

/// Those that are worth a look.
pub(super) fn machines(
    population: &Population,
    background: &Background,
    machines: &Machines,
    directory: &Directory,
    rulings: &[Ruling],
) -> Vec<Machine> {
    let suspects = machines.hosts.iter().filter(|suspicion| suspicion.posterior > LOOK);
    suspects
        .take(MOST)
        .filter_map(|suspicion| machine(population, background, machines, suspicion, directory))
        .map(|mut machine| {
            machine.ruling = ruling(&machine.host, rulings).cloned();
            machine
        })
        .collect()
}

/// The one that decides what is thought of the host: where one confirms, P is 1 whatever
/// another refutes. Of several the one about the host as a whole, else the newest.
fn ruling<'a>(host: &str, rulings: &'a [Ruling]) -> Option<&'a Ruling> {
    let own = rulings.iter().filter(|ruling| ruling.host == host);
    own.min_by_key(|ruling| (!ruling.confirmed, ruling.signature.is_some()))
}

/// Expected share of innocents among all that are accused, also those that are not told.
/// Of `confirmed` hosts nothing is estimated.
pub(super) fn declared_fdr(machines: &Machines, confirmed: &BTreeSet<u32>) -> f64 {
    let accused: Vec<f64> = machines
        .hosts
        .iter()
        .filter(|suspicion| suspicion.posterior > ACCUSE && !confirmed.contains(&suspicion.host))
        .map(|suspicion| suspicion.posterior)
        .collect();
    fdr::declared(&accused)
}

fn machine(
    population: &Population,
    background: &Background,
    machines: &Machines,
    suspicion: &Suspicion,
    directory: &Directory,
) -> Option<Machine> {
    let host = population.host(suspicion.host)?;
    let own = background.rare.get(&suspicion.host)?;
    let mut codes: BTreeMap<&str, u32> = BTreeMap::new();
    for code in own.iter().flat_map(|episode| episode.first.shown.codes()) {
        let count = codes.entry(code).or_insert(0);
        *count = count.saturating_add(1);
    }
    let mut evidence: Vec<(String, u32)> =
        codes.into_iter().map(|(code, count)| (code.to_owned(), count)).collect();
    evidence.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let (two, three) = machines.judge.shares;
    let defects = machines.judge.defects;
    // ln of H1 over H0: from the odds, which are against all others together.
    let rest = ln_sum([
        (1.0 - defects - two - three).ln(),
        two.ln() + suspicion.spray,
        three.ln() + suspicion.other,
    ]);
    let hardware = suspicion.ln_odds + rest - defects.ln();
    // What an explanation cannot make at all is no more than this much worse.
    let better = |ln: f64| (hardware - ln).clamp(-MOST_BETTER, MOST_BETTER);
    let against = (better(0.0), better(suspicion.spray), better(suspicion.other));
    let verdict = match suspicion.posterior {
        p if p > ACCUSE => Verdict::Accuse,
        p if p > GATE => Verdict::Drain,
        _ => Verdict::Look,
    };
    let split = |core: u32| (core & 0xffff, core >> 16);
    let core = suspicion.core.filter(|(_, sure)| *sure > 0.5);
    let times = || own.iter().map(|episode| episode.first.at);
    Some(Machine {
        host: host.name.clone(),
        posterior: suspicion.posterior,
        verdict,
        core: core.map(|(core, _)| split(core)),
        core_posterior: suspicion.core.map_or(0.0, |(_, sure)| sure),
        on_core: suspicion.on_core,
        elsewhere: suspicion.elsewhere,
        signatures: suspicion.observed,
        expected: suspicion.expected,
        evidence,
        evidence_log10: suspicion.evidence,
        against,
        memory_errors: (host.corrected, host.uncorrected),
        held: suspicion.held,
        undecidable: verdict != Verdict::Accuse && against.2 < RULED_OUT,
        needed: (verdict != Verdict::Accuse)
            .then(|| needed(machines, suspicion, against, host.cores, background.dispersion))
            .flatten(),
        first: directory.moment(times().fold(f64::INFINITY, f64::min)),
        last: directory.moment(times().fold(0.0, f64::max)),
        ruling: None,
    })
}

/// Further crashes, of signatures that no other host shows, until it is accused, if it
/// computes wrongly as it seems: each rival has to be beaten, the slowest decides.
fn needed(
    machines: &Machines,
    suspicion: &Suspicion,
    against: (f64, f64, f64),
    cores: u32,
    dispersion: f64,
) -> Option<More> {
    let judge = &machines.judge;
    let (two, three) = judge.shares;
    let need = (ACCUSE / (1.0 - ACCUSE)).ln();
    let cores = f64::from(cores);
    let on_core = suspicion.core.filter(|(_, sure)| *sure > 0.5 && cores > 1.0).map(|_| {
        let on = ON_CORE + (1.0 - ON_CORE) / cores;
        [(on, (ON_CORE * cores + 1.0 - ON_CORE).ln()), (1.0 - on, (1.0 - ON_CORE).ln())]
    });
    let places = on_core.unwrap_or([(1.0, 0.0), (0.0, 0.0)]);
    let steps = |wild: f64, more: f64, places: &[(f64, f64)]| {
        let evidence = judge.likelihood.further(wild);
        let both =
            evidence.iter().flat_map(|(p, ln)| places.iter().map(move |(q, at)| (p * q, ln + at + more)));
        let mut steps: Vec<(f64, f64)> = both.filter(|(p, _)| *p > 0.0).collect();
        steps.sort_by(|a, b| b.0.total_cmp(&a.0));
        steps
    };
    // One more than an ordinary host has: its negative binomial's next count.
    let (seen, mean) = (f64::from(suspicion.observed), suspicion.expected.max(1e-9));
    let next = (seen + dispersion) / (seen + 1.0) * mean / (mean + dispersion);
    let usual = if next > 0.0 && next.is_finite() { -next.min(1.0).ln() } else { 0.0 };
    let rivals = [
        (1.0 - judge.defects - two - three, against.0, 0.0, usual),
        (two, against.1, WILD, 0.0),
        (three, against.2, WILD, 0.0),
    ];
    let mut slowest: Option<Needed> = None;
    let mut keep = |needed: Needed| {
        slowest = slowest.filter(|known| known.median >= needed.median).or(Some(needed));
    };
    for (share, ln, wild, more) in rivals {
        let have = judge.defects.ln() - share.ln() + ln;
        keep(power::until(&steps(wild, more, &places), have, need)?);
    }
    if suspicion.held {
        let ln10 = std::f64::consts::LN_10;
        let alone = steps(0.0, 0.0, &[(1.0, 0.0)]);
        keep(power::until(&alone, suspicion.evidence * ln10, EVIDENCE * ln10)?);
    }
    slowest.and_then(More::of)
}

/// Kinds of machines.
pub(super) fn errata(population: &Population, machines: &Machines) -> Vec<Erratum> {
    let name = |(attribute, value): &(usize, u32)| {
        let attribute = population.attributes.get(*attribute)?;
        let value = attribute.values.get(usize::try_from(*value).ok()?)?;
        Some((attribute.name.clone(), value.clone()))
    };
    let one = |locus: &crate::epidemiology::localise::Locus| Erratum {
        what: locus.attributes.iter().filter_map(name).collect(),
        hosts: locus.hosts.len() as u64,
        cases: locus.cases,
        expected: locus.expected,
        gain: locus.gain,
    };
    machines.errata.iter().map(one).collect()
}

/// Attributes of which a revision of a processor is made, where the population has
/// them.
pub(super) fn kind(population: &Population) -> Vec<usize> {
    let named = |name: &str| population.attributes.iter().position(|attribute| attribute.name == name);
    let found: Vec<usize> = ["cpu", "microcode"].into_iter().filter_map(named).collect();
    if found.is_empty() { KIND.to_vec() } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ruling_beside_a_machine_is_the_one_that_decides_and_not_the_newest_of_any_signature() {
        let said = |signature: Option<&str>, confirmed: bool, at: u64| Ruling {
            host: "web-1".into(),
            signature: signature.map(str::to_owned),
            confirmed,
            at,
            ..Ruling::default()
        };
        let shown = |rulings: &[Ruling]| ruling("web-1", rulings).map(|ruling| ruling.at);
        // The newest first, as a study has them.
        assert_eq!(shown(&[said(Some("ab"), false, 9), said(None, true, 5)]), Some(5));
        assert_eq!(shown(&[said(Some("ab"), true, 9), said(None, true, 5)]), Some(5));
        assert_eq!(shown(&[said(None, false, 9), said(Some("ab"), true, 5)]), Some(5));
        assert_eq!(shown(&[said(Some("ab"), false, 9), said(None, false, 5)]), Some(5));
        assert_eq!(shown(&[said(Some("ab"), false, 9), said(Some("cd"), false, 5)]), Some(9));
        assert_eq!(ruling("web-2", &[said(None, true, 5)]), None);
    }
}
