//! Function names for people, from the modules on this host.
//!
//! A name is shown only when the file's build-id equals the record's: a path
//! alone may be another file by now, or another file in the container. Looked
//! at, in this order: the module's own .symtab, the debug package
//! (/usr/lib/debug/.build-id/xx/yyyy.debug), the module's .dynsym. No key
//! depends on a name, and a record is shown whole without one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::symbols::{Module, Symbol};
use crate::limits;
use crate::record::{Frame, Record};
use crate::report::Names;
use crate::report::names::{Function, lookup};

/// Looking for names never takes longer than this, however large the modules.
const PATIENCE: Duration = Duration::from_secs(5);
/// Where debug packages put their files.
const DEBUG: &str = "/usr/lib/debug/.build-id";

/// Finds names, and remembers them by (build-id, offset).
#[derive(Debug)]
pub(super) struct Finder {
    known: BTreeMap<(Vec<u8>, u64), Option<Function>>,
    until: Instant,
    places: Vec<PathBuf>,
}

impl Finder {
    /// Looks at the paths of a record, then for the same names in `places`.
    pub(super) fn new(places: &[PathBuf]) -> Finder {
        let places = places.iter().filter_map(|place| place.canonicalize().ok()).collect();
        Finder { known: BTreeMap::new(), until: Instant::now() + PATIENCE, places }
    }

    /// Names of all frames of a record.
    pub(super) fn all(&mut self, record: &Record) -> Names {
        let residue = record.fault.residue.as_ref().map(|residue| residue.frame());
        let frames = record.stacks.iter().flat_map(|stack| &stack.frames);
        self.of(record, frames.chain(residue.as_ref()))
    }

    /// Names of some frames of a record.
    pub(super) fn of<'a>(&mut self, record: &Record, frames: impl Iterator<Item = &'a Frame>) -> Names {
        let mut wanted: BTreeMap<u32, BTreeSet<u64>> = BTreeMap::new();
        for (module, offset) in frames.filter_map(lookup) {
            wanted.entry(module).or_default().insert(offset);
        }
        let mut names = Names::default();
        for (index, offsets) in wanted {
            let module = usize::try_from(index).ok().and_then(|i| record.modules.get(i));
            let Some(id) = module.and_then(|m| m.build_id.as_ref()) else { continue };
            let path = module.and_then(|m| m.path.as_deref());
            self.learn(&id.0, path, &offsets);
            for offset in offsets {
                if let Some(Some(function)) = self.known.get(&(id.0.clone(), offset)) {
                    names.insert(index, offset, function.clone());
                }
            }
        }
        names
    }

    fn learn(&mut self, id: &[u8], path: Option<&str>, offsets: &BTreeSet<u64>) {
        let new: Vec<u64> =
            offsets.iter().copied().filter(|o| !self.known.contains_key(&(id.to_vec(), *o))).collect();
        if new.is_empty() || Instant::now() > self.until {
            return;
        }
        let found = self.functions(id, path, &new);
        for (offset, symbol) in new.into_iter().zip(found) {
            let function = symbol.map(|s| Function { name: demangle(&s.name), start: s.start });
            self.known.insert((id.to_vec(), offset), function);
        }
    }

    fn functions(&self, id: &[u8], path: Option<&str>, offsets: &[u64]) -> Vec<Option<Symbol>> {
        let same = |module: &Module| module.build_id().as_deref() == Some(id);
        let path = path.and_then(unescape);
        let elsewhere =
            path.iter().flat_map(|p| self.places.iter().filter_map(|place| Some(place.join(p.file_name()?))));
        let module = path.iter().cloned().chain(elsewhere).find_map(|p| Module::open(&p).filter(same));
        let unstripped = module.as_ref().is_some_and(Module::is_unstripped);
        let debug =
            if unstripped { None } else { debug_file(id).and_then(|p| Module::open(&p)).filter(same) };
        let mut found = vec![None; offsets.len()];
        for file in [debug, module].iter().flatten() {
            for (slot, symbol) in found.iter_mut().zip(file.functions(offsets)) {
                *slot = slot.take().or(symbol);
            }
        }
        found
    }
}

fn debug_file(id: &[u8]) -> Option<PathBuf> {
    let hex = crate::record::Id(id.to_vec()).hex();
    let (first, rest) = hex.split_at_checked(2)?;
    (!rest.is_empty()).then(|| PathBuf::from(format!("{DEBUG}/{first}/{rest}.debug")))
}

/// A record's text back to the path's bytes (see record::text).
fn unescape(text: &str) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    if !text.starts_with('/') || text.len() > limits::PATH {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next()? {
            b'x' => {
                let digits = [rest.next()?, rest.next()?];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
            }
            other => bytes.push(other),
        }
    }
    Some(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
}

/// C++ and Rust names as their authors wrote them.
pub(super) fn demangle(name: &str) -> String {
    if name.len() > limits::SYMBOL_NAME {
        return name.to_owned();
    }
    if let Ok(rust) = rustc_demangle::try_demangle(name) {
        return format!("{rust:#}");
    }
    if !name.starts_with("_Z") {
        return name.to_owned();
    }
    let options = cpp_demangle::DemangleOptions::new().no_return_type().recursion_limit(64);
    let symbol = cpp_demangle::Symbol::new(name).ok();
    symbol.and_then(|s| s.demangle_with_options(&options).ok()).unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_as_their_authors_wrote_them() {
        assert_eq!(demangle("_ZN4core9panicking5panic17h0123456789abcdefE"), "core::panicking::panic");
        assert_eq!(demangle("_ZN3foo3barEi"), "foo::bar(int)");
        assert_eq!(demangle("main"), "main");
        assert_eq!(demangle("_Z"), "_Z");
    }

    #[test]
    fn a_paths_escapes_are_undone_exactly() {
        let path = |t: &str| unescape(t).map(|p| p.into_os_string().into_encoded_bytes());
        assert_eq!(path("/a\\\\b\\xff"), Some(b"/a\\b\xff".to_vec()));
        assert_eq!(path("relative"), None);
        assert_eq!(path("/bad\\x"), None);
    }

    #[test]
    fn a_name_is_shown_only_when_the_build_id_is_the_records() {
        use crate::record::{Hex, Id, Module as Loaded, Stack, Trust};
        let exe = std::env::current_exe().unwrap();
        let file = Module::open(&exe).unwrap();
        let id = file.build_id().unwrap();
        let path = crate::record::text(exe.as_os_str().as_encoded_bytes());
        let offsets: Vec<u64> = (0..1 << 25).step_by(4096).collect();
        let start = file.functions(&offsets).into_iter().flatten().next().unwrap().start;
        let frame = |trust, offset| Frame { module: Some(0), offset: Hex(offset), trust, ..Frame::default() };
        let mut record = Record {
            modules: vec![Loaded { path: Some(path), build_id: Some(Id(id)), ..Loaded::default() }],
            stacks: vec![Stack {
                frames: vec![frame(Trust::Context, start), frame(Trust::Cfi, start)],
                ..Stack::default()
            }],
            ..Record::default()
        };
        let names = Finder::new(&[]).all(&record);
        let of = |names: &Names, index: usize| names.of(&record.stacks[0].frames[index]).map(|f| f.start);
        assert_eq!(of(&names, 0), Some(start));
        // A return address that is a function's first byte belongs to the call before it.
        assert_ne!(of(&names, 1), Some(start));
        let frames = record.stacks[0].frames.clone();
        record.modules[0].build_id = Some(Id(vec![0; 20]));
        let names = Finder::new(&[]).all(&record);
        assert!(names.of(&frames[0]).is_none());
    }
}
