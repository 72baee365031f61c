//! The handler's file: there, safe to run as root, and in need of nothing.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::{Check, Host};
use crate::bytes::Bytes;
use crate::invocation::pattern::check_handler;

/// The file that core_pattern names, or would name.
pub(super) fn handler(host: &Host, path: &Path) -> Vec<Check> {
    let real = host.at(path);
    if let Err(refusal) = check_handler(&real, host.owner) {
        let remedy = "Install it again (the package, or `make build`), then `epicore enable`.";
        return vec![Check::fail("handler", refusal.to_string(), remedy)];
    }
    vec![match interpreter(&real) {
        Some(false) => Check::ok("handler", format!("{}, root's, static", path.display())),
        Some(true) => Check::warn(
            "handler",
            format!("{} needs the host's C library to start", path.display()),
            "Use the static build (`make build`): it works while libraries are being replaced.",
        ),
        None => Check::fail(
            "handler",
            format!("{} is not an ELF program", path.display()),
            "The kernel must run it directly: install the handler itself, not a script.",
        ),
    }]
}

/// Whether the program asks for a dynamic loader (PT_INTERP); `None` when it
/// is not a 64-bit ELF file.
fn interpreter(path: &Path) -> Option<bool> {
    const PT_INTERP: u32 = 3;
    let mut buffer = vec![0; 4096];
    let length = File::open(path).ok()?.read_at(&mut buffer, 0).ok()?;
    buffer.truncate(length);
    let head = Bytes::new(&buffer);
    head.range(0, 5).filter(|magic| magic.as_slice() == b"\x7fELF\x02")?;
    let table = head.tail(usize::try_from(head.u64(0x20)?).ok()?)?;
    let count = usize::from(head.u16(0x38)?).min(64);
    let kinds = (0..count).map_while(|index| table.u32(index.checked_mul(56)?));
    Some(kinds.into_iter().any(|kind| kind == PT_INTERP))
}
