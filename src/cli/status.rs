//! `epicore status` — what epicored does, and what keeps it from doing it.
//!
//! ```console
//! $ epicore status
//! epicored 0.1.0 on web-17, process 812, since 2026-11-22 14:05:09
//!   collector   https://collector.example:7464
//!   state       waiting: the collector refused the connection (since 3 h 12 min, 41 attempts)
//!               → Is epicore-collector running there, and is the port right?
//!   next try    in 2 min 10 s
//!   crashes     214 to send, 9,120 acknowledged, 0 refused
//!   exposure    3 to send, 41 acknowledged, 0 refused
//!   sent        9,161 stored, 2 known already, 0 refused in 120 requests, 14 MiB
//! ```
//!
//! It asks the daemon's socket, which is for root and the spool's group.
//! `--flush` lets it try the collector now instead of later, `--retry` has
//! refused records sent again (root, or the spool's owner). `--json` prints
//! the document itself (docs/daemon.md explains each line). A line `kernel` says for
//! how many crashes no handler began, and `storms` how many of this boot left less
//! than a full record, when some did.
//!
//! Exit status: 0 when nothing keeps records from being forwarded and the
//! collector refused none since epicored started (or those are pending again),
//! else 1.

use std::path::Path;

use super::arguments::Common;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::{kernel, storms};
use crate::daemon::{Activity, AskError, Outage, Status, Tally, ask, ask_status};
use crate::report::escape::clean;
use crate::report::{amount, time};
use crate::storm::RUN;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Try the collector now
    #[arg(long)]
    flush: bool,
    /// Send refused records again
    #[arg(long)]
    retry: bool,
    /// Where epicored answers [default: the configuration's daemon.socket]
    #[arg(long, value_name = "PATH")]
    socket: Option<std::path::PathBuf>,
}

/// The daemon's document, and what crash handlers counted.
#[derive(serde::Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    status: &'a Status,
    storms: Option<String>,
}

/// Asks, and tells.
pub(super) fn run(arguments: &Arguments, common: &Common, out: &mut Output) -> Outcome {
    let socket = match &arguments.socket {
        Some(socket) => socket.clone(),
        None => common.settings()?.daemon.socket,
    };
    let failed = |error: AskError| {
        let next = match error {
            AskError::NotThere(_) => {
                "Is epicored running (systemctl status epicored), with this daemon.socket?"
            }
            AskError::Denied => "Ask as root, or as a member of the group epicore.",
            AskError::Garbled(_) => "Are epicore and epicored of the same version? Restart epicored.",
            AskError::Refused(_) => "Do it as root, or as the owner of the spool.",
        };
        Failure::new(format!("{}: {error}", socket.display()), next)
    };
    for word in [("flush", arguments.flush), ("retry", arguments.retry)] {
        if let (word, true) = word {
            ask(&socket, word).map_err(failed)?;
        }
    }
    let status = match ask_status(&socket) {
        Ok(status) => status,
        Err(error) => {
            // What crash handlers counted is known without it.
            if let Some(storms) = storms::here(Path::new(RUN)).filter(|_| !out.json) {
                let mut lines = Lines(String::new());
                lines.add("storms", &storms);
                out.text(&lines.0)?;
                out.flush()?;
            }
            return Err(failed(error));
        }
    };
    if out.json {
        out.json_pretty(&Whole { status: &status, storms: storms::here(Path::new(&status.run)) })?;
    } else {
        let storms = storms::here(Path::new(&status.run));
        out.text(&text(&status, storms, out))?;
    }
    out.flush()?;
    let well = status.outage.is_none() && status.warnings.is_empty() && refused(&status) == 0;
    if well { Ok(()) } else { Err(Failure::Told) }
}

/// What the collector refused since epicored started and nobody has had sent
/// again or removed.
fn refused(status: &Status) -> u64 {
    status.sent.refused.min(status.crashes.refused.saturating_add(status.exposures.refused))
}

fn text(status: &Status, storms: Option<String>, out: &Output) -> String {
    let mut lines = Lines(format!(
        "epicored {} on {}, process {}, since {}\n",
        clean(&status.version),
        clean(&status.host),
        status.pid,
        time::short(Some(status.started), &out.zone)
    ));
    lines.add("spool", &clean(&status.spool));
    lines.add("collector", &status.collector.as_deref().map_or("none is configured".to_owned(), clean));
    lines.add("state", &state(status));
    if let Some(outage) = &status.outage {
        lines.next(&clean(&outage.trouble.next));
        lines.add("next try", &next_try(outage));
    }
    let waiting = if status.collector.is_some() { "to send" } else { "kept" };
    lines.add("crashes", &tally(&status.crashes, waiting));
    lines.add("exposure", &tally(&status.exposures, waiting));
    if let Some(held) = held(status) {
        lines.add("staying", &held);
    }
    if status.evicted > 0 {
        lines.add(
            "lost",
            &format!(
                "{} gave way to the spool's quota before they were sent",
                amount::of(status.evicted, "record")
            ),
        );
    }
    if let Some((words, next)) = kernel::told(status, out) {
        lines.add("kernel", &words);
        lines.next(next);
    }
    if let Some(storms) = storms {
        lines.add("storms", &storms);
    }
    let sent = &status.sent;
    lines.add(
        "sent",
        &format!(
            "{} stored, {} known already, {} refused in {}, {}",
            amount::count(sent.stored),
            amount::count(sent.duplicates),
            amount::count(sent.refused),
            amount::of(sent.requests, "request"),
            amount::bytes(sent.bytes)
        ),
    );
    if let Some(at) = status.last_stored {
        lines.add("last stored", &time::short(Some(at), &out.zone));
    }
    let refused = refused(status);
    if refused > 0 {
        lines.add(
            "refused",
            &format!("{} since epicored started; kept here, and not sent again", amount::of(refused, "item")),
        );
        lines
            .next("See why below and in the collector's log; when that is mended: `epicore status --retry`.");
    }
    for refusal in &status.refusals {
        lines.add("refused", &format!("{}: {}", clean(&refusal.id), clean(&refusal.why)));
    }
    for warning in &status.warnings {
        lines.add("warning", &clean(warning));
    }
    lines.0
}

/// A heading, and lines below it.
struct Lines(String);

impl Lines {
    fn add(&mut self, name: &str, value: &str) {
        self.0.push_str(&format!("  {name:<12}{value}\n"));
    }

    fn next(&mut self, remedy: &str) {
        if !remedy.is_empty() {
            self.0.push_str(&format!("  {:<12}→ {remedy}\n", ""));
        }
    }
}

fn state(status: &Status) -> String {
    let trouble = status.outage.as_ref().map(|outage| {
        let since = amount::duration_ns(status.at.saturating_sub(outage.since));
        let attempts = amount::of(outage.failures, "attempt");
        format!("{} (since {since}, {attempts})", clean(&outage.trouble.what))
    });
    let activity = match status.activity {
        Activity::NoCollector => "records stay on this host",
        Activity::Idle => "idle: everything that may leave has left",
        Activity::Sending => "sending",
        Activity::Waiting => "waiting",
        Activity::Stopping => "stopping",
    };
    trouble.map_or_else(|| activity.to_owned(), |trouble| format!("{activity}: {trouble}"))
}

fn next_try(outage: &Outage) -> String {
    outage.next_try_ms.map_or_else(
        || "under way".to_owned(),
        |ms| format!("in {}", amount::duration_ns(ms.saturating_mul(1_000_000))),
    )
}

fn tally(tally: &Tally, waiting: &str) -> String {
    format!(
        "{} {waiting}, {} acknowledged, {} refused",
        amount::count(tally.pending),
        amount::count(tally.sent),
        amount::count(tally.refused)
    )
}

/// What is pending and yet does not leave.
fn held(status: &Status) -> Option<String> {
    let held = &status.held;
    let all = [
        (held.private, "of privileged programs (forward.private)"),
        (held.newer, "of a newer schema (update epicored)"),
        (held.damaged, "damaged"),
        (held.unmarked, "stored, but the spool could not note it"),
        (held.other_name, "of a name that this host has no longer"),
        (status.young, "not complete yet"),
    ];
    let words: Vec<String> =
        all.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", amount::count(*n))).collect();
    (!words.is_empty()).then(|| words.join(", "))
}
