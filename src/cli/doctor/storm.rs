//! Crashes that left less than a full record, as the handlers counted them.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use super::{Check, Host};
use crate::cli::storms;
use crate::record::Id;
use crate::storm::{FILE, Snapshot};

/// What was suppressed or lost, and handlers that died; nothing before the first
/// crash of a boot.
pub(super) fn storm(host: &Host, run: &Path) -> Vec<Check> {
    let run = host.at(run);
    let denied = File::open(run.join(FILE)).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied);
    if denied {
        return vec![Check::unknown("storms", "what was suppressed or lost may not be read")];
    }
    let ledger = boot(host).and_then(|boot| Snapshot::read(&run, boot));
    ledger.iter().flat_map(|ledger| [storms(ledger), deaths(ledger)]).flatten().collect()
}

fn boot(host: &Host) -> Option<[u8; 16]> {
    let boot = Id::from_hex(&host.read("/proc/sys/kernel/random/boot_id")?)?;
    boot.0.try_into().ok()
}

fn storms(ledger: &Snapshot) -> Option<Check> {
    let remedy = if storms::totals(ledger).suppressed > 0 {
        "`epicore list` shows what crashes in a loop; [throttle] in the configuration is how much of it is kept."
    } else {
        "`journalctl -k` may say why; analysis.slots and limits of the machine."
    };
    storms::words(ledger).map(|what| Check::warn("storms", what, remedy))
}

/// A handler that died of itself is a bug of ours.
fn deaths(ledger: &Snapshot) -> Option<Check> {
    let remedy = "Please report it (SECURITY.md): what crashed, and what this line says.";
    storms::deaths(ledger).map(|what| Check::warn("handler died", what, remedy))
}
