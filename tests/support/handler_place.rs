//! A short-lived place `/run/epi-XXXX` for what the kernel shall execute: the
//! handler under test as `h`, the tee as `t`, the tee's `conf`, and the
//! spools. Short, because a core_pattern has 127 characters.

use std::path::{Path, PathBuf};

use super::pattern_guard::PatternGuard;

/// What the kernel is asked to hand over, as the shipped pattern does.
pub(crate) const SPECIFIERS: &str = "-P%P -I%I -u%u -g%g -d%d -s%s -t%t -C%C -c%c -F%F";

/// The directory with the binaries under test.
pub(crate) fn dist() -> PathBuf {
    std::env::var_os("EPICORE_DIST").map_or_else(|| super::target_dir().join("dist"), PathBuf::from)
}

/// Every crash leaves its full record, however many there are: what most tests
/// are about. tests/storms.rs is about the rest.
const UNLIMITED: &str = "[throttle]\nenabled = false\n[analysis]\nslots = 1024\n";

/// The handler under test.
pub(crate) fn handler() -> PathBuf {
    std::env::var_os("EPICORE_HANDLER").map_or_else(|| dist().join("epicore-handler"), PathBuf::from)
}

/// Only the other tools are measured (EPICORE_JUDGES_ONLY): no handler is needed.
pub(crate) fn judges_only() -> bool {
    std::env::var_os("EPICORE_JUDGES_ONLY").is_some()
}

/// The place; it is removed with this value.
pub(crate) struct HandlerPlace {
    dir: tempfile::TempDir,
}

impl HandlerPlace {
    /// The place and the machine's core settings; `None`, and a line that says why,
    /// where the kernel may not be asked.
    pub(crate) fn open() -> Option<(PatternGuard, HandlerPlace)> {
        if let Err(why) = super::may_set_core_pattern() {
            println!("skipped: {why}");
            return None;
        }
        if !handler().exists() {
            println!("skipped: {} is not there (make build)", handler().display());
            return None;
        }
        let guard = PatternGuard::take();
        guard.set("kernel/core_pipe_limit", "64");
        Some((guard, HandlerPlace::make()))
    }

    /// Makes the place and copies the handler and the tee into it.
    pub(crate) fn make() -> HandlerPlace {
        let dir =
            tempfile::Builder::new().prefix("epi-").rand_bytes(4).tempdir_in("/run").expect("/run/epi-XXXX");
        let place = HandlerPlace { dir };
        open_to_all(place.dir.path());
        copy(&super::workshop::helper("tee"), &place.path("t"));
        if !judges_only() {
            copy(&handler(), &place.path("h"));
        }
        std::fs::write(place.path("c"), UNLIMITED).expect("a configuration");
        place
    }

    /// A path inside.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A fresh spool.
    pub(crate) fn spool(&self, name: &str) -> PathBuf {
        let spool = self.path(name);
        std::fs::create_dir(&spool).expect("a spool");
        spool
    }

    /// From here on the kernel runs the handler itself.
    pub(crate) fn point_at_handler(&self, guard: &PatternGuard, spool: &Path) {
        guard.set("kernel/core_pattern", &self.pattern("h", spool));
    }

    /// From here on the kernel runs the tee, which keeps the core in `out`.
    pub(crate) fn point_at_tee(&self, guard: &PatternGuard, spool: &Path, out: &Path) {
        let handler = if judges_only() { String::new() } else { self.path("h").display().to_string() };
        std::fs::write(self.path("conf"), format!("{}\n{handler}\n", out.display())).expect("conf");
        guard.set("kernel/core_pattern", &self.pattern("t", spool));
    }

    fn pattern(&self, program: &str, spool: &Path) -> String {
        let (program, config) = (self.path(program), self.path("c"));
        let mut pattern = format!("|{} {SPECIFIERS} --spool {}", program.display(), spool.display());
        let unlimited = format!(" --config {}", config.display());
        if pattern.len() + unlimited.len() <= 127 {
            pattern += &unlimited;
        }
        assert!(pattern.len() <= 127, "the kernel would cut {pattern}");
        pattern
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::copy(from, to).unwrap_or_else(|e| panic!("{}: {e} (make build?)", from.display()));
}

/// Victims that are not root must reach their own files.
pub(crate) fn open_to_all(dir: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).expect("chmod");
}
