//! From mappings to modules.
//!
//! Gives: [`modules`], and for each mapping the module it belongs to.
//! Trusts: nothing; mappings may come in any order (core_sort_vma sorts by
//! size), overlap, and name files that are no objects. An object is where
//! an ELF header is mapped; mappings of the same file belong to it when they
//! lie within the span that its program headers ask for. Where no header was
//! kept, mappings of one file whose offsets ascend are one object, and the
//! bias is found when the file is attached.

use std::collections::HashMap;

use super::build_id;
use super::elf::Headers;
use super::object::{Flags, Module};
use super::source::Source;
use crate::address::{Addr, AddrRange};
use crate::limits;
use crate::memory::Image;
use crate::process::Mapping;

/// A mapping and, when it has one, the index of its module.
pub(super) type Placed<'a> = (&'a Mapping, Option<usize>);
type Key<'a> = (&'a [u8], Option<(u64, u64)>);

/// Instances being put together.
struct Assembly<'a> {
    image: &'a Image,
    modules: Vec<Module>,
    /// The newest instance of a file, and the file offset it has come to.
    open: HashMap<Key<'a>, (usize, u64)>,
    refused: u64,
}

/// The objects of these mappings, which are sorted by address, and how many
/// were too many.
pub(super) fn modules<'a>(
    sorted: &[&'a Mapping],
    image: &'a Image,
    vdso: Option<Addr>,
) -> (Vec<Module>, Vec<Placed<'a>>, u64) {
    let mut assembly = Assembly { image, modules: Vec::new(), open: HashMap::new(), refused: 0 };
    let placed = sorted.iter().map(|mapping| (*mapping, assembly.place(mapping, vdso))).collect();
    (assembly.modules, placed, assembly.refused)
}

fn is_file(mapping: &Mapping) -> bool {
    mapping.path.first() == Some(&b'/')
}

impl<'a> Assembly<'a> {
    fn place(&mut self, mapping: &'a Mapping, vdso: Option<Addr>) -> Option<usize> {
        let is_vdso = mapping.path == b"[vdso]"
            || vdso.is_some_and(|at| mapping.range.contains(at) && !is_file(mapping));
        if is_vdso {
            return self.vdso(mapping);
        }
        if !is_file(mapping) {
            return self.within(mapping);
        }
        let key: Key<'a> = (mapping.path.as_slice(), mapping.identity);
        let head = self.head(mapping);
        if let Some((index, reached)) = self.open.get(&key).copied()
            && self.continues(index, reached, mapping, head.is_some())
        {
            self.open.insert(key, (index, mapping.offset));
            return Some(index);
        }
        // Something that is there and no object is data, or made by a JIT.
        if mapping.offset == 0 && head.is_none() && self.image.from(mapping.range.start).is_some() {
            return None;
        }
        let index = self.begin(mapping, head)?;
        self.open.insert(key, (index, mapping.offset));
        Some(index)
    }

    fn head(&self, mapping: &Mapping) -> Option<Headers> {
        if mapping.offset != 0 {
            return None;
        }
        let bytes = self.image.from(mapping.range.start)?;
        let most = usize::try_from(mapping.range.len().min(limits::MODULE_HEAD)).ok()?;
        Headers::parse(bytes.range(0, most).unwrap_or(bytes))
    }

    fn continues(&self, index: usize, reached: u64, mapping: &Mapping, is_head: bool) -> bool {
        let Some(module) = self.modules.get(index) else { return false };
        if !module.has_headers() {
            return !is_head && mapping.offset >= reached;
        }
        let (low, high) = module.headers.span();
        let at = module.linked(mapping.range.start);
        let bias = module.headers.bias(mapping.range.start.0, mapping.offset, mapping.executable);
        low <= at && at < high && (!is_head || bias == Some(module.bias.0))
    }

    /// Anonymous pages inside an object's span: its .bss, and code that was
    /// moved to huge pages.
    fn within(&self, mapping: &Mapping) -> Option<usize> {
        if !mapping.path.is_empty() {
            return None;
        }
        let index = self.modules.len().checked_sub(1)?;
        let module = self.modules.get(index)?;
        let (low, high) = module.headers.span();
        let at = module.linked(mapping.range.start);
        let end = module.linked(mapping.range.end);
        (module.has_headers() && low <= at && end <= high).then_some(index)
    }

    fn begin(&mut self, mapping: &Mapping, head: Option<Headers>) -> Option<usize> {
        if self.modules.len() >= limits::MODULES {
            self.refused = self.refused.saturating_add(1);
            return None;
        }
        let headers = head.unwrap_or_default();
        let bias = headers.bias(mapping.range.start.0, mapping.offset, mapping.executable);
        let mut module = Module {
            path: mapping.clean_path().to_vec(),
            bias: Addr(bias.unwrap_or_else(|| mapping.range.start.0.wrapping_sub(mapping.offset))),
            first: mapping.range,
            first_offset: mapping.offset,
            identity: mapping.identity,
            flags: Flags {
                deleted: mapping.is_deleted(),
                memfd: mapping.path.starts_with(b"/memfd:"),
                no_file: true,
                ..Flags::default()
            },
            headers,
            ..Module::default()
        };
        module.build_id = mapped_build_id(&module, self.image);
        self.modules.push(module);
        self.modules.len().checked_sub(1)
    }

    fn vdso(&mut self, mapping: &Mapping) -> Option<usize> {
        let bytes = self.image.from(mapping.range.start)?;
        let most = usize::try_from(mapping.range.len().min(limits::VDSO_BYTES)).ok()?;
        let bytes = bytes.range(0, most).unwrap_or(bytes);
        let headers = Headers::parse(bytes)?;
        let start = headers.span().0;
        let index = self.begin(mapping, Some(headers))?;
        let module = self.modules.get_mut(index)?;
        module.path = b"[vdso]".to_vec();
        module.flags = Flags { vdso: true, ..Flags::default() };
        module.source = Source::Copy(start, bytes.as_slice().to_vec());
        Some(index)
    }
}

fn mapped_build_id(module: &Module, image: &Image) -> Option<Vec<u8>> {
    module.headers.notes.iter().find_map(|note| {
        let size = usize::try_from(note.file_size).ok()?.min(limits::MODULE_TABLE);
        build_id::find(image.read(module.mapped(note.vaddr), size)?, note.align)
    })
}

/// Gives each module its ranges, and drops those without code: a locale
/// archive or a library that somebody reads is not a module.
pub(super) fn keep_code(modules: Vec<Module>, placed: &mut [Placed<'_>]) -> Vec<Module> {
    let mut modules: Vec<(Module, Option<usize>)> = modules.into_iter().map(|m| (m, None)).collect();
    for (mapping, index) in placed.iter() {
        let Some((module, _)) = index.and_then(|i| modules.get_mut(i)) else { continue };
        let all = if module.range.is_empty() { mapping.range } else { module.range };
        module.range =
            AddrRange { start: all.start.min(mapping.range.start), end: all.end.max(mapping.range.end) };
        if mapping.executable {
            module.executable.push(mapping.range);
        }
    }
    let mut kept = 0usize;
    for (module, index) in &mut modules {
        if !module.executable.is_empty() {
            *index = Some(kept);
            kept = kept.saturating_add(1);
        }
    }
    for (_, index) in placed.iter_mut() {
        *index = index.and_then(|i| modules.get(i)).and_then(|(_, kept)| *kept);
    }
    modules.into_iter().filter(|(_, kept)| kept.is_some()).map(|(module, _)| module).collect()
}
