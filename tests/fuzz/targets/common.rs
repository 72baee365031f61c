//! What several targets need: bytes in order, a file in memory, and libFuzzer's
//! door, which is shut when tests/fuzz_corpus.rs includes a target.

#![allow(dead_code, unreachable_pub)]

use std::fs::File;
use std::io::Write;

/// Bytes, taken from the front; what is missing is zero or shorter.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = self.bytes(N);
        array[..taken.len()].copy_from_slice(taken);
        array
    }

    pub fn u8(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    pub fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    pub fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    /// A length of 16 bits, and as many bytes.
    pub fn counted(&mut self) -> &'a [u8] {
        let count = self.u16();
        self.bytes(count.into())
    }
}

/// A regular file that has no name.
pub fn file(bytes: &[u8]) -> File {
    let flags = nix::sys::memfd::MFdFlags::MFD_CLOEXEC;
    let mut file = File::from(nix::sys::memfd::memfd_create(c"fuzz", flags).expect("a file in memory"));
    file.write_all(bytes).expect("written");
    file
}
