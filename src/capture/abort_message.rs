//! What the C library noted of an abort, read while the process is held.
//!
//! glibc keeps the last message of an assertion, of the allocator's checks and
//! of the stack protector for debuggers: `__abort_msg` points to a length and
//! the text (assert/assert.c, sysdeps/posix/libc_fatal.c). It is read for
//! SIGABRT that the process sent itself only; no byte of it leaves the handler
//! but what the modules' files contain ([`crate::fault`]).

use crate::address::{Addr, AddrRange};
use crate::bytes::Bytes;
use crate::elfcore::{Origin, SI_TKILL, Siginfo, signal::SIGABRT};
use crate::limits;
use crate::module::Modules;
use crate::process::Memory;

/// The message; None when there is none. `own` are the pids of the process, in its
/// namespace and in ours. `memory` of a range is none where reading it could wait for
/// somebody.
pub(super) fn read<'a>(
    siginfo: Option<Siginfo>,
    own: [Option<u32>; 2],
    modules: &Modules,
    memory: impl Fn(AddrRange) -> Option<&'a Memory>,
) -> Option<Vec<u8>> {
    siginfo.filter(|info| info.signal == SIGABRT && info.code == SI_TKILL)?;
    // Raised by itself: another process's tgkill(2) has nothing to say here.
    let itself = |origin: Origin| matches!(origin, Origin::Sender { pid, .. } if own.contains(&Some(pid)));
    siginfo.filter(|info| itself(info.origin))?;
    let is_libc = |name: &[u8]| name.starts_with(b"libc.so.") || name.starts_with(b"libc-2.");
    let libc = modules.iter().position(|module| is_libc(module.name()))?;
    let at = modules.variable(libc, b"__abort_msg")?;
    let bytes = |at: u64, length: usize| {
        let mut bytes = vec![0; length];
        let range = Addr(at).range(length as u64)?;
        let got = memory(range)?.read_at(&mut bytes, at).ok()?;
        bytes.truncate(got);
        Some(bytes)
    };
    let message = Bytes::new(&bytes(at.0, 8)?).u64(0).filter(|at| *at != 0)?;
    let text = bytes(message.checked_add(4)?, limits::ABORT_MESSAGE)?;
    Some(Bytes::new(&text).until_nul().as_slice().to_vec()).filter(|text| !text.is_empty())
}
