//! Compressed bytes → a batch, from a network that nobody vouches for.
//!
//! Nothing is sized by a number that was sent: zstd is streamed through a
//! counter, so that a bomb ends at the limit, and one that does not say its size
//! when there is no more memory; the list of items is cut while
//! it is read; a length of 2³² − 1 in front of nothing is an early end. What
//! one item has wrong (its size, id or kind) is that item's refusal, what the
//! batch has wrong is the batch's.

use std::io::Read;

use axum::http::StatusCode;
use serde::de::{DeserializeOwned, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::answer::Trouble;
use crate::limits;
use crate::record::Id;
use crate::wire::{ItemKind, PROTOCOL, Sender, pack};

/// Bytes of one batch after decompression.
pub(super) const UNPACKED: usize = 16 << 20;
/// Items of one batch.
const ITEMS: usize = 1000;
/// The largest zstd window: 2²³ = 8 MiB, which every level up to 19 keeps.
const WINDOW_LOG: u32 = 23;
/// The same in bytes.
const WINDOW: usize = 1 << WINDOW_LOG;
/// Maps and lists inside each other, of the batch itself.
const DEPTH: usize = 32;

/// A batch whose items have been looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(default, expecting = "a batch")]
pub(super) struct Unpacked {
    v: u16,
    /// Who speaks.
    pub(super) from: Sender,
    /// The sender's clock.
    pub(super) at: u64,
    items: Items,
}

/// One item, or why it is none.
#[derive(Debug)]
pub(super) struct Candidate {
    /// As it was sent.
    pub(super) id: Id,
    /// What it is, and its bytes.
    pub(super) item: Result<(ItemKind, Vec<u8>), String>,
}

/// Bytes that a frame which does not say its size is given first, by compressed
/// byte (bodies are packed already), and what it then asks for at a time.
const GUESS: usize = 2;
const MORE: usize = 256 << 10;

/// More memory, or why there is none.
pub(super) type More<'a> = dyn FnMut(usize) -> Result<(), Trouble> + 'a;

/// What `bytes` cost in memory before they are unpacked: the batch, as long as
/// it says it is, and zstd's window.
pub(super) fn cost(bytes: &[u8], compressed: bool) -> Result<usize, Trouble> {
    let content = content(bytes, compressed)?;
    Ok(content.saturating_add(if compressed { window(bytes).unwrap_or(content).min(WINDOW) } else { 0 }))
}

fn content(bytes: &[u8], compressed: bool) -> Result<usize, Trouble> {
    if !compressed {
        return Ok(bytes.len());
    }
    let declared = zstd::zstd_safe::get_frame_content_size(bytes);
    let declared = declared.map_err(|_| Trouble::malformed("the body is not zstd"))?;
    let size = match declared {
        Some(size) => usize::try_from(size).unwrap_or(usize::MAX),
        None => bytes.len().saturating_mul(GUESS).clamp(MORE, UNPACKED),
    };
    if size > UNPACKED { Err(large()) } else { Ok(size) }
}

/// The window that a zstd frame declares (RFC 8878, 3.1.1.1.2); none: it is as
/// large as the content.
fn window(bytes: &[u8]) -> Option<usize> {
    const SINGLE_SEGMENT: u8 = 1 << 5;
    if bytes.get(4)? & SINGLE_SEGMENT != 0 {
        return None;
    }
    let descriptor = bytes.get(5)?;
    let base = 1usize.checked_shl(10u32.saturating_add(u32::from(descriptor >> 3)))?;
    Some(base.saturating_add((base >> 3).saturating_mul(usize::from(descriptor & 7))))
}

/// What a record and a report cost in memory while they are opened, by byte of
/// what they have unpacked: the bytes, and what is read of them.
const CRASH: usize = 2;
const EXPOSURE: usize = 16;

/// What the store may need beside the batch: it opens one item after the other.
pub(super) fn opening(items: &[Candidate]) -> usize {
    let costs = items.iter().map(|candidate| match &candidate.item {
        Ok((ItemKind::Crash, body)) => pack::size(body).saturating_mul(CRASH),
        Ok((ItemKind::Exposure, body)) => pack::size(body).saturating_mul(EXPOSURE),
        Err(_) => 0,
    });
    costs.max().unwrap_or(0)
}

/// Unpacks a batch; `compressed` = zstd. Asks for more memory when it is longer
/// than its [`cost`] was counted for.
pub(super) fn unpack(
    bytes: &[u8],
    compressed: bool,
    more: &mut More<'_>,
) -> Result<(Unpacked, Vec<Candidate>), Trouble> {
    let admitted = content(bytes, compressed)?;
    let read = read::<Unpacked>(bytes, compressed, admitted, more);
    // What a later protocol made of a batch need not be one of this.
    let v = match &read {
        Ok(batch) => batch.v,
        Err(trouble) if trouble.status == StatusCode::BAD_REQUEST => version(bytes, compressed),
        Err(_) => 0,
    };
    if v > PROTOCOL {
        let words = format!("protocol version {v} is newer than this collector's ({PROTOCOL})");
        let next = "nothing is lost: upgrade the collector, and the host sends again";
        return Err(Trouble::new(StatusCode::UPGRADE_REQUIRED, words).next(next));
    }
    let mut batch = read?;
    if batch.v == 0 {
        return Err(Trouble::malformed("the batch says no protocol version (`v`)"));
    }
    if batch.items.many {
        let words = format!("the batch has more than {ITEMS} items");
        return Err(Trouble::new(StatusCode::PAYLOAD_TOO_LARGE, words).next("send it in smaller parts"));
    }
    let items = std::mem::take(&mut batch.items.list);
    Ok((batch, items))
}

/// Of anything that is like a batch, the version that it says; 0: none.
fn version(bytes: &[u8], compressed: bool) -> u16 {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Version {
        v: u16,
    }
    // Nothing of it is kept.
    read::<Version>(bytes, compressed, UNPACKED, &mut |_| Ok(())).map_or(0, |version| version.v)
}

fn read<T: DeserializeOwned>(
    bytes: &[u8],
    compressed: bool,
    admitted: usize,
    more: &mut More<'_>,
) -> Result<T, Trouble> {
    match compressed {
        true => read_zstd(bytes, admitted, more),
        false => parse(&mut Counted::new(bytes, admitted, more)),
    }
}

fn read_zstd<T: DeserializeOwned>(bytes: &[u8], admitted: usize, more: &mut More<'_>) -> Result<T, Trouble> {
    let broken = |_| {
        Trouble::new(StatusCode::INTERNAL_SERVER_ERROR, "zstd could not be set up")
            .next("nothing is lost: keep it and send it again")
    };
    let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(broken)?.single_frame();
    decoder.window_log_max(WINDOW_LOG).map_err(broken)?;
    let batch = parse(&mut Counted::new(&mut decoder, admitted, more))?;
    let rest = decoder.finish();
    if rest.is_empty() { Ok(batch) } else { Err(Trouble::malformed("bytes follow the zstd frame")) }
}

fn parse<T: DeserializeOwned, R: Read>(counted: &mut Counted<'_, '_, R>) -> Result<T, Trouble> {
    let mut deserializer = rmp_serde::Deserializer::new(std::io::BufReader::new(&mut *counted));
    deserializer.set_max_depth(DEPTH);
    let parsed = T::deserialize(&mut deserializer);
    let batch = match parsed {
        Ok(batch) => batch,
        Err(error) => return Err(counted.why(&error)),
    };
    let mut behind = deserializer.into_inner();
    match behind.read(&mut [0]) {
        Ok(0) => Ok(batch),
        Ok(_) => Err(Trouble::malformed("bytes follow the batch")),
        Err(error) => {
            drop(behind);
            Err(counted.why(&error))
        }
    }
}

/// A reader that ends at [`UNPACKED`] or when there is no more memory, and
/// remembers why it failed.
struct Counted<'a, 'b, R> {
    inner: R,
    read: usize,
    admitted: usize,
    more: &'a mut More<'b>,
    failed: Option<Trouble>,
}

impl<'a, 'b, R: Read> Counted<'a, 'b, R> {
    fn new(inner: R, admitted: usize, more: &'a mut More<'b>) -> Counted<'a, 'b, R> {
        Counted { inner, read: 0, admitted, more, failed: None }
    }

    /// The trouble behind a failed parse: size, memory, zstd, or the words of
    /// `error`.
    fn why(&mut self, error: &dyn std::fmt::Display) -> Trouble {
        self.failed.take().unwrap_or_else(|| Trouble::malformed(format!("the body is not a batch: {error}")))
    }

    /// Counts what was read, and asks for the memory that it is kept in.
    fn count(&mut self, read: usize) -> Result<(), Trouble> {
        self.read = self.read.saturating_add(read);
        if self.read > UNPACKED {
            return Err(large());
        }
        if self.read > self.admitted {
            let short = self.read.saturating_sub(self.admitted).max(MORE);
            (self.more)(short)?;
            self.admitted = self.admitted.saturating_add(short);
        }
        Ok(())
    }
}

impl<R: Read> Read for Counted<'_, '_, R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let whole =
            |error: &std::io::Error| Trouble::malformed(format!("the body is not whole zstd: {error}"));
        let read = self.inner.read(into).inspect_err(|error| self.failed = Some(whole(error)))?;
        self.count(read).map_err(|trouble| {
            self.failed = Some(trouble);
            std::io::Error::from(std::io::ErrorKind::FileTooLarge)
        })?;
        Ok(read)
    }
}

fn large() -> Trouble {
    let words = format!("the batch has more than {UNPACKED} bytes without its compression");
    Trouble::new(StatusCode::PAYLOAD_TOO_LARGE, words).next("send it in smaller parts")
}

/// The list of items, cut at [`ITEMS`].
#[derive(Debug, Default)]
struct Items {
    list: Vec<Candidate>,
    many: bool,
}

impl<'de> Deserialize<'de> for Items {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Items, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Items;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of items")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Items, A::Error> {
                let mut items = Items::default();
                while items.list.len() < ITEMS {
                    let Some(sent) = seq.next_element::<Sent>()? else { return Ok(items) };
                    items.list.push(sent.look());
                }
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    items.many = true;
                }
                Ok(items)
            }
        }
        deserializer.deserialize_seq(List)
    }
}

/// An item as it was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default, expecting = "an item")]
struct Sent {
    id: Id,
    kind: Option<String>,
    body: BodyBytes,
}

impl Sent {
    fn look(self) -> Candidate {
        let item = match (self.id.0.len(), self.kind.as_deref(), self.body) {
            (16, Some("crash") | None, BodyBytes::Whole(bytes)) => Ok((ItemKind::Crash, bytes)),
            (16, Some("exposure"), BodyBytes::Whole(bytes)) => Ok((ItemKind::Exposure, bytes)),
            (16, _, BodyBytes::Large(size)) => {
                Err(format!("{size} bytes are more than a body may have ({})", limits::RECORD_BYTES))
            }
            (16, ..) => Err("it is neither crash nor exposure".to_owned()),
            _ => Err("its id has not sixteen bytes".to_owned()),
        };
        Candidate { id: self.id, item }
    }
}

/// A body, or only its size when that is too much.
#[derive(Debug)]
enum BodyBytes {
    Whole(Vec<u8>),
    Large(usize),
}

impl Default for BodyBytes {
    fn default() -> BodyBytes {
        BodyBytes::Whole(Vec::new())
    }
}

impl<'de> Deserialize<'de> for BodyBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<BodyBytes, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = BodyBytes;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<BodyBytes, E> {
                let large = bytes.len() > limits::RECORD_BYTES;
                Ok(if large { BodyBytes::Large(bytes.len()) } else { BodyBytes::Whole(bytes.to_vec()) })
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use super::super::desk::Memory;
    use super::*;
    use crate::wire::{Batch, Item};

    /// A batch of `items` of 1,200 bytes that do not get smaller, as zstd that
    /// says its size or not.
    fn frame(items: u32, byte: Option<u8>, sized: bool) -> Vec<u8> {
        let mut noise = 1u32;
        let mut next = || {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            byte.unwrap_or((noise >> 24) as u8)
        };
        let items = (0..items).map(|_| Item {
            id: Id(vec![7; 16]),
            body: (0..1200).map(|_| next()).collect(),
            ..Item::default()
        });
        let batch = Batch { v: PROTOCOL, items: items.collect(), ..Batch::default() };
        let plain = rmp_serde::to_vec_named(&batch).unwrap();
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
        encoder.set_pledged_src_size(sized.then_some(plain.len() as u64)).unwrap();
        encoder.write_all(&plain).unwrap();
        encoder.finish().unwrap()
    }

    /// A frame that does not say its size was given all the memory that there
    /// is: batches were stored one at a time, eight waited for each other.
    #[test]
    fn eight_batches_are_admitted_at_once_by_the_default_memory() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        for sized in [true, false] {
            let memory = Memory::new(64 << 20);
            let body = frame(500, None, sized);
            let permits: Vec<_> = (0..8)
                .map(|_| {
                    let cost = cost(&body, true).unwrap();
                    runtime.block_on(memory.unpacked.admit(cost, Duration::ZERO)).map_err(|_| cost).unwrap()
                })
                .collect();
            for mut permit in permits {
                let mut more = |bytes| memory.unpacked.grow(&mut permit, bytes);
                assert_eq!(unpack(&body, true, &mut more).unwrap().1.len(), 500);
            }
        }
    }

    #[test]
    fn what_is_longer_than_it_seemed_asks_for_memory_and_waits_when_there_is_none() {
        let body = frame(1000, Some(0), false);
        let begun = cost(&body, true).unwrap();
        let mut asked = 0;
        let mut more = |bytes| {
            asked += bytes;
            Ok(())
        };
        unpack(&body, true, &mut more).unwrap();
        assert!((1_200_000..2 << 20).contains(&(content(&body, true).unwrap() + asked)), "{begun} + {asked}");
        let refused = unpack(&body, true, &mut |_| Err(Trouble::busy("no")));
        assert_eq!(refused.unwrap_err().status, StatusCode::SERVICE_UNAVAILABLE);
    }

    #[test]
    fn the_window_is_the_frames_own() {
        let sized = frame(500, None, true);
        let (size, cost) = (content(&sized, true).unwrap(), cost(&sized, true).unwrap());
        assert!(cost <= size + (1 << 20), "{cost} for {size}");
        assert_eq!(window(b"\x28\xb5\x2f\xfd\x00\x68"), Some(8 << 20));
        assert_eq!(window(b"\x28\xb5\x2f\xfd\x00\x69"), Some(9 << 20));
        assert_eq!((window(b"\x28\xb5\x2f\xfd\x20\x69"), window(b"")), (None, None));
    }
}
