//! Dumps that the kernel dropped, from its log.
//!
//! The kernel limits the rate of these lines, and its buffer forgets: a count
//! from here is "at least". Reading is bounded and never waits.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;

use super::{Check, Host};
use crate::report::amount;

/// Records of the log that are looked at.
const MESSAGES: usize = 65_536;
/// One record of /dev/kmsg is never longer (CONSOLE_EXT_LOG_MAX).
const MESSAGE: usize = 8192;

/// (what fs/coredump.c says, what that means, the remedy).
const COMPLAINTS: [(&str, &str, &str); 3] = [
    (
        "over core_pipe_limit",
        "dropped: more crashes at once than core_pipe_limit",
        "Raise kernel.core_pipe_limit; a storm of crashes drops some all the same.",
    ),
    (
        "has rlimit_core set to 1",
        "dropped: the process had a soft core limit of 1",
        "Set LimitCORE=0 or more in its unit: 1 stops every pipe handler.",
    ),
    (
        "pipe failed",
        "dropped: the kernel could not run the handler",
        "Check the handler's file above; a missing one loses every crash.",
    ),
];

/// One check for each kind of complaint, or one that says there is none.
pub(super) fn dropped(host: &Host) -> Vec<Check> {
    let Some(log) = read(host) else {
        return vec![Check::unknown("kernel log", "could not be read")];
    };
    let lines: Vec<String> = log.iter().map(|line| line.to_lowercase()).collect();
    let mut checks = Vec::new();
    for (phrase, what, remedy) in COMPLAINTS {
        let count = lines.iter().filter(|line| line.contains(phrase)).count();
        if count > 0 {
            let crashes = if count == 1 { "crash" } else { "crashes" };
            let what = format!("at least {} {crashes} {what}", amount::count(count as u64));
            checks.push(Check::warn("kernel log", what, remedy));
        }
    }
    if checks.is_empty() {
        checks.push(Check::ok("kernel log", "no dropped crash since the log begins"));
    }
    checks
}

/// Messages: each read(2) of /dev/kmsg is one; a plain file's are its lines.
fn read(host: &Host) -> Option<Vec<String>> {
    let flags = nix::fcntl::OFlag::O_NONBLOCK | nix::fcntl::OFlag::O_NOCTTY;
    let mut log = OpenOptions::new().read(true).custom_flags(flags.bits()).open(host.at("/dev/kmsg")).ok()?;
    let mut messages = Vec::new();
    let mut buffer = [0; MESSAGE];
    for _ in 0..MESSAGES {
        match log.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or(&[]));
                messages.extend(text.lines().filter(|line| !line.starts_with(' ')).map(str::to_owned));
            }
            // EPIPE: what came next was overwritten; the one after follows.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    Some(messages)
}
