//! The spool's promises to the handler: what is written is whole, owned and
//! private where it must be; a failure leaves what was there.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use epicore::limits;
use epicore::spool::{
    Damage, HEADER, Quota, Reader, RecordStatus, Refusal, Spool, SpoolError, initialise, read_file,
};

#[path = "support/spool.rs"]
mod support;
use support::{fresh, id, payload_of};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_minimal_record_is_readable_and_the_full_one_takes_its_place() {
    let (_parent, path, spool) = fresh();
    spool.write_minimal((id(1), false), b"minimal").unwrap();
    assert_eq!(payload_of(&path, 1), b"minimal");
    spool.replace_with_full((id(1), false), b"the full record").unwrap();
    assert_eq!(payload_of(&path, 1), b"the full record");
    let listing = Reader::open(&path).unwrap().list().unwrap();
    assert_eq!((listing.entries.len(), listing.temporaries, listing.strangers), (1, 0, 0));
}

#[test]
fn a_full_record_needs_no_minimal_one() {
    let (_parent, path, spool) = fresh();
    spool.replace_with_full((id(1), false), b"full").unwrap();
    assert_eq!(payload_of(&path, 1), b"full");
}

#[test]
fn a_second_record_of_the_same_id_is_refused_and_the_first_one_stays() {
    let (_parent, path, spool) = fresh();
    spool.write_minimal((id(1), false), b"first").unwrap();
    assert_eq!(spool.write_minimal((id(1), false), b"second"), Err(SpoolError::Exists));
    assert_eq!(payload_of(&path, 1), b"first");
}

#[test]
fn modes_hold_whatever_the_umask_is() {
    let (_parent, path, spool) = fresh();
    nix::sys::stat::umask(nix::sys::stat::Mode::empty());
    spool.write_minimal((id(1), false), b"x").unwrap();
    spool.write_minimal((id(2), true), b"x").unwrap();
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    spool.write_minimal((id(3), false), b"x").unwrap();
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    assert_eq!(mode(&path), 0o750);
    assert_eq!(mode(&path.join("private")), 0o700);
    assert_eq!(mode(&path.join(id(1).file_name())), 0o640);
    assert_eq!(mode(&path.join("private").join(id(2).file_name())), 0o600);
    assert_eq!(mode(&path.join(id(3).file_name())), 0o640);
}

#[test]
fn a_private_record_never_lies_among_the_public_ones() {
    let (_parent, path, spool) = fresh();
    spool.write_minimal((id(1), true), b"minimal").unwrap();
    spool.replace_with_full((id(1), true), b"full").unwrap();
    assert!(!path.join(id(1).file_name()).exists());
    assert_eq!(payload_of(&path, 1), b"full");

    fs::remove_dir_all(path.join("private")).unwrap();
    fs::write(path.join("private"), b"a file in its place").unwrap();
    let spool = Spool::open(&path).unwrap();
    assert!(matches!(spool.write_minimal((id(2), true), b"x"), Err(SpoolError::Unsafe(_))));
    spool.write_minimal((id(3), false), b"public ones still go").unwrap();
}

#[test]
fn what_root_writes_belongs_to_the_owner_of_the_directory() {
    if !nix::unistd::geteuid().is_root() {
        return println!("skipped: needs root");
    }
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("spool");
    initialise(&path, Some((4711, 4712))).unwrap();
    let spool = Spool::open(&path).unwrap();
    assert_eq!(spool.owner(), (4711, 4712));
    spool.write_minimal((id(1), false), b"x").unwrap();
    spool.replace_with_full((id(2), true), b"x").unwrap();
    spool.make_room(Quota::default(), id(2)).unwrap();
    for name in [
        path.clone(),
        path.join("private"),
        path.join(".tally"),
        path.join(id(1).file_name()),
        path.join("private").join(id(2).file_name()),
    ] {
        let metadata = fs::metadata(&name).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (4711, 4712), "{name:?}");
    }
}

#[test]
fn too_large_a_payload_is_an_error_and_leaves_nothing() {
    let (_parent, path, spool) = fresh();
    let payload = vec![0; limits::SPOOL_PAYLOAD + 1];
    assert_eq!(spool.write_minimal((id(1), false), &payload), Err(SpoolError::TooLarge(payload.len())));
    spool.write_minimal((id(1), false), b"small").unwrap();
    assert!(spool.replace_with_full((id(1), false), &payload).is_err());
    assert_eq!(payload_of(&path, 1), b"small");
    spool.replace_with_full((id(1), false), &payload[1..]).unwrap();
    assert_eq!(payload_of(&path, 1).len(), limits::SPOOL_PAYLOAD);
}

#[test]
fn the_directory_may_be_renamed_and_replaced_after_it_was_opened() {
    let (parent, path, spool) = fresh();
    let moved = parent.path().join("moved");
    fs::rename(&path, &moved).unwrap();
    symlink("/etc", &path).unwrap();
    spool.write_minimal((id(1), false), b"x").unwrap();
    spool.replace_with_full((id(1), false), b"y").unwrap();
    assert_eq!(payload_of(&moved, 1), b"y");
}

#[test]
fn a_symbolic_link_in_the_place_of_the_spool_is_refused() {
    let (parent, path, _spool) = fresh();
    let link = parent.path().join("link");
    symlink(&path, &link).unwrap();
    assert!(Spool::open(&link).is_err());
    assert!(initialise(&link, None).is_err());
}

#[test]
fn a_directory_that_everybody_may_write_to_is_refused() {
    let (_parent, path, _spool) = fresh();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o1777)).unwrap();
    assert!(matches!(Spool::open(&path), Err(SpoolError::Unsafe(_))));
}

#[test]
fn initialise_leaves_a_directory_alone_that_holds_other_things() {
    let parent = tempfile::tempdir().unwrap();
    fs::write(parent.path().join("somebody's file"), b"x").unwrap();
    fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(initialise(parent.path(), Some((1, 1))), Err(SpoolError::Unsafe(_))));
    assert_eq!(mode(parent.path()), 0o755);
}

#[test]
fn initialise_twice_puts_modes_right_and_keeps_records() {
    let (_parent, path, spool) = fresh();
    spool.write_minimal((id(1), false), b"x").unwrap();
    fs::set_permissions(path.join("private"), fs::Permissions::from_mode(0o755)).unwrap();
    initialise(&path, None).unwrap();
    assert_eq!(mode(&path.join("private")), 0o700);
    assert_eq!(payload_of(&path, 1), b"x");
}

#[test]
fn a_dead_writers_temporary_file_is_no_obstacle() {
    let (_parent, path, spool) = fresh();
    fs::write(path.join(format!(".{}.tmp", id(1))), b"half a rec").unwrap();
    spool.replace_with_full((id(1), false), b"full").unwrap();
    assert_eq!(payload_of(&path, 1), b"full");
    assert_eq!(Reader::open(&path).unwrap().list().unwrap().temporaries, 0);
}

#[test]
fn a_file_read_by_path_is_judged_like_any_other() {
    let (_parent, path, spool) = fresh();
    spool.replace_with_full((id(1), false), b"full").unwrap();
    let file = path.join(id(1).file_name());
    assert!(
        matches!(read_file(&file), RecordStatus::Valid { header, .. } if header.full && header.id == id(1))
    );
    assert_eq!(read_file(&path.join("nothing")), RecordStatus::Gone);
    assert_eq!(read_file(&path), RecordStatus::Refused(Refusal::NotRegular));
    assert_eq!(read_file(Path::new("/etc/passwd")), RecordStatus::Corrupted(Damage::Magic));
    assert_eq!(fs::metadata(&file).unwrap().len(), HEADER as u64 + 4);
}
