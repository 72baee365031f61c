//! A whole core, from the first byte to the record's bytes (`capture::replay`,
//! `capture::replay_file`, `record::fit`).
//!
//! Input: the core. Beside "no crash": the record's bytes are within their budget
//! and read back as they were; lists and gaps are within their limits; how the
//! pipe cuts the stream changes nothing; the ranges of stacks and modules that the
//! record names are there.
#![cfg_attr(fuzzing, no_main)]

#[path = "common.rs"]
mod common;

use std::io::Read;

use epicore::record::{self, Id, Record};
use epicore::{capture, limits};

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

/// A pipe that gives a page and less.
struct Pipe<'a>(&'a [u8]);

impl Read for Pipe<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = buffer.len().min(self.0.len()).min(4096 - self.0.len() % 61);
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

pub fn run(data: &[u8]) {
    let record = timeless(capture::replay(data, &[]));
    whole(&record);
    assert_eq!(timeless(capture::replay(Pipe(data), &[])), record);
    let mut fitted = record;
    let bytes = record::fit(&mut fitted).expect("a record has bytes");
    assert!(bytes.len() <= limits::RECORD_BYTES);
    assert!(fitted.gaps.len() <= limits::GAPS);
    assert_eq!(record::decode(&bytes).expect("a record"), fitted);
    whole(&timeless(capture::replay_file(&common::file(data), &[])));
}

/// Without what no two records share.
fn timeless(record: Record) -> Record {
    let mut record = Record { id: Id::default(), ..record };
    record.capture.total_us = None;
    record
}

fn whole(record: &Record) {
    assert!(record.stacks.len() <= limits::RECORD_STACKS);
    assert!(record.modules.len() <= limits::RECORD_MODULES);
    assert!(record.registers.len() <= limits::RECORD_REGISTERS);
    assert!(record.threads.tid.len() <= limits::THREADS);
    assert_eq!(record.threads.tid.len(), record.threads.stack.len());
    for index in &record.threads.stack {
        assert!(*index == -1 || (*index as usize) < record.stacks.len());
    }
    for frame in record.stacks.iter().flat_map(|stack| &stack.frames) {
        assert!(frame.module.is_none_or(|index| (index as usize) < record.modules.len()));
    }
    for stack in &record.stacks {
        assert!(stack.frames.len() <= limits::FRAMES_INNER + limits::FRAMES_OUTER);
        assert!(stack.cut_at.is_none_or(|at| at as usize <= stack.frames.len()));
    }
}
