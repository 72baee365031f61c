//! One loaded object.
//!
//! Gives: [`Module`] and what is done to it once: the file behind it is
//! attached, or refused. Trusts: nothing; a file that came by path is only
//! believed when its build-id is the mapped one's, or, where neither has
//! one, its program headers.

use std::cell::OnceCell;
use std::fs::File;
use std::os::unix::fs::MetadataExt;

use super::build_id;
use super::elf::Headers;
use super::source::{Blocks, Source};
use super::symbols::Symbols;
use super::unwind_section::Table;
use crate::address::{Addr, AddrRange};
use crate::limits;
use crate::process::Mapping;

/// What is unusual about a module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// The kernel says that the file was unlinked.
    pub deleted: bool,
    /// Another file stands at its path now: it was not used.
    pub replaced: bool,
    /// From memfd_create(2).
    pub memfd: bool,
    /// The kernel's vdso: it has no file.
    pub vdso: bool,
    /// No file was attached: no unwind tables, no code.
    pub no_file: bool,
}

impl Flags {
    /// The names of those that are set, as the record spells them.
    pub fn names(&self) -> Vec<&'static str> {
        let all = [
            (self.deleted, "deleted"),
            (self.replaced, "replaced"),
            (self.memfd, "memfd"),
            (self.vdso, "vdso"),
            (self.no_file, "no-file"),
        ];
        all.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect()
    }
}

/// Where a file that is offered to a module came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is the mapped file: nothing to check.
    Mapped,
    /// Opened by the path as the kernel gave it: must be the same build.
    LiteralPath,
    /// Opened by the path without " (deleted)", or found elsewhere: must be
    /// the same build.
    CleanPath,
}

/// One loaded object.
#[derive(Debug, Default)]
pub struct Module {
    /// As mapped, " (deleted)" taken off; "[vdso]" for the vdso.
    pub path: Vec<u8>,
    /// From the mapped ELF headers, or else from the file.
    pub build_id: Option<Vec<u8>>,
    /// The address of the object's virtual address 0, modulo 2⁶⁴.
    pub bias: Addr,
    /// From the lowest to the highest mapped address.
    pub range: AddrRange,
    /// Executable mappings, ascending.
    pub executable: Vec<AddrRange>,
    /// The first mapping: to open it through /proc/TID/map_files.
    pub first: AddrRange,
    /// Device and inode of the file, when /proc was asked.
    pub identity: Option<(u64, u64)>,
    /// What is unusual.
    pub flags: Flags,
    /// File offset of `first`: the bias of a module without headers in
    /// memory is found by it when the file comes.
    pub(super) first_offset: u64,
    pub(super) headers: Headers,
    pub(super) source: Source,
    pub(super) table: OnceCell<(Table, Option<&'static str>)>,
    pub(super) dynamic: OnceCell<Symbols>,
    pub(super) full: OnceCell<Symbols>,
}

impl Module {
    /// The name without its directories.
    pub fn name(&self) -> &[u8] {
        self.path.rsplit(|b| *b == b'/').next().unwrap_or(&self.path)
    }

    /// An address as linked.
    pub fn linked(&self, address: Addr) -> u64 {
        address.0.wrapping_sub(self.bias.0)
    }

    /// A linked address as mapped.
    pub fn mapped(&self, linked: u64) -> Addr {
        Addr(linked.wrapping_add(self.bias.0))
    }

    /// True when the ELF headers are known.
    pub(super) fn has_headers(&self) -> bool {
        !self.headers.loads.is_empty()
    }

    /// The path with the suffix that may be the kernel's or its own.
    pub fn literal_path(&self) -> Vec<u8> {
        let mut path = self.path.clone();
        if self.flags.deleted {
            path.extend_from_slice(Mapping::DELETED);
        }
        path
    }

    /// The file is there under a name that only ends like a deleted one's.
    fn is_not_deleted(&mut self) {
        self.path = self.literal_path();
        self.flags.deleted = false;
    }

    /// Takes the file, or refuses it.
    pub(super) fn attach(&mut self, file: File, origin: Origin) {
        let exact = origin == Origin::Mapped;
        let linked = file.metadata().is_ok_and(|data| data.nlink() > 0);
        let Some(blocks) = Blocks::new(file) else { return };
        let source = Source::File(blocks);
        let Some(headers) = source.headers() else { return };
        let build_id = file_build_id(&source, &headers);
        if !exact && !self.is_same(&headers, build_id.as_deref()) {
            self.flags.replaced = true;
            return;
        }
        if !self.has_headers() {
            self.bias = self.bias_by(&headers).unwrap_or(self.bias);
        }
        // The mapped file itself has a name, or the literal name has the build.
        if self.flags.deleted && linked && origin != Origin::CleanPath {
            self.is_not_deleted();
        }
        self.build_id = self.build_id.take().or(build_id);
        self.headers = headers;
        self.source = source;
        self.flags.no_file = false;
        (self.table, self.dynamic, self.full) = Default::default();
    }

    fn is_same(&self, headers: &Headers, build_id: Option<&[u8]>) -> bool {
        match (self.build_id.as_deref(), build_id) {
            (Some(mapped), Some(found)) => mapped == found,
            (None, None) if self.has_headers() => self.headers == *headers,
            (None, Some(_)) if self.has_headers() => self.headers == *headers,
            // Nothing of the object was kept: its path is all there is.
            (None, _) => !self.flags.deleted,
            (Some(_), None) => false,
        }
    }

    fn bias_by(&self, headers: &Headers) -> Option<Addr> {
        let executable = self.executable.first().is_some_and(|range| range.start == self.first.start);
        headers.bias(self.first.start.0, self.first_offset, executable).map(Addr)
    }
}

/// The build-id of an executable file, from its headers and notes: a few
/// bounded reads.
pub fn build_id_of(file: File) -> Option<Vec<u8>> {
    let source = Source::File(Blocks::new(file)?);
    file_build_id(&source, &source.headers()?)
}

fn file_build_id(source: &Source, headers: &Headers) -> Option<Vec<u8>> {
    headers.notes.iter().find_map(|note| {
        let size = usize::try_from(note.file_size).ok()?.min(limits::MODULE_TABLE);
        let bytes = source.file(note.offset, size)?;
        build_id::find(crate::bytes::Bytes::new(&bytes), note.align)
    })
}
