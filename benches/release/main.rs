//! Fault → waitpid: what a service waits for before it can restart.
//!
//! `make bench` (root) measures, for processes of 10 MB, 1 GB and 4 GB with
//! five threads: no dump, a handler that exits at once, draining the pipe, the
//! kernel's own core file, and epicore; then, where Debian's packages can be
//! installed, minicoredumper and systemd-coredump, each in rounds of its own
//! with no dump and epicore beside it. Every round runs every contender once,
//! in random order. What is reported is paired inside the rounds.
//!
//! ```text
//! cargo bench --bench release -- [--quick] [--rounds N] [--sizes 10,1024,4096]
//!                                [--only NAME,…] [--no-packages]
//! ```
//!
//! EPICORE_HANDLER or EPICORE_DIST say where the handler under test is
//! (default target/dist, where `make build` puts it). The table goes to
//! standard output, the samples to target/bench/release.json, progress to
//! standard error. Exit status: 0 the promises hold, 1 they do not, 2 not
//! measured.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod contenders;
mod outcome;
mod packages;
mod rounds;
mod statistics;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::process::ExitCode;

use contenders::{Contender, Workplace};
use rounds::{Options, Session};

fn main() -> ExitCode {
    statistics::self_check();
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(why) => {
            eprintln!("release: {why}");
            return ExitCode::from(2);
        }
    };
    if let Err(why) = support::may_set_core_pattern() {
        eprintln!("release: not measured: {why}");
        return ExitCode::from(2);
    }
    let place = match Workplace::make() {
        Ok(place) => place,
        Err(why) => {
            eprintln!("release: not measured: {why}");
            return ExitCode::from(2);
        }
    };
    let started = std::time::Instant::now();
    let mut notes = Vec::new();
    let mut sessions = Vec::new();
    {
        let guard = support::pattern_guard::PatternGuard::take();
        let own = options.filter(Contender::own());
        sessions.push(Session::run("on its own", &own, &options, &place, &guard));
        if options.packages {
            for package in packages::ALL {
                match package.install() {
                    Ok(installed) => {
                        let three = [Contender::NoDump, Contender::Epicore, package.contender];
                        sessions.push(Session::run(package.name, &three, &options, &place, &guard));
                        drop(installed);
                    }
                    Err(why) => notes.push(format!("{}: not measured: {why}", package.name)),
                }
            }
        } else {
            notes.push("minicoredumper, systemd-coredump: not measured: --no-packages or --quick".to_owned());
        }
    }
    let outcome = outcome::Outcome::of(&sessions, notes, started.elapsed());
    print!("{}", outcome.table());
    match outcome.save(&support::target_dir().join("bench")) {
        Ok(path) => eprintln!("release: samples in {}", path.display()),
        Err(error) => eprintln!("release: samples not saved: {error}"),
    }
    if outcome.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
