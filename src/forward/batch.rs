//! Items become one request body, bounded in number and bytes.
//!
//! What it gives: [`Packer`], which takes items until a batch is full, and
//! [`encode`], which writes the batch of docs/wire-protocol.md as zstd in one
//! pass: the uncompressed batch never lies in memory beside its items. Halving
//! is a matter of slices ([`deliver`](super::deliver)). Limits: the two of the
//! configuration; one item always fits, or it would never leave.

use serde::Serialize;
use serde_bytes::Bytes;

use crate::wire::{ItemKind, PROTOCOL, Sender};

/// Level of zstd: the bodies are packed already, what is left are ids. The
/// negative levels leave literals as they are, whose entropy coding is most of
/// what level 1 spends on a batch.
const LEVEL: i32 = -3;
/// What an item costs beside its body: keys, id, kind and lengths are 43
/// bytes.
const ITEM: usize = 48;
/// What a batch costs beside its items, generously: names and ids.
const ENVELOPE: usize = 1024;

/// One item, ready to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    /// Its id.
    pub id: [u8; 16],
    /// What it is.
    pub kind: ItemKind,
    /// Redacted MessagePack, packed ([`wire::pack`](crate::wire::pack)).
    pub body: Vec<u8>,
}

/// A batch being filled.
#[derive(Debug)]
pub struct Packer {
    items: Vec<Packed>,
    bytes: usize,
    most_items: usize,
    most_bytes: usize,
}

impl Packer {
    /// For batches of at most so many items and bytes (before compression).
    pub fn new(most_items: usize, most_bytes: usize) -> Packer {
        Packer { items: Vec::new(), bytes: ENVELOPE, most_items, most_bytes }
    }

    /// Adds an item, or gives it back when the batch is full. The first one
    /// always fits.
    pub fn push(&mut self, item: Packed) -> Result<(), Packed> {
        let bytes = self.bytes.saturating_add(item.body.len()).saturating_add(ITEM);
        let full = self.items.len() >= self.most_items || bytes > self.most_bytes;
        if full && !self.items.is_empty() {
            return Err(item);
        }
        self.bytes = bytes;
        self.items.push(item);
        Ok(())
    }

    /// What was packed.
    pub fn items(&self) -> &[Packed] {
        &self.items
    }

    /// The same, to keep.
    pub fn into_items(self) -> Vec<Packed> {
        self.items
    }
}

/// [`wire::Batch`](crate::wire::Batch), borrowed.
#[derive(Serialize)]
struct Envelope<'a> {
    v: u16,
    from: &'a Sender,
    at: u64,
    items: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    id: &'a Bytes,
    kind: ItemKind,
    body: &'a Bytes,
}

impl<'a> Row<'a> {
    fn of(item: &'a Packed) -> Row<'a> {
        Row { id: Bytes::new(&item.id), kind: item.kind, body: Bytes::new(&item.body) }
    }
}

/// The request body: zstd of the MessagePack of a batch. `at` is the clock of
/// this host, nanoseconds.
pub fn encode(from: &Sender, at: u64, items: &[Packed]) -> std::io::Result<Vec<u8>> {
    let envelope = Envelope { v: PROTOCOL, from, at, items: items.iter().map(Row::of).collect() };
    let mut length = Length(0);
    rmp_serde::encode::write_named(&mut length, &envelope).map_err(std::io::Error::other)?;
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), LEVEL)?;
    // The frame says its size: the collector admits so much memory, and not what
    // a batch may have at most.
    encoder.set_pledged_src_size(Some(length.0))?;
    rmp_serde::encode::write_named(&mut encoder, &envelope).map_err(std::io::Error::other)?;
    encoder.finish()
}

/// Counts what is written and keeps nothing.
struct Length(u64);

impl std::io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len() as u64);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Batch;
    use proptest::prelude::*;

    fn item(n: u8, size: usize) -> Packed {
        Packed { id: [n; 16], kind: ItemKind::Crash, body: vec![n; size] }
    }

    #[test]
    fn what_is_sent_is_the_batch_of_the_protocol() {
        let from = Sender { name: "web-1".into(), version: "1".into(), ..Sender::default() };
        let items = [item(1, 10), Packed { kind: ItemKind::Exposure, ..item(2, 0) }];
        let body = encode(&from, 42, &items).unwrap();
        let plain = zstd::decode_all(body.as_slice()).unwrap();
        let batch: Batch = rmp_serde::from_slice(&plain).unwrap();
        assert_eq!((batch.v, batch.from.clone(), batch.at), (PROTOCOL, from, 42));
        for (sent, item) in batch.items.iter().zip(&items) {
            assert_eq!((&sent.id.0[..], sent.kind, &sent.body), (&item.id[..], item.kind, &item.body));
        }
        assert_eq!(rmp_serde::to_vec_named(&batch).unwrap(), plain);
    }

    /// A frame without its size was admitted as the largest that there may be: a
    /// collector took one batch at a time.
    #[test]
    fn a_batch_says_how_large_it_is() {
        for items in [&[][..], &[item(1, 0)], &[item(1, 300_000), item(2, 5)]] {
            let body = encode(&Sender::default(), 42, items).unwrap();
            let plain = zstd::decode_all(body.as_slice()).unwrap().len() as u64;
            assert_eq!(zstd::zstd_safe::get_frame_content_size(&body).unwrap(), Some(plain));
        }
    }

    #[test]
    fn one_item_always_fits() {
        let mut packer = Packer::new(1, 10);
        assert_eq!(packer.push(item(1, 5000)), Ok(()));
        assert_eq!(packer.push(item(2, 0)), Err(item(2, 0)));
    }

    proptest! {
        #[test]
        fn no_batch_is_larger_than_it_may_be(
            sizes in proptest::collection::vec(0usize..3000, 1..60),
            most_items in 1usize..40,
            most_bytes in 5000usize..40_000,
        ) {
            let mut packer = Packer::new(most_items, most_bytes);
            for size in sizes {
                let _ = packer.push(item(1, size));
            }
            let body = encode(&Sender::default(), 0, packer.items()).unwrap();
            let plain = zstd::decode_all(body.as_slice()).unwrap();
            prop_assert!(packer.items().len() <= most_items);
            prop_assert!(plain.len() <= most_bytes);
        }
    }
}
