//! /proc/TID/mountinfo → on what a file lies, without touching the file
//! (proc_pid_mountinfo(5)).
//!
//! ```text
//! 36 35 98:0 /root /mount/point options … - type source options
//! ```
//! A file system that asks somebody else (a server, a user's program) may never
//! answer, and asking it for an attribute is asking. A path lies on the mount with
//! the longest point that it begins with; of two at one point on the later. The
//! kernel writes blanks, newlines and backslashes of a point as `\040`, `\012`,
//! `\134`. A mount that was detached is not listed: its files count as local.

use crate::limits;

/// Types whose files may wait for somebody else.
const REMOTE: [&[u8]; 17] = [
    b"9p",
    b"afs",
    b"autofs",
    b"beegfs",
    b"ceph",
    b"cifs",
    b"coda",
    b"fuse",
    b"fuseblk",
    b"gpfs",
    b"lustre",
    b"nfs",
    b"nfs4",
    b"orangefs",
    b"smb3",
    b"virtiofs",
    b"vboxsf",
];

/// Mount points of file systems that ask somebody else, and those inside them.
#[derive(Clone, Debug, Default)]
pub struct Mounts {
    /// Point, and the type where it is remote; the later first.
    points: Vec<(Vec<u8>, Option<String>)>,
}

impl Mounts {
    /// Reads the text. Where it has no remote mount nothing is kept.
    pub(super) fn parse(text: &[u8]) -> Mounts {
        let lines = text.split(|byte| *byte == b'\n').take(limits::MOUNTS);
        let mut points: Vec<_> = lines.filter_map(line).collect();
        if points.iter().all(|(_, remote)| remote.is_none()) {
            return Mounts::default();
        }
        points.reverse();
        Mounts { points }
    }

    /// The type of the file system that the path is on, when it is one that asks
    /// somebody else.
    pub fn remote(&self, path: &[u8]) -> Option<&str> {
        let inside = |point: &[u8]| match path.strip_prefix(point) {
            Some(rest) => point.ends_with(b"/") || rest.is_empty() || rest.starts_with(b"/"),
            None => false,
        };
        let mut best: Option<&(Vec<u8>, Option<String>)> = None;
        for one in self.points.iter().filter(|(point, _)| inside(point)) {
            // The first of the longest: the later mount hides the earlier.
            if best.is_none_or(|best| one.0.len() > best.0.len()) {
                best = Some(one);
            }
        }
        best?.1.as_deref()
    }
}

fn line(line: &[u8]) -> Option<(Vec<u8>, Option<String>)> {
    let mut words = line.split(|byte| *byte == b' ');
    let point = unescape(words.nth(4)?);
    let kind = words.skip_while(|word| *word != b"-").nth(1)?;
    let remote = REMOTE.contains(&kind) || kind.starts_with(b"fuse.");
    Some((point, remote.then(|| String::from_utf8_lossy(kind).into_owned())))
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
    fn a_path_is_on_the_longest_mount_that_it_begins_with_and_on_the_later_of_two() {
        let mounts = Mounts::parse(TEXT);
        assert_eq!(mounts.remote(b"/srv/a b/lib/x.so"), Some("fuse.sshfs"));
        assert_eq!(mounts.remote(b"/srv/a b"), Some("fuse.sshfs"));
        for local in
            [&b"/srv/a b/local/x.so"[..], b"/srv/a bc/x.so", b"/home/me/x", b"/usr/lib/x.so", b"", b"x"]
        {
            assert_eq!(mounts.remote(local), None, "{}", String::from_utf8_lossy(local));
        }
        assert_eq!(mounts.remote(b"/opt/x"), Some("nfs"), "a cut line says enough");
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
