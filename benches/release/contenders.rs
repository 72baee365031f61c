//! Who is measured: a core_pattern, and how to see that its work was done.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use epicore::record::{self, Kind, Record};
use epicore::spool::{Reader, RecordStatus, initialise};

use crate::support::handler_place::{SPECIFIERS, handler};
use crate::support::pattern_guard::PatternGuard;

/// The uid and gid that own the spool, as a service user would: nobody's.
const OWNER: (u32, u32) = (61_234, 61_234);
/// How long a handler may work on after the process is released.
const PATIENCE: Duration = Duration::from_secs(60);
/// Threads of the crashing process, the main one included.
pub(crate) const THREADS: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Contender {
    NoDump,
    ExitAtOnce,
    Drain,
    CoreFile,
    Epicore,
    Minicoredumper,
    SystemdCoredump,
}

impl Contender {
    /// Those that need nothing from elsewhere.
    pub(crate) fn own() -> Vec<Contender> {
        use Contender::*;
        vec![NoDump, ExitAtOnce, Drain, CoreFile, Epicore]
    }

    /// What the promises are about: a failure here is no mere note.
    pub(crate) fn is_ours(self) -> bool {
        matches!(self, Contender::NoDump | Contender::Epicore)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Contender::NoDump => "no dump",
            Contender::ExitAtOnce => "exit at once",
            Contender::Drain => "drain the pipe",
            Contender::CoreFile => "kernel core file",
            Contender::Epicore => "epicore",
            Contender::Minicoredumper => "minicoredumper",
            Contender::SystemdCoredump => "systemd-coredump",
        }
    }

    /// Makes it the machine's handler.
    pub(crate) fn point_at(self, place: &Workplace, guard: &PatternGuard) {
        let (pattern, limit) = match self {
            // RLIMIT_CORE is 0 as well: nothing of the dump code runs.
            Contender::NoDump => ("core".to_owned(), "0"),
            Contender::ExitAtOnce => (format!("|{}", place.program("exit_at_once").display()), "64"),
            Contender::Drain => (format!("|{}", place.program("drain").display()), "64"),
            Contender::CoreFile => (place.cores().join("core").display().to_string(), "0"),
            Contender::Epicore => (place.epicore_pattern(), "64"),
            Contender::Minicoredumper => {
                ("|/usr/sbin/minicoredumper %P %u %g %s %t %h %e".to_owned(), "2147483647")
            }
            Contender::SystemdCoredump => {
                ("|/lib/systemd/systemd-coredump %P %u %g %s %t 9223372036854775808 %h %d".to_owned(), "16")
            }
        };
        assert!(pattern.len() <= 127, "the kernel would cut {pattern}");
        guard.set("kernel/core_pattern", &pattern);
        guard.set("kernel/core_pipe_limit", limit);
    }

    /// Waits until its work is done, says whether it was done well, and takes
    /// what it made away. For epicore, what the record says of the capture.
    pub(crate) fn check(self, place: &Workplace, status: i32, mib: u64) -> Result<Option<Held>, String> {
        let dumped = status & 0x80 != 0;
        if status & 0x7f != 11 || dumped == (self == Contender::NoDump) {
            return Err(format!("wait status {status:#x}"));
        }
        match self {
            Contender::NoDump | Contender::ExitAtOnce | Contender::Drain => Ok(None),
            Contender::CoreFile => whole(&place.cores(), mib << 20).map(|()| None),
            Contender::Minicoredumper => whole(Path::new("/var/crash/minicoredumper"), 4096).map(|()| None),
            Contender::SystemdCoredump => {
                whole(Path::new("/var/lib/systemd/coredump"), mib << 19).map(|()| None)
            }
            Contender::Epicore => place.take_record().and_then(|record| examine(&record, mib)).map(Some),
        }
    }
}

/// What a record says of its own capture.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) held_us: f64,
    pub(crate) total_us: f64,
    pub(crate) read: f64,
}

/// A record that is not full is no record: speed alone would be easy.
fn examine(record: &Record, mib: u64) -> Result<Held, String> {
    let frames: Vec<usize> = record.stacks.iter().map(|stack| stack.frames.len()).collect();
    let core = record.capture.core_bytes.unwrap_or(0);
    let wrong = [
        (record.kind != Kind::Full, format!("kind {:?}", record.kind)),
        (record.crash.signal != Some(11), format!("signal {:?}", record.crash.signal)),
        (record.threads.tid.len() != THREADS, format!("{} threads", record.threads.tid.len())),
        (record.threads.stack.len() != THREADS, format!("{} thread stacks", record.threads.stack.len())),
        (record.capture.source.as_deref() != Some("live"), format!("source {:?}", record.capture.source)),
        // main of the victim, and what called it.
        (frames.first().is_none_or(|n| *n < 2), format!("frames {frames:?}")),
        (core < mib << 20, format!("core of {core} bytes")),
    ];
    if let Some((_, what)) = wrong.into_iter().find(|(wrong, _)| *wrong) {
        return Err(format!("the record is wrong: {what}; gaps {:?}", record.gaps));
    }
    #[allow(clippy::cast_precision_loss)]
    let number = |value: Option<u64>| value.map_or(f64::NAN, |value| value as f64);
    let capture = &record.capture;
    Ok(Held {
        held_us: number(capture.held_us),
        total_us: number(capture.total_us),
        read: number(capture.stream_bytes),
    })
}

/// Waits for a dump of at least `bytes` below `dir`, settled, and removes it.
fn whole(dir: &Path, bytes: u64) -> Result<(), String> {
    let end = Instant::now() + PATIENCE;
    let mut before = 0;
    loop {
        let files = below(dir);
        let size = files.iter().filter_map(|f| f.metadata().ok()).map(|m| m.blocks() * 512).sum();
        if size >= bytes && size == before {
            return clear(dir).map_err(|e| format!("{}: {e}", dir.display()));
        }
        if Instant::now() > end {
            let _ = clear(dir);
            return Err(format!("{} bytes in {}, not {bytes}: {files:?}", size, dir.display()));
        }
        before = size;
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn below(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let walk = |entry: std::fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => below(&entry.path()),
        Ok(kind) if kind.is_file() => vec![entry.path()],
        _ => Vec::new(),
    };
    entries.flat_map(walk).collect()
}

fn clear(dir: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)?.flatten() {
        let path = entry.path();
        if entry.file_type()?.is_dir() { std::fs::remove_dir_all(path)? } else { std::fs::remove_file(path)? }
    }
    Ok(())
}

/// Where everything of a run lies: programs under /run (a core_pattern has
/// 127 characters), cores and the spool on the disk of the target directory.
pub(crate) struct Workplace {
    run: tempfile::TempDir,
    disk: tempfile::TempDir,
}

impl Workplace {
    pub(crate) fn make() -> Result<Workplace, String> {
        let mut here = tempfile::Builder::new();
        let here = here.prefix("epi-").rand_bytes(4);
        let run = here.tempdir_in("/run").map_err(|e| format!("/run: {e}"))?;
        let disk = here.tempdir_in(env!("CARGO_TARGET_TMPDIR")).map_err(|e| format!("target/tmp: {e}"))?;
        let place = Workplace { run, disk };
        for dir in [place.run.path(), place.disk.path()] {
            let _ = std::fs::set_permissions(dir, PermissionsExt::from_mode(0o755));
        }
        for name in ["fault_to_wait", "exit_at_once", "drain"] {
            place.compile(name)?;
        }
        let under_test = handler();
        std::fs::copy(&under_test, place.program("h"))
            .map_err(|e| format!("{}: {e} (make build)", under_test.display()))?;
        std::fs::create_dir(place.cores()).map_err(|e| e.to_string())?;
        initialise(&place.spool(), Some(OWNER)).map_err(|e| e.to_string())?;
        std::fs::write(
            place.run.path().join("c"),
            format!("spool = {:?}\n[throttle]\nenabled = false\n", place.spool()),
        )
        .map_err(|e| e.to_string())?;
        Ok(place)
    }

    fn compile(&self, name: &str) -> Result<(), String> {
        let source =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/release").join(name).with_extension("c");
        let built = Command::new("cc")
            .args(["-O2", "-static", "-pthread", "-o"])
            .arg(self.program(name))
            .arg(source)
            .output();
        match built {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(format!("cc {name}: {}", String::from_utf8_lossy(&output.stderr))),
            Err(error) => Err(format!("cc: {error}")),
        }
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.run.path().join(name)
    }

    /// Where cores and records are written; what must have settled first.
    pub(crate) fn disk(&self) -> &Path {
        self.disk.path()
    }

    fn cores(&self) -> PathBuf {
        self.disk.path().join("k")
    }

    fn spool(&self) -> PathBuf {
        self.disk.path().join("spool")
    }

    fn epicore_pattern(&self) -> String {
        let (handler, config) = (self.program("h"), self.run.path().join("c"));
        format!("|{} {SPECIFIERS} --config {}", handler.display(), config.display())
    }

    /// The full record of the crash just made, whole by its checksums; the
    /// spool is empty afterwards.
    fn take_record(&self) -> Result<Record, String> {
        let end = Instant::now() + PATIENCE;
        loop {
            let found = self.newest();
            let done = found.as_ref().is_ok_and(|record| record.kind == Kind::Full);
            if done || Instant::now() > end {
                self.await_handlers(end);
                for file in below(&self.spool()).iter().filter(|f| f.extension().is_some_and(|e| e == "rec"))
                {
                    let _ = std::fs::remove_file(file);
                }
                return found;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn newest(&self) -> Result<Record, String> {
        let reader = Reader::open(&self.spool()).map_err(|e| e.to_string())?;
        let entry = reader.find("last").map_err(|e| format!("no record: {e}"))?;
        match reader.read(&entry) {
            RecordStatus::Valid { payload, .. } => record::decode(&payload).map_err(|e| e.to_string()),
            damaged => Err(format!("{damaged:?}")),
        }
    }

    /// What a handler still does would be felt by the next contender.
    fn await_handlers(&self, end: Instant) {
        let handler = self.program("h");
        let alive = || {
            let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
            processes
                .into_iter()
                .any(|p| std::fs::read_link(p.path().join("exe")).is_ok_and(|exe| exe == handler))
        };
        while alive() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
