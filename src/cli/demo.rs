//! `epicore demo` — five real crashes, and what is left of them.
//!
//! ```console
//! # epicore demo
//! Five small programs crash; core_pattern is epicore's meanwhile.
//!   null            reads through a null pointer, with three threads waiting   SIGSEGV
//!   …
//! TIME                 ID        SIGNAL   PROGRAM  …
//! …
//! core_pattern is back: |/usr/lib/systemd/systemd-coredump %P %u %g %s %t %c %h
//! ```
//!
//! Then a collector and a daemon run on loopback with a temporary database:
//! the same crashes are seen through the API, and a thousand simulated hosts
//! send a week of theirs.
//!
//! It needs root, because core_pattern is the kernel's: for about a second it
//! runs a copy of the handler, with a spool of its own below /run. A second
//! process (see guard.rs) puts core_pattern back however this one ends. The
//! records are removed at the end, unless --keep. Without root, cores stored
//! in tests/cores are replayed where there are some.

mod fleet;
mod guard;
pub(super) mod victim;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::failure::{Failure, Outcome};
use super::output::Output;
use super::records::Records;
use super::{list, show};
use crate::capture;
use crate::invocation::pattern::{DEFAULT_HANDLER, Pattern, Roots, Setting};
use crate::record::{Kind, Record};
use crate::report::{signal, table::Table};
use crate::{limits, spool};

use fleet::Fleet;
use guard::Guard;
use victim::Victim;

/// Of the simulated fleet.
const SEED: u64 = 2026;
/// How long the handler may take for the last record.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was typed.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The handler to show [default: the installed one, else the one beside this program]
    #[arg(long, value_name = "PATH")]
    handler: Option<PathBuf>,
    /// Keep the records afterwards, and say where
    #[arg(long)]
    keep: bool,
    /// Be one of the programs that crash
    #[arg(long, hide = true, value_enum)]
    victim: Option<Victim>,
    /// Be the process that puts core_pattern back
    #[arg(long, hide = true, value_name = "DIR")]
    guard: Option<PathBuf>,
}

/// Runs the demo, or one of its parts.
pub(super) fn run(arguments: &Arguments, out: &mut Output) -> Outcome {
    if let Some(victim) = arguments.victim {
        return Err(Failure::new(format!("the victim survived: {:?}", victim.crash()), ""));
    }
    if let Some(directory) = &arguments.guard {
        return guard::stand(directory);
    }
    if nix::unistd::geteuid().is_root() { live(arguments, out) } else { stored(out) }
}

fn live(arguments: &Arguments, out: &mut Output) -> Outcome {
    let handler = find_handler(arguments.handler.as_deref())?;
    let mut guard = Guard::post(arguments.keep)?;
    let spool = prepare(&handler, &mut guard)?;
    // Before the crashes: what follows shows how soon they are seen.
    let fleet = (!out.json).then(|| Fleet::start(guard.directory(), &spool)).transpose()?;
    fleet.iter().flat_map(Fleet::pids).for_each(|pid| guard.adopt(pid));
    if !out.json {
        out.line("Five small programs crash; core_pattern is epicore's meanwhile.")?;
    }
    let mut pids = Vec::new();
    for victim in Victim::ALL {
        let (pid, status) = sacrifice(victim)?;
        pids.push(pid);
        if !out.json {
            out.line(&format!("  {:<15} {:<60} {}", victim.name(), victim.story(), death(status)))?;
        }
    }
    let found = collect(&spool, &pids)?;
    let before = guard.relieve()?;
    tell(&found, &before, out)?;
    if let Some(fleet) = fleet {
        fleet.arrived(found.len(), out)?;
        fleet.simulate(SEED, out)?;
    }
    if out.json { Ok(()) } else { farewell(arguments.keep.then_some(spool.as_path()), out) }
}

/// The handler that is shown.
fn find_handler(typed: Option<&Path>) -> Result<PathBuf, Failure> {
    let beside = std::env::current_exe().ok().map(|exe| exe.with_file_name("epicore-handler"));
    let candidates = match typed {
        Some(path) => vec![path.to_owned()],
        None => [Some(PathBuf::from(DEFAULT_HANDLER)), beside].into_iter().flatten().collect(),
    };
    candidates.iter().find(|path| path.is_file()).cloned().ok_or_else(|| {
        let looked: Vec<String> = candidates.iter().map(|p| p.display().to_string()).collect();
        Failure::new(
            format!("no handler in {}", looked.join(" or ")),
            "`make build` makes it; --handler PATH names one.",
        )
    })
}

/// A copy of the handler, a spool, and core_pattern set to them. A copy,
/// because its short path leaves room in the pattern.
fn prepare(handler: &Path, guard: &mut Guard) -> Result<PathBuf, Failure> {
    let copy = guard.directory().join("h");
    let spool = guard.directory().join("s");
    fs::copy(handler, &copy).map_err(|error| Failure::new(format!("{}: {error}", copy.display()), ""))?;
    spool::initialise(&spool, None)
        .map_err(|error| Failure::new(format!("{}: {error}", spool.display()), "Is /run writable?"))?;
    let pattern = Pattern { handler: copy, spool: Some(spool.clone()), config: None };
    let text = pattern.text().map_err(|refusal| Failure::new(refusal.to_string(), ""))?;
    guard.install(&Setting { pattern: text, pipe_limit: limits::CORE_PIPE_LIMIT })?;
    Ok(spool)
}

/// Runs one victim to its end: its pid, and how it died.
pub(super) fn sacrifice(victim: Victim) -> Result<(u32, ExitStatus), Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("a victim could not be started: {error}"), "");
    let exe = std::env::current_exe().map_err(failed)?;
    let mut child = Command::new(exe)
        .args(["demo", "--victim", victim.name()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let pid = child.id();
    Ok((pid, child.wait().map_err(failed)?))
}

fn death(status: ExitStatus) -> String {
    match status.signal().and_then(|s| u32::try_from(s).ok()) {
        Some(number) => signal::name(number),
        None => format!("did not crash ({status})"),
    }
}

/// Waits until every victim has its full record. Whoever else crashed meanwhile
/// is not a part of the show.
fn collect(path: &Path, pids: &[u32]) -> Result<Vec<Record>, Failure> {
    let records = Records::open(path)?;
    let until = Instant::now() + PATIENCE;
    let ours = |record: &Record| record.crash.pid.is_some_and(|pid| pids.contains(&pid));
    loop {
        let entries = records.list()?.entries;
        let found: Vec<Record> =
            entries.iter().filter_map(|entry| records.read(entry).ok().flatten()).filter(ours).collect();
        let full = found.iter().filter(|record| record.kind == Kind::Full).count();
        if full >= Victim::ALL.len() || Instant::now() > until {
            return Ok(found);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn tell(found: &[Record], before: &Setting, out: &mut Output) -> Outcome {
    let ids: Vec<String> = found.iter().map(|record| record.id.hex()).collect();
    if found.is_empty() {
        let next = "`epicore doctor` may say why; `journalctl -k -t epicore` has the handler's own words.";
        return Err(Failure::new("five programs crashed and left no record", next));
    }
    if out.json {
        return list::print(found, &ids, &[], &mut Table::new(), out);
    }
    out.line("\n$ epicore list")?;
    list::print(found, &ids, &[], &mut Table::new(), out)?;
    if let Some(first) = found.first() {
        out.line("\n$ epicore show")?;
        show::print(first, false, &[], out)?;
    }
    out.line(&format!("\ncore_pattern is back: {}", crate::report::escape::clean(&before.pattern)))
}

fn farewell(kept: Option<&Path>, out: &mut Output) -> Outcome {
    out.line("")?;
    match kept {
        Some(spool) => out.line(&format!(
            "The records stay until the next boot: epicore list --spool {}",
            spool.display()
        ))?,
        None => out.line("The records are removed; `epicore demo --keep` keeps them for `epicore show`.")?,
    }
    out.line("Next: `epicore enable` for good, `epicore doctor` to see that all is well.")
}

/// Without root: cores that somebody stored.
fn stored(out: &mut Output) -> Outcome {
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join("cores")));
    let places: Vec<PathBuf> = [Some(PathBuf::from("tests/cores")), beside].into_iter().flatten().collect();
    let mut cores: Vec<PathBuf> = Vec::new();
    for directory in &places {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
        cores.extend(entries.filter(|path| path.extension().is_some_and(|e| e == "core")));
    }
    cores.sort();
    let files = cores.iter().filter_map(|path| fs::File::open(path).ok());
    let found: Vec<Record> = files.map(|file| capture::replay(file, &places)).collect();
    let Some(first) = found.first() else {
        return Err(Failure::new(
            "the demo sets kernel.core_pattern for a moment, which needs root",
            "sudo epicore demo",
        ));
    };
    if !out.json {
        out.line(&format!("Without root: {} stored cores, replayed.", found.len()))?;
    }
    let ids: Vec<String> = found.iter().map(|record| record.id.hex()).collect();
    list::print(&found, &ids, &places, &mut Table::new(), out)?;
    if out.json {
        return Ok(());
    }
    out.line("")?;
    show::print(first, false, &places, out)
}

/// Where the demo's kernel settings are.
fn roots(directory: &Path) -> Roots {
    Roots { state: directory.join("before"), ..Roots::default() }
}
