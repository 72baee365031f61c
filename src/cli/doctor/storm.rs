//! Crashes that left less than a full record, as the handlers counted them.

use std::fs::File;
use std::io::ErrorKind;

use super::{Check, Host};
use crate::cli::storms;
use crate::record::Id;
use crate::storm::{FILE, RUN};

/// One check when something was suppressed or lost; nothing before the first
/// crash of a boot.
pub(super) fn storm(host: &Host) -> Option<Check> {
    let run = host.at(RUN);
    let denied = File::open(run.join(FILE)).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied);
    if denied {
        return Some(Check::unknown("storms", "what was suppressed or lost may not be read"));
    }
    let boot = Id::from_hex(&host.read("/proc/sys/kernel/random/boot_id")?)?;
    let totals = storms::totals(&run, boot.0.try_into().ok()?)?;
    let remedy = if totals.suppressed > 0 {
        "Mend what crashes in a loop: `epicore list` shows it. [throttle] says how much is kept."
    } else {
        "`journalctl -k` may say why; analysis.slots and limits of the machine."
    };
    storms::words(&totals).map(|what| Check::warn("storms", what, remedy))
}
