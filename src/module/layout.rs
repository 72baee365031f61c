//! All modules and the layout of the address space around them.
//!
//! Gives: what stands at an address, by binary search. Trusts: nothing; of
//! mappings that overlap the lower one wins.

use std::fs::File;

use super::assemble;
use super::object::{Module, Origin};
use crate::address::{Addr, AddrRange};
use crate::elfcore::Machine;
use crate::gap::{Gap, Stage};
use crate::memory::Image;
use crate::process::Mapping;

/// What an instruction pointer points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeClass {
    /// Executable, of the module of this index.
    InModule(usize),
    /// Executable, of no module.
    Jit,
    /// Mapped, not executable.
    NotExecutable,
    /// Not mapped.
    Unmapped,
}

impl CodeClass {
    /// True when instructions can be fetched there.
    pub fn is_code(self) -> bool {
        matches!(self, CodeClass::InModule(_) | CodeClass::Jit)
    }
}

#[derive(Clone, Copy, Debug)]
struct Area {
    range: AddrRange,
    module: Option<usize>,
    executable: bool,
}

/// The loaded objects of one process.
#[derive(Debug)]
pub struct Modules {
    pub(super) list: Vec<Module>,
    areas: Vec<Area>,
    pub(super) machine: Machine,
}

impl Modules {
    /// From the mappings and the kept memory. `vdso` is AT_SYSINFO_EHDR.
    pub fn assemble(
        mappings: &[Mapping],
        image: &Image,
        vdso: Option<Addr>,
        machine: Machine,
    ) -> (Modules, Vec<Gap>) {
        let mut sorted: Vec<&Mapping> = mappings.iter().filter(|m| !m.range.is_empty()).collect();
        sorted.sort_by_key(|m| (m.range.start, m.range.end));
        let (modules, mut placed, refused) = assemble::modules(&sorted, image, vdso);
        let list = assemble::keep_code(modules, &mut placed);
        let mut end = Addr(0);
        let mut areas = Vec::with_capacity(placed.len());
        for (mapping, module) in placed {
            let range = AddrRange { start: mapping.range.start.max(end), end: mapping.range.end };
            if !range.is_empty() {
                end = range.end;
                areas.push(Area { range, module, executable: mapping.executable });
            }
        }
        let mut gaps = Vec::new();
        if refused > 0 {
            gaps.push(Gap::counted(Stage::Module, "more modules than are kept", refused));
        }
        (Modules { list, areas, machine }, gaps)
    }

    /// Gives a module the file behind it. One that is not the mapped file
    /// itself is dropped, and the module marked replaced, unless it is the
    /// same build.
    pub fn attach(&mut self, index: usize, file: File, origin: Origin) {
        if let Some(module) = self.list.get_mut(index) {
            module.attach(file, origin);
        }
    }

    /// All of them, by address.
    pub fn iter(&self) -> impl Iterator<Item = &Module> {
        self.list.iter()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// By index.
    pub fn get(&self, index: usize) -> Option<&Module> {
        self.list.get(index)
    }

    /// The machine of the process.
    pub fn machine(&self) -> Machine {
        self.machine
    }

    fn area(&self, address: Addr) -> Option<&Area> {
        let behind = self.areas.partition_point(|area| area.range.start <= address);
        self.areas.get(behind.checked_sub(1)?).filter(|area| area.range.contains(address))
    }

    /// The module that has something mapped at `address`.
    pub fn find(&self, address: Addr) -> Option<(usize, &Module)> {
        let index = self.area(address)?.module?;
        Some((index, self.list.get(index)?))
    }

    /// What an instruction pointer points at.
    pub fn code_class(&self, ip: Addr) -> CodeClass {
        match self.area(ip) {
            None => CodeClass::Unmapped,
            Some(area) if !area.executable => CodeClass::NotExecutable,
            Some(area) => area.module.map_or(CodeClass::Jit, CodeClass::InModule),
        }
    }
}
