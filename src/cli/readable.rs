//! Whether another user may read a file: what whoever runs `config check` as
//! root cannot see by reading it.
//!
//! The mode bits decide, of every directory on the way and of the file. A
//! supplementary group is not looked for, and of a file with an access list
//! nothing is said: its bits are not the whole truth.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::owner;

/// Symbolic links that are followed; the kernel follows as many.
const LINKS: usize = 40;
const READ: u32 = 4;
const SEARCH: u32 = 1;

/// Somebody who reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader {
    uid: u32,
    gid: u32,
}

impl Reader {
    /// The owner of the spool at `path`, who epicored runs as; `None` where no
    /// spool is, or where root owns it and may read everything.
    pub(super) fn of_spool(path: &Path) -> Option<Reader> {
        let spool = fs::metadata(path).ok()?;
        (spool.uid() != 0).then_some(Reader { uid: spool.uid(), gid: spool.gid() })
    }

    /// What keeps it from reading `file`, and what would let it. Nothing, when
    /// nothing does or it could not be looked at.
    pub(super) fn hindrance(self, file: &Path) -> Option<String> {
        let mut path = std::path::absolute(file).ok()?;
        for _ in 0..LINKS {
            if let Some(closed) = self.closed_way(&path) {
                return Some(closed);
            }
            match fs::symlink_metadata(&path).ok()? {
                link if link.file_type().is_symlink() => {
                    path = path.parent()?.join(fs::read_link(&path).ok()?);
                }
                found => return self.closed_file(&path, &found),
            }
        }
        None
    }

    fn closed_file(self, path: &Path, found: &Metadata) -> Option<String> {
        if self.may(found, READ) || has_list(path) {
            return None;
        }
        let (user, file) = (self.user(), path.display());
        let remedy = match found.uid() == self.uid {
            true => format!("chmod u+r {file}"),
            false => format!("chgrp {} {file}; chmod 0640 {file}", owner::group(self.gid)),
        };
        Some(format!("{user}, as whom epicored runs, cannot read it ({}): {remedy}", rights(found)))
    }

    /// A directory before `path` that is closed, as it is written and as it is
    /// when links are followed.
    fn closed_way(self, path: &Path) -> Option<String> {
        let parent = path.parent()?;
        let real = fs::canonicalize(parent).ok();
        let written = parent.ancestors().map(PathBuf::from);
        let followed = real.iter().flat_map(|real| real.ancestors().map(PathBuf::from));
        // From the root: the first closed one is what epicored meets.
        let mut ways: Vec<PathBuf> = written.chain(followed).collect();
        ways.sort_by_key(|way| way.components().count());
        ways.iter().find_map(|way| {
            let found = fs::metadata(way).ok()?;
            let closed = !self.may(&found, SEARCH) && !has_list(way);
            closed.then(|| {
                let (user, shown) = (self.user(), way.display());
                let remedy = match found.uid() == self.uid {
                    true => format!("chmod u+x {shown}"),
                    false => format!("chgrp {} {shown}; chmod g+x {shown}", owner::group(self.gid)),
                };
                let rights = rights(&found);
                format!("{shown} is closed to {user}, as whom epicored runs ({rights}): {remedy}")
            })
        })
    }

    fn may(self, found: &Metadata, bit: u32) -> bool {
        owner::grants(found, self.uid, self.gid, bit)
    }

    fn user(self) -> String {
        owner::user(self.uid)
    }
}

/// Owner, group and mode: "root:root, 0600".
pub(super) fn rights(found: &Metadata) -> String {
    format!("{}, {:04o}", owner::names(found.uid(), found.gid()), found.mode() & 0o7777)
}

/// An access list stands beside the mode bits.
fn has_list(path: &Path) -> bool {
    crate::syscall::has_attribute(path, c"system.posix_acl_access")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A file in a directory that all may search, and who owns it.
    fn place() -> (tempfile::TempDir, PathBuf, u32, u32) {
        let place = tempfile::tempdir().unwrap();
        mode(place.path(), 0o755);
        let file = place.path().join("token");
        fs::write(&file, "t").unwrap();
        let found = fs::metadata(&file).unwrap();
        (place, file, found.uid(), found.gid())
    }

    #[test]
    fn the_class_of_the_reader_decides_and_no_other() {
        let (_place, file, uid, gid) = place();
        let (owner, member) = (Reader { uid, gid }, Reader { uid: uid + 4242, gid });
        let stranger = Reader { uid: uid + 4242, gid: gid + 4242 };
        for (bits, may) in
            [(0o600, [true, false, false]), (0o640, [true, true, false]), (0o044, [false, true, true])]
        {
            mode(&file, bits);
            let reads = [owner, member, stranger].map(|reader| reader.hindrance(&file).is_none());
            assert_eq!(reads, may, "{bits:o}");
        }
        mode(&file, 0o600);
        let said = stranger.hindrance(&file).unwrap();
        assert!(said.contains(&format!("chgrp {} ", gid + 4242)) && said.contains("chmod 0640"), "{said}");
    }

    #[test]
    fn a_closed_directory_on_the_way_is_named_also_behind_a_link() {
        let (place, file, uid, gid) = place();
        mode(&file, 0o644);
        let inner = place.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let link = inner.join("token");
        symlink(&file, &link).unwrap();
        let stranger = Reader { uid: uid + 4242, gid: gid + 4242 };
        assert_eq!(stranger.hindrance(&link), None);
        mode(&inner, 0o700);
        assert!(stranger.hindrance(&link).unwrap().contains("inner is closed to"));
        mode(&inner, 0o755);
        mode(place.path(), 0o750);
        assert!(stranger.hindrance(&link).unwrap().contains("is closed to"));
    }
}
