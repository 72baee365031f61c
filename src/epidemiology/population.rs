//! What a study looks at: hosts, what ran on them, and what crashed, by index.
//!
//! Values only. Whoever has records (the collector, a directory, a simulation)
//! makes a [`Population`] of them; every statistic of this room begins with one.
//! Times are hours since the beginning of the window, so that hosts whose clocks
//! are off must have been put right before.
//!
//! Of the exposure over time only the fleet's is kept: a host's is needed to ask where
//! something happens, the fleet's to ask since when.

use super::evidence::Shown;
use super::trigger::Attribute;

/// No core is known, or no build.
pub const UNKNOWN: u32 = u32::MAX;

/// Everything that is known of a fleet in one window.
#[derive(Clone, Debug, Default)]
pub struct Population {
    /// Length of the window, hours.
    pub hours: f64,
    /// Every host that was seen, by a census or by a crash.
    pub hosts: Vec<Host>,
    /// Names of the units (or images, or executables).
    pub units: Vec<String>,
    /// What hosts differ in: kernel, CPU model, labels.
    pub attributes: Vec<Attribute>,
    /// In the order of time.
    pub crashes: Vec<Crash>,
    /// Of each signature the innermost functions of one of its stacks, as numbers of
    /// [`Population::frames`]; empty where none is known.
    pub stacks: Vec<Vec<u32>>,
    /// Functions.
    pub frames: Vec<Frame>,
    /// Names of the files that functions are in.
    pub files: Vec<String>,
    /// Living processes that censuses drew at random.
    pub controls: Vec<Control>,
    /// Hours before the window of which crashes are known too, in whole days: no
    /// study is about them, but they tell what was usual.
    pub before: f64,
    /// Crashes of these hours, in the order of time, which is negative.
    pub earlier: Vec<Crash>,
    /// What ran when, by unit and build; empty without a census.
    pub courses: Vec<Course>,
}

/// A function on stacks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Frame {
    /// Index of its file's name.
    pub file: u32,
    /// Where in one of the file's builds it begins.
    pub at: u64,
    /// The only build that it is known of: there is nothing that names it in others.
    /// None where it is the same over builds.
    pub build: Option<u32>,
    /// Programs call it with their own arguments (memcpy): it stands above the function
    /// that the crash is of.
    pub library: bool,
}

/// A living process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Control {
    /// Index of the host.
    pub host: u32,
    /// Index of the unit.
    pub unit: u32,
    /// Index of the build, or [`UNKNOWN`].
    pub build: u32,
}

/// Process-hours of one build of a unit in the whole fleet, day by day.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Course {
    /// Index of the unit.
    pub unit: u32,
    /// Index of the build, or [`UNKNOWN`].
    pub build: u32,
    /// Process-hours of each day since [`Population::before`] began; days behind the
    /// last one have none.
    pub hours: Vec<f64>,
}

/// A host.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// For each attribute the index of its value, or [`UNKNOWN`].
    pub values: Vec<u32>,
    /// Hours that a census covered; 0 without one.
    pub hours: f64,
    /// Physical cores; 0 unknown.
    pub cores: u32,
    /// What ran there.
    pub runs: Vec<Run>,
    /// Corrected memory errors in the window (EDAC).
    pub corrected: u32,
    /// Uncorrected ones, and machine checks.
    pub uncorrected: u32,
}

/// A unit's exposure on a host.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Run {
    /// Index of the unit.
    pub unit: u32,
    /// Index of the build, fleet-wide.
    pub build: u32,
    /// Process-hours.
    pub hours: f64,
}

/// A crash.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Crash {
    /// Index of the host.
    pub host: u32,
    /// Index of the unit.
    pub unit: u32,
    /// Index of the build, or [`UNKNOWN`].
    pub build: u32,
    /// Index of the location key (L2).
    pub signature: u32,
    /// Index of the symptom key (S).
    pub symptom: u32,
    /// Hours since the beginning of the window.
    pub at: f64,
    /// Which boot of the host.
    pub boot: u32,
    /// Physical core, fleet-wide numbering within the host, or [`UNKNOWN`].
    pub core: u32,
    /// Physical cores that the process was allowed to use: 1 is pinned, 0 unknown.
    pub allowed: u32,
    /// What its evidence codes are, by group.
    pub shown: Shown,
}

impl Population {
    /// The host of a crash.
    pub fn host(&self, index: u32) -> Option<&Host> {
        self.hosts.get(usize::try_from(index).ok()?)
    }

    /// True when some census told how long hosts ran.
    pub fn has_exposure(&self) -> bool {
        self.hosts.iter().any(|host| host.hours > 0.0 && !host.runs.is_empty())
    }
}
