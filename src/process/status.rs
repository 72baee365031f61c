//! /proc/TID/status, by exact keys (proc_pid_status(5)). The kernel escapes
//! newlines in Name, so a line is a line.

/// What is used of status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Tgid.
    pub tgid: Option<u32>,
    /// PPid.
    pub ppid: Option<u32>,
    /// Uid: real, effective.
    pub uid: Option<(u32, u32)>,
    /// Real, effective, saved and file system ids are not all the same, of
    /// users or of groups.
    pub ids_differ: bool,
    /// Last entry of NStgid: the pid in the innermost namespace.
    pub namespace_pid: Option<u32>,
    /// VmSize, KiB.
    pub vsize_kib: Option<u64>,
    /// VmRSS, KiB.
    pub rss_kib: Option<u64>,
    /// Threads.
    pub threads: Option<u32>,
    /// CoreDumping.
    pub core_dumping: bool,
    /// Cpus_allowed, as written.
    pub cpus_allowed: Option<String>,
}

/// Parses status.
pub(super) fn parse(text: &[u8]) -> Status {
    let mut status = Status::default();
    for line in text.split(|byte| *byte == b'\n') {
        let Some((key, value)) = split_key(line) else { continue };
        let mut words = value.split_ascii_whitespace();
        match key {
            b"Tgid" => status.tgid = number(words.next()),
            b"PPid" => status.ppid = number(words.next()),
            b"Uid" => {
                status.ids_differ |= differ(value);
                status.uid = number(words.next()).zip(number(words.next()));
            }
            b"Gid" => status.ids_differ |= differ(value),
            b"NStgid" => status.namespace_pid = number(words.last()),
            b"VmSize" => status.vsize_kib = number(words.next()),
            b"VmRSS" => status.rss_kib = number(words.next()),
            b"Threads" => status.threads = number(words.next()),
            b"CoreDumping" => status.core_dumping = words.next() == Some("1"),
            b"Cpus_allowed" => status.cpus_allowed = words.next().map(str::to_owned),
            _ => {}
        }
    }
    status
}

fn split_key(line: &[u8]) -> Option<(&[u8], &str)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (key, rest) = line.split_at_checked(colon)?;
    Some((key, std::str::from_utf8(rest.get(1..)?).ok()?))
}

fn differ(ids: &str) -> bool {
    let mut words = ids.split_ascii_whitespace();
    let first = words.next();
    words.any(|word| Some(word) != first)
}

fn number<T: std::str::FromStr>(word: Option<&str>) -> Option<T> {
    word?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_looks_like_a_key_changes_nothing() {
        let text = b"Name:\tx\\nTgid:\t1\nUmask:\t0022\nTgid:\t42\nUid:\t1000\t0\t1\t2\nCoreDumping:\t1\nNStgid:\t42\t7\n";
        let status = parse(text);
        assert_eq!(status.tgid, Some(42));
        assert_eq!(status.uid, Some((1000, 0)));
        assert!(status.ids_differ);
        assert!(!parse(b"Uid:\t5\t5\t5\t5\nGid:\t6\t6\t6\t6\n").ids_differ);
        assert!(parse(b"Gid:\t6\t6\t0\t6\n").ids_differ);
        assert_eq!(status.namespace_pid, Some(7));
        assert!(status.core_dumping);
    }

    #[test]
    fn bytes_that_are_not_text_are_skipped_line_by_line() {
        assert_eq!(parse(b"Name:\t\xff\xfe\nTgid:\t9\n").tgid, Some(9));
        assert_eq!(parse(b"\x00:::\n:\n"), Status::default());
    }
}
