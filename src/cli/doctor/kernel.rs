//! What the kernel is set to, what it can do, and who else wants crashes.

use super::{Check, Host};
use crate::invocation::boot::LINK;
use crate::invocation::pattern::{handler_of, owner};
use crate::record::Record;

/// core_pattern, core_pipe_limit and the kill switch.
pub(super) fn pattern(host: &Host, current: &str) -> Vec<Check> {
    let mut checks = Vec::new();
    checks.push(match handler_of(current) {
        Some(handler) => Check::ok("core_pattern", format!("epicore's: {}", handler.display())),
        None => {
            let whose = format!("belongs to {}: {current}", owner(current));
            Check::fail("core_pattern", whose, "epicore enable")
        }
    });
    let limit = host.read("/proc/sys/kernel/core_pipe_limit").and_then(|text| text.parse::<u32>().ok());
    checks.push(match limit {
        None => Check::unknown("core_pipe_limit", "could not be read"),
        Some(0) => Check::warn(
            "core_pipe_limit",
            "0: the kernel waits for nobody; facts of /proc can be lost",
            "epicore enable (writes 64)",
        ),
        Some(n) => {
            Check::ok("core_pipe_limit", format!("{n} dumps at once; the kernel waits for the handler"))
        }
    });
    if host.at("/run/epicore/disabled").exists() {
        let what = "/run/epicore/disabled is there: the handler does nothing";
        checks.push(Check::fail("kill switch", what, "rm /run/epicore/disabled"));
    }
    checks
}

/// Sysctls that change what a record can hold.
pub(super) fn settings(host: &Host) -> Vec<Check> {
    let mut checks = Vec::new();
    let number = |path: &str| host.read(path).and_then(|text| text.parse::<u32>().ok());
    checks.push(match number("/proc/sys/fs/suid_dumpable") {
        Some(0) => Check::ok(
            "suid_dumpable",
            "0: crashes of setuid and privileged programs leave no record (the default)",
        ),
        Some(1) => Check::warn(
            "suid_dumpable",
            "1: setuid programs dump core as their user, for every handler; unsafe",
            "sysctl fs.suid_dumpable=2, or 0",
        ),
        Some(_) => Check::ok(
            "suid_dumpable",
            "2: crashes of privileged programs leave records in the private part of the spool",
        ),
        None => Check::unknown("suid_dumpable", "could not be read"),
    });
    match number("/proc/sys/kernel/yama/ptrace_scope") {
        Some(3) => checks.push(Check::warn(
            "ptrace_scope",
            "3: memory of a crashed process cannot be read directly; it is read from the core's stream, slower",
            "It stays so until a reboot; records are complete but for the code's bytes.",
        )),
        Some(n) => checks.push(Check::ok("ptrace_scope", format!("{n}: memory can be read directly"))),
        None => {}
    }
    if number("/proc/sys/kernel/core_sort_vma") == Some(1) {
        checks.push(Check::ok("core_sort_vma", "1: segments arrive by size; that is handled"));
    }
    checks
}

/// (first release that has it, what it gives, what is so without it).
const FEATURES: [((u32, u32), &str, &str); 3] = [
    ((5, 9), "CAP_CHECKPOINT_RESTORE", "the handler keeps CAP_SYS_ADMIN instead, until the release"),
    ((6, 2), "%C, the CPU of the crash", "records do not know the CPU on which a crash happened"),
    ((6, 16), "%F, a pidfd of the crash", "identity is checked by start time, not by pidfd"),
];

/// What the kernel's version brings; what a record shows to be there is there,
/// whatever the version: distributors and stable branches port features back.
pub(super) fn features(release: &str, newest: Option<&Record>) -> Vec<Check> {
    let shown = |feature: &str| {
        newest.is_some_and(|record| match feature.get(..2) {
            Some("%F") => record.capture.identity.as_deref() == Some("pidfd"),
            Some("%C") => record.crash.cpu.is_some(),
            _ => false,
        })
    };
    let Some(version) = version(release) else {
        return vec![Check::unknown("kernel", format!("the release \"{release}\" is not understood"))];
    };
    let missing: Vec<String> = FEATURES
        .iter()
        .filter(|(since, what, _)| version < *since && !shown(what))
        .map(|((major, minor), what, without)| format!("no {what} before {major}.{minor}: {without}"))
        .collect();
    if missing.is_empty() {
        return vec![Check::ok("kernel", format!("{release} has everything that helps"))];
    }
    let remedy = "Distributors port features back: a record tells what it really got.";
    missing.into_iter().map(|what| Check::warn("kernel", format!("{release}: {what}"), remedy)).collect()
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(['.', '-']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Files of other handlers that set core_pattern at boot, and how to stop it.
const NEIGHBOURS: [(&str, &str, &str); 4] = [
    (
        "/usr/lib/sysctl.d/50-coredump.conf",
        "systemd-coredump",
        "ln -s /dev/null /etc/sysctl.d/50-coredump.conf",
    ),
    ("/lib/sysctl.d/50-coredump.conf", "systemd-coredump", "ln -s /dev/null /etc/sysctl.d/50-coredump.conf"),
    ("/etc/init.d/apport", "apport", "systemctl mask apport.service"),
    ("/usr/lib/systemd/system/abrt-ccpp.service", "abrt", "systemctl mask abrt-ccpp.service"),
];

/// What the next boot does.
pub(super) fn at_boot(host: &Host, current: &str) -> Vec<Check> {
    match (handler_of(current).is_some(), host.at(LINK).symlink_metadata().is_ok()) {
        (_, true) => vec![Check::ok("at boot", format!("{LINK} sets core_pattern"))],
        (true, false) => vec![Check::warn(
            "at boot",
            "nothing sets core_pattern at the next boot: crashes will not come to epicore then",
            "epicore enable, with the package's paths; or a file of your own in /etc/sysctl.d",
        )],
        (false, false) => Vec::new(),
    }
}

/// Handlers that would take core_pattern back.
pub(super) fn neighbours(host: &Host) -> Vec<Check> {
    let there = |path: &str| host.at(path).symlink_metadata().is_ok();
    // Ours comes after systemd's, or systemd's is switched off.
    let after = there(LINK) || there("/etc/sysctl.d/50-coredump.conf");
    let mut checks: Vec<Check> = Vec::new();
    for (file, who, remedy) in NEIGHBOURS {
        let masked = after && who == "systemd-coredump";
        if host.at(file).exists() && !masked && !checks.iter().any(|c| c.what.starts_with(who)) {
            let what = format!("{who} sets core_pattern at boot ({file})");
            checks.push(Check::warn("neighbours", what, remedy));
        }
    }
    if checks.is_empty() {
        checks.push(Check::ok("neighbours", "no other handler sets core_pattern at boot"));
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_distributors_are_understood() {
        assert_eq!(version("6.18.44-fc-v669"), Some((6, 18)));
        assert_eq!(version("4.18.0-553.el8_10.x86_64"), Some((4, 18)));
        assert_eq!(version("6.9-rc1"), Some((6, 9)));
        assert_eq!(version("?"), None);
    }
}
