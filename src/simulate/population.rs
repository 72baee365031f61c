//! A simulated fleet as a study sees it, and what is true of it.

use std::collections::{BTreeMap, HashMap};

use super::crash::keys;
use super::fleet::{Host, floor, hosts};
use super::history::{Author, Event};
use super::scenario::{Kind, Level, Scenario};
use super::stack::{Told, stack};
use crate::epidemiology::population::{self, Course, Crash, Frame, Population, Run, UNKNOWN};
use crate::epidemiology::trigger::Attribute;

/// Numbers of builds that a unit has.
const BUILDS: u32 = 64;

fn key(signature: u64, event: &Event, is_named: bool) -> String {
    let [_, l1, l2] = keys(signature, event.unit, u64::from(event.build));
    format!("{:016x}", if is_named { l2 } else { l1 })
}

/// A fleet that never was.
pub struct Simulation {
    /// What was asked for.
    pub scenario: Scenario,
    pub(super) hosts: Vec<Host>,
    pub(super) seed: u64,
    /// Every crash that arrived, in the order of the hosts' clocks.
    pub events: Vec<Event>,
}

/// What was planted on a host.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Planted {
    /// The host.
    pub host: u32,
    /// What.
    pub kind: Kind,
    /// What its crashes show.
    pub evidence: Level,
    /// Crashes that it was to have.
    pub crashes: u32,
}

impl Simulation {
    /// The same arguments give the same fleet.
    pub fn new(scenario: &Scenario, count: u32, seed: u64) -> Simulation {
        let hosts = hosts(scenario, count, seed);
        let author = Author { scenario, seed };
        let mut events: Vec<Event> =
            (0u32..).zip(&hosts).flat_map(|(number, host)| author.crashes(number, host)).collect();
        for (number, bug) in (1u64..).zip(&scenario.bug) {
            events.extend(author.bug(number, bug, &hosts));
        }
        events.iter_mut().for_each(|event| author.vary(event));
        events.sort_by(|a, b| a.at.total_cmp(&b.at).then(a.host.cmp(&b.host)));
        Simulation { scenario: scenario.clone(), hosts, seed, events }
    }

    /// The location key of the scenario's bug of this number, from 1.
    pub fn bug_signature(number: u64) -> u64 {
        super::history::bug_signature(number)
    }

    /// Location keys as the records of a bug's other forms have them, each with that of
    /// its ordinary form.
    pub fn variants(&self) -> BTreeMap<String, String> {
        let varied = self.events.iter().filter(|event| event.variant > 0);
        varied
            .filter_map(|event| Some((Simulation::location_key(event), key(event.bug?, event, true))))
            .collect()
    }

    /// The location key that the crash's record has.
    pub fn location_key(event: &Event) -> String {
        key(event.signature, event, event.variant != 3)
    }

    /// What was planted.
    pub fn planted(&self) -> Vec<Planted> {
        let one = |(host, facts): (u32, &Host)| {
            let plant = facts.plant.as_ref()?;
            Some(Planted { host, kind: plant.kind, evidence: plant.evidence, crashes: plant.crashes })
        };
        (0u32..).zip(&self.hosts).filter_map(one).collect()
    }

    /// What a collector knows at the end of a day (of the whole window when
    /// `days` is behind it), and the signatures' names.
    pub fn population(&self, days: f64) -> (Population, Vec<String>) {
        let hours = days.min(self.scenario.days) * 24.0;
        let mut names: HashMap<u64, u32> = HashMap::new();
        let mut units: HashMap<u32, u32> = HashMap::new();
        let number = |names: &mut HashMap<u64, u32>, name: u64| {
            let next = u32::try_from(names.len()).unwrap_or(UNKNOWN);
            *names.entry(name).or_insert(next)
        };
        let unit_number = |units: &mut HashMap<u32, u32>, unit: u32| {
            let next = u32::try_from(units.len()).unwrap_or(UNKNOWN);
            *units.entry(unit).or_insert(next)
        };
        let mut attributes: Vec<Attribute> = Vec::new();
        let mut values: Vec<HashMap<String, u32>> = Vec::new();
        let mut all = Vec::new();
        let mut courses: BTreeMap<(u32, u32), Vec<f64>> = BTreeMap::new();
        for (index, host) in self.hosts.iter().enumerate() {
            let told = host.attributes();
            if attributes.is_empty() {
                let parent = |name: &str| (name == "microcode").then_some(1);
                attributes = told
                    .iter()
                    .map(|(name, _)| Attribute {
                        name: (*name).to_owned(),
                        parent: parent(name),
                        values: Vec::new(),
                    })
                    .collect();
                values = vec![HashMap::new(); attributes.len()];
            }
            let mut own = Vec::new();
            for ((attribute, known), (_, value)) in attributes.iter_mut().zip(values.iter_mut()).zip(told) {
                let next = u32::try_from(known.len()).unwrap_or(UNKNOWN);
                own.push(*known.entry(value.clone()).or_insert_with(|| {
                    attribute.values.push(value);
                    next
                }));
            }
            let census = self.scenario.census;
            let mut runs: Vec<Run> = Vec::with_capacity(host.units.len());
            for share in &host.units {
                let unit = unit_number(&mut units, share.unit);
                let builds: Vec<(f64, u32)> = host.builds(share.unit).collect();
                let ends = builds.iter().skip(1).map(|(since, _)| *since).chain([hours]);
                for ((since, build), end) in builds.iter().zip(ends) {
                    let (length, build) = (end.min(hours) - since, build_number(unit, *build));
                    if length > 0.0 {
                        runs.push(Run { unit, build, hours: length * share.processes * host.load });
                    }
                    if census {
                        course(
                            &mut courses,
                            (unit, build),
                            (*since, end.min(hours)),
                            share.processes * host.load,
                        );
                    }
                }
            }
            all.push(population::Host {
                name: Simulation::host_name(u32::try_from(index).unwrap_or(UNKNOWN)),
                values: own,
                hours: if census { hours } else { 0.0 },
                cores: self.scenario.cores,
                runs: if census { runs } else { Vec::new() },
                corrected: host.corrected,
                uncorrected: host.uncorrected,
            });
        }
        let mut stacks = Stacks::default();
        let mut seen = std::collections::HashSet::new();
        let crashes = self
            .events
            .iter()
            .filter(|event| event.at <= hours)
            // What comes twice has the same id, and is stored once.
            .filter(|event| seen.insert((event.host, event.at.to_bits(), event.signature)))
            .map(|event| {
                let unit = unit_number(&mut units, event.unit);
                let signature = number(&mut names, event.signature);
                stacks.learn(signature, event);
                Crash {
                    host: event.host,
                    unit,
                    build: build_number(unit, event.build),
                    signature,
                    symptom: event.symptom,
                    at: event.at,
                    boot: event.boot,
                    core: event.core.unwrap_or(UNKNOWN),
                    allowed: event.allowed,
                    shown: event.shown,
                }
            })
            .collect();
        let mut named: Vec<(u32, u32)> = units.into_iter().map(|(unit, index)| (index, unit)).collect();
        named.sort_unstable();
        let units = named.into_iter().map(|(_, unit)| format!("svc{unit}.service")).collect();
        let mut named: Vec<(u32, u64)> = names.into_iter().map(|(name, number)| (number, name)).collect();
        named.sort_unstable();
        let signatures = named.into_iter().map(|(_, name)| format!("{name:016x}")).collect();
        let Stacks { stacks, frames, .. } = stacks;
        let files = vec!["program".to_owned(), "libc".to_owned()];
        let courses =
            courses.into_iter().map(|((unit, build), hours)| Course { unit, build, hours }).collect();
        let population = Population {
            hours,
            hosts: all,
            units,
            attributes,
            crashes,
            courses,
            stacks,
            frames,
            files,
            ..Population::default()
        };
        (population, signatures)
    }
}

/// What records would tell of stacks.
#[derive(Default)]
struct Stacks {
    numbers: HashMap<(Option<u32>, u64), u32>,
    frames: Vec<Frame>,
    stacks: Vec<Vec<u32>>,
}

impl Stacks {
    /// Signatures are met in their order.
    fn learn(&mut self, signature: u32, event: &Event) {
        if usize::try_from(signature).is_ok_and(|place| place < self.stacks.len()) {
            return;
        }
        let told = Told { bug: event.bug, variant: event.variant };
        let functions = stack(told, event.signature, event.unit).into_iter().take(8);
        let numbers = functions.enumerate().map(|(place, function)| {
            let build = function.unnamed.then_some(event.build);
            let next = u32::try_from(self.frames.len()).unwrap_or(UNKNOWN);
            let number = *self.numbers.entry((build, function.identity)).or_insert(next);
            if number == next {
                let at = function.identity & 0xff_fff0;
                let library = function.library && place == 0;
                self.frames.push(Frame { file: u32::from(function.library), at, build, library });
            }
            number
        });
        let own = numbers.collect();
        self.stacks.push(own);
    }
}

/// Fleet-wide number of a unit's build.
fn build_number(unit: u32, build: u32) -> u32 {
    unit.saturating_mul(BUILDS).saturating_add(build)
}

/// So many processes from one hour to another, by day.
fn course(courses: &mut BTreeMap<(u32, u32), Vec<f64>>, of: (u32, u32), span: (f64, f64), processes: f64) {
    let days = courses.entry(of).or_default();
    for day in floor(span.0 / 24.0)..floor((span.1 / 24.0).ceil()) {
        let begin = 24.0 * f64::from(day);
        let place = usize::try_from(day).unwrap_or(0);
        if days.len() <= place {
            days.resize(place.saturating_add(1), 0.0);
        }
        if let Some(hours) = days.get_mut(place) {
            *hours += (span.1.min(begin + 24.0) - span.0.max(begin)).max(0.0) * processes;
        }
    }
}
