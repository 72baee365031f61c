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
//! The record is named by its id or a part of it (`list` shows the end), by
//! "last", or by a path. Functions are named from the modules and debug
//! packages on this host, and only when the build-id is the record's;
//! `fn_4120+0x14` is 0x14 bytes into the function that starts at 0x4120 and
//! has no name here. The right column says how each frame was found, from
//! registers (sure) to stack scan (a guess that the next frame confirmed).
//!
//! With `--remote URL` or `--fleet` the record is the collector's. A record of
//! a privileged process can be read by root only (of a collector: with a token
//! of the role admin), and each reading is written to the audit log.
//!
//! `--full` shows all of the record; `--json` prints the record itself
//! (docs/record-format.md), addresses and identities in hexadecimal.

use std::path::{Path, PathBuf};

use super::arguments::Common;
use super::failure::{self, Failure, Outcome};
use super::names::Finder;
use super::output::Output;
use super::records::{self, Records};
use super::remote::Remote;
use crate::record::Record;
use crate::report;
use crate::spool::{AuditLine, Spool};
use crate::wire::api::Page;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Id or a part of one, "last", or the path of a record
    #[arg(default_value = "last")]
    record: String,
    /// Everything, however long
    #[arg(long)]
    full: bool,
}

/// Prints one record.
pub(super) fn run(arguments: &Arguments, common: &Common, out: &mut Output) -> Outcome {
    let path = Path::new(&arguments.record);
    let record = if let Some(remote) = Remote::of(common)? {
        from_fleet(&remote, &arguments.record)?
    } else if arguments.record.contains('/') || path.is_file() {
        records::from_file(path)?
    } else {
        let settings = common.settings()?;
        let record = Records::open(settings.spool_directory())?.find(&arguments.record)?;
        if record.private {
            note_reading(settings.spool_directory(), &record);
        }
        record
    };
    print(&record, arguments.full, &[], out)
}

fn from_fleet(remote: &Remote, selector: &str) -> Result<Record, Failure> {
    let id = if selector == "last" {
        let newest = [("order", "newest".to_owned()), ("limit", "1".to_owned())];
        let page: Page = remote.get("/v1/records", &newest)?;
        let last = page.records.first().map(|summary| summary.id.hex());
        last.ok_or_else(|| Failure::new(format!("{}: no records", remote.url), ""))?
    } else {
        selector.chars().filter(|c| *c != '-').collect()
    };
    if !id.bytes().all(|b| b.is_ascii_hexdigit()) || id.is_empty() || id.len() > 32 {
        let next = "Give an id or a part of one, or \"last\".";
        return Err(Failure::usage(format!("\"{selector}\" is not a record"), next));
    }
    let one = remote.one(&id)?.map_err(|candidates| {
        let ids: Vec<String> = candidates.records.iter().map(|summary| summary.id.hex()).collect();
        several(&id, &ids)
    })?;
    one.record.ok_or_else(|| {
        let what = format!("record {id} has schema {}, which this program does not know", one.summary.v);
        Failure::new(what, "Update epicore; the collector kept the record as it came.")
    })
}

/// A part of an id that is not enough, here and of a collector.
pub(super) fn several(digits: &str, ids: &[String]) -> Failure {
    Failure::new(format!("{digits} is a part of several ids:\n{}", ids.join("\n")), "Type a few more digits.")
}

/// Reading a record of a privileged process leaves a line. It does not hinder
/// the reading: on a full disk a crash is looked at most.
fn note_reading(spool: &Path, record: &Record) {
    let line = AuditLine {
        at: records::now_ns(),
        uid: nix::unistd::getuid().as_raw(),
        action: "read-private".to_owned(),
        what: record.id.hex(),
        count: 1,
    };
    let noted = Spool::open(spool).and_then(|spool| spool.audit(&line));
    if let Err(error) = noted {
        failure::warn(&format!("the audit log could not be written: {error}"));
    }
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
