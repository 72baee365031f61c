//! The same records give the same study in whatever order they are read.
//!
//! Numbers are given to names as they are met, so a spool, a file and a collector
//! would number one fleet in three ways; sums, ties and shuffles would then differ
//! in what nobody asked for. Here everything gets the order of its name, and a
//! crash that of its time.

use std::cmp::Ordering;

use super::gather::Directory;
use crate::epidemiology::population::{Control, Crash, Population, UNKNOWN};

/// Renumbers; `fixed` attributes stay in front, labels go by their names. The old
/// numbers of signatures, in their new order.
pub(super) fn canonical(population: &mut Population, directory: &mut Directory, fixed: usize) -> Vec<u32> {
    attributes(population, fixed);
    let units = sort(&mut population.units);
    let builds = sort(&mut directory.builds);
    let signatures = sort(&mut directory.signatures);
    for host in &mut population.hosts {
        for run in &mut host.runs {
            (run.unit, run.build) = (to(&units, run.unit), to(&builds, run.build));
        }
        host.runs.sort_by_key(|run| (run.unit, run.build));
    }
    let mut names: Vec<(usize, String)> =
        population.hosts.iter_mut().map(|host| std::mem::take(&mut host.name)).enumerate().collect();
    names.sort_by(|a, b| a.1.cmp(&b.1));
    let hosts = ranks(names.iter().map(|(old, _)| *old));
    let mut old = std::mem::take(&mut population.hosts);
    for (place, name) in names {
        let mut host = old.get_mut(place).map(std::mem::take).unwrap_or_default();
        host.name = name;
        population.hosts.push(host);
    }
    for crash in &mut population.crashes {
        crash.host = to(&hosts, crash.host);
        crash.unit = to(&units, crash.unit);
        crash.build = to(&builds, crash.build);
        crash.signature = to(&signatures, crash.signature);
    }
    population.crashes.sort_by(by_time);
    for control in &mut population.controls {
        *control = Control {
            host: to(&hosts, control.host),
            unit: to(&units, control.unit),
            build: to(&builds, control.build),
        };
    }
    for crash in &mut population.earlier {
        // Hosts of no crash in the window have numbers of their own.
        let host = to(&hosts, crash.host);
        crash.host = if host == UNKNOWN { crash.host } else { host };
        crash.build = to(&builds, crash.build);
        crash.signature = to(&signatures, crash.signature);
    }
    population.earlier.sort_by(by_time);
    for course in &mut population.courses {
        (course.unit, course.build) = (to(&units, course.unit), to(&builds, course.build));
    }
    population.courses.sort_by_key(|course| (course.unit, course.build));
    population.controls.sort_by_key(|control| (control.host, control.unit, control.build));
    let mut order: Vec<(u32, u32)> = signatures.into_iter().zip(0u32..).collect();
    order.sort_unstable();
    order.into_iter().map(|(_, old)| old).collect()
}

fn attributes(population: &mut Population, fixed: usize) {
    let mut order: Vec<usize> = (0..population.attributes.len()).collect();
    let name = |place: &usize| population.attributes.get(*place).map(|attribute| attribute.name.clone());
    if let Some(labels) = order.get_mut(fixed..) {
        labels.sort_by_cached_key(name);
    }
    let values: Vec<Vec<u32>> =
        population.attributes.iter_mut().map(|attribute| sort(&mut attribute.values)).collect();
    for host in &mut population.hosts {
        let value = |place: &usize| {
            let value = host.values.get(*place).copied().unwrap_or(UNKNOWN);
            values.get(*place).map_or(UNKNOWN, |ranks| to(ranks, value))
        };
        host.values = order.iter().map(value).collect();
    }
    let mut old = std::mem::take(&mut population.attributes);
    let sorted = order.iter().filter_map(|place| old.get_mut(*place).map(std::mem::take));
    population.attributes = sorted.collect();
}

/// Sorts names; the new place of each old one.
fn sort(names: &mut [String]) -> Vec<u32> {
    let ranks = ranks_by_name(names);
    names.sort();
    ranks
}

/// From old places in their new order to the new place of each.
fn ranks(order: impl ExactSizeIterator<Item = usize>) -> Vec<u32> {
    let mut ranks = vec![UNKNOWN; order.len()];
    for (new, old) in (0u32..).zip(order) {
        if let Some(rank) = ranks.get_mut(old) {
            *rank = new;
        }
    }
    ranks
}

/// The new place of each name when they are sorted.
pub(super) fn ranks_by_name(names: &[String]) -> Vec<u32> {
    let mut old: Vec<(usize, &String)> = names.iter().enumerate().collect();
    old.sort_by(|a, b| a.1.cmp(b.1));
    ranks(old.iter().map(|(place, _)| *place))
}

pub(super) fn to(ranks: &[u32], old: u32) -> u32 {
    usize::try_from(old).ok().and_then(|old| ranks.get(old)).copied().unwrap_or(UNKNOWN)
}

fn by_time(a: &Crash, b: &Crash) -> Ordering {
    let rest = |crash: &Crash| {
        (
            crash.host,
            crash.signature,
            crash.unit,
            crash.build,
            crash.boot,
            crash.symptom,
            crash.core,
            crash.allowed,
            crash.shown.0,
        )
    };
    a.at.total_cmp(&b.at).then_with(|| rest(a).cmp(&rest(b)))
}

#[cfg(test)]
mod tests {
    use crate::record::{Hex, Host, Id, Keys, Process, Record};
    use crate::study::Gather;

    fn record(n: u8) -> Record {
        let name = |of: &str, n: u8| Some(format!("{of}{}", n % 3));
        Record {
            id: Id(vec![n; 16]),
            realtime_ns: Some(1_000_000 * u64::from(n / 2)),
            host: Host { name: name("host", n), boot: Some(Id(vec![n % 5])), ..Host::default() },
            process: Process {
                unit: name("unit", n / 3),
                build_id: Some(Id(vec![n % 4])),
                ..Process::default()
            },
            keys: Keys { portable: Some(Hex(u64::from(n % 7))), ..Keys::default() },
            ..Record::default()
        }
    }

    #[test]
    fn the_order_in_which_records_are_read_makes_no_difference() {
        let of = |order: &mut dyn Iterator<Item = u8>| {
            let mut gather = Gather::new(0, u64::MAX);
            order.for_each(|n| gather.crash(&record(n)));
            let (population, directory, heard) = gather.done();
            format!("{population:?} {directory:?} {heard:?}")
        };
        let forwards = of(&mut (0..60));
        assert_eq!(forwards, of(&mut (0..60).rev()));
        assert_eq!(forwards, of(&mut (0..60).map(|n| n % 6 * 10 + n / 6)));
        assert!(forwards.contains("host2"));
    }
}
