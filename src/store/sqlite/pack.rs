//! A record's bytes, packed: one byte that says how, then the bytes.
//!
//! 0 plain, 1 zstd, 2 zstd under the dictionary of this program. A record is a
//! few KiB whose keys, units and library names every other record has too,
//! and zstd alone sees one at a time. A dictionary is never changed, only
//! joined by another under a new number: old rows must stay readable.

use std::cell::RefCell;
use std::sync::LazyLock;

use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};

use crate::limits;
use crate::store::StoreError;

const PLAIN: u8 = 0;
const ZSTD: u8 = 1;
const DICTIONARY_1: u8 = 2;

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
}

/// Packs; what does not get smaller stays plain.
pub(super) fn pack(bytes: &[u8]) -> Vec<u8> {
    let packed = COMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = Compressor::with_prepared_dictionary(&ENCODER).ok();
        }
        slot.as_mut()?.compress(bytes).ok()
    });
    match packed {
        Some(mut packed) if packed.len() < bytes.len() => {
            packed.insert(0, DICTIONARY_1);
            packed
        }
        _ => [&[PLAIN], bytes].concat(),
    }
}

/// Unpacks, up to the size of a record.
pub(super) fn unpack(packed: &[u8]) -> Result<Vec<u8>, StoreError> {
    let broken = |why: String| StoreError::Broken(format!("a stored record cannot be unpacked: {why}"));
    let open = |made: std::io::Result<Decompressor<'_>>, bytes: &[u8]| {
        made.and_then(|mut it| it.decompress(bytes, limits::RECORD_BYTES)).map_err(|e| broken(e.to_string()))
    };
    match packed.split_first() {
        Some((&PLAIN, bytes)) => Ok(bytes.to_vec()),
        Some((&ZSTD, bytes)) => open(Decompressor::new(), bytes),
        Some((&DICTIONARY_1, bytes)) => open(Decompressor::with_prepared_dictionary(&DECODER), bytes),
        Some((how, _)) => Err(broken(format!("packed by a newer version ({how})"))),
        None => Err(broken("nothing there".to_owned())),
    }
}
