//! /proc/TID/maps → [`Mapping`] (proc_pid_maps(5)).
//!
//! ```text
//! start-end perms offset major:minor inode      path to the end of the line
//! ```
//! The kernel writes a newline in a path as `\012`; it stays as it is.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use nix::sys::stat::makedev;

use super::mapping::Mapping;
use crate::address::{Addr, AddrRange};
use crate::limits;

/// Reads maps; the flag says that the limit cut it.
pub(super) fn read(file: File) -> (Vec<Mapping>, bool) {
    let mut reader = BufReader::with_capacity(64 << 10, file.take(limits::MAPS_BYTES as u64));
    let (mut mappings, mut line) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        // A line is bounded by the path in it (PATH_MAX), the file by `take`.
        match reader.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return (mappings, false),
            Ok(_) => {}
        }
        if mappings.len() >= limits::MAPPINGS {
            return (mappings, true);
        }
        mappings.extend(parse(line.strip_suffix(b"\n").unwrap_or(&line)));
    }
}

/// One line.
fn parse(line: &[u8]) -> Option<Mapping> {
    let (range, rest) = word(line)?;
    let (permissions, rest) = word(rest)?;
    let (offset, rest) = word(rest)?;
    let (device, rest) = word(rest)?;
    let (inode, rest) = word(rest)?;
    let (start, end) = range.split_once('-')?;
    let (major, minor) = device.split_once(':')?;
    let inode: u64 = inode.parse().ok()?;
    let device = makedev(hex(major)?, hex(minor)?);
    let path = rest.iter().position(|byte| *byte != b' ').and_then(|at| rest.get(at..)).unwrap_or(&[]);
    Some(Mapping {
        range: AddrRange::new(Addr(hex(start)?), Addr(hex(end)?))?,
        offset: hex(offset)?,
        path: path.get(..limits::PATH).unwrap_or(path).to_vec(),
        executable: permissions.contains('x'),
        writable: permissions.contains('w'),
        identity: (inode != 0).then_some((device, inode)),
    })
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

/// The next word, and what is behind the space after it.
fn word(text: &[u8]) -> Option<(&str, &[u8])> {
    let end = text.iter().position(|byte| *byte == b' ').unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end)?;
    let rest = rest.get(1..).unwrap_or(&[]);
    Some((std::str::from_utf8(word).ok().filter(|word| !word.is_empty())?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_keep_their_spaces_and_bytes() {
        let line = b"7f00-8000 r-xp 00001000 fd:02 77                         /a b/\xff (deleted)";
        let mapping = parse(line).unwrap();
        assert_eq!(mapping.path, b"/a b/\xff (deleted)");
        assert_eq!(mapping.clean_path(), b"/a b/\xff");
        assert!(mapping.executable && mapping.is_deleted());
        assert_eq!(mapping.identity, Some((makedev(0xfd, 2), 77)));
    }

    #[test]
    fn a_line_that_is_not_a_mapping_is_left_out() {
        assert_eq!(parse(b""), None);
        assert_eq!(parse(b"zz-yy r-xp 0 0:0 0"), None);
        assert_eq!(parse(b"2-1 r-xp 0 0:0 0"), None);
    }
}
