//! How long each online CPU has worked: rows cpuN of /proc/stat.
//!
//! Busy is user + nice + system + irq + softirq. Not idle and iowait, in which
//! nothing ran; not steal, in which the hypervisor ran somebody else on it;
//! guest is in user already. Jumps back after a CPU was offline, where its
//! kernel starts it at zero.

use nix::errno::Errno;

use super::roots::Roots;
use super::stream::Stream;
use super::value;
use crate::limits;

/// Milliseconds of one tick: USER_HZ is 100 on every Linux.
const MS_PER_TICK: u64 = 10;
/// Bytes of the rows that are read: 8192 CPUs of 100.
const STAT_BYTES: u64 = 1 << 20;

/// One online CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTime {
    /// Logical CPU.
    pub cpu: u32,
    /// physical_package_id × 65536 + core_id, where both are known.
    pub core: Option<u32>,
    /// Milliseconds since boot.
    pub busy_ms: u64,
}

/// All online CPUs, in order; limits::CPUS at most.
pub fn cpu_times(roots: &Roots) -> Result<Vec<CpuTime>, Errno> {
    let mut stream = Stream::new(roots.proc_file("stat")?, STAT_BYTES);
    let mut times = Vec::new();
    loop {
        let name = stream.word();
        let Some(name) = name.as_ref().and_then(|word| word.as_slice().strip_prefix(b"cpu")) else { break };
        if let Some(cpu) = value::number(name) {
            times.push(CpuTime { cpu, core: None, busy_ms: busy(&mut stream) });
        }
        if !stream.next_line() || times.len() >= limits::CPUS {
            break;
        }
    }
    for time in times.iter_mut().take(limits::CORES_READ) {
        time.core = core(roots, time.cpu);
    }
    Ok(times)
}

/// user nice system idle iowait irq softirq steal guest guest_nice
fn busy(stream: &mut Stream) -> u64 {
    let mut sum = 0u64;
    for field in 0..7 {
        let ticks = stream.word().and_then(|word| value::decimal(word.as_slice())).unwrap_or(0);
        if field != 3 && field != 4 {
            sum = sum.saturating_add(ticks);
        }
    }
    sum.saturating_mul(MS_PER_TICK)
}

fn core(roots: &Roots, cpu: u32) -> Option<u32> {
    let file = |name: &str| {
        value::number(&roots.sys_text(&format!("devices/system/cpu/cpu{cpu}/topology/{name}")).ok()?)
    };
    file("physical_package_id")?.checked_mul(1 << 16)?.checked_add(file("core_id")?)
}
