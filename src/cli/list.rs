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
//! `--json` prints one record a line, with the keys of docs/record-format.md.
//! Names are as the process chose them: a program that prints them must escape
//! them.

use std::path::PathBuf;

use jiff::Zoned;

use super::arguments::Common;
use super::failure::{Failure, Outcome};
use super::names::Finder;
use super::output::Output;
use super::records::{Records, tell_damage};
use super::when;
use crate::record::{Hex, Record};
use crate::report::{self, frames, signal, table};

/// What was typed.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Not before this time: "2h", "yesterday", "2026-11-22", RFC 3339
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Not after this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Executable: path, file name or comm; * matches anything
    #[arg(long, value_name = "NAME")]
    exe: Option<String>,
    /// systemd unit, ".service" may be left out; * matches anything
    #[arg(long, value_name = "UNIT")]
    unit: Option<String>,
    /// Signal by name or number: SEGV, SIGABRT, 8
    #[arg(long, value_name = "SIGNAL")]
    signal: Option<String>,
    /// Beginning of a location key (L1 or L2), hexadecimal
    #[arg(long, value_name = "KEY")]
    signature: Option<String>,
    /// Host name; * matches anything
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Only the newest N
    #[arg(short = 'n', long, value_name = "N")]
    number: Option<usize>,
}

/// What the program needs.
#[derive(Debug, Default)]
struct Filter {
    since: Option<u64>,
    until: Option<u64>,
    exe: Option<String>,
    unit: Option<String>,
    signal: Option<u32>,
    signature: Option<String>,
    host: Option<String>,
}

/// Prints the table.
pub(super) fn run(arguments: &Arguments, common: &Common, out: &mut Output) -> Outcome {
    let filter = Filter::understand(arguments, &Zoned::now().with_time_zone(out.zone.clone()))?;
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
    print(&found, &ids, &[], out)
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

/// The table, or JSON lines; ids are told apart from all of `ids`.
/// Names come from the modules' paths and from `places`.
pub(super) fn print(found: &[Record], ids: &[String], places: &[PathBuf], out: &mut Output) -> Outcome {
    let mut finder = Finder::new(places);
    let mut names = |record: &Record| finder.of(record, frames::culprit(record).into_iter());
    if out.json {
        return found.iter().try_for_each(|record| out.json_line(record));
    }
    let turned: Vec<String> = ids.iter().map(|id| id.chars().rev().collect()).collect();
    let digits = table::prefix_length(turned.iter().map(String::as_str));
    let rows: Vec<_> = found
        .iter()
        .map(|record| {
            let id = record.id.hex();
            let tail = id.get(id.len().saturating_sub(digits)..).unwrap_or(&id).to_owned();
            table::row(record, &names(record), tail, &out.zone)
        })
        .collect();
    out.text(&table::table(&rows, out.width, out.paint))
}

impl Filter {
    fn understand(typed: &Arguments, now: &Zoned) -> Result<Filter, Failure> {
        let moment = |option: &str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => when::parse(text, now)
                .map(Some)
                .map_err(|why| Failure::usage(format!("{option}: {why}"), "`epicore list --help` has more.")),
        };
        let number = |text: &String| {
            signal::number(text).ok_or_else(|| {
                Failure::usage(
                    format!("--signal: \"{text}\" is not a signal"),
                    "Try SEGV, SIGABRT or a number from 1 to 64.",
                )
            })
        };
        Ok(Filter {
            since: moment("--since", &typed.since)?,
            until: moment("--until", &typed.until)?,
            exe: typed.exe.clone(),
            unit: typed.unit.clone(),
            signal: typed.signal.as_ref().map(number).transpose()?,
            signature: typed.signature.as_deref().map(key).transpose()?,
            host: typed.host.clone(),
        })
    }

    fn accepts(&self, record: &Record) -> bool {
        let at = record.realtime_ns.unwrap_or(0);
        self.since.is_none_or(|since| at >= since)
            && self.until.is_none_or(|until| at <= until)
            && self.signal.is_none_or(|signal| record.crash.signal == Some(signal))
            && self.host.as_deref().is_none_or(|p| record.host.name.as_deref().is_some_and(|n| matches(p, n)))
            && self.unit.as_deref().is_none_or(|p| in_unit(p, record))
            && self.exe.as_deref().is_none_or(|p| is_exe(p, record))
            && self.signature.as_deref().is_none_or(|k| has_key(k, record))
    }
}

fn key(text: &str) -> Result<String, Failure> {
    let digits = text.strip_prefix("0x").unwrap_or(text).to_ascii_lowercase();
    if digits.is_empty() || digits.len() > 16 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        let next = "Give the KEY of `epicore list`, or the L1 or L2 of `epicore show`.";
        return Err(Failure::usage(format!("--signature: \"{text}\" is not a key"), next));
    }
    Ok(digits)
}

fn has_key(digits: &str, record: &Record) -> bool {
    let keys = [record.keys.functions, record.keys.portable];
    keys.into_iter().flatten().any(|Hex(key)| format!("{key:016x}").starts_with(digits))
}

fn in_unit(pattern: &str, record: &Record) -> bool {
    let unit = record.process.unit.as_deref();
    unit.is_some_and(|unit| matches(pattern, unit) || matches(&format!("{pattern}.service"), unit))
}

fn is_exe(pattern: &str, record: &Record) -> bool {
    let process = &record.process;
    let exe = process.exe.as_deref();
    if pattern.contains('/') {
        return exe.is_some_and(|path| matches(pattern, path));
    }
    let names = [exe.map(frames::base), process.comm.as_deref()];
    names.into_iter().flatten().any(|name| matches(pattern, name))
}

/// Whole-text match; `*` stands for any text. Linear in the product of both.
fn matches(pattern: &str, text: &str) -> bool {
    let (mut rest, mut first) = (text, true);
    let mut parts = pattern.split('*').peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        match (first, last) {
            (true, true) => return rest == part,
            (true, false) => match rest.strip_prefix(part) {
                Some(after) => rest = after,
                None => return false,
            },
            (false, true) => return rest.ends_with(part),
            (false, false) => match rest.split_once(part) {
                Some((_, after)) => rest = after,
                None => return false,
            },
        }
        first = false;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        assert!(matches("ngin*", "nginx") && matches("*", "") && matches("a*b*c", "a-b-b-c"));
        assert!(matches("nginx", "nginx") && !matches("nginx", "nginx2"));
        assert!(!matches("a*b", "a-c") && !matches("ab*ba", "aba"));
    }
}
