//! Records and censuses of any number of hosts become a population.
//!
//! Everything is optional and nothing is believed twice: what is missing is
//! counted in [`Heard`], what came twice counts once, and of the exposure each
//! moment of a boot is counted once however many reports tell of it.

use std::collections::{HashMap, HashSet};

use super::courses::{self, Courses, Report, exposures};
use super::facts::{FIXED, Fleet};
use super::frames::Frames;
use super::names::{Names, named};
use super::order::{canonical, ranks_by_name, to};
use crate::epidemiology::evidence::{Group, Shown};
use crate::epidemiology::population::{Control, Crash, Host, Population, UNKNOWN};
use crate::record::{Exposure, Id, Kind, Record, coverage, workload};

const HOUR_NS: f64 = 3.6e12;
const DAY_NS: u64 = 86_400_000_000_000;
/// Places of the attributes that a revision of a processor is made of.
pub const KIND: [usize; 2] = [1, 2];
/// Hosts of a study, at most.
const HOSTS: usize = 1 << 20;
/// Controls that are kept, at most (12 bytes each); more tell no more of a fleet.
const CONTROLS: usize = 1 << 18;

/// What was there, and what was not.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Heard {
    /// Crashes that the study is about.
    pub crashes: u64,
    /// That came again.
    pub twice: u64,
    /// Without a host's name: of no use.
    pub nameless: u64,
    /// Without a time, or outside the window.
    pub outside: u64,
    /// That could not be read: damaged, of a newer version, or only their columns
    /// are kept.
    pub unread: u64,
    /// Of privileged processes, which were not asked for.
    pub private: u64,
    /// Without any key of a place: a minimal record, no stack.
    pub keyless: u64,
    /// Without a known core, or without the cores that the process might use.
    pub coreless: u64,
    /// Censuses that count.
    pub censuses: u64,
    /// Hosts without one.
    pub unobserved: u64,
    /// Hosts that told of more processes than can be believed: counted as the most that
    /// can.
    pub capped: u64,
    /// Labels that few hosts have, left out.
    pub labels: u64,
}

/// Of the window, or of the time before it; nanoseconds since the epoch.
enum When {
    Within(u64),
    Before(u64),
}

/// The key that stands for the record's bug: L2, else L1, else L0.
fn signature(record: &Record) -> Option<String> {
    let keys = &record.keys;
    keys.portable.or(keys.functions).or(keys.leaf).map(|key| format!("{:016x}", key.0))
}

/// Collects; then [`Gather::done`].
#[derive(Debug)]
pub struct Gather {
    since: u64,
    until: u64,
    /// Beginning of what is kept of the time before the window.
    earliest: u64,
    heard: Heard,
    hosts: Names,
    units: Names,
    builds: Names,
    signatures: Names,
    symptoms: Names,
    boots: Names,
    facts: Fleet,
    ids: HashSet<Id>,
    crashes: Vec<Crash>,
    earlier: Vec<Crash>,
    /// Container → image, as censuses told.
    images: HashMap<(u32, String), String>,
    waiting: Vec<(Crash, String)>,
    /// Hosts and signatures that may be of the time before the window only: those of
    /// `earlier` and `spans`.
    everyone: Names,
    places: Names,
    spans: HashMap<(u32, u32), Vec<Report>>,
    frames: Frames,
    controls: Vec<(Vec<u8>, Control)>,
    /// The earliest moment that anything told of.
    first: u64,
}

impl Gather {
    /// For crashes and censuses of a window, nanoseconds since the epoch.
    pub fn new(since: u64, until: u64) -> Gather {
        Gather {
            since,
            until,
            earliest: since,
            heard: Heard::default(),
            hosts: Names::default(),
            units: Names::default(),
            builds: Names::default(),
            signatures: Names::default(),
            symptoms: Names::default(),
            boots: Names::default(),
            facts: Fleet::default(),
            ids: HashSet::new(),
            crashes: Vec::new(),
            earlier: Vec::new(),
            images: HashMap::new(),
            waiting: Vec::new(),
            everyone: Names::default(),
            places: Names::default(),
            spans: HashMap::new(),
            frames: Frames::default(),
            controls: Vec::new(),
            first: until,
        }
    }

    /// So many days before the window tell what was usual, as far as there are records
    /// of them. Nothing else is said of them.
    #[must_use]
    pub fn with_history(mut self, days: u32) -> Gather {
        self.earliest = self.since.saturating_sub(u64::from(days).saturating_mul(DAY_NS));
        self
    }

    /// When something was, if it is new, and of the window or of the time before it.
    fn when(&mut self, id: &Id, at: Option<u64>) -> Option<When> {
        if !id.0.is_empty() && !self.ids.insert(id.clone()) {
            self.heard.twice = self.heard.twice.saturating_add(1);
            return None;
        }
        let Some(at) = at.filter(|at| *at >= self.earliest && *at <= self.until) else {
            self.heard.outside = self.heard.outside.saturating_add(1);
            return None;
        };
        self.first = self.first.min(at);
        Some(if at < self.since { When::Before(at) } else { When::Within(at) })
    }

    fn build(&mut self, build: Option<&Id>) -> u32 {
        build.map_or(UNKNOWN, |build| self.builds.number(&build.hex()))
    }

    /// Hours since the beginning of the window.
    fn hours(&self, at: u64) -> f64 {
        let back = self.since.saturating_sub(at) as f64 / HOUR_NS;
        at.saturating_sub(self.since) as f64 / HOUR_NS - back
    }

    /// A crash before the window: of which place and build, where and when.
    fn crash_earlier(&mut self, record: &Record, at: u64) {
        let name = record.host.name.as_deref().filter(|name| !name.is_empty());
        let Some((name, signature)) = name.zip(signature(record)) else { return };
        let crash = Crash {
            host: self.everyone.number(name),
            unit: UNKNOWN,
            build: self.build(record.process.build_id.as_ref()),
            signature: self.places.number(&signature),
            at: self.hours(at),
            ..Crash::default()
        };
        self.earlier.push(crash);
    }

    fn host(&mut self, name: Option<&str>) -> Option<u32> {
        let name = name.filter(|name| !name.is_empty());
        // Beyond the limit those that are known go on.
        let host = name.and_then(|name| {
            let room = self.hosts.list().len() < HOSTS;
            self.hosts.known(name).or_else(|| room.then(|| self.hosts.number(name)))
        });
        if host.is_none() {
            self.heard.nameless = self.heard.nameless.saturating_add(1);
        }
        host
    }

    /// One crash.
    pub fn crash(&mut self, record: &Record) {
        let at = match self.when(&record.id, record.realtime_ns) {
            Some(When::Within(at)) => at,
            Some(When::Before(at)) => return self.crash_earlier(record, at),
            None => return,
        };
        let Some(host) = self.host(record.host.name.as_deref()) else { return };
        let says = (record.host.kernel.as_deref(), record.host.arch.as_deref());
        self.facts.learn(host, Fleet::moment(at, &record.id), says, &record.hardware);
        let Some(signature) = signature(record) else {
            self.heard.keyless = self.heard.keyless.saturating_add(1);
            return;
        };
        let process = &record.process;
        let named = workload::of(None, process.unit.as_deref(), process.exe.as_deref());
        let unit = self.units.number(named.as_deref().unwrap_or("(unknown)"));
        let build = self.build(process.build_id.as_ref());
        let core = record.hardware.topology.as_ref().and_then(|topology| {
            Some(topology.package.unwrap_or(0).saturating_mul(1 << 16).saturating_add(topology.core?))
        });
        let allowed = process.allowed_cores.unwrap_or(0);
        if core.is_none() || allowed == 0 {
            self.heard.coreless = self.heard.coreless.saturating_add(1);
        }
        let boot = record.host.boot.as_ref().map_or(String::new(), Id::hex);
        let symptom = record.fault.symptom.map_or(0, |symptom| symptom.0);
        let signature = self.signatures.number(&signature);
        self.frames.learn(signature, host, record);
        self.heard.crashes = self.heard.crashes.saturating_add(1);
        let crash = Crash {
            host,
            unit,
            build,
            signature,
            symptom: self.symptoms.number(&format!("{symptom:016x}")),
            at: self.hours(at),
            boot: self.boots.number(&boot),
            core: core.unwrap_or(UNKNOWN),
            allowed,
            shown: shown(record),
        };
        match &process.container {
            Some(container) => self.waiting.push((crash, container.clone())),
            None => self.crashes.push(crash),
        }
    }

    /// One census.
    pub fn census(&mut self, exposure: &Exposure) {
        let at = match self.when(&exposure.id, exposure.realtime_ns) {
            Some(When::Within(at)) => at,
            Some(When::Before(at)) => return self.report(exposure, at, false),
            None => return,
        };
        let Some(host) = self.host(exposure.host.name.as_deref()) else { return };
        self.heard.censuses = self.heard.censuses.saturating_add(1);
        let moment = Fleet::moment(at, &exposure.id);
        let says = (exposure.host.kernel.as_deref(), exposure.host.arch.as_deref());
        self.facts.learn(host, moment, says, &exposure.hardware);
        for (name, value) in &exposure.labels {
            self.facts.label(host, moment, name, value);
        }
        for (container, image) in &exposure.images {
            // One image a container; where a host says two, one and always the same.
            let known = self.images.entry((host, container.clone())).or_insert_with(|| image.clone());
            if *image < *known {
                known.clone_from(image);
            }
        }
        self.control(host, exposure);
        self.report(exposure, at, true);
    }

    /// What ran.
    fn report(&mut self, exposure: &Exposure, at: u64, counts: bool) {
        let (Some(since), Some(end)) = (exposure.since_ns, exposure.boottime_ns) else { return };
        let Some(name) = exposure.host.name.as_deref().filter(|name| !name.is_empty()) else { return };
        let ends = self.hours(at);
        let host = self.everyone.number(name);
        let ms = |ns: u64| i64::try_from(ns / 1_000_000).unwrap_or(i64::MAX);
        let running = exposure
            .running
            .iter()
            .filter_map(|running| {
                let image = running.image.as_deref();
                let named = workload::of(image, running.unit.as_deref(), running.exe.as_deref())?;
                let build = self.build(running.build_id.as_ref());
                Some((self.units.number(&named), build, running.n))
            })
            .collect();
        let boot = self.boots.number(&exposure.host.boot.as_ref().map_or(String::new(), Id::hex));
        let reports = self.spans.entry((host, boot)).or_default();
        let span = coverage::claim((ms(since), ms(end)));
        reports.push(Report { span, id: Fleet::moment(at, &exposure.id).1, ends, counts, running });
    }

    /// What never came this far.
    pub fn missed(&mut self, unread: u64, private: u64) {
        self.heard.unread = self.heard.unread.saturating_add(unread);
        self.heard.private = self.heard.private.saturating_add(private);
    }

    /// The living process that a census drew.
    fn control(&mut self, host: u32, exposure: &Exposure) {
        let Some(process) = exposure.control.as_ref().map(|control| &control.process) else { return };
        let image = process.container.as_ref().and_then(|own| {
            exposure.images.iter().find(|(container, _)| container == own).map(|(_, image)| image.as_str())
        });
        let Some(named) = workload::of(image, process.unit.as_deref(), process.exe.as_deref()) else {
            return;
        };
        let build = self.build(process.build_id.as_ref());
        let control = Control { host, unit: self.units.number(&named), build };
        // Their ids are random, so that those of the lowest are a fair sample, and the same
        // in whatever order they come.
        self.controls.push((exposure.id.0.iter().rev().copied().collect(), control));
        if self.controls.len() >= CONTROLS.saturating_mul(2) {
            self.fewer_controls();
        }
    }

    fn fewer_controls(&mut self) {
        self.controls.sort_by(|a, b| a.0.cmp(&b.0));
        self.controls.truncate(CONTROLS);
    }

    /// The population, its signatures' names, and what was not there.
    pub fn done(mut self) -> (Population, Directory, Heard) {
        self.fewer_controls();
        let waiting = std::mem::take(&mut self.waiting);
        for (mut crash, container) in waiting {
            let image = self.images.get(&(crash.host, container));
            if let Some(image) = image.map(|image| workload::short(image).into_owned()) {
                crash.unit = self.units.number(&image);
            }
            self.crashes.push(crash);
        }
        let hours = self.until.saturating_sub(self.since) as f64 / HOUR_NS;
        // Days of which nothing is known at all are no days without crashes.
        let before =
            24.0 * courses::whole(self.since.saturating_sub(self.first) as f64 / DAY_NS as f64) as f64;
        let earlier = self.earlier(before);
        let mut courses = Courses::new(before, hours);
        let (exposures, capped) = exposures(
            std::mem::take(&mut self.spans),
            (self.everyone.list(), self.boots.list()),
            &mut courses,
        );
        self.heard.capped = capped;
        let (attributes, known, left) = std::mem::take(&mut self.facts).done(self.hosts.list().len());
        self.heard.labels = left;
        let mut hosts = Vec::with_capacity(known.len());
        for (known, name) in known.into_iter().zip(self.hosts.list()) {
            let own = self.everyone.known(name).and_then(|number| exposures.get(&number));
            let (hours, runs) = own.cloned().unwrap_or_default();
            self.heard.unobserved = self.heard.unobserved.saturating_add(u64::from(hours <= 0.0));
            hosts.push(Host {
                name: name.clone(),
                values: known.values,
                hours,
                cores: known.cores,
                runs,
                corrected: known.corrected,
                uncorrected: known.uncorrected,
            });
        }
        let (boots, symptoms) = (ranks_by_name(self.boots.list()), ranks_by_name(self.symptoms.list()));
        for crash in &mut self.crashes {
            (crash.boot, crash.symptom) = (to(&boots, crash.boot), to(&symptoms, crash.symptom));
        }
        let mut population = Population {
            hours,
            hosts,
            units: self.units.list().to_vec(),
            attributes,
            crashes: self.crashes,
            before,
            earlier,
            courses: courses.done(),
            controls: self.controls.into_iter().map(|(_, control)| control).collect(),
            ..Population::default()
        };
        let mut directory = Directory {
            since: self.since,
            signatures: self.signatures.list().to_vec(),
            builds: self.builds.list().to_vec(),
        };
        let signatures = canonical(&mut population, &mut directory, FIXED.len());
        (population.stacks, population.frames, population.files) = self.frames.done(&signatures);
        (population, directory, self.heard)
    }

    /// Crashes of the hours before the window, of signatures that are in it too. Hosts
    /// that are not in it are numbered from the top.
    fn earlier(&mut self, hours: f64) -> Vec<Crash> {
        let (places, everyone) = (std::mem::take(&mut self.places), &self.everyone);
        let number = |names: &Names, list: &Names, index: u32| names.known(named(list.list(), index)?);
        let mut earlier: Vec<Crash> = std::mem::take(&mut self.earlier)
            .into_iter()
            .filter(|crash| crash.at >= -hours)
            .filter_map(|crash| {
                let signature = number(&self.signatures, &places, crash.signature)?;
                let host = number(&self.hosts, everyone, crash.host);
                let host = host.unwrap_or(UNKNOWN.saturating_sub(crash.host).saturating_sub(1));
                Some(Crash { host, signature, ..crash })
            })
            .collect();
        earlier.sort_by(|a, b| a.at.total_cmp(&b.at));
        earlier
    }
}

/// What indices of a population mean to people.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Directory {
    /// Beginning of the window, nanoseconds since the epoch.
    pub since: u64,
    /// Location keys, hexadecimal.
    pub signatures: Vec<String>,
    /// Build-ids, hexadecimal.
    pub builds: Vec<String>,
}

impl Directory {
    /// Hours since the beginning of the window → nanoseconds since the epoch.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
    pub fn moment(&self, hours: f64) -> u64 {
        if !hours.is_finite() {
            return self.since;
        }
        let since = self.since.saturating_sub((-hours * HOUR_NS).clamp(0.0, 1e18) as u64);
        since.saturating_add((hours * HOUR_NS).clamp(0.0, 1e18) as u64)
    }

    /// The day of the window, from 0.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
    pub(super) fn day(&self, hours: f64) -> usize {
        (hours / 24.0).clamp(0.0, 1e6) as usize
    }
}

/// What a record's codes are, and where nobody looked.
pub fn shown(record: &Record) -> Shown {
    if record.kind == Kind::Minimal {
        return Shown::default();
    }
    let codes = record.fault.evidence.iter().map(|(code, _)| code.as_str()).collect();
    let mut looked = vec![Group::Ended];
    if record.kind == Kind::Full {
        looked.push(Group::MachineCheck);
    }
    if record.fault.code_page.is_some() {
        looked.push(Group::CodePage);
    }
    let is_x86 = record.host.arch.as_deref().is_none_or(|arch| arch == "x86_64");
    if is_x86 && record.fault.cause.is_some() {
        looked.push(Group::ControlFlow);
    }
    if record.fault.access.is_some() {
        looked.push(Group::Pointer);
    }
    Shown::of(&codes, &looked)
}
