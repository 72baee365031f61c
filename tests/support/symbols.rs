//! Addresses become names: by the unstripped twins of the victims' files
//! (found by build-id), by `RANGE` lines, and otherwise by module only. The
//! same for every tool, so that none is judged by the symbols it could find.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::elf;
use super::workshop::Built;

/// What one physical frame is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A function of a victim, or a RANGE: its base name.
    Named(String),
    /// Inside an object that we have no names for: its path.
    Module(String),
    /// In no object at all.
    Nowhere,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Named(name) => f.write_str(name),
            Place::Module(path) => write!(f, "<{}>", path.rsplit('/').next().unwrap_or(path)),
            Place::Nowhere => f.write_str("?"),
        }
    }
}

/// One frame of one tool: the pc as it stands, and whether it is the very
/// instruction (innermost, interrupted by a signal) or a return address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pc {
    pub(crate) at: u64,
    pub(crate) exact: bool,
}

type Functions = Arc<Vec<(u64, u64, String)>>;

/// Functions of the victims' files, by build-id.
#[derive(Default)]
pub(crate) struct SymbolStore(BTreeMap<Vec<u8>, Functions>);

impl SymbolStore {
    pub(crate) fn of<'a>(built: impl IntoIterator<Item = &'a Built>) -> SymbolStore {
        let mut store = SymbolStore::default();
        for b in built {
            for twin in [Some(&b.app_twin), b.plugin_twin.as_ref()].into_iter().flatten() {
                store.add(twin);
            }
        }
        store
    }

    fn add(&mut self, twin: &Path) {
        let file = std::fs::read(twin).expect("a twin");
        let id = elf::build_id(&file).unwrap_or_else(|| panic!("{}: no build-id", twin.display()));
        self.0.insert(id, Arc::new(elf::functions(&file)));
    }
}

/// The address space of one crash.
#[derive(Default)]
pub(crate) struct AddressSpace {
    objects: Vec<(u64, u64, u64, String, Option<Functions>)>,
    ranges: Vec<(String, u64, u64)>,
}

impl AddressSpace {
    pub(crate) fn new(ranges: Vec<(String, u64, u64)>) -> AddressSpace {
        AddressSpace { objects: Vec::new(), ranges }
    }

    /// An object at [start, end) with its load bias.
    pub(crate) fn add(
        &mut self,
        store: &SymbolStore,
        span: (u64, u64),
        bias: u64,
        path: &str,
        id: Option<&[u8]>,
    ) {
        let functions = id.and_then(|id| store.0.get(id)).cloned();
        self.objects.push((span.0, span.1, bias, path.to_owned(), functions));
    }

    /// Where a frame is. A return address belongs to the call before it.
    pub(crate) fn place(&self, pc: Pc) -> Place {
        let at = if pc.exact { pc.at } else { pc.at.wrapping_sub(1) };
        if let Some((name, _, _)) = self.ranges.iter().find(|(_, start, end)| (*start..*end).contains(&at)) {
            return Place::Named(name.clone());
        }
        let Some((_, _, bias, path, functions)) = self.objects.iter().find(|o| (o.0..o.1).contains(&at))
        else {
            return Place::Nowhere;
        };
        let Some(functions) = functions else { return Place::Module(path.clone()) };
        let offset = at.wrapping_sub(*bias);
        let before = functions.partition_point(|f| f.0 <= offset);
        match before.checked_sub(1).and_then(|i| functions.get(i)) {
            Some((start, size, name)) if *size == 0 || offset < start + size => Place::Named(base_name(name)),
            _ => Place::Module(path.clone()),
        }
    }

    pub(crate) fn places(&self, frames: &[Pc]) -> Vec<Place> {
        frames.iter().map(|pc| self.place(*pc)).collect()
    }
}

/// The last part of a name: no namespace, parameters, template arguments,
/// hash or `.cold`/`.part.0` suffix.
pub(crate) fn base_name(symbol: &str) -> String {
    if let Ok(name) = rustc_demangle::try_demangle(symbol) {
        let name = format!("{name:#}");
        return name.rsplit("::").next().unwrap_or(&name).to_owned();
    }
    let plain = symbol.split('.').next().unwrap_or(symbol);
    if !plain.starts_with("_Z") {
        return plain.to_owned();
    }
    let Some(name) = cpp_demangle::Symbol::new(plain).ok().and_then(|s| s.demangle().ok()) else {
        return plain.to_owned();
    };
    let head = name.split(['(', '<']).next().unwrap_or(&name);
    head.rsplit("::").next().unwrap_or(head).rsplit(' ').next().unwrap_or(head).to_owned()
}
