//! Why it died (`fault::judge`): an instruction of any bytes, registers of any
//! values, a signal that claims anything, mappings of any shape.
//!
//! Input: the signal (28 bytes of siginfo_t), three bytes of options, a process
//! (machine.rs), then mappings of 11 bytes each. Beside "no crash": the same
//! crash is judged the same twice; a page of code has a difference exactly when
//! memory and file differ; what is told is short, printable and holds no address
//! that only the process knew; each code of evidence comes once.
#![cfg_attr(fuzzing, no_main)]

#[path = "common.rs"]
mod common;
#[path = "machine.rs"]
mod machine;

use epicore::address::Addr;
use epicore::bytes::Bytes;
use epicore::elfcore::{Head, Segment, Siginfo};
use epicore::fault::{self, Difference, Findings, Receiver, Scene, Space};
use epicore::memory::Image;
use epicore::unwind::{Cache, Ground, Stacks};

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

/// Functions that a chain to abort() goes through.
const NAMES: [&[u8]; 8] = [
    b"",
    b"abort",
    b"__assert_fail",
    b"__stack_chk_fail",
    b"malloc_printerr",
    b"rust_panic",
    b"_ZSt9terminatev",
    b"free",
];
const MESSAGES: [Option<&[u8]>; 4] = [
    None,
    Some(b"*** stack smashing detected ***: terminated\n"),
    Some(b"a: b.c:1: d: Assertion `e' failed.\n"),
    Some(b": Assertion `: : :1: ' failed."),
];

pub fn run(data: &[u8]) {
    let mut input = common::Input(data);
    let siginfo = Siginfo::parse(Bytes::new(input.bytes(28)));
    let (name, others, flip) = (input.u8(), input.u8(), input.u8());
    let mut process = machine::process(&mut input);
    let (code, stack) = (process.code, process.stack);
    let mut head = Head { machine: Some(process.machine), siginfo, ..Head::default() };
    let segment = |start: Addr, length: u64, flags: u32| {
        Some(Segment { range: start.range(length)?, flags, ..Segment::default() })
    };
    head.segments.extend(segment(code, process.file.len() as u64, 5));
    head.segments.extend(segment(stack.start, stack.len(), 6));
    while !input.0.is_empty() && head.segments.len() < 64 {
        let (start, pages, flags) = (Addr(input.u64()), u64::from(input.u16()) * 4096, input.u8().into());
        head.segments.extend(segment(start, pages, flags));
    }
    if flip != 0 {
        // A bit of the code is not as in its file.
        let at = code.add(u64::from(flip) * 16).unwrap_or_default();
        if let Some(bytes) = process.image.read(code, process.file.len()) {
            let mut bytes = bytes.as_slice().to_vec();
            if let Some(byte) = at.offset_from(code).and_then(|at| bytes.get_mut(at as usize)) {
                *byte ^= 1 << (flip & 7);
                let stack =
                    process.image.from(stack.start).map(|b| b.as_slice().to_vec()).unwrap_or_default();
                process.image = Image::new(vec![(code, bytes), (process.stack.start, stack)]);
            }
        }
    }
    let first = judge(&process, &head, name, others);
    told(&first);
    let second = judge(&process, &head, name, others);
    assert_eq!(format!("{first:?}"), format!("{second:?}"));
    let memory = process.image.read(code, process.file.len()).map(|bytes| bytes.as_slice().to_vec());
    if let Some(memory) = memory {
        let difference = fault::differ(process.machine, &memory, &process.file, code.0);
        assert_eq!(difference == Difference::None, memory == process.file);
    }
}

fn judge(process: &machine::Process, head: &Head, name: u8, others: u8) -> Findings {
    let stacks = Stacks::new(head.segments.iter().filter(|s| s.is_writable()).map(|s| s.range));
    let mut cache = Cache::new();
    let number = |at: u8| Some(u32::from(at)).filter(|at| *at > 0);
    let mut scene = Scene {
        siginfo: head.siginfo,
        receiver: Receiver {
            pid: number(others & 3),
            parent: number(others >> 2 & 3),
            uid: number(others >> 4 & 3),
        },
        live: others & 0x40 != 0,
        registers: &process.registers,
        threads: if others & 0x80 == 0 { 1 } else { 9 },
        names: vec![NAMES[usize::from(name & 7)].to_vec(), NAMES[usize::from(name >> 3 & 7)].to_vec()],
        callers: (0..process.modules.len()).collect(),
        message: MESSAGES[usize::from(name >> 6)],
        space: Space::new(head),
        image: &process.image,
        modules: &process.modules,
        ground: Ground::new(&process.image, &process.modules, &stacks, &mut cache),
    };
    fault::judge(&mut scene)
}

fn told(findings: &Findings) {
    let mut codes: Vec<_> = findings.evidence.iter().map(|evidence| evidence.code).collect();
    codes.sort();
    assert!(codes.windows(2).all(|pair| pair[0] != pair[1]), "{codes:?}");
    let texts = findings.evidence.iter().map(|evidence| &evidence.what);
    for text in texts.chain(&findings.cause).chain([&findings.symptoms]) {
        assert!(text.len() <= 1024 && !text.chars().any(char::is_control), "{text:?}");
    }
    assert!(findings.window.len() <= 128);
    if let Some(instruction) = &findings.instruction {
        assert!((1..=15).contains(&instruction.length) || instruction.kind == fault::Kind::Invalid);
        // enter pushes up to 31 frame pointers, each read from the frame before.
        assert!(instruction.operands.len() <= 64);
    }
}
