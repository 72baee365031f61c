//! What was measured, as lines of a page, and what was promised of it.

use std::fmt::Write;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/statistics.md");
const BEGIN: &str = "<!-- measured by `make study-bench` -->\n";
const END: &str = "<!-- end of what was measured -->\n";

#[derive(Default)]
pub(crate) struct Table {
    text: String,
    broken: u32,
}

/// n of N with its 95 % interval (Jeffreys would need a beta quantile; Wilson's is
/// within a per cent of it here).
pub(crate) fn share(n: u64, of: u64) -> String {
    let (low, high) = wilson(n, of);
    format!("{:.2} [{low:.2}, {high:.2}]", n as f64 / of.max(1) as f64)
}

pub(crate) fn wilson(n: u64, of: u64) -> (f64, f64) {
    if of == 0 {
        return (0.0, 1.0);
    }
    let (all, p, z) = (of as f64, n as f64 / of as f64, 1.96f64);
    let middle = (p + z * z / (2.0 * all)) / (1.0 + z * z / all);
    let half = z / (1.0 + z * z / all) * (p * (1.0 - p) / all + z * z / (4.0 * all * all)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

impl Table {
    pub(crate) fn section(&mut self, name: &str) {
        let _ = writeln!(self.text, "\n### {name}\n");
    }

    pub(crate) fn line(&mut self, line: &str) {
        let _ = writeln!(self.text, "{line}");
    }

    /// A promise, and whether it holds.
    pub(crate) fn promise(&mut self, what: &str, seen: &str, holds: bool) {
        self.broken += u32::from(!holds);
        let _ =
            writeln!(self.text, "- {}: {what}: {seen}", if holds { "holds" } else { "**does not hold**" });
    }

    pub(crate) fn extend(&mut self, other: Table) {
        self.text.push_str(&other.text);
        self.broken += other.broken;
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn holds(&self) -> bool {
        self.broken == 0
    }

    /// Into the page, between its two marks.
    pub(crate) fn write(&self) -> Result<(), String> {
        let page = std::fs::read_to_string(PAGE).map_err(|error| format!("{PAGE}: {error}"))?;
        let (head, rest) = page.split_once(BEGIN).ok_or("the page has no mark to write behind")?;
        let (_, tail) = rest.split_once(END).ok_or("the page has no mark to write before")?;
        let whole = format!("{head}{BEGIN}{}\n{END}{tail}", self.text);
        std::fs::write(PAGE, whole).map_err(|error| format!("{PAGE}: {error}"))
    }
}
