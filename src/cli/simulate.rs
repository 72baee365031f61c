//! `epicore simulate` — a fleet that never was, with the truth beside it.
//!
//! ```console
//! $ epicore simulate --scenario bad-core.toml --hosts 1000 --out fleet.batches
//! $ epicore study fleet.batches
//! $ epicore simulate --hosts 200 --remote https://collector.example:7464
//! ```
//!
//! Emits what epicored would send: wire batches of records and censuses, into a
//! file (MessagePack batches one behind the other, zstd), a spool, or a collector.
//! What was planted stands in FILE.truth.json. Without a scenario the fleet has
//! every confounder and nothing wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::arguments::Common;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::progress::Progress;
use super::records::now_ns;
use crate::report::amount;
use crate::simulate::{Bug, Event, Scenario, Simulation};
use crate::spool::{Spool, Stamp};
use crate::wire::{Answer, Batch, ItemKind, Said};

/// Hosts that are simulated, at most.
const HOSTS: u32 = 1_000_000;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// TOML file that says what is planted [default: nothing]
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Hosts
    #[arg(long, value_name = "N", default_value_t = 1000)]
    hosts: u32,
    /// Days that pass, until now [default: the scenario's]
    #[arg(long, value_name = "D")]
    days: Option<f64>,
    /// The same seed gives the same fleet
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Write batches to FILE, and the truth to FILE.truth.json
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The truth, for a file.
#[derive(Serialize)]
struct Truth<'a> {
    scenario: &'a Scenario,
    hosts: u32,
    seed: u64,
    crashes: usize,
    planted: Vec<PlantedHost>,
    /// Bugs of the scenario, in its order.
    bugs: Vec<PlantedBug>,
    /// Location keys of other forms of a bug, with that of its ordinary form.
    variants: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct PlantedHost {
    host: String,
    kind: &'static str,
    crashes: usize,
    /// Location keys of these.
    signatures: BTreeSet<String>,
}

#[derive(Serialize)]
struct PlantedBug {
    /// Location keys, one but where builds differ or it has several forms.
    signatures: BTreeSet<String>,
    unit: u32,
    crashes: usize,
    trigger: Vec<String>,
}

fn truth<'a>(simulation: &'a Simulation, arguments: &Arguments) -> Truth<'a> {
    let mut hosts: BTreeMap<u32, Vec<&Event>> = BTreeMap::new();
    let mut bugs: BTreeMap<u64, Vec<&Event>> = BTreeMap::new();
    for event in &simulation.events {
        hosts.entry(event.host).or_default().push(event);
        if let Some(bug) = event.bug {
            bugs.entry(bug).or_default().push(event);
        }
    }
    let keys = |events: &[&Event]| events.iter().map(|event| Simulation::location_key(event)).collect();
    let planted = simulation.planted().into_iter().map(|planted| {
        let all = hosts.get(&planted.host).into_iter().flatten();
        let own: Vec<&Event> = all.copied().filter(|event| event.cause == Some(planted.kind)).collect();
        PlantedHost {
            host: Simulation::host_name(planted.host),
            kind: planted.kind.name(),
            crashes: own.len(),
            signatures: keys(&own),
        }
    });
    let bug = |(number, bug): (u64, &Bug)| {
        let own = bugs.get(&Simulation::bug_signature(number)).map_or(&[][..], Vec::as_slice);
        PlantedBug { signatures: keys(own), unit: bug.unit, crashes: own.len(), trigger: bug.trigger.clone() }
    };
    Truth {
        scenario: &simulation.scenario,
        hosts: arguments.hosts,
        seed: arguments.seed,
        crashes: simulation.events.len(),
        planted: planted.collect(),
        bugs: (1u64..).zip(&simulation.scenario.bug).map(bug).collect(),
        variants: simulation.variants(),
    }
}

/// Reads a scenario; the default one without a file.
pub(super) fn scenario(path: Option<&Path>) -> Result<Scenario, Failure> {
    let Some(path) = path else { return Ok(Scenario::default()) };
    let next = "docs/statistics.md has every key of a scenario, docs/scenarios/ has examples.";
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("{}: {error}", path.display()), next))?;
    let scenario: Scenario = toml::from_str(&text)
        .map_err(|error| Failure::usage(format!("{}: {}", path.display(), error.message()), next))?;
    scenario.check().map_err(|what| Failure::usage(format!("{}: {what}", path.display()), next))?;
    Ok(scenario)
}

/// Simulates, and sends or writes.
pub(super) fn run(arguments: &Arguments, common: &Common, out: &mut Output) -> Outcome {
    let mut scenario = scenario(arguments.scenario.as_deref())?;
    if let Some(days) = arguments.days {
        scenario.days = days;
        scenario.check().map_err(|what| Failure::usage(what, "Give --days of 1 to 3660."))?;
    }
    if !(1..=HOSTS).contains(&arguments.hosts) {
        return Err(Failure::usage(
            format!("--hosts {}: 1 to {HOSTS} can be simulated", arguments.hosts),
            "",
        ));
    }
    let simulation = Simulation::new(&scenario, arguments.hosts, arguments.seed);
    let mut sink = Sink::open(arguments, common)?;
    let until = now_ns();
    let mut items = 0u64;
    let mut progress = Progress::of("records and censuses");
    for (host, batch) in (0u64..).zip(simulation.batches(until)) {
        items = items.saturating_add(batch.items.len() as u64);
        sink.take(&batch)?;
        progress.tell(items, host, u64::from(arguments.hosts));
    }
    progress.end();
    sink.close()?;
    let truth = truth(&simulation, arguments);
    if let Some(path) = &arguments.out {
        let beside = PathBuf::from(format!("{}.truth.json", path.display()));
        let text = serde_json::to_string_pretty(&truth).unwrap_or_default();
        std::fs::write(&beside, text + "\n")
            .map_err(|error| Failure::new(format!("{}: {error}", beside.display()), ""))?;
    }
    if out.json {
        return out.json_pretty(&truth);
    }
    out.line(&format!(
        "Crashes: {} of {} ({} items); hosts with something planted: {}",
        amount::count(truth.crashes as u64),
        amount::of(u64::from(truth.hosts), "host"),
        amount::count(items),
        amount::count(truth.planted.len() as u64)
    ))
}

/// Where batches go.
enum Sink {
    File(Box<zstd::Encoder<'static, BufWriter<File>>>, PathBuf),
    Spool(Spool, PathBuf),
    Collector(Box<super::remote::Remote>),
}

impl Sink {
    fn open(arguments: &Arguments, common: &Common) -> Result<Sink, Failure> {
        if let Some(path) = &arguments.out {
            let failed = |error: std::io::Error| Failure::new(format!("{}: {error}", path.display()), "");
            let file = File::create(path).map_err(failed)?;
            let encoder = zstd::Encoder::new(BufWriter::new(file), 1).map_err(failed)?;
            return Ok(Sink::File(Box::new(encoder), path.clone()));
        }
        if let Some(remote) = super::remote::Remote::of(common)? {
            return Ok(Sink::Collector(Box::new(remote)));
        }
        let Some(path) = &common.spool else {
            return Err(Failure::usage(
                "where to? Nothing was said",
                "Give --out FILE, --spool DIR or --remote URL.",
            ));
        };
        let spool = Spool::open(path).map_err(|error| {
            Failure::new(format!("{}: {error}", path.display()), "The directory must be a spool already.")
        })?;
        Ok(Sink::Spool(spool, path.clone()))
    }

    fn take(&mut self, batch: &Batch) -> Outcome {
        match self {
            Sink::File(file, path) => {
                let bytes = rmp_serde::to_vec_named(batch).unwrap_or_default();
                file.write_all(&bytes)
                    .map_err(|error| Failure::new(format!("{}: {error}", path.display()), ""))
            }
            Sink::Collector(remote) => {
                let answer: Answer = remote.post("/v1/batches", batch)?;
                let lost = answer.outcomes.iter().find(|o| !matches!(o.said, Said::Stored | Said::Duplicate));
                match lost {
                    None => Ok(()),
                    Some(outcome) => Err(Failure::new(
                        format!(
                            "the collector did not store {}: {}",
                            outcome.id.hex(),
                            outcome.why.as_deref().unwrap_or("no reason given")
                        ),
                        "The token must be one that hands in records.",
                    )),
                }
            }
            Sink::Spool(spool, path) => {
                for item in &batch.items {
                    let id = <[u8; 16]>::try_from(item.id.0.as_slice()).unwrap_or_default();
                    let stamp = Stamp { id: id.into(), private: false, group: 0 };
                    let stored = match item.kind {
                        ItemKind::Crash => spool.replace_with_full(stamp, &item.body),
                        ItemKind::Exposure => spool.write_exposure(id, &item.body),
                    };
                    stored.map_err(|error| Failure::new(format!("{}: {error}", path.display()), ""))?;
                }
                Ok(())
            }
        }
    }

    fn close(self) -> Outcome {
        let Sink::File(file, path) = self else { return Ok(()) };
        let failed = |error: std::io::Error| Failure::new(format!("{}: {error}", path.display()), "");
        file.finish().and_then(|mut file| file.flush()).map_err(failed)
    }
}
