//! `epicore show` — one crash: why first, then where, then everything else.
//!
//! ```console
//! $ epicore show last
//! SIGSEGV: access to address 0x0 (null pointer): nothing is mapped there (SEGV_MAPERR), at parse+0x14 (server+0x4134)
//!   when        2026-11-22 14:05:09.123 +01:00
//!   …
//! Crashing thread 4242
//!   #0  parse+0x14        server+0x4134            registers
//!   #1  main+0x2c         server+0x512c            call frame information
//! ```
//!
//! The record is named by its id, by the first or last digits of it, by
//! "last", or by a path. Functions are named from the modules and debug
//! packages on this host, and only when the build-id is the record's;
//! `fn_4120+0x14` is 0x14 bytes into the function that starts at 0x4120 and
//! has no name here. The right column says how each frame was found, from
//! registers (sure) to stack scan (a guess that the next frame confirmed).
//!
//! `--full` shows all of the record; `--json` prints the record itself
//! (docs/record-format.md), addresses and identities in hexadecimal.

use std::path::{Path, PathBuf};

use super::arguments::Common;
use super::failure::Outcome;
use super::names::Finder;
use super::output::Output;
use super::records::{self, Records};
use crate::record::Record;
use crate::report;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Id, first or last digits of one, "last", or the path of a record
    #[arg(default_value = "last")]
    record: String,
    /// Everything, however long
    #[arg(long)]
    full: bool,
}

/// Prints one record.
pub(super) fn run(arguments: &Arguments, common: &Common, out: &mut Output) -> Outcome {
    let path = Path::new(&arguments.record);
    let record = if arguments.record.contains('/') || path.is_file() {
        records::from_file(path)?
    } else {
        Records::open(common.settings()?.spool_directory())?.find(&arguments.record)?
    };
    print(&record, arguments.full, &[], out)
}

/// One record as text or JSON; `replay` and `demo` print the same.
/// Names come from the modules' paths and from `places`.
pub(super) fn print(record: &Record, full: bool, places: &[PathBuf], out: &mut Output) -> Outcome {
    if out.json {
        return out.json_pretty(record);
    }
    let names = Finder::new(places).all(record);
    let look = report::Look { paint: out.paint, width: out.width };
    let options = report::Options { full, look, zone: out.zone.clone() };
    out.text(&report::crash(record, &names, &options))
}
