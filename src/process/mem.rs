//! The memory of the crashing thread.
//!
//! Read by process_vm_readv(2), because a page of a file whose server does not answer
//! is then a wait that the deadline ends. Where that call is not there, or a policy
//! has something against it, through /proc/TID/mem, which was opened first: a wait for
//! such a page is then without end. That the number is still the same thread's is asked
//! after the last read ([`Dying::still`](super::Dying::still)).

use std::cell::Cell;
use std::fs::File;
use std::os::unix::fs::FileExt;

use nix::errno::Errno;

use super::directory::Directory;
use super::resident::absent;
use crate::address::Addr;
use crate::syscall;

const PAGE: u64 = 4096;

/// Memory that can be read.
#[derive(Debug)]
pub struct Memory {
    file: File,
    pagemap: Option<File>,
    thread: u32,
    by_file: Cell<bool>,
}

impl Memory {
    /// Of the thread whose directory this is. Fails under ptrace_scope 3 and without
    /// CAP_SYS_PTRACE.
    pub(super) fn open(directory: &Directory, thread: u32) -> Result<Memory, Errno> {
        let (file, pagemap) = (directory.file("mem")?, directory.file("pagemap").ok());
        Ok(Memory { file, pagemap, thread, by_file: Cell::new(false) })
    }

    /// Reads from `at` on, as far as pages are there.
    pub fn read_at(&self, buffer: &mut [u8], at: u64) -> Result<usize, Errno> {
        if !self.by_file.get() {
            match syscall::read_memory(self.thread, at, buffer) {
                Err(Errno::ENOSYS | Errno::EPERM | Errno::ESRCH) => self.by_file.set(true),
                // PROT_NONE, or code that can only be executed: the file reads it, and is
                // asked for what is there.
                Err(Errno::EFAULT) if self.is_there(at) => return self.by_file(rest_of_page(buffer, at), at),
                read => return read,
            }
        }
        self.by_file(buffer, at)
    }

    fn is_there(&self, at: u64) -> bool {
        let byte = Addr(at).range(1);
        byte.is_some_and(|byte| absent(self.pagemap.as_ref(), byte).is_empty())
    }

    fn by_file(&self, buffer: &mut [u8], at: u64) -> Result<usize, Errno> {
        let read = self.file.read_at(buffer, at);
        read.map_err(|error| syscall::errno(&error))
    }
}

fn rest_of_page(buffer: &mut [u8], at: u64) -> &mut [u8] {
    let rest = at.checked_rem(PAGE).and_then(|inside| PAGE.checked_sub(inside)).unwrap_or(PAGE);
    let length = buffer.len().min(usize::try_from(rest).unwrap_or(usize::MAX));
    buffer.get_mut(..length).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn both_ways_read_the_same_and_end_where_nothing_is_mapped() {
        let page = 4096usize;
        let there = vec![0x5au8; 4 * page];
        let at = (there.as_ptr().addr() as u64).next_multiple_of(page as u64);
        let own = Directory::open(Path::new("/proc/self")).unwrap();
        for by_file in [false, true] {
            let memory = Memory::open(&own, std::process::id()).unwrap();
            memory.by_file.set(by_file);
            let mut read = vec![0; 2 * page];
            assert_eq!(memory.read_at(&mut read, at), Ok(read.len()));
            assert!(read.iter().all(|byte| *byte == 0x5a));
            assert!(memory.read_at(&mut read, 16).is_err());
            assert_eq!(memory.by_file.get(), by_file);
        }
        let gone = Memory { thread: 1 << 30, ..Memory::open(&own, 0).unwrap() };
        assert_eq!(gone.read_at(&mut [0; 8], at), Ok(8), "nobody has that number");
        assert!(gone.by_file.get());
    }
}
