//! A simulated fleet as it would speak: what epicored would send of each host.

use std::collections::BTreeMap;

use super::crash::{Fault, build_id, id, record};
use super::dice::{Dice, hash};
use super::fleet::{Host, floor};
use super::history::Event;
use super::population::Simulation;
use super::stack::Told;
use crate::epidemiology::evidence::Shown;
use crate::record::{
    EXPOSURE_SCHEMA, Edac, Exposure, Hardware, Hex, Host as Identity, Id, Record, Running, encode,
    encode_exposure,
};
use crate::wire::{Batch, Item, ItemKind, PROTOCOL, Sender};

const HOUR_NS: f64 = 3.6e12;
/// Processes on an ordinary host for each of the scenario's.
const PROCESSES: f64 = 4.0;

impl Simulation {
    /// How many hosts there are.
    pub fn hosts(&self) -> u32 {
        u32::try_from(self.hosts.len()).unwrap_or(u32::MAX)
    }

    /// Host names as its records have them.
    pub fn host_name(number: u32) -> String {
        format!("sim-{number:05}")
    }

    /// Events by host.
    pub fn by_host(&self) -> BTreeMap<u32, Vec<Event>> {
        let mut by_host: BTreeMap<u32, Vec<Event>> = BTreeMap::new();
        for event in &self.events {
            by_host.entry(event.host).or_default().push(*event);
        }
        by_host
    }

    /// What every host sends, one behind the other, as [`Simulation::batch`].
    pub fn batches(&self, until: u64) -> impl Iterator<Item = Batch> + '_ {
        let by_host = self.by_host();
        (0..self.hosts())
            .map(move |host| self.batch(host, by_host.get(&host).map_or(&[][..], Vec::as_slice), until))
    }

    /// What a host sends, in the order of ids; the window ends at `until`,
    /// nanoseconds since the epoch. `events` are its own.
    pub fn batch(&self, number: u32, events: &[Event], until: u64) -> Batch {
        let Some(host) = usize::try_from(number).ok().and_then(|index| self.hosts.get(index)) else {
            return Batch::default();
        };
        let mut items = if self.scenario.census { self.censuses(number, host, until) } else { Vec::new() };
        for event in events {
            let mut record = self.record(event, until);
            self.sign(number, host, event.boot, &mut record);
            // What is sent twice has the same id.
            record.id = id(record.realtime_ns.unwrap_or(0), hash(&[event.signature, event.at.to_bits()]));
            let body = encode(&record).unwrap_or_default();
            items.push(Item { id: record.id, kind: ItemKind::Crash, body });
        }
        items.sort_by(|a, b| a.id.cmp(&b.id));
        let identity = self.identity(number, 0);
        Batch {
            v: PROTOCOL,
            from: Sender {
                name: Simulation::host_name(number),
                mid: identity.mid,
                boot: identity.boot,
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            at: until,
            items,
        }
    }

    fn at(&self, hours: f64, until: u64) -> u64 {
        let start = until.saturating_sub(nanoseconds(self.scenario.days * 24.0));
        // A clock may be behind the beginning of the window.
        if hours < 0.0 {
            start.saturating_sub(nanoseconds(-hours))
        } else {
            start.saturating_add(nanoseconds(hours))
        }
    }

    fn record(&self, event: &Event, until: u64) -> Record {
        let at = self.at(event.at, until);
        let mut dice = Dice::of(&[self.seed, event.signature, event.at.to_bits()]);
        let flips = event.shown.codes().any(|code| code.starts_with("E-BITFLIP"));
        let fault = Fault {
            bug: event.signature,
            unit: event.unit,
            build: u64::from(event.build),
            cpu: event.core.unwrap_or(0),
            flipped: flips,
            shown: event.shown,
            symptom: hash(&[0x5, u64::from(event.symptom)]),
            allowed: event.allowed,
            core: event.core,
            told: Told { bug: event.bug, variant: event.variant },
        };
        let mut record = record(fault, at, &mut dice);
        if event.shown == Shown::default() {
            record.kind = crate::record::Kind::Minimal;
        }
        record
    }

    fn sign(&self, number: u32, host: &Host, boot: u32, record: &mut Record) {
        record.host = self.identity(number, boot);
        record.host.kernel = Some(value(host, "kernel"));
        let topology = record.hardware.topology.take();
        record.hardware = Hardware { topology, ..self.hardware(host, 0) };
    }

    fn identity(&self, number: u32, boot: u32) -> Identity {
        let id = |what: u64| {
            let words = [0, 1].map(|n| hash(&[self.seed, u64::from(number), what, n]).to_be_bytes());
            Some(Id(words.concat()))
        };
        Identity {
            name: Some(Simulation::host_name(number)),
            boot: id(0xb007_0000 | u64::from(boot)),
            mid: id(0x1d),
            kernel: None,
            arch: Some("x86_64".into()),
        }
    }

    fn hardware(&self, host: &Host, corrected: u64) -> Hardware {
        let microcode = value(host, "microcode");
        let revision = microcode.split(' ').next().and_then(|text| text.strip_prefix("0x"));
        let edac = Edac { at: "mc0/dimm0".into(), ce: Some(corrected), ue: Some(0), ..Edac::default() };
        Hardware {
            vendor: Some("GenuineIntel".into()),
            model_name: Some(value(host, "cpu")),
            microcode: revision.and_then(|text| u64::from_str_radix(text, 16).ok()).map(Hex),
            online: Some(self.scenario.cores.saturating_mul(2)),
            cores: Some(self.scenario.cores),
            edac: if corrected > 0 { vec![edac] } else { Vec::new() },
            ..Hardware::default()
        }
    }

    /// One a day, each for the day before it.
    fn censuses(&self, number: u32, host: &Host, until: u64) -> Vec<Item> {
        let mut items = Vec::new();
        let days = floor(self.scenario.days.ceil());
        for day in 1..=days {
            let hours = (f64::from(day) * 24.0).min(self.scenario.days * 24.0);
            let at = self.at(hours, until).saturating_sub(1_000_000);
            let running = host
                .units
                .iter()
                .map(|share| Running {
                    unit: Some(format!("svc{}.service", share.unit)),
                    exe: Some(format!("/usr/bin/svc{}", share.unit)),
                    build_id: Some(build_id(share.unit, u64::from(host.build_at(share.unit, hours - 0.01)))),
                    n: floor(PROCESSES * share.processes * host.load).max(1),
                    threads: 16,
                    ..Running::default()
                })
                .collect();
            // Corrected errors grow from nothing.
            let corrected = match host.corrected {
                0 => 0,
                all => u64::from(all).saturating_mul(u64::from(day)).saturating_add(1),
            };
            let [region, role, rack] =
                ["region", "role", "rack"].map(|name| (name.to_owned(), value(host, name)));
            let mut identity = self.identity(number, 0);
            identity.kernel = Some(value(host, "kernel"));
            let exposure = Exposure {
                v: EXPOSURE_SCHEMA,
                id: id(at, hash(&[self.seed, u64::from(number), u64::from(day), 0xce])),
                realtime_ns: Some(at),
                boottime_ns: Some(nanoseconds(hours)),
                since_ns: Some(nanoseconds((hours - 24.0).max(0.0))),
                host: identity,
                hardware: self.hardware(host, corrected),
                labels: vec![rack, region, role],
                running,
                ..Exposure::default()
            };
            let body = encode_exposure(&exposure).unwrap_or_default();
            items.push(Item { id: exposure.id, kind: ItemKind::Exposure, body });
        }
        items
    }
}

fn value(host: &Host, name: &str) -> String {
    host.attributes().into_iter().find(|(own, _)| *own == name).map_or(String::new(), |(_, value)| value)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
fn nanoseconds(hours: f64) -> u64 {
    (hours * HOUR_NS).clamp(0.0, 1e18) as u64
}
