//! Whose a file is, in names, and what its mode lets somebody do.
//!
//! Gives: names for messages, and the one rule of the mode bits (path_resolution
//! (7)): the class of the asker decides, and no other. Not for: access lists, and
//! supplementary groups.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use nix::unistd::{Gid, Group, Uid, User};

/// The name of a user, else the number.
pub fn user(uid: u32) -> String {
    User::from_uid(Uid::from_raw(uid)).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
}

/// The name of a group, else the number.
pub fn group(gid: u32) -> String {
    Group::from_gid(Gid::from_raw(gid)).ok().flatten().map_or_else(|| gid.to_string(), |group| group.name)
}

/// "root:epicore".
pub fn names(uid: u32, gid: u32) -> String {
    format!("{}:{}", user(uid), group(gid))
}

/// True when the mode grants all of `wanted` (4 read, 2 write, 1 search) to who
/// has this uid and gid.
pub fn grants(found: &Metadata, uid: u32, gid: u32, wanted: u32) -> bool {
    let class = match () {
        () if found.uid() == uid => 6,
        () if found.gid() == gid => 3,
        () => 0,
    };
    found.mode() >> class & wanted == wanted
}
