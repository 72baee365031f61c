//! The spool's promises to readers: order, selection, and damage as data.

use std::fs;
use std::os::unix::fs::symlink;

use epicore::limits;
use epicore::spool::{Damage, Entry, Header, NotOne, Reader, RecordId, RecordStatus, Refusal, State};
use proptest::prelude::*;

#[path = "support/spool.rs"]
mod support;
use support::{fresh, id, numbers};

fn entry(n: u64) -> Entry {
    Entry { id: id(n), private: false, state: State::Pending }
}

#[test]
fn records_are_listed_by_time_whichever_part_they_lie_in() {
    let (_parent, path, spool) = fresh();
    for n in [5, 1, 4, 2, 3] {
        spool.write_minimal((id(n), n % 2 == 0), b"x").unwrap();
    }
    assert_eq!(numbers(&path), [1, 2, 3, 4, 5]);
    assert_eq!(Reader::open(&path).unwrap().find("last").unwrap(), entry(5));
}

#[test]
fn a_record_is_found_by_id_by_its_first_digits_and_by_its_last() {
    let (_parent, path, spool) = fresh();
    let other = RecordId([0xee; 16]);
    spool.write_minimal((id(1), false), b"x").unwrap();
    spool.write_minimal((id(2), false), b"x").unwrap();
    spool.write_minimal((other, true), b"x").unwrap();
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.find(&id(1).to_string()), Ok(entry(1)));
    assert_eq!(reader.find("018F0000-0001"), Ok(entry(1)));
    assert_eq!(reader.find("eeee"), Ok(Entry { id: other, private: true, state: State::Pending }));
    assert_eq!(reader.find("018f"), Err(NotOne::Several(vec![entry(1), entry(2)])));
    assert_eq!(reader.find("00000001"), Err(NotOne::Several(vec![entry(1), entry(2)])));
    assert_eq!(reader.find("abc"), Err(NotOne::None));
    for malformed in ["", "-", "../etc", "last ", "x", &"0".repeat(33)] {
        assert_eq!(reader.find(malformed), Err(NotOne::Malformed), "{malformed:?}");
    }
    assert_eq!(reader.find("last").map(|entry| entry.id), Ok(other));
}

#[test]
fn the_last_of_an_empty_spool_is_none() {
    let (_parent, path, _spool) = fresh();
    assert_eq!(Reader::open(&path).unwrap().find("last"), Err(NotOne::None));
}

#[test]
fn reader_reports_a_corrupted_record_and_continues() {
    let (_parent, path, spool) = fresh();
    for n in 1..=3 {
        spool.write_minimal((id(n), false), b"payload").unwrap();
    }
    let second = path.join(id(2).file_name());
    let mut bytes = fs::read(&second).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&second, bytes).unwrap();
    let reader = Reader::open(&path).unwrap();
    let read: Vec<_> = reader.list().unwrap().entries.iter().map(|entry| reader.read(entry)).collect();
    assert!(matches!(read[0], RecordStatus::Valid { .. }));
    assert_eq!(read[1], RecordStatus::Corrupted(Damage::PayloadChecksum));
    assert!(matches!(read[2], RecordStatus::Valid { .. }));
}

/// A minimal record is not synced: a power cut may leave its name and no bytes.
#[test]
fn a_name_without_bytes_is_corrupted_and_not_an_error() {
    let (_parent, path, _spool) = fresh();
    fs::write(path.join(id(1).file_name()), b"").unwrap();
    assert_eq!(Reader::open(&path).unwrap().read(&entry(1)), RecordStatus::Corrupted(Damage::Empty));
}

#[test]
fn a_record_copied_to_another_name_is_corrupted() {
    let (_parent, path, spool) = fresh();
    spool.write_minimal((id(1), false), b"x").unwrap();
    fs::copy(path.join(id(1).file_name()), path.join(id(2).file_name())).unwrap();
    assert_eq!(Reader::open(&path).unwrap().read(&entry(2)), RecordStatus::Corrupted(Damage::OtherId));
}

#[test]
fn what_is_not_a_plain_file_is_refused_without_reading_it() {
    let (_parent, path, spool) = fresh();
    let at = |n| path.join(id(n).file_name());
    symlink("/etc/shadow", at(1)).unwrap();
    nix::unistd::mkfifo(&at(2), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::create_dir(at(3)).unwrap();
    spool.write_minimal((id(4), false), b"x").unwrap();
    fs::hard_link(at(4), path.join("second name")).unwrap();
    let size = (limits::SPOOL_PAYLOAD + limits::SPOOL_HEADER) as u64 + 1;
    fs::File::create(at(5)).unwrap().set_len(size).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at(6)).unwrap();

    let reader = Reader::open(&path).unwrap();
    let refusal = |n| match reader.read(&entry(n)) {
        RecordStatus::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    };
    assert_eq!(refusal(1), Refusal::Symlink);
    assert_eq!(refusal(2), Refusal::NotRegular);
    assert_eq!(refusal(3), Refusal::NotRegular);
    assert_eq!(refusal(4), Refusal::HardLinked);
    assert_eq!(refusal(5), Refusal::Oversize(size));
    assert_eq!(refusal(6), Refusal::NotRegular);
    let listing = reader.list().unwrap();
    assert_eq!((listing.entries.len(), listing.strangers), (6, 1));
}

#[test]
fn a_record_that_vanished_since_it_was_listed_is_gone() {
    let (_parent, path, spool) = fresh();
    spool.write_minimal((id(1), false), b"x").unwrap();
    let reader = Reader::open(&path).unwrap();
    spool.remove(&entry(1)).unwrap();
    spool.remove(&entry(1)).unwrap();
    assert_eq!(reader.read(&entry(1)), RecordStatus::Gone);
}

#[test]
fn a_later_header_that_is_longer_is_still_read() {
    let payload = b"from the future";
    let mut file = Header { id: id(1), full: true, ..Header::default() }.frame(payload).unwrap();
    let mut longer = file.split_off(64);
    file.truncate(60);
    file[10] = 80;
    file.extend_from_slice(&[9; 16]);
    let sum = crc32c::crc32c(&file);
    file.extend_from_slice(&sum.to_le_bytes());
    file.append(&mut longer);
    assert_eq!(Header::open(&file).map(|(_, payload)| payload), Ok(&payload[..]));
}

#[test]
fn ten_thousand_records_are_listed_quickly() {
    let (_parent, path, spool) = fresh();
    for n in 0..10_000 {
        fs::write(path.join(id(n).file_name()), b"").unwrap();
    }
    let reader = Reader::of(&spool).unwrap();
    let begun = std::time::Instant::now();
    let count = reader.list().unwrap().entries.len();
    println!("10,000 records listed in {:?}", begun.elapsed());
    assert_eq!(count, 10_000);
    let begun = std::time::Instant::now();
    reader.entries_read(&reader.list().unwrap().entries);
    println!("and read in {:?}", begun.elapsed());
}

trait ReadAll {
    fn entries_read(&self, entries: &[Entry]);
}

impl ReadAll for Reader {
    fn entries_read(&self, entries: &[Entry]) {
        entries.iter().for_each(|entry| drop(self.read(entry)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_judged_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Header::open(&bytes).is_err());
    }

    #[test]
    fn a_whole_file_with_any_damage_is_corrupted(
        payload in prop::collection::vec(any::<u8>(), 0..300),
        at in any::<prop::sample::Index>(),
        flip in 1u8..,
        cut in any::<prop::sample::Index>(),
    ) {
        let file = Header { id: id(1), full: true, ..Header::default() }.frame(&payload).unwrap();
        let mut flipped = file.clone();
        flipped[at.index(file.len())] ^= flip;
        prop_assert!(Header::open(&flipped).is_err());
        prop_assert!(Header::open(&file[..cut.index(file.len())]).is_err());
        let mut longer = file.clone();
        longer.push(flip);
        prop_assert_eq!(Header::open(&longer), Err(Damage::TrailingBytes));
    }

    /// The header's own checksum may be made to fit by whoever writes the file.
    #[test]
    fn a_header_that_lies_with_a_right_checksum_is_no_panic(
        fields in prop::collection::vec(any::<u8>(), 54),
        payload in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut file = Header::default().frame(b"").unwrap();
        file[10..60].copy_from_slice(&fields[..50]);
        let sum = crc32c::crc32c(&file[..60]);
        file[60..64].copy_from_slice(&sum.to_le_bytes());
        file.extend_from_slice(&payload);
        let _ = Header::open(&file);
    }
}
