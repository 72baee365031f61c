//! What a simulated fleet is like, and what is planted in it.
//!
//! A scenario is a small TOML file. Everything has a default: the empty file is a
//! fleet with every confounder that real ones have and with nothing wrong.

use serde::{Deserialize, Serialize};

/// Attributes of a host that a bug may need.
const TRIGGERS: [&str; 6] = ["kernel", "cpu", "microcode", "region", "role", "rack"];

/// A fleet, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scenario {
    /// What it is about, for people.
    pub about: String,
    /// Days that pass.
    pub days: f64,
    /// Physical cores of a host.
    pub cores: u32,
    /// Software's crashes of an average host a day.
    pub rate: f64,
    /// Units of the fleet.
    pub units: u32,
    /// Share of software's crashes that nobody will see again.
    pub one_off: f64,
    /// Share of software's crashes that look one bit away from good.
    pub flips: f64,
    /// Share of software's crashes with a state that looks impossible.
    pub impossible: f64,
    /// Share of software's crashes with damaged code.
    pub code: f64,
    /// Share of the crashes that begin a crash loop of 3 to 60.
    pub loops: f64,
    /// Share of (host, unit) pairs that are pinned to one core.
    pub pinned: f64,
    /// Share of the crashes whose record lacks core and evidence.
    pub missing: f64,
    /// Share of the records that are lost on their way.
    pub lost: f64,
    /// Share of the records that arrive twice.
    pub twice: f64,
    /// Share of hosts that are installed anew in the window.
    pub reimaged: f64,
    /// Hosts whose clock is off by hours, as a share.
    pub skewed: f64,
    /// Whether there is a census.
    pub census: bool,
    /// Shape of the gamma distribution of exposure; small is uneven.
    pub exposure_shape: f64,
    /// Share of software's one-off crashes that is spread by a heavy tail over
    /// hosts instead of by exposure.
    pub heavy_tail: f64,
    /// What is planted on hosts.
    pub plant: Vec<Plant>,
    /// Bugs of software with a trigger.
    pub bug: Vec<Bug>,
    /// New builds that come in the window.
    pub rollout: Vec<Rollout>,
    /// Variance of a day's crashes of one unit beyond chance, relative to their mean.
    pub uneven_days: f64,
    /// Whether the innocents that every fleet has are there.
    pub innocents: bool,
    /// Share of the hosts on which a bug of software shows in another form: inlined,
    /// split, without a name over builds, or in a function of the C library.
    pub variants: f64,
}

impl Default for Scenario {
    fn default() -> Scenario {
        Scenario {
            about: String::new(),
            days: 28.0,
            cores: 64,
            rate: 0.03,
            units: 40,
            one_off: 0.06,
            flips: 0.02,
            impossible: 0.001,
            code: 0.0001,
            loops: 0.015,
            pinned: 0.05,
            missing: 0.1,
            lost: 0.05,
            twice: 0.02,
            reimaged: 0.02,
            skewed: 0.01,
            census: true,
            exposure_shape: 4.0,
            heavy_tail: 0.0,
            plant: Vec::new(),
            bug: Vec::new(),
            rollout: Vec::new(),
            uneven_days: 0.0,
            innocents: true,
            variants: 0.0,
        }
    }
}

/// Something planted, on this many hosts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Plant {
    /// What.
    pub kind: Kind,
    /// On how many hosts; 0 is the kind's own share of the fleet.
    pub hosts: u32,
    /// Crashes that it makes on each; 0 is drawn.
    pub crashes: u32,
    /// What the records of its crashes show.
    pub evidence: Level,
    /// Of a defect of a core: share of its crashes that repeat one signature.
    pub repeats: f64,
    /// Crashes on each host, on average, where `crashes` does not say how many.
    pub mean: f64,
    /// Its crashes bear the signature of this bug of the scenario, counted from 1.
    pub merged: u32,
    /// And its symptom.
    pub same_symptom: bool,
}

impl Default for Plant {
    fn default() -> Plant {
        Plant {
            kind: Kind::BadCore,
            hosts: 0,
            crashes: 0,
            evidence: Level::Medium,
            repeats: 0.0,
            mean: 5.0,
            merged: 0,
            same_symptom: false,
        }
    }
}

impl Scenario {
    /// A trigger that no host can have would be a bug that nothing needs.
    fn check_trigger(&self, trigger: &str) -> Result<(), String> {
        let known = match trigger.split_once('=') {
            Some(("build", value)) => value == "new",
            Some(("rollout", number)) => {
                number.parse::<usize>().is_ok_and(|number| (1..=self.rollout.len()).contains(&number))
            }
            Some((name, value)) => TRIGGERS.contains(&name) && !value.is_empty(),
            None => false,
        };
        if known {
            return Ok(());
        }
        Err(format!(
            "bug.trigger \"{trigger}\": it is build=new, rollout=N of a [[rollout]] here, or NAME=VALUE with {}",
            TRIGGERS.join(", ")
        ))
    }

    /// What of it makes no sense, in words.
    ///
    /// # Errors
    ///
    /// The first thing that does not.
    pub fn check(&self) -> Result<(), String> {
        let is = |what: &str, value: f64, low: f64, high: f64| {
            let fits = (low..=high).contains(&value);
            if fits { Ok(()) } else { Err(format!("{what} = {value}: it is between {low} and {high}")) }
        };
        is("days", self.days, 1.0, 3660.0)?;
        is("cores", f64::from(self.cores), 1.0, 4096.0)?;
        is("units", f64::from(self.units), 4.0, 100_000.0)?;
        is("rate", self.rate, 0.0, 1000.0)?;
        is("exposure-shape", self.exposure_shape, 0.05, 1000.0)?;
        is("heavy-tail", self.heavy_tail, 0.0, 100.0)?;
        for (what, share) in [
            ("one-off", self.one_off),
            ("flips", self.flips),
            ("impossible", self.impossible),
            ("code", self.code),
            ("loops", self.loops),
            ("pinned", self.pinned),
            ("missing", self.missing),
            ("lost", self.lost),
            ("twice", self.twice),
            ("reimaged", self.reimaged),
            ("skewed", self.skewed),
            ("variants", self.variants),
        ] {
            is(what, share, 0.0, 1.0)?;
        }
        for plant in &self.plant {
            is("plant.mean", plant.mean, 0.0, 10_000.0)?;
            is("plant.repeats", plant.repeats, 0.0, 1.0)?;
            is("plant.crashes", f64::from(plant.crashes), 0.0, 1e6)?;
            is("plant.merged", f64::from(plant.merged), 0.0, self.bug.len() as f64)?;
        }
        for bug in &self.bug {
            is("bug.ratio", bug.ratio, 0.0, 1e9)?;
            is("bug.variants", bug.variants, 0.0, 1.0)?;
            is("bug.began", bug.began, 0.0, self.days)?;
            is("bug.rise", bug.rise, 0.0, 1e6)?;
            is("bug.unit", f64::from(bug.unit), 0.0, f64::from(self.units.saturating_sub(1)))?;
            for trigger in &bug.trigger {
                self.check_trigger(trigger)?;
            }
        }
        is("uneven-days", self.uneven_days, 0.0, 10.0)?;
        for rollout in &self.rollout {
            is("rollout.day", rollout.day, 0.0, self.days)?;
            is("rollout.share", rollout.share, 0.0, 1.0)?;
            is("rollout.unit", f64::from(rollout.unit), 0.0, f64::from(self.units.saturating_sub(1)))?;
        }
        Ok(())
    }
}

/// A bug of software.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Bug {
    /// Which unit has it.
    pub unit: u32,
    /// Crashes in the window, each on another host as far as there are any.
    pub crashes: u32,
    /// What it needs: `attribute=value`, `build=new`, or `rollout=1`: the build of the
    /// scenario's first rollout. All of them together.
    pub trigger: Vec<String>,
    /// How much more often it happens where all of these hold.
    pub ratio: f64,
    /// The day on which it begins.
    pub began: f64,
    /// Share of its hosts on which it shows in another form; 0 is the scenario's.
    pub variants: f64,
    /// How many times as often it happens from then on; 0: it never did before.
    pub rise: f64,
}

/// A new build of a unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rollout {
    /// The unit.
    pub unit: u32,
    /// The day on which it comes.
    pub day: f64,
    /// Share of the hosts that get it.
    pub share: f64,
}

impl Default for Rollout {
    fn default() -> Rollout {
        Rollout { unit: 0, day: 0.0, share: 0.1 }
    }
}

impl Default for Bug {
    fn default() -> Bug {
        Bug { unit: 0, crashes: 20, trigger: Vec::new(), ratio: 1.0, began: 0.0, variants: 0.0, rise: 0.0 }
    }
}

/// What can be planted: defects, then innocents that look like them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// One core computes wrongly.
    BadCore,
    /// Memory of one host is bad.
    BadDimm,
    /// All hosts of one CPU model and microcode compute wrongly.
    Erratum,
    /// A crash loop of one service.
    CrashLoop,
    /// One rogue write, many signatures, one unit.
    Spray,
    /// The same in a unit that is pinned to one core.
    PinnedSpray,
    /// Builds and tests run there: signatures of its own.
    Ci,
    /// The same, and its programs have wild pointers.
    CiWild,
    /// One tenant's program runs nowhere else.
    SingleTenant,
    /// New builds come here first.
    Canary,
    /// Corrected memory errors, and no defect.
    NoisyEcc,
}

impl Kind {
    /// True for what a study should accuse a machine of.
    pub fn is_defect(self) -> bool {
        matches!(self, Kind::BadCore | Kind::BadDimm | Kind::Erratum)
    }

    /// As the scenario spells it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::BadCore => "bad-core",
            Kind::BadDimm => "bad-dimm",
            Kind::Erratum => "erratum",
            Kind::CrashLoop => "crash-loop",
            Kind::Spray => "spray",
            Kind::PinnedSpray => "pinned-spray",
            Kind::Ci => "ci",
            Kind::CiWild => "ci-wild",
            Kind::SingleTenant => "single-tenant",
            Kind::Canary => "canary",
            Kind::NoisyEcc => "noisy-ecc",
        }
    }
}

/// Innocents that every fleet has, with their share of the hosts.
pub(super) const INNOCENTS: [(Kind, f64); 7] = [
    (Kind::Spray, 0.001),
    (Kind::PinnedSpray, 0.0005),
    (Kind::Ci, 0.008),
    (Kind::CiWild, 0.004),
    (Kind::SingleTenant, 0.01),
    (Kind::Canary, 0.02),
    (Kind::NoisyEcc, 0.02),
];

/// What the records of a defect's crashes show, beside what software's do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// A pointer one bit from a good one, in 35 of 100.
    Weak,
    /// The same, and an impossible state in 20 of 100.
    #[default]
    Medium,
    /// The same as weak, and damaged code or a register that contradicts its
    /// instruction in 50 of 100.
    Strong,
}

impl Level {
    /// Shares of flips, impossible states, and damaged code.
    pub(super) fn shares(self) -> [f64; 3] {
        match self {
            Level::Weak => [0.35, 0.0, 0.0],
            Level::Medium => [0.35, 0.2, 0.0],
            Level::Strong => [0.35, 0.0, 0.5],
        }
    }
}
