//! `epicore study` — which machine, which build, which kernel, and how sure.
//!
//! ```console
//! $ epicore study --spool /var/spool/epicore
//! $ epicore study records/ --days 14
//! $ epicore study fleet.batches --json
//! $ epicore study --remote https://collector.example:7464
//! $ epicore study --scenario bad-core.toml --hosts 10000
//! ```
//!
//! Reads records and censuses of any number of hosts: a spool, a directory of
//! files in the spool's format, a file that `epicore simulate` wrote, or a
//! collector (`--remote`, `--fleet`; a token of the role read); or simulates a
//! fleet. What people found out (`epicore verdict`) counts as known. Says what
//! cannot be concluded as plainly as what can.

use std::path::{Path, PathBuf};

use super::arguments::Common;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::pile::{self, Piece};
use super::records::now_ns;
use super::remote::Remote;
use super::simulate::scenario;
use super::{population, verdicts};
use crate::report;
use crate::simulate::Simulation;
use crate::study::{Gather, Study, Told, study_knowing};

const DAY_NS: u64 = 86_400_000_000_000;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Directory of records (any depth), or a file of `epicore simulate` [default: --spool]
    path: Option<PathBuf>,
    /// Days before the newest record that are looked at
    #[arg(long, value_name = "N", default_value_t = 28.0, value_parser = days, allow_negative_numbers = true)]
    days: f64,
    /// Study a simulated fleet of this scenario instead (see `epicore simulate`)
    #[arg(long, value_name = "FILE", conflicts_with = "path")]
    scenario: Option<PathBuf>,
    /// Hosts of the simulated fleet [default: 1000]
    #[arg(long, value_name = "N", requires = "scenario", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    hosts: Option<u32>,
    /// Seed of the simulated fleet [default: 1]
    #[arg(long, value_name = "S", requires = "scenario")]
    seed: Option<u64>,
    /// Crashes of privileged processes too, of a collector (role admin; each reading is audited)
    #[arg(long)]
    private: bool,
    /// Everything, however long
    #[arg(long)]
    full: bool,
}

/// An hour to ten years.
fn days(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|days| (0.04..=3660.0).contains(days));
    number.ok_or_else(|| "days are between 0.04 and 3660".to_owned())
}

/// Gathers, studies, prints.
pub(super) fn run(arguments: &Arguments, common: &Common, out: &mut Output) -> Outcome {
    let remote = Remote::of(common)?;
    let found = match (&arguments.scenario, &arguments.path, &remote) {
        (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => {
            let next = "Leave --remote and --fleet out, or the path and --scenario.";
            return Err(Failure::usage("a collector, or records from elsewhere?", next));
        }
        (_, _, None) if arguments.private => {
            let next = "Of a spool, whoever may read the private part gets it without asking.";
            return Err(Failure::usage("--private: it is about a collector", next));
        }
        (Some(path), ..) => simulated(path, arguments)?,
        (_, _, Some(remote)) => population::gather(remote, arguments.days, arguments.private)?.study(),
        (_, Some(path), _) => recorded(path, arguments.days)?.study(),
        _ => recorded(common.settings()?.spool_directory(), arguments.days)?.study(),
    };
    if out.json {
        return out.json_pretty(&found);
    }
    let text = report::study::study(&found, arguments.full, out.paint, &out.zone);
    out.text(&text)
}

/// Its hosts send what real ones would, and it is studied like that of real ones.
fn simulated(path: &Path, arguments: &Arguments) -> Result<Study, Failure> {
    let scenario = scenario(Some(path))?;
    let (hosts, seed) = (arguments.hosts.unwrap_or(1000), arguments.seed.unwrap_or(1));
    let simulation = Simulation::new(&scenario, hosts, seed);
    let until = now_ns();
    let mut gather = Gather::new(window(until, scenario.days), until);
    for item in simulation.batches(until).flat_map(|batch| batch.items) {
        match Piece::of(item.kind, &item.body) {
            Ok(Piece::Crash(record)) => gather.crash(&record),
            Ok(Piece::Census(report)) => gather.census(&report),
            Err(_) => gather.missed(1, 0),
        }
    }
    Ok(Material { gather, until, told: Vec::new() }.study())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
fn hours_ns(hours: f64) -> u64 {
    (hours * 3.6e12).clamp(0.0, 1e18) as u64
}

/// Records on their way into a study.
pub(super) struct Material {
    pub(super) gather: Gather,
    /// The end of the window.
    pub(super) until: u64,
    /// What people found out.
    pub(super) told: Vec<Told>,
}

impl Material {
    fn study(self) -> Study {
        let (population, directory, heard) = self.gather.done();
        study_knowing(&population, &directory, heard, self.until, &self.told)
    }
}

fn recorded(path: &Path, days: f64) -> Result<Material, Failure> {
    // Read twice, record by record: which window it is of is known at the end, and what
    // was read does not have to fit into memory.
    let mut newest: Option<u64> = None;
    let damage = pile::each(path, &mut |piece| newest = newest.max(piece.at().filter(|at| *at <= ahead())))?;
    let Some(until) = newest else {
        damage.tell();
        return Err(Failure::new(format!("no records in {}", path.display()), pile::NEXT));
    };
    let told = if path.is_dir() { population::told(verdicts::read(path)?) } else { Vec::new() };
    let mut gather = Gather::new(window(until, days), until).with_history(HISTORY);
    let damage = pile::each(path, &mut |piece| match piece {
        Piece::Crash(record) => gather.crash(&record),
        Piece::Census(report) => gather.census(&report),
    })?;
    damage.tell();
    gather.missed(damage.count, 0);
    Ok(Material { gather, until, told })
}

/// The beginning of a window.
pub(super) fn window(until: u64, days: f64) -> u64 {
    until.saturating_sub(hours_ns(days.clamp(0.04, 3660.0) * 24.0))
}

/// Days before the window that tell what was usual, as far as there are records of
/// them: of a bug that crashed ten times before, ten crashes tell that it rose by ten.
pub(super) const HISTORY: u32 = 90;

/// A clock that is further ahead does not say when the window ends.
pub(super) fn ahead() -> u64 {
    now_ns().saturating_add(DAY_NS)
}
