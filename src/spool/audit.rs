//! Who purged records, and who read private ones: `.audit`.
//!
//! ```text
//! 1763900000000000000 \t 0 \t purge \t host=web-17 \t 12 \n
//! time (ns)             uid   action  what            how many
//! ```
//!
//! One escaped line each, appended and synced before the deed is reported as
//! done. At limits::SPOOL_AUDIT bytes the file becomes `.audit.1`, and the one
//! before that goes: at most two files. What it trusts: whoever may write to
//! the spool's directory may rewrite its history; it is a diary, not evidence.

use std::fs::File;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, Flock, FlockArg, OFlag, renameat};
use nix::sys::stat::{fstat, fstatat};
use nix::unistd::fsync;

use super::escape::{escape, unescape};
use super::reader::read_own;
use super::writer::{sync_directory, write_all};
use super::{Reader, Spool, SpoolError, Step};
use crate::limits;

pub(super) const FILE: &str = ".audit";
pub(super) const ROTATED: &str = ".audit.1";
/// The longest action or description, in bytes.
const FIELD: usize = 512;
/// How often a rotation by somebody else is followed.
const TRIES: usize = 8;

/// One deed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditLine {
    /// CLOCK_REALTIME, nanoseconds since the epoch.
    pub at: u64,
    /// Who.
    pub uid: u32,
    /// What was done: "purge", "read-private".
    pub action: String,
    /// To what: a selector, an id.
    pub what: String,
    /// To how many records.
    pub count: u64,
}

impl Spool {
    /// Notes a deed. On disk when it returns.
    pub fn audit(&self, line: &AuditLine) -> Result<(), SpoolError> {
        let file = self.audit_file()?;
        let (action, what) = (escape(&line.action, FIELD), escape(&line.what, FIELD));
        let text = format!("{}\t{}\t{action}\t{what}\t{}\n", line.at, line.uid, line.count);
        write_all(file.as_fd(), text.as_bytes())?;
        fsync(&*file).map_err(SpoolError::at(Step::Sync))?;
        sync_directory(&self.public)
    }

    /// The file to append to, locked, after a rotation when it is long.
    fn audit_file(&self) -> Result<Flock<File>, SpoolError> {
        let flags = OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CREAT;
        for _ in 0..TRIES {
            let file = self.own_file(FILE, flags, 0o640).map_err(SpoolError::at(Step::Create))?;
            let lock = Flock::lock(file, FlockArg::LockExclusive)
                .map_err(|(_, errno)| SpoolError::at(Step::Lock)(errno))?;
            let stat = fstat(&*lock).map_err(SpoolError::at(Step::Create))?;
            // Rotated by another process while this one waited for the lock?
            let named = fstatat(&self.public.dir, FILE, AtFlags::AT_SYMLINK_NOFOLLOW);
            if named.is_ok_and(|named| named.st_ino == stat.st_ino) {
                if u64::try_from(stat.st_size).is_ok_and(|size| size < limits::SPOOL_AUDIT) {
                    return Ok(lock);
                }
                renameat(&self.public.dir, FILE, &self.public.dir, ROTATED)
                    .map_err(SpoolError::at(Step::Rename))?;
            }
        }
        Err(SpoolError::Io(Step::Lock, Errno::EAGAIN))
    }
}

impl Reader {
    /// The last `most` deeds, the newest last.
    pub fn audit(&self, most: usize) -> Result<Vec<AuditLine>, SpoolError> {
        let mut lines = Vec::new();
        for name in [ROTATED, FILE] {
            // The file passes its limit by one line at most.
            let bytes = usize::try_from(limits::SPOOL_AUDIT).unwrap_or(usize::MAX).saturating_mul(2);
            match read_own(self.public(), name, bytes) {
                Ok(text) => lines.extend(String::from_utf8_lossy(&text).lines().filter_map(line)),
                Err(Errno::ENOENT) => {}
                Err(errno) => return Err(SpoolError::Io(Step::Read, errno)),
            }
        }
        let old = lines.len().saturating_sub(most);
        Ok(lines.split_off(old))
    }
}

fn line(text: &str) -> Option<AuditLine> {
    let mut fields = text.split('\t');
    let line = AuditLine {
        at: fields.next()?.parse().ok()?,
        uid: fields.next()?.parse().ok()?,
        action: unescape(fields.next()?),
        what: unescape(fields.next()?),
        count: fields.next()?.parse().ok()?,
    };
    fields.next().is_none().then_some(line)
}
