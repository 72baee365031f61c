//! What hosts are: of every attribute and label of each the newest that was told,
//! whatever was read first.

use std::collections::{BTreeMap, HashMap};

use super::names::{Names, named};
use crate::epidemiology::population::UNKNOWN;
use crate::epidemiology::trigger::Attribute;
use crate::record::{Edac, Hardware, Id};

/// Attributes that every fleet has; labels come behind them.
pub(super) const FIXED: [(&str, Option<usize>); 4] =
    [("kernel", None), ("cpu", None), ("microcode", Some(1)), ("arch", None)];
/// Labels of a study: those that most hosts have.
const LABELS: usize = 24;
/// Labels that are kept whoever has them: what is shuffled within.
const KEPT: [&str; 2] = ["region", "role"];
/// Labels of one host, at most.
const OF_A_HOST: usize = 64;

/// When something was told: by the host's clock, and which record it was.
type Moment = (u64, u64);

/// Lowest and highest value of a counter that only grows; per boot it begins anew,
/// so that the difference is a lower bound.
#[derive(Clone, Copy, Debug, Default)]
struct Range(Option<(u64, u64)>);

impl Range {
    fn see(&mut self, value: u64) {
        self.0 = Some(self.0.map_or((value, value), |(low, high)| (low.min(value), high.max(value))));
    }

    fn grown(self) -> u32 {
        let grown = self.0.map_or(0, |(low, high)| high.saturating_sub(low));
        u32::try_from(grown).unwrap_or(u32::MAX)
    }
}

#[derive(Clone, Debug, Default)]
struct Facts {
    /// By number of the attribute: fixed ones, then labels as they were met.
    told: HashMap<usize, (Moment, u32)>,
    cores: u32,
    corrected: Range,
    uncorrected: Range,
}

/// Of one host, for the population.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) values: Vec<u32>,
    pub(super) cores: u32,
    pub(super) corrected: u32,
    pub(super) uncorrected: u32,
}

/// Of all of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Fleet {
    labels: Names,
    values: Names,
    hosts: Vec<Facts>,
}

impl Fleet {
    /// The moment of a record.
    pub(super) fn moment(at: u64, id: &Id) -> Moment {
        (at, id.0.iter().rev().take(8).fold(0u64, |low, byte| low << 8 | u64::from(*byte)))
    }

    fn facts(&mut self, host: u32) -> Option<&mut Facts> {
        let place = usize::try_from(host).ok()?;
        if self.hosts.len() <= place {
            self.hosts.resize(place.saturating_add(1), Facts::default());
        }
        self.hosts.get_mut(place)
    }

    fn tell(&mut self, host: u32, attribute: usize, moment: Moment, value: &str) {
        let value = self.values.number(value);
        let Some(facts) = self.facts(host) else { return };
        let full = facts.told.len() >= OF_A_HOST.saturating_add(FIXED.len());
        if full && !facts.told.contains_key(&attribute) {
            return;
        }
        let known = facts.told.entry(attribute).or_insert((moment, value));
        if known.0 < moment {
            *known = (moment, value);
        }
    }

    /// What every record says of its host.
    pub(super) fn learn(
        &mut self,
        host: u32,
        moment: Moment,
        (kernel, arch): (Option<&str>, Option<&str>),
        hardware: &Hardware,
    ) {
        let microcode = hardware.microcode.map(|revision| {
            // The same revision of two models are two things.
            format!("{:#x} of {}", revision.0, hardware.model_name.as_deref().unwrap_or("?"))
        });
        let told = [kernel, hardware.model_name.as_deref(), microcode.as_deref(), arch];
        for (attribute, value) in told.into_iter().enumerate() {
            if let Some(value) = value {
                self.tell(host, attribute, moment, value);
            }
        }
        let Some(facts) = self.facts(host) else { return };
        facts.cores = facts.cores.max(hardware.cores.unwrap_or(0));
        if !hardware.edac.is_empty() {
            let sum = |one: fn(&Edac) -> Option<u64>| {
                hardware.edac.iter().filter_map(one).fold(0u64, u64::saturating_add)
            };
            facts.corrected.see(sum(|edac| edac.ce));
            facts.uncorrected.see(sum(|edac| edac.ue));
        }
    }

    /// A label of a host.
    pub(super) fn label(&mut self, host: u32, moment: Moment, name: &str, value: &str) {
        let number = self.labels.number(name);
        if let Ok(number) = usize::try_from(number) {
            self.tell(host, FIXED.len().saturating_add(number), moment, value);
        }
    }

    /// The attributes, what each of `hosts` hosts has of them, and how many labels were
    /// left out. Values that no host has any more are none.
    pub(super) fn done(self, hosts: usize) -> (Vec<Attribute>, Vec<Known>, u64) {
        let mut counts: BTreeMap<usize, u32> = BTreeMap::new();
        let told = self.hosts.iter().flat_map(|facts| facts.told.keys());
        for attribute in told.filter(|attribute| **attribute >= FIXED.len()) {
            let count = counts.entry(*attribute).or_insert(0);
            *count = count.saturating_add(1);
        }
        let name = |attribute: usize| {
            let label = self.labels.list().get(attribute.saturating_sub(FIXED.len()));
            label.map_or("", String::as_str)
        };
        let mut labels: Vec<(bool, u32, &str, usize)> = counts
            .into_iter()
            .map(|(attribute, count)| (KEPT.contains(&name(attribute)), count, name(attribute), attribute))
            .collect();
        labels.sort_by(|a, b| (b.0, b.1).cmp(&(a.0, a.1)).then(a.2.cmp(b.2)));
        let left = labels.len().saturating_sub(LABELS) as u64;
        labels.truncate(LABELS);
        let fixed = FIXED.iter().enumerate().map(|(number, (name, parent))| (number, *name, *parent));
        let chosen = fixed.chain(labels.iter().map(|(_, _, name, number)| (*number, *name, None)));
        let mut known: Vec<Known> = self
            .hosts
            .iter()
            .map(|facts| Known {
                values: Vec::new(),
                cores: facts.cores,
                corrected: facts.corrected.grown(),
                uncorrected: facts.uncorrected.grown(),
            })
            .collect();
        known.resize(hosts, Known::default());
        let attributes = chosen
            .map(|(number, name, parent)| {
                let mut values = Names::default();
                for (place, known) in known.iter_mut().enumerate() {
                    let told = self.hosts.get(place).and_then(|facts| facts.told.get(&number));
                    let value = told.and_then(|(_, value)| named(self.values.list(), *value));
                    known.values.push(value.map_or(UNKNOWN, |value| values.number(value)));
                }
                Attribute { name: name.to_owned(), parent, values: values.list().to_vec() }
            })
            .collect();
        (attributes, known, left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_cannot_take_the_fleets_labels() {
        let mut fleet = Fleet::default();
        for n in 0..40 {
            fleet.label(0, (1, 1), &format!("a{n:02}"), "x");
        }
        for host in 1..50 {
            fleet.label(host, (1, 1), "rack", &format!("r{}", host % 7));
            fleet.label(host, (1, 1), "role", "web");
        }
        fleet.label(9, (1, 1), "region", "eu");
        let (attributes, known, left) = fleet.done(50);
        let names: Vec<&str> = attributes.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names[..7], ["kernel", "cpu", "microcode", "arch", "role", "region", "rack"]);
        assert_eq!((names.len(), left), (4 + LABELS, 43 - LABELS as u64));
        assert!(known[1].values[6] != UNKNOWN && known[0].values[6] == UNKNOWN);
        assert_eq!(attributes[6].values.len(), 7);
    }

    #[test]
    fn the_newest_counts_and_what_it_does_not_say_stays() {
        let hardware =
            |cpu: Option<&str>| Hardware { model_name: cpu.map(str::to_owned), ..Hardware::default() };
        let of = |order: [usize; 3]| {
            let mut fleet = Fleet::default();
            for which in order {
                match which {
                    0 => {
                        fleet.learn(0, (10, 0), (Some("6.1"), None), &hardware(Some("old")));
                        fleet.label(0, (10, 0), "rack", "r1");
                    }
                    1 => fleet.learn(0, (30, 0), (Some("6.12"), None), &hardware(None)),
                    _ => {
                        fleet.learn(0, (20, 0), (Some("6.9"), None), &hardware(Some("new")));
                        fleet.label(0, (20, 0), "rack", "r2");
                    }
                }
            }
            let (attributes, known, _) = fleet.done(1);
            let value = |at: usize| attributes[at].values[known[0].values[at] as usize].clone();
            (value(0), value(1), value(4))
        };
        let newest = ("6.12".to_owned(), "new".to_owned(), "r2".to_owned());
        assert_eq!(of([0, 1, 2]), newest);
        assert_eq!(of([2, 1, 0]), newest);
        assert_eq!(of([1, 0, 2]), newest);
    }
}
