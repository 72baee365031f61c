//! How often each code was seen, by class, with intervals.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use epicore::epidemiology::evidence::GROUPS;
use epicore::record::Record;

/// Codes that speak for the machine.
const HARDWARE: [&str; 15] = [
    "E-CODE-1BIT",
    "E-CODE-SEVERAL",
    "E-ADDR-NOT-OPERAND",
    "E-PERMITTED",
    "E-FPE-NOT-DIV",
    "E-DIV-FINE",
    "E-ILL-VALID",
    "E-REG-CONTRADICTS",
    "E-IP-MIDDLE",
    "E-RSP-OFF8",
    "E-RSP-MISALIGNED",
    "E-BITFLIP-NEAR",
    "E-BITFLIP-NONCANON",
    "E-BITFLIP-UNMAPPED",
    "E-BITFLIP-NULL",
];
const FLIPS: [&str; 4] = ["E-BITFLIP-NONCANON", "E-BITFLIP-UNMAPPED", "E-BITFLIP-NULL", "E-BITFLIP-NEAR"];
const STACK: [&str; 2] = ["E-RSP-OFF8", "E-RSP-MISALIGNED"];
const IMPOSSIBLE: [&str; 6] =
    ["E-ADDR-NOT-OPERAND", "E-PERMITTED", "E-FPE-NOT-DIV", "E-DIV-FINE", "E-ILL-VALID", "E-REG-CONTRADICTS"];

/// One class.
#[derive(Default)]
struct Row {
    hardware: bool,
    crashes: u64,
    /// Of the instruction that was meant.
    at_once: u64,
    /// Crashes at once with a flip told.
    flips_at_once: u64,
    codes: BTreeMap<String, u64>,
    /// By group and outcome, as the statistics weigh them.
    outcomes: BTreeMap<(&'static str, &'static str), u64>,
    none: u64,
}

/// All classes.
#[derive(Default)]
pub(crate) struct Tally {
    rows: BTreeMap<String, Row>,
    pub(crate) lost: u64,
    /// What looked like hardware in a true bug, and the other way round.
    odd: Vec<String>,
}

impl Tally {
    pub(crate) fn add(&mut self, class: &str, hardware: bool, at_once: bool, record: &Record, what: &str) {
        let row = self.rows.entry(class.to_owned()).or_default();
        row.hardware = hardware;
        row.crashes += 1;
        row.at_once += u64::from(at_once);
        let codes: BTreeSet<&str> = record.fault.evidence.iter().map(|(code, _)| code.as_str()).collect();
        let told = codes.iter().any(|code| HARDWARE.contains(code));
        row.flips_at_once += u64::from(at_once && codes.iter().any(|code| FLIPS.contains(code)));
        row.none += u64::from(!told);
        for (group, _) in GROUPS {
            *row.outcomes.entry((group.name(), group.outcome(&codes))).or_default() += 1;
        }
        for code in &codes {
            *row.codes.entry((*code).to_owned()).or_default() += 1;
        }
        if told != hardware {
            let why = record.fault.cause.as_deref().unwrap_or("-");
            let facts: Vec<String> =
                record.fault.evidence.iter().map(|(c, w)| format!("{c} ({w})")).collect();
            let near: String = record.fault.window.words.chars().skip(60).take(12).collect();
            let stack = record.stacks.first().map_or(&[][..], |stack| &stack.frames);
            let frames: Vec<String> = stack
                .iter()
                .take(4)
                .map(|f| format!("{:?}+{:#x}", f.module.unwrap_or(99), f.offset.0))
                .collect();
            let compared = record.fault.code_page.as_ref().map_or(0, |page| page.compared >> 12);
            let place = what.split_once("(0x").and_then(|(_, rest)| {
                let place = u64::from_str_radix(rest.trim_end_matches(')'), 16).ok()?;
                let module = record.modules.iter().find(|m| place.wrapping_sub(m.start.0) < m.size)?;
                Some(format!("{:?}+{:#x}", module.path, place - module.start.0))
            });
            self.odd.push(format!(
                "{class}	{what}	{why}	{}	{near}	{}	{compared} pages {place:?}",
                facts.join("; "),
                frames.join(" ")
            ));
        }
    }

    fn side(&self, hardware: bool) -> impl Iterator<Item = (&String, &Row)> {
        self.rows.iter().filter(move |(_, row)| row.hardware == hardware)
    }

    fn sum(&self, hardware: bool, of: impl Fn(&Row) -> u64) -> u64 {
        self.side(hardware).map(|(_, row)| of(row)).sum()
    }

    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        let codes: BTreeSet<&String> = self.rows.values().flat_map(|row| row.codes.keys()).collect();
        for hardware in [true, false] {
            let title = if hardware { "done to a working program" } else { "true bugs" };
            let _ = writeln!(
                text,
                "{title:<24} {:>8} {:>8}  codes (crashes that have them)",
                "crashes", "no code"
            );
            for (class, row) in self.side(hardware) {
                let codes: Vec<String> = row.codes.iter().map(|(code, n)| format!("{code} {n}")).collect();
                let _ =
                    writeln!(text, "{class:<24} {:>8} {:>8}  {}", row.crashes, row.none, codes.join(", "));
            }
            text.push('\n');
        }
        let (hardware, software) = (self.sum(true, |row| row.crashes), self.sum(false, |row| row.crashes));
        let _ =
            writeln!(text, "{:<22} {:>22} {:>22}   (95 %, Jeffreys)", "code", "hardware-like", "software");
        for code in codes {
            let of = |row: &Row| row.codes.get(code).copied().unwrap_or(0);
            let (a, b) = (self.sum(true, of), self.sum(false, of));
            let _ = writeln!(text, "{code:<22} {:>22} {:>22}", share(a, hardware), share(b, software));
        }
        let _ = writeln!(text, "\n{hardware} and {software} crashes; {} without a record", self.lost);
        text
    }

    /// Class, side, crashes, group, outcome, count: what statistics load.
    pub(crate) fn counts(&self) -> String {
        let mut text = String::new();
        for (class, row) in &self.rows {
            let side = if row.hardware { "hardware" } else { "software" };
            for ((group, outcome), count) in &row.outcomes {
                let _ = writeln!(text, "{class}\t{side}\t{}\t{group}\t{outcome}\t{count}", row.crashes);
            }
        }
        text
    }

    /// What was promised, and whether it holds.
    pub(crate) fn promises(&self, whole: bool) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        let mut say = |holds: bool, what: String| {
            lines.push(format!("{}: {what}", if holds { "holds" } else { "DOES NOT HOLD" }));
        };
        let any =
            |row: &Row, codes: &[&str]| codes.iter().filter_map(|code| row.codes.get(*code)).sum::<u64>();
        if let Some(row) = self.rows.get("code") {
            let found = any(row, &["E-CODE-1BIT"]);
            say(
                found * 100 >= row.crashes * 99,
                format!("flips of code are found: {}, at least 99 %", share(found, row.crashes)),
            );
        }
        if let Some(row) = self.rows.get("rsp") {
            let found = any(row, &STACK);
            say(
                found * 100 >= row.crashes * 95,
                format!("rsp ± 8 is named: {}, at least 95 %", share(found, row.crashes)),
            );
        }
        if let Some(row) = self.rows.get("base") {
            say(
                row.flips_at_once * 100 >= row.at_once * 90,
                format!(
                    "flips of the base register are flagged: {}, at least 90 %",
                    share(row.flips_at_once, row.at_once)
                ),
            );
        }
        let software = self.sum(false, |row| row.crashes);
        if whole && software > 0 {
            let flips = self.sum(false, |row| any(row, &FLIPS));
            say(
                flips * 100 <= software * 3,
                format!("flips told of true bugs: {}, at most 3 %", share(flips, software)),
            );
            let off = self.sum(false, |row| any(row, &[STACK[0], STACK[1], "E-IP-MIDDLE"]));
            say(
                off * 100 <= software,
                format!(
                    "rsp off or rip inside an instruction told of true bugs: {}, at most 1 %",
                    share(off, software)
                ),
            );
            let code = self.sum(false, |row| any(row, &["E-CODE-1BIT", "E-CODE-SEVERAL"]));
            say(code == 0, format!("flips of code told of true bugs: {code} of {software}, none"));
            let impossible = self.sum(false, |row| any(row, &IMPOSSIBLE));
            say(
                impossible == 0,
                format!("impossible states told of true bugs: {impossible} of {software}, none"),
            );
        }
        lines.extend(self.odd.iter().take(4000).map(|line| format!("odd\t{line}")));
        lines
    }
}

/// "12 of 340: 3.5 % [1.9, 5.9]".
fn share(n: u64, of: u64) -> String {
    if of == 0 {
        return "-".to_owned();
    }
    let (low, high) = (jeffreys(n, of, 0.025), jeffreys(n, of, 0.975));
    format!("{n} of {of}: {:.1} [{:.1}, {:.1}]", 100.0 * n as f64 / of as f64, 100.0 * low, 100.0 * high)
}

/// The quantile of Beta(n + ½, of − n + ½), by bisection of its density's sum.
fn jeffreys(n: u64, of: u64, p: f64) -> f64 {
    if (n == 0 && p < 0.5) || (n == of && p > 0.5) {
        return if n == 0 { 0.0 } else { 1.0 };
    }
    let (a, b) = (n as f64 - 0.5, (of - n) as f64 - 0.5);
    const STEPS: usize = 20_000;
    let at = |i: usize| (i as f64 + 0.5) / STEPS as f64;
    let log = |x: f64| a * x.ln() + b * (1.0 - x).ln();
    let peak = (0..STEPS).map(|i| log(at(i))).fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = (0..STEPS).map(|i| (log(at(i)) - peak).exp()).collect();
    let whole: f64 = weights.iter().sum();
    let mut sum = 0.0;
    for (i, weight) in weights.iter().enumerate() {
        sum += weight;
        if sum >= p * whole {
            return at(i);
        }
    }
    1.0
}
