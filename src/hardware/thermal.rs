//! How often cores and packages were throttled for heat (Intel).
//!
//! A processor without the feature costs one failed open. With it, the crash
//! CPU first and then the others are summed, limits::THERMAL_CPUS at most;
//! how many were not is told. Each logical CPU counts the events of its core
//! and of its package by itself, so sums are for comparing a host with its
//! own past, not for counting events.

use super::Counter;
use super::cpu_set::CpuSet;
use super::roots::Roots;
use crate::limits;

const COUNTERS: [&str; 2] = ["core_throttle_count", "package_throttle_count"];

/// The counters, and how many CPUs are not in their sums.
pub(super) fn thermal(roots: &Roots, cpu: Option<u32>, online: &CpuSet) -> (Vec<Counter>, usize) {
    let Some(first) = cpu.filter(|cpu| online.contains(*cpu)).or_else(|| online.iter().next()) else {
        return (Vec::new(), 0);
    };
    let mut counters = Vec::new();
    for name in COUNTERS {
        let read =
            |cpu: u32| roots.sys_number(&format!("devices/system/cpu/cpu{cpu}/thermal_throttle/{name}"));
        let Some(own) = read(first) else { continue };
        let others = online.iter().filter(|other| *other != first);
        let total = others
            .take(limits::THERMAL_CPUS.saturating_sub(1))
            .filter_map(read)
            .fold(own, u64::saturating_add);
        counters.push((name.to_owned(), total, cpu.filter(|cpu| *cpu == first).map(|_| own)));
    }
    let left_out = if counters.is_empty() { 0 } else { online.len().saturating_sub(limits::THERMAL_CPUS) };
    (counters, left_out)
}
