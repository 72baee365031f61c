//! One variable by its name, and the literals of a module.
//!
//! Gives: [`Modules::variable`], by the hash table (no table is read whole), and
//! [`Modules::literals`], .rodata of the file. Trusts: nothing.

use super::dynamic::Dynamic;
use super::layout::Modules;
use super::sections;
use crate::address::Addr;

impl Modules {
    /// Where the module's dynamic symbol of this name is in memory.
    pub fn variable(&self, index: usize, name: &[u8]) -> Option<Addr> {
        let module = self.get(index)?;
        let (source, headers) = (&module.source, &module.headers);
        let value = Dynamic::read(source, headers)?.lookup(source, headers, name)?;
        Some(module.mapped(value))
    }

    /// The first bytes of the module's read-only data, from its file.
    pub fn literals(&self, index: usize, most: usize) -> Option<Vec<u8>> {
        let module = self.get(index).filter(|module| !module.flags.no_file)?;
        let section = sections::find(&module.source, &module.headers, b".rodata").ok()??;
        let length = usize::try_from(section.size).ok()?.min(most);
        module.source.file(section.offset, length)
    }
}
