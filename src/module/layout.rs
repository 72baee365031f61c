//! All modules and the layout of the address space around them.
//!
//! Gives: what stands at an address, by binary search. Trusts: nothing; of
//! mappings that overlap the lower one wins.

use std::fs::File;

use super::assemble;
use super::object::Module;
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

    /// Gives a module the file behind it. `exact`: it came through
    /// /proc/TID/map_files and *is* the mapped file; otherwise it is dropped,
    /// and the module marked replaced, unless it is the same build.
    pub fn attach(&mut self, index: usize, file: File, exact: bool) {
        if let Some(module) = self.list.get_mut(index) {
            module.attach(file, exact);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::elf::tests::object;
    use std::io::Write;

    fn mapping(start: u64, offset: u64, path: &str, executable: bool) -> Mapping {
        let range = Addr(start).range(0x1000).unwrap_or_default();
        Mapping { range, offset, path: path.into(), executable, ..Mapping::default() }
    }

    fn head() -> Vec<u8> {
        object(3, &[(1, 4, 0, 0, 0x800), (1, 5, 0x1000, 0x1000, 0x800)])
    }

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("written");
        file
    }

    #[test]
    fn two_instances_of_a_file_are_two_modules_and_data_is_none() {
        let image =
            Image::new(vec![(Addr(0x10_0000), head()), (Addr(0x20_0000), head()), (Addr(0x30_0000), head())]);
        let maps = [
            mapping(0x20_1000, 0x1000, "/lib/a.so", true),
            mapping(0x10_0000, 0, "/lib/a.so", false),
            mapping(0x20_0000, 0, "/lib/a.so", false),
            mapping(0x10_1000, 0x1000, "/lib/a.so", true),
            mapping(0x30_0000, 0, "/lib/read.so", false),
            mapping(0x40_0000, 0, "", true),
        ];
        let (modules, gaps) = Modules::assemble(&maps, &image, None, Machine::X86_64);
        assert!(gaps.is_empty());
        let biases: Vec<u64> = modules.iter().map(|m| m.bias.0).collect();
        assert_eq!(biases, [0x10_0000, 0x20_0000]);
        assert_eq!(modules.code_class(Addr(0x20_1004)), CodeClass::InModule(1));
        assert_eq!(modules.code_class(Addr(0x40_0004)), CodeClass::Jit);
        assert_eq!(modules.code_class(Addr(0x10_0004)), CodeClass::NotExecutable);
        assert_eq!(modules.code_class(Addr(0x50_0004)), CodeClass::Unmapped);
        assert_eq!(modules.find(Addr(0x10_0004)).map(|(index, _)| index), Some(0));
    }

    #[test]
    fn a_file_that_came_by_path_must_be_the_same_build() {
        let image = Image::new(vec![(Addr(0x10_0000), head())]);
        let maps = [mapping(0x10_0000, 0, "/lib/a.so", false), mapping(0x10_1000, 0x1000, "/lib/a.so", true)];
        let (mut modules, _) = Modules::assemble(&maps, &image, None, Machine::X86_64);
        let other = object(3, &[(1, 4, 0, 0, 0x800), (1, 5, 0x1000, 0x1000, 0x900)]);
        modules.attach(0, file(&other), false);
        assert_eq!(modules.get(0).map(|m| m.flags.names()), Some(vec!["replaced", "no-file"]));
        modules.attach(0, file(&head()), true);
        assert_eq!(modules.get(0).map(|m| m.flags.no_file), Some(false));
    }

    #[test]
    fn a_module_without_kept_headers_gets_its_bias_from_the_file() {
        let maps = [mapping(0x10_1000, 0x1000, "/memfd:plugin (deleted)", true)];
        let (mut modules, _) = Modules::assemble(&maps, &Image::default(), None, Machine::X86_64);
        modules.attach(0, file(&object(3, &[(1, 4, 0, 0, 0x800), (1, 5, 0x1000, 0x3000, 0x800)])), true);
        let module = modules.get(0).expect("a module");
        assert_eq!((module.bias, module.flags.memfd), (Addr(0x10_1000 - 0x3000), true));
        assert_eq!(module.path, b"/memfd:plugin");
    }
}
