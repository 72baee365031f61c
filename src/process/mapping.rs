//! One mapping of the process, from /proc/TID/maps or from the core's own
//! NT_FILE and program headers: the same type, so that nothing behind it
//! needs to know which.

use crate::address::AddrRange;

/// One line of /proc/TID/maps, proc_pid_maps(5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    /// Addresses.
    pub range: AddrRange,
    /// Offset in the file, bytes.
    pub offset: u64,
    /// The path as the kernel gives it, " (deleted)" included; empty when
    /// anonymous; "[vdso]" and the like.
    pub path: Vec<u8>,
    /// PROT_EXEC.
    pub executable: bool,
    /// PROT_WRITE.
    pub writable: bool,
    /// Device and inode of the file, when /proc was asked.
    pub identity: Option<(u64, u64)>,
}

impl Mapping {
    /// The suffix that the kernel adds to the path of an unlinked file.
    pub const DELETED: &'static [u8] = b" (deleted)";

    /// True when the kernel says that the file was unlinked.
    pub fn is_deleted(&self) -> bool {
        self.path.ends_with(Self::DELETED)
    }

    /// The path without " (deleted)".
    pub fn clean_path(&self) -> &[u8] {
        self.path.strip_suffix(Self::DELETED).unwrap_or(&self.path)
    }
}
