//! The daemon: does it run, and does the collector take what it sends?
//!
//! A crash leaves its record without either of them, so nothing here fails;
//! but records that stay on the host are not counted with the fleet's.

use super::Check;
use crate::config::Config;
use crate::daemon::{AskError, Status, ask_status};
use crate::report::amount;

/// Nothing is said where no collector is configured and no daemon runs.
pub(super) fn daemon(settings: &Config) -> Vec<Check> {
    let Some(url) = &settings.collector.url else { return Vec::new() };
    match ask_status(&settings.daemon.socket) {
        Ok(status) => judge(&status, url),
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
