//! The machine under the crash: which CPU, and whether hardware complained.

use super::amount;
use super::escape::clean;
use super::facts::Fact;
use crate::record::{Hardware, Record};

/// Names of /proc/sys/kernel/tainted bits that say something about hardware
/// or about the kernel's own health: (bit, letter, meaning).
const TAINTS: &[(u32, char, &str)] = &[
    (0, 'P', "proprietary module"),
    (2, 'S', "kernel running on an out of specification system"),
    (4, 'M', "machine check exception"),
    (5, 'B', "bad page"),
    (7, 'D', "kernel died recently (oops)"),
    (9, 'W', "kernel warning"),
    (11, 'I', "firmware workaround"),
    (12, 'O', "out-of-tree module"),
    (13, 'E', "unsigned module"),
    (14, 'L', "soft lockup"),
    (15, 'K', "live patched"),
];

/// Facts of the machine; without `full` only what fits two or three lines.
pub fn facts(record: &Record, full: bool) -> Vec<Fact> {
    let hardware = &record.hardware;
    let mut out = Vec::new();
    out.extend(host(record, full));
    out.extend(cpu(hardware, full));
    out.extend(crash_cpu(record));
    out.extend(errors(hardware, full));
    out
}

fn host(record: &Record, full: bool) -> Option<Fact> {
    let host = &record.host;
    let mut parts = Vec::new();
    parts.extend(host.name.as_deref().map(clean));
    parts.extend(host.kernel.as_deref().map(|k| format!("Linux {}", clean(k))));
    parts.extend(host.arch.as_deref().map(clean));
    parts.extend(record.hardware.hypervisor.then(|| "virtual machine".to_owned()));
    if full {
        parts.extend(host.boot.as_ref().map(|b| format!("boot {}", b.hex())));
        parts.extend(host.mid.as_ref().map(|m| format!("machine {}", m.hex())));
    }
    (!parts.is_empty()).then(|| ("host", parts.join(", ")))
}

fn cpu(hardware: &Hardware, full: bool) -> Option<Fact> {
    let mut parts = Vec::new();
    parts.extend(hardware.model_name.as_deref().map(clean));
    if full {
        parts.extend(hardware.vendor.as_deref().map(clean));
        parts.extend(hardware.family.map(|n| format!("family {n}")));
        parts.extend(hardware.model.map(|n| format!("model {n}")));
        parts.extend(hardware.stepping.map(|n| format!("stepping {n}")));
    }
    parts.extend(hardware.microcode.map(|m| format!("microcode {:#x}", m.0)));
    parts.extend(hardware.online.map(|n| amount::of(u64::from(n), "CPU")));
    parts.extend(hardware.cores.map(|n| amount::of(u64::from(n), "core")));
    (!parts.is_empty()).then(|| ("processor", parts.join(", ")))
}

fn crash_cpu(record: &Record) -> Option<Fact> {
    let cpu = record.crash.cpu?;
    let mut parts = vec![format!("CPU {cpu}")];
    if let Some(topology) = &record.hardware.topology {
        parts.extend(topology.core.map(|n| format!("core {n}")));
        parts.extend(topology.package.map(|n| format!("package {n}")));
        parts.extend(topology.node.map(|n| format!("NUMA node {n}")));
        let others: Vec<String> =
            topology.siblings.iter().filter(|s| **s != cpu).take(8).map(u32::to_string).collect();
        if !others.is_empty() {
            parts.push(format!("shares the core with CPU {}", others.join(", ")));
        }
    }
    Some(("crashed on", parts.join(", ")))
}

/// Evidence first; counters that are zero are one phrase, or all in `full`.
fn errors(hardware: &Hardware, full: bool) -> Vec<Fact> {
    let mut parts = Vec::new();
    for (name, total, here) in &hardware.interrupts {
        if full || (*total > 0 && name != "MCP") {
            parts.push(counted(name, *total, *here));
        }
    }
    for edac in &hardware.edac {
        let (ce, ue) = (edac.ce.unwrap_or(0), edac.ue.unwrap_or(0));
        if full || ce > 0 || ue > 0 {
            let label = edac.label.as_deref().map_or(String::new(), |l| format!(" ({})", clean(l)));
            parts.push(format!("EDAC {}{label} {ce} corrected, {ue} uncorrected", clean(&edac.at)));
        }
    }
    for (name, total, here) in &hardware.thermal {
        if full || *total > 0 {
            parts.push(counted(name, *total, *here));
        }
    }
    let corrupted = hardware.corrupted_kib.filter(|kib| full || *kib > 0);
    parts.extend(corrupted.map(|kib| format!("HardwareCorrupted {kib} KiB")));
    let mut out = Vec::new();
    let asked =
        !hardware.interrupts.is_empty() || !hardware.edac.is_empty() || hardware.corrupted_kib.is_some();
    match (parts.is_empty(), asked, hardware.hypervisor) {
        (true, true, false) => {
            out.push(("hardware", "no machine checks, memory errors or throttling seen".to_owned()))
        }
        (true, true, true) => {
            out.push(("hardware", "nothing seen, but a guest does not see its host's errors".to_owned()))
        }
        (true, false, _) => {}
        (false, ..) => out.push(("hardware", parts.join(", "))),
    }
    out.extend(hardware.taint.filter(|t| t.0 != 0).map(|t| ("taint", taint(t.0))));
    out
}

fn counted(name: &str, total: u64, here: Option<u64>) -> String {
    let here = here.map_or(String::new(), |n| format!(" ({} on the crash CPU)", amount::count(n)));
    let polls = if name == "MCP" { " polls" } else { "" };
    format!("{} {}{polls}{here}", clean(name), amount::count(total))
}

fn taint(mask: u64) -> String {
    let known = TAINTS.iter().filter(|(bit, ..)| mask >> bit & 1 == 1);
    let words: Vec<String> = known.map(|(_, letter, why)| format!("{letter} {why}")).collect();
    if words.is_empty() { format!("{mask:#x}") } else { format!("{mask:#x}: {}", words.join(", ")) }
}
