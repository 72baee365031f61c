//! Everything about the machine that one record holds, in one call.

use nix::errno::Errno;

use super::edac::{Edac, edac};
use super::roots::Roots;
use super::thermal::thermal;
use super::topology::{Cores, Topology, topology};
use super::{Counter, cpu, mce};
use crate::gap::{Gap, Stage};

/// The machine under the crash; field for field what the record holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hardware {
    /// /proc/cpuinfo vendor_id (aarch64: CPU implementer, "0x41").
    pub vendor: Option<String>,
    /// /proc/cpuinfo model name.
    pub model_name: Option<String>,
    /// CPU family (aarch64: CPU architecture).
    pub family: Option<u32>,
    /// Model (aarch64: CPU part).
    pub model: Option<u32>,
    /// Stepping (aarch64: variant × 16 + revision).
    pub stepping: Option<u32>,
    /// Microcode revision.
    pub microcode: Option<u64>,
    /// Online logical CPUs.
    pub online: Option<u32>,
    /// Online physical cores.
    pub cores: Option<u32>,
    /// Where the crash CPU sits.
    pub topology: Option<Topology>,
    /// Rows MCE, MCP, THR, DFR of /proc/interrupts. MCP counts polls.
    pub interrupts: Vec<Counter>,
    /// EDAC counters: each controller, and DIMMs that counted something.
    pub edac: Vec<Edac>,
    /// HardwareCorrupted, KiB.
    pub corrupted_kib: Option<u64>,
    /// Taint flags; bit 4 = M, a machine check was seen.
    pub taint: Option<u64>,
    /// thermal_throttle counters.
    pub thermal: Vec<Counter>,
    /// The hypervisor bit of cpuinfo.
    pub hypervisor: bool,
}

/// Looks at the machine. `cpu` is the CPU of the crash, where it is known.
pub fn look(roots: &Roots, cpu: Option<u32>, cores: &mut Cores<'_>, gaps: &mut Vec<Gap>) -> Hardware {
    let mut hardware = Hardware {
        corrupted_kib: mce::corrupted_kib(roots),
        taint: mce::taint(roots),
        topology: cpu.and_then(|cpu| topology(roots, cpu)),
        ..Hardware::default()
    };
    let mut gap = |reason: &str| gaps.push(Gap::new(Stage::Hardware, reason));
    if cpu.is_some() && hardware.topology.is_none() {
        gap("topology of the crash CPU unknown");
    }
    match cpu::cpuinfo(roots, cpu) {
        Ok((info, found)) => {
            if !found {
                gap("cpuinfo without the crash CPU");
            }
            hardware.vendor = info.vendor;
            hardware.model_name = info.model_name;
            hardware.family = info.family;
            hardware.model = info.model;
            hardware.stepping = info.stepping;
            hardware.microcode = info.microcode;
            hardware.hypervisor = info.hypervisor;
        }
        Err(errno) => gap(&unreadable("cpuinfo", errno)),
    }
    match mce::interrupts(roots, cpu) {
        Ok((rows, limited)) => {
            if limited {
                gap("interrupts beyond their limit");
            }
            hardware.interrupts = rows;
        }
        Err(errno) => gap(&unreadable("interrupts", errno)),
    }
    hardware.count(roots, cpu, cores, gaps);
    hardware
}

impl Hardware {
    fn count(&mut self, roots: &Roots, cpu: Option<u32>, cores: &mut Cores<'_>, gaps: &mut Vec<Gap>) {
        let mut gap = |reason: &str, count: Option<u64>| {
            gaps.push(Gap { stage: Stage::Hardware, reason: reason.to_owned(), count });
        };
        match cores.online().cloned() {
            Some(online) => {
                self.online = u32::try_from(online.len()).ok();
                let (thermal, left_out) = thermal(roots, cpu, &online);
                self.thermal = thermal;
                if left_out > 0 {
                    gap("throttle counts not summed", u64::try_from(left_out).ok());
                }
            }
            None => gap("online CPUs unknown", None),
        }
        self.cores = cores.count();
        if self.cores.is_none() && self.online.is_some() {
            gap("physical cores not counted", None);
        }
        let (entries, limited) = edac(roots);
        self.edac = entries;
        if limited {
            gap("EDAC beyond its limit", None);
        }
    }
}

fn unreadable(name: &str, errno: Errno) -> String {
    format!("{name} unreadable ({errno:?})")
}
