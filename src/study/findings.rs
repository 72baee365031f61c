//! What a study finds, as values: what is printed, and what `--json` gives.
//!
//! docs/statistics.md has every key.

use serde::Serialize;

use super::gather::Heard;
use crate::epidemiology::power::Needed;

/// Of this shape.
pub(super) const VERSION: u16 = 1;

/// Everything that one study says.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Study {
    /// [`VERSION`].
    pub v: u16,
    /// The window, nanoseconds since the epoch.
    pub since: u64,
    /// Its end.
    pub until: u64,
    /// Hosts that were seen.
    pub hosts: u64,
    /// Crashes, and restart chains of them.
    pub crashes: u64,
    /// See `crashes`.
    pub episodes: u64,
    /// Signatures.
    pub signatures: u64,
    /// Of these so many are another form of a bug that has a signature already.
    pub merged: u64,
    /// What was there and what was not.
    pub heard: Heard,
    /// Machines that may compute wrongly, the most suspect first.
    pub machines: Vec<Machine>,
    /// What people found out, as far as it is about crashes of this window, the
    /// newest first.
    pub rulings: Vec<Ruling>,
    /// Kinds of machines that do.
    pub errata: Vec<Erratum>,
    /// Bugs of software, the most widespread first.
    pub bugs: Vec<Bug>,
    /// Bugs that are new in the window, or gone.
    pub changed: Vec<Changed>,
    /// Hosts by signatures.
    pub map: Map,
    /// Expected share of innocents among the accused that nobody confirmed.
    pub declared_fdr: f64,
    /// What cannot be concluded, and why.
    pub limits: Vec<String>,
}

/// How sure, in steps that mean something to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// P > 0.1: look closer.
    #[default]
    Look,
    /// P > 0.9: drain and test.
    Drain,
    /// P > 0.99.
    Accuse,
}

/// What people found out about a host, and which crashes that decides.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Ruling {
    /// Host name.
    pub host: String,
    /// Only crashes of this signature.
    pub signature: Option<String>,
    /// It was hardware; else it was not.
    pub confirmed: bool,
    /// When, nanoseconds since the epoch. It is about crashes up to then.
    pub at: u64,
    /// Who said it, and how it is known.
    pub who: String,
    /// See `who`.
    pub note: Option<String>,
    /// Crashes that it decides.
    pub crashes: u32,
    /// Signatures that hardly any other host shows and this one has shown since.
    pub since: u32,
}

/// A machine that may compute wrongly.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Machine {
    /// Host name.
    pub host: String,
    /// P(it computes wrongly).
    pub posterior: f64,
    /// How sure.
    pub verdict: Verdict,
    /// Physical core within its package, and the package.
    pub core: Option<(u32, u32)>,
    /// P(that core | it computes wrongly).
    pub core_posterior: f64,
    /// Crashes on that core, of so many that could have been elsewhere.
    pub on_core: (u32, u32),
    /// P(no core: memory, or what all cores share | it computes wrongly).
    pub elsewhere: f64,
    /// Signatures that it alone shows (or one other host).
    pub signatures: u32,
    /// How many were to be expected.
    pub expected: f64,
    /// Evidence codes of these crashes, and how many bear each.
    pub evidence: Vec<(String, u32)>,
    /// log10 of what the telling ones say.
    pub evidence_log10: f64,
    /// ln of how much better it explains the crashes than an ordinary host would,
    /// one rogue write, and software of its own kind.
    pub against: (f64, f64, f64),
    /// Corrected and uncorrected memory errors in the window.
    pub memory_errors: (u32, u32),
    /// The rate alone says more than it may.
    pub held: bool,
    /// The evidence does not tell hardware from what runs there.
    pub undecidable: bool,
    /// What people found out about it; confirmed, P is 1.
    pub ruling: Option<Ruling>,
    /// Further crashes until it is accused, where it is not.
    pub needed: Option<More>,
    /// When its first and last of these crashes were.
    pub first: u64,
    /// See `first`.
    pub last: u64,
}

/// A kind of machines.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Erratum {
    /// Attribute and value: CPU model, microcode.
    pub what: Vec<(String, String)>,
    /// Its hosts.
    pub hosts: u64,
    /// Those of them with a crash whose evidence leans towards the machine.
    pub cases: u32,
    /// How many were to be expected.
    pub expected: f64,
    /// Log likelihood ratio less what naming the kind costs.
    pub gain: f64,
}

/// A bug.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Bug {
    /// Location key.
    pub signature: String,
    /// Its other location keys.
    pub variants: Vec<Variant>,
    /// The unit that shows it most.
    pub unit: String,
    /// Hosts, episodes and crashes.
    pub hosts: u32,
    /// See `hosts`.
    pub episodes: u32,
    /// See `hosts`.
    pub crashes: u32,
    /// First and last, nanoseconds since the epoch.
    pub first: u64,
    /// See `first`.
    pub last: u64,
    /// Episodes by day.
    pub days: Vec<u32>,
    /// What it needs.
    pub triggers: Vec<Trigger>,
    /// What its hosts were compared with, where that was done.
    pub compared: Option<Compared>,
    /// Why no trigger was looked for.
    pub no_trigger: Option<String>,
    /// Since when it is more frequent.
    pub onset: Option<Since>,
    /// The new build that brought it.
    pub rollout: Option<Began>,
    /// A host that shows it for another reason.
    pub split: Option<Apart>,
}

/// What became of a bug within the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// No host showed it before.
    #[default]
    New,
    /// No host has shown it since.
    Gone,
}

/// A bug that is new or gone.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Changed {
    /// Location key.
    pub signature: String,
    /// The unit that shows it most.
    pub unit: String,
    /// Which.
    pub what: Change,
    /// Its first or its last crash, nanoseconds since the epoch.
    pub at: u64,
    /// Hosts that showed it.
    pub hosts: u32,
}

/// Restart chains of some hosts by some signatures.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Map {
    /// Rows: suspects, then hosts that crash most.
    pub hosts: Vec<String>,
    /// Columns.
    pub signatures: Vec<String>,
    /// So many of the columns, the first ones, are bugs; the others are the suspects' own.
    pub bugs: usize,
    /// By row and column.
    pub cells: Vec<Vec<u32>>,
    /// By row: of signatures that are no column.
    pub others: Vec<u32>,
}

/// Another location key of a bug.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Variant {
    /// The key.
    pub signature: String,
    /// The key of the bug that its stack is most alike.
    pub with: String,
    /// How much, 0 to 1; and on average over all keys of the bug.
    pub alike: f64,
    /// See `alike`.
    pub mean: f64,
    /// The functions that both stacks have, innermost first: file and place in one of
    /// its builds.
    pub frames: Vec<String>,
}

/// What the hosts of a bug were compared with.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Compared {
    /// Where it comes from.
    pub with: With,
    /// "unit", or "fleet" where the unit had too little.
    pub of: String,
    /// Hosts, processes or crashes.
    pub controls: u64,
}

/// Where what is compared with comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum With {
    /// Hours that the unit ran: ratios are of rates.
    #[default]
    Hours,
    /// Living processes that censuses drew: ratios are of odds.
    Controls,
    /// Hosts of other crashes: ratios are of odds.
    Crashes,
}

/// What a bug needs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Trigger {
    /// "kernel=6.1.90", or two of them with " & ".
    pub what: String,
    /// Cases that have it, of those where that is known.
    pub cases: u32,
    /// See `cases`.
    pub of: u32,
    /// Cases that exposure alone would give it.
    pub expected: f64,
    /// Rate ratio, or odds ratio (see [`Compared`]), and its 95 % interval.
    pub ratio: (f64, f64, f64),
    /// The ratio, not within strata, shrunk towards 1 by what all others show.
    pub shrunk: f64,
    /// Log likelihood ratio less what naming it costs.
    pub score: f64,
    /// Benjamini and Yekutieli's q.
    pub q: f64,
    /// It passes every threshold; the others are description.
    pub declared: bool,
    /// What remains of it beside the others, in words.
    pub status: String,
    /// The other finding that leaves least of it, and the odds ratio within that.
    pub within: Option<(String, (f64, f64, f64))>,
    /// Further cases that would separate it from what it goes with.
    pub more: Option<u32>,
    /// Further hosts with a crash until it is declared, where it is not.
    pub needed: Option<More>,
}

/// Since when.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Since {
    /// Nanoseconds since the epoch: about its first crash.
    pub at: u64,
    /// Between these, 95 %.
    pub between: (u64, u64),
    /// When there were crashes enough to know it.
    pub known: u64,
    /// Rate after over rate before, and its 95 % interval.
    pub ratio: (f64, f64, f64),
    /// ln of the Bayes factor.
    pub ln_bayes: f64,
}

/// A new build brought it, or is worse.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Began {
    /// The build.
    pub build: String,
    /// When it appeared: the day's beginning.
    pub at: u64,
    /// What came behind it has it too.
    pub and_newer: bool,
    /// By the builds of the cases: it crashes more than its share.
    pub named: bool,
    /// By time: the rate rose when it appeared, and not at another time.
    pub began: bool,
    /// Rate ratio and its 95 % interval: by builds where it is named, else by time.
    pub ratio: (f64, f64, f64),
    /// Cases of it since then, of so many while other builds ran too; of each host one.
    pub cases: (u32, u32),
    /// ln of the Bayes factors: by builds, by time.
    pub ln_build: f64,
    /// See `ln_build`.
    pub ln_rollout: f64,
}

/// So many crashes more would decide it, if it is so: in half of all futures, and in
/// nine of ten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct More {
    /// In half.
    pub median: u32,
    /// In nine of ten.
    pub ninety: u32,
}

/// One host of a signature is another story.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Apart {
    /// The host.
    pub host: String,
    /// Its cases that are apart.
    pub cases: u32,
    /// P(the machine) against software of its own there.
    pub machine: f64,
    /// ln of the Bayes factor, and what it had to exceed.
    pub ln_bayes: f64,
    /// See `ln_bayes`.
    pub threshold: f64,
    /// Core within its package, and the package.
    pub core: Option<(u32, u32)>,
    /// What carried it: count, symptom, evidence, core (ln).
    pub parts: (f64, f64, f64, f64),
    /// What people found out about this signature there.
    pub ruling: Option<Ruling>,
}

impl More {
    /// As whole crashes; what takes more than a million is not told.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a million")]
    pub(super) fn of(needed: Needed) -> Option<More> {
        let whole = |n: f64| (1.0..1e6).contains(&n).then(|| n.ceil() as u32);
        Some(More { median: whole(needed.median.max(1.0))?, ninety: whole(needed.ninety.max(1.0))? })
    }
}
