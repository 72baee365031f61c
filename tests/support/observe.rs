//! One crash on the real kernel, with the handler watched from outside:
//! what it called (strace), what it used (wait4), when the parent of the
//! victim was told.

use std::cell::{Cell, RefCell};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime};

use epicore::record::{self, Kind, Record};
use epicore::spool::{Reader, RecordStatus, initialise};

use super::handler_place::{HandlerPlace, SPECIFIERS, handler};
use super::pattern_guard::PatternGuard;
use super::trace::Trace;

/// Who owns the spool: somebody who is not root and has no name.
pub(crate) const OWNER: (u32, u32) = (61_234, 61_234);

/// How the handler is watched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Watch {
    /// Every system call.
    Calls,
    /// Memory and time.
    Usage,
}

/// What was seen of one crash.
#[derive(Debug)]
pub(crate) struct Seen {
    /// What the parent's waitpid said, and when it returned.
    pub(crate) status: ExitStatus,
    pub(crate) returned: SystemTime,
    /// The handler's own wait status, peak resident KiB, and CPU time.
    pub(crate) handler_status: i32,
    pub(crate) maxrss_kib: u64,
    pub(crate) cpu: Duration,
    /// Its system calls; empty when only usage was watched.
    pub(crate) trace: Trace,
    pub(crate) pid: u32,
}

/// The machine's core settings and a place for the handler, while it lives.
pub(crate) struct Observatory {
    guard: PatternGuard,
    pub(crate) place: HandlerPlace,
    crashes: Cell<u32>,
    fault: RefCell<String>,
}

impl Observatory {
    /// `None`, and a line that says why, where the kernel may not be asked.
    pub(crate) fn open() -> Option<Observatory> {
        let (guard, place) = HandlerPlace::open()?;
        std::fs::copy(super::workshop::helper("observe"), place.path("w")).expect("the observer");
        Some(Observatory { guard, place, crashes: Cell::new(0), fault: RefCell::default() })
    }

    /// The same, and strace.
    pub(crate) fn with_strace() -> Option<Observatory> {
        if strace().is_none() {
            println!("skipped: strace is not installed");
            return None;
        }
        Observatory::open()
    }

    /// What strace makes fail from now on, as its `-e inject=` wants it: a kernel that
    /// lacks the call, or refuses it. Only under [`Watch::Calls`].
    pub(crate) fn inject(&self, fault: &str) {
        *self.fault.borrow_mut() = if fault.is_empty() { String::new() } else { format!("inject={fault}") };
    }

    pub(crate) fn set_pipe_limit(&self, limit: u32) {
        self.guard.set("kernel/core_pipe_limit", &limit.to_string());
    }

    /// A spool as it is installed: owned by somebody else than root.
    pub(crate) fn spool(&self, name: &str) -> PathBuf {
        let path = self.place.path(name);
        initialise(&path, Some(OWNER)).expect("a spool");
        path
    }

    /// The kernel runs the handler itself from now on.
    pub(crate) fn point_at_handler(&self, spool: &Path) {
        self.place.point_at_handler(&self.guard, spool);
    }

    /// Crashes `victim` with the watched handler and waits for both.
    pub(crate) fn crash(&self, watch: Watch, spool: &Path, victim: &mut Command) -> Seen {
        self.crash_with(watch, &handler(), &format!("{SPECIFIERS} --spool {}", spool.display()), victim)
    }

    /// The same with another handler, or other arguments.
    pub(crate) fn crash_with(
        &self,
        watch: Watch,
        program: &Path,
        arguments: &str,
        victim: &mut Command,
    ) -> Seen {
        self.crash_under("w", watch, program, arguments, victim)
    }

    /// Crashes `victim` while the handler is made to call what it must not
    /// (inject.c): what it said, "MOMENT KEY VALUE".
    pub(crate) fn crash_injected(&self, spool: &Path, victim: &mut Command) -> (Seen, String) {
        let observer = self.place.path("i");
        if !observer.exists() {
            std::fs::copy(super::workshop::helper("inject"), observer).expect("the observer");
        }
        let arguments =
            format!("{SPECIFIERS} --spool {} --run {}", spool.display(), self.place.path("r").display());
        let seen = self.crash_under("i", Watch::Usage, &handler(), &arguments, victim);
        let said = self.place.path(&format!("o{}/inject", self.crashes.get() - 1));
        (seen, std::fs::read_to_string(said).expect("what was seen"))
    }

    fn crash_under(
        &self,
        observer: &str,
        watch: Watch,
        program: &Path,
        arguments: &str,
        victim: &mut Command,
    ) -> Seen {
        let number = self.crashes.replace(self.crashes.get() + 1);
        let (out, copy) = (self.place.path(&format!("o{number}")), self.place.path(&format!("h{number}")));
        std::fs::create_dir(&out).expect("a directory");
        std::fs::copy(program, &copy).expect("a copy of the handler");
        let strace = strace().filter(|_| watch == Watch::Calls);
        let strace = strace.map_or(String::new(), |path| path.display().to_string());
        let fault = self.fault.borrow();
        let conf = format!("{}\n{}\n{strace}\n{fault}\n", out.display(), copy.display());
        std::fs::write(self.place.path("conf"), conf).expect("conf");
        let pattern = format!("|{} {arguments}", self.place.path(observer).display());
        assert!(pattern.len() <= 127, "the kernel would cut {pattern}");
        self.guard.set("kernel/core_pattern", &pattern);
        let mut child = victim.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("the victim");
        let pid = child.id();
        let status = child.wait().expect("waitpid");
        let returned = SystemTime::now();
        let done = wait_for(&out.join("done"), Duration::from_secs(60));
        let number = |key: &str| {
            let line = done.lines().find_map(|line| line.strip_prefix(key)?.trim().parse::<u64>().ok());
            line.unwrap_or_else(|| panic!("no {key} in {done:?}"))
        };
        let trace = Trace::parse(&std::fs::read(out.join("strace")).unwrap_or_default());
        let whole = trace.calls.first().is_some_and(|call| call.name == "execve");
        assert!(whole || watch != Watch::Calls, "strace did not see the handler's beginning");
        Seen {
            status,
            returned,
            handler_status: i32::try_from(number("status")).expect("a status"),
            maxrss_kib: number("maxrss"),
            cpu: Duration::from_micros(number("user") + number("system")),
            trace,
            pid,
        }
    }
}

fn wait_for(path: &Path, patience: Duration) -> String {
    let end = Instant::now() + patience;
    loop {
        if let Ok(text) = std::fs::read_to_string(path) {
            return text;
        }
        assert!(Instant::now() < end, "the handler did not end within {patience:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn strace() -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join("strace")).find(|path| path.exists())
}

/// A program under an unlimited RLIMIT_CORE, in an empty environment.
pub(crate) fn victim(program: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", r#"ulimit -c unlimited; exec "$0" "$@""#]).arg(program).env_clear().current_dir("/");
    command
}

/// Whether a process was ended by `signal`, with a dump.
pub(crate) fn dumped(status: ExitStatus, signal: i32) -> bool {
    status.signal() == Some(signal) && status.core_dumped()
}

/// All records of a spool, oldest first; damage fails the test.
pub(crate) fn records(spool: &Path) -> Vec<Record> {
    let reader = Reader::open(spool).expect("the spool");
    let entries = reader.list().expect("a listing").entries;
    let read = |entry| match reader.read(entry) {
        RecordStatus::Valid { payload, .. } => record::decode(&payload).expect("a record"),
        damaged => panic!("{entry:?}: {damaged:?}"),
    };
    entries.iter().map(read).collect()
}

/// Waits for that many full records.
pub(crate) fn wait_for_full(spool: &Path, count: usize, patience: Duration) -> Vec<Record> {
    let end = Instant::now() + patience;
    loop {
        let found = records(spool);
        if found.iter().filter(|record| record.kind == Kind::Full).count() >= count || Instant::now() > end {
            return found;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
