//! One line in the kernel log when a record cannot be kept: the only place
//! that is left on a full disk, and where `epicore doctor` looks.

use std::fs::{File, OpenOptions};
use std::io::Write;

use crate::invocation::Arguments;

/// /dev/kmsg, opened while still root; silent where it cannot be had.
pub(super) struct Kmsg(Option<File>);

impl Kmsg {
    pub(super) fn open() -> Kmsg {
        Kmsg(OpenOptions::new().write(true).open("/dev/kmsg").ok())
    }

    /// Says it, with the facts of the kernel's own arguments: numbers only.
    /// Returns what was said.
    pub(super) fn say(&self, arguments: &Arguments, what: &str) -> String {
        let number = |value: Option<u32>| value.map_or_else(|| "?".to_owned(), |value| value.to_string());
        let line = format!(
            "epicore: pid {} tid {} uid {} signal {}: {what}",
            number(arguments.pid),
            number(arguments.tid),
            number(arguments.uid),
            number(arguments.signal),
        );
        if let Some(mut file) = self.0.as_ref() {
            // Priority 4, warning.
            let _ = file.write_all(format!("<4>{line}\n").as_bytes());
        }
        line
    }
}
