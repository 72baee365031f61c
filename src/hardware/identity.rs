//! Which machine and which boot.
//!
//! The machine-id is given raw: whoever makes a record hashes it first. The
//! host name is uname(2)'s, of the namespace that the handler runs in (the
//! kernel starts it in the initial one).

use std::path::Path;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::sys::utsname::uname;
use std::os::fd::AsFd;

use super::roots::{Roots, text};
use super::value;
use crate::limits;

/// The longest name that is kept (HOST_NAME_MAX is 64).
const NAME: usize = 64;

/// What tells a machine and a boot from all others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// nodename.
    pub hostname: Option<String>,
    /// Kernel release.
    pub kernel: Option<String>,
    /// Machine ("x86_64").
    pub arch: Option<String>,
    /// /proc/sys/kernel/random/boot_id.
    pub boot_id: Option<[u8; 16]>,
    /// /etc/machine-id, raw.
    pub machine_id: Option<[u8; 16]>,
}

/// Reads them; `machine_id` is usually /etc/machine-id.
pub fn identity(roots: &Roots, machine_id: &Path) -> Identity {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let machine_id = open(machine_id, flags, Mode::empty())
        .ok()
        .and_then(|file| text(file.as_fd(), limits::SYSFS_TEXT).ok())
        .and_then(|text| id(&text))
        .filter(|id| *id != [0; 16]);
    let names = uname().ok();
    let name = |name: &std::ffi::OsStr| value::words(name.as_encoded_bytes(), NAME);
    Identity {
        hostname: names.as_ref().and_then(|names| name(names.nodename())),
        kernel: names.as_ref().and_then(|names| name(names.release())),
        arch: names.as_ref().and_then(|names| name(names.machine())),
        boot_id: roots.proc_text("sys/kernel/random/boot_id").ok().and_then(|text| id(&text)),
        machine_id,
    }
}

/// Which boot this is, before anything else is opened.
pub fn boot_id() -> Option<[u8; 16]> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let file = open("/proc/sys/kernel/random/boot_id", flags, Mode::empty()).ok()?;
    id(&text(file.as_fd(), limits::SYSFS_TEXT).ok()?)
}

/// The host's name now, as records bear it: one system call.
pub fn nodename() -> Option<String> {
    uname().ok().and_then(|names| value::words(names.nodename().as_encoded_bytes(), NAME))
}

/// Sixteen bytes of hexadecimal, dashes ignored; "uninitialized" is none.
pub(super) fn id(text: &[u8]) -> Option<[u8; 16]> {
    let mut digits = text.trim_ascii().iter().filter(|byte| **byte != b'-');
    let mut id = [0; 16];
    for byte in &mut id {
        let mut digit = || char::from(*digits.next()?).to_digit(16).and_then(|d| u8::try_from(d).ok());
        *byte = digit()? << 4 | digit()?;
    }
    digits.next().is_none().then_some(id)
}
