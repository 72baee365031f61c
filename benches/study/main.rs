//! How well a study does: every promise of docs/statistics.md on simulated fleets,
//! against simpler methods on the same data.
//!
//! ```text
//! make study-bench                     all of it; writes the table of docs/statistics.md
//! make study-bench STUDY="--only split --seeds 50"
//! ```
//!
//! Nothing of the simulation is told to the estimators: they see a population. The
//! truth is compared afterwards.
#![allow(missing_docs)]

mod causes;
mod contrast;
mod forecast;
mod machines;
mod onset;
mod pace;
mod signatures;
mod table;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use table::Table;

/// What is measured, and with how many seeds.
struct Options {
    only: Option<String>,
    /// Instead of each part's own number.
    seeds: Option<u64>,
    write: bool,
}

fn options() -> Result<Options, String> {
    let mut options = Options { only: None, seeds: None, write: false };
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--only" => options.only = Some(value()?),
            "--seeds" => options.seeds = Some(value()?.parse().map_err(|_| "a number of seeds")?),
            "--write" => options.write = true,
            other => return Err(format!("{other}: --only PART, --seeds N and --write are known")),
        }
    }
    Ok(options)
}

type Part = (&'static str, u64, fn(u64, &mut Table));

/// Name, seeds, what runs.
const PARTS: [Part; 14] = [
    ("pace", 1, pace::pace),
    ("cores", 600, machines::cores),
    ("dimms", 100, machines::dimms),
    ("clean", 40, machines::clean),
    ("innocents", 10, machines::innocents),
    ("fdr", 250, machines::discoveries),
    ("erratum", 50, machines::errata),
    ("forecast", 20, forecast::forecasts),
    ("split", 200, causes::split),
    ("trigger", 200, causes::triggers),
    ("onset", 100, onset::onset),
    ("canary", 200, onset::canary),
    ("contrast", 50, contrast::contrasts),
    ("signature", 20, signatures::signatures),
];

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("study: {error}");
            return ExitCode::from(2);
        }
    };
    let wanted = |part: &&Part| options.only.as_deref().is_none_or(|only| only == part.0);
    let parts: Vec<&Part> = PARTS.iter().filter(wanted).collect();
    let run = |(name, seeds, part): &Part| {
        let seeds = options.seeds.unwrap_or(*seeds);
        eprintln!("study: {name}, {seeds} seeds");
        let began = Instant::now();
        let mut table = Table::default();
        table.section(name);
        part(seeds, &mut table);
        eprintln!("study: {name}: {:.0} s{}", began.elapsed().as_secs_f64(), table.text());
        table
    };
    // The first alone: it measures memory. The others share the processors.
    let (alone, others) = parts.split_at(usize::from(parts.first().is_some_and(|part| part.0 == "pace")));
    let mut tables: Vec<(usize, Table)> = alone.iter().map(|part| (0, run(part))).collect();
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(part) = others.get(place) else { break };
                    let table = run(part);
                    done.lock().unwrap().push((place + 1, table));
                }
            });
        }
    });
    tables.extend(done.into_inner().unwrap());
    tables.sort_by_key(|(place, _)| *place);
    let mut table = Table::default();
    tables.into_iter().for_each(|(_, part)| table.extend(part));
    print!("{}", table.text());
    let whole = options.only.is_none() && options.seeds.is_none();
    if let Some(error) = (options.write && whole).then(|| table.write().err()).flatten() {
        eprintln!("study: {error}");
        return ExitCode::FAILURE;
    }
    if table.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
