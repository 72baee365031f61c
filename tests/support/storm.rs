//! A place for storms: a handler with a ledger, a spool and a configuration of
//! its own, programs that do nothing but crash, and a look at what they cost.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use epicore::hardware::boot_id;
use epicore::process::Directory;
use epicore::record::{Exposure, Record, decode_exposure};
use epicore::spool::initialise;
use epicore::storm::{Snapshot, Totals, ask};

use super::support;
use support::handler_place::{HandlerPlace, SPECIFIERS};
use support::observe::{OWNER, records};
use support::pattern_guard::PatternGuard;

/// Crashes on their way at once: below core_pipe_limit, so that the kernel drops
/// none.
const AT_ONCE: usize = 8;
/// No C library: as small and as quick as a crash can be. With a word behind its
/// name it sleeps.
const SOURCE: &str = r#"
__attribute__((naked, noreturn)) void _start(void) {
#if defined(__x86_64__)
    __asm__("cmpq $1, (%rsp)\n ja 1f\n movl $0, 0\n 1: movl $34, %eax\n syscall\n jmp 1b");
#else
    __asm__("ldr x0, [sp]\n cmp x0, 1\n b.hi 1f\n mov x1, 0\n str x1, [x1]\n"
            "1: mov x0, 0\n mov x1, 0\n mov x2, 0\n mov x3, 0\n mov x8, 73\n svc 0\n b 1b");
#endif
}
"#;

/// The kernel hands crashes to a handler of ours while this lives.
pub(crate) struct Place {
    guard: PatternGuard,
    place: HandlerPlace,
    pub(crate) spool: PathBuf,
    pub(crate) run: PathBuf,
    pub(crate) config: PathBuf,
    pattern: String,
}

impl Place {
    /// With this configuration; `None`, and a line that says why, where the
    /// kernel may not be asked.
    pub(crate) fn open(configuration: &str) -> Option<Place> {
        let (guard, place) = HandlerPlace::open()?;
        let (spool, run, config) = (place.path("s"), place.path("r"), place.path("c"));
        initialise(&spool, Some(OWNER)).expect("a spool");
        std::fs::write(&config, format!("spool = {spool:?}\n{configuration}")).expect("a configuration");
        let (program, run_at, config_at) = (place.path("h"), run.display(), config.display());
        let pattern = format!("|{} {SPECIFIERS} --run {run_at} --config {config_at}", program.display());
        assert!(pattern.len() <= 127, "the kernel would cut {pattern}");
        guard.set("kernel/core_pattern", &pattern);
        Some(Place { guard, place, spool, run, config, pattern })
    }

    /// The handler under test.
    pub(crate) fn program(&self) -> PathBuf {
        self.place.path("h")
    }

    /// A path in the place, which others may enter.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.place.path(name)
    }

    /// So many dumps at once at most meanwhile.
    pub(crate) fn with_pipe_limit(&self, limit: u32, work: impl FnOnce()) {
        self.guard.set("kernel/core_pipe_limit", &limit.to_string());
        work();
        self.guard.set("kernel/core_pipe_limit", "64");
    }

    /// So many programs that crash, each a file of its own.
    pub(crate) fn copies(&self, name: &str, count: usize) -> Vec<PathBuf> {
        let (source, first) = (self.place.path(&format!("{name}.c")), self.place.path(name));
        std::fs::write(&source, SOURCE).expect("the source");
        let mut gcc = Command::new("gcc");
        gcc.args(["-O2", "-static", "-nostdlib", "-Wl,--build-id", "-o"]).arg(&first).arg(&source);
        assert!(gcc.status().expect("gcc").success());
        let copy = |n: usize| {
            let path = self.place.path(&format!("{name}{n}"));
            std::fs::copy(&first, &path).expect("a copy");
            path
        };
        (0..count).map(copy).collect()
    }

    /// So many crashes of these programs in turn, as fast as they go.
    pub(crate) fn crash(&self, programs: &[PathBuf], count: usize) {
        self.crash_as(0, programs, count);
    }

    /// The same by another user.
    pub(crate) fn crash_as(&self, uid: u32, programs: &[PathBuf], count: usize) {
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE.min(count) {
                scope.spawn(|| {
                    loop {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        if n >= count {
                            return;
                        }
                        let mut command = Command::new(&programs[n % programs.len()]);
                        std::os::unix::process::CommandExt::uid(&mut command, uid);
                        command.env_clear().current_dir("/").stdin(Stdio::null()).stderr(Stdio::null());
                        assert!(!command.status().expect("a victim").success());
                    }
                });
            }
        });
    }

    /// Lets crashes end without any handler meanwhile, and without a core.
    pub(crate) fn without_handler(&self, work: impl FnOnce()) {
        self.guard.set("kernel/core_pattern", "|/run/epi-none/h -P%P");
        work();
        self.guard.set("kernel/core_pattern", &self.pattern);
    }

    /// Ends handlers with SIGKILL while `work` is done; how many.
    pub(crate) fn killing_handlers(&self, work: impl FnOnce()) -> u64 {
        let (program, done) = (self.program(), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let killer = scope.spawn(|| {
                let mut killed = 0;
                while !done.load(Ordering::Relaxed) {
                    for pid in pids(&program) {
                        let pid = nix::unistd::Pid::from_raw(pid);
                        killed += u64::from(nix::sys::signal::kill(pid, nix::sys::signal::SIGKILL).is_ok());
                    }
                    std::thread::sleep(Duration::from_millis(2));
                }
                killed
            });
            work();
            done.store(true, Ordering::Relaxed);
            killer.join().unwrap()
        })
    }

    /// Takes the first slot, until the file is dropped.
    pub(crate) fn hold_first_slot(&self) -> std::fs::File {
        let (kind, from) = (nix::libc::F_WRLCK as i16, nix::libc::SEEK_SET as i16);
        let range = nix::libc::flock { l_type: kind, l_whence: from, l_start: 0, l_len: 1, l_pid: 0 };
        let slots = std::fs::File::options().read(true).write(true).open(self.run.join("slots")).unwrap();
        nix::fcntl::fcntl(&slots, nix::fcntl::FcntlArg::F_OFD_SETLK(&range)).expect("the first slot");
        slots
    }

    /// The handlers that live.
    pub(crate) fn handlers(&self) -> Vec<i32> {
        pids(&self.program())
    }

    /// What the ledger says when no handler is left.
    pub(crate) fn quiet(&self) -> Totals {
        let end = Instant::now() + Duration::from_secs(60);
        while !pids(&self.program()).is_empty() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.totals().expect("a ledger")
    }

    /// What the ledger says.
    pub(crate) fn totals(&self) -> Option<Totals> {
        Some(totals(&ledger(&self.run)?))
    }

    /// The same when so many handlers have begun and ended.
    pub(crate) fn settled(&self, crashes: u64) -> Totals {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let totals = self.totals().unwrap_or_default();
            let ended = totals.recorded + totals.suppressed + totals.failed + totals.unwanted;
            if totals.begun == crashes && ended >= crashes && pids(&self.program()).is_empty() {
                return totals;
            }
            assert!(Instant::now() < end, "{crashes} crashes: {totals:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The newest record, when all handlers have ended.
    pub(crate) fn newest(&self, patience: Duration) -> Record {
        let end = Instant::now() + patience;
        while !pids(&self.program()).is_empty() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        records(&self.spool).pop().expect("a record")
    }

    /// Every exposure report in the spool, oldest first.
    pub(crate) fn reports(&self) -> Vec<Exposure> {
        let entries = std::fs::read_dir(&self.spool).expect("the spool").flatten();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "exp"));
        files.sort();
        files.iter().map(|path| decode_exposure(&std::fs::read(path).unwrap()[64..]).unwrap()).collect()
    }
}

/// The ledger of a run directory.
pub(crate) fn ledger(run: &Path) -> Option<Snapshot> {
    Snapshot::read(run, boot_id()?)
}

/// What it says.
pub(crate) fn totals(ledger: &Snapshot) -> Totals {
    let proc_root = Directory::open(Path::new("/proc")).ok();
    ledger.totals(&ask(proc_root.as_ref()))
}

/// Processes that run this program.
fn pids(program: &Path) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program))
        .collect()
}

/// How many they are, and their resident KiB together.
fn handlers(program: &Path) -> (usize, u64) {
    let pids = pids(program);
    let resident = |pid: &i32| {
        let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
        statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4
    };
    (pids.len(), pids.iter().map(resident).sum())
}

/// What a storm cost the rest of the machine.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    seconds: f64,
    /// The most handlers alive at once, and their resident memory together.
    pub(crate) handlers: usize,
    pub(crate) resident_kib: u64,
    /// How late a timer of one millisecond was: half of the times, 99 of 100.
    pub(crate) half: Duration,
    pub(crate) p99: Duration,
}

impl Watched {
    /// Watches while `work` is done.
    pub(crate) fn over(place: &Place, work: impl FnOnce()) -> Watched {
        let done = AtomicBool::new(false);
        let (program, began) = (place.program(), Instant::now());
        std::thread::scope(|scope| {
            let timer = scope.spawn(|| delays(&done));
            let alive = scope.spawn(|| most_alive(&program, &done));
            work();
            let seconds = began.elapsed().as_secs_f64();
            done.store(true, Ordering::Relaxed);
            let (mut delays, (handlers, resident_kib)) = (timer.join().unwrap(), alive.join().unwrap());
            delays.sort();
            let at = |share: usize| delays.get(delays.len() * share / 100).copied().unwrap_or_default();
            Watched { seconds, handlers, resident_kib, half: at(50), p99: at(99) }
        })
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.1} s, at most {} handlers with {} KiB resident, a timer of 1 ms late by {:?} (half), {:?} (p99)",
            self.seconds, self.handlers, self.resident_kib, self.half, self.p99
        )
    }
}

fn delays(done: &AtomicBool) -> Vec<Duration> {
    const STEP: Duration = Duration::from_millis(1);
    let mut delays = Vec::new();
    while !done.load(Ordering::Relaxed) {
        let began = Instant::now();
        std::thread::sleep(STEP);
        delays.push(began.elapsed().saturating_sub(STEP));
    }
    delays
}

fn most_alive(program: &Path, done: &AtomicBool) -> (usize, u64) {
    let mut most = (0, 0);
    while !done.load(Ordering::Relaxed) {
        let now = handlers(program);
        most = (most.0.max(now.0), most.1.max(now.1));
        std::thread::sleep(Duration::from_millis(5));
    }
    most
}
