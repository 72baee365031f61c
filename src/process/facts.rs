//! What /proc says of a process: [`Facts`], every field optional.

use super::cgroup::{self, Cgroup};
use super::directory::Directory;
use super::stat::Stat;
use super::status::Status;

/// Namespaces that tell a container from the host.
const NAMESPACES: [&str; 5] = ["mnt", "net", "pid", "user", "uts"];

/// sysconf(_SC_CLK_TCK) is 100 on every Linux (USER_HZ).
pub(super) const NS_PER_TICK: u64 = 10_000_000;

/// What a process says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// status.
    pub status: Status,
    /// comm of the crashing thread.
    pub thread_comm: Option<Vec<u8>>,
    /// The link of exe, as it stands.
    pub exe: Option<Vec<u8>>,
    /// cgroup.
    pub cgroup: Cgroup,
    /// Namespaces that are not ours: name, inode.
    pub namespaces: Vec<(String, u64)>,
    /// Start after boot, nanoseconds.
    pub start_ns: Option<u64>,
    /// CPU the crashing thread ran on last.
    pub cpu: Option<u32>,
    /// Soft limits, unlimited left out.
    pub limits: Vec<(String, u64)>,
}

/// Gathers the facts.
pub(super) fn gather(process: &Directory, proc_root: &Directory, status: &Status, stat: Stat) -> Facts {
    let comm = process.text("comm").map(|mut comm| {
        if comm.last() == Some(&b'\n') {
            comm.pop();
        }
        comm
    });
    Facts {
        status: status.clone(),
        thread_comm: comm,
        exe: process.link("exe"),
        cgroup: process.text("cgroup").map(|text| cgroup::parse(&text)).unwrap_or_default(),
        namespaces: namespaces(process, proc_root),
        start_ns: stat.start_ticks.and_then(|ticks| ticks.checked_mul(NS_PER_TICK)),
        cpu: stat.cpu,
        limits: process.text("limits").map(|text| limits(&text)).unwrap_or_default(),
    }
}

fn namespaces(process: &Directory, proc_root: &Directory) -> Vec<(String, u64)> {
    let different = |name: &&str| {
        let theirs = process.link(&format!("ns/{name}"))?;
        let ours = proc_root.link(&format!("self/ns/{name}"));
        (Some(&theirs) != ours.as_ref()).then_some(())?;
        // The link reads "mnt:[4026531841]".
        let text = std::str::from_utf8(&theirs).ok()?;
        let inode = text.split_once('[')?.1.strip_suffix(']')?.parse().ok()?;
        Some(((*name).to_owned(), inode))
    };
    NAMESPACES.iter().filter_map(different).collect()
}

/// Soft limits by the kernel's names (fs/proc/base.c), one a line: name, soft, hard,
/// unit. What has no number is unlimited, or not there.
fn limits(text: &[u8]) -> Vec<(String, u64)> {
    const NAMES: [(&str, &[u8]); 6] = [
        ("stack", b"Max stack size "),
        ("data", b"Max data size "),
        ("as", b"Max address space "),
        ("nproc", b"Max processes "),
        ("nofile", b"Max open files "),
        ("memlock", b"Max locked memory "),
    ];
    let soft = |(key, name): (&str, &[u8])| {
        let line = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(name))?;
        let number = std::str::from_utf8(line).ok()?.split_ascii_whitespace().next()?.parse().ok()?;
        Some((key.to_owned(), number))
    };
    NAMES.into_iter().filter_map(soft).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unlimited_is_absent_and_the_soft_limit_counts() {
        let names = [
            ("cpu time", "unlimited", "seconds"),
            ("file size", "unlimited", "bytes"),
            ("data size", "unlimited", "bytes"),
            ("stack size", "8388608", "bytes"),
            ("core file size", "0", "bytes"),
            ("resident set", "unlimited", "bytes"),
            ("processes", "unlimited", "processes"),
            ("open files", "unlimited", "files"),
            ("locked memory", "unlimited", "bytes"),
            ("address space", "unlimited", "bytes"),
            ("file locks", "unlimited", "locks"),
            ("pending signals", "unlimited", "signals"),
            ("msgqueue size", "unlimited", "bytes"),
            ("nice priority", "unlimited", ""),
            ("realtime priority", "unlimited", ""),
            ("realtime timeout", "unlimited", "us"),
        ];
        let mut text =
            String::from("Limit                     Soft Limit           Hard Limit           Units     \n");
        for (name, soft, unit) in names {
            text += &format!("{:<25} {soft:<20} {:<20} {unit:<10}\n", format!("Max {name}"), "unlimited");
        }
        assert_eq!(limits(text.as_bytes()), vec![("stack".to_owned(), 8_388_608)]);
    }

    /// A library for /proc counted words from the end of each line, and a line of two
    /// ended the handler (found by fuzzing: proc_texts/short-limit).
    #[test]
    fn a_line_of_limits_that_is_short_costs_only_itself() {
        let text = b"Limit\n\nMax\nMax open files\nMax stack size 1 2 bytes\n\xff\nMax processes 7";
        assert_eq!(limits(text), vec![("stack".to_owned(), 1), ("nproc".to_owned(), 7)]);
    }
}
