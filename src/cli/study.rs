//! `epicore study` — which machine, which build, which kernel, and how sure.
//!
//! ```console
//! $ epicore study --spool /var/spool/epicore
//! $ epicore study records/ --days 14
//! $ epicore study fleet.batches --json
//! $ epicore study --scenario bad-core.toml --hosts 10000
//! ```
//!
//! Reads records and censuses of any number of hosts: a spool, a directory of
//! files in the spool's format, or a file that `epicore simulate` wrote; or
//! simulates a fleet. Says what cannot be concluded as plainly as what can.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::arguments::Common;
use super::failure::{Failure, Outcome, warn};
use super::output::Output;
use super::records::now_ns;
use super::simulate::scenario;
use crate::record::{self, Exposure, Record};
use crate::report;
use crate::simulate::Simulation;
use crate::spool::{RecordStatus, read_file};
use crate::study::{Directory, Gather, Heard, Study, study};
use crate::wire::{Batch, ItemKind};

const DAY_NS: u64 = 86_400_000_000_000;
/// Files of a directory, at most; deeper than this nothing is looked for.
const FILES: usize = 20_000_000;
const DEPTH: usize = 8;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Directory of records (any depth), or a file of `epicore simulate` [default: --spool]
    path: Option<PathBuf>,
    /// Days before the newest record that are looked at
    #[arg(long, value_name = "N", default_value_t = 28.0)]
    days: f64,
    /// Study a simulated fleet of this scenario instead (see `epicore simulate`)
    #[arg(long, value_name = "FILE", conflicts_with = "path")]
    scenario: Option<PathBuf>,
    /// Hosts of the simulated fleet
    #[arg(long, value_name = "N", default_value_t = 1000, requires = "scenario")]
    hosts: u32,
    /// Seed of the simulated fleet
    #[arg(long, value_name = "S", default_value_t = 1, requires = "scenario")]
    seed: u64,
    /// Everything, however long
    #[arg(long)]
    full: bool,
}

/// Gathers, studies, prints.
pub(super) fn run(arguments: &Arguments, common: &Common, out: &mut Output) -> Outcome {
    let found = match &arguments.scenario {
        Some(path) => simulated(path, arguments)?,
        None => {
            let path = match &arguments.path {
                Some(path) => path.clone(),
                None => common.settings()?.spool_directory().to_owned(),
            };
            recorded(&path, arguments.days)?
        }
    };
    if out.json {
        return out.json_pretty(&found);
    }
    let text = report::study::study(&found, arguments.full, out.paint, &out.zone);
    out.text(&text)
}

fn simulated(path: &Path, arguments: &Arguments) -> Result<Study, Failure> {
    let scenario = scenario(Some(path))?;
    let simulation = Simulation::new(&scenario, arguments.hosts, arguments.seed);
    let (population, signatures) = simulation.population(scenario.days);
    let until = now_ns();
    let length = hours_ns(population.hours);
    let directory = Directory { since: until.saturating_sub(length), signatures, builds: Vec::new() };
    let heard = Heard { crashes: population.crashes.len() as u64, ..Heard::default() };
    Ok(study(&population, &directory, heard, until))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
fn hours_ns(hours: f64) -> u64 {
    (hours * 3.6e12).clamp(0.0, 1e18) as u64
}

/// What is read, before it is known which window it is of.
#[derive(Default)]
struct Pile {
    records: Vec<Record>,
    exposures: Vec<Exposure>,
    damaged: u64,
    first_damage: Option<String>,
}

impl Pile {
    fn damage(&mut self, path: &Path, why: &str) {
        self.damaged = self.damaged.saturating_add(1);
        if self.first_damage.is_none() {
            self.first_damage = Some(format!("{}: {why}", path.display()));
        }
    }

    fn item(&mut self, path: &Path, kind: ItemKind, body: &[u8]) {
        let error = match kind {
            ItemKind::Crash => match record::decode(body) {
                Ok(record) => {
                    self.records.push(slim(record));
                    return;
                }
                Err(error) => error.to_string(),
            },
            ItemKind::Exposure => match record::decode_exposure(body) {
                Ok(exposure) => {
                    self.exposures.push(exposure);
                    return;
                }
                Err(error) => error.to_string(),
            },
        };
        self.damage(path, &error);
    }

    /// Batches, one behind the other.
    fn batches(&mut self, path: &Path, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let batch: Result<Batch, _> = rmp_serde::from_read(&mut bytes);
            let Ok(batch) = batch else {
                self.damage(path, "not a batch, or cut off");
                return;
            };
            for item in batch.items {
                self.item(path, item.kind, &item.body);
            }
        }
    }

    fn directory(&mut self, directory: &Path, depth: usize) -> std::io::Result<()> {
        for entry in std::fs::read_dir(directory)?.take(FILES).flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            let path = entry.path();
            if kind.is_dir() && depth < DEPTH {
                // The private part may be closed: its records are nobody's business.
                let _ = self.directory(&path, depth.saturating_add(1));
                continue;
            }
            let name = entry.file_name();
            let Some(kind) = name.to_str().and_then(kind_of).filter(|_| kind.is_file()) else { continue };
            match read_file(&path) {
                RecordStatus::Valid { payload, .. } => self.item(&path, kind, &payload),
                RecordStatus::Gone => {}
                RecordStatus::Corrupted(damage) => self.damage(&path, &damage.to_string()),
                RecordStatus::Refused(why) => self.damage(&path, &why.to_string()),
                RecordStatus::Unreadable(errno) => self.damage(&path, errno.desc()),
            }
        }
        Ok(())
    }
}

/// By the spool's names: `ID.rec`, `ID.rec.sent`, `ID.exp` …
fn kind_of(name: &str) -> Option<ItemKind> {
    match name.split('.').nth(1)? {
        "rec" => Some(ItemKind::Crash),
        "exp" => Some(ItemKind::Exposure),
        _ => None,
    }
}

/// A study needs no stacks.
fn slim(mut record: Record) -> Record {
    record.stacks = Vec::new();
    record.modules = Vec::new();
    record.registers = Vec::new();
    record.threads = record::Threads::default();
    record.fault.window = record::Window::default();
    record
}

fn recorded(path: &Path, days: f64) -> Result<Study, Failure> {
    let next = "Give a directory of records, a file of `epicore simulate`, or --spool DIR.";
    let failed = |error: std::io::Error| Failure::new(format!("{}: {error}", path.display()), next);
    let mut pile = Pile::default();
    if path.is_dir() {
        pile.directory(path, 0).map_err(failed)?;
    } else {
        let file = std::fs::File::open(path).map_err(failed)?;
        let mut bytes = Vec::new();
        zstd::Decoder::new(file).and_then(|mut plain| plain.read_to_end(&mut bytes)).map_err(failed)?;
        pile.batches(path, &bytes);
    }
    if let Some(first) = &pile.first_damage {
        let count = report::amount::of(pile.damaged, "file or record");
        warn(&format!("{count} could not be read (the first: {first})"));
    }
    let times = pile.records.iter().filter_map(|r| r.realtime_ns);
    let newest = times.chain(pile.exposures.iter().filter_map(|e| e.realtime_ns)).filter(|at| *at <= ahead());
    let Some(until) = newest.max() else {
        return Err(Failure::new(format!("no records in {}", path.display()), next));
    };
    let since = until.saturating_sub(hours_ns(days.clamp(0.04, 3660.0) * 24.0));
    let mut gather = Gather::new(since, until).with_history(HISTORY);
    pile.exposures.iter().for_each(|exposure| gather.census(exposure));
    pile.records.iter().for_each(|record| gather.crash(record));
    let (population, directory, heard) = gather.done();
    Ok(study(&population, &directory, heard, until))
}

/// Days before the window that tell what was usual, as far as there are records of
/// them: of a bug that crashed ten times before, ten crashes tell that it rose by ten.
const HISTORY: u32 = 90;

/// A clock that is further ahead does not say when the window ends.
fn ahead() -> u64 {
    now_ns().saturating_add(DAY_NS)
}
