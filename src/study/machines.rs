//! What a study says of machines.

use std::collections::BTreeMap;

use super::findings::{Erratum, Machine, Ruling, Verdict};
use super::gather::{Directory, KIND};
use crate::epidemiology::exposure::Background;
use crate::epidemiology::population::Population;
use crate::epidemiology::suspicion::{ACCUSE, GATE, LOOK, Machines, Suspicion};

/// Machines that are told, at most.
const MOST: usize = 200;
/// One explanation has to be so many times better than another (ln) to rule it out.
const RULED_OUT: f64 = 3.0;

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
            machine.ruling = rulings.iter().find(|ruling| ruling.host == machine.host).cloned();
            machine
        })
        .collect()
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
    let rest =
        ((1.0 - defects - two - three) + two * suspicion.spray.exp() + three * suspicion.other.exp()).ln();
    let hardware = suspicion.ln_odds + rest - defects.ln();
    let against = (hardware, hardware - suspicion.spray, hardware - suspicion.other);
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
        first: directory.moment(times().fold(f64::INFINITY, f64::min)),
        last: directory.moment(times().fold(0.0, f64::max)),
        ruling: None,
    })
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
