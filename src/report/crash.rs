//! One crash on one screen: the reason first, then the crashing thread, then
//! everything else in the order in which people ask.
//!
//! ```text
//! SIGSEGV: access to address 0x0 (null pointer): nothing is mapped there (SEGV_MAPERR), at parse+0x14 (server+0x4134)
//!   when · id · facts of the process
//! Crashing thread      frames, numbered, each with how it was found
//! Other threads        folded by equal stack
//! Registers · Modules · Machine · Gaps
//! (what --full would add)
//! ```

use jiff::tz::TimeZone;

use super::escape::columns;
use super::facts::{self, Fact};
use super::frames::Look;
use super::{amount, frames, gaps, machine, modules, names::Names, reason, registers, threads, time};
use crate::record::Record;

/// Frames on the default screen.
const FRAMES: usize = 16;
/// Folded stacks on the default screen.
const STACKS: usize = 5;
/// Gaps on the default screen.
const GAPS: usize = 5;
/// Modules on the default screen.
const MODULES: usize = 6;

/// How to show a crash.
#[derive(Clone, Debug)]
pub struct Options {
    /// Everything, however long.
    pub full: bool,
    /// Colours and the width of the terminal.
    pub look: Look,
    /// For the time of the crash.
    pub zone: TimeZone,
}

impl Default for Options {
    fn default() -> Options {
        Options { full: false, look: Look::default(), zone: TimeZone::UTC }
    }
}

/// The whole page.
pub fn crash(record: &Record, names: &Names, options: &Options) -> String {
    let mut page = Page { lines: Vec::new(), more: Vec::new(), options, record, names };
    page.head();
    page.crashing_thread();
    page.other_threads();
    page.registers();
    page.modules();
    page.machine();
    page.gaps();
    page.foot();
    page.lines.join("\n") + "\n"
}

struct Page<'a> {
    lines: Vec<String>,
    more: Vec<String>,
    options: &'a Options,
    record: &'a Record,
    names: &'a Names,
}

impl Page<'_> {
    fn full(&self) -> bool {
        self.options.full
    }

    fn heading(&mut self, text: &str) {
        self.lines.push(String::new());
        self.lines.push(self.options.look.paint.bold(text));
    }

    fn facts(&mut self, facts: Vec<Fact>) {
        for (label, text) in facts {
            let pad = 12usize.saturating_sub(columns(label));
            self.lines.push(format!("  {}{:pad$}{text}", self.options.look.paint.dim(label), ""));
        }
    }

    fn head(&mut self) {
        self.lines.push(self.options.look.paint.bold(&reason::sentence(self.record, self.names)));
        let mut facts = Vec::new();
        let when = self.record.realtime_ns.and_then(|ns| time::long(ns, &self.options.zone));
        facts.extend(when.map(|when| ("when", when)));
        facts.push(("record", self.record.id.hex()));
        facts.extend(super::fault::facts(self.record, self.names, self.full()));
        facts.extend(facts::process(self.record, self.full()));
        facts.extend(self.keys());
        self.facts(facts);
    }

    fn keys(&self) -> Option<Fact> {
        let keys = &self.record.keys;
        let named = [("L0", keys.leaf), ("L1", keys.functions), ("L2", keys.portable)];
        let shown: Vec<String> =
            named.iter().filter_map(|(name, key)| Some(format!("{name} {:016x}", (*key)?.0))).collect();
        (!shown.is_empty()).then(|| ("keys", shown.join("  ")))
    }

    fn crashing_thread(&mut self) {
        let tid = self.record.crash.tid.or(self.record.threads.tid.first().copied());
        self.heading(&tid.map_or("Crashing thread".to_owned(), |tid| format!("Crashing thread {tid}")));
        let Some(stack) = self.record.stacks.first().filter(|stack| !stack.frames.is_empty()) else {
            self.lines.push("  no frame was kept; see the gaps".to_owned());
            return;
        };
        let most = if self.full() { usize::MAX } else { FRAMES };
        self.lines.extend(frames::lines(self.record, self.names, stack, most, self.options.look));
        let left = stack.frames.len().saturating_sub(most);
        self.add_more(left, "frame");
    }

    fn other_threads(&mut self) {
        let Some(heading) = threads::heading(self.record) else { return };
        self.heading(&heading);
        if self.full() {
            self.lines.extend(threads::full(self.record, self.names, self.options.look));
            return;
        }
        let (lines, left) = threads::folded(self.record, self.names, STACKS);
        self.lines.extend(lines);
        self.add_more(left, "further stack");
        self.more.push("every thread's frames".to_owned());
    }

    fn registers(&mut self) {
        let Some(first) = self.record.registers.first() else { return };
        self.heading("Registers");
        if !self.full() {
            self.lines.extend(registers::compact(first));
            self.more.push("segment registers".to_owned());
            return;
        }
        for set in &self.record.registers {
            self.lines.push(format!("  thread {}", set.tid));
            self.lines.extend(registers::table(set, self.options.look.paint));
        }
    }

    fn modules(&mut self) {
        let (full, paint) = (self.full(), self.options.look.paint);
        let mut lines = modules::lines(self.record, full, paint);
        if !full {
            lines.truncate(MODULES);
        }
        let left = self.record.modules.len().saturating_sub(lines.len());
        if !lines.is_empty() {
            self.heading(if full { "Modules" } else { "Modules on this stack" });
            self.lines.extend(lines);
        }
        self.add_more(left, "further module");
    }

    fn machine(&mut self) {
        let mut facts = machine::facts(self.record, self.full());
        facts.extend(gaps::capture(self.record, self.full()));
        self.heading("Machine and capture");
        self.facts(facts);
    }

    fn gaps(&mut self) {
        let all = &self.record.gaps;
        if all.is_empty() {
            return;
        }
        self.heading("Not learned");
        let most = if self.full() { usize::MAX } else { GAPS };
        self.lines.extend(all.iter().take(most).map(|gap| format!("  {}", gaps::words(gap))));
        self.add_more(all.len().saturating_sub(most), "further gap");
    }

    fn add_more(&mut self, left: usize, what: &str) {
        if left > 0 && !self.full() {
            self.more.push(amount::of(left as u64, what));
        }
    }

    fn foot(&mut self) {
        if self.full() || self.more.is_empty() {
            return;
        }
        self.lines.push(String::new());
        self.lines.push(self.options.look.paint.dim(&format!("--full adds {}.", self.more.join(", "))));
    }
}
