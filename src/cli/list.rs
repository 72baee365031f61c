//! `epicore list` — which crashes there were, one line each, the newest last.
//!
//! ```console
//! $ epicore list --since yesterday --signal SEGV
//! TIME                 ID        SIGNAL   PROGRAM  UNIT            HOST    WHERE                              KEY
//! 2026-11-22 14:05:09  41f7a2c3  SIGSEGV  server   server.service  web-12  parse+0x14 (server+0x4134)         9c1185a5
//! 2026-11-22 14:07:41  9b00d8e1  SIGSEGV  server   server.service  web-12  parse+0x14 (server+0x4134)         9c1185a5
//! ```
//!
//! ID is the end of the record's id, enough of it to tell all records apart
//! (the beginning of an id is the time); `epicore show` takes it as it is.
//! WHERE is the first frame of the program's own, KEY the beginning of the
//! location key L1: equal keys are the same place. Patterns of --exe, --unit
//! and --host may hold `*`; without a slash they match the file name.
//!
//! With `--remote URL` or `--fleet` the crashes are the whole fleet's, the
//! newest 100 unless -n says otherwise, and functions have no names: the
//! modules are elsewhere.
//!
//! `--json` prints one record a line, with the keys of docs/record-format.md
//! (of a collector: its `Summary`, docs/wire-protocol.md).
//! Names are as the process chose them: a program that prints them must escape
//! them.

use std::path::PathBuf;

use jiff::Zoned;

use super::arguments::Common;
use super::failure::{Failure, Outcome};
use super::filter::{Filter, Typed};
use super::names::Finder;
use super::output::Output;
use super::records::{Records, tell_damage};
use super::remote::Remote;
use crate::record::Record;
use crate::report::table::{self, Table};
use crate::report::{self, frames};
use crate::wire::api::{Page, Summary};

/// What was typed.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    filter: Typed,
    /// Only the newest N
    #[arg(short = 'n', long, value_name = "N")]
    number: Option<usize>,
}

/// Prints the table.
pub(super) fn run(arguments: &Arguments, common: &Common, out: &mut Output) -> Outcome {
    let filter = Filter::understand(&arguments.filter, &Zoned::now().with_time_zone(out.zone.clone()))?;
    if let Some(remote) = Remote::of(common)? {
        return fleet(&remote, &filter, arguments.number.unwrap_or(FLEET), out);
    }
    let settings = common.settings()?;
    let records = Records::open(settings.spool_directory())?;
    let listing = records.list()?;
    let mut damaged = Vec::new();
    let mut found = Vec::new();
    for entry in listing.entries.iter().rev() {
        if arguments.number.is_some_and(|n| found.len() >= n) {
            break;
        }
        match records.read(entry) {
            Ok(Some(record)) if filter.accepts(&record) => found.push(record),
            Ok(_) => {}
            Err(why) => damaged.push((entry.id.to_string(), why)),
        }
    }
    found.reverse();
    tell_damage(&damaged);
    if found.is_empty() && !out.json {
        return Err(nothing(listing.entries.len(), settings.spool_directory()));
    }
    let ids: Vec<String> = listing.entries.iter().map(|e| e.id.to_string()).collect();
    print(&found, &ids, &[], &mut Table::new(), out)
}

/// Crashes of the fleet that are shown when nobody says how many.
const FLEET: usize = 100;
/// Crashes that a collector gives in one answer.
const PAGE: usize = 1000;

fn fleet(remote: &Remote, filter: &Filter, number: usize, out: &mut Output) -> Outcome {
    let mut found: Vec<Summary> = Vec::new();
    let mut after = None;
    while found.len() < number {
        let mut query = filter.query();
        query.push(("order", "newest".to_owned()));
        query.push(("limit", number.saturating_sub(found.len()).min(PAGE).to_string()));
        query.extend(after.map(|after: u64| ("after", after.to_string())));
        let page: Page = remote.get("/v1/records", &query)?;
        let empty = page.records.is_empty();
        found.extend(page.records);
        after = page.next;
        if empty || after.is_none() {
            break;
        }
    }
    found.truncate(number);
    found.reverse();
    if found.is_empty() && !out.json {
        let next = "Ask for less, or of a longer time; `epicore status` on a host says whether it forwards.";
        return Err(Failure::new(format!("{}: no crash matches", remote.url), next));
    }
    summaries(&found, &mut Table::new(), out)
}

/// Summaries as rows of a table, or as JSON lines.
pub(super) fn summaries(found: &[Summary], table: &mut Table, out: &mut Output) -> Outcome {
    if out.json {
        return found.iter().try_for_each(|summary| out.json_line(summary));
    }
    let ids: Vec<String> = found.iter().map(|summary| summary.id.hex()).collect();
    let digits = tail_length(&ids);
    let rows: Vec<_> =
        found.iter().zip(&ids).map(|(s, id)| table::summary(s, tail(id, digits), &out.zone)).collect();
    out.text(&table.text(&rows, out.width, out.paint))
}

/// How many last digits tell these ids apart.
fn tail_length(ids: &[String]) -> usize {
    let turned: Vec<String> = ids.iter().map(|id| id.chars().rev().collect()).collect();
    table::prefix_length(turned.iter().map(String::as_str))
}

fn tail(id: &str, digits: usize) -> String {
    id.get(id.len().saturating_sub(digits)..).unwrap_or(id).to_owned()
}

fn nothing(records: usize, spool: &std::path::Path) -> Failure {
    let spool = spool.display();
    match records {
        0 => Failure::new(
            format!("no records in {spool}"),
            "`epicore doctor` says whether a crash would leave one.",
        ),
        n => Failure::new(
            format!("none of the {} in {spool} matches", report::amount::of(n as u64, "record")),
            "Ask for less; if a crash is missing, `epicore doctor` says why.",
        ),
    }
}

/// Rows of the table, or JSON lines; ids are told apart from all of `ids`.
/// Names come from the modules' paths and from `places`.
pub(super) fn print(
    found: &[Record],
    ids: &[String],
    places: &[PathBuf],
    table: &mut Table,
    out: &mut Output,
) -> Outcome {
    let mut finder = Finder::new(places);
    let mut names = |record: &Record| finder.of(record, frames::culprit(record).into_iter());
    if out.json {
        return found.iter().try_for_each(|record| out.json_line(record));
    }
    let digits = tail_length(ids);
    let rows: Vec<_> = found
        .iter()
        .map(|record| table::row(record, &names(record), tail(&record.id.hex(), digits), &out.zone))
        .collect();
    out.text(&table.text(&rows, out.width, out.paint))
}
