//! The fleet's key: one secret, equal on all hosts.
//!
//! Refused unless root owns the file and nobody else may read it: a serial
//! under a key that everybody knows can be guessed back.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::limits;

/// Fewer bytes can be tried out.
const SHORTEST: usize = 16;

/// The key, without the line end of an editor; the error says what to do.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let flags = nix::fcntl::OFlag::O_NONBLOCK | nix::fcntl::OFlag::O_NOCTTY;
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path);
    let file = opened.map_err(|error| format!("the fleet key could not be opened: {error}"))?;
    let facts = file.metadata().map_err(|error| format!("the fleet key: {error}"))?;
    if !facts.is_file() || facts.uid() != 0 || facts.mode() & 0o027 != 0 {
        return Err("the fleet key must be a file of root's that others cannot read (chmod 0600)".to_owned());
    }
    let mut key = Vec::new();
    let most = limits::FLEET_KEY as u64;
    file.take(most).read_to_end(&mut key).map_err(|error| format!("the fleet key: {error}"))?;
    while key.last().is_some_and(u8::is_ascii_whitespace) {
        key.pop();
    }
    if key.len() < SHORTEST {
        return Err(format!("the fleet key has fewer than {SHORTEST} bytes"));
    }
    Ok(key)
}
