//! Security modules, and what they forbade to epicore.
//!
//! SELinux and AppArmor confine what the kernel starts, too: a denial then
//! costs records, or facts, and is told nowhere else than in their logs.

use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

use super::{Check, Host};
use crate::invocation::{each_line, open_log};
use crate::report::amount;

const NAME: &str = "security modules";
/// The end of the audit log that is looked at.
const TAIL: u64 = 1 << 20;
/// Characters of a denial that are shown.
const SHOWN: usize = 200;

/// Denials that name epicore.
#[derive(Debug, Default)]
struct Denials {
    count: u64,
    last: String,
}

impl Denials {
    fn see(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let denied =
            text.contains("avc:") && text.contains(" denied ") || text.contains("apparmor=\"DENIED\"");
        if denied && text.contains("epicore") {
            self.count = self.count.saturating_add(1);
            let sentence = text.find("avc:").or_else(|| text.find("apparmor=")).unwrap_or(0);
            self.last = text.get(sentence..).unwrap_or(&text).chars().take(SHOWN).collect();
        }
    }
}

/// Which modules confine programs here, and what they denied.
pub(super) fn modules(host: &Host) -> Vec<Check> {
    let listed = host.read("/sys/kernel/security/lsm").unwrap_or_default();
    let selinux = match host.read("/sys/fs/selinux/enforce").as_deref() {
        Some("1") => Some("SELinux enforces"),
        Some(_) => Some("SELinux is permissive"),
        None => None,
    };
    let apparmor = listed.split(',').any(|name| name == "apparmor").then_some("AppArmor is on");
    let active: Vec<&str> = selinux.into_iter().chain(apparmor).collect();
    if active.is_empty() {
        return Vec::new();
    }
    let mut denials = Denials::default();
    let mut readable = false;
    if let Ok(mut log) = open_log(&host.at("/dev/kmsg")) {
        readable = true;
        each_line(&mut log, &mut |line| denials.see(line));
    }
    if let Some(text) = audit(host) {
        readable = true;
        text.split(|byte| *byte == b'\n').for_each(|line| denials.see(line));
    }
    let active = active.join(", ");
    vec![match (denials.count, readable) {
        (0, false) => Check::unknown(NAME, format!("{active}; their logs could not be read")),
        (0, true) => Check::ok(NAME, format!("{active}; nothing was denied to epicore")),
        (count, _) => Check::warn(
            NAME,
            format!(
                "{active}; at least {} of epicore, the last: {}",
                amount::of(count, "denial"),
                denials.last
            ),
            "Load epicore's policy (docs/operations.md), or allow it: `ausearch -m avc -c epicore-handler`.",
        ),
    }]
}

/// The end of the audit daemon's log, where there is one.
fn audit(host: &Host) -> Option<Vec<u8>> {
    let flags = (nix::fcntl::OFlag::O_NONBLOCK | nix::fcntl::OFlag::O_NOCTTY).bits();
    let path = host.at("/var/log/audit/audit.log");
    let mut file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    let size = file.metadata().ok().filter(std::fs::Metadata::is_file)?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(TAIL))).ok()?;
    let mut text = Vec::new();
    file.take(TAIL).read_to_end(&mut text).ok()?;
    Some(text)
}
