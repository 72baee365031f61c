//! The notes of a core: what the process was when it died (`elfcore`: PRSTATUS,
//! PRPSINFO, SIGINFO, AUXV, FILE, in any order, any number of times).
//!
//! Input: a byte (bit 0: aarch64), then the notes. Beside "no crash": the
//! threads, the signal and the auxiliary vector are those that a second,
//! simpler reader of elf(5) finds; comm has at most 16 bytes; what does not fit
//! is a gap.
#![cfg_attr(fuzzing, no_main)]

#[path = "../../support/core_builder.rs"]
mod core_builder;

use core_builder::CoreBuilder;
use epicore::memory::Stream;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

pub fn run(data: &[u8]) {
    let Some((options, notes)) = data.split_first() else { return };
    let machine = if options & 1 == 0 { 62 } else { 183 };
    let core = CoreBuilder { machine, notes: notes.to_vec(), ..CoreBuilder::default() };
    let head = Stream::new(core.build().as_slice()).head();
    let expected = Expected::read(notes, if machine == 62 { 27 } else { 34 });
    let threads: Vec<(u32, u64)> = head.threads.iter().map(|thread| (thread.tid, ip(thread))).collect();
    assert_eq!(threads, expected.threads);
    if let Some(signal) = expected.signal {
        assert_eq!(head.siginfo.map(|info| (info.signal, info.code)), signal);
    }
    if let Some(secure) = expected.secure {
        assert_eq!(head.auxv.secure, secure.unwrap_or(false));
        assert_eq!(head.auxv.complete, secure.is_some());
    }
    assert_eq!(head.gaps.iter().any(|gap| gap.reason == "NT_PRSTATUS is too short"), expected.short_threads);
    assert!(head.prpsinfo.is_none_or(|info| info.comm.len() <= 16));
    assert!(head.files.iter().flatten().all(|file| file.path.len() <= epicore::limits::PATH));
}

fn ip(thread: &epicore::elfcore::Thread) -> u64 {
    thread.registers.ip().0
}

/// elf(5), once more.
#[derive(Default)]
struct Expected {
    threads: Vec<(u32, u64)>,
    short_threads: bool,
    /// Of the last NT_SIGINFO; it may have been too short.
    signal: Option<Option<(u32, i32)>>,
    /// Of the last NT_AUXV; it may not tell.
    secure: Option<Option<bool>>,
}

impl Expected {
    fn read(mut notes: &[u8], registers: usize) -> Expected {
        let mut expected = Expected::default();
        while notes.len() >= 12 {
            let word = |at: usize| u32::from_le_bytes(notes[at..at + 4].try_into().unwrap());
            let (name_size, size, kind) = (word(0) as usize, word(4) as usize, word(8));
            let name_end = 12 + name_size.next_multiple_of(4);
            let end = name_end + size.next_multiple_of(4);
            // The padding of the last descriptor may be missing.
            if name_end + size > notes.len() {
                break;
            }
            let name = notes.get(12..name_end.min(12 + name_size)).unwrap_or(&[]);
            let name = name.split(|byte| *byte == 0).next().unwrap_or(&[]);
            let body = notes.get(name_end..name_end + size).unwrap_or(&[]);
            // What fills a name up to four bytes belongs to no name, but is read
            // with it; a kernel writes zeros there.
            if (1..=16).contains(&name_size)
                && (name == b"CORE" || padded_name(notes, name_size))
                && !body.is_empty()
            {
                expected.note(kind, body, registers);
            }
            notes = notes.get(end..).unwrap_or(&[]);
        }
        expected
    }

    fn note(&mut self, kind: u32, body: &[u8], registers: usize) {
        let word = |at: usize| body.get(at..at + 4).map(|b| u32::from_le_bytes(b.try_into().unwrap()));
        let long = |at: usize| body.get(at..at + 8).map(|b| u64::from_le_bytes(b.try_into().unwrap()));
        match kind {
            1 if body.len() <= 1024 => {
                let ip = 112 + 8 * if registers == 27 { 16 } else { 32 };
                if body.len() >= 112 + registers * 8 {
                    self.threads.extend(word(32).zip(long(ip)));
                } else {
                    self.short_threads = true;
                }
            }
            0x5349_4749 if body.len() <= 512 => {
                let whole = body.len() >= 24 && (word(0) != Some(31) || body.len() >= 28);
                let code = word(8).map(u32::cast_signed);
                // Only the number of a refused system call lies further behind.
                let refused = word(0) == Some(31) && code.is_some_and(|code| (1..0x80).contains(&code));
                let whole = whole || body.len() >= 24 && !refused;
                self.signal = Some(word(0).zip(code).filter(|_| whole));
            }
            6 if body.len() <= 4096 => {
                let pairs = body.chunks_exact(16).take(64).map(|pair| {
                    let half = |at: usize| u64::from_le_bytes(pair[at..at + 8].try_into().unwrap());
                    (half(0), half(8))
                });
                let secure = pairs.take_while(|(key, _)| *key != 0).filter(|(key, _)| *key == 23).last();
                self.secure = Some(secure.map(|(_, value)| value != 0));
            }
            _ => {}
        }
    }
}

fn padded_name(notes: &[u8], size: usize) -> bool {
    let whole = notes.get(12..12 + size.next_multiple_of(4)).unwrap_or(&[]);
    whole.split(|byte| *byte == 0).next() == Some(b"CORE")
}
