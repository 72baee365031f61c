//! The process: who it was, whose it was, how old and how large.
//!
//! Each function gives (label, text) pairs; what the record lacks is left out.

use super::amount;
use super::escape::clean;
use crate::record::Record;

/// A label and its text.
pub type Fact = (&'static str, String);

/// Facts of the process; with `full` also namespaces, limits and affinity.
pub fn process(record: &Record, full: bool) -> Vec<Fact> {
    let mut out = Vec::new();
    out.extend(program(record));
    out.extend(ids(record));
    out.extend(place(record, full));
    out.extend(size(record));
    if full {
        out.extend(restrictions(record));
    }
    out
}

fn program(record: &Record) -> Vec<Fact> {
    let process = &record.process;
    let mut out = Vec::new();
    let gone = if process.gone { " (deleted or replaced on disk)" } else { "" };
    if let Some(exe) = &process.exe {
        out.push(("program", format!("{}{gone}", clean(exe))));
    }
    let comm = process.comm.as_deref();
    let thread = process.thread_comm.as_deref().filter(|name| Some(*name) != comm);
    match (comm, thread) {
        (Some(comm), Some(thread)) => {
            out.push(("name", format!("\"{}\", thread \"{}\"", clean(comm), clean(thread))));
        }
        (Some(comm), None) => out.push(("name", format!("\"{}\"", clean(comm)))),
        (None, Some(thread)) => out.push(("name", format!("thread \"{}\"", clean(thread)))),
        (None, None) => {}
    }
    out
}

fn ids(record: &Record) -> Option<Fact> {
    let (crash, process) = (&record.crash, &record.process);
    let mut parts = Vec::new();
    parts.extend(crash.pid.map(|n| format!("pid {n}")));
    parts.extend(crash.tid.filter(|t| Some(*t) != crash.pid).map(|n| format!("thread {n}")));
    parts.extend(process.nspid.map(|n| format!("pid {n} in its namespace")));
    parts.extend(process.ppid.map(|n| format!("parent {n}")));
    parts.extend(crash.uid.map(|n| format!("uid {n}")));
    parts.extend(process.euid.filter(|e| Some(*e) != crash.uid).map(|n| format!("effective uid {n}")));
    parts.extend(crash.gid.map(|n| format!("gid {n}")));
    if record.private {
        parts.push("privileged: only root reads this record".to_owned());
    }
    (!parts.is_empty()).then(|| ("ids", parts.join(", ")))
}

fn place(record: &Record, full: bool) -> Vec<Fact> {
    let process = &record.process;
    let mut out = Vec::new();
    out.extend(process.unit.as_deref().map(|u| ("unit", clean(u))));
    let container = process.container.as_deref();
    out.extend(
        container
            .map(|c| ("container", clean(&c.chars().take(if full { 64 } else { 12 }).collect::<String>()))),
    );
    if full || process.unit.is_none() {
        out.extend(process.cgroup.as_deref().map(|c| ("cgroup", clean(c))));
    }
    out
}

fn size(record: &Record) -> Option<Fact> {
    let process = &record.process;
    let mut parts = Vec::new();
    parts.extend(process.age_ns.map(|ns| format!("lived {}", amount::duration_ns(ns))));
    let kib = |value: u64| amount::bytes(value.saturating_mul(1024));
    match (process.rss_kib, process.vsize_kib) {
        (Some(rss), Some(size)) => parts.push(format!("{} resident of {}", kib(rss), kib(size))),
        (Some(rss), None) => parts.push(format!("{} resident", kib(rss))),
        (None, Some(size)) => parts.push(format!("{} of address space", kib(size))),
        (None, None) => {}
    }
    parts.extend(process.threads.map(|n| amount::of(u64::from(n), "thread")));
    parts.extend(process.allowed_cores.filter(|n| *n == 1).map(|_| "pinned to one core".to_owned()));
    (!parts.is_empty()).then(|| ("size", parts.join(", ")))
}

fn restrictions(record: &Record) -> Vec<Fact> {
    let (process, crash) = (&record.process, &record.crash);
    let mut out = Vec::new();
    let spaces: Vec<String> =
        process.namespaces.iter().map(|(name, inode)| format!("{} {inode}", clean(name))).collect();
    if !spaces.is_empty() {
        out.push(("namespaces", format!("own: {}", spaces.join(", "))));
    }
    let mut limits: Vec<String> = process.limits.iter().map(|(name, value)| limit(name, *value)).collect();
    limits.extend(crash.core_limit.filter(|l| *l < u64::MAX >> 1).map(|l| limit("core", l)));
    if !limits.is_empty() {
        out.push(("limits", limits.join(", ")));
    }
    out.extend(process.allowed_cores.map(|n| ("may run on", amount::of(u64::from(n), "core"))));
    out.extend(crash.dump.map(|d| ("dump mode", dump_mode(d))));
    out.extend(process.build_id.as_ref().map(|b| ("build-id", b.hex())));
    out
}

fn limit(name: &str, value: u64) -> String {
    match name {
        "nofile" | "nproc" => format!("{} {}", clean(name), amount::count(value)),
        _ => format!("{} {}", clean(name), amount::bytes(value)),
    }
}

fn dump_mode(mode: u32) -> String {
    match mode {
        0 => "0 (not dumpable)".to_owned(),
        1 => "1 (normal)".to_owned(),
        2 => "2 (readable by root only)".to_owned(),
        n => n.to_string(),
    }
}
