//! What the spool's promises share: ids, a fresh spool, mounts, and a child
//! process that writes while somebody watches.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::Command;

use epicore::spool::{Reader, RecordId, RecordStatus, Spool, initialise};

/// The id of the n-th millisecond of a day.
pub(crate) fn id(n: u64) -> RecordId {
    let [_, _, a, b, c, d, e, f] = (0x018f_0000_0000 + n).to_be_bytes();
    RecordId([a, b, c, d, e, f, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 1])
}

/// A spool of the caller's in a directory that vanishes with the guard.
pub(crate) fn fresh() -> (tempfile::TempDir, PathBuf, Spool) {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("spool");
    initialise(&path, None).unwrap();
    let spool = Spool::open(&path).unwrap();
    (parent, path, spool)
}

/// The payload of a record that must be whole.
pub(crate) fn payload_of(path: &Path, n: u64) -> Vec<u8> {
    let reader = Reader::open(path).unwrap();
    let entry = reader.find(&id(n).to_string()).unwrap();
    match reader.read(&entry) {
        RecordStatus::Valid { payload, .. } => payload,
        other => panic!("{other:?}"),
    }
}

/// The numbers of the records in a spool.
pub(crate) fn numbers(path: &Path) -> Vec<u64> {
    let entries = Reader::open(path).unwrap().list().unwrap().entries;
    entries.iter().map(|entry| entry.id.milliseconds() - 0x018f_0000_0000).collect()
}

/// A filesystem that is unmounted when dropped.
pub(crate) struct Mounted(PathBuf);

impl Mounted {
    /// `mount` with these arguments and the directory; `None`, with the reason
    /// printed, where that is not permitted.
    pub(crate) fn new(arguments: &[&str], at: &Path) -> Option<Mounted> {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: mounting needs root");
            return None;
        }
        std::fs::create_dir_all(at).unwrap();
        match Command::new("mount").args(arguments).arg(at).output() {
            Ok(output) if output.status.success() => Some(Mounted(at.into())),
            Ok(output) => {
                println!("skipped: mount: {}", String::from_utf8_lossy(&output.stderr));
                None
            }
            Err(error) => {
                println!("skipped: mount: {error}");
                None
            }
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
