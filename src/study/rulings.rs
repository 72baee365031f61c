//! What people said of hosts: from names to numbers, and back to words.

use std::collections::{BTreeMap, HashSet};

use super::findings::{Bug, Ruling};
use super::gather::Directory;
use crate::epidemiology::exposure::Background;
use crate::epidemiology::population::Population;
use crate::epidemiology::signature::Merged;
use crate::epidemiology::verdict::Verdict;

const HOUR_NS: f64 = 3.6e12;

/// A verdict as it was written down.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// Host name.
    pub host: String,
    /// Location key; none: the host as a whole.
    pub signature: Option<u64>,
    /// It was hardware; else it was not.
    pub confirmed: bool,
    /// When, nanoseconds since the epoch.
    pub at: u64,
    /// Who said it.
    pub who: String,
    /// How that is known.
    pub note: Option<String>,
}

/// Verdicts on this population, the newest last, each with what was told.
pub(super) fn understood<'a>(
    told: &'a [Told],
    population: &Population,
    directory: &Directory,
    merged: &Merged,
) -> Vec<(Verdict, &'a Told)> {
    let wanted: HashSet<&str> = told.iter().map(|told| told.host.as_str()).collect();
    let hosts: BTreeMap<&str, u32> = population
        .hosts
        .iter()
        .zip(0u32..)
        .filter(|(host, _)| wanted.contains(host.name.as_str()))
        .map(|(host, index)| (host.name.as_str(), index))
        .collect();
    let wanted: HashSet<String> =
        told.iter().filter_map(|told| told.signature).map(|key| format!("{key:016x}")).collect();
    let signatures: BTreeMap<&str, u32> = directory
        .signatures
        .iter()
        .zip(0u32..)
        .filter(|(signature, _)| wanted.contains(*signature))
        .map(|(signature, number)| (signature.as_str(), number))
        .collect();
    let signature = |key: u64| {
        let number = signatures.get(format!("{key:016x}").as_str())?;
        // What is said of one form of a bug is said of the bug.
        Some(merged.name(*number))
    };
    let mut understood: Vec<(Verdict, &Told)> = told
        .iter()
        .filter_map(|told| {
            let host = *hosts.get(told.host.as_str())?;
            // A signature that nobody shows in this window decides nothing.
            let signature = match told.signature {
                Some(key) => Some(signature(key)?),
                None => None,
            };
            let at = (told.at as f64 - directory.since as f64) / HOUR_NS;
            Some((Verdict { host, signature, confirmed: told.confirmed, at }, told))
        })
        .collect();
    understood.sort_by_key(|(_, told)| told.at);
    understood
}

/// Those that decide some crash of the window, the newest first.
pub(super) fn rulings(
    understood: &[(Verdict, &Told)],
    crashes: &[u32],
    background: &Background,
) -> Vec<Ruling> {
    let mut rulings: Vec<Ruling> = understood
        .iter()
        .zip(crashes)
        .filter(|(_, crashes)| **crashes > 0)
        .map(|((verdict, told), crashes)| Ruling {
            host: told.host.clone(),
            signature: told.signature.map(|key| format!("{key:016x}")),
            confirmed: told.confirmed,
            at: told.at,
            who: told.who.clone(),
            note: told.note.clone(),
            crashes: *crashes,
            since: since(verdict, background),
        })
        .collect();
    rulings.reverse();
    rulings
}

/// A signature of two stories, one of which people know.
pub(super) fn settle(bugs: &mut [Bug], rulings: &[Ruling]) {
    for bug in bugs {
        let Some(apart) = &mut bug.split else { continue };
        let forms = || bug.variants.iter().map(|variant| &variant.signature).chain([&bug.signature]);
        let is_meant = |ruling: &&Ruling| {
            ruling.host == apart.host
                && ruling.signature.as_ref().is_some_and(|own| forms().any(|key| key == own))
        };
        let Some(ruling) = rulings.iter().find(is_meant) else { continue };
        // Crashes that came later are not known.
        if ruling.at >= bug.last {
            apart.machine = if ruling.confirmed { 1.0 } else { 0.0 };
        }
        apart.ruling = Some(ruling.clone());
    }
}

/// Rare signatures that the host has shown after the verdict.
fn since(verdict: &Verdict, background: &Background) -> u32 {
    let own = background.rare.get(&verdict.host).into_iter().flatten();
    let later = own.filter(|episode| episode.last > verdict.at).map(|episode| episode.first.signature);
    u32::try_from(later.collect::<HashSet<u32>>().len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::Apart;

    #[test]
    fn a_second_story_that_people_know_is_what_they_say_until_it_goes_on() {
        let split = Apart { host: "web-1".into(), machine: 0.99, ..Apart::default() };
        let bug = Bug { signature: "ab".into(), last: 50, split: Some(split), ..Bug::default() };
        let ruling =
            Ruling { host: "web-1".into(), signature: Some("ab".into()), at: 60, ..Ruling::default() };
        let machine = |ruling: Ruling| {
            let mut bugs = [bug.clone()];
            settle(&mut bugs, &[ruling]);
            bugs[0].split.clone().map(|apart| (apart.machine, apart.ruling.is_some()))
        };
        assert_eq!(machine(ruling.clone()), Some((0.0, true)));
        assert_eq!(machine(Ruling { confirmed: true, ..ruling.clone() }), Some((1.0, true)));
        assert_eq!(machine(Ruling { at: 40, ..ruling.clone() }), Some((0.99, true)));
        assert_eq!(machine(Ruling { signature: None, ..ruling.clone() }), Some((0.99, false)));
        assert_eq!(machine(Ruling { host: "web-2".into(), ..ruling }), Some((0.99, false)));
    }
}
