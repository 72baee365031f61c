//! What the machine has reported about itself: interrupts, lost memory, taint.
//!
//! MCE: machine check exceptions. MCP: polls, not errors; it rises on a
//! healthy host, and is kept to show that somebody polls. THR: threshold
//! interrupts (corrected errors). DFR: deferred errors (AMD). Columns of
//! /proc/interrupts are the online CPUs, named by the header.

use nix::errno::Errno;

use super::Counter;
use super::roots::Roots;
use super::stream::{Stream, Word};
use super::value;
use crate::limits;

const ROWS: [&str; 4] = ["MCE", "MCP", "THR", "DFR"];

/// The rows of /proc/interrupts that tell of errors; the flag: it was longer
/// than its limit.
pub(super) fn interrupts(roots: &Roots, cpu: Option<u32>) -> Result<(Vec<Counter>, bool), Errno> {
    let mut stream = Stream::new(roots.proc_file("interrupts")?, limits::INTERRUPTS_BYTES);
    let wanted = cpu.map(|cpu| format!("CPU{cpu}"));
    let (mut columns, mut column) = (0usize, None);
    while let Some(word) = stream.word() {
        if wanted.as_ref().is_some_and(|wanted| wanted.as_bytes() == word.as_slice()) {
            column = Some(columns);
        }
        columns = columns.saturating_add(1);
    }
    let columns = columns.min(limits::CPUS);
    let mut rows: Vec<Counter> = Vec::new();
    while stream.next_line() && rows.len() < ROWS.len() {
        let Some(name) = stream.word().as_ref().and_then(row) else { continue };
        if rows.iter().all(|(known, ..)| known != name) {
            rows.extend(sum(&mut stream, name, columns, column));
        }
    }
    Ok((rows, stream.is_limited()))
}

fn row(word: &Word) -> Option<&'static str> {
    let name = word.as_slice().strip_suffix(b":")?;
    ROWS.into_iter().find(|row| row.as_bytes() == name)
}

/// A row without a number is no row.
fn sum(stream: &mut Stream, name: &str, columns: usize, column: Option<usize>) -> Option<Counter> {
    let (mut total, mut own) = (None, None);
    for index in 0..columns {
        let Some(count) = stream.word().and_then(|word| value::decimal(word.as_slice())) else { break };
        total = Some(count.saturating_add(total.unwrap_or(0)));
        if column == Some(index) {
            own = Some(count);
        }
    }
    Some((name.to_owned(), total?, own))
}

/// HardwareCorrupted of /proc/meminfo: KiB of pages taken out of use.
pub(super) fn corrupted_kib(roots: &Roots) -> Option<u64> {
    let text = roots.proc_text("meminfo").ok()?;
    let line = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"HardwareCorrupted:"))?;
    value::decimal(line.trim_ascii().strip_suffix(b"kB")?)
}

/// /proc/sys/kernel/tainted: bit 4 (M) means that a machine check was seen.
pub(super) fn taint(roots: &Roots) -> Option<u64> {
    value::decimal(&roots.proc_text("sys/kernel/tainted").ok()?)
}
