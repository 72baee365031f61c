//! What /proc says of a process: [`Facts`], every field optional.

use procfs_core::FromBufRead;
use procfs_core::process::LimitValue;

use super::cgroup::{self, Cgroup};
use super::directory::Directory;
use super::stat::Stat;
use super::status::Status;

/// Words that each line of limits has at least: the kernel's have five and more.
const WORDS: usize = 4;
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

/// By procfs: numbers that the kernel wrote, nothing that the process chose. It counts
/// words from the end of each line, and a shorter one than the kernel writes (a tree
/// that somebody else put there) would end us: such a text is not handed over.
fn limits(text: &[u8]) -> Vec<(String, u64)> {
    let is_whole = |line: &str| line.starts_with("Limit") || line.split_whitespace().count() >= WORDS;
    if !std::str::from_utf8(text).is_ok_and(|text| text.lines().all(is_whole)) {
        return Vec::new();
    }
    let Ok(all) = procfs_core::process::Limits::from_buf_read(text) else { return Vec::new() };
    let told = [
        ("stack", all.max_stack_size),
        ("data", all.max_data_size),
        ("as", all.max_address_space),
        ("nproc", all.max_processes),
        ("nofile", all.max_open_files),
        ("memlock", all.max_locked_memory),
    ];
    let soft = |(key, limit): (&str, procfs_core::process::Limit)| match limit.soft_limit {
        LimitValue::Value(value) => Some((key.to_owned(), value)),
        LimitValue::Unlimited => None,
    };
    told.into_iter().filter_map(soft).collect()
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

    /// procfs counts words from the end of each line, and a line of two ended the
    /// handler (found by fuzzing: proc_texts/short-limit).
    #[test]
    fn limits_that_are_not_as_the_kernel_writes_them_are_none_and_no_panic() {
        for text in [
            &b"Limit\n\n"[..],
            b"Max\nMax open files\n",
            b"Max stack size 1\n",
            b"\xff\n",
            b"Limit\nMax a 1 2",
        ] {
            assert_eq!(limits(text), Vec::new());
        }
    }
}
