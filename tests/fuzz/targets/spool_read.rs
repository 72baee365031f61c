//! A spool that crashed, was copied, or was tampered with (`spool::Reader`,
//! `spool::Spool`, `spool::Header`).
//!
//! Input: files, each a byte of name, a byte of options (1: its header gets a
//! checksum that holds; 2: its payload, too; 4: in the private part), a length of
//! 16 bits, bytes. Beside "no crash": a listing is in order and each entry once; a
//! file that is valid has the id of its name and is framed as it was; reading
//! changes nothing; what makes room keeps the newest and ends within its quota.
#![cfg_attr(fuzzing, no_main)]

#[path = "common.rs"]
mod common;
#[path = "scratch.rs"]
mod scratch;

use std::collections::BTreeSet;
use std::path::Path;

use epicore::limits;
use epicore::spool::{Header, Quota, Reader, RecordId, RecordStatus, Retention, Spool, read_file};

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

/// The spool's own files, which are text or tables of its own.
const OWN: [&str; 7] = [".tally", ".evicted", ".refusals", ".audit", ".audit.1", ".forwarder", "../stranger"];

pub fn run(data: &[u8]) {
    let place = scratch::empty("spool").join("spool");
    epicore::spool::initialise(&place, None).expect("a spool");
    let mut input = common::Input(data);
    for _ in 0..12 {
        if input.0.is_empty() {
            break;
        }
        let (name, options) = (input.u8(), input.u8());
        let bytes = input.counted().to_vec();
        let directory = if options & 4 == 0 { place.clone() } else { place.join("private") };
        std::fs::write(directory.join(named(name)), summed(bytes, options)).expect("written");
    }
    let before = names(&place);
    reading(&place);
    assert_eq!(names(&place), before, "reading changes nothing");
    room(&place);
}

/// One of a few ids, kinds and states; or an own file; or a stranger.
fn named(name: u8) -> String {
    let id = RecordId([name & 3; 16]);
    match (name >> 2 & 7, name >> 5) {
        (0, own) => OWN.get(usize::from(own)).map_or("stranger".to_owned(), |own| (*own).replace("../", "")),
        (1, _) => format!(".{id}.tmp"),
        (2, state) => format!("{id}.exp{}", ["", ".sent", ".refused"][usize::from(state % 3)]),
        (_, state) => format!("{id}.rec{}", ["", "", ".sent", ".refused"][usize::from(state % 4)]),
    }
}

/// With checksums that hold.
fn summed(mut bytes: Vec<u8>, options: u8) -> Vec<u8> {
    if options & 2 != 0 && bytes.len() >= 64 {
        let (length, sum) = ((bytes.len() - 64) as u32, crc32c::crc32c(&bytes[64..]));
        bytes[0x20..0x24].copy_from_slice(&length.to_le_bytes());
        bytes[0x24..0x28].copy_from_slice(&sum.to_le_bytes());
    }
    if options & 1 != 0 && bytes.len() >= 64 {
        let sum = crc32c::crc32c(&bytes[..60]);
        bytes[60..64].copy_from_slice(&sum.to_le_bytes());
    }
    bytes
}

fn names(place: &Path) -> BTreeSet<std::ffi::OsString> {
    let list =
        |place: &Path| std::fs::read_dir(place).expect("listed").flatten().map(|entry| entry.file_name());
    list(place).chain(list(&place.join("private"))).collect()
}

fn reading(place: &Path) {
    let reader = Reader::open(place).expect("opened");
    let listing = reader.list().expect("listed");
    for entries in [&listing.entries, &listing.exposures] {
        assert!(entries.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(
            entries.windows(2).all(|pair| (pair[0].id, pair[0].private) != (pair[1].id, pair[1].private))
        );
    }
    for entry in &listing.entries {
        if let RecordStatus::Valid { header, payload } = reader.read(entry) {
            assert_eq!(header.id, entry.id);
            valid(header, &payload);
        }
        assert!(reader.find(&entry.id.to_string()).is_ok() || listing.entries.len() > 1);
    }
    let pending = reader.pending(3).expect("listed");
    assert!(pending.items.len() <= 3 && pending.items.is_sorted());
    for item in &pending.items {
        if let RecordStatus::Valid { header, payload } = reader.read_item(item) {
            assert_eq!(header.id, item.id);
            valid(header, &payload);
        }
        let path = if item.private { place.join("private") } else { place.to_owned() };
        let _ = read_file(&path.join(item.file_name()));
    }
    let _ = (reader.find("last"), reader.find("0"), reader.find("é"));
    assert!(reader.audit(5).is_ok_and(|lines| lines.len() <= 5));
    let _ = (reader.refusals(), reader.evicted());
}

fn valid(header: Header, payload: &[u8]) {
    assert!(payload.len() <= limits::SPOOL_PAYLOAD);
    let frame = header.frame(payload).expect("framed");
    assert_eq!(Header::open(&frame), Ok((header, payload)));
    assert_eq!(Header::peek(&frame), Ok(header));
}

fn room(place: &Path) {
    let spool = Spool::open(place).expect("opened");
    let newest = RecordId([2; 16]);
    let quota = Quota { bytes: 3 * limits::SPOOL_BLOCK, records: 2 };
    let there = |name: &str| names(place).contains(std::ffi::OsStr::new(name));
    let kept = there(&newest.file_name());
    let made = spool.make_room(quota, newest).expect("made room");
    // All files of the newest stay, should somebody have put it there in every state.
    let own = |part: &Path| {
        let names = std::fs::read_dir(part).expect("listed").flatten().map(|entry| entry.file_name());
        let begin = format!("{newest}.rec");
        names.filter(|name| name.to_str().is_some_and(|name| name.starts_with(&begin))).count() as u64
    };
    let most = (own(place) + own(&place.join("private"))).max(3);
    assert!(!made.counted || made.left <= most, "{made:?}");
    assert_eq!(there(&newest.file_name()), kept, "the newest stays");
    let _ = spool.retry_refused().expect("tried again");
    let retained = spool.retain(&Retention { quota, ..Retention::default() }).expect("retained");
    assert!(retained.left <= 2, "{retained:?}");
    reading(place);
}
