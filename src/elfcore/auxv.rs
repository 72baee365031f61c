//! NT_AUXV: what the kernel told the program at exec (getauxval(3)). Matches
//! `eu-readelf -n`.

use crate::address::Addr;
use crate::bytes::Bytes;
use crate::limits;

const AT_NULL: u64 = 0;
const AT_PHDR: u64 = 3;
const AT_ENTRY: u64 = 9;
const AT_SECURE: u64 = 23;
const AT_RANDOM: u64 = 25;
const AT_SYSINFO_EHDR: u64 = 33;

/// The entries that a capture uses; addresses only, never what they point at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Auxv {
    /// AT_PHDR: program headers of the executable.
    pub program_headers: Option<Addr>,
    /// AT_ENTRY: its entry point.
    pub entry: Option<Addr>,
    /// AT_SYSINFO_EHDR: the vdso.
    pub vdso: Option<Addr>,
    /// AT_RANDOM: 16 bytes that lie just above every frame of the main stack
    /// and below the strings of arguments and environment.
    pub random: Option<Addr>,
    /// AT_SECURE: the program gained privileges at exec.
    pub secure: bool,
    /// AT_SECURE was there: the note came, and far enough.
    pub complete: bool,
}

impl Auxv {
    /// Parses pairs up to AT_NULL.
    pub fn parse(mut bytes: Bytes<'_>) -> Auxv {
        let mut auxv = Auxv::default();
        for _ in 0..limits::AUXV_ENTRIES {
            let (Some(key), Some(value)) = (bytes.take_u64(), bytes.take_u64()) else { break };
            let address = (value != 0).then_some(Addr(value));
            match key {
                AT_NULL => break,
                AT_PHDR => auxv.program_headers = address,
                AT_ENTRY => auxv.entry = address,
                AT_SYSINFO_EHDR => auxv.vdso = address,
                AT_RANDOM => auxv.random = address,
                AT_SECURE => {
                    auxv.secure = value != 0;
                    auxv.complete = true;
                }
                _ => {}
            }
        }
        auxv
    }
}
