//! A crash, made to see what comes of it: the only check that proves anything.

use std::time::{Duration, Instant};

use super::super::demo::{sacrifice, victim::Victim};
use super::super::records::Records;
use super::{Check, Host};
use crate::config::Config;
use crate::invocation::pattern::{handler_of, option_of};
use crate::record::{Kind, Record};

const NAME: &str = "test crash";
/// How long the handler may take: its own deadlines, and a busy machine.
const PATIENCE: Duration = Duration::from_secs(15);
const LOG: &str = "`journalctl -k -t epicore` (or dmesg) has the handler's own words.";

/// Crashes one small program through the installed handler.
pub(super) fn crash(host: &Host, settings: &Config) -> Check {
    let pattern = host.read("/proc/sys/kernel/core_pattern").unwrap_or_default();
    if handler_of(&pattern).is_none() {
        return Check::fail(NAME, "not made: the kernel hands crashes to somebody else", "epicore enable");
    }
    let spool = option_of(&pattern, "--spool").unwrap_or_else(|| settings.spool_directory().to_owned());
    let Ok(records) = Records::open(&spool) else {
        return Check::unknown(NAME, format!("not made: {} may not be read", spool.display()));
    };
    let pid = match sacrifice(Victim::Null) {
        Ok((pid, _)) => pid,
        Err(failure) => return Check::unknown(NAME, format!("not made: {failure:?}")),
    };
    let began = Instant::now();
    let mut found = None;
    while began.elapsed() < PATIENCE && !found.as_ref().is_some_and(|r: &Record| r.kind == Kind::Full) {
        std::thread::sleep(Duration::from_millis(10));
        found = newest_of(&records, pid).or(found);
    }
    match found {
        None => Check::fail(NAME, format!("process {pid} crashed and left no record"), LOG),
        Some(record) if record.kind == Kind::Minimal => Check::warn(
            NAME,
            format!("process {pid} left a minimal record: the analysis did not finish"),
            LOG,
        ),
        Some(record) => {
            let held = record.capture.held_us.unwrap_or(0);
            let id = record.id.hex();
            let end = id.get(id.len().saturating_sub(8)..).unwrap_or(&id);
            let what = format!(
                "process {pid} left record {end}; it was held for {}.{} ms",
                held / 1000,
                held % 1000 / 100
            );
            Check::ok(NAME, what)
        }
    }
}

/// The record of a process that crashed just now, among the newest few.
fn newest_of(records: &Records, pid: u32) -> Option<Record> {
    const NEWEST: usize = 64;
    let entries = records.list().ok()?.entries;
    let newest = entries.iter().rev().take(NEWEST).filter_map(|entry| records.read(entry).ok().flatten());
    newest.into_iter().find(|record| record.crash.pid == Some(pid))
}
