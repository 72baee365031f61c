//! `epicore audit` — who purged records, who read those of privileged
//! processes, and who said what about a machine.
//!
//! ```console
//! # epicore audit
//! TIME                 WHO       ACTION        WHAT                              RECORDS
//! 2026-11-22 14:05:09  root (0)  purge         uid 1042, before 2026-10-01T0…         17
//! 2026-11-22 15:12:40  root (0)  read-private  0199f0a6d1c87bd2a1b0c3d441f7a2c3        1
//! ```
//!
//! Here, WHO is a user, by name as of now and by uid (`--json`: the uid alone);
//! of a collector, the subject of a token.

use super::arguments::Common;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::remote::Remote;
use crate::owner::user;
use crate::report::escape::clean;
use crate::report::time;
use crate::spool::Reader;
use crate::wire::api::AuditRow;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Only the newest N
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    number: usize,
}

/// Prints the log, the newest last.
pub(super) fn run(arguments: &Arguments, common: &Common, out: &mut Output) -> Outcome {
    let remote = Remote::of(common)?;
    let mut rows: Vec<AuditRow> = match &remote {
        Some(remote) => remote.get("/v1/audit", &[("limit", arguments.number.to_string())])?,
        None => here(arguments.number, common)?,
    };
    rows.sort_by_key(|row| row.at);
    if out.json {
        return rows.iter().try_for_each(|row| out.json_line(row));
    }
    if rows.is_empty() {
        return out
            .line("Nothing was purged, no record of a privileged process was read, no verdict was given.");
    }
    let cells: Vec<[String; 5]> = rows
        .iter()
        .map(|row| {
            let at = time::short(Some(row.at), &out.zone);
            let who = if remote.is_some() { row.who.clone() } else { named(&row.who) };
            [at, clean(&who), clean(&row.action), clean(&row.what), row.count.to_string()]
        })
        .collect();
    out.table(["TIME", "WHO", "ACTION", "WHAT", "RECORDS"], &cells)
}

/// A uid with the user's name, where it has one.
fn named(uid: &str) -> String {
    let name = uid.parse().map(user).ok().filter(|name| name != uid);
    name.map_or_else(|| uid.to_owned(), |name| format!("{name} ({uid})"))
}

fn here(number: usize, common: &Common) -> Result<Vec<AuditRow>, Failure> {
    let settings = common.settings()?;
    let path = settings.spool_directory();
    let failed =
        |error| Failure::new(format!("{}: {error}", path.display()), "`epicore doctor` looks at the spool.");
    let lines = Reader::open(path).and_then(|reader| reader.audit(number)).map_err(failed)?;
    let row = |line: crate::spool::AuditLine| AuditRow {
        at: line.at,
        who: line.uid.to_string(),
        action: line.action,
        what: line.what,
        count: line.count,
    };
    Ok(lines.into_iter().map(row).collect())
}
