//! Records and censuses of any hosts, in a directory or in a file of
//! `epicore simulate`.

use std::io::Read;
use std::path::Path;

use super::failure::{Failure, warn};
use crate::record::{self, Exposure, Record};
use crate::report;
use crate::spool::{RecordStatus, read_file};
use crate::wire::{Batch, ItemKind};

/// Files of a directory, at most; deeper than this nothing is looked for.
pub(super) const FILES: usize = 20_000_000;
const DEPTH: usize = 8;
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
        let file = std::fs::File::open(path).map_err(failed)?;
        let mut bytes = Vec::new();
        zstd::Decoder::new(file).and_then(|mut plain| plain.read_to_end(&mut bytes)).map_err(failed)?;
        reading.batches(path, &bytes);
    }
    Ok(reading.damage)
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

    /// Batches, one behind the other.
    fn batches(&mut self, path: &Path, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let batch: Result<Batch, _> = rmp_serde::from_read(&mut bytes);
            let Ok(batch) = batch else {
                self.damage.add(&path.display().to_string(), "not a batch, or cut off");
                return;
            };
            for item in batch.items {
                self.item(path, item.kind, &item.body);
            }
        }
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
