//! The injection corpus: thousands of real crashes with known causes, through
//! the kernel and the handler, and how often each evidence code is seen.
//!
//! ```text
//! hardware-like   work.c is stopped at a random instruction (ptrace), one thing
//!                 is done to it, it goes on alone, and may crash
//! software        bugs.c crashes of one true bug, of a kind and a seed
//! ```
//!
//! Prints a table by class, writes target/injection/evidence.tsv, and holds the
//! figures of SPECIFICATION.md against what was seen. Needs root (core_pattern,
//! ptrace). Words: --crashes N (of each side), --seed N, --only CLASS, --write
//! (puts the counts where the statistics load them, src/epidemiology/).
#![allow(missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod evidence;
mod inject;
mod tally;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use epicore::record::{Kind, Record};
use support::observe;

use inject::Class;
use tally::Tally;

/// Kinds of bugs.c.
const BUGS: [&str; 20] = [
    "use-after-free",
    "heap-overflow",
    "off-by-one",
    "null-offset",
    "double-free",
    "bad-function",
    "wild",
    "smashed",
    "race",
    "read-only",
    "unmapped",
    "format",
    "run-over",
    "index",
    "stack-index",
    "divide",
    "stride",
    "uninitialised",
    "stack-overflow",
    "abort",
];
/// Crashes in one spool, before the next one is made.
const SPOOL: usize = 40;
/// How long a process may take to crash of what was done to it.
const PATIENCE: Duration = Duration::from_millis(150);

struct Options {
    crashes: usize,
    seed: u64,
    only: Option<String>,
    write: bool,
}

fn options() -> Result<Options, String> {
    let mut options = Options { crashes: 2000, seed: 1, only: None, write: false };
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    while let Some(word) = words.next() {
        if word == "--write" {
            options.write = true;
            continue;
        }
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--crashes" => options.crashes = value()?.parse().map_err(|_| "a number of crashes")?,
            "--seed" => options.seed = value()?.parse().map_err(|_| "a number")?,
            "--only" => options.only = Some(value()?),
            _ => return Err(format!("there is no option {word}")),
        }
    }
    Ok(options)
}

/// xorshift64*: the same corpus for the same seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// The kernel's settings, the programs, the spool at hand.
struct Stage {
    observatory: observe::Observatory,
    spool: PathBuf,
    spools: usize,
    seen: usize,
}

impl Stage {
    fn new() -> Option<Stage> {
        let observatory = observe::Observatory::open()?;
        let mut stage = Stage { observatory, spool: PathBuf::new(), spools: 0, seen: 0 };
        stage.fresh_spool();
        Some(stage)
    }

    fn fresh_spool(&mut self) {
        let _ = std::fs::remove_dir_all(&self.spool);
        self.spools += 1;
        self.seen = 0;
        self.spool = self.observatory.spool(&format!("s{}", self.spools));
        self.observatory.point_at_handler(&self.spool);
    }

    /// The full record of a process that dumped.
    fn record(&mut self, pid: u32) -> Option<Record> {
        let end = Instant::now() + Duration::from_secs(5);
        let record = loop {
            let all = observe::records(&self.spool);
            let own = all.into_iter().find(|r| r.kind == Kind::Full && r.crash.pid == Some(pid));
            if own.is_some() || Instant::now() > end {
                break own;
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        self.seen += 1;
        if self.seen >= SPOOL {
            self.fresh_spool();
        }
        record
    }
}

fn build(name: &str, flags: &[&str]) -> PathBuf {
    let out = support::target_dir().join("injection").join(name);
    std::fs::create_dir_all(out.parent().expect("a parent")).expect("target/injection");
    let source = if name.starts_with("work") { "work.c" } else { "bugs.c" };
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/injection").join(source);
    let done =
        Command::new("gcc").args(flags).args(["-g", "-w", "-pthread", "-o"]).arg(&out).arg(source).status();
    assert!(done.expect("gcc").success(), "gcc {name}");
    out
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(why) => {
            eprintln!("injection: {why}");
            return ExitCode::from(2);
        }
    };
    let Some(mut stage) = Stage::new() else { return ExitCode::from(2) };
    let works = [
        build("work-O2", &["-O2"]),
        build("work-O0", &["-O0"]),
        build("work-O1", &["-O1", "-fomit-frame-pointer"]),
    ];
    let bugs = [
        build("bugs-O1", &["-O1", "-fno-stack-protector"]),
        build("bugs-O2", &["-O2"]),
        build("bugs-O0", &["-O0"]),
    ];
    let mut random = Random(options.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut tally = Tally::default();
    hardware(&mut stage, &works, &options, &mut random, &mut tally);
    software(&mut stage, &bugs, &options, &mut random, &mut tally);
    drop(stage);
    let text = tally.table();
    println!("{text}");
    let _ = std::fs::write(support::target_dir().join("injection/evidence.tsv"), tally.counts());
    if options.write && options.only.is_none() {
        evidence::replace(false, &tally.counts());
    }
    let wrong = tally.promises(options.only.is_none());
    for line in &wrong {
        println!("{line}");
    }
    if wrong.iter().any(|line| line.starts_with("DOES NOT HOLD")) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn hardware(stage: &mut Stage, works: &[PathBuf], options: &Options, random: &mut Random, tally: &mut Tally) {
    let classes: Vec<Class> = Class::ALL
        .into_iter()
        .filter(|class| options.only.as_deref().is_none_or(|only| only == class.name()))
        .collect();
    if classes.is_empty() {
        return;
    }
    let each = options.crashes.div_ceil(classes.len());
    for class in classes {
        let (mut crashes, mut tries) = (0, 0);
        while crashes < each && tries < each * 20 {
            tries += 1;
            let work = &works[random.below(works.len() as u64) as usize];
            let Some((pid, done)) = once(work, class, random) else { continue };
            let Some(record) = stage.record(pid) else {
                tally.lost += 1;
                continue;
            };
            crashes += 1;
            tally.add(class.name(), true, done.at_once, &record, &done.what);
        }
        eprintln!("injection: {}: {crashes} crashes of {tries} injections", class.name());
    }
}

/// One process, one injection; its pid when it dumped.
fn once(work: &Path, class: Class, random: &mut Random) -> Option<(u32, inject::Done)> {
    let mut child = observe::victim(work)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the work");
    let mut ready = [0];
    let is_ready = std::io::Read::read_exact(&mut child.stdout.take().expect("a pipe"), &mut ready).is_ok();
    std::thread::sleep(Duration::from_micros(random.below(3000)));
    let pid = child.id();
    let done = if is_ready { inject::inject(pid, class, random) } else { None };
    let end = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Some(status),
            Ok(None) if Instant::now() < end && done.is_some() => {
                std::thread::sleep(Duration::from_micros(500))
            }
            _ => break None,
        }
    };
    let Some(status) = status else {
        let _ = child.kill();
        let _ = child.wait();
        return None;
    };
    use std::os::unix::process::ExitStatusExt;
    done.filter(|_| status.core_dumped()).map(|done| (pid, done))
}

fn software(stage: &mut Stage, bugs: &[PathBuf], options: &Options, random: &mut Random, tally: &mut Tally) {
    let kinds: Vec<&str> =
        BUGS.into_iter().filter(|kind| options.only.as_deref().is_none_or(|only| only == *kind)).collect();
    if kinds.is_empty() {
        return;
    }
    let each = options.crashes.div_ceil(kinds.len());
    for kind in kinds {
        let mut crashes = 0;
        for _ in 0..each * 3 {
            if crashes >= each {
                break;
            }
            let program = &bugs[random.below(bugs.len() as u64) as usize];
            let seed = random.below(1 << 40).to_string();
            let mut child = observe::victim(program)
                .args([kind, &seed])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("the bug");
            let pid = child.id();
            let status = child.wait().expect("waitpid");
            use std::os::unix::process::ExitStatusExt;
            if !status.core_dumped() {
                continue;
            }
            let Some(record) = stage.record(pid) else {
                tally.lost += 1;
                continue;
            };
            crashes += 1;
            tally.add(kind, false, true, &record, &format!("{} {kind} {seed}", program.display()));
        }
        eprintln!("injection: {kind}: {crashes} crashes");
    }
}
