//! Every kept input of the fuzz targets, and every input that was a bug once,
//! through the same bodies without libFuzzer.
//!
//! What a target asserts stands in tests/fuzz/targets; what was found, and why it
//! was a bug, in tests/fuzz/found/README.md. `make fuzz` looks for more.
#![allow(unexpected_cfgs, unreachable_pub, missing_docs)]
// Each body stands alone for the fuzzer, with what it shares beside it.
#![allow(clippy::duplicate_mod)]

#[path = "fuzz/targets/eh_frame.rs"]
mod eh_frame;
#[path = "fuzz/targets/fault.rs"]
mod fault;
#[path = "fuzz/targets/notes.rs"]
mod notes;
#[path = "fuzz/targets/nt_file.rs"]
mod nt_file;
#[path = "fuzz/targets/proc_texts.rs"]
mod proc_texts;
#[cfg(feature = "cli")]
#[path = "fuzz/targets/record.rs"]
mod record;
#[path = "fuzz/targets/replay.rs"]
mod replay;
#[cfg(feature = "forward")]
#[path = "fuzz/seeds.rs"]
mod seeds;
#[path = "fuzz/targets/spool_read.rs"]
mod spool_read;
#[path = "fuzz/targets/stream.rs"]
mod stream;
#[path = "fuzz/targets/unwind.rs"]
mod unwind;
#[cfg(feature = "collector")]
#[path = "fuzz/targets/wire.rs"]
mod wire;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What one input may take here: far above what any takes, far below for ever.
const PATIENCE: Duration = Duration::from_secs(10);

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
}

/// Files of a tar archive as tar(1) writes them for short names (ustar).
fn untar(mut archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    while archive.len() >= 512 && archive[0] != 0 {
        let text = |from: usize, to: usize| {
            let field = archive[from..to].split(|byte| *byte == 0).next().unwrap_or(&[]);
            String::from_utf8_lossy(field).into_owned()
        };
        let size = usize::from_str_radix(text(124, 136).trim(), 8).expect("a size");
        if archive[156] == b'0' {
            files.push((text(0, 100), archive[512..512 + size].to_vec()));
        }
        archive = &archive[512 + size.next_multiple_of(512)..];
    }
    files
}

fn inputs(target: &str) -> Vec<(String, Vec<u8>)> {
    let packed = std::fs::read(fuzz().join("corpus").join(format!("{target}.tar.zst"))).expect("a corpus");
    let mut inputs = untar(&zstd::decode_all(packed.as_slice()).expect("zstd"));
    assert!(!inputs.is_empty(), "the corpus of {target} is empty");
    let found = std::fs::read_dir(fuzz().join("found").join(target)).into_iter().flatten().flatten();
    inputs.extend(found.map(|entry| {
        let name = entry.path().display().to_string();
        (name, std::fs::read(entry.path()).expect("read"))
    }));
    inputs
}

fn every(target: &str, run: fn(&[u8])) {
    let mut bad = Vec::new();
    for (name, input) in inputs(target) {
        let started = Instant::now();
        let ended = catch_unwind(AssertUnwindSafe(|| run(&input))).is_ok();
        if !ended || started.elapsed() > PATIENCE {
            bad.push(format!("{name} ({} bytes, {:?})", input.len(), started.elapsed()));
        }
    }
    assert!(bad.is_empty(), "{target} does not hold for\n{}", bad.join("\n"));
}

#[test]
fn stream_holds() {
    every("stream", stream::run);
}

#[test]
fn notes_hold() {
    every("notes", notes::run);
}

#[test]
fn nt_file_holds() {
    every("nt_file", nt_file::run);
}

#[test]
fn texts_of_proc_hold() {
    every("proc_texts", proc_texts::run);
}

#[test]
fn eh_frame_holds() {
    every("eh_frame", eh_frame::run);
}

#[test]
fn unwinding_holds() {
    every("unwind", unwind::run);
}

#[test]
fn fault_holds() {
    every("fault", fault::run);
}

#[test]
fn replay_holds() {
    every("replay", replay::run);
}

#[test]
fn spool_reading_holds() {
    every("spool_read", spool_read::run);
}

#[cfg(feature = "cli")]
#[test]
fn records_hold() {
    every("record", record::run);
}

#[cfg(feature = "collector")]
#[test]
fn wire_holds() {
    every("wire", wire::run);
}

/// tests/fuzz/corpus.sh: from real cores and texts, the first inputs of each
/// target.
#[cfg(feature = "forward")]
#[test]
#[ignore = "writes where EPICORE_SEEDS says"]
fn seeds_are_made() {
    let to = std::env::var_os("EPICORE_SEEDS").expect("EPICORE_SEEDS");
    seeds::make(Path::new(&to));
}
