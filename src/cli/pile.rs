//! Records and censuses of any hosts, in a directory or in a file of
//! `epicore simulate`.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::failure::{Failure, warn};
use crate::record::{self, Exposure, Record};
use crate::report;
use crate::spool::{RecordStatus, read_file};
use crate::wire::{Batch, ItemKind};

/// Files of a directory, at most; deeper than this nothing is looked for.
pub(super) const FILES: usize = 20_000_000;
const DEPTH: usize = 8;
/// What is taken of a file of batches: a batch is all that one host sends in a study's
/// time, some megabytes; the rest is what 20 million records have.
const BOUNDS: Bounds = Bounds { batch: 256 << 20, total: 128 << 30, items: FILES };
/// What to do when there is nothing to read.
pub(super) const NEXT: &str =
    "Give a directory of records, a file of `epicore simulate`, --spool DIR, or --remote URL.";

/// One thing that was read.
pub(super) enum Piece {
    Crash(Box<Record>),
    Census(Box<Exposure>),
}

impl Piece {
    /// From the bytes of an item.
    pub(super) fn of(kind: ItemKind, body: &[u8]) -> Result<Piece, String> {
        match kind {
            ItemKind::Crash => record::decode(body).map(|record| Piece::Crash(Box::new(record))),
            ItemKind::Exposure => record::decode_exposure(body).map(|report| Piece::Census(Box::new(report))),
        }
        .map_err(|error| error.to_string())
    }

    /// When it was, by the host's clock.
    pub(super) fn at(&self) -> Option<u64> {
        match self {
            Piece::Crash(record) => record.realtime_ns,
            Piece::Census(report) => report.realtime_ns,
        }
    }
}

/// What could not be read.
#[derive(Debug, Default)]
pub(super) struct Damage {
    /// How much of it.
    pub(super) count: u64,
    first: Option<String>,
}

impl Damage {
    /// Counts one.
    pub(super) fn add(&mut self, place: &str, why: &str) {
        self.count = self.count.saturating_add(1);
        self.first.get_or_insert_with(|| format!("{place}: {why}"));
    }

    /// Says so, once.
    pub(super) fn tell(&self) {
        if let Some(first) = &self.first {
            let count = report::amount::of(self.count, "file or record");
            warn(&format!("{count} could not be read (the first: {first})"));
        }
    }
}

/// Hands over everything that can be read at `path`.
pub(super) fn each(path: &Path, take: &mut dyn FnMut(Piece)) -> Result<Damage, Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("{}: {error}", path.display()), NEXT);
    let mut reading = Reading { damage: Damage::default(), take };
    if path.is_dir() {
        reading.directory(path, 0).map_err(failed)?;
    } else {
        let plain = std::fs::File::open(path).and_then(zstd::Decoder::new).map_err(failed)?;
        reading.batches(path, plain, BOUNDS);
    }
    Ok(reading.damage)
}

/// A few kilobytes can be made to unpack to any size.
#[derive(Clone, Copy)]
struct Bounds {
    /// Bytes of one batch.
    batch: u64,
    /// Bytes of all of them.
    total: u64,
    items: usize,
}

impl Bounds {
    fn too_much(self) -> String {
        format!("more than {} bytes when unpacked: what is behind them is not read", self.total)
    }
}

struct Reading<'a> {
    damage: Damage,
    take: &'a mut dyn FnMut(Piece),
}

impl Reading<'_> {
    fn item(&mut self, path: &Path, kind: ItemKind, body: &[u8]) {
        match Piece::of(kind, body) {
            Ok(piece) => (self.take)(piece),
            Err(why) => self.damage.add(&path.display().to_string(), &why),
        }
    }

    /// Batches, one behind the other; never more than one of them in memory.
    fn batches(&mut self, path: &Path, plain: impl Read, bounds: Bounds) {
        if let Err(why) = self.all_batches(path, plain, bounds) {
            self.damage.add(&path.display().to_string(), &why);
        }
    }

    fn all_batches(&mut self, path: &Path, plain: impl Read, bounds: Bounds) -> Result<(), String> {
        let mut plain = BufReader::new(plain.take(bounds.total));
        let mut items = 0usize;
        while !plain.fill_buf().map_err(|error| error.to_string())?.is_empty() {
            let mut one = plain.by_ref().take(bounds.batch);
            let batch: Result<Batch, _> = rmp_serde::from_read(&mut one);
            let is_large = one.limit() == 0;
            let Ok(batch) = batch else {
                return Err(match () {
                    () if is_large => format!("a batch of more than {} bytes", bounds.batch),
                    () if plain.get_ref().limit() == 0 => bounds.too_much(),
                    () => "not a batch, or cut off".to_owned(),
                });
            };
            items = items.saturating_add(batch.items.len());
            if items > bounds.items {
                return Err(format!("more than {} records", bounds.items));
            }
            for item in batch.items {
                self.item(path, item.kind, &item.body);
            }
        }
        if plain.get_ref().limit() == 0 { Err(bounds.too_much()) } else { Ok(()) }
    }

    fn directory(&mut self, directory: &Path, depth: usize) -> std::io::Result<()> {
        for entry in std::fs::read_dir(directory)?.take(FILES).flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            let path = entry.path();
            if kind.is_dir() && depth < DEPTH {
                // The private part may be closed: its records are nobody's business.
                let _ = self.directory(&path, depth.saturating_add(1));
                continue;
            }
            let name = entry.file_name();
            let Some(kind) = name.to_str().and_then(kind_of).filter(|_| kind.is_file()) else { continue };
            let mut damaged = |why: &str| self.damage.add(&path.display().to_string(), why);
            match read_file(&path) {
                RecordStatus::Valid { payload, .. } => self.item(&path, kind, &payload),
                RecordStatus::Gone => {}
                RecordStatus::Corrupted(damage) => damaged(&damage.to_string()),
                RecordStatus::Refused(why) => damaged(&why.to_string()),
                RecordStatus::Unreadable(errno) => damaged(errno.desc()),
            }
        }
        Ok(())
    }
}

/// By the spool's names: `ID.rec`, `ID.rec.sent`, `ID.exp` …
fn kind_of(name: &str) -> Option<ItemKind> {
    match name.split('.').nth(1)? {
        "rec" => Some(ItemKind::Crash),
        "exp" => Some(ItemKind::Exposure),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Item;

    const SMALL: Bounds = Bounds { batch: 10_000, total: 40_000, items: 9 };

    /// A batch of `count` records, each of about `size` bytes.
    fn batch(count: usize, size: usize) -> Vec<u8> {
        let host = crate::record::Host { name: Some("x".repeat(size)), ..Default::default() };
        let body = record::encode(&Record { host, ..Record::default() }).unwrap();
        let item = Item { kind: ItemKind::Crash, body, ..Item::default() };
        rmp_serde::to_vec_named(&Batch { items: vec![item; count], ..Batch::default() }).unwrap()
    }

    fn read(plain: impl Read) -> (usize, Option<String>) {
        let mut seen = 0usize;
        let mut take = |_| seen += 1;
        let mut reading = Reading { damage: Damage::default(), take: &mut take };
        reading.batches(Path::new("f"), plain, SMALL);
        let first = reading.damage.first;
        (seen, first)
    }

    fn told(plain: impl Read) -> (usize, String) {
        let (seen, first) = read(plain);
        (seen, first.unwrap_or_default())
    }

    #[test]
    fn batches_are_read_one_behind_the_other_and_a_cut_one_is_told() {
        let bytes = batch(2, 100).repeat(3);
        assert_eq!(read(&bytes[..]), (6, None));
        assert_eq!(told(&bytes[..bytes.len() - 1]), (4, "f: not a batch, or cut off".to_owned()));
        assert_eq!(read(&[][..]), (0, None));
    }

    #[test]
    fn what_unpacks_to_more_than_anything_sensible_is_not_read_to_its_end() {
        let large = told(&[batch(1, 100), batch(1, 20_000)].concat()[..]);
        assert_eq!(large, (1, "f: a batch of more than 10000 bytes".to_owned()));
        let many = told(&batch(1, 100).repeat(20)[..]);
        assert_eq!(many, (9, "f: more than 9 records".to_owned()));
        let (seen, why) = told(&batch(1, 9000).repeat(8)[..]);
        assert!(seen == 4 && why.contains("more than 40000 bytes when unpacked"), "{seen}: {why}");
        // Without an end: a batch without items, again and again.
        let empty = batch(0, 0);
        let (seen, why) = told(Endless(empty, 0));
        assert!(seen == 0 && why.contains("when unpacked"), "{why}");
    }

    struct Endless(Vec<u8>, usize);

    impl Read for Endless {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            for byte in into.iter_mut() {
                *byte = self.0[self.1 % self.0.len()];
                self.1 += 1;
            }
            Ok(into.len())
        }
    }
}
