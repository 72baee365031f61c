//! Files that an operator wrote: read whole, bounded, with errors that name
//! the file. A FIFO in a file's place does not block the start.

use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::Failure;

/// The largest settings, secrets, certificate or list that is read: a chain of
/// a hundred certificates, ten thousand revoked subjects.
const LARGEST: u64 = 1 << 20;
/// Permission bits of anybody who is neither owner nor group.
const OTHERS: u32 = 0o007;

/// The file's text.
pub(super) fn text(file: &Path) -> Result<String, Failure> {
    let say = |what: &dyn std::fmt::Display| Failure::new(format!("{}: {what}", file.display()));
    let opened = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags((nix::fcntl::OFlag::O_NONBLOCK | nix::fcntl::OFlag::O_NOCTTY).bits())
        .open(file)
        .map_err(|error| say(&error))?;
    if !opened.metadata().is_ok_and(|m| m.is_file()) {
        return Err(say(&"not a regular file"));
    }
    let mut text = String::new();
    let read = opened.take(LARGEST.saturating_add(1)).read_to_string(&mut text).map_err(|e| say(&e))?;
    if read as u64 > LARGEST {
        return Err(say(&format_args!("larger than {LARGEST} bytes")));
    }
    Ok(text)
}

/// The text of a file that only its owner and group may read.
pub(super) fn secret(file: &Path) -> Result<String, Failure> {
    let mode = std::fs::metadata(file).map_or(0, |m| m.mode());
    if mode & OTHERS != 0 {
        let file = file.display();
        return Err(Failure::new(format!(
            "{file}: everybody may read it (mode {:o}): chmod o= {file}",
            mode & 0o777
        )));
    }
    text(file)
}

/// Lines that say something: trimmed, without `#` comments.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}
