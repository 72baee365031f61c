//! The first inputs of each target, from what is real: cores of the kernel and of
//! gdb, their programs' files, texts of /proc, records, spools and batches made of
//! them.

use std::fs;
use std::path::{Path, PathBuf};

use epicore::address::Addr;
use epicore::capture;
use epicore::elfcore::{Head, Machine, Registers, Segment};
use epicore::forward::{Packed, encode};
use epicore::memory::Stream;
use epicore::record::{self, Exposure, Record};
use epicore::spool::{Header, RecordId};
use epicore::wire::{Answer, ItemKind, Outcome, Said, Sender, pack};

const STACK: u64 = 3 << 10;
const TEXTS: &str = include_str!("texts.txt");

struct Seeds<'a> {
    to: &'a Path,
    count: usize,
}

impl Seeds<'_> {
    fn add(&mut self, target: &str, bytes: &[u8]) {
        let place = self.to.join(target);
        fs::create_dir_all(&place).expect("a directory");
        fs::write(place.join(format!("seed-{:04}", self.count)), bytes).expect("written");
        self.count += 1;
    }
}

/// A core and the file of its program.
struct Case {
    core: Vec<u8>,
    file: Vec<u8>,
    head: Head,
}

impl Case {
    fn new(core: Vec<u8>, file: Vec<u8>) -> Case {
        let head = Stream::new(core.as_slice()).head();
        Case { core, file, head }
    }

    fn bytes(&self, segment: &Segment, from: Addr, most: u64) -> &[u8] {
        let inside = from.0 - segment.range.start.0;
        let length = most.min(segment.file_size.saturating_sub(inside));
        let start = (segment.offset + inside) as usize;
        self.core.get(start..start + length as usize).unwrap_or(&[])
    }

    fn registers(&self) -> Option<&Registers> {
        self.head.threads.first().map(|thread| &thread.registers)
    }

    fn stack(&self) -> (Addr, &[u8]) {
        let sp = self.registers().map_or(Addr(0), |registers| Addr(registers.sp().0 & !15));
        let low = Addr(sp.0.saturating_sub(512));
        let segment = self.head.segments.iter().find(|segment| segment.range.contains(sp));
        segment.map_or((sp, &[]), |segment| {
            let from = low.max(segment.range.start);
            (from, self.bytes(segment, from, STACK))
        })
    }

    /// Where the program's file begins in memory.
    fn code(&self) -> Addr {
        let files = self.head.files.iter().flatten();
        let headers = self.head.auxv.program_headers.map(|at| at.align_down(4096));
        headers.or(files.map(|file| file.range.start).next()).unwrap_or_default()
    }

    /// The core with little of its memory.
    fn slim(&self) -> Vec<u8> {
        let (from, stack) = self.stack();
        let mut memory: Vec<(u64, u64, Vec<u8>, u32)> = Vec::new();
        for segment in &self.head.segments {
            let range = segment.range;
            if range.contains(from) {
                memory.push((from.0, range.end.0 - from.0, stack.to_vec(), segment.flags));
            } else {
                let some = self.bytes(segment, range.start, 2048).to_vec();
                memory.push((range.start.0, range.len(), some, segment.flags));
            }
        }
        rebuilt(&self.core, &memory)
    }

    fn process(&self, options: u8, file: &[u8]) -> Vec<u8> {
        let Some(registers) = self.registers() else { return Vec::new() };
        let aarch64 = u8::from(registers.machine() == Machine::Aarch64);
        let (from, stack) = self.stack();
        let mut bytes = vec![options | aarch64];
        bytes.extend(self.code().0.to_le_bytes());
        bytes.extend(from.0.to_le_bytes());
        registers.values().iter().for_each(|value| bytes.extend(value.to_le_bytes()));
        for part in [stack, file] {
            bytes.extend((part.len() as u16).to_le_bytes());
            bytes.extend(part);
        }
        bytes
    }

    fn siginfo(&self) -> Vec<u8> {
        let note = notes(&self.core).into_iter().find(|(kind, _)| *kind == 0x5349_4749);
        note.map_or(vec![0; 28], |(_, body)| body[..28].to_vec())
    }
}

fn number(core: &[u8], at: usize) -> usize {
    u64::from_le_bytes(core[at..at + 8].try_into().expect("eight")) as usize
}

/// Where the notes of a core are.
fn notes_range(core: &[u8]) -> std::ops::Range<usize> {
    let count = usize::from(u16::from_le_bytes([core[56], core[57]]));
    let first = number(core, 32);
    let header = (0..count).map(|index| first + index * 56).find(|at| core[*at] == 4).expect("PT_NOTE");
    number(core, header + 8)..number(core, header + 8) + number(core, header + 32)
}

/// The notes of a core: type and descriptor.
fn notes(core: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let mut rest = &core[notes_range(core)];
    let mut all = Vec::new();
    while rest.len() >= 12 {
        let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().expect("four"));
        let (name, size, kind) = (word(0) as usize, word(4) as usize, word(8));
        let start = 12 + name.next_multiple_of(4);
        all.push((kind, rest[start..start + size].to_vec()));
        rest = &rest[start + size.next_multiple_of(4)..];
    }
    all
}

/// A core of the same notes with other segments.
fn rebuilt(core: &[u8], memory: &[(u64, u64, Vec<u8>, u32)]) -> Vec<u8> {
    let notes = &core[notes_range(core)];
    let mut bytes = core[..64].to_vec();
    bytes[32..40].copy_from_slice(&64u64.to_le_bytes());
    bytes[40..48].fill(0);
    bytes[56..58].copy_from_slice(&(memory.len() as u16 + 1).to_le_bytes());
    let mut at = 64 + 56 * (memory.len() + 1);
    let mut header = |kind: u32, flags: u32, address: u64, file: usize, size: u64| {
        bytes.extend(kind.to_le_bytes());
        bytes.extend(flags.to_le_bytes());
        for value in [at as u64, address, 0, file as u64, size, 4] {
            bytes.extend(value.to_le_bytes());
        }
        at += file;
    };
    header(4, 0, 0, notes.len(), 0);
    memory.iter().for_each(|(address, size, kept, flags)| header(1, *flags, *address, kept.len(), *size));
    bytes.extend(notes);
    memory.iter().for_each(|(_, _, kept, _)| bytes.extend(kept));
    bytes
}

/// The file without its section headers' worth of debug information: as much as
/// is mapped, and 16 KiB at most.
fn mapped(file: &[u8]) -> &[u8] {
    file.get(..16 << 10).unwrap_or(file)
}

fn cases() -> Vec<Case> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cores");
    let read = |path: PathBuf| fs::read(path).expect("read");
    let unpacked = |path: PathBuf| zstd::decode_all(read(path).as_slice()).expect("zstd");
    let mut cases: Vec<Case> = ["abort", "divide", "jump", "null", "recursion"]
        .iter()
        .map(|name| Case::new(read(here.join(format!("{name}.core"))), read(here.join(name))))
        .collect();
    let aarch64 = read(here.join("aarch64/victims"));
    let cores = fs::read_dir(here.join("aarch64")).expect("listed").flatten().map(|entry| entry.path());
    let cores = cores.filter(|path| path.extension().is_some_and(|end| end == "zst"));
    cases.extend(cores.map(|path| Case::new(unpacked(path), aarch64.clone())));
    // What corpus.sh made beside it: NAME.core and NAME, a core of gdb and its program.
    if let Some(place) = std::env::var_os("EPICORE_CORES").map(PathBuf::from) {
        for path in fs::read_dir(place).expect("listed").flatten().map(|entry| entry.path()) {
            if path.extension().is_some_and(|end| end == "core") {
                cases.push(Case::new(read(path.clone()), read(path.with_extension(""))));
            }
        }
    }
    cases
}

/// Makes them all.
pub(crate) fn make(to: &Path) {
    let mut seeds = Seeds { to, count: 0 };
    let mut records = Vec::new();
    for case in cases() {
        let slim = case.slim();
        seeds.add("stream", &slim);
        seeds.add("replay", &slim);
        let machine = u8::from(case.head.machine == Some(Machine::Aarch64));
        seeds.add("notes", &[&[machine][..], &case.core[notes_range(&case.core)]].concat());
        for (_, body) in notes(&case.core).into_iter().filter(|(kind, _)| *kind == 0x4649_4c45) {
            seeds.add("nt_file", &body);
        }
        let file = mapped(&case.file);
        let ip = case.registers().map_or(0, |registers| registers.ip().0);
        for whole in [file, &case.file] {
            seeds.add("eh_frame", &[&[machine][..], &ip.to_le_bytes(), whole].concat());
        }
        for options in [0, 2, 4, 8] {
            seeds.add("unwind", &case.process(options, file));
        }
        for options in [0, 2] {
            let given = [0x0b, 0x55, 0];
            seeds.add("fault", &[&case.siginfo()[..], &given, &case.process(options, file)].concat());
        }
        records.push(capture::replay(case.core.as_slice(), &[]));
    }
    texts(&mut seeds);
    written(&mut seeds, records);
}

/// tests/fuzz/texts.txt: as fs/proc writes them, of processes that never were.
fn texts(seeds: &mut Seeds<'_>) {
    for process in TEXTS.split("=====\n").filter(|process| !process.trim().is_empty()) {
        let parts: Vec<&str> = process.split("-----\n").collect();
        assert_eq!(parts.len(), 6, "status, stat, maps, cgroup, limits, comm");
        seeds.add("proc_texts", parts.join("\0").as_bytes());
    }
}

/// Records, and all that is made of them.
fn written(seeds: &mut Seeds<'_>, records: Vec<Record>) {
    let id = |number: usize| RecordId([(number & 3) as u8; 16]);
    let mut spool = Vec::new();
    for (number, mut record) in records.into_iter().enumerate().filter(|(number, _)| number % 3 == 0) {
        record.id = record::Id(id(number).0.to_vec());
        let bytes = record::fit(&mut record).expect("encoded");
        seeds.add("record", &bytes);
        seeds.add("wire", &[&[3][..], &pack::pack(&bytes)].concat());
        seeds.add("wire", &[&[4][..], &bytes[..bytes.len().min(512)]].concat());
        let header = Header { id: id(number), full: true, private: false, group: 7 };
        let framed = header.frame(&bytes[..bytes.len().min(300)]).expect("framed");
        let name = (number & 3) as u8 | 3 << 2 | ((number as u8) & 3) << 5;
        for part in [&[name, 3][..], &(framed.len() as u16).to_le_bytes(), &framed] {
            spool.extend_from_slice(part);
        }
        seeds.add("spool_read", &spool);
    }
    own_files(seeds, &spool);
    batches(seeds);
    let exposure = Exposure::default();
    seeds.add("record", &record::encode_exposure(&exposure).expect("encoded"));
}

fn own_files(seeds: &mut Seeds<'_>, spool: &[u8]) {
    let mut tally = b"EPITALLY".to_vec();
    tally.extend([3u64.to_le_bytes(), 12_288u64.to_le_bytes()].concat());
    tally.extend(u64::from(crc32c::crc32c(&tally)).to_le_bytes());
    tally.extend(4096u64.to_le_bytes());
    let mut evicted = 5u64.to_le_bytes().to_vec();
    evicted.extend(u64::from(crc32c::crc32c(&evicted)).to_le_bytes());
    let refusals = format!("{}\tno such host\\n\n", RecordId([1; 16])).into_bytes();
    let audit = b"1763900000000000000\t0\tpurge\thost=web-17\t12\n".to_vec();
    let mut files = Vec::new();
    for (own, text) in [tally, evicted, refusals, audit.clone(), audit].into_iter().enumerate() {
        files.extend([(own as u8) << 5, 0]);
        files.extend((text.len() as u16).to_le_bytes());
        files.extend(text);
    }
    seeds.add("spool_read", &files);
    seeds.add("spool_read", &[&files[..], spool].concat());
}

fn batches(seeds: &mut Seeds<'_>) {
    let packed =
        |number: u8, kind| Packed { id: [number; 16], kind, body: pack::pack(&[0x81, 0xa1, b'v', 1]) };
    let items = [packed(0, ItemKind::Crash), packed(1, ItemKind::Exposure), packed(2, ItemKind::Crash)];
    let sender = Sender { name: "web-17".to_owned(), version: "0.1.0".to_owned(), ..Sender::default() };
    let zstd = encode(&sender, 1_763_900_000_000_000_000, &items).expect("encoded");
    let plain = zstd::decode_all(zstd.as_slice()).expect("zstd");
    for (which, bytes) in [(0, &plain), (1, &zstd), (2, &plain)] {
        seeds.add("wire", &[&[which][..], bytes].concat());
    }
    for said in [Said::Stored, Said::Duplicate, Said::Refused, Said::Later] {
        let outcome =
            |number: u8| Outcome { id: record::Id(vec![number; 16]), said, why: Some("so".to_owned()) };
        let answer = Answer { v: 1, outcomes: (0..3).map(outcome).collect() };
        let body = rmp_serde::to_vec_named(&answer).expect("encoded");
        seeds.add("wire", &[&[5, 0, 3][..], &body].concat());
    }
}
