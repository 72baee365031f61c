//! What people said of hosts: from names to numbers, and back to words.

use std::collections::{BTreeMap, HashSet};

use super::findings::Ruling;
use super::gather::Directory;
use crate::epidemiology::exposure::Background;
use crate::epidemiology::population::Population;
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
) -> Vec<(Verdict, &'a Told)> {
    let wanted: HashSet<&str> = told.iter().map(|told| told.host.as_str()).collect();
    let hosts: BTreeMap<&str, u32> = population
        .hosts
        .iter()
        .zip(0u32..)
        .filter(|(host, _)| wanted.contains(host.name.as_str()))
        .map(|(host, index)| (host.name.as_str(), index))
        .collect();
    let signature = |key: u64| {
        let name = format!("{key:016x}");
        let place = directory.signatures.iter().position(|known| *known == name)?;
        u32::try_from(place).ok()
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

/// Rare signatures that the host has shown after the verdict.
fn since(verdict: &Verdict, background: &Background) -> u32 {
    let own = background.rare.get(&verdict.host).into_iter().flatten();
    let later = own.filter(|episode| episode.last > verdict.at).map(|episode| episode.first.signature);
    u32::try_from(later.collect::<HashSet<u32>>().len()).unwrap_or(u32::MAX)
}
