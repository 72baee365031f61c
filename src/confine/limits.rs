//! Resource limits: a handler that goes wrong stops by itself, and once nobody waits for
//! it others go first.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::{Resource, setrlimit};

use crate::limits;
use crate::syscall::{errno, stand_back};

/// Lowers the limits of this process. RLIMIT_CORE stays at the 1 that the
/// kernel set: it is what keeps the handler's own crash from recursing.
pub(super) fn lower() -> Result<(), Errno> {
    for (resource, most) in [
        (Resource::RLIMIT_AS, limits::ADDRESS_SPACE),
        (Resource::RLIMIT_CPU, limits::CPU_SECONDS),
        (Resource::RLIMIT_FSIZE, limits::FILE_SIZE),
        (Resource::RLIMIT_NOFILE, limits::OPEN_FILES),
    ] {
        setrlimit(resource, most, most)?;
    }
    Ok(())
}

/// When memory runs out the handler goes before what it records.
pub(super) fn offer_to_oom_killer() -> Result<(), Errno> {
    let file = std::fs::OpenOptions::new().write(true).open("/proc/self/oom_score_adj");
    let written = file.and_then(|mut file| file.write_all(limits::OOM_SCORE.as_bytes()));
    written.map_err(|error| errno(&error))
}

/// Where the analysis goes on: a cgroup (cgroups(7)) that the site has delegated, opened
/// as root. The kernel asks whether who opened it may move processes there.
#[derive(Debug)]
pub struct Cgroup(Result<File, Errno>);

impl Cgroup {
    /// The cgroup of this directory.
    pub fn open(directory: &Path) -> Cgroup {
        let path = directory.join("cgroup.procs");
        let opened = File::options().write(true).custom_flags(libc::O_NOFOLLOW).open(path);
        Cgroup(opened.map_err(|error| errno(&error)))
    }

    /// Moves this process there.
    fn enter(self) -> Result<(), Errno> {
        self.0?.write_all(b"0").map_err(|error| errno(&error))
    }
}

/// Once the minimal record is kept nobody waits any more: what runs on this host goes
/// first. Returns what could not be done.
pub fn let_others_go_first(cgroup: Option<Cgroup>) -> Vec<String> {
    let nice = stand_back(limits::NICE).map_err(|error| format!("nice: {}", error.desc()));
    let cgroup = cgroup.map_or(Ok(()), Cgroup::enter).map_err(|error| format!("cgroup: {}", error.desc()));
    [nice, cgroup].into_iter().filter_map(Result::err).collect()
}
