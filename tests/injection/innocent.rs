//! The check of code pages on the living: how often an executable page of a
//! process that works differs from its file. Every process of the host that
//! may be read, and as many interpreters as it takes for the number of pairs
//! (process, page) that was asked for.
//!
//! Prints what differs, by shape, and fails when one bit differs anywhere.
//! Words: --pairs N (1,000,000), --write (puts the count where the statistics load
//! it, src/epidemiology/).
#![allow(missing_docs)]

mod evidence;

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::process::{Child, Command, ExitCode, Stdio};

use epicore::elfcore::Machine;
use epicore::fault::{Difference, differ};

const MACHINE: Machine = if cfg!(target_arch = "aarch64") { Machine::Aarch64 } else { Machine::X86_64 };
const PAGE: usize = 4096;
const CHUNK: usize = 256 << 10;
/// What an interpreter loads, so that it has many pages of code.
const PROGRAM: &str = "import ssl, json, asyncio, sqlite3, decimal, ctypes, lzma, bz2, time; print(1, flush=True); time.sleep(600)";

#[derive(Default)]
struct Seen {
    pairs: u64,
    processes: u64,
    files: std::collections::BTreeSet<(u64, u64)>,
    shapes: BTreeMap<&'static str, u64>,
    odd: Vec<String>,
}

struct Herd(Vec<Child>);

impl Drop for Herd {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let asked = words.len();
    words.retain(|word| word != "--write");
    let is_written = words.len() < asked;
    let pairs = match words.as_slice() {
        [] => 1_000_000,
        [flag, n] if flag == "--pairs" && n.parse::<u64>().is_ok() => n.parse().unwrap_or(0),
        _ => {
            eprintln!("innocent: --pairs N, --write");
            return ExitCode::from(2);
        }
    };
    let mut seen = Seen::default();
    let pids = std::fs::read_dir("/proc").expect("/proc").flatten();
    for pid in pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
        look(pid, &mut seen);
    }
    eprintln!("innocent: {} pairs of {} processes that were here", seen.pairs, seen.processes);
    let mut herd = Herd(Vec::new());
    while seen.pairs < pairs {
        let child = Command::new("python3")
            .args(["-c", PROGRAM])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut child) = child else { break };
        let mut ready = [0];
        let is_ready = std::io::Read::read_exact(child.stdout.as_mut().expect("a pipe"), &mut ready).is_ok();
        let before = seen.pairs;
        look(child.id(), &mut seen);
        herd.0.push(child);
        if !is_ready || seen.pairs == before {
            eprintln!("innocent: python3 gave no page");
            return ExitCode::from(2);
        }
        // Enough of them live at once to be a host's.
        if herd.0.len() > 200 {
            herd = Herd(Vec::new());
        }
    }
    println!(
        "{} pairs (process, page of code), {} processes, {} files",
        seen.pairs,
        seen.processes,
        seen.files.len()
    );
    for (shape, count) in &seen.shapes {
        println!("{shape:<12} {count}");
    }
    for line in seen.odd.iter().take(50) {
        println!("  {line}");
    }
    let flips = ["1bit", "several"].iter().filter_map(|shape| seen.shapes.get(*shape)).sum::<u64>();
    if is_written {
        let lines = [("E-CODE-1BIT", "1bit"), ("E-CODE-SEVERAL", "several")].map(|(code, shape)| {
            let count = seen.shapes.get(shape).copied().unwrap_or(0);
            format!("-\tliving\t{}\t-\t{code}\t{count}\n", seen.pairs)
        });
        evidence::replace(true, &lines.concat());
    }
    let holds = flips == 0 && seen.pairs >= pairs;
    println!(
        "{}: {flips} of {} pairs look damaged: none of {pairs}",
        if holds { "holds" } else { "DOES NOT HOLD" },
        seen.pairs
    );
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Compares every executable page of a file in one process.
fn look(pid: u32, seen: &mut Seen) {
    let (Ok(maps), Ok(memory)) =
        (std::fs::read_to_string(format!("/proc/{pid}/maps")), File::open(format!("/proc/{pid}/mem")))
    else {
        return;
    };
    let before = seen.pairs;
    for line in maps.lines() {
        mapping(pid, &memory, line, seen);
    }
    seen.processes += u64::from(seen.pairs > before);
}

fn mapping(pid: u32, memory: &File, line: &str, seen: &mut Seen) -> Option<()> {
    // start-end perms offset device inode path
    let mut words = line.split_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let (start, end) = (hex(start)?, hex(end)?);
    words.next().filter(|flags| flags.contains('x'))?;
    let (offset, _device, inode) = (hex(words.next()?)?, words.next()?, words.next()?.parse::<u64>().ok()?);
    let path = words.next().filter(|path| path.starts_with('/'))?;
    let file = File::open(format!("/proc/{pid}/root{path}")).ok()?;
    let metadata = file.metadata().ok().filter(|metadata| metadata.ino() == inode)?;
    seen.files.insert((metadata.dev(), inode));
    let (mut ours, mut theirs) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut at = 0u64;
    while start + at < end {
        let length = usize::try_from(end - start - at).ok()?.min(CHUNK);
        let here = memory.read_at(&mut ours[..length], start + at).unwrap_or(0);
        let there = file.read_at(&mut theirs[..length], offset + at).unwrap_or(0);
        let both = here.min(there);
        for (n, (a, b)) in ours[..both].chunks(PAGE).zip(theirs[..both].chunks(PAGE)).enumerate() {
            seen.pairs += 1;
            let difference = differ(MACHINE, a, b, offset + at + (n * PAGE) as u64);
            if difference != Difference::None {
                seen.odd.push(format!(
                    "pid {pid} {path} at {:#x}: {}",
                    offset + at + (n * PAGE) as u64,
                    difference.name()
                ));
            }
            *seen.shapes.entry(difference.name()).or_default() += 1;
        }
        at += length as u64;
    }
    Some(())
}
