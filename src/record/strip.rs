//! A record without some of its keys, the others byte for byte.
//!
//! Decoding and encoding a record costs fifty times as much as walking over
//! it, and a daemon that forwards ten thousand of them pays for each. So the
//! top level is walked: a key that this version does not know, or that the
//! caller does not want, is left out with its value; the rest is copied.
//! What it trusts: nothing. Every length is held against the bytes that are
//! there, nothing recurses, and what is not one whole MessagePack map with
//! text keys is [`DecodeError::Malformed`].

use super::DecodeError;
use crate::limits;

/// The keys of a record, as [`super::Record`] names them.
const KEYS: [&str; 21] = [
    "v", "id", "kind", "priv", "at", "bt", "host", "crash", "proc", "th", "regs", "rcls", "mod", "st",
    "keys", "flt", "hw", "hwid", "storm", "cap", "gaps",
];

/// What is left of a record, and what its reader must know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stripped {
    /// The record, as MessagePack.
    pub bytes: Vec<u8>,
    /// Its schema version; 0 when it has none.
    pub v: u64,
    /// It is of a privileged process.
    pub private: bool,
    /// The host that it names.
    pub host: Option<String>,
}

/// Leaves out the keys of `without` and those that this version does not know.
pub fn strip(bytes: &[u8], without: &[&str]) -> Result<Stripped, DecodeError> {
    if bytes.len() > limits::RECORD_BYTES {
        return Err(DecodeError::TooLarge(bytes.len()));
    }
    walk(bytes, without).ok_or_else(|| DecodeError::Malformed("not a whole map of MessagePack".to_owned()))
}

fn walk(bytes: &[u8], without: &[&str]) -> Option<Stripped> {
    let mut rest = bytes;
    let entries = map(&mut rest)?;
    // A record has fewer keys than a map16 counts.
    let mut stripped = Stripped { bytes: Vec::new(), v: 0, private: false, host: None };
    stripped.bytes.reserve_exact(bytes.len().saturating_add(3));
    stripped.bytes.extend_from_slice(&[0xde, 0, 0]);
    let mut kept = 0u16;
    for _ in 0..entries {
        let entry = rest;
        let key = text(&mut rest)?;
        let value = rest;
        skip(&mut rest)?;
        let length = |from: &[u8]| from.len().checked_sub(rest.len());
        let value = value.get(..length(value)?)?;
        match key {
            b"v" => stripped.v = stripped.v.max(number(value)?),
            b"priv" => stripped.private |= value != [0xc2],
            b"host" => stripped.host = name(value),
            _ => {}
        }
        let wanted = |known: &&str| known.as_bytes() == key && !without.contains(known);
        if KEYS.iter().any(wanted) {
            stripped.bytes.extend_from_slice(entry.get(..length(entry)?)?);
            kept = kept.checked_add(1)?;
        }
    }
    let [_, high, low, ..] = stripped.bytes.as_mut_slice() else { return None };
    [*high, *low] = kept.to_be_bytes();
    rest.is_empty().then_some(stripped)
}

/// The name in a record's `host`.
fn name(mut host: &[u8]) -> Option<String> {
    for _ in 0..map(&mut host)? {
        match text(&mut host)? {
            b"name" => return text(&mut host).map(|name| String::from_utf8_lossy(name).into_owned()),
            _ => skip(&mut host)?,
        }
    }
    None
}

/// How many keys a map has.
fn map(rest: &mut &[u8]) -> Option<u64> {
    if !matches!(rest.first()?, 0x80..=0x8f | 0xde | 0xdf) {
        return None;
    }
    head(rest)?.children.checked_div(2)
}

/// A value's first bytes: how many bytes and how many values follow.
struct Head {
    bytes: u64,
    children: u64,
}

/// Reads them (the MessagePack specification's table of formats).
fn head(rest: &mut &[u8]) -> Option<Head> {
    let (marker, after) = rest.split_first()?;
    *rest = after;
    let leaf = |bytes: u64| Some(Head { bytes, children: 0 });
    let many = |children: u64| Some(Head { bytes: 0, children });
    match *marker {
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => leaf(0),
        0x80..=0x8f => many(u64::from(marker & 0x0f).checked_mul(2)?),
        0x90..=0x9f => many(u64::from(marker & 0x0f)),
        0xa0..=0xbf => leaf(u64::from(marker & 0x1f)),
        0xc1 => None,
        0xc4 | 0xd9 => leaf(length(rest, 1)?),
        0xc5 | 0xda => leaf(length(rest, 2)?),
        0xc6 | 0xdb => leaf(length(rest, 4)?),
        0xc7 => leaf(length(rest, 1)?.checked_add(1)?),
        0xc8 => leaf(length(rest, 2)?.checked_add(1)?),
        0xc9 => leaf(length(rest, 4)?.checked_add(1)?),
        0xcc | 0xd0 => leaf(1),
        0xcd | 0xd1 | 0xd4 => leaf(2),
        0xd5 => leaf(3),
        0xca | 0xce | 0xd2 => leaf(4),
        0xd6 => leaf(5),
        0xcb | 0xcf | 0xd3 => leaf(8),
        0xd7 => leaf(9),
        0xd8 => leaf(17),
        0xdc => many(length(rest, 2)?),
        0xdd => many(length(rest, 4)?),
        0xde => many(length(rest, 2)?.checked_mul(2)?),
        0xdf => many(length(rest, 4)?.checked_mul(2)?),
    }
}

/// A big-endian length of one, two or four bytes.
fn length(rest: &mut &[u8], bytes: usize) -> Option<u64> {
    let (length, after) = rest.split_at_checked(bytes)?;
    *rest = after;
    Some(length.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

/// Passes over one value and all that is in it.
fn skip(rest: &mut &[u8]) -> Option<()> {
    let mut pending = 1u64;
    while let Some(left) = pending.checked_sub(1) {
        let head = head(rest)?;
        pending = left.checked_add(head.children)?;
        *rest = rest.get(usize::try_from(head.bytes).ok()?..)?;
    }
    Some(())
}

/// A text that is a key.
fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    if !matches!(rest.first()?, 0xa0..=0xbf | 0xd9..=0xdb) {
        return None;
    }
    let head = head(rest)?;
    let (text, after) = rest.split_at_checked(usize::try_from(head.bytes).ok()?)?;
    *rest = after;
    Some(text)
}

/// A whole number that is not negative.
fn number(value: &[u8]) -> Option<u64> {
    match value.split_first()? {
        (marker @ 0x00..=0x7f, _) => Some(u64::from(*marker)),
        (0xcc..=0xcf, digits) => Some(digits.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Hex, Id, Record, RegisterClasses, Registers, SCHEMA, decode, encode};

    fn record() -> Record {
        let mut record = Record { v: SCHEMA, id: Id(vec![7; 16]), private: true, ..Record::default() };
        record.process.comm = Some("x".repeat(300));
        record.registers = vec![Registers { tid: 1, values: vec![Hex(u64::MAX); 27] }];
        record.register_classes = RegisterClasses { low: vec![4095; 27], ..RegisterClasses::default() };
        record
    }

    #[test]
    fn what_is_left_is_the_record_without_those_keys() {
        let whole = encode(&record()).unwrap();
        let same = strip(&whole, &[]).unwrap();
        assert_eq!((decode(&same.bytes).unwrap(), same.v, same.private), (record(), u64::from(SCHEMA), true));
        let less = decode(&strip(&whole, &["regs", "rcls"]).unwrap().bytes).unwrap();
        assert_eq!(
            less,
            Record { registers: vec![], register_classes: RegisterClasses::default(), ..record() }
        );
    }

    #[test]
    fn a_key_that_nobody_knows_stays_behind_however_it_is_nested() {
        let secret =
            [&[0x82, 0xa1, b'v', 1, 0xa4][..], b"newk", &[0x92, 0x81, 0xc0, 0xc4, 2, 1, 2, 0xcb]].concat();
        let secret = [secret, vec![0; 8]].concat();
        assert_eq!(strip(&secret, &[]).unwrap().bytes, [0xde, 0, 1, 0xa1, b'v', 1]);
    }

    #[test]
    fn the_host_that_a_record_names_is_told_whatever_stands_before_the_name() {
        let mut record = record();
        assert_eq!(strip(&encode(&record).unwrap(), &[]).unwrap().host, None);
        record.host.name = Some("web-1".into());
        record.host.kernel = Some("6.18".into());
        assert_eq!(strip(&encode(&record).unwrap(), &["regs"]).unwrap().host.as_deref(), Some("web-1"));
        let other = b"\x81\xa4host\x82\xa4kern\x81\xa4name\xa1x\xa4name\xa5web-2";
        assert_eq!(strip(other, &[]).unwrap().host.as_deref(), Some("web-2"));
        for odd in [&b"\x81\xa4host\xc0"[..], b"\x81\xa4host\x81\xa4name\xc0", b"\x81\xa4host\x81\x01\x02"] {
            assert_eq!(strip(odd, &[]).unwrap().host, None);
        }
    }

    #[test]
    fn every_key_of_a_record_is_known_here() {
        let shown = serde_json::to_value(crate::record::Record::default()).unwrap();
        assert!(shown.as_object().unwrap().keys().all(|key| KEYS.contains(&key.as_str())));
        let schema = include_str!("schema.rs");
        let fields = schema.split_once("pub struct Record {").unwrap().1.split_once("\n}").unwrap().0;
        let named = |field: &str| {
            fields.contains(&format!("rename = \"{field}\"")) || fields.contains(&format!("pub {field}:"))
        };
        assert!(KEYS.iter().all(|key| named(key)), "a key that no record has");
        assert_eq!(fields.matches("    pub ").count(), KEYS.len(), "a key that is not known here");
    }

    #[test]
    fn cut_flipped_and_invented_bytes_are_no_panic() {
        let whole = encode(&record()).unwrap();
        for end in 0..whole.len() {
            assert!(strip(&whole[..end], &[]).is_err());
        }
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let _ = strip(&bytes, &["regs"]);
        }
        for bytes in [
            &[0xdf, 0xff, 0xff, 0xff, 0xff][..],
            &[0x81, 0xa1, b'v', 0xdd, 0xff, 0xff, 0xff, 0xff],
            &[0x90],
            &[],
        ] {
            assert!(strip(bytes, &[]).is_err());
        }
    }
}
