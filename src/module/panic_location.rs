//! Where a Rust program says that it panicked.
//!
//! Gives: [`Modules::panic_location`], "FILE:LINE:COLUMN" of a
//! core::panic::Location. It is read from the file, not from memory: what it
//! says stands in the program, whatever the process did. Where the pointer to the
//! text is relocated (position independent programs), its addend is looked up in
//! DT_RELA. Trusts: nothing; paths of at most [`limits::SOURCE_PATH`] bytes.

use super::dynamic::Dynamic;
use super::layout::Modules;
use crate::address::Addr;
use crate::bytes::Bytes;
use crate::limits;

/// Bytes of a Location: a pointer to the path, its length, line and column
/// (library/core/src/panic/location.rs; the order is rustc's choice).
const SIZE: usize = 24;
/// No source file has more lines, no line more columns.
const LINES: u32 = 1 << 22;
const COLUMNS: u32 = 1 << 16;

impl Modules {
    /// What the Location at `address` says, when there is one.
    pub fn panic_location(&self, address: Addr) -> Option<String> {
        let (_, module) = self.find(address).filter(|(_, module)| !module.flags.no_file)?;
        let (source, headers) = (&module.source, &module.headers);
        let at = module.linked(address);
        let bytes = source.virtual_bytes(headers, at, SIZE)?;
        let location = Bytes::new(&bytes);
        let (line, column) = (location.u32(16)?, location.u32(20)?);
        let length = usize::try_from(location.u64(8)?).ok()?;
        let fits = (4..=limits::SOURCE_PATH).contains(&length)
            && (1..=LINES).contains(&line)
            && (1..=COLUMNS).contains(&column);
        if !fits {
            return None;
        }
        let relocated = Dynamic::read(source, headers)
            .and_then(|dynamic| dynamic.relative(source, headers, at, self.machine()));
        let text = source.virtual_bytes(headers, relocated.or(location.u64(0))?, length)?;
        let path = String::from_utf8(text).ok()?;
        let is_path = path.ends_with(".rs") && !path.chars().any(char::is_control);
        is_path.then(|| format!("{path}:{line}:{column}"))
    }
}
