//! `epicore purge` — remove records, because somebody has the right to it.
//!
//! ```console
//! # epicore purge --uid 1042 --before 2026-10-01
//! 17 records removed
//! ```
//!
//! What is chosen is what *all* given options say; at least one must be given.
//! Here it removes from the spool (root, or the spool's owner); with
//! `--remote` or `--fleet` from the collector (a token of the role admin), for
//! good: a record that is sent again later stays away. Who purged what, and
//! how many, is written to an audit log (`epicore audit`); what was in the
//! records is not. `--dry-run` only counts.

use jiff::Zoned;

use super::arguments::Common;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::records::now_ns;
use super::remote::Remote;
use super::{filter, when};
use crate::config::Config;
use crate::record;
use crate::report::amount;
use crate::spool::{AuditLine, Item, Kind, Reader, RecordStatus, Spool, SpoolError};
use crate::wire::api::{Purge, Purged};

/// What was typed.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Crashes of processes of this user (real uid)
    #[arg(long, value_name = "UID")]
    uid: Option<u32>,
    /// Crashes of this systemd unit; * matches anything
    #[arg(long, value_name = "UNIT")]
    unit: Option<String>,
    /// Crashes of this host; * matches anything
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Crashes before this time: "90d", "2026-11-22", RFC 3339
    #[arg(long, value_name = "TIME")]
    before: Option<String>,
    /// Only say how many
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// Purges here, or at the collector.
pub(super) fn run(arguments: &Arguments, common: &Common, out: &mut Output) -> Outcome {
    let now = Zoned::now().with_time_zone(out.zone.clone());
    let before = arguments.before.as_deref().map(|text| when::parse(text, &now)).transpose();
    let purge = Purge {
        uid: arguments.uid,
        unit: arguments.unit.clone(),
        host: arguments.host.clone(),
        before: before.map_err(|why| Failure::usage(format!("--before: {why}"), ""))?,
        dry_run: arguments.dry_run,
    };
    if purge == (Purge { dry_run: purge.dry_run, ..Purge::default() }) {
        let next = "Give --uid, --unit, --host or --before; `--before now` means all.";
        return Err(Failure::usage("nothing says which records", next));
    }
    let settings = common.strict_settings()?;
    let purged = match Remote::of(common)? {
        Some(remote) => remote.post("/v1/purge", &purge)?,
        None => here(&purge, &settings)?,
    };
    if out.json {
        return out.json_line(&purged);
    }
    let done = if purge.dry_run { "would be removed" } else { "removed" };
    out.line(&format!("{} {done}", amount::of(purged.records, "record")))
}

fn here(purge: &Purge, settings: &Config) -> Result<Purged, Failure> {
    let path = settings.spool_directory();
    let failed = |error: SpoolError| {
        Failure::new(format!("{}: {error}", path.display()), "Purging needs root, or the spool's owner.")
    };
    let reader = Reader::open(path).map_err(failed)?;
    if purge.dry_run {
        let listing = reader.list().map_err(failed)?;
        let chosen = listing.entries.iter().filter(|entry| is_meant(purge, &reader.read(entry)));
        return Ok(Purged { records: chosen.count() as u64 });
    }
    let spool = Spool::open(path).map_err(failed)?;
    let mut chosen = |item: &Item| item.kind == Kind::Crash && is_meant(purge, &reader.read_item(item));
    let records = spool.purge(&mut chosen).map_err(failed)?;
    let line = AuditLine {
        at: now_ns(),
        uid: nix::unistd::getuid().as_raw(),
        action: "purge".to_owned(),
        what: describe(purge),
        count: records,
    };
    spool.audit(&line).map_err(failed)?;
    Ok(Purged { records })
}

fn is_meant(purge: &Purge, status: &RecordStatus) -> bool {
    let RecordStatus::Valid { payload, .. } = status else { return false };
    let Ok(record) = record::decode(payload) else { return false };
    let unit = record.process.unit.as_deref();
    let in_unit = |p: &str| {
        unit.is_some_and(|unit| filter::matches(p, unit) || filter::matches(&format!("{p}.service"), unit))
    };
    let on_host = |p: &str| record.host.name.as_deref().is_some_and(|name| filter::matches(p, name));
    purge.uid.is_none_or(|uid| record.crash.uid == Some(uid))
        && purge.unit.as_deref().is_none_or(in_unit)
        && purge.host.as_deref().is_none_or(on_host)
        && purge.before.is_none_or(|before| record.realtime_ns.is_some_and(|at| at < before))
}

/// The choice in words, for the audit log.
fn describe(purge: &Purge) -> String {
    let mut words = Vec::new();
    words.extend(purge.uid.map(|uid| format!("uid {uid}")));
    words.extend(purge.unit.as_ref().map(|unit| format!("unit {unit}")));
    words.extend(purge.host.as_ref().map(|host| format!("host {host}")));
    words.extend(
        purge.before.map(|ns| format!("before {}", crate::report::time::utc(ns).unwrap_or_default())),
    );
    words.join(", ")
}
