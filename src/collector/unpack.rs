//! Compressed bytes → a batch, from a network that nobody vouches for.
//!
//! Nothing is sized by a number that was sent: zstd is streamed through a
//! counter, so that a bomb ends at the limit; the list of items is cut while
//! it is read; a length of 2³² − 1 in front of nothing is an early end. What
//! one item has wrong (its size, id or kind) is that item's refusal, what the
//! batch has wrong is the batch's.

use std::io::Read;

use axum::http::StatusCode;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
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

/// What `bytes` may cost in memory while they are unpacked: the batch and the
/// window, from what the frame declares.
pub(super) fn cost(bytes: &[u8], compressed: bool) -> Result<usize, Trouble> {
    if !compressed {
        return Ok(bytes.len());
    }
    let declared = zstd::zstd_safe::get_frame_content_size(bytes);
    let declared = declared.map_err(|_| Trouble::malformed("the body is not zstd"))?;
    let size = declared.map_or(UNPACKED, |size| usize::try_from(size).unwrap_or(usize::MAX));
    if size > UNPACKED {
        return Err(large());
    }
    Ok(size.saturating_add(size.min(WINDOW)))
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

/// Unpacks a batch; `compressed` = zstd.
pub(super) fn unpack(bytes: &[u8], compressed: bool) -> Result<(Unpacked, Vec<Candidate>), Trouble> {
    let mut batch = if compressed { unpack_zstd(bytes)? } else { parse(&mut Counted::new(bytes))? };
    if batch.v > PROTOCOL {
        let words = format!("protocol version {} is newer than this collector's ({PROTOCOL})", batch.v);
        return Err(Trouble::malformed(words).next("upgrade the collector"));
    }
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

fn unpack_zstd(bytes: &[u8]) -> Result<Unpacked, Trouble> {
    let broken = |_| Trouble::malformed("zstd could not be set up");
    let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(broken)?.single_frame();
    decoder.window_log_max(WINDOW_LOG).map_err(broken)?;
    let mut counted = Counted::new(&mut decoder);
    let batch = parse(&mut counted)?;
    let rest = decoder.finish();
    if rest.is_empty() { Ok(batch) } else { Err(Trouble::malformed("bytes follow the zstd frame")) }
}

fn parse<R: Read>(counted: &mut Counted<R>) -> Result<Unpacked, Trouble> {
    let mut deserializer = rmp_serde::Deserializer::new(std::io::BufReader::new(&mut *counted));
    deserializer.set_max_depth(DEPTH);
    let parsed = Unpacked::deserialize(&mut deserializer);
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

/// A reader that ends at [`UNPACKED`], and remembers why it failed.
struct Counted<R> {
    inner: R,
    left: usize,
    failed: Option<String>,
}

impl<R: Read> Counted<R> {
    fn new(inner: R) -> Counted<R> {
        Counted { inner, left: UNPACKED, failed: None }
    }

    /// The trouble behind a failed parse: size, zstd, or the words of `error`.
    fn why(&self, error: &dyn std::fmt::Display) -> Trouble {
        match &self.failed {
            Some(_) if self.left == 0 => large(),
            Some(why) => Trouble::malformed(format!("the body is not whole zstd: {why}")),
            None => Trouble::malformed(format!("the body is not a batch: {error}")),
        }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let most = into.len().min(self.left.max(1));
        let into = into.get_mut(..most).unwrap_or_default();
        let read = self.inner.read(into).inspect_err(|error| self.failed = Some(error.to_string()))?;
        if read > self.left {
            self.failed = Some("too large".to_owned());
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.left = self.left.saturating_sub(read);
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
