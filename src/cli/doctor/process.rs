//! RLIMIT_CORE and dumpability: does this process leave a record?
//!
//! For a pipe handler only a soft limit of exactly 1 stops the dump; 0, the
//! usual default, does not (core(5), fs/coredump.c).

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::{Check, Host};

/// PID 1, whose limit everything inherits, and one more process.
pub(super) fn limits(host: &Host, pid: Option<u32>) -> Vec<Check> {
    let mut checks = vec![limit(host, "RLIMIT_CORE", 1)];
    let Some(pid) = pid else { return checks };
    if !host.at(format!("/proc/{pid}")).exists() {
        checks.push(Check::fail("process", format!("there is no process {pid}"), "Check --pid."));
        return checks;
    }
    checks.push(limit(host, "process", pid));
    checks.push(dumpable(host, pid));
    checks
}

fn limit(host: &Host, name: &'static str, pid: u32) -> Check {
    let text = host.read(format!("/proc/{pid}/limits")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Max core file size"));
    let Some(soft) = line.and_then(|rest| rest.split_whitespace().next()) else {
        return Check::unknown(name, format!("the limits of process {pid} could not be read"));
    };
    match soft {
        "1" => Check::fail(
            name,
            format!("process {pid} has a soft core limit of 1, which stops every pipe handler"),
            "Set another (LimitCORE=0 in the unit; prlimit --core=0 --pid PID): 0 keeps records.",
        ),
        "0" => Check::ok(name, format!("process {pid}: 0 (records are kept: they hold no memory contents)")),
        other => Check::ok(name, format!("process {pid}: {other}")),
    }
}

/// /proc/PID's files belong to root when the process is not dumpable.
fn dumpable(host: &Host, pid: u32) -> Check {
    let status = host.read(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    let effective = line.and_then(|rest| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
    let owner = fs::metadata(host.at(format!("/proc/{pid}/status"))).ok().map(|m| m.uid());
    match (effective, owner) {
        (Some(uid), Some(owner)) if uid != 0 && owner == 0 => Check::warn(
            "process",
            format!(
                "process {pid} is not dumpable (privileged once, or PR_SET_DUMPABLE): suid_dumpable decides"
            ),
            "sysctl fs.suid_dumpable=2 keeps a record that only root reads.",
        ),
        (Some(_), Some(_)) => Check::ok("process", format!("process {pid} is dumpable")),
        _ => Check::unknown("process", format!("the status of process {pid} could not be read")),
    }
}
