//! NT_PRPSINFO: the process in ps(1)'s words (the kernel's elf_prpsinfo).
//!
//! The 80 bytes of arguments in it are never looked at.

use crate::bytes::Bytes;

/// What is kept of NT_PRPSINFO.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prpsinfo {
    /// pr_uid.
    pub uid: u32,
    /// pr_gid.
    pub gid: u32,
    /// pr_pid, in the pid namespace of the process.
    pub pid: u32,
    /// pr_ppid.
    pub ppid: u32,
    /// pr_fname: comm of the thread group leader, up to 15 bytes.
    pub comm: Vec<u8>,
}

impl Prpsinfo {
    /// Parses; `None` when too short.
    pub fn parse(bytes: Bytes<'_>) -> Option<Prpsinfo> {
        Some(Prpsinfo {
            uid: bytes.u32(16)?,
            gid: bytes.u32(20)?,
            pid: bytes.u32(24)?,
            ppid: bytes.u32(28)?,
            comm: bytes.range(40, 16)?.until_nul().as_slice().to_vec(),
        })
    }
}
