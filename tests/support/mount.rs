//! A small filesystem of a test's own; it goes with its value.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted tmpfs; unmounted with this value.
pub(crate) struct Mount(pub(crate) PathBuf);

impl Mount {
    /// `None`, and a line that says so, where nothing can be mounted.
    pub(crate) fn tmpfs(path: &Path, options: &str) -> Option<Mount> {
        std::fs::create_dir_all(path).expect("a mount point");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(path).status();
        if !mounted.is_ok_and(|status| status.success()) {
            println!("skipped: a tmpfs cannot be mounted");
            return None;
        }
        Some(Mount(path.to_owned()))
    }

    pub(crate) fn read_only(&self) {
        let status = Command::new("mount").args(["-o", "remount,ro"]).arg(&self.0).status().expect("mount");
        assert!(status.success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
