//! A text file of any length, through one buffer.
//!
//! /proc/interrupts has lines of 90 KB on 8192 CPUs and several megabytes in
//! all; nothing of it is kept but the word at hand. Ends at a limit, and says
//! whether it did.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::unistd::read;

/// The longest word that anybody asks for ("CPU8191", a number).
const WORD: usize = 32;

/// A stream of words and lines.
pub(super) struct Stream {
    file: OwnedFd,
    chunk: Vec<u8>,
    position: usize,
    length: usize,
    left: u64,
    limited: bool,
}

impl Stream {
    pub(super) fn new(file: OwnedFd, limit: u64) -> Stream {
        Stream { file, chunk: vec![0; 32 << 10], position: 0, length: 0, left: limit, limited: false }
    }

    /// True when there was more than the limit.
    pub(super) fn is_limited(&self) -> bool {
        self.limited
    }

    /// The next word of this line; `None` at its end (which stays).
    pub(super) fn word(&mut self) -> Option<Word> {
        while let Some(byte) = self.peek() {
            match byte {
                b'\n' => return None,
                byte if byte.is_ascii_whitespace() => self.advance(1),
                _ => break,
            }
        }
        let mut word = Word::default();
        while let Some(byte) = self.peek().filter(|byte| !byte.is_ascii_whitespace()) {
            word.push(byte);
            self.advance(1);
        }
        (!word.as_slice().is_empty()).then_some(word)
    }

    /// Goes behind the next line end; false at the end of the file.
    pub(super) fn next_line(&mut self) -> bool {
        while !self.rest().is_empty() || self.fill() {
            let at = self.rest().iter().position(|byte| *byte == b'\n');
            match at {
                Some(at) => {
                    self.advance(at.saturating_add(1));
                    return self.peek().is_some();
                }
                None => self.advance(self.rest().len()),
            }
        }
        false
    }

    /// The rest of this line, as far as `most` bytes.
    pub(super) fn line(&mut self, most: usize) -> Vec<u8> {
        let mut line = Vec::new();
        while !self.rest().is_empty() || self.fill() {
            let rest = self.rest();
            let end = rest.iter().position(|byte| *byte == b'\n');
            let part = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            let room = most.saturating_sub(line.len()).min(part.len());
            line.extend_from_slice(part.get(..room).unwrap_or_default());
            self.advance(part.len());
            if end.is_some() {
                break;
            }
        }
        line
    }

    fn rest(&self) -> &[u8] {
        self.chunk.get(self.position..self.length).unwrap_or_default()
    }

    fn peek(&mut self) -> Option<u8> {
        if self.position >= self.length && !self.fill() {
            return None;
        }
        self.chunk.get(self.position).copied()
    }

    fn advance(&mut self, count: usize) {
        self.position = self.position.saturating_add(count).min(self.length);
    }

    fn fill(&mut self) -> bool {
        if self.left == 0 {
            self.limited = true;
            return false;
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(self.chunk.len());
        loop {
            let Some(room) = self.chunk.get_mut(..most) else { return false };
            match read(self.file.as_fd(), room) {
                Err(Errno::EINTR) => {}
                Ok(count) if count > 0 => {
                    self.position = 0;
                    self.length = count;
                    self.left = self.left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
                    return true;
                }
                _ => return false,
            }
        }
    }
}

/// A short word; what is beyond its length is cut, so it matches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Word {
    bytes: [u8; WORD],
    length: usize,
}

impl Word {
    fn push(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(self.length) {
            *slot = byte;
            self.length = self.length.saturating_add(1);
        }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}
