//! A body, packed: one byte that says how, then the bytes.
//!
//! 0 plain, 1 zstd, 2 zstd under the dictionary of this program. A record is a
//! few KiB whose keys, units and library names every other record has too,
//! and zstd alone sees one at a time. The host packs and the collector stores
//! what it was sent, once it has unpacked and read it: packing a record is the
//! dearest step on its way, and is done once, where there are most processors.
//!
//! No MessagePack map begins with these bytes, so a body says itself which of
//! both it is ([`is_packed`]). A dictionary is never changed, only joined by
//! another under a new number: old rows must stay readable. What it trusts:
//! nothing; unpacking ends at the size of a record.

use std::cell::RefCell;
use std::io::Cursor;
use std::sync::LazyLock;

use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};

use crate::limits;

const PLAIN: u8 = 0;
const ZSTD: u8 = 1;
const DICTIONARY_1: u8 = 2;
/// Ways that there may ever be.
const WAYS: u8 = 0x10;

/// Trained on the tests' cores, replayed and enlarged as benches/store does.
static FIRST: &[u8] = include_bytes!("record.dict");
/// Level 1: with the dictionary level 3 makes records 2 to 8 per cent smaller
/// (benches/store --train), and packing is on the way of every batch.
const LEVEL: i32 = 1;

static ENCODER: LazyLock<EncoderDictionary<'static>> =
    LazyLock::new(|| EncoderDictionary::copy(FIRST, LEVEL));
static DECODER: LazyLock<DecoderDictionary<'static>> = LazyLock::new(|| DecoderDictionary::copy(FIRST));

thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static PLAINLY: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
    static KNOWINGLY: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Packs; what does not get smaller stays plain.
pub fn pack(bytes: &[u8]) -> Vec<u8> {
    let packed = COMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = Compressor::with_prepared_dictionary(&ENCODER).ok();
        }
        // Behind the first byte, so that nothing is moved.
        let mut packed = vec![DICTIONARY_1];
        packed.reserve_exact(zstd::zstd_safe::compress_bound(bytes.len()));
        let mut behind = Cursor::new(packed);
        behind.set_position(1);
        slot.as_mut()?.compress_to_buffer(bytes, &mut behind).ok()?;
        Some(behind.into_inner())
    });
    match packed {
        Some(mut packed) if packed.len() <= bytes.len() => {
            packed.shrink_to_fit();
            packed
        }
        _ => [&[PLAIN], bytes].concat(),
    }
}

/// Why a packed body stays closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnpackError {
    /// Packed in a way that only a later version knows; its number.
    Newer(u8),
    /// Damaged, or larger than any record.
    Broken(String),
}

impl std::fmt::Display for UnpackError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            UnpackError::Newer(how) => write!(f, "packed by a later version ({how})"),
            UnpackError::Broken(why) => write!(f, "cannot be unpacked: {why}"),
        }
    }
}

impl std::error::Error for UnpackError {}

/// True for a packed body, of this or a later version; MessagePack's maps
/// begin with 0x80 to 0x8f, 0xde or 0xdf.
pub fn is_packed(body: &[u8]) -> bool {
    body.first().is_some_and(|how| *how < WAYS)
}

/// Bytes that a body has when it is unpacked, as it says; never more than a
/// record's, because unpacking ends there.
pub fn size(body: &[u8]) -> usize {
    let declared = match body.split_first() {
        Some((&(ZSTD | DICTIONARY_1), bytes)) => match zstd::zstd_safe::get_frame_content_size(bytes) {
            Ok(Some(size)) => usize::try_from(size).unwrap_or(usize::MAX),
            Ok(None) | Err(_) => usize::MAX,
        },
        _ => body.len(),
    };
    declared.min(limits::RECORD_BYTES)
}

/// Unpacks, up to the size of a record.
pub fn unpack(packed: &[u8]) -> Result<Vec<u8>, UnpackError> {
    match packed.split_first() {
        Some((&PLAIN, bytes)) if bytes.len() <= limits::RECORD_BYTES => Ok(bytes.to_vec()),
        Some((&PLAIN, bytes)) => Err(UnpackError::Broken(format!("{} bytes are too many", bytes.len()))),
        Some((&(ZSTD | DICTIONARY_1), [])) => Err(UnpackError::Broken("nothing there".to_owned())),
        Some((&ZSTD, bytes)) => inflate(&PLAINLY, Decompressor::new, bytes),
        Some((&DICTIONARY_1, bytes)) => {
            inflate(&KNOWINGLY, || Decompressor::with_prepared_dictionary(&DECODER), bytes)
        }
        Some((how, _)) => Err(UnpackError::Newer(*how)),
        None => Err(UnpackError::Broken("nothing there".to_owned())),
    }
}

type Slot = std::thread::LocalKey<RefCell<Option<Decompressor<'static>>>>;

/// With this thread's decompressor: making one costs more than using it.
fn inflate(
    slot: &'static Slot,
    make: impl FnOnce() -> std::io::Result<Decompressor<'static>>,
    bytes: &[u8],
) -> Result<Vec<u8>, UnpackError> {
    let broken = |error: std::io::Error| UnpackError::Broken(error.to_string());
    // The frame's own word sizes the buffer only below the limit.
    let declared = zstd::zstd_safe::get_frame_content_size(bytes).ok().flatten();
    let most = declared.and_then(|size| usize::try_from(size).ok()).unwrap_or(limits::RECORD_BYTES);
    if most > limits::RECORD_BYTES {
        return Err(UnpackError::Broken(format!("{most} bytes are too many")));
    }
    slot.with_borrow_mut(|slot| {
        let decompressor = match slot {
            Some(decompressor) => decompressor,
            None => slot.insert(make().map_err(broken)?),
        };
        decompressor.decompress(bytes, most).map_err(broken)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_is_unpacked_and_says_that_it_is_packed() {
        let text = b"unit server.service, unit server.service, unit server.service".repeat(40);
        for body in [&b""[..], &[0x80], &text, &vec![0x93; limits::RECORD_BYTES]] {
            let packed = pack(body);
            assert!(is_packed(&packed));
            assert_eq!(unpack(&packed).as_deref(), Ok(body));
            assert!(
                (body.len()..=body.len() + 1).contains(&size(&packed))
                    || size(&packed) == limits::RECORD_BYTES
            );
        }
        assert!(!is_packed(&[0x8b, 0xa1]) && !is_packed(&[0xde, 0, 20]) && !is_packed(&[]));
        assert_eq!(unpack(&[9, 1, 2]), Err(UnpackError::Newer(9)));
    }

    #[test]
    fn a_bomb_ends_at_the_size_of_a_record() {
        let zeros = vec![0; limits::RECORD_BYTES + 1];
        let told = [&[ZSTD][..], &zstd::bulk::compress(&zeros, 1).unwrap()].concat();
        let untold = [&[ZSTD][..], &zstd::encode_all(&zeros[..], 1).unwrap()].concat();
        for bomb in [told, untold, vec![ZSTD, 1, 2, 3], vec![DICTIONARY_1], vec![]] {
            assert!(matches!(unpack(&bomb), Err(UnpackError::Broken(_))));
        }
    }
}
