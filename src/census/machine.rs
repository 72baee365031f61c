//! The machine, its counters and its CPUs' time, in the report's words.

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use crate::capture::of_hardware;
use crate::gap::{Gap, Stage};
use crate::hardware::{self, Cores, Roots};
use crate::record::{CpuTime, Hardware};

/// The machine, without a crash CPU.
pub(super) fn hardware(roots: &Roots, gaps: &mut Vec<Gap>) -> Hardware {
    of_hardware(hardware::look(roots, None, &mut Cores::new(roots), gaps))
}

/// Time of the online CPUs. Cores are told for all or for none.
pub(super) fn cpus(roots: &Roots, gaps: &mut Vec<Gap>) -> CpuTime {
    let times = match hardware::cpu_times(roots) {
        Ok(times) => times,
        Err(errno) => {
            gaps.push(Gap::new(Stage::Hardware, format!("CPU times unreadable ({errno:?})")));
            return CpuTime::default();
        }
    };
    let core: Option<Vec<u32>> = times.iter().map(|time| time.core).collect();
    if core.is_none() {
        gaps.push(Gap::new(Stage::Hardware, "physical cores of CPUs unknown"));
    }
    CpuTime {
        cpu: times.iter().map(|time| time.cpu).collect(),
        core: core.unwrap_or_default(),
        busy_ms: times.iter().map(|time| time.busy_ms).collect(),
    }
}

/// CPU time of this process so far, microseconds.
pub(super) fn cpu_us() -> u64 {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return 0 };
    let spent = usage.user_time().num_microseconds().saturating_add(usage.system_time().num_microseconds());
    u64::try_from(spent).unwrap_or(0)
}
