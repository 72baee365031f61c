//! /proc/TID/mountinfo → on what a file lies, without touching the file
//! (proc_pid_mountinfo(5)).
//!
//! ```text
//! 36 35 98:0 /root /mount/point options … - type source options
//! ```
//! A file system that asks somebody else (a server, a user's program) may never
//! answer, and asking it for an attribute is asking. A path lies on the mount with
//! the longest point that it begins with; of several at one point any counts. The
//! kernel writes blanks, newlines and backslashes of a point as `\040`, `\012`,
//! `\134`. A mount that was detached is not
//! listed: by path its files count as local, by the number of the mount they do not.

use std::collections::HashMap;

use nix::sys::stat::makedev;

use crate::limits;

/// Types whose files may wait for somebody else.
const REMOTE: [&str; 17] = [
    "9p", "afs", "autofs", "beegfs", "ceph", "cifs", "coda", "fuse", "fuseblk", "gpfs", "lustre", "nfs",
    "nfs4", "orangefs", "smb3", "virtiofs", "vboxsf",
];

/// Of a table that was cut nothing is believed.
const CUT: &str = "an unknown file system";

/// Mount points of file systems that ask somebody else, and those inside them.
#[derive(Clone, Debug, Default)]
pub struct Mounts {
    /// Point, and the type where it is remote.
    points: HashMap<Vec<u8>, Option<&'static str>>,
    /// Numbers of the mounts, ascending, and which of them are local.
    numbers: Vec<(u64, bool)>,
    /// Devices of the mounts, ascending, and which of them are local.
    devices: Vec<(u64, bool)>,
    is_cut: bool,
}

impl Mounts {
    /// Reads the text. Where it has no remote mount no point is kept.
    pub(super) fn parse(text: &[u8]) -> Mounts {
        let mut lines = text.split(|byte| *byte == b'\n');
        let mut points: HashMap<Vec<u8>, Option<&'static str>> = HashMap::new();
        let (mut numbers, mut devices) = (Vec::new(), Vec::new());
        for (number, device, point, remote) in lines.by_ref().take(limits::MOUNTS).filter_map(line) {
            // What lies below a mount at the same point may still be mapped.
            let known = points.entry(point).or_insert(None);
            *known = known.or(remote);
            numbers.extend(number.map(|number| (number, remote.is_none())));
            devices.extend(device.map(|device| (device, remote.is_none())));
        }
        numbers.sort_unstable();
        devices.sort_unstable();
        let is_cut = text.len() >= limits::MOUNTS_BYTES || lines.next().is_some();
        if !is_cut && points.values().all(Option::is_none) {
            points.clear();
        }
        Mounts { points, numbers, devices, is_cut }
    }

    /// Whether the mount of this number is one that answers by itself; `None` when it is not
    /// listed.
    pub(super) fn is_local(&self, number: u64) -> Option<bool> {
        first_of(&self.numbers, number)
    }

    /// Whether a local file system that is listed has this device, and no remote one.
    pub(super) fn has_local_device(&self, device: u64) -> bool {
        first_of(&self.devices, device) == Some(true)
    }

    /// The type of the file system that the path is on, when it is one that asks
    /// somebody else.
    pub fn remote(&self, path: &[u8]) -> Option<&'static str> {
        if !path.starts_with(b"/") {
            return None;
        }
        if self.is_cut {
            return Some(CUT);
        }
        // The path, and what is above it, the longest first.
        let mut point = path;
        loop {
            if let Some(remote) = self.points.get(point) {
                return *remote;
            }
            let above = point.iter().rposition(|byte| *byte == b'/')?;
            point = match point.get(..above).unwrap_or(&[]) {
                [] if point != b"/" => b"/",
                [] => return None,
                above => above,
            };
        }
    }
}

/// What is said of a number; of several words, the worse.
fn first_of(sorted: &[(u64, bool)], number: u64) -> Option<bool> {
    let first = sorted.partition_point(|(known, _)| *known < number);
    sorted.get(first).filter(|(known, _)| *known == number).map(|(_, local)| *local)
}

/// Number, device, point, and the type where it is remote.
type Line = (Option<u64>, Option<u64>, Vec<u8>, Option<&'static str>);

fn line(line: &[u8]) -> Option<Line> {
    let mut words = line.split(|byte| *byte == b' ');
    let number = std::str::from_utf8(words.next()?).ok().and_then(|word| word.parse().ok());
    let device = words.nth(1).and_then(|word| std::str::from_utf8(word).ok()).and_then(|word| {
        let (major, minor) = word.split_once(':')?;
        Some(makedev(major.parse().ok()?, minor.parse().ok()?))
    });
    let point = unescape(words.nth(1)?);
    let kind = words.skip_while(|word| *word != b"-").nth(1)?;
    // A user chooses what stands behind the dot.
    let kind = if kind.starts_with(b"fuse.") { &b"fuse"[..] } else { kind };
    let remote = REMOTE.iter().find(|remote| remote.as_bytes() == kind).copied();
    Some((number, device, point, remote))
}

/// `\ooo` → the byte; anything else stays.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        let octal = |digits: &[u8]| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 8).ok()
        };
        match behind.get(..3).and_then(octal).filter(|_| *first == b'\\') {
            Some(byte) => {
                plain.push(byte);
                rest = behind.get(3..).unwrap_or(&[]);
            }
            None => {
                plain.push(*first);
                rest = behind;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
30 22 0:50 / /srv/a\\040b rw - fuse.sshfs host:/ rw
31 30 0:51 / /srv/a\\040b/local rw - tmpfs tmpfs rw
32 22 0:52 / /home rw - nfs4 server:/home rw
33 22 0:53 / /home rw - ext4 /dev/vdb rw
damaged
34 22 0:54 / /opt rw - nfs";

    #[test]
    fn a_path_is_on_the_longest_mount_that_it_begins_with_and_what_is_hidden_there_counts() {
        let mounts = Mounts::parse(TEXT);
        assert_eq!(mounts.remote(b"/srv/a b/lib/x.so"), Some("fuse"));
        assert_eq!(mounts.remote(b"/srv/a b"), Some("fuse"));
        for local in [&b"/srv/a b/local/x.so"[..], b"/srv/a bc/x.so", b"/usr/lib/x.so", b"", b"x"] {
            assert_eq!(mounts.remote(local), None, "{}", String::from_utf8_lossy(local));
        }
        assert_eq!(mounts.remote(b"/opt/x"), Some("nfs"), "a cut line says enough");
        assert_eq!(mounts.remote(b"/home/me/x"), Some("nfs4"), "it may be mapped from below the other");
        let many = "1 0 0:1 / /a rw - ext4 x rw\n".repeat(limits::MOUNTS + 1);
        assert_eq!(Mounts::parse(many.as_bytes()).remote(b"/x"), Some(CUT));
    }

    #[test]
    fn a_mount_is_known_by_its_number_whether_or_not_others_are_remote() {
        let mounts = Mounts::parse(TEXT);
        let local = [22, 30, 31, 34, 35].map(|number| mounts.is_local(number));
        assert_eq!(local, [Some(true), Some(false), Some(true), Some(false), None]);
        let local = [(254, 1), (0, 50), (0, 99)].map(|(a, b)| mounts.has_local_device(makedev(a, b)));
        assert_eq!(local, [true, false, false]);
        assert_eq!(Mounts::parse(b"7 1 0:1 / / rw - ext4 x rw\n").is_local(7), Some(true));
    }

    #[test]
    fn a_root_over_the_network_makes_everything_remote_but_what_is_mounted_on_it() {
        let mounts = Mounts::parse(b"1 0 0:20 / / rw - nfs s:/ rw\n2 1 0:21 / /tmp rw - tmpfs t rw\n");
        assert_eq!((mounts.remote(b"/usr/bin/x"), mounts.remote(b"/tmp/x")), (Some("nfs"), None));
    }

    #[test]
    fn nothing_in_it_makes_it_fail() {
        for odd in [
            &b""[..],
            b"\n\n",
            b"- - - - - - -",
            b"1 2 3 4 \\04 - fuse",
            b"1 2 3 4 \\999 - fuse",
            b"1 2 3 4 \\",
        ] {
            let _ = Mounts::parse(odd).remote(b"/x");
        }
    }
}
