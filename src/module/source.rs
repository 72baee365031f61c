//! Where a module's bytes come from: its file, or a copy of the vdso.
//!
//! Gives: [`Source::file`] and [`Source::virtual_bytes`], all of a range or
//! nothing. Trusts: nothing; a file is read by bounded pread (never mapped,
//! because a file truncated under us would be SIGBUS), through a cache of at
//! most [`limits::BLOCKS`] blocks, so that a binary search and the walk of a
//! deep stack cost a few system calls.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

use super::elf::{self, Headers};
use crate::bytes::Bytes;
use crate::limits;

/// Bytes of one module.
#[derive(Debug, Default)]
pub(super) enum Source {
    /// None are at hand.
    #[default]
    Nothing,
    /// The file behind it.
    File(Blocks),
    /// All of it, as mapped from this virtual address on (the vdso).
    Copy(u64, Vec<u8>),
}

/// A file, read in blocks.
#[derive(Debug)]
pub(super) struct Blocks {
    file: File,
    cache: RefCell<HashMap<u64, Vec<u8>>>,
}

impl Blocks {
    /// Around an open file; `None` when it is not a regular file of a
    /// sensible size.
    pub(super) fn new(file: File) -> Option<Blocks> {
        let facts = file.metadata().ok()?;
        let sensible = facts.is_file() && facts.len() <= limits::MODULE_FILE;
        sensible.then(|| Blocks { file, cache: RefCell::default() })
    }

    fn fetch(&self, mut offset: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let mut filled = 0usize;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset) {
                Ok(count) if count > 0 => {
                    filled = filled.saturating_add(count);
                    offset = offset.saturating_add(count as u64);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        bytes.truncate(filled);
        bytes
    }

    fn read(&self, offset: u64, length: usize) -> Option<Vec<u8>> {
        if length > limits::MODULE_READ {
            return None;
        }
        if length > limits::BLOCK {
            let bytes = self.fetch(offset, length);
            return (bytes.len() == length).then_some(bytes);
        }
        let mut result = Vec::with_capacity(length);
        let mut at = offset;
        while result.len() < length {
            let within = usize::try_from(at.checked_rem(limits::BLOCK as u64)?).ok()?;
            let missing = length.checked_sub(result.len())?;
            let part = self.part(at.checked_sub(within as u64)?, within, missing)?;
            at = at.checked_add(part.len() as u64)?;
            result.extend_from_slice(&part);
        }
        Some(result)
    }

    fn part(&self, block: u64, within: usize, most: usize) -> Option<Vec<u8>> {
        let mut cache = self.cache.borrow_mut();
        if cache.len() >= limits::BLOCKS && !cache.contains_key(&block) {
            cache.clear();
        }
        let bytes = cache.entry(block).or_insert_with(|| self.fetch(block, limits::BLOCK));
        let rest = bytes.get(within..)?;
        let part = rest.get(..most).unwrap_or(rest);
        (!part.is_empty()).then(|| part.to_vec())
    }
}

impl Source {
    /// `length` bytes of the file at `offset`.
    pub(super) fn file(&self, offset: u64, length: usize) -> Option<Vec<u8>> {
        match self {
            Source::Nothing => None,
            Source::File(blocks) => blocks.read(offset, length),
            Source::Copy(_, bytes) => copy(bytes, offset, length),
        }
    }

    /// `length` bytes at a virtual address as linked.
    pub(super) fn virtual_bytes(&self, headers: &Headers, vaddr: u64, length: usize) -> Option<Vec<u8>> {
        match self {
            Source::Copy(start, bytes) => copy(bytes, vaddr.checked_sub(*start)?, length),
            _ => self.file(headers.file_offset(vaddr, length)?, length),
        }
    }

    /// The ELF headers in the file.
    pub(super) fn headers(&self) -> Option<Headers> {
        let head = self.file(0, 64)?;
        let end = elf::headers_end(Bytes::new(&head))?.max(64);
        Headers::parse(Bytes::new(&self.file(0, end)?))
    }
}

fn copy(bytes: &[u8], offset: u64, length: usize) -> Option<Vec<u8>> {
    let part = Bytes::new(bytes).range(usize::try_from(offset).ok()?, length)?;
    Some(part.as_slice().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn reads_across_blocks_are_whole_or_nothing() {
        let mut file = tempfile::tempfile().expect("a file");
        let data: Vec<u8> = (0..10_000u32).map(|i| i as u8).collect();
        file.write_all(&data).expect("written");
        let source = Source::File(Blocks::new(file).expect("regular"));
        assert_eq!(source.file(4090, 20).as_deref(), Some(&data[4090..4110]));
        assert_eq!(source.file(9_990, 10).as_deref(), Some(&data[9_990..]));
        assert_eq!(source.file(9_990, 11), None);
        assert_eq!(source.file(0, 9_000).as_deref(), Some(&data[..9_000]));
        assert_eq!(source.file(u64::MAX, 2), None);
    }

    #[test]
    fn a_device_is_not_a_module() {
        assert!(Blocks::new(File::open("/dev/zero").expect("opened")).is_none());
    }
}
