//! The hosts of a fleet, what they run, and what they would send.

use super::crash::{Fault, build_id, id, record};
use super::dice::{Dice, hash};
use crate::record::{
    CpuTime, EXPOSURE_SCHEMA, Exposure, Hardware, Hex, Host, Id, Record, Running, encode, encode_exposure,
};
use crate::wire::{Batch, Item, ItemKind, PROTOCOL, Sender};

const HOUR: u64 = 3_600_000_000_000;
/// Logical CPUs of a host: 32 cores with two threads each.
const CPUS: u32 = 64;
/// Units of the fleet; a host runs three of them.
const UNITS: u32 = 12;
/// Bugs that every build has, Zipf 1.1 between them.
const BUGS: u32 = 40;
/// Crashes of an ordinary host a day.
const RATE: f64 = 0.12;
/// The unit whose second build brought a bug, and the bug.
const ROLLED_OUT: u32 = 3;
const NEW_BUG: u64 = 9_001;

/// A fleet to simulate.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The same seed gives the same fleet.
    pub seed: u64,
    /// Hosts.
    pub hosts: u32,
    /// Days that pass.
    pub days: u32,
    /// When they end, nanoseconds since the epoch.
    pub until: u64,
}

/// What was planted: what a study should find.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// The host with the bad core.
    pub bad_host: String,
    /// The physical core that computes wrongly.
    pub bad_core: u32,
    /// Crashes that it caused.
    pub by_hardware: u64,
    /// The signature that began with a build.
    pub new_signature: Hex,
    /// That build.
    pub new_build: Id,
    /// The unit of that build.
    pub new_unit: String,
    /// Crashes of the whole fleet.
    pub crashes: u64,
}

impl Plan {
    /// What was planted. Counts are those of the batches.
    pub fn truth(&self) -> Truth {
        let mut truth = Truth {
            bad_host: name(self.bad_host()),
            bad_core: self.bad_core(),
            new_signature: Hex(hash(&[NEW_BUG, u64::from(ROLLED_OUT), 2])),
            new_build: build_id(ROLLED_OUT, 1),
            new_unit: format!("svc{ROLLED_OUT}.service"),
            ..Truth::default()
        };
        for host in 0..self.hosts {
            let crashes = self.crashes(host);
            truth.crashes = truth.crashes.saturating_add(count(crashes.len()));
            truth.by_hardware =
                truth.by_hardware.saturating_add(count(crashes.iter().filter(|(_, f)| f.flipped).count()));
        }
        truth
    }

    /// What host `host` of the plan sends: its censuses and its crashes, in
    /// the order of time.
    pub fn batch(&self, host: u32) -> Batch {
        let mut items: Vec<Item> =
            (0..self.days).flat_map(|day| [0, 6, 12, 18].map(|hour| self.census(host, day, hour))).collect();
        let mut dice = Dice::of(&[self.seed, u64::from(host), 0xc4a5]);
        for (at, fault) in self.crashes(host) {
            let mut record = record(fault, at, &mut dice);
            self.sign(host, &mut record);
            let body = encode(&record).unwrap_or_default();
            items.push(Item { id: record.id, kind: ItemKind::Crash, body });
        }
        items.sort_by(|a, b| a.id.cmp(&b.id));
        let identity = self.identity(host);
        Batch {
            v: PROTOCOL,
            from: Sender {
                name: name(host),
                mid: identity.mid,
                boot: identity.boot,
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            at: self.until,
            items,
        }
    }

    fn bad_host(&self) -> u32 {
        Dice::of(&[self.seed, 0xbad]).below(self.hosts)
    }

    fn bad_core(&self) -> u32 {
        Dice::of(&[self.seed, 0xc0e]).below(CPUS / 2)
    }

    fn start(&self) -> u64 {
        self.until.saturating_sub(u64::from(self.days).saturating_mul(24).saturating_mul(HOUR))
    }

    /// Three units of the fleet; all of a rack run the same.
    fn units(&self, host: u32) -> [u32; 3] {
        let mut dice = Dice::of(&[self.seed, u64::from(host.checked_div(20).unwrap_or(0)), 0x017]);
        let first = dice.below(UNITS);
        [0, 1, 4].map(|step| first.saturating_add(step).checked_rem(UNITS).unwrap_or(0))
    }

    /// The second build of one unit arrives at half time, on half of the hosts.
    fn build(&self, host: u32, unit: u32, at: u64) -> u64 {
        let half = u64::from(self.days).saturating_mul(12).saturating_mul(HOUR);
        let wave = hash(&[self.seed, u64::from(host), 0x3a7e]) & 1 == 0;
        u64::from(unit == ROLLED_OUT && wave && at >= self.start().saturating_add(half))
    }

    /// Moments and faults of one host, in the order of time.
    fn crashes(&self, host: u32) -> Vec<(u64, Fault)> {
        let mut dice = Dice::of(&[self.seed, u64::from(host), 0xfa17]);
        let mut crashes = Vec::new();
        let days = f64::from(self.days);
        let moment = |dice: &mut Dice| {
            let span = self.until.saturating_sub(self.start()) >> 10;
            self.start()
                .saturating_add(span.saturating_mul(u64::from(dice.below(1 << 10))))
                .saturating_add(u64::from(dice.below(1 << 30)))
        };
        for _ in 0..dice.poisson(RATE * days) {
            let at = moment(&mut dice);
            let unit = pick(&self.units(host), &mut dice);
            let (bug, build) = (zipf(&mut dice), self.build(host, unit, at));
            crashes.push((at, Fault::plain(bug, unit, build, dice.below(CPUS))));
        }
        if self.units(host).contains(&ROLLED_OUT) {
            for _ in 0..dice.poisson(0.5 * days) {
                let at = moment(&mut dice);
                let build = self.build(host, ROLLED_OUT, at);
                if build == 1 {
                    let cpu = dice.below(CPUS);
                    crashes.push((at, Fault::plain(NEW_BUG, ROLLED_OUT, build, cpu)));
                }
            }
        }
        if host == self.bad_host() {
            for _ in 0..dice.poisson(2.0 * days).max(6) {
                let at = moment(&mut dice);
                let unit = pick(&self.units(host), &mut dice);
                let cpu = self.bad_core().saturating_add(dice.below(2).saturating_mul(CPUS / 2));
                let build = self.build(host, unit, at);
                crashes.push((
                    at,
                    Fault { flipped: true, ..Fault::plain(dice.bits() | 1 << 40, unit, build, cpu) },
                ));
            }
        }
        crashes.sort_by_key(|(at, _)| *at);
        crashes
    }

    fn census(&self, host: u32, day: u32, hour: u32) -> Item {
        let hours = u64::from(day).saturating_mul(24).saturating_add(u64::from(hour)).saturating_add(6);
        let bt = hours.saturating_mul(HOUR);
        let at = self.start().saturating_add(bt);
        let running = self.units(host).map(|unit| Running {
            unit: Some(format!("svc{unit}.service")),
            exe: Some(format!("/usr/bin/svc{unit}")),
            build_id: Some(build_id(unit, self.build(host, unit, at))),
            n: 4,
            threads: 16,
            ..Running::default()
        });
        let exposure = Exposure {
            v: EXPOSURE_SCHEMA,
            id: id(at, hash(&[self.seed, u64::from(host), hours])),
            realtime_ns: Some(at),
            boottime_ns: Some(bt),
            since_ns: Some(bt.saturating_sub(HOUR.saturating_mul(6))),
            host: self.identity(host),
            hardware: self.hardware(host),
            labels: self.labels(host),
            cpus: CpuTime {
                cpu: (0..CPUS).collect(),
                core: (0..CPUS).map(|cpu| cpu.checked_rem(CPUS / 2).unwrap_or(0)).collect(),
                busy_ms: vec![bt.checked_div(4_000_000).unwrap_or(0); 64],
            },
            running: running.to_vec(),
            ..Exposure::default()
        };
        let body = encode_exposure(&exposure).unwrap_or_default();
        Item { id: exposure.id, kind: ItemKind::Exposure, body }
    }

    fn sign(&self, host: u32, record: &mut Record) {
        record.host = self.identity(host);
        let topology = record.hardware.topology.take();
        record.hardware = Hardware { topology, ..self.hardware(host) };
    }

    fn identity(&self, host: u32) -> Host {
        let id = |what: u64| {
            let words = [0, 1].map(|n| hash(&[self.seed, u64::from(host), what, n]).to_be_bytes());
            Some(Id(words.concat()))
        };
        let kernels = ["6.1.0-44-amd64", "6.12.48+deb13-amd64"];
        let kernel = kernels.get(usize::from(host.is_multiple_of(3))).map(|text| (*text).to_owned());
        Host { name: Some(name(host)), boot: id(0xb007), mid: id(0x1d), kernel, arch: Some("x86_64".into()) }
    }

    fn hardware(&self, host: u32) -> Hardware {
        let model = if host.is_multiple_of(4) { 143 } else { 106 };
        Hardware {
            vendor: Some("GenuineIntel".into()),
            model_name: Some(format!("Simulated processor, model {model}")),
            family: Some(6),
            model: Some(model),
            microcode: Some(Hex(if host.is_multiple_of(7) { 0x0d00_03e7 } else { 0x0d00_0404 })),
            online: Some(CPUS),
            cores: Some(CPUS / 2),
            ..Hardware::default()
        }
    }

    fn labels(&self, host: u32) -> Vec<(String, String)> {
        let rack = host.checked_div(20).unwrap_or(0);
        vec![("rack".into(), format!("r{rack:03}")), ("region".into(), region(rack).to_owned())]
    }
}

fn region(rack: u32) -> &'static str {
    ["eu-central", "us-east", "ap-south"]
        .into_iter()
        .nth(usize::try_from(rack).unwrap_or(0).checked_rem(3).unwrap_or(0))
        .unwrap_or("eu-central")
}

/// The host's name.
fn name(host: u32) -> String {
    format!("sim-{host:05}")
}

fn pick(units: &[u32; 3], dice: &mut Dice) -> u32 {
    units.get(usize::try_from(dice.below(3)).unwrap_or(0)).copied().unwrap_or(0)
}

/// A bug: rank k with a weight of k^−1.1.
fn zipf(dice: &mut Dice) -> u64 {
    let weight = |rank: u32| f64::from(rank).powf(-1.1);
    let mut left = dice.unit() * (1..=BUGS).map(weight).sum::<f64>();
    for rank in 1..=BUGS {
        left -= weight(rank);
        if left < 0.0 {
            return u64::from(rank);
        }
    }
    u64::from(BUGS)
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{decode, decode_exposure};

    const PLAN: Plan = Plan { seed: 7, hosts: 60, days: 2, until: 1_795_356_309_000_000_000 };

    #[test]
    fn the_same_plan_gives_the_same_bytes_and_what_it_says_was_planted_is_there() {
        let (mut crashes, mut ids) = (0, std::collections::HashSet::new());
        for host in 0..PLAN.hosts {
            let batch = PLAN.batch(host);
            assert_eq!(batch, PLAN.batch(host));
            for item in &batch.items {
                assert!(ids.insert(item.id.clone()), "an id twice");
                match item.kind {
                    ItemKind::Crash => {
                        crashes += 1;
                        let record = decode(&item.body).unwrap();
                        assert_eq!(record.host.name, Some(name(host)));
                        assert!(record.realtime_ns.unwrap() <= PLAN.until + HOUR);
                    }
                    ItemKind::Exposure => {
                        assert_eq!(decode_exposure(&item.body).unwrap().running.len(), 3);
                    }
                }
            }
        }
        let truth = PLAN.truth();
        assert_eq!(truth.crashes, crashes);
        assert!(truth.by_hardware >= 6);
    }

    #[test]
    fn an_id_is_a_uuid_v7_of_its_time() {
        let id = id(PLAN.until, 5).0;
        assert_eq!((id.len(), id[6] >> 4, id[8] >> 6), (16, 7, 2));
        assert_eq!(&id[..6], &(PLAN.until / 1_000_000).to_be_bytes()[2..]);
    }
}
