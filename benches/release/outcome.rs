//! The table, the JSON file, and whether the promises hold.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::contenders::Contender;
use crate::rounds::{Samples, Session};
use crate::statistics::{Interval, interval, median, quantile, sorted};

/// At 10 MB: milliseconds over "no dump", upper end of the interval.
const MOST_MS: f64 = 3.0;
/// At 1 GB and 4 GB: times "no dump", upper end of the interval.
const MOST_RATIO: f64 = 1.15;
/// Up to this size the difference is promised; in between, nothing.
const MS_TO_MIB: u64 = 10;
/// From this size the ratio is promised.
const RATIO_FROM_MIB: u64 = 1024;

struct Row<'a> {
    samples: &'a Samples,
    ratio: Interval,
    difference: Interval,
}

struct Promise {
    text: String,
    held: bool,
}

pub(crate) struct Outcome<'a> {
    sessions: &'a [Session],
    rows: Vec<Vec<Row<'a>>>,
    promises: Vec<Promise>,
    notes: Vec<String>,
    machine: Value,
}

impl<'a> Outcome<'a> {
    pub(crate) fn of(sessions: &'a [Session], mut notes: Vec<String>, took: Duration) -> Outcome<'a> {
        let rows: Vec<Vec<Row>> = sessions.iter().map(rows).collect();
        notes.extend(sessions.iter().flat_map(|session| session.skipped.iter().cloned()));
        for session in sessions {
            let (before, after) = session.load;
            notes.push(format!("load average, {}: {before:.2} before, {after:.2} after", session.title));
        }
        let own = rows.first().map(Vec::as_slice).unwrap_or_default();
        let promises =
            own.iter().filter(|row| row.samples.contender == Contender::Epicore).filter_map(promise);
        let broken = sessions.iter().flat_map(|session| failures(session, true));
        let broken = broken.map(|text| Promise { text, held: false });
        let promises = promises.chain(broken).collect();
        notes.extend(sessions.iter().flat_map(|session| failures(session, false)));
        Outcome { sessions, promises, notes, machine: machine(took), rows }
    }

    /// True when every promise was measured and holds.
    pub(crate) fn holds(&self) -> bool {
        !self.promises.is_empty() && self.promises.iter().all(|promise| promise.held)
    }

    pub(crate) fn table(&self) -> String {
        let mut text =
            format!("fault → waitpid, 5 threads; {}\n", self.machine["cpu"].as_str().unwrap_or("?"));
        for (session, rows) in self.sessions.iter().zip(&self.rows) {
            let rounds = rows.first().map_or(0, |row| row.samples.ms.len());
            let _ = writeln!(text, "\n{} ({rounds} rounds)", session.title);
            let (size, middle, most, ratio) = ("MiB", "median ms", "max ms", "× no dump [95 %]");
            let head = format!("{:<18} {size:>5} {middle:>10} {most:>10}   {ratio:<22} ", "");
            let _ = writeln!(text, "{head}ms over no dump [95 %]");
            for row in rows {
                let _ = writeln!(text, "{}", line(row));
            }
            for row in rows.iter().filter(|row| !row.samples.held.is_empty()) {
                let _ = writeln!(text, "{}", held(row.samples));
            }
        }
        text.push('\n');
        for note in &self.notes {
            let _ = writeln!(text, "note: {note}");
        }
        for promise in &self.promises {
            let _ =
                writeln!(text, "{}: {}", if promise.held { "holds" } else { "DOES NOT HOLD" }, promise.text);
        }
        text
    }

    /// Writes `release.json` and `release.txt` below `dir`.
    pub(crate) fn save(&self, dir: &Path) -> std::io::Result<PathBuf> {
        std::fs::create_dir_all(dir)?;
        let sessions: Vec<Value> =
            self.sessions.iter().zip(&self.rows).map(|(s, rows)| session(s, rows)).collect();
        let promises: Vec<Value> =
            self.promises.iter().map(|p| json!({"promise": p.text, "holds": p.held})).collect();
        let whole = json!({
            "machine": self.machine,
            "sessions": sessions,
            "promises": promises,
            "notes": self.notes,
            "holds": self.holds(),
        });
        std::fs::write(dir.join("release.txt"), self.table())?;
        let path = dir.join("release.json");
        std::fs::write(&path, format!("{whole:#}\n"))?;
        Ok(path)
    }
}

fn rows(session: &Session) -> Vec<Row<'_>> {
    let floor = |mib| session.samples.iter().find(|s| s.mib == mib && s.contender == Contender::NoDump);
    session.samples.iter().filter_map(|samples| Some(against(samples, floor(samples.mib)?))).collect()
}

/// Paired inside each round; a round that failed on either side is left out.
fn against<'a>(samples: &'a Samples, floor: &Samples) -> Row<'a> {
    let pairs: Vec<(f64, f64)> = samples.ms.iter().copied().zip(floor.ms.iter().copied()).collect();
    let pairs: Vec<_> = pairs.into_iter().filter(|(a, b)| a.is_finite() && b.is_finite()).collect();
    let ratios: Vec<f64> = pairs.iter().map(|(a, b)| a / b).collect();
    let differences: Vec<f64> = pairs.iter().map(|(a, b)| a - b).collect();
    Row { samples, ratio: interval(&ratios), difference: interval(&differences) }
}

fn promise(row: &Row) -> Option<Promise> {
    let mib = row.samples.mib;
    if mib >= RATIO_FROM_MIB {
        let high = row.ratio.high;
        let text = format!("at {mib} MiB at most {MOST_RATIO} × no dump: upper end {high:.3}");
        return Some(Promise { text, held: high <= MOST_RATIO });
    }
    let high = row.difference.high;
    let text = format!("at {mib} MiB at most {MOST_MS} ms over no dump: upper end {high:.2} ms");
    (mib <= MS_TO_MIB).then_some(Promise { text, held: high <= MOST_MS })
}

/// Rounds in which the work was not done: of ours a broken promise, of others
/// a note.
fn failures(session: &Session, ours: bool) -> impl Iterator<Item = String> {
    let failed = session.samples.iter().filter(move |s| s.failures > 0 && s.contender.is_ours() == ours);
    failed.map(|samples| {
        let (name, why) = (samples.contender.name(), samples.failure.as_deref().unwrap_or("?"));
        format!("{name} at {} MiB: its work was not done {} times: {why}", samples.mib, samples.failures)
    })
}

fn line(row: &Row) -> String {
    let ms = sorted(row.samples.ms.iter().copied());
    let range = |i: Interval, digits: usize| {
        format!("{:.*} [{:.*}, {:.*}]", digits, i.median, digits, i.low, digits, i.high)
    };
    format!(
        "{:<18} {:>5} {:>10.2} {:>10.2}   {:<22} {}",
        row.samples.contender.name(),
        row.samples.mib,
        quantile(&ms, 0.5),
        quantile(&ms, 1.0),
        range(row.ratio, 3),
        range(row.difference, 2)
    )
}

/// cap.held: from the handler's first instruction to the release.
fn held(samples: &Samples) -> String {
    let held = sorted(samples.held.iter().map(|h| h.held_us / 1e3));
    let total = sorted(samples.held.iter().map(|h| h.total_us / 1e3));
    let read = median(&samples.held.iter().map(|h| h.read).collect::<Vec<_>>());
    format!(
        "cap.held {:>9} MiB: median {:.2} ms, 90 % {:.2}, max {:.2}; cap.total median {:.2} ms; cap.read {read:.0} bytes",
        samples.mib,
        quantile(&held, 0.5),
        quantile(&held, 0.9),
        quantile(&held, 1.0),
        quantile(&total, 0.5),
    )
}

fn session(session: &Session, rows: &[Row]) -> Value {
    let ends = |i: Interval| json!({"median": i.median, "low": i.low, "high": i.high});
    let row = |row: &Row| {
        json!({
            "contender": row.samples.contender.name(),
            "mib": row.samples.mib,
            "ms": row.samples.ms,
            "median_ms": median(&row.samples.ms),
            "ratio_to_no_dump": ends(row.ratio),
            "ms_over_no_dump": ends(row.difference),
            "held_us": row.samples.held.iter().map(|h| h.held_us).collect::<Vec<_>>(),
            "total_us": row.samples.held.iter().map(|h| h.total_us).collect::<Vec<_>>(),
            "failures": row.samples.failures,
        })
    };
    json!({
        "session": session.title,
        "load_before": session.load.0,
        "load_after": session.load.1,
        "rows": rows.iter().map(row).collect::<Vec<_>>(),
    })
}

fn machine(took: Duration) -> Value {
    let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let info = text("/proc/cpuinfo");
    let model =
        info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, m)| m);
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = text("/proc/sys/kernel/osrelease");
    json!({
        "cpu": format!("{} × {}, Linux {}", cpus, model.unwrap_or("?"), kernel.trim()),
        "seconds": took.as_secs(),
    })
}
