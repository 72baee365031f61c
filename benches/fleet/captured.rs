//! Real crashes through the kernel: the handler under test as the machine's,
//! a spool, and programs that are killed with SIGSEGV.
//!
//! Needs root. The kernel's settings are put back by the guard.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use epicore::record::{Kind, Record, decode};
use epicore::spool::{Reader, RecordStatus, initialise};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::options::Options;
use super::pattern_guard::PatternGuard;
use super::place::program;

/// What the kernel is asked to hand over, as the shipped pattern does.
const SPECIFIERS: &str = "-P%P -I%I -u%u -g%g -d%d -s%s -t%t -C%C -c%c -F%F";
const PATIENCE: Duration = Duration::from_secs(20);
/// Different processes that are made of these crashes.
const VARIANTS: usize = 1000;
/// Programs of every machine, waiting for something: interpreters with a few
/// dozen libraries, and small ones.
const PROGRAMS: [&[&str]; 6] = [
    &["sleep", "600"],
    &["bash", "-c", "read x; true"],
    &["perl", "-MSocket", "-e", "sleep 600"],
    &["python3", "-c", "import ssl, json, time; time.sleep(600)"],
    &[
        "python3",
        "-c",
        "import threading as t, time\nfor _ in range(7): t.Thread(target=time.sleep, args=(600,)).start()",
    ],
    &["tail", "-f", "/dev/null"],
];

/// The kernel hands crashes to the handler under test while this lives.
pub(crate) struct Kernel {
    _guard: PatternGuard,
    _dir: tempfile::TempDir,
    spool: PathBuf,
}

impl Kernel {
    /// Points core_pattern at the handler, with a new spool at `spool`.
    pub(crate) fn take(spool: &Path) -> Result<Kernel, String> {
        let handler = program("epicore-handler")?;
        if !nix::unistd::geteuid().is_root() {
            return Err("root is needed to set core_pattern".to_owned());
        }
        let dir = tempfile::Builder::new().prefix("epi-").rand_bytes(4).tempdir_in("/run");
        let dir = dir.map_err(|error| format!("/run: {error}"))?;
        let copy = dir.path().join("h");
        std::fs::copy(&handler, &copy).map_err(|error| error.to_string())?;
        std::fs::create_dir_all(spool).map_err(|error| error.to_string())?;
        initialise(spool, None).map_err(|error| error.to_string())?;
        let config = dir.path().join("c");
        let text = format!("spool = {spool:?}\n[throttle]\nenabled = false\n");
        std::fs::write(&config, text).map_err(|error| error.to_string())?;
        let pattern = format!("|{} {SPECIFIERS} --config {}", copy.display(), config.display());
        if pattern.len() > 127 {
            return Err(format!("the kernel would cut {pattern}: give a shorter --at"));
        }
        let guard = PatternGuard::take();
        guard.set("kernel/core_pipe_limit", "64");
        guard.set("kernel/core_pattern", &pattern);
        Ok(Kernel { _guard: guard, _dir: dir, spool: spool.to_owned() })
    }

    /// The full record of process `pid`, when it is there.
    fn record(&self, pid: u32) -> Option<Record> {
        let reader = Reader::open(&self.spool).ok()?;
        let listing = reader.list().ok()?;
        let records = listing.entries.iter().filter_map(|entry| match reader.read(entry) {
            RecordStatus::Valid { payload, .. } => decode(&payload).ok(),
            _ => None,
        });
        records.into_iter().find(|record| record.crash.pid == Some(pid) && record.kind == Kind::Full)
    }
}

/// A program that waits, and a moment for it to have started.
pub(crate) fn start(words: &[&str]) -> Option<Child> {
    let (name, arguments) = words.split_first()?;
    let mut command = Command::new(name);
    let command = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().ok()?;
    Some(child)
}

/// SIGSEGV.
pub(crate) fn fault(child: &Child) {
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    kill(pid, Signal::SIGSEGV).expect("our own child");
}

/// Records of real programs, and how they came to be.
pub(crate) fn records(options: &Options) -> (Vec<Record>, String) {
    match through_the_kernel(options) {
        Ok(records) if !records.is_empty() => {
            let how = format!("{} programs crashed for it", records.len());
            (vary(&records), how)
        }
        Ok(_) => (vary(&super::simulated::captured()), "the tests' cores, replayed".to_owned()),
        Err(why) => (vary(&super::simulated::captured()), format!("the tests' cores, replayed: {why}")),
    }
}

/// The same crashes in other processes: what address space randomisation, the
/// scheduler and the allocator make different each time. Without it a batch
/// would compress as no real one does.
fn vary(records: &[Record]) -> Vec<Record> {
    let mut random = fastrand::Rng::with_seed(11);
    let variant = |n: usize| {
        let mut record = records[n % records.len()].clone();
        let pages = |random: &mut fastrand::Rng| random.u64(0..1 << 28) << 12;
        let pid = random.u32(300..1 << 22);
        (record.crash.pid, record.crash.tid) = (Some(pid), Some(pid));
        record.threads.tid.iter_mut().zip(pid..).for_each(|(tid, pid)| *tid = pid);
        for module in &mut record.modules {
            let by = pages(&mut random);
            (module.bias.0, module.start.0) = (module.bias.0 ^ by, module.start.0 ^ by);
        }
        record.threads.ip.iter_mut().chain(&mut record.threads.sp).for_each(|at| at.0 ^= pages(&mut random));
        let process = &mut record.process;
        for value in [&mut process.start_ns, &mut process.age_ns, &mut record.boottime_ns] {
            *value = value.map(|_| random.u64(0..1 << 50));
        }
        for value in [&mut process.rss_kib, &mut process.vsize_kib] {
            *value = value.map(|_| random.u64(1 << 12..1 << 22));
        }
        for value in [&mut record.capture.held_us, &mut record.capture.total_us] {
            *value = value.map(|_| random.u64(500..9000));
        }
        record
    };
    (0..VARIANTS).map(variant).collect()
}

fn through_the_kernel(options: &Options) -> Result<Vec<Record>, String> {
    let dir = tempfile::Builder::new().prefix("epi-").rand_bytes(4).tempdir_in(&options.at);
    let dir = dir.map_err(|error| error.to_string())?;
    let kernel = Kernel::take(&dir.path().join("spool"))?;
    let mut children: Vec<Child> = PROGRAMS.iter().filter_map(|words| start(words)).collect();
    std::thread::sleep(Duration::from_millis(1500));
    let mut records = Vec::new();
    for child in &mut children {
        fault(child);
        let _ = child.wait();
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(record) = kernel.record(child.id()) {
                records.push(record);
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(records)
}
