//! The hosts of a simulated fleet: where they stand, what they are, what runs on
//! them and for how long. Regions confound kernel, CPU model and the wave of a
//! rollout, as they do in real fleets.

use super::dice::Dice;
use super::scenario::{INNOCENTS, Kind, Plant, Scenario};

/// Hosts of a rack, which have one role.
const RACK: u32 = 20;
/// Roles, with their share of racks and the factor of their crash rates.
const ROLES: [(&str, f64, f64); 4] =
    [("web", 0.45, 1.0), ("database", 0.2, 0.5), ("batch", 0.3, 1.8), ("edge", 0.05, 3.0)];
/// Regions, with the shares of their hosts that have the newer kernel, the newer
/// CPU model, the newer microcode, and (by half time) the newer builds.
const REGIONS: [(&str, [f64; 4]); 3] = [
    ("eu-central", [0.8, 0.6, 0.9, 0.9]),
    ("us-east", [0.3, 0.3, 0.6, 0.5]),
    ("ap-south", [0.1, 0.15, 0.3, 0.1]),
];
const KERNELS: [&str; 2] = ["6.1.0-44-amd64", "6.12.48+deb13-amd64"];
const MODELS: [&str; 2] = ["Simulated processor, model 106", "Simulated processor, model 143"];
const MICROCODES: [&str; 2] = ["0xd000404", "0xd0003e7"];
/// Build of the first rollout: behind the old one and the newer one of every unit.
pub(super) const FIRST_ROLLOUT: u32 = 2;
/// Units that run on every host: agents.
const AGENTS: u32 = 3;

/// One host.
#[derive(Clone, Debug, Default)]
pub(super) struct Host {
    pub(super) rack: u32,
    pub(super) role: usize,
    pub(super) region: usize,
    /// Of kernel, CPU model and microcode the newer one; then the new builds.
    pub(super) newer: [bool; 4],
    /// How much runs there, around 1.
    pub(super) load: f64,
    /// Units, with processes of each and whether it is pinned to a core.
    pub(super) units: Vec<Share>,
    /// What was planted there.
    pub(super) plant: Option<Plant>,
    /// Its clock is off by so many hours.
    pub(super) skew: f64,
    /// The day on which it was installed anew.
    pub(super) reimaged: Option<f64>,
    pub(super) corrected: u32,
    pub(super) uncorrected: u32,
    /// New builds that come: unit, hour, number. The later ones behind.
    pub(super) rollouts: Vec<(u32, f64, u32)>,
}

/// A unit on a host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    pub(super) unit: u32,
    pub(super) processes: f64,
    /// Physical cores that it may use, the first of them.
    pub(super) first_core: u32,
    pub(super) allowed: u32,
}

/// All hosts; the plants lie on random ones, each on its own.
pub(super) fn hosts(scenario: &Scenario, count: u32, seed: u64) -> Vec<Host> {
    let mut hosts: Vec<Host> = (0..count).map(|index| host(scenario, index, seed)).collect();
    let mut dice = Dice::of(&[seed, 0x91a7]);
    let mut free: Vec<u32> = (0..count).collect();
    // Fisher and Yates.
    for index in (1..free.len()).rev() {
        let below = u32::try_from(index.saturating_add(1)).unwrap_or(u32::MAX);
        free.swap(index, usize::try_from(dice.below(below)).unwrap_or(0));
    }
    let mut place = |plant: &Plant, number: u32, hosts: &mut Vec<Host>, dice: &mut Dice| {
        for _ in 0..number {
            let Some(index) = free.pop().and_then(|index| usize::try_from(index).ok()) else { return };
            if let Some(host) = hosts.get_mut(index).filter(|host| host.plant.is_none()) {
                settle(host, plant, scenario, dice);
            }
        }
    };
    for plant in scenario.plant.iter().filter(|plant| plant.kind != Kind::Erratum) {
        place(plant, plant.hosts, &mut hosts, &mut dice);
    }
    for plant in scenario.plant.iter().filter(|plant| plant.kind == Kind::Erratum) {
        // Of one model and revision all.
        for host in hosts.iter_mut().filter(|host| matches!(host.newer, [_, true, true, _])) {
            if host.plant.is_none() {
                host.plant = Some(plant.clone());
            }
        }
    }
    for (kind, share) in INNOCENTS.into_iter().filter(|_| scenario.innocents) {
        let number = dice.poisson(share * f64::from(count));
        place(&Plant { kind, hosts: number, ..Plant::default() }, number, &mut hosts, &mut dice);
    }
    for (number, host) in (0u64..).zip(&mut hosts) {
        for (build, rollout) in (FIRST_ROLLOUT..).zip(&scenario.rollout) {
            let mut dice = Dice::of(&[seed, number, u64::from(build), 0x4011]);
            if dice.unit() < rollout.share {
                host.rollouts.push((rollout.unit, rollout.day * 24.0, build));
            }
        }
        host.rollouts.sort_by(|a, b| a.1.total_cmp(&b.1));
    }
    hosts
}

fn settle(host: &mut Host, plant: &Plant, scenario: &Scenario, dice: &mut Dice) {
    match plant.kind {
        // Most bad modules are seen by ECC, not all.
        Kind::BadDimm if dice.unit() < 0.6 => host.corrected = dice.below(400).saturating_add(1),
        Kind::NoisyEcc => host.corrected = dice.below(5000).saturating_add(1),
        Kind::SingleTenant => {
            // Its unit is of no other host.
            let unit = scenario.units.saturating_add(dice.below(1 << 30));
            host.units.push(Share { unit, processes: 4.0, first_core: 0, allowed: scenario.cores });
        }
        Kind::Canary => {
            if let Some(build) = host.newer.last_mut() {
                *build = true;
            }
        }
        Kind::PinnedSpray => {
            let core = dice.below(scenario.cores);
            if let Some(share) = host.units.first_mut() {
                (share.first_core, share.allowed) = (core, 1);
            }
        }
        _ => {}
    }
    host.plant = Some(plant.clone());
}

fn host(scenario: &Scenario, index: u32, seed: u64) -> Host {
    let rack = index.checked_div(RACK).unwrap_or(0);
    let mut of_rack = Dice::of(&[seed, u64::from(rack), 0x7ac]);
    let mut dice = Dice::of(&[seed, u64::from(index), 0x4057]);
    let role = weighted(&ROLES.map(|(_, share, _)| share), &mut of_rack);
    let region = usize::try_from(of_rack.below(3)).unwrap_or(0);
    let shares = REGIONS.get(region).map_or([0.5; 4], |(_, shares)| *shares);
    let newer = shares.map(|share| dice.unit() < share);
    // A few per role, in order of how common they are, and the agents.
    let own = 3u32.saturating_add(of_rack.below(3));
    let mut units: Vec<u32> = (0..AGENTS).collect();
    for _ in 0..own {
        let span = scenario.units.saturating_sub(AGENTS).max(1);
        let skewed = dice.unit().powf(1.5) * f64::from(span);
        let unit = floor(skewed).saturating_add(AGENTS).min(scenario.units.saturating_sub(1));
        if !units.contains(&unit) {
            units.push(unit);
        }
    }
    let units = units
        .into_iter()
        .map(|unit| {
            let (first_core, allowed) = match dice.unit() {
                u if u < scenario.pinned => (dice.below(scenario.cores), 1),
                u if u < scenario.pinned + 0.1 => {
                    (dice.below(scenario.cores.saturating_sub(8).max(1)), 8.min(scenario.cores))
                }
                _ => (0, scenario.cores),
            };
            Share { unit, processes: 1.0 + f64::from(dice.below(8)), first_core, allowed }
        })
        .collect();
    let skew = if dice.unit() < scenario.skewed { 24.0 * (dice.unit() - 0.5) } else { 0.0 };
    let reimaged = (dice.unit() < scenario.reimaged).then(|| dice.unit() * scenario.days);
    Host {
        rack,
        role,
        region,
        newer,
        load: dice.gamma(scenario.exposure_shape) / scenario.exposure_shape,
        units,
        plant: None,
        skew,
        reimaged,
        corrected: 0,
        uncorrected: 0,
        rollouts: Vec::new(),
    }
}

impl Host {
    pub(super) fn role_factor(&self) -> f64 {
        ROLES.get(self.role).map_or(1.0, |(.., factor)| *factor)
    }

    /// Builds of a unit, each since so many hours.
    pub(super) fn builds(&self, unit: u32) -> impl Iterator<Item = (f64, u32)> {
        let first = (0.0, u32::from(self.newer.last() == Some(&true)));
        let later = self.rollouts.iter().filter(move |(of, ..)| *of == unit);
        std::iter::once(first).chain(later.map(|(_, since, build)| (*since, *build)))
    }

    /// The one at that time.
    pub(super) fn build_at(&self, unit: u32, hours: f64) -> u32 {
        self.builds(unit).filter(|(since, _)| *since <= hours).last().map_or(0, |(_, build)| build)
    }

    /// `attribute=value`, or `build=new`, or `rollout=1`, at any time.
    pub(super) fn has(&self, trigger: &str) -> bool {
        if trigger == "build=new" {
            return self.newer.last() == Some(&true);
        }
        if let Some(number) = trigger.strip_prefix("rollout=") {
            let build = number.parse::<u32>().ok().and_then(|number| number.checked_add(FIRST_ROLLOUT - 1));
            return self.rollouts.iter().any(|(.., own)| Some(*own) == build);
        }
        let told = self.attributes();
        trigger
            .split_once('=')
            .is_some_and(|(name, value)| told.iter().any(|(n, v)| *n == name && v == value))
    }

    /// kernel, cpu, microcode, region, role, rack.
    pub(super) fn attributes(&self) -> [(&'static str, String); 6] {
        let pick = |[old, new]: [&str; 2], newer: bool| if newer { new } else { old }.to_owned();
        let [kernel, model, microcode, _] = self.newer;
        // Each model has its own revisions.
        let revision = format!("{} of model {}", pick(MICROCODES, microcode), if model { 143 } else { 106 });
        [
            ("kernel", pick(KERNELS, kernel)),
            ("cpu", pick(MODELS, model)),
            ("microcode", revision),
            ("region", REGIONS.get(self.region).map_or("", |(name, _)| *name).to_owned()),
            ("role", ROLES.get(self.role).map_or("", |(name, ..)| *name).to_owned()),
            ("rack", format!("r{:04}", self.rack)),
        ]
    }
}

pub(super) fn weighted(weights: &[f64], dice: &mut Dice) -> usize {
    let mut left = dice.unit() * weights.iter().sum::<f64>();
    for (index, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return index;
        }
    }
    weights.len().saturating_sub(1)
}

/// The whole part of a number that is not negative and fits.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
pub(super) fn floor(value: f64) -> u32 {
    value.clamp(0.0, f64::from(u32::MAX)) as u32
}
