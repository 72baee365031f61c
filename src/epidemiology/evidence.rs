//! How much the evidence of one crash says: likelihood ratios from counts.
//!
//! The counts are evidence.tsv, which `make injection` measures anew: of every
//! class of injected faults and every kind of true bug, how many crashes there
//! were and how many showed which outcome of which group. A crash has one
//! outcome per [`Group`]: the first of the group's codes that it bears, or none;
//! groups multiply. Absence speaks as well, a little, against the machine.
//!
//! ```text
//! p                 = mean of n / N over the classes of a side
//! P(outcome | side) = (N p + 1/2) / (N + k/2), N of the whole side
//! ratio             = P(outcome | hardware) / P(outcome | software)
//! ```
//!
//! k is the number of the group's outcomes (Jeffreys' prior of a multinomial).
//! What neither side has shown has a ratio from the literature ([`STARTING`]).
//! Classes weigh the same on both sides: what share of a fleet's faults is in a
//! pointer or in code nobody has published. [`Ratio::span`] is what remains when
//! any one class of hardware weighs three times as much, or a third. No ratio goes beyond (n + 1) / 3 of
//! the crashes that could have spoken against it (rule of three: none of n has a
//! 95 % bound of 3 / n), and none below the same of the other side. Pages of
//! living processes that were compared count as innocents of the code page.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

/// Codes of which only the strongest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// The kernel reports broken memory.
    MachineCheck,
    /// The code that ran against its file.
    CodePage,
    /// The processor, its instruction and its stack pointer.
    ControlFlow,
    /// The pointer.
    Pointer,
    /// How the program ended itself.
    Ended,
}

/// Every group with its codes, the strongest first.
pub const GROUPS: [(Group, &[&str]); 5] = [
    (Group::MachineCheck, &["E-MEMORY-ERROR"]),
    (Group::CodePage, &["E-CODE-1BIT", "E-CODE-SEVERAL"]),
    (
        Group::ControlFlow,
        &[
            // It explains the others.
            "E-SIGNAL-RESIDUE",
            "E-REG-CONTRADICTS",
            "E-FPE-NOT-DIV",
            "E-DIV-FINE",
            "E-ILL-VALID",
            "E-ADDR-NOT-OPERAND",
            "E-RSP-OFF8",
            "E-RSP-MISALIGNED",
            "E-IP-MIDDLE",
            "E-PERMITTED",
        ],
    ),
    (
        Group::Pointer,
        &[
            "E-BITFLIP-WITNESS",
            "E-BITFLIP-NONCANON",
            "E-BITFLIP-UNMAPPED",
            "E-BITFLIP-NULL",
            "E-BITFLIP-NEAR",
            "E-FILLER",
            "E-TEXT",
            "E-NULL",
        ],
    ),
    (Group::Ended, &["E-STACK-OVERFLOW", "E-ABORT"]),
];

/// No code of the group.
pub const NONE: &str = "-";

/// log10 of what no injection makes and no bug showed: starting values, from
/// what the literature and reasoning allow; bounded by the sample like the others,
/// but for the kernel's own word on broken memory, whose innocents
/// (hwpoison-inject, MADV_HWPOISON) are in the kernel's log.
const STARTING: [(&str, f64); 7] = [
    ("E-MEMORY-ERROR", 6.0),
    ("E-FPE-NOT-DIV", 3.0),
    ("E-DIV-FINE", 3.0),
    ("E-ILL-VALID", 3.0),
    ("E-ADDR-NOT-OPERAND", 2.5),
    ("E-PERMITTED", 1.5),
    ("E-SIGNAL-RESIDUE", -2.0),
];
/// Pages of code that are compared in one crash, about.
const PAGES: u64 = 16;

impl Group {
    /// "pointer".
    pub fn name(self) -> &'static str {
        match self {
            Group::MachineCheck => "machine-check",
            Group::CodePage => "code-page",
            Group::ControlFlow => "control-flow",
            Group::Pointer => "pointer",
            Group::Ended => "ended",
        }
    }

    /// What a crash with these codes shows in this group.
    pub fn outcome(self, codes: &BTreeSet<&str>) -> &'static str {
        self.codes().iter().find(|code| codes.contains(*code)).copied().unwrap_or(NONE)
    }

    /// Its codes, the strongest first.
    pub fn codes(self) -> &'static [&'static str] {
        GROUPS.iter().find(|(group, _)| *group == self).map_or(&[], |(_, codes)| codes)
    }
}

/// What a crash shows, one outcome for each group of [`GROUPS`]: 0 where nobody
/// looked, 1 for none of the group's codes, else the place of the code, from 2 on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shown(pub [u8; GROUPS.len()]);

impl Shown {
    /// Of a crash's codes, where `looked` was looked.
    pub fn of(codes: &BTreeSet<&str>, looked: &[Group]) -> Shown {
        let mut shown = Shown::default();
        for (place, (group, names)) in shown.0.iter_mut().zip(&GROUPS) {
            let code = names.iter().position(|name| codes.contains(name));
            let seen = code.and_then(|at| u8::try_from(at.saturating_add(2)).ok());
            *place = seen.unwrap_or(u8::from(looked.contains(group)));
        }
        shown
    }

    /// The codes.
    pub fn codes(self) -> impl Iterator<Item = &'static str> {
        self.0
            .into_iter()
            .zip(&GROUPS)
            .filter_map(|(outcome, (_, codes))| codes.get(usize::from(outcome).checked_sub(2)?).copied())
    }

    /// The same with another outcome of one group.
    #[must_use]
    pub fn with(mut self, group: Group, code: &str) -> Shown {
        let at = group.codes().iter().position(|name| *name == code);
        let outcome = at.and_then(|at| u8::try_from(at.saturating_add(2)).ok()).unwrap_or(1);
        if let Some(place) = self.0.iter_mut().zip(&GROUPS).find(|(_, (g, _))| *g == group) {
            *place.0 = outcome;
        }
        self
    }
}

/// Crashes of one class: a fault that was injected, or a kind of bug.
#[derive(Clone, Debug, Default)]
struct Class {
    hardware: bool,
    crashes: u64,
    outcomes: BTreeMap<(String, String), u64>,
}

/// The counts.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    classes: BTreeMap<String, Class>,
    /// Pages of code of living processes: how many were compared, and how many
    /// differed as a code says.
    pages: u64,
    odd_pages: BTreeMap<String, u64>,
}

/// What one outcome says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// log10 of P(outcome | hardware) / P(outcome | software).
    pub log10: f64,
    /// P(outcome | hardware).
    pub hardware: f64,
    /// P(outcome | software).
    pub software: f64,
    /// The bound of the sample cut it.
    pub bounded: bool,
    /// Neither side showed it: a starting value of the literature.
    pub starting: bool,
    /// log10 at its lowest and highest, when one class of hardware weighs three
    /// times as much as the others, or a third.
    pub span: (f64, f64),
}

impl Counts {
    /// Those of evidence.tsv.
    pub fn measured() -> &'static Counts {
        static MEASURED: OnceLock<Counts> = OnceLock::new();
        MEASURED.get_or_init(|| Counts::parse(include_str!("evidence.tsv")).unwrap_or_default())
    }

    /// Lines of `class side crashes group outcome count`, and `- living pages - code
    /// count`, with tabs; the first line and those that begin with # are not read.
    ///
    /// # Errors
    ///
    /// The first line that is none of these.
    pub fn parse(text: &str) -> Result<Counts, String> {
        let mut counts = Counts::default();
        for line in text.lines().skip(1).filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let bad = || format!("no line of counts: {line}");
            let columns: Vec<&str> = line.split('\t').collect();
            let &[class, side, crashes, group, outcome, count] = columns.as_slice() else {
                return Err(bad());
            };
            let crashes: u64 = crashes.parse().map_err(|_| bad())?;
            let count: u64 = count.parse().map_err(|_| bad())?;
            if count > crashes {
                return Err(bad());
            }
            match side {
                "hardware" | "software" => {
                    let entry = counts.classes.entry(class.to_owned()).or_default();
                    entry.hardware = side == "hardware";
                    entry.crashes = crashes;
                    entry.outcomes.insert((group.to_owned(), outcome.to_owned()), count);
                }
                "living" => {
                    counts.pages = crashes;
                    counts.odd_pages.insert(outcome.to_owned(), count);
                }
                _ => return Err(bad()),
            }
        }
        Ok(counts)
    }

    fn classes(&self, hardware: bool) -> impl Iterator<Item = &Class> {
        self.classes.values().filter(move |class| class.hardware == hardware && class.crashes > 0)
    }

    /// Crashes of a side.
    pub fn crashes(&self, hardware: bool) -> u64 {
        self.classes(hardware).fold(0, |sum, class| sum.saturating_add(class.crashes))
    }

    /// n / N of each class of a side.
    fn shares(&self, hardware: bool, group: Group, outcome: &str) -> Vec<f64> {
        let seen = |class: &Class, outcome: &str| {
            class.outcomes.get(&(group.name().to_owned(), outcome.to_owned())).copied().unwrap_or(0)
        };
        let one = |class: &Class| {
            let n = if outcome == NONE {
                let any = group.codes().iter().map(|code| seen(class, code)).fold(0, u64::saturating_add);
                class.crashes.saturating_sub(any)
            } else {
                seen(class, outcome)
            };
            n as f64 / class.crashes as f64
        };
        self.classes(hardware).map(one).collect()
    }

    fn smooth(&self, hardware: bool, group: Group, share: f64) -> f64 {
        let (all, outcomes) = (self.crashes(hardware) as f64, group.codes().len() as f64 + 1.0);
        (all * share + 0.5) / (all + outcomes / 2.0)
    }

    /// The lowest and the highest share when one class weighs three times as much,
    /// or a third.
    fn span(shares: &[f64]) -> (f64, f64) {
        let (sum, count) = (shares.iter().sum::<f64>(), shares.len() as f64);
        let weighed = shares.iter().flat_map(|one| {
            [3.0, 1.0 / 3.0].map(|weight: f64| (sum + (weight - 1.0) * one) / (count + weight - 1.0))
        });
        weighed.fold((1.0, 0.0), |(low, high), p| (p.min(low), p.max(high)))
    }

    /// Innocents of the code page: crashes of software, and living processes.
    fn living(&self) -> u64 {
        self.pages.checked_div(PAGES).unwrap_or(0)
    }

    /// Crashes (and pages, as crashes) that could have spoken against a code.
    pub fn innocents(&self, group: Group) -> u64 {
        let living = if group == Group::CodePage { self.living() } else { 0 };
        self.crashes(false).saturating_add(living)
    }

    /// What `outcome` says; None for what is no outcome of the group, and where
    /// nothing was counted.
    pub fn ratio(&self, group: Group, outcome: &str) -> Option<Ratio> {
        if outcome != NONE && !group.codes().contains(&outcome) {
            return None;
        }
        let (shares, theirs) = (self.shares(true, group, outcome), self.shares(false, group, outcome));
        if shares.is_empty() || theirs.is_empty() {
            return None;
        }
        let mean = |shares: &[f64]| shares.iter().sum::<f64>() / shares.len() as f64;
        let hardware = self.smooth(true, group, mean(&shares));
        let mut software = self.smooth(false, group, mean(&theirs));
        let mut innocents = self.crashes(false);
        if group == Group::CodePage && outcome != NONE {
            // No bug of the corpus writes code, and the living show it.
            let odd = self.odd_pages.get(outcome).copied().unwrap_or(0) as f64;
            let seen = mean(&theirs) * innocents as f64 + odd;
            innocents = innocents.saturating_add(self.living());
            software = (seen + 0.5) / (innocents as f64 + 1.0);
        }
        let bound = |n: u64| ((n as f64 + 1.0) / 3.0).log10().max(0.0);
        let (lowest, highest) = (-bound(self.crashes(true)), bound(innocents));
        let unseen = mean(&shares) == 0.0 && mean(&theirs) == 0.0;
        if let Some((_, log10)) = STARTING.iter().find(|(code, _)| unseen && *code == outcome) {
            let kept = if group == Group::MachineCheck { *log10 } else { log10.clamp(lowest, highest) };
            let bounded = kept != *log10;
            return Some(Ratio {
                log10: kept,
                hardware,
                software,
                bounded,
                starting: true,
                span: (kept, kept),
            });
        }
        let says = |p: f64| (p / software).log10();
        let log10 = says(hardware).clamp(lowest, highest);
        let (low, high) = Counts::span(&shares);
        let at = |share: f64| says(self.smooth(true, group, share)).clamp(lowest, highest);
        let bounded = log10 != says(hardware);
        Some(Ratio { log10, hardware, software, bounded, starting: false, span: (at(low), at(high)) })
    }

    /// All that a crash shows, as log10 of a likelihood ratio. Of groups that nobody
    /// looked at (no code page in a replayed core, no control flow on aarch64, no
    /// pointer without a fault) nothing is concluded.
    pub fn log10(&self, shown: Shown) -> f64 {
        let one = |(outcome, (group, codes)): (u8, &(Group, &[&str]))| {
            let name = match usize::from(outcome) {
                0 => return None,
                1 => NONE,
                code => codes.get(code.checked_sub(2)?)?,
            };
            self.ratio(*group, name).map(|ratio| ratio.log10)
        };
        shown.0.into_iter().zip(&GROUPS).filter_map(one).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts() -> Counts {
        Counts::parse(
            "class\tside\tcrashes\tgroup\toutcome\tcount\n\
             base\thardware\t300\tpointer\tE-BITFLIP-WITNESS\t150\n\
             base\thardware\t300\tpointer\t-\t150\n\
             code\thardware\t100\tcode-page\tE-CODE-1BIT\t99\n\
             code\thardware\t100\tpointer\t-\t100\n\
             wild\tsoftware\t1000\tpointer\tE-NULL\t100\n\
             wild\tsoftware\t1000\tpointer\t-\t900\n\
             -\tliving\t1600000\t-\tE-CODE-1BIT\t0\n",
        )
        .expect("counts")
    }

    #[test]
    fn only_the_strongest_code_of_a_group_counts_and_groups_multiply() {
        let counts = counts();
        let groups = [Group::CodePage, Group::Pointer];
        let weigh = |codes: &[&str]| counts.log10(Shown::of(&codes.iter().copied().collect(), &groups));
        let both = weigh(&["E-BITFLIP-WITNESS", "E-BITFLIP-UNMAPPED"]);
        assert_eq!(both, weigh(&["E-BITFLIP-WITNESS"]));
        let page = weigh(&["E-CODE-1BIT"]);
        let none = weigh(&[]);
        let all = weigh(&["E-CODE-1BIT", "E-BITFLIP-WITNESS"]);
        assert!((all - (page + both - none)).abs() < 1e-9, "{all} {page} {both} {none}");
        assert_eq!(counts.log10(Shown::default()), 0.0, "nobody looked");
        assert!(none < 0.0, "a crash without a code is a little more likely software: {none}");
    }

    #[test]
    fn no_ratio_goes_beyond_what_the_sample_can_say() {
        let counts = counts();
        let flip = counts.ratio(Group::Pointer, "E-BITFLIP-WITNESS").expect("a ratio");
        assert!(flip.log10 <= (1001.0f64 / 3.0).log10());
        // A thousand crashes and a hundred thousand crashes' worth of pages.
        let code = counts.ratio(Group::CodePage, "E-CODE-1BIT").expect("a ratio");
        assert!(code.log10 > 4.0 && code.log10 <= (101_001.0f64 / 3.0).log10(), "{code:?}");
        assert_eq!(counts.ratio(Group::Pointer, "E-CODE-1BIT"), None);
        assert_eq!(Counts::default().ratio(Group::Pointer, NONE), None);
        assert_eq!(Counts::default().log10(Shown([1; 5])), 0.0);
    }

    #[test]
    fn damaged_counts_are_refused_with_the_line() {
        for line in
            ["a\tb", "a\thardware\tx\tpointer\t-\t1", "a\thardware\t3\tpointer\t-\t4", "a\tx\t3\tp\t-\t1"]
        {
            let error = Counts::parse(&format!("head\n{line}\n")).expect_err(line);
            assert!(error.contains(line), "{error}");
        }
    }

    #[test]
    fn the_measured_counts_say_what_the_page_on_evidence_says() {
        let counts = Counts::measured();
        assert!(counts.crashes(true) >= 1000 && counts.crashes(false) >= 2000, "{counts:?}");
        let page = include_str!("../../docs/evidence.md");
        for line in table(counts).lines() {
            assert!(page.contains(line), "docs/evidence.md lacks the line {line}\nwhole:\n{}", table(counts));
        }
    }

    /// The table of docs/evidence.md.
    fn table(counts: &Counts) -> String {
        let mut text = String::new();
        for (group, codes) in GROUPS {
            for outcome in codes.iter().chain([&NONE]) {
                let Some(ratio) = counts.ratio(group, outcome) else { continue };
                let from = match (ratio.starting, ratio.bounded) {
                    (true, true) => "starting value, bounded",
                    (true, false) => "starting value",
                    (false, true) => "counted, bounded",
                    (false, false) => "counted",
                };
                let percent = |p: f64| format!("{:.2}", 100.0 * p);
                text += &format!(
                    "| {} | {} | {} | {} | {:+.2} | {:+.2} to {:+.2} | {from} |\n",
                    group.name(),
                    if *outcome == NONE { "none" } else { outcome },
                    percent(ratio.hardware),
                    percent(ratio.software),
                    ratio.log10,
                    ratio.span.0,
                    ratio.span.1
                );
            }
        }
        text
    }
}
