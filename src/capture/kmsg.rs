//! One line in the kernel log for each crash, which the journal keeps: which
//! record it left, or why none. Only numbers: nothing that a crashed process
//! chose reaches a log. The kernel limits the rate of such lines by itself.

use std::fs::{File, OpenOptions};
use std::io::Write;

use crate::invocation::Arguments;

/// /dev/kmsg, opened while still root; silent where it cannot be had.
pub(super) struct Kmsg(Option<File>);

impl Kmsg {
    pub(super) fn open() -> Kmsg {
        Kmsg(OpenOptions::new().write(true).open("/dev/kmsg").ok())
    }

    /// Why there is no record, as a warning: the only place that is left on a
    /// full disk. Returns what was said.
    pub(super) fn say(&self, arguments: &Arguments, what: &str) -> String {
        self.line(4, arguments, what)
    }

    /// Which record there is; by the digits that `epicore list` shows of it.
    pub(super) fn tell(&self, arguments: &Arguments, id: &[u8]) {
        let end = id.get(id.len().saturating_sub(4)..).unwrap_or(id);
        let digits: String = end.iter().map(|byte| format!("{byte:02x}")).collect();
        self.line(6, arguments, &format!("record {digits}"));
    }

    fn line(&self, priority: u8, arguments: &Arguments, what: &str) -> String {
        let number = |value: Option<u32>| value.map_or_else(|| "?".to_owned(), |value| value.to_string());
        let line = format!(
            "epicore: pid {} tid {} uid {} signal {}: {what}",
            number(arguments.pid),
            number(arguments.tid),
            number(arguments.uid),
            number(arguments.signal),
        );
        if let Some(mut file) = self.0.as_ref() {
            let _ = file.write_all(format!("<{priority}>{line}\n").as_bytes());
        }
        line
    }
}
