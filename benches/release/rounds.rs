//! Rounds: every contender once, in random order, the disk settled before each.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::contenders::{Contender, Held, THREADS, Workplace};
use crate::statistics::Random;
use crate::support::pattern_guard::PatternGuard;

/// What was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) rounds: usize,
    pub(crate) sizes: Vec<u64>,
    pub(crate) packages: bool,
    only: Option<Vec<String>>,
}

impl Options {
    /// Defaults, then EPICORE_BENCH_ROUNDS, then the arguments.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
        let number = |text: &str| text.parse::<usize>().ok().filter(|n| *n > 0);
        let from_environment = std::env::var("EPICORE_BENCH_ROUNDS").ok();
        let rounds = from_environment.as_deref().and_then(number).unwrap_or(15);
        let mut options = Options { rounds, sizes: vec![10, 1024, 4096], packages: true, only: None };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--bench" => {} // cargo bench says it
                "--quick" => {
                    options.rounds = 3;
                    options.sizes = vec![10, 256];
                    options.packages = false;
                }
                "--rounds" => options.rounds = number(&value()?).ok_or("--rounds needs a number")?,
                "--sizes" => {
                    let sizes: Option<Vec<u64>> = value()?.split(',').map(|s| s.parse().ok()).collect();
                    options.sizes = sizes.ok_or("--sizes needs numbers of MiB, by commas")?;
                }
                "--only" => options.only = Some(value()?.split(',').map(str::to_owned).collect()),
                "--no-packages" => options.packages = false,
                _ => return Err(format!("{word}? There are --quick --rounds --sizes --only --no-packages")),
            }
        }
        Ok(options)
    }

    /// "No dump" is always among them: everything is held against it.
    pub(crate) fn filter(&self, all: Vec<Contender>) -> Vec<Contender> {
        let wanted = |c: &Contender| self.only.as_ref().is_none_or(|only| only.iter().any(|n| n == c.name()));
        all.into_iter().filter(|c| *c == Contender::NoDump || wanted(c)).collect()
    }
}

/// All samples of one contender at one size, in the order of the rounds.
#[derive(Clone, Debug)]
pub(crate) struct Samples {
    pub(crate) contender: Contender,
    pub(crate) mib: u64,
    /// Milliseconds from the fault to waitpid.
    pub(crate) ms: Vec<f64>,
    pub(crate) held: Vec<Held>,
    /// Rounds in which its work was not done, and why the first of them.
    pub(crate) failures: usize,
    pub(crate) failure: Option<String>,
}

impl Samples {
    /// Another handler that failed twice would only cost its patience again.
    fn is_hopeless(&self) -> bool {
        self.failures >= 2 && !self.contender.is_ours()
    }
}

/// Rounds that belong together.
pub(crate) struct Session {
    pub(crate) title: String,
    pub(crate) samples: Vec<Samples>,
    pub(crate) skipped: Vec<String>,
    pub(crate) load: (f64, f64),
}

impl Session {
    pub(crate) fn run(
        title: &str,
        contenders: &[Contender],
        options: &Options,
        place: &Workplace,
        guard: &PatternGuard,
    ) -> Session {
        let mut session = Session {
            title: title.to_owned(),
            samples: Vec::new(),
            skipped: Vec::new(),
            load: (load(), 0.0),
        };
        let mut random = Random::new(0x0000_726f_756e_6473);
        // Once for nothing: programs and libraries come into the page cache.
        for contender in contenders {
            let _ = once(*contender, 10, place, guard);
        }
        for mib in &options.sizes {
            if available_mib() < mib + mib / 2 + 256 {
                session.skipped.push(format!("{mib} MiB: not measured: {} MiB are free", available_mib()));
                continue;
            }
            session.one_size(*mib, contenders, options.rounds, &mut random, place, guard);
        }
        session.load.1 = load();
        session
    }

    fn one_size(
        &mut self,
        mib: u64,
        contenders: &[Contender],
        rounds: usize,
        random: &mut Random,
        place: &Workplace,
        guard: &PatternGuard,
    ) {
        let fresh = |contender: &Contender| Samples {
            contender: *contender,
            mib,
            ms: Vec::new(),
            held: Vec::new(),
            failures: 0,
            failure: None,
        };
        let mut all: Vec<Samples> = contenders.iter().map(fresh).collect();
        let started = Instant::now();
        for round in 1..=rounds {
            let mut order: Vec<usize> = (0..all.len()).collect();
            random.shuffle(&mut order);
            for index in order {
                let samples = &mut all[index];
                if samples.is_hopeless() {
                    samples.ms.push(f64::NAN);
                    continue;
                }
                let (ms, checked) = once(samples.contender, mib, place, guard);
                // Speed counts only when the work was done.
                samples.ms.push(if checked.is_ok() { ms } else { f64::NAN });
                match checked {
                    Ok(held) => samples.held.extend(held),
                    Err(why) => {
                        eprintln!("release: {} at {mib} MiB, round {round}: {why}", samples.contender.name());
                        samples.failures += 1;
                        samples.failure.get_or_insert(why);
                    }
                }
            }
            let spent = started.elapsed().as_secs_f64();
            let left = spent / round as f64 * (rounds - round) as f64;
            eprintln!("release: {}, {mib} MiB: round {round} of {rounds}, {left:.0} s left", self.title);
        }
        self.samples.extend(all);
    }
}

/// One crash: milliseconds (NaN when there was none), and whether the
/// contender's work was done.
fn once(
    contender: Contender,
    mib: u64,
    place: &Workplace,
    guard: &PatternGuard,
) -> (f64, Result<Option<Held>, String>) {
    settle(place);
    contender.point_at(place, guard);
    let mut command = Command::new(place.program("fault_to_wait"));
    command.arg(mib.to_string()).arg((THREADS - 1).to_string()).current_dir(place.disk());
    command.env_clear();
    if contender == Contender::NoDump {
        command.env("NO_DUMP", "1");
    }
    let said = match command.output() {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(error) => return (f64::NAN, Err(error.to_string())),
    };
    let mut words = said.split_whitespace();
    let us = words.next().and_then(|w| w.parse::<f64>().ok()).unwrap_or(f64::NAN);
    let Some(status) = words.next().and_then(|w| w.parse::<i32>().ok()) else {
        return (f64::NAN, Err(format!("fault_to_wait said {said:?}")));
    };
    (us / 1e3, contender.check(place, status, mib))
}

/// What the last contender left for the disk is written before the next one,
/// and the processes that it started have ended.
fn settle(place: &Workplace) {
    if let Ok(dir) = std::fs::File::open(place.disk()) {
        let _ = nix::unistd::syncfs(&dir);
    }
    std::thread::sleep(Duration::from_millis(20));
}

fn available_mib() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// Load average over a minute.
fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(f64::NAN)
}
