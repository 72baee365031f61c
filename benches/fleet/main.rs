//! The fleet: host, network and collector together, against what is promised.
//!
//! `make bench-fleet` measures the programs that `make build` put into
//! target/dist: the collector while it is filled, beside a bare loop of the
//! same rows; questions over what it was filled with; a daemon that drains a
//! full spool; one that has nothing to do; a crash on its way from the kernel
//! to the API; and a census of a thousand processes.
//!
//! ```text
//! cargo bench --bench fleet -- [--only ingest,study,daemon,idle,visible,census]
//!                              [--records 1000000] [--rounds 3] [--quick] [--at DIR]
//! ```
//!
//! EPICORE_DIST says where the programs are (default target/dist). --at is
//! where databases and spools lie (default: the directory for temporary files;
//! it must be a disk, or no fsync is measured). Tables go to standard output,
//! all samples to target/bench/fleet.json, progress to standard error. Exit
//! status: 0 the promises hold, 1 one does not, 2 one was not measured.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../store/bare.rs"]
#[allow(unreachable_pub)]
mod bare;
mod captured;
mod census;
mod daemon;
mod idle;
mod ingest;
mod meter;
mod null;
mod options;
#[path = "../../tests/support/pattern_guard.rs"]
#[allow(dead_code)]
mod pattern_guard;
mod place;
mod report;
mod sender;
#[path = "../store/fleet.rs"]
#[allow(dead_code, unreachable_pub)]
mod simulated;
#[path = "../release/statistics.rs"]
#[allow(dead_code)]
mod statistics;
mod study;
mod visible;

use std::process::ExitCode;

use options::{Options, Part};
use place::Place;
use report::Report;

fn main() -> ExitCode {
    statistics::self_check();
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(why) => {
            eprintln!("fleet: {why}");
            return ExitCode::from(2);
        }
    };
    let mut report = Report::begin();
    // What the parts before the study leave for it.
    let mut filled: Option<Place> = None;
    for part in &options.parts {
        eprintln!("fleet: {}", part.name());
        let done = match part {
            Part::Ingest => ingest::run(&options, &mut report).map(|place| filled = Some(place)),
            Part::Study => study::run(&options, filled.take(), &mut report),
            Part::Daemon => daemon::run(&options, &mut report),
            Part::Idle => idle::run(&options, &mut report),
            Part::Visible => visible::run(&options, &mut report),
            Part::Census => census::run(&options, &mut report),
        };
        if let Err(why) = done {
            report.not_measured(part.name(), &why);
        }
    }
    report.end()
}
