//! What a process cost, as the kernel counts it.

use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// A process that was started here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meter(pub(crate) u32);

impl Meter {
    fn file(self, name: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{name}", self.0)).unwrap_or_default()
    }

    /// User and system time of all its threads, living and dead: hundredths of
    /// a second.
    pub(crate) fn cpu(self) -> Duration {
        let stat = self.file("stat");
        // comm may hold anything but a second closing bracket.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        Duration::from_millis((ticks(11) + ticks(12)) * 10)
    }

    fn status(self, key: &str) -> f64 {
        let status = self.file("status");
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        line.and_then(|text| text.split_whitespace().next()?.parse().ok()).unwrap_or(f64::NAN)
    }

    /// Most resident memory so far, MiB.
    pub(crate) fn peak_mib(self) -> f64 {
        self.status("VmHWM") / 1024.0
    }

    /// Resident memory, MiB, and the part of it that no file stands behind.
    pub(crate) fn resident_mib(self) -> (f64, f64) {
        (self.status("VmRSS") / 1024.0, self.status("RssAnon") / 1024.0)
    }

    /// Times that one of its threads was put on a CPU after it had waited:
    /// voluntary and involuntary switches, all threads.
    pub(crate) fn switches(self) -> u64 {
        let Ok(tasks) = std::fs::read_dir(format!("/proc/{}/task", self.0)) else { return 0 };
        let of = |task: std::fs::DirEntry| {
            let status = std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
            let number = |line: &str| line.split_whitespace().nth(1)?.parse::<u64>().ok();
            status.lines().filter(|line| line.contains("ctxt_switches")).filter_map(number).sum::<u64>()
        };
        tasks.flatten().map(of).sum()
    }
}

/// CPU time of this process.
pub(crate) fn own_cpu() -> Duration {
    usage(UsageWho::RUSAGE_SELF)
}

/// CPU time of children that were waited for.
pub(crate) fn reaped_cpu() -> Duration {
    usage(UsageWho::RUSAGE_CHILDREN)
}

fn usage(who: UsageWho) -> Duration {
    let usage = getrusage(who).expect("getrusage");
    let micros = (usage.user_time() + usage.system_time()).num_microseconds();
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// Milliseconds, with their fraction.
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
