//! The kernel's core settings, changed for a test and put back.
//!
//! The settings are one thing for the whole machine, so while a guard lives
//! it holds an flock on [`LOCK`]; tests in other processes wait for it. What
//! was there before is written to [`SAVED`] first. Three ways lead back: the
//! guard's drop; a watchdog, a shell that reads a pipe of ours and restores
//! when the pipe ends, because we were killed (it holds the lock until then);
//! and, should both be killed, the next guard.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Held while the settings are not the machine's own.
pub(crate) const LOCK: &str = "/run/epicore-test.lock";
/// What the settings were: `path value` lines.
const SAVED: &str = "/run/epicore-test.saved";
/// What is saved and restored, under /proc/sys.
const SETTINGS: [&str; 3] = ["kernel/core_pattern", "kernel/core_pipe_limit", "fs/suid_dumpable"];

const RESTORE: &str = r#"trap "" INT TERM HUP QUIT; cat >/dev/null
[ -e "$1" ] && while read -r path value; do printf '%s\n' "$value" >"/proc/sys/$path"; done <"$1" && rm -f "$1""#;

/// The settings are ours while this lives.
pub(crate) struct PatternGuard {
    watchdog: Child,
    _lock: File,
}

impl PatternGuard {
    /// Waits for the lock, saves the settings, starts the watchdog.
    pub(crate) fn take() -> PatternGuard {
        let lock = File::create(LOCK).expect(LOCK);
        lock.lock().expect("flock");
        restore(); // left by a test that was killed together with its watchdog
        let saved: String = SETTINGS
            .iter()
            .map(|path| {
                let value = std::fs::read_to_string(Path::new("/proc/sys").join(path)).expect(path);
                // A pattern of an earlier test's handler, which is gone, is nobody's setting.
                let value = if value.starts_with("|/run/epi-") { "core" } else { value.trim_end() };
                format!("{path} {value}\n")
            })
            .collect();
        std::fs::write(SAVED, saved).expect(SAVED);
        let watchdog = Command::new("setsid")
            .args(["/bin/sh", "-c", RESTORE, "sh", SAVED])
            .stdin(Stdio::piped())
            .stdout(lock.try_clone().expect("a duplicate")) // only to hold the lock
            .stderr(Stdio::null())
            .spawn()
            .expect("the watchdog");
        PatternGuard { watchdog, _lock: lock }
    }

    /// Sets one of [`SETTINGS`], and reads back that it holds.
    pub(crate) fn set(&self, path: &str, value: &str) {
        assert!(SETTINGS.contains(&path), "{path} would not be restored");
        write_setting(path, value);
        let now = std::fs::read_to_string(Path::new("/proc/sys").join(path)).expect(path);
        assert_eq!(now.trim_end(), value, "{path}");
    }

    /// What would be restored.
    pub(crate) fn saved(path: &str) -> Option<String> {
        let text = std::fs::read_to_string(SAVED).ok()?;
        text.lines().find_map(|l| l.strip_prefix(path)?.strip_prefix(' ').map(str::to_owned))
    }
}

impl Drop for PatternGuard {
    fn drop(&mut self) {
        restore();
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

fn write_setting(path: &str, value: &str) {
    let file = File::options().write(true).open(Path::new("/proc/sys").join(path));
    file.and_then(|mut f| f.write_all(value.as_bytes())).unwrap_or_else(|e| panic!("/proc/sys/{path}: {e}"));
}

fn restore() {
    let Ok(saved) = std::fs::read_to_string(SAVED) else { return };
    for (path, value) in saved.lines().filter_map(|line| line.split_once(' ')) {
        write_setting(path, value);
    }
    let _ = std::fs::remove_file(SAVED);
}
