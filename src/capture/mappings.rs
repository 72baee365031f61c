//! Which mappings are looked at, and which of them can be modules: from the
//! core's own notes and segments, so that a replay sees what the crash saw; from
//! /proc/TID/maps only when the core has no NT_FILE.

use std::collections::{HashMap, HashSet};

use crate::address::AddrRange;
use crate::elfcore::{FileMapping, Head};
use crate::gap::{Gap, Stage};
use crate::memory::Layout;
use crate::process::{Dying, Mapping};

/// All mappings from the core's own words, else from /proc: the same record must
/// come from both sources.
pub(super) fn of(head: &Head, layout: &Layout, dying: Option<&Dying>, gaps: &mut Vec<Gap>) -> Vec<Mapping> {
    let told = match &head.files {
        Some(files) => Some(from_notes(head, files, layout)),
        None => dying.and_then(Dying::mappings).map(|(mappings, cut)| {
            if cut {
                gaps.push(Gap::new(Stage::Process, "maps beyond the limit"));
            }
            mappings
        }),
    };
    told.unwrap_or_else(|| from_notes(head, &[], layout))
}

fn from_notes(head: &Head, files: &[FileMapping], layout: &Layout) -> Vec<Mapping> {
    let file_backed = files.iter().map(|file| {
        // The kernel writes a segment for every mapping; gdb's gcore leaves out
        // file text that nobody changed.
        let segment = layout.segment(file.range.start);
        Mapping {
            range: file.range,
            offset: file.offset,
            path: file.path.clone(),
            executable: segment.is_none_or(|segment| segment.is_executable()),
            writable: segment.is_some_and(|segment| segment.is_writable()),
            identity: None,
        }
    });
    let named: HashSet<_> = files.iter().map(|file| file.range.start).collect();
    let unnamed = head.segments.iter().filter(|segment| !named.contains(&segment.range.start));
    let anonymous = unnamed.map(|segment| Mapping {
        range: segment.range,
        executable: segment.is_executable(),
        writable: segment.is_writable(),
        ..Mapping::default()
    });
    let mut all: Vec<Mapping> = file_backed.chain(anonymous).collect();
    all.sort_by_key(|mapping| mapping.range.start);
    all
}

/// A file of which nothing is executable is no module: a database maps
/// thousands, and reading one may ask a disk, or a device (reading the
/// registers of a mapped device can change its state).
pub(super) fn forget_data_files(mappings: &mut [Mapping]) {
    let code = code_files(mappings);
    for mapping in mappings.iter_mut().filter(|mapping| mapping.path.starts_with(b"/")) {
        if !code.contains(&mapping.path) {
            mapping.path.clear();
        }
    }
}

/// Files with an executable mapping, or with executable memory of no file
/// between their mappings: text that was moved to huge pages.
fn code_files(mappings: &[Mapping]) -> HashSet<Vec<u8>> {
    let anonymous: Vec<AddrRange> = mappings
        .iter()
        .filter(|mapping| mapping.executable && mapping.path.is_empty())
        .map(|m| m.range)
        .collect();
    let mut spans: HashMap<&[u8], (AddrRange, bool)> = HashMap::new();
    for mapping in mappings.iter().filter(|mapping| is_code_path(&mapping.path)) {
        let (span, executable) = spans.entry(&mapping.path).or_insert((mapping.range, false));
        span.end = span.end.max(mapping.range.end);
        *executable |= mapping.executable;
    }
    let moved = |span: &AddrRange| {
        let first = anonymous.partition_point(|range| range.end <= span.start);
        anonymous.get(first).is_some_and(|range| range.intersect(span).is_some())
    };
    let code = spans.into_iter().filter(|(_, (span, executable))| *executable || moved(span));
    code.map(|(path, _)| path.to_vec()).collect()
}

fn is_code_path(path: &[u8]) -> bool {
    let device = [&b"/dev/"[..], b"/sys/", b"/proc/"].iter().any(|place| path.starts_with(place));
    path.starts_with(b"/") && (!device || path.starts_with(b"/dev/shm/"))
}
