//! The daemon: does it run, and does the collector take what it sends?
//!
//! A crash leaves its record without either of them, so nothing here fails;
//! but records that stay on the host are not counted with the fleet's.

use super::Check;
use crate::cli::kernel;
use crate::cli::output::Output;
use crate::config::Config;
use crate::daemon::{AskError, Status, ask_status};
use crate::report::amount;

/// Nothing is said where no collector is configured and no daemon runs.
pub(super) fn daemon(settings: &Config, out: &Output) -> Vec<Check> {
    let asked = ask_status(&settings.daemon.socket);
    let mut checks: Vec<Check> = asked.iter().filter_map(|status| dropped(status, out)).collect();
    checks.extend(settings.collector.url.iter().flat_map(|url| forwarding(&asked, url)));
    checks
}

/// Crashes for which no handler began, as epicored counts them.
fn dropped(status: &Status, out: &Output) -> Option<Check> {
    let (what, _) = kernel::told(status, out)?;
    let some = status.dropped.is_some_and(|told| told.dropped > 0);
    let remedy = "A core limit of 1, core_pipe_limit, a handler that cannot be run, /run/epicore/disabled, or another \
                  pattern for a while: see `kernel log` above; docs/daemon.md has the list.";
    Some(if some { Check::warn("dropped", what, remedy) } else { Check::ok("dropped", what) })
}

fn forwarding(asked: &Result<Status, AskError>, url: &str) -> Vec<Check> {
    match asked {
        Ok(status) => judge(status, url),
        Err(AskError::Denied) => {
            vec![Check::unknown("forwarding", "epicored's socket is for root and the spool's group")]
        }
        Err(error) => {
            let what = format!("{error}; records stay on this host");
            vec![Check::warn("forwarding", what, "systemctl start epicored")]
        }
    }
}

fn judge(status: &Status, url: &str) -> Vec<Check> {
    let mut checks = Vec::new();
    match &status.outage {
        Some(outage) => {
            let waiting = amount::of(status.crashes.pending, "record");
            let what = format!("{}; {waiting} waiting", outage.trouble.what);
            checks.push(Check::warn("forwarding", what, &outage.trouble.next));
        }
        None => checks.push(Check::ok("forwarding", format!("{url} takes records"))),
    }
    if status.crashes.refused > 0 {
        let what = format!("the collector refused {}", amount::of(status.crashes.refused, "record"));
        checks.push(Check::warn(
            "forwarding",
            what,
            "`epicore status` says why; `epicore status --retry` sends them again",
        ));
    }
    if status.evicted > 0 {
        let what = format!(
            "{} gave way to the spool's quota before they were sent",
            amount::of(status.evicted, "record")
        );
        checks.push(Check::warn("forwarding", what, "Raise limits.spool_bytes and limits.spool_records."));
    }
    checks
}
