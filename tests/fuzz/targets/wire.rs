//! The network: a batch at the collector (`collector`), packed bodies
//! (`wire::pack`), and what a collector answers a host (`forward::deliver`).
//!
//! Input: a byte that says which, then its bytes: 0 a batch of MessagePack, 1 of
//! zstd, 2 what becomes a batch of zstd, 3 a packed body, 4 what becomes one, 5
//! the body of an answer, behind a status and the number of items. Beside "no
//! crash": a batch is the same with and without its compression; an item that is
//! taken has sixteen bytes of id and a body within the limit; unpacking ends at
//! the size of a record; each item has one fate, and none is settled by an answer
//! that does not name it.
#![cfg_attr(fuzzing, no_main)]

#[path = "common.rs"]
mod common;

use epicore::collector::fuzzing::{Items, batch};
use epicore::forward::{Fate, Packed, Reply, deliver};
use epicore::limits;
use epicore::wire::pack;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

pub fn run(data: &[u8]) {
    let mut input = common::Input(data);
    match input.u8() % 6 {
        0 => items(&batch(input.0, false, true)),
        1 => {
            items(&batch(input.0, true, true));
            items(&batch(input.0, true, false));
        }
        2 => {
            let plain = batch(input.0, false, true);
            let zstd = zstd::bulk::compress(input.0, 1).expect("compressed");
            assert_eq!(batch(&zstd, true, true), plain);
        }
        3 => unpacked(input.0),
        4 => {
            let packed = pack::pack(input.0);
            assert!(pack::is_packed(&packed) && packed.len() <= input.0.len() + 1);
            if input.0.len() <= limits::RECORD_BYTES {
                assert_eq!(pack::unpack(&packed).as_deref(), Ok(input.0));
            }
        }
        _ => answer(&mut input),
    }
}

fn items(items: &Items) {
    for (id, item) in items.iter().flatten() {
        if let Ok((_, body)) = item {
            assert_eq!(id.len(), 16);
            assert!(body.len() <= limits::RECORD_BYTES + 1, "{} bytes", body.len());
            unpacked(body);
        }
    }
}

fn unpacked(body: &[u8]) {
    assert!(pack::size(body) <= limits::RECORD_BYTES);
    if let Ok(bytes) = pack::unpack(body) {
        assert!(bytes.len() <= limits::RECORD_BYTES && pack::is_packed(body));
    }
}

fn answer(input: &mut common::Input<'_>) {
    let status = [200, 200, 400, 413, 426, 503][usize::from(input.u8() % 6)];
    let count = input.u8() % 8;
    let sent: Vec<Packed> = (0..count).map(|id| Packed { id: [id; 16], ..Packed::default() }).collect();
    let (body, mut posts) = (input.0.to_vec(), 0);
    let delivery = deliver(&sent, &mut |part| {
        posts += 1;
        assert!(!part.is_empty());
        Ok(Reply { status, body: body.clone(), ..Reply::default() })
    });
    assert!(posts <= 2 * sent.len());
    assert_eq!(delivery.fates.len(), sent.len());
    for (fate, item) in delivery.fates.iter().zip(&sent) {
        let named = body.windows(16).any(|window| window == item.id);
        assert!(named || !matches!(fate, Fate::Stored | Fate::Duplicate));
    }
}
