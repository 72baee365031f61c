//! Loaded objects with their build-ids.

use std::collections::BTreeSet;

use super::amount;
use super::escape::clean;
use super::paint::Paint;
use crate::record::{Module, Record};

/// Indices of the modules that the crashing thread's frames lie in.
pub fn on_stack(record: &Record) -> BTreeSet<usize> {
    let frames = record.stacks.first().map_or(&[][..], |stack| &stack.frames);
    frames.iter().filter_map(|f| usize::try_from(f.module?).ok()).collect()
}

/// One line a module: build-id, where it was mapped, path, what is unusual.
pub fn lines(record: &Record, all: bool, paint: Paint) -> Vec<String> {
    let wanted = on_stack(record);
    let each = record.modules.iter().enumerate().filter(|(i, _)| all || wanted.contains(i));
    each.map(|(_, module)| line(module, all, paint)).collect()
}

fn line(module: &Module, full: bool, paint: Paint) -> String {
    let build = module.build_id.as_ref().map_or("no build-id".to_owned(), |id| id.hex());
    let path = clean(module.path.as_deref().unwrap_or("(no name)"));
    let flags = if module.flags.is_empty() {
        String::new()
    } else {
        format!("  [{}]", module.flags.iter().map(|f| clean(f)).collect::<Vec<_>>().join(", "))
    };
    let mapped = if full {
        format!("  {:#014x} +{}", module.start.0, amount::bytes(module.size))
    } else {
        String::new()
    };
    format!("  {}{mapped}  {path}{flags}", paint.dim(&format!("{build:<40}")))
}
