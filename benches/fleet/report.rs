//! Tables, verdicts, and the samples behind them.
//!
//! A table is printed as soon as its part is done; the verdicts come last,
//! each with the promise of SPECIFICATION.md that it is about.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use serde_json::{Map, Value, json};

use super::statistics::{interval, median, quantile, sorted};

/// What is known at the end.
pub(crate) struct Report {
    began: Instant,
    verdicts: Vec<(Verdict, String)>,
    samples: Map<String, Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Holds,
    DoesNot,
    NotMeasured,
}

impl Report {
    pub(crate) fn begin() -> Report {
        let mut report = Report { began: Instant::now(), verdicts: Vec::new(), samples: Map::new() };
        println!("the fleet: {}", machine());
        report.samples.insert("machine".to_owned(), json!(machine()));
        report.note_load("before");
        report
    }

    /// A table's title: what was done, and who else worked meanwhile.
    pub(crate) fn title(&mut self, title: &str) {
        println!("\n{title}");
        self.note_load(title);
    }

    pub(crate) fn line(&mut self, line: &str) {
        println!("{line}");
    }

    /// Raw samples, for whoever wants other statistics.
    pub(crate) fn keep(&mut self, name: &str, samples: impl serde::Serialize) {
        self.samples.insert(name.to_owned(), json!(samples));
    }

    /// A promise: `what` was measured as `figure`, which must be `holds`.
    pub(crate) fn promise(&mut self, holds: bool, what: &str) {
        self.verdicts.push((if holds { Verdict::Holds } else { Verdict::DoesNot }, what.to_owned()));
    }

    pub(crate) fn not_measured(&mut self, what: &str, why: &str) {
        self.verdicts.push((Verdict::NotMeasured, format!("{what}: {why}")));
    }

    fn note_load(&mut self, when: &str) {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').take(2).collect::<Vec<_>>().join(" ");
        self.samples.insert(format!("load average, 1 and 5 min: {when}"), json!(load));
        println!("(load average over 1 and 5 min: {load})");
    }

    /// Verdicts, samples, and what the command says to make.
    pub(crate) fn end(self) -> ExitCode {
        println!();
        for (verdict, what) in &self.verdicts {
            let word = match verdict {
                Verdict::Holds => "holds",
                Verdict::DoesNot => "DOES NOT HOLD",
                Verdict::NotMeasured => "NOT MEASURED",
            };
            println!("{word}: {what}");
        }
        match self.save() {
            Ok(path) => eprintln!("fleet: samples in {}", path.display()),
            Err(error) => eprintln!("fleet: samples not saved: {error}"),
        }
        eprintln!("fleet: {:.0} s", self.began.elapsed().as_secs_f64());
        let any = |wanted| self.verdicts.iter().any(|(verdict, _)| *verdict == wanted);
        ExitCode::from(match (any(Verdict::DoesNot), any(Verdict::NotMeasured)) {
            (true, _) => 1,
            (false, true) => 2,
            (false, false) => 0,
        })
    }

    fn save(&self) -> std::io::Result<PathBuf> {
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
        let dir = target.join("bench");
        std::fs::create_dir_all(&dir)?;
        let path = dir.join("fleet.json");
        let mut whole = self.samples.clone();
        let verdicts: Vec<String> = self.verdicts.iter().map(|(v, what)| format!("{v:?}: {what}")).collect();
        whole.insert("verdicts".to_owned(), json!(verdicts));
        std::fs::write(&path, serde_json::to_vec_pretty(&whole)?)?;
        Ok(path)
    }
}

/// Kernel, processor and file system: what the figures are of.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name\t: ")).unwrap_or("?");
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cpus} CPUs ({model}), Linux {}", read("/proc/sys/kernel/osrelease").trim_end())
}

/// "median [low, high]": the bootstrap's 95 % from five samples on, below that
/// the least and the largest.
pub(crate) fn spread(samples: &[f64], digits: usize) -> String {
    let all = sorted(samples.iter().copied());
    let (low, high) = match all.len() {
        0 => return "?".to_owned(),
        1..5 => (all[0], all[all.len() - 1]),
        _ => {
            let interval = interval(samples);
            (interval.low, interval.high)
        }
    };
    format!("{:.digits$} [{low:.digits$}, {high:.digits$}]", median(samples))
}

/// p50, p90 and the largest.
pub(crate) fn tail(samples: &[f64]) -> [f64; 3] {
    let all = sorted(samples.iter().copied());
    [quantile(&all, 0.5), quantile(&all, 0.9), quantile(&all, 1.0)]
}
