//! What a census saw, for whoever typed `--print`. Names are escaped: a process
//! may call itself a terminal's control sequence.

use std::fmt::Write;

use crate::process::read_bounded;
use crate::record::{Exposure, Lost, Running};

/// Workloads that are shown.
const SHOWN: usize = 40;

/// A screen of text.
pub(super) fn text(exposure: &Exposure) -> String {
    let cost = &exposure.cost;
    let mut out = format!(
        "{} processes ({} kernel threads, {} gone or unread), {} workloads, {} containers; {} µs of CPU\n",
        cost.processes,
        cost.kernel_threads,
        cost.unread,
        exposure.running.len(),
        exposure.images.len(),
        cost.cpu_us
    );
    for running in exposure.running.iter().take(SHOWN) {
        let _ = writeln!(out, "{}", line(running));
    }
    let more = exposure.running.len().saturating_sub(SHOWN);
    if more > 0 {
        let _ = writeln!(out, "  … and {more} more workloads");
    }
    if let Some(control) = &exposure.control {
        let name = control.process.exe.as_deref().unwrap_or("?").escape_debug();
        let _ = writeln!(out, "control: {name}, one of {}", control.of);
    }
    out.push_str(&lost(&exposure.lost));
    for gap in &exposure.gaps {
        let count = gap.count.map_or_else(String::new, |count| format!(" ({count})"));
        let _ = writeln!(out, "not known: {}{count}", gap.reason.escape_debug());
    }
    let _ = writeln!(out, "looked as {}", itself());
    out
}

/// Crashes of this boot that left no record, or less than a full one, as far as known.
fn lost(lost: &Lost) -> String {
    let mut words = Vec::new();
    if let Some(dropped) = lost.dropped {
        let least = if lost.at_least { "at least " } else { "" };
        let source = match lost.watched_ns {
            Some(since) => format!("counted from {} s after the boot on", since / 1_000_000_000),
            None => "as the kernel's log tells".to_owned(),
        };
        words.push(format!("no handler began for {least}{dropped} ({source})"));
    }
    let counts = [
        (lost.begun, "handlers began"),
        (lost.suppressed, "suppressed"),
        (lost.unanalysed, "not analysed"),
        (lost.failed, "ended by an error"),
        (lost.handlers, "handlers lost"),
    ];
    words.extend(counts.into_iter().filter_map(|(count, what)| Some(format!("{} {what}", count?))));
    if words.is_empty() { String::new() } else { format!("crashes: {}\n", words.join(", ")) }
}

fn line(running: &Running) -> String {
    let place = running.image.as_deref().or(running.unit.as_deref()).unwrap_or("-").escape_debug();
    let exe = running.exe.as_deref().unwrap_or("?").escape_debug();
    let build = running.build_id.as_ref().map_or_else(|| "no build-id".to_owned(), |id| id.hex());
    format!("{:>6} × {place}  {exe}  {build}, {} threads", running.n, running.threads)
}

/// Who looked, as the kernel has it.
fn itself() -> String {
    let status = std::fs::File::open("/proc/self/status").ok();
    let status = status.and_then(|file| read_bounded(&file, 8192).ok()).unwrap_or_default();
    let status = String::from_utf8_lossy(&status);
    let wanted = ["Uid", "Gid", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs"];
    let told = status.lines().filter_map(|line| {
        let (key, value) = line.split_once(':')?;
        let value = value.split_ascii_whitespace().next()?;
        wanted.contains(&key).then(|| format!("{key} {value}"))
    });
    told.collect::<Vec<_>>().join(", ")
}
