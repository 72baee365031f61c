//! What crashes on a simulated host, and why: the truth is kept beside each crash.

use super::dice::{Dice, hash};
use super::fleet::{FIRST_ROLLOUT, Host, Share, floor, weighted};
use super::scenario::{Bug, Kind, Plant, Scenario};
use super::stack::{VARIANTS, varied};
use crate::epidemiology::evidence::{Group, Shown};

/// Bugs of a unit, Zipf 1.1 between them.
const BUGS: u32 = 60;
/// Of these bugs every seventh is of wild pointers, some of which look flipped.
const WILD_BUG: u32 = 7;
const WILD_SHARE: f64 = 0.12;
/// Symptoms that software has; those of hardware are others, in part.
const SYMPTOMS: u32 = 24;

/// One crash.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// Number of the host.
    pub host: u32,
    /// Number of the unit.
    pub unit: u32,
    /// Which build of it: 0, or 1 for the newer.
    pub build: u32,
    /// The location key.
    pub signature: u64,
    /// The bug of software that it is, by its ordinary location key; None of what
    /// happens once.
    pub bug: Option<u64>,
    /// In which form the bug shows: 0 the ordinary one.
    pub variant: u32,
    /// The symptom key.
    pub symptom: u32,
    /// Hours since the beginning, by the host's clock.
    pub at: f64,
    /// Number of the boot.
    pub boot: u32,
    /// Physical core, where the record tells it.
    pub core: Option<u32>,
    /// Physical cores that the process was allowed to use; 0 where untold.
    pub allowed: u32,
    /// What its codes are.
    pub shown: Shown,
    /// What caused it; None is software like everywhere.
    pub cause: Option<Kind>,
}

/// Shares of flips, impossible states and damaged code.
type Evidence = [f64; 3];

/// Draws crashes of one host.
pub(super) struct Author<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) seed: u64,
}

impl Author<'_> {
    /// Everything that crashes on this host, in the order of time.
    pub(super) fn crashes(&self, number: u32, host: &Host) -> Vec<Event> {
        let mut dice = Dice::of(&[self.seed, u64::from(number), 0xfa17]);
        let mut events = Vec::new();
        let hours = self.scenario.days * 24.0;
        for _ in 0..dice.poisson(self.scenario.rate * self.scenario.days * host.load * host.role_factor()) {
            let at = dice.unit() * hours;
            let share = pick(host, &mut dice);
            let mut first = Some(at);
            let at = self
                .on_a_day(share.unit, &mut dice, |dice| first.take().unwrap_or_else(|| dice.unit() * hours));
            self.software(number, host, share, at, &mut events, &mut dice);
        }
        if self.scenario.heavy_tail > 0.0 {
            // A Pareto tail of hosts with odd programs that the model does not know.
            let mean = self.scenario.heavy_tail * ((1.0 - dice.unit()).powf(-1.0 / 1.5) - 1.0);
            let unit = pick(host, &mut dice);
            for _ in 0..dice.poisson(mean.min(40.0)) {
                let at = dice.unit() * hours;
                let wild = [self.scenario.flips, self.scenario.impossible, self.scenario.code];
                events.push(self.event(number, host, unit, dice.bits(), at, wild, None, &mut dice));
            }
        }
        if let Some(plant) = &host.plant {
            self.planted(number, host, plant, &mut events, &mut dice);
        }
        // A host that is installed anew is another boot, and the ones before are
        // other boots of the old system.
        for event in &mut events {
            let weeks = floor(event.at / 168.0);
            event.boot =
                weeks.saturating_add(u32::from(host.reimaged.is_some_and(|day| event.at > day * 24.0)));
            event.at += host.skew;
        }
        events.retain(|event| event.cause.is_some_and(Kind::is_defect) || dice.unit() >= self.scenario.lost);
        let again: Vec<Event> =
            events.iter().filter(|_| dice.unit() < self.scenario.twice).copied().collect();
        events.extend(again);
        events.sort_by(|a, b| a.at.total_cmp(&b.at));
        events
    }

    /// The crashes of a bug with a trigger, numbered from 1: on distinct hosts, by
    /// exposure and what they are.
    pub(super) fn bug(&self, number: u64, bug: &Bug, hosts: &[Host]) -> Vec<Event> {
        let mut dice = Dice::of(&[self.seed, number, 0xb06]);
        let weight = |host: &Host| -> f64 {
            let share = host.units.iter().find(|share| share.unit == bug.unit);
            let triggered = bug.trigger.iter().all(|trigger| host.has(trigger));
            share.map_or(0.0, |share| host.load * share.processes * if triggered { bug.ratio } else { 1.0 })
        };
        let rollout = bug.trigger.iter().find_map(|trigger| rollout_number(trigger));
        let mut weights: Vec<f64> = hosts.iter().map(weight).collect();
        let mut events = Vec::new();
        // Some draws are for nothing.
        let (mut drawn, most) = (0u32, bug.crashes.saturating_mul(100));
        for _ in 0..most {
            if drawn >= bug.crashes {
                break;
            }
            let index = weighted(&weights, &mut dice);
            let Some((host, weight)) = hosts.get(index).zip(weights.get_mut(index)) else { break };
            let Some(share) = host.units.iter().find(|share| share.unit == bug.unit) else { break };
            let at = self.on_a_day(bug.unit, &mut dice, |dice| self.bug_time(bug, dice));
            // Weighed as if it had the build all the time: before it comes, too much.
            let early = rollout.is_some_and(|rollout| host.build_at(bug.unit, at) != rollout);
            if early
                && bug.trigger.iter().all(|trigger| host.has(trigger))
                && dice.unit() * bug.ratio.max(1.0) >= 1.0
            {
                continue;
            }
            drawn = drawn.saturating_add(1);
            *weight = 0.0;
            let host_number = u32::try_from(index).unwrap_or(u32::MAX);
            let name = bug_signature(number);
            let evidence = self.usual();
            let mut event = self.event(host_number, host, *share, name, at, evidence, None, &mut dice);
            event.symptom = bug_symptom(number);
            event.bug = Some(name);
            events.push(event);
        }
        events
    }

    /// The form in which a host's build shows a bug.
    pub(super) fn vary(&self, event: &mut Event) {
        let Some(bug) = event.bug else { return };
        let own = (1u64..).zip(&self.scenario.bug).find(|(number, _)| bug_signature(*number) == bug);
        let share = own.map_or(0.0, |(_, bug)| bug.variants);
        let share = if share > 0.0 { share } else { self.scenario.variants };
        let place =
            [self.seed, u64::from(event.host), u64::from(event.unit), u64::from(event.build), bug, 0x7a];
        let mut dice = Dice::of(&place);
        if dice.unit() < share {
            event.variant = dice.below(VARIANTS).saturating_add(1);
            event.signature = varied(bug, event.variant, event.build);
        }
    }

    /// Hours; before it began as often as [`Bug::rise`] says.
    fn bug_time(&self, bug: &Bug, dice: &mut Dice) -> f64 {
        let after = self.scenario.days - bug.began;
        let before = if bug.rise > 0.0 { bug.began / bug.rise } else { 0.0 };
        // Nothing else is drawn where nothing was before: a scenario's fleet stays.
        let early = before > 0.0 && dice.unit() * (before + after) < before;
        24.0 * if early { dice.unit() * bug.began } else { bug.began + dice.unit() * after }
    }

    /// A moment as it is drawn, more often on the days on which the unit crashes more.
    fn on_a_day(&self, unit: u32, dice: &mut Dice, mut draw: impl FnMut(&mut Dice) -> f64) -> f64 {
        let variance = self.scenario.uneven_days;
        let mut at = draw(dice);
        if variance <= 0.0 {
            return at;
        }
        let most = 1.0 + 6.0 * variance.sqrt();
        for _ in 0..100 {
            let mut day = Dice::of(&[self.seed, u64::from(unit), u64::from(floor(at / 24.0)), 0xda7]);
            if dice.unit() * most < day.gamma(1.0 / variance) * variance {
                break;
            }
            at = draw(dice);
        }
        at
    }

    fn usual(&self) -> Evidence {
        [self.scenario.flips, self.scenario.impossible, self.scenario.code]
    }

    fn software(
        &self,
        number: u32,
        host: &Host,
        share: Share,
        at: f64,
        events: &mut Vec<Event>,
        dice: &mut Dice,
    ) {
        let mut evidence = self.usual();
        let (signature, symptom, known) = if dice.unit() < self.scenario.one_off {
            (dice.bits(), dice.below(SYMPTOMS), false)
        } else {
            let bug = zipf(dice);
            if bug % WILD_BUG == 3 {
                evidence = [WILD_SHARE, self.scenario.impossible, self.scenario.code];
            }
            let name = hash(&[0xb06, u64::from(share.unit), u64::from(bug)]);
            (name, Dice::of(&[name, 0x57]).below(SYMPTOMS), true)
        };
        let mut first = self.event(number, host, share, signature, at, evidence, None, dice);
        first.symptom = symptom;
        first.bug = known.then_some(signature);
        events.push(first);
        if dice.unit() < self.scenario.loops {
            self.repeat(first, events, dice);
        }
    }

    /// systemd starts it again, and it crashes again.
    fn repeat(&self, first: Event, events: &mut Vec<Event>, dice: &mut Dice) {
        let pinned = dice.unit() < 0.2;
        let pause = 0.0001 + dice.unit() * 0.02;
        let mut at = first.at;
        for _ in 0..dice.below(58).saturating_add(2) {
            at += pause;
            let core = if pinned { first.core } else { first.core.map(|_| dice.below(self.scenario.cores)) };
            let allowed = if pinned { first.allowed.min(1) } else { first.allowed };
            events.push(Event { at, core, allowed, ..first });
        }
    }

    fn planted(&self, number: u32, host: &Host, plant: &Plant, events: &mut Vec<Event>, dice: &mut Dice) {
        let hours = self.scenario.days * 24.0;
        let kind = Some(plant.kind);
        let drawn = match plant.crashes {
            0 => dice.poisson(plant.mean),
            crashes => crashes,
        };
        let merged = u64::from(plant.merged);
        match plant.kind {
            Kind::BadCore | Kind::BadDimm | Kind::Erratum => {
                let core = (plant.kind == Kind::BadCore).then(|| dice.below(self.scenario.cores));
                let repeated = dice.bits();
                for _ in 0..drawn {
                    // More of them when it is warm.
                    let day = f64::from(dice.below(floor(self.scenario.days).max(1)));
                    let at = (day * 24.0 + 14.0 + 5.0 * dice.normal()).rem_euclid(hours);
                    let signature = match dice.unit() {
                        _ if merged > 0 => bug_signature(merged),
                        u if u < plant.repeats => repeated,
                        _ => dice.bits(),
                    };
                    let evidence = plant.evidence.shares();
                    let mut event =
                        self.event(number, host, pick(host, dice), signature, at, evidence, kind, dice);
                    if let Some(core) = core.filter(|_| dice.unit() < ON_CORE) {
                        self.on(core, host, &mut event, dice);
                    }
                    event.bug = (merged > 0).then_some(signature);
                    event.symptom = if plant.same_symptom {
                        bug_symptom(merged)
                    } else {
                        SYMPTOMS.saturating_sub(2).saturating_add(dice.below(8))
                    };
                    events.push(event);
                }
            }
            Kind::CrashLoop => {
                let share = pick(host, dice);
                let at = dice.unit() * hours;
                let first = self.event(number, host, share, dice.bits(), at, self.usual(), kind, dice);
                events.push(first);
                for _ in 0..3 {
                    self.repeat(first, events, dice);
                }
            }
            Kind::Spray | Kind::PinnedSpray => {
                let share = host.units.first().copied().unwrap_or(NOTHING);
                let begin = dice.unit() * hours * 0.9;
                let long = 1.0 + 70.0 * dice.unit();
                let wild = [0.25, self.scenario.impossible, self.scenario.code];
                for _ in 0..dice.below(12).saturating_add(4) {
                    let at = begin + dice.unit() * long;
                    events.push(self.event(number, host, share, dice.bits(), at, wild, kind, dice));
                }
            }
            Kind::Ci | Kind::CiWild => {
                let mean = 1.0 + dice.gamma(1.5) * 4.0;
                let share = if plant.kind == Kind::Ci {
                    self.scenario.flips
                } else {
                    [0.06, 0.12, 0.25, 0.45]
                        .get(usize::try_from(dice.below(4)).unwrap_or(0))
                        .copied()
                        .unwrap_or(0.12)
                };
                let wild = [share, self.scenario.impossible, self.scenario.code];
                for _ in 0..dice.poisson(mean) {
                    let (unit, at) = (pick(host, dice), dice.unit() * hours);
                    events.push(self.event(number, host, unit, dice.bits(), at, wild, kind, dice));
                }
            }
            Kind::SingleTenant => {
                let share = host.units.last().copied().unwrap_or(NOTHING);
                for _ in 0..dice.poisson(4.0) {
                    let at = dice.unit() * hours;
                    let signature = hash(&[u64::from(share.unit), u64::from(dice.below(5))]);
                    events.push(self.event(number, host, share, signature, at, self.usual(), kind, dice));
                }
            }
            Kind::Canary => {
                for _ in 0..dice.poisson(2.0) {
                    let (share, at) = (pick(host, dice), dice.unit() * hours);
                    let bug = hash(&[0xca, u64::from(share.unit), u64::from(dice.below(40))]);
                    events.push(self.event(number, host, share, bug, at, self.usual(), kind, dice));
                }
            }
            Kind::NoisyEcc => {}
        }
    }

    /// The crash was on this core, by a unit that may use it.
    fn on(&self, core: u32, host: &Host, event: &mut Event, dice: &mut Dice) {
        let may = |share: &Share| {
            (share.first_core..share.first_core.saturating_add(share.allowed)).contains(&core)
        };
        let units: Vec<Share> = host.units.iter().filter(|share| may(share)).copied().collect();
        let weights: Vec<f64> = units.iter().map(|share| share.processes).collect();
        let Some(share) = units.get(weighted(&weights, dice)) else { return };
        event.unit = share.unit;
        event.build = host.build_at(event.unit, event.at);
        if event.core.is_some() {
            (event.core, event.allowed) = (Some(core), share.allowed);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "what a crash is of")]
    fn event(
        &self,
        number: u32,
        host: &Host,
        share: Share,
        signature: u64,
        at: f64,
        evidence: Evidence,
        cause: Option<Kind>,
        dice: &mut Dice,
    ) -> Event {
        let untold = dice.unit() < self.scenario.missing;
        let core = share.first_core.saturating_add(dice.below(share.allowed.max(1)));
        let shown = shown(evidence, cause.is_some_and(Kind::is_defect), dice);
        Event {
            host: number,
            unit: share.unit,
            build: host.build_at(share.unit, at),
            signature,
            bug: None,
            variant: 0,
            symptom: dice.below(SYMPTOMS),
            at,
            boot: 0,
            core: (!untold).then_some(core),
            allowed: if untold { 0 } else { share.allowed },
            shown: if untold { Shown::default() } else { shown },
            cause,
        }
    }
}

/// The build of "rollout=1".
fn rollout_number(trigger: &str) -> Option<u32> {
    trigger.strip_prefix("rollout=")?.parse::<u32>().ok()?.checked_add(FIRST_ROLLOUT)?.checked_sub(1)
}

/// The location key of a bug with a trigger, and its symptom.
pub(super) fn bug_signature(number: u64) -> u64 {
    hash(&[0xb07, number])
}

fn bug_symptom(number: u64) -> u32 {
    Dice::of(&[number, 0x57]).below(20)
}

/// Share of a bad core's crashes that happen on it.
const ON_CORE: f64 = 0.6;
const NOTHING: Share = Share { unit: 0, processes: 0.0, first_core: 0, allowed: 1 };

/// A unit, by its processes.
fn pick(host: &Host, dice: &mut Dice) -> Share {
    let weights: Vec<f64> = host.units.iter().map(|share| share.processes).collect();
    host.units.get(weighted(&weights, dice)).copied().unwrap_or(NOTHING)
}

/// What the record of a crash shows. Which of the flips' codes it is goes by how
/// often the corpus saw each.
fn shown(evidence: Evidence, hardware: bool, dice: &mut Dice) -> Shown {
    let [flips, impossible, code] = evidence;
    let mut shown = Shown([1; 5]);
    // Null, text, and aborts: of real injections and bugs.
    let (null, text, abort) = if hardware { (0.18, 0.026, 0.01) } else { (0.145, 0.054, 0.105) };
    match dice.unit() {
        u if u < flips => {
            let codes = ["E-BITFLIP-WITNESS", "E-BITFLIP-NONCANON", "E-BITFLIP-UNMAPPED"];
            let which = weighted(&[0.40, 0.25, 0.35], dice);
            shown = shown.with(Group::Pointer, codes.get(which).copied().unwrap_or("-"));
        }
        u if u < flips + null => shown = shown.with(Group::Pointer, "E-NULL"),
        u if u < flips + null + text => shown = shown.with(Group::Pointer, "E-TEXT"),
        u if u < flips + null + text + abort => shown = shown.with(Group::Ended, "E-ABORT"),
        _ => {}
    }
    if dice.unit() < impossible {
        let codes = ["E-RSP-OFF8", "E-IP-MIDDLE", "E-REG-CONTRADICTS"];
        let which = weighted(&[0.78, 0.12, 0.10], dice);
        shown = shown.with(Group::ControlFlow, codes.get(which).copied().unwrap_or("-"));
    }
    if dice.unit() < code {
        if dice.unit() < 0.86 {
            shown = shown.with(Group::CodePage, "E-CODE-1BIT");
        } else {
            shown = shown.with(Group::ControlFlow, "E-REG-CONTRADICTS");
        }
    }
    shown
}

/// Rank k with a weight of k^−1.1.
fn zipf(dice: &mut Dice) -> u32 {
    // The sum of the weights is 3.949708.
    let weight = |rank: u32| f64::from(rank).powf(-1.1);
    let mut left = dice.unit() * 3.949_708;
    for rank in 1..=BUGS {
        left -= weight(rank);
        if left < 0.0 {
            return rank;
        }
    }
    BUGS
}
