//! `epicore verdict` — say what was found out about a machine, and see what was
//! said.
//!
//! ```console
//! $ epicore verdict web-17 confirmed --note "memtest: DIMM A2" --fleet
//! web-17 confirmed: its 7 crashes until now are the machine's, as far as hardly another host shows the like
//! $ epicore verdict web-31/9c1185a5d0a3b1c2 refuted --note "a bug of 4.1.0" --fleet
//! $ epicore verdict --fleet
//! TIME                 HOST    SIGNATURE         VERDICT    WHO    NOTE
//! 2026-11-28 21:12:48  web-17  -                 confirmed  alice  memtest: DIMM A2
//! ```
//!
//! A verdict is about the crashes of a host, or of one signature on it, up to
//! now. `epicore study` takes it as known: confirmed, they are the machine's, and
//! what hardware looks like in this fleet is learnt from them; refuted, they are
//! software's, and only later crashes can count against the host. Nothing is
//! overwritten: the newest about a subject counts.
//!
//! With `--remote` or `--fleet` the collector keeps it (a token of the role
//! admin; each is in the audit log), else the file `verdicts.toml` beside the
//! records of this host, or of `--spool DIR`. A study reads them from where it reads its
//! records; of a single file of batches it reads none.

use std::collections::HashSet;
use std::path::Path;

use super::arguments::Common;
use super::failure::{Failure, Outcome, warn};
use super::output::Output;
use super::pile::{self, Piece};
use super::records::now_ns;
use super::remote::Remote;
use super::verdicts::{self, Said};
use crate::config::near;
use crate::owner::user;
use crate::report::escape::clean;
use crate::report::{amount, time};
use crate::spool::{AuditLine, PRIVATE, Spool};
use crate::wire::api::{Judged, Judgement, Verdict};

/// Bytes of a note.
const NOTE: usize = 1024;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Host, or HOST/SIGNATURE; without one, what was said is listed
    #[arg(value_name = "SUBJECT", requires = "verdict")]
    subject: Option<String>,
    /// "confirmed": it was the machine; "refuted": it was not
    #[arg(value_name = "VERDICT", hide_possible_values = true)]
    verdict: Option<Said>,
    /// How that is known: a test, a part that was replaced
    #[arg(long, value_name = "TEXT", requires = "subject")]
    note: Option<String>,
}

/// Says it, or lists.
pub(super) fn run(arguments: &Arguments, common: &Common, out: &mut Output) -> Outcome {
    let remote = Remote::of(common)?;
    let (Some(subject), Some(said)) = (&arguments.subject, arguments.verdict) else {
        let verdicts = match &remote {
            Some(remote) => remote.page("/v1/verdicts", &[])?,
            None => verdicts::read(common.settings()?.spool_directory())?,
        };
        return list(verdicts, out);
    };
    let judgement = judgement(subject, said, arguments.note.as_deref())?;
    let judged: Judged = match &remote {
        Some(remote) => remote.post_new("/v1/verdicts", &judgement)?,
        None => here(common.strict_settings()?.spool_directory(), judgement)?,
    };
    if out.json {
        return out.json_line(&judged);
    }
    out.line(&sentence(&judged))
}

fn judgement(subject: &str, said: Said, note: Option<&str>) -> Result<Judgement, Failure> {
    let (host, key) = subject.rsplit_once('/').map_or((subject, None), |(host, key)| (host, Some(key)));
    let next = "HOST, or HOST/SIGNATURE as `epicore study` prints it.";
    if host.is_empty() {
        return Err(Failure::usage("nobody is judged", next));
    }
    let signature = key.map(verdicts::key).transpose().map_err(|why| Failure::usage(why, next))?;
    let note = note.map(str::trim).filter(|note| !note.is_empty());
    if note.is_some_and(|note| note.len() > NOTE) {
        return Err(Failure::usage(format!("--note has more than {NOTE} bytes"), "Say it shorter."));
    }
    let (host, note) = (host.to_owned(), note.map(str::to_owned));
    Ok(Judgement { host, signature, confirmed: said == Said::Confirmed, note })
}

/// Into the file beside the records, when they know of whom it speaks.
fn here(path: &Path, judgement: Judgement) -> Result<Judged, Failure> {
    let (mut hosts, mut crashes) = (HashSet::new(), 0u64);
    let damage = pile::each(path, &mut |piece| {
        let (name, key) = match &piece {
            Piece::Crash(record) => (&record.host.name, Some(&record.keys)),
            Piece::Census(report) => (&report.host.name, None),
        };
        let Some(name) = name else { return };
        let keys = key.filter(|_| *name == judgement.host);
        let own = keys.map(|keys| keys.portable.or(keys.functions).or(keys.leaf));
        let is_meant = own.is_some_and(|own| judgement.signature.is_none() || own == judgement.signature);
        crashes = crashes.saturating_add(u64::from(is_meant));
        if !hosts.contains(name) {
            hosts.insert(name.clone());
        }
    })?;
    damage.tell();
    let (host, place) = (&judgement.host, path.display());
    if !hosts.contains(host) {
        let near = near(host, hosts.iter().map(String::as_str));
        let next = match near.is_empty() {
            true => {
                "A verdict is about a host whose records are there: `epicore list` shows them.".to_owned()
            }
            false => format!("Did you mean {}?", near.join(", ")),
        };
        return Err(Failure::new(format!("no host {host} in {place}"), next));
    }
    if let Some(key) = judgement.signature.filter(|_| crashes == 0) {
        let what = format!("{host} has no crash of signature {:016x} in {place}", key.0);
        return Err(Failure::new(what, "A whole key, as `epicore study` prints it."));
    }
    let who = nix::unistd::getuid().as_raw();
    let Judgement { host, signature, confirmed, note } = judgement;
    let verdict = Verdict { at: now_ns(), who: user(who), host, signature, confirmed, note };
    verdicts::append(path, &verdict)?;
    audit(path, who, &verdict, crashes);
    Ok(Judged { verdict, crashes })
}

/// A spool has an audit log; a directory of records has none.
fn audit(path: &Path, uid: u32, verdict: &Verdict, count: u64) {
    if !path.join(PRIVATE).is_dir() {
        return;
    }
    let (at, action) = (verdict.at, "verdict".to_owned());
    let what = format!("{}: host {}{}", word(verdict), verdict.host, of(verdict));
    let noted = Spool::open(path).and_then(|spool| spool.audit(&AuditLine { at, uid, action, what, count }));
    if let Err(error) = noted {
        warn(&format!("{}: the audit log: {error}", path.display()));
    }
}

fn word(verdict: &Verdict) -> &'static str {
    if verdict.confirmed { "confirmed" } else { "refuted" }
}

fn of(verdict: &Verdict) -> String {
    verdict.signature.map_or(String::new(), |key| format!(", signature {:016x}", key.0))
}

fn sentence(judged: &Judged) -> String {
    let verdict = &judged.verdict;
    let whose = if verdict.confirmed { "the machine's" } else { "software's" };
    let crashes = match judged.crashes {
        0 => "it has no crash yet that this is about".to_owned(),
        1 => format!("its one crash until now is {whose}"),
        n => format!("its {} crashes until now are {whose}", amount::count(n)),
    };
    let rare = match verdict.signature {
        None if judged.crashes > 0 => ", as far as hardly another host shows the like",
        _ => "",
    };
    format!("{}{} {}: {crashes}{rare}", clean(&verdict.host), clean(&of(verdict)), word(verdict))
}

fn list(mut verdicts: Vec<Verdict>, out: &mut Output) -> Outcome {
    verdicts.sort_by_key(|verdict| verdict.at);
    if out.json {
        return verdicts.iter().try_for_each(|verdict| out.json_line(verdict));
    }
    if verdicts.is_empty() {
        return out.line("No verdict was given.");
    }
    // From the newest back: what comes second about a subject counts no more.
    let mut seen = HashSet::new();
    let mut rows: Vec<[String; 6]> = verdicts
        .iter()
        .rev()
        .map(|verdict| {
            let counts = seen.insert((&verdict.host, verdict.signature));
            let said = if counts { word(verdict).to_owned() } else { format!("({})", word(verdict)) };
            let key = verdict.signature.map_or("-".to_owned(), |key| format!("{:016x}", key.0));
            let note = verdict.note.as_deref().map_or(String::new(), clean);
            let at = time::short(Some(verdict.at), &out.zone);
            [at, clean(&verdict.host), key, said, clean(&verdict.who), note]
        })
        .collect();
    rows.reverse();
    out.table(["TIME", "HOST", "SIGNATURE", "VERDICT", "WHO", "NOTE"], &rows)
}
