//! Resource limits: a handler that goes wrong stops by itself.

use std::io::Write;

use nix::errno::Errno;
use nix::sys::resource::{Resource, setrlimit};

use crate::limits;

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
    written.map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
}
