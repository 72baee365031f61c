//! Whether crashes go to epicore from the next boot on, too; and whose kernel
//! this is.
//!
//! The package ships the setting as a file for systemd-sysctl and sysctl(8),
//! outside the directories that they read. [`Boot::keep`] links it into
//! /etc/sysctl.d, where it comes after systemd's 50-coredump.conf, and
//! [`Boot::forget`] takes the link away. A link, so that nothing is left that
//! points at a missing handler when the package's files go without a word.
//!
//! In a chroot or a container the kernel is the host's: its pattern would name
//! a path of this system and be run in the host's ([`Kernel`]). There a mark is
//! left instead of the link, because whatever applies /etc/sysctl.d (a
//! container's systemd, `sysctl --system` in a chroot) would set the host's; the
//! first boot of the image as a system of its own turns it into the link. Matches
//! sysctl.d(5), and PROC_PID_INIT_INO of the kernel's include/linux/proc_ns.h.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

/// What the package ships.
pub const SHIPPED: &str = "/usr/lib/epicore/60-epicore.conf";
/// Where it is linked to.
pub const LINK: &str = "/etc/sysctl.d/60-epicore.conf";
/// What is left where the kernel is another system's: enabled, from the first
/// boot on.
pub const MARK: &str = "/var/lib/epicore/enable-at-boot";
/// The first pid namespace's number is a constant of the kernel.
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

/// Whose the kernel's settings are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// This system's.
    Own,
    /// The system's around this chroot (or there is no /proc to ask).
    AroundChroot,
    /// The host's of this container.
    AroundContainer,
}

/// Where things are; a test's are in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// The shipped file.
    pub shipped: PathBuf,
    /// The link to it.
    pub link: PathBuf,
    /// The mark of an image.
    pub mark: PathBuf,
    /// /proc.
    pub proc: PathBuf,
    /// This system's root.
    pub root: PathBuf,
}

impl Default for Boot {
    fn default() -> Boot {
        Boot {
            shipped: SHIPPED.into(),
            link: LINK.into(),
            mark: MARK.into(),
            proc: "/proc".into(),
            root: "/".into(),
        }
    }
}

impl Boot {
    /// Whose kernel it is; what cannot be asked (without root) is our own.
    pub fn kernel(&self) -> Kernel {
        if fs::symlink_metadata(self.proc.join("self")).is_err() {
            return Kernel::AroundChroot;
        }
        let namespace = fs::read_link(self.proc.join("self/ns/pid"));
        if namespace.is_ok_and(|name| name != Path::new(FIRST_PID_NAMESPACE)) {
            return Kernel::AroundContainer;
        }
        let place = |path: &Path| fs::metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
        match (place(&self.proc.join("1/root")), place(&self.root)) {
            (Some(first), Some(own)) if first != own => Kernel::AroundChroot,
            (Some(_), _) => Kernel::Own,
            (None, _) if self.root_is_no_mount() => Kernel::AroundChroot,
            (None, _) => Kernel::Own,
        }
    }

    /// PID 1 may be closed to root, too. A system's root is a mount point, and
    /// a chroot mostly is not: then no mount that can be seen is at "/".
    fn root_is_no_mount(&self) -> bool {
        let mounts = fs::read_to_string(self.proc.join("self/mountinfo")).unwrap_or_default();
        let at = |line: &str| line.split(' ').nth(4) == Some("/");
        !mounts.is_empty() && !mounts.lines().any(at)
    }

    /// True when the next boot will set it.
    pub fn is_kept(&self) -> bool {
        self.is_linked() || self.mark.exists()
    }

    fn is_linked(&self) -> bool {
        fs::read_link(&self.link).is_ok_and(|to| to == self.shipped)
    }

    fn ships(&self, pattern: &str) -> bool {
        let shipped = fs::read_to_string(&self.shipped).unwrap_or_default();
        shipped.lines().any(|line| {
            let (key, value) = line.split_once('=').unwrap_or_default();
            key.trim() == "kernel.core_pattern" && value.trim() == pattern
        })
    }

    /// Sees to it that each boot sets `pattern`; false when the shipped file
    /// says another one or is not there (then no boot sets the shipped one
    /// either), or something else is in its place.
    pub fn keep(&self, pattern: &str) -> io::Result<bool> {
        if !self.ships(pattern) {
            self.forget()?;
            return Ok(false);
        }
        if self.kernel() != Kernel::Own {
            if let Some(directory) = self.mark.parent() {
                fs::create_dir_all(directory)?;
            }
            fs::write(&self.mark, "")?;
            return Ok(true);
        }
        if !self.is_linked() {
            if fs::symlink_metadata(&self.link).is_ok() {
                return Ok(false);
            }
            if let Some(directory) = self.link.parent() {
                fs::create_dir_all(directory)?;
            }
            symlink(&self.shipped, &self.link)?;
        }
        gone(fs::remove_file(&self.mark))?;
        Ok(true)
    }

    /// The next boot no longer sets it. What is not our link stays.
    pub fn forget(&self) -> io::Result<bool> {
        let was = self.is_kept();
        gone(fs::remove_file(&self.mark))?;
        if self.is_linked() {
            fs::remove_file(&self.link)?;
        }
        Ok(was)
    }
}

/// What is not there need not be removed.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATTERN: &str = "|/h -P%P -I%I";

    fn boot() -> (tempfile::TempDir, Boot) {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let boot = Boot {
            shipped: at("shipped"),
            link: at("etc/link"),
            mark: at("var/mark"),
            proc: at("proc"),
            root: at("root"),
        };
        fs::write(&boot.shipped, format!("# words\nkernel.core_pattern = {PATTERN}\n")).unwrap();
        fs::create_dir_all(boot.proc.join("self/ns")).unwrap();
        fs::create_dir_all(boot.proc.join("1/root")).unwrap();
        fs::create_dir(&boot.root).unwrap();
        (dir, boot)
    }

    /// The same, with a kernel of its own.
    fn own() -> (tempfile::TempDir, Boot) {
        let (dir, mut boot) = boot();
        symlink(FIRST_PID_NAMESPACE, boot.proc.join("self/ns/pid")).unwrap();
        boot.root = boot.proc.join("1/root");
        (dir, boot)
    }

    #[test]
    fn it_is_kept_once_and_forgotten_once() {
        let (_dir, boot) = own();
        assert!(!boot.is_kept() && !boot.forget().unwrap());
        assert!(boot.keep(PATTERN).unwrap() && boot.keep(PATTERN).unwrap() && boot.is_kept());
        assert!(boot.forget().unwrap() && !boot.is_kept() && !boot.forget().unwrap());
    }

    #[test]
    fn another_pattern_and_an_administrators_own_file_are_left_alone() {
        let (_dir, boot) = own();
        assert!(!boot.keep("|/other -P%P -I%I").unwrap());
        // A pattern of one's own: no boot may set the package's in its place.
        assert!(boot.keep(PATTERN).unwrap());
        assert!(!boot.keep("|/h -P%P -I%I --spool /data").unwrap() && !boot.is_kept());
        fs::create_dir_all(boot.link.parent().unwrap()).unwrap();
        fs::write(&boot.link, "kernel.core_pattern = core\n").unwrap();
        assert!(!boot.keep(PATTERN).unwrap() && !boot.forget().unwrap());
        assert_eq!(fs::read_to_string(&boot.link).unwrap(), "kernel.core_pattern = core\n");
    }

    #[test]
    fn an_image_has_a_mark_and_its_first_boot_a_link() {
        let (_dir, mut boot) = boot();
        symlink(FIRST_PID_NAMESPACE, boot.proc.join("self/ns/pid")).unwrap();
        assert_eq!(boot.kernel(), Kernel::AroundChroot);
        assert!(boot.keep(PATTERN).unwrap() && boot.is_kept() && !boot.is_linked());
        boot.root = boot.proc.join("1/root");
        assert!(boot.is_kept() && boot.keep(PATTERN).unwrap());
        assert!(boot.is_linked() && !boot.mark.exists());
        assert!(boot.forget().unwrap() && !boot.is_kept());
    }

    #[test]
    fn a_chroot_and_a_container_are_told_from_a_host() {
        let (_dir, mut boot) = boot();
        let namespace = boot.proc.join("self/ns/pid");
        symlink(FIRST_PID_NAMESPACE, &namespace).unwrap();
        assert_eq!(boot.kernel(), Kernel::AroundChroot, "another root than that of PID 1");
        boot.root = boot.proc.join("1/root");
        assert_eq!(boot.kernel(), Kernel::Own);
        // PID 1 is closed: by the mounts.
        let closed = Boot { proc: boot.proc.with_file_name("closed"), ..boot.clone() };
        fs::create_dir_all(closed.proc.join("self/ns")).unwrap();
        let mounts = |text: &str| fs::write(closed.proc.join("self/mountinfo"), text).unwrap();
        mounts("22 27 0:21 / /proc rw - proc proc rw\n");
        assert_eq!(closed.kernel(), Kernel::AroundChroot);
        mounts("27 1 254:0 / / rw - ext4 /dev/vda rw\n22 27 0:21 / /proc rw - proc proc rw\n");
        assert_eq!(closed.kernel(), Kernel::Own);
        fs::remove_file(&namespace).unwrap();
        symlink("pid:[4026532256]", &namespace).unwrap();
        assert_eq!(boot.kernel(), Kernel::AroundContainer);
        boot.proc = "/nonexistent".into();
        assert_eq!(boot.kernel(), Kernel::AroundChroot, "no /proc at all");
    }

    #[test]
    fn the_shipped_file_says_what_enable_sets() {
        let shipped = include_str!("../../systemd/sysctl.d/60-epicore.conf");
        let pattern = super::super::pattern::Pattern {
            handler: super::super::pattern::DEFAULT_HANDLER.into(),
            spool: None,
            config: None,
        };
        let line = format!("kernel.core_pattern = {}", pattern.text().unwrap());
        assert!(shipped.lines().any(|own| own == line), "{line}");
        let limit = format!("kernel.core_pipe_limit = {}", crate::limits::CORE_PIPE_LIMIT);
        assert!(shipped.lines().any(|own| own == limit), "{limit}");
    }
}
