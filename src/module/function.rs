//! What a module knows about one function: its unwind entry, its code, its
//! start, its name, its identity.
//!
//! Trusts: nothing. `offset` is an address as linked (address − bias).

use super::identity::{self, Code};
use super::layout::Modules;
use super::object::Module;
use super::symbols::Symbols;
use super::unwind_section::{Entry, Table};
use crate::address::Addr;
use crate::gap::{Gap, Stage};
use crate::limits;
use crate::memory::Image;

impl Modules {
    /// The CIE and FDE that cover a linked address, or `None`.
    pub fn unwind_entry(&self, index: usize, offset: u64) -> Option<Entry> {
        let module = self.list.get(index)?;
        let find = || Table::find(&module.source, &module.headers, self.machine);
        let (table, _) = module.table.get_or_init(find);
        table.entry(&module.source, &module.headers, self.machine, offset)
    }

    /// What keeps modules from being unwound: asked once, at the end.
    pub fn gaps(&self) -> Vec<Gap> {
        let reasons = self.list.iter().filter_map(|module| module.table.get()?.1);
        reasons.map(|reason| Gap::new(Stage::Module, reason)).collect()
    }

    /// Start and length of the function at a linked address, by symbols: for
    /// code that no FDE covers. .dynsym, then .symtab.
    pub fn symbol_extent(&self, index: usize, offset: u64) -> Option<(u64, u64)> {
        let module = self.list.get(index)?;
        dynamic(module).covering(offset).or_else(|| {
            let full = module.full.get_or_init(|| Symbols::full(&module.source, &module.headers));
            full.covering(offset)
        })
    }

    /// The exported function that covers a linked address.
    pub fn dynamic_symbol(&self, index: usize, offset: u64) -> Option<Vec<u8>> {
        let module = self.list.get(index)?;
        let symbols = dynamic(module);
        let (start, _) = symbols.covering(offset)?;
        symbols.name(&module.source, &module.headers, start)
    }

    /// The function that covers a linked address by any symbol: .dynsym, else
    /// .symtab, which a stripped file does not have.
    pub fn symbol(&self, index: usize, offset: u64) -> Option<Vec<u8>> {
        self.dynamic_symbol(index, offset).or_else(|| {
            let module = self.list.get(index)?;
            let full = module.full.get_or_init(|| Symbols::full(&module.source, &module.headers));
            let (start, _) = full.covering(offset)?;
            full.name(&module.source, &module.headers, start)
        })
    }

    /// What the function at a linked address is, over builds and over strip
    /// (the written rule is in identity.rs). `length` is the FDE's.
    pub fn function_identity(&self, index: usize, start: u64, length: u64, image: &Image) -> Option<u64> {
        let module = self.list.get(index)?;
        if let Some(name) = dynamic(module).name(&module.source, &module.headers, start) {
            return Some(identity::by_name(&name));
        }
        let size = usize::try_from(length).ok()?.min(limits::FUNCTION_BYTES);
        let file = module.source.virtual_bytes(&module.headers, start, size);
        let bytes = file.or_else(|| Some(image.read(module.mapped(start), size)?.as_slice().to_vec()))?;
        let fixed = module.headers.fixed.then(|| module.headers.span());
        (size > 0).then(|| identity::by_code(self.machine, Code { start, fixed }, bytes))
    }

    /// Bytes of the file behind a linked address; fewer where its segment ends
    /// before. None of the vdso, which has no file.
    pub fn file_code(&self, index: usize, linked: u64, length: usize) -> Option<Vec<u8>> {
        let module = self.list.get(index).filter(|module| !module.flags.vdso && !module.flags.no_file)?;
        let length = module.headers.file_bytes(linked)?.min(u64::try_from(length).ok()?);
        module.source.virtual_bytes(&module.headers, linked, usize::try_from(length).ok()?)
    }

    /// Code bytes at an address: as they were in memory where that was kept,
    /// else from the file.
    pub fn code(&self, image: &Image, address: Addr, length: usize) -> Option<Vec<u8>> {
        if let Some(bytes) = image.read(address, length) {
            return Some(bytes.as_slice().to_vec());
        }
        let (_, module) = self.find(address)?;
        module.source.virtual_bytes(&module.headers, module.linked(address), length)
    }
}

fn dynamic(module: &Module) -> &Symbols {
    module.dynamic.get_or_init(|| Symbols::dynamic(&module.source, &module.headers))
}
