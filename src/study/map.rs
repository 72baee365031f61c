//! Hosts by signatures, for the eye: a bug is a column, a bad host is a row.

use std::collections::{BTreeMap, HashMap};

use super::findings::{Bug, Machine, Map};
use super::gather::Directory;
use super::names::named;
use crate::epidemiology::episode::Episode;
use crate::epidemiology::population::Population;

/// Rows: the suspects first, then whoever crashes most.
const HOSTS: usize = 14;
/// Of these suspects, at most.
const SUSPECTS: usize = 10;
/// Columns that are bugs (a letter each), and columns of what hardly anybody else shows.
const BUGS: usize = 26;
const OTHERS: usize = 30;
/// Of one suspect, at most.
const EACH: usize = 6;

pub(super) fn map(
    population: &Population,
    episodes: &[Episode],
    directory: &Directory,
    (machines, bugs): (&[Machine], &[Bug]),
) -> Map {
    let mut by_host: HashMap<u32, BTreeMap<u32, u32>> = HashMap::new();
    let mut weight: Vec<(u32, u32)> = (0u32..).zip(&population.hosts).map(|(index, _)| (0, index)).collect();
    for episode in episodes {
        if let Some((count, _)) = usize::try_from(episode.first.host).ok().and_then(|at| weight.get_mut(at)) {
            *count = count.saturating_add(1);
        }
    }
    let host_numbers: HashMap<&str, u32> =
        (0u32..).zip(&population.hosts).map(|(index, host)| (host.name.as_str(), index)).collect();
    let mut rows: Vec<u32> = Vec::new();
    rows.extend(machines.iter().take(SUSPECTS).filter_map(|machine| host_numbers.get(machine.host.as_str())));
    let suspects = rows.len();
    weight.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    for (_, host) in weight.into_iter().filter(|(count, _)| *count > 0) {
        if rows.len() >= HOSTS {
            break;
        }
        if !rows.contains(&host) {
            rows.push(host);
        }
    }
    for episode in episodes.iter().filter(|episode| rows.contains(&episode.first.host)) {
        let own = by_host.entry(episode.first.host).or_default();
        let count = own.entry(episode.first.signature).or_insert(0);
        *count = count.saturating_add(1);
    }
    let numbers: HashMap<&str, u32> = directory.signatures.iter().map(String::as_str).zip(0u32..).collect();
    let mut columns: Vec<u32> =
        bugs.iter().take(BUGS).filter_map(|bug| numbers.get(bug.signature.as_str()).copied()).collect();
    let bugs = columns.len();
    // Then what the suspects show and no bug is.
    for host in rows.iter().take(suspects) {
        let own = by_host.get(host).into_iter().flat_map(BTreeMap::keys);
        let new: Vec<u32> = own.copied().filter(|signature| !columns.contains(signature)).collect();
        let left = bugs.saturating_add(OTHERS).saturating_sub(columns.len());
        columns.extend(new.into_iter().take(left.min(EACH)));
    }
    let others = rows.iter().map(|host| {
        let own = by_host.get(host).into_iter().flatten();
        let rest = own.filter(|(signature, _)| !columns.contains(signature));
        rest.fold(0u32, |sum, (_, count)| sum.saturating_add(*count))
    });
    let others = others.collect();
    let cells = rows.iter().map(|host| {
        let own = by_host.get(host);
        let count = |signature: &u32| own.and_then(|own| own.get(signature)).copied().unwrap_or(0);
        columns.iter().map(count).collect()
    });
    Map {
        cells: cells.collect(),
        hosts: rows
            .iter()
            .map(|host| population.host(*host).map_or(String::new(), |host| host.name.clone()))
            .collect(),
        signatures: columns
            .iter()
            .map(|signature| named(&directory.signatures, *signature).unwrap_or_default().to_owned())
            .collect(),
        bugs,
        others,
    }
}
