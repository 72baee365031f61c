//! NT_FILE: which file stands behind which addresses (core(5); the kernel's
//! fill_files_note). Matches `eu-readelf -n`.

use crate::address::AddrRange;

/// One entry of NT_FILE.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileMapping {
    /// Addresses.
    pub range: AddrRange,
    /// Offset in the file, bytes.
    pub offset: u64,
    /// Path as the kernel gives it.
    pub path: Vec<u8>,
}
