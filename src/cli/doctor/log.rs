//! Dumps that the kernel dropped, from its log: "at least" so many.

use std::path::Path;

use super::{Check, Host};
use crate::invocation::{dropped as read, open_log};
use crate::report::amount;

/// One check for each kind of complaint, or one that says there is none. That a handler
/// cannot be run is told of the installed one only.
pub(super) fn dropped(host: &Host, handler: &Path) -> Vec<Check> {
    let Ok(mut log) = open_log(&host.at("/dev/kmsg")) else {
        return vec![Check::unknown("kernel log", "could not be read")];
    };
    let found = read(&mut log, Some(handler));
    // (how many, what that means, the remedy).
    let complaints = [
        (
            found.over_limit,
            "dropped: more crashes at once than core_pipe_limit",
            "Raise kernel.core_pipe_limit; a storm of crashes drops some all the same.",
        ),
        (
            found.limit_of_one,
            "dropped: the process had a soft core limit of 1",
            "Set LimitCORE=0 or more in its unit: 1 stops every pipe handler.",
        ),
        (
            found.no_handler,
            "dropped: the kernel could not run the handler",
            "Check the handler's file above; a missing one loses every crash.",
        ),
    ];
    let mut checks = Vec::new();
    for (count, what, remedy) in complaints {
        if count > 0 {
            let what = format!("at least {} {what}", amount::of(count, "crash"));
            checks.push(Check::warn("kernel log", what, remedy));
        }
    }
    if checks.is_empty() {
        checks.push(Check::ok("kernel log", "no dropped crash since the log begins"));
    }
    checks
}
