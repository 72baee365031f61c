//! Two sources that serve one plan: /proc/TID/mem while the task is held, or
//! the stream as its segments pass.
//!
//! [`Stream`] drives both the head and the segments over any reader. It never
//! buffers more than what is kept, ends after the last wanted byte, and stops
//! when the deadline has passed.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read};

use nix::errno::Errno;

use super::image::Image;
use super::plan::Plan;
use super::stack::Layout;
use crate::address::{Addr, AddrRange};
use crate::elfcore::{Head, Parser, Segment, Want};
use crate::gap::{Gap, Stage};
use crate::limits;
use crate::process::Memory;
use crate::syscall::deadline_passed;

/// A core as it comes.
pub struct Stream<R> {
    reader: R,
    /// Bytes taken from the reader.
    position: u64,
    chunk: Vec<u8>,
    /// Bytes of the head that were read ahead and not used yet.
    ahead: VecDeque<u8>,
}

impl<R: Read> Stream<R> {
    /// At the beginning.
    pub fn new(reader: R) -> Stream<R> {
        Stream { reader, position: 0, chunk: Vec::new(), ahead: VecDeque::new() }
    }

    /// Where the next byte stands in the core.
    pub fn position(&self) -> u64 {
        self.position.saturating_sub(self.ahead.len() as u64)
    }

    /// Bytes taken from the reader.
    pub fn bytes_read(&self) -> u64 {
        self.position
    }

    /// Gives the reader back: dropping it is the release.
    pub fn into_inner(self) -> R {
        self.reader
    }

    /// Fills `buffer`, first with what was read ahead; returns how much came.
    fn fill(&mut self, buffer: &mut [u8]) -> usize {
        let kept = buffer.len().min(self.ahead.len());
        for (to, from) in buffer.iter_mut().zip(self.ahead.drain(..kept)) {
            *to = from;
        }
        let got = buffer.get_mut(kept..).map_or(0, |rest| self.read(rest));
        kept.saturating_add(got)
    }

    /// Reads until `buffer` is full; returns how much came.
    fn read(&mut self, buffer: &mut [u8]) -> usize {
        let mut got = 0usize;
        while let Some(rest) = buffer.get_mut(got..).filter(|rest| !rest.is_empty() && !deadline_passed()) {
            match self.reader.read(rest) {
                Ok(0) => break,
                Ok(count) => got = got.saturating_add(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        self.position = self.position.saturating_add(got as u64);
        got
    }

    /// Reads bytes that surely belong to the head in one go instead of three
    /// small reads for each note.
    fn read_ahead(&mut self, sure: u64) {
        let length = usize::try_from(sure).unwrap_or(usize::MAX).min(limits::STREAM_CHUNK);
        if self.ahead.is_empty() && length > 0 {
            let mut chunk = vec![0; length];
            let got = self.read(&mut chunk);
            chunk.truncate(got);
            self.ahead = chunk.into();
        }
    }

    /// Lets `count` bytes pass; returns how many came.
    fn skip(&mut self, count: u64) -> u64 {
        if self.chunk.is_empty() {
            self.chunk = vec![0; limits::STREAM_CHUNK];
        }
        let mut chunk = std::mem::take(&mut self.chunk);
        let mut left = count;
        while left > 0 {
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
            let got = chunk.get_mut(..length).map_or(0, |part| self.fill(part));
            left = left.saturating_sub(got as u64);
            if got < length {
                break;
            }
        }
        self.chunk = chunk;
        count.saturating_sub(left)
    }

    /// The head of the core.
    pub fn head(&mut self) -> Head {
        let mut parser = Parser::new();
        let mut buffer = Vec::new();
        loop {
            match parser.want() {
                Want::Done => return parser.finish(),
                Want::Skip(count) => match self.skip(count) {
                    got if got == count => parser.skipped(count),
                    got => parser.cut(got),
                },
                Want::Keep(length) => {
                    self.read_ahead(parser.sure());
                    // Length is bounded by the parser's limits, not by input.
                    buffer.resize(length, 0);
                    match self.fill(&mut buffer) {
                        got if got == length => parser.feed(&buffer),
                        got => parser.cut(got as u64),
                    }
                }
            }
        }
    }
}

/// The size of the pages that a hole is stepped over by.
const PAGE: u64 = 4096;

/// Copies the plan from the memory of the held task. A page that cannot be
/// read (a guard, a poisoned one) is a hole; what lies behind it is kept.
pub fn live(memory: &Memory, plan: &Plan, layout: &Layout) -> (Image, Vec<Gap>) {
    let (mut pieces, mut lost) = (Vec::with_capacity(plan.ranges().len()), 0u64);
    for range in plan.ranges() {
        let mut at = range.start;
        while at < range.end {
            let rest = AddrRange { start: at, end: range.end };
            let mut bytes = vec![0; usize::try_from(rest.len()).unwrap_or(0)];
            let got = read_memory(memory, at, &mut bytes);
            bytes.truncate(got);
            pieces.push((at, bytes));
            let Some(stopped) = at.add(got as u64).filter(|stopped| *stopped < range.end) else { break };
            let next = stopped.align_down(PAGE).add(PAGE).unwrap_or(range.end).min(range.end);
            // What was never mapped (code around a wild pointer) is no loss.
            if layout.segment(stopped).is_some() {
                lost = lost.saturating_add(next.offset_from(stopped).unwrap_or(0));
            }
            at = if deadline_passed() { range.end } else { next };
        }
    }
    let gaps = (lost > 0).then(|| Gap::counted(Stage::Memory, "bytes that could not be read", lost));
    (Image::new(pieces), gaps.into_iter().collect())
}

/// Reads as far as memory is there; returns how far that was.
fn read_memory(memory: &Memory, start: Addr, buffer: &mut [u8]) -> usize {
    let mut got = 0usize;
    while let Some(rest) = buffer.get_mut(got..).filter(|rest| !rest.is_empty() && !deadline_passed()) {
        let Some(at) = start.add(got as u64) else { break };
        match memory.read_at(rest, at.0) {
            Ok(0) => break,
            Ok(count) => got = got.saturating_add(count),
            Err(Errno::EINTR) => {}
            Err(_) => break,
        }
    }
    got
}

/// Serves the plan from the segments as they pass.
pub fn from_stream<R: Read>(stream: &mut Stream<R>, head: &Head, plan: &Plan) -> (Image, Vec<Gap>) {
    let mut segments: Vec<&Segment> = head.segments.iter().filter(|segment| segment.file_size > 0).collect();
    segments.sort_by_key(|segment| segment.offset);
    let (mut pieces, mut gaps, mut passed) = (Vec::new(), Vec::new(), 0u64);
    // Segments that overlap must not be kept more often than the plan has them.
    let mut budget = plan.ranges().iter().fold(0u64, |sum, range| sum.saturating_add(range.len()));
    'segments: for segment in segments {
        let there = segment.file_size.min(segment.range.len());
        let Some(dumped) = segment.range.start.range(there) else { continue };
        for wanted in plan.within(dumped) {
            let Some(left) = budget.checked_sub(wanted.len()) else {
                gaps.push(Gap::new(Stage::Memory, "segments that overlap"));
                break 'segments;
            };
            budget = left;
            match keep(stream, segment, dumped, wanted) {
                Kept::Bytes(bytes) => pieces.push((wanted.start, bytes)),
                Kept::Passed => passed = passed.saturating_add(wanted.len()),
                Kept::Ended(bytes) => {
                    pieces.push((wanted.start, bytes));
                    let why = if deadline_passed() { "deadline" } else { "the stream ended in the segments" };
                    gaps.push(Gap::new(Stage::Memory, why));
                    break 'segments;
                }
            }
        }
    }
    if passed > 0 {
        gaps.push(Gap::counted(Stage::Memory, "segments out of order", passed));
    }
    (Image::new(pieces), gaps)
}

enum Kept {
    Bytes(Vec<u8>),
    /// The stream is already beyond it: segments that overlap.
    Passed,
    /// The stream ended; what came.
    Ended(Vec<u8>),
}

fn keep<R: Read>(stream: &mut Stream<R>, segment: &Segment, dumped: AddrRange, wanted: AddrRange) -> Kept {
    let inside = wanted.start.offset_from(dumped.start).unwrap_or(0);
    let Some(ahead) = segment.offset.checked_add(inside).and_then(|at| at.checked_sub(stream.position()))
    else {
        return Kept::Passed;
    };
    if stream.skip(ahead) < ahead {
        return Kept::Ended(Vec::new());
    }
    // A planned range is bounded by the plan's budget, whatever p_filesz says.
    let mut bytes = vec![0; usize::try_from(wanted.len()).unwrap_or(0)];
    let got = stream.fill(&mut bytes);
    if got < bytes.len() {
        bytes.truncate(got);
        return Kept::Ended(bytes);
    }
    Kept::Bytes(bytes)
}
