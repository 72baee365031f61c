//! The machine under a crash: which processor, where on it, and what it has
//! already complained about.
//!
//! What it gives: [`look`] (everything for one record), [`Cores`] (physical
//! cores, also of an affinity mask) and [`identity`]. What it needs: the two
//! directories of [`Roots`], opened early; all reading goes through them, so
//! it works without privileges and, where a sandbox allows the two trees, in
//! one. What it trusts: nothing; a hypervisor or a broken driver wrote these
//! files. Absent files are absent values. A gap is kept only for what every
//! Linux has.
//!
//! ```text
//! /proc/cpuinfo                       cpu        the crash CPU's block, not further
//! /proc/interrupts                    mce        rows MCE MCP THR DFR, streamed
//! /proc/stat                          cpu_time   how long each CPU has worked
//! /proc/meminfo  sys/kernel/tainted   mce        HardwareCorrupted, bit 4 = M
//! /proc/sys/kernel/random/boot_id     identity   with /etc/machine-id, uname(2)
//! /sys/devices/system/
//! ├─ cpu/online                       topology   offline CPUs are nowhere else
//! ├─ cpu/cpuN/topology/…              topology   core, package, siblings
//! ├─ cpu/cpuN/nodeN                   topology   NUMA node
//! ├─ cpu/cpuN/thermal_throttle/…      thermal    Intel only
//! ├─ cpu/cpuN/topology/ppin           serials    and class/dmi/id: hashed
//! └─ edac/mc/mcN/{dimmN,rankN,csrowN} edac       per controller and DIMM
//! ```
//!
//! Parsed by hand, not by procfs-core: its `CpuInfo` asserts that there is a
//! block, and keeps a hash map of each of 256 CPUs; its `Meminfo` refuses the
//! file when one of forty fields is missing; it knows neither interrupts'
//! columns nor sysfs. Costs, all after the release: 0.3 ms on 2 CPUs, 12 ms on
//! 256 with 1.1 MB of interrupts (a release build on a busy machine).
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )
)]

mod cpu;
mod cpu_set;
mod cpu_time;
mod edac;
mod identity;
mod machine;
mod mce;
mod roots;
mod serials;
mod stream;
mod thermal;
mod topology;
mod value;

pub use cpu_set::CpuSet;
pub use cpu_time::{CpuTime, cpu_times};
pub use edac::Edac;
pub use identity::{Identity, boot_id, identity, nodename};
pub use machine::{Hardware, look};
pub use roots::Roots;
pub use serials::{HOST_FILE, Hashed, Serials, serials};
pub use topology::{Allowed, Cores, Topology};

/// A counter: its name, its sum over the CPUs, its value on the crash CPU.
pub type Counter = (String, u64, Option<u64>);
