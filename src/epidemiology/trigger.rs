//! What triggers a bug: the values, or pairs of values, that its hosts have in common
//! and the others have not.
//!
//! Needs: one row per host that could crash, a case or not, with what it has and how
//! long the unit ran there. Gives: items ranked by score, with what speaks for and
//! against each. Is not for hardware: hosts are exchangeable here.
//!
//! ```text
//! score = c ln(c/E) + (n-c) ln((n-c)/(n-E)), 0 unless c > E   (Kulldorff 1997)
//!         - ln #items for one value, - 2 ln #items for a pair (what it costs to
//!         say which; Rissanen 1978)
//! ```
//!
//! c of n cases have the item, E = n × its share of the exposure. p is the chance of
//! as many where the cases of every stratum (region × role) fall by exposure alone:
//! what shuffling hosts' labels within strata tends to, in closed form, because a
//! few hundred shuffles cannot say less than 1/200. q is Benjamini and Yekutieli's of
//! all singles, or all pairs. The shuffles themselves give `family`, the chance that
//! the best of all items does as well (shuffle.rs). Declared is what passes all
//! three: score > ln 100, q < 5 %, family ≤ 5 %; the rest is description.
//!
//! An ancestor (model of microcode) is preferred unless the descendant's LLR gains
//! more than ln of the number of siblings; a pair has to beat its better value. Then
//! each finding is tested within the others (deconfound.rs), the hosts of the best
//! are taken away, and what remains is looked at again (Liblit et al. 2005).

use super::deconfound;
use super::fdr::benjamini_yekutieli;
use super::rate::{Ratio, Shrinkage, Stratum, stratified, tail};
use super::shuffle::best_of_chance;
use super::tally::{Cell, Fleet, Split, Strata};

/// Case hosts below which nothing is looked for.
pub const MIN_CASES: u32 = 5;
/// Singles, and pairs, that are tested; the others have p = 1.
const SHORTLIST: usize = 32;
/// Findings that are told and set against each other.
const MAX_FINDINGS: usize = 16;
/// Others that a finding is set against: those that are declared or near.
const MAX_COMPETITORS: usize = 8;
/// Times that the hosts of a cause are taken away.
const MAX_ROUNDS: u32 = 4;
/// What is declared: one wrong in a hundred looks, by the description length;
const DECLARED_SCORE: f64 = 4.605_170_185_988_092; // ln 100
/// one wrong in twenty declared, by the p-values; and one wrong family in twenty.
const DECLARED_Q: f64 = 0.05;
/// Fewer shuffles cannot reach 5 %, and are not asked.
const MIN_SHUFFLES: usize = 19;

/// What hosts differ in.
#[derive(Clone, Debug, Default)]
pub struct Attribute {
    /// "kernel".
    pub name: String,
    /// Its ancestor among the attributes: model of microcode, distro of kernel.
    pub parent: Option<usize>,
    /// Its values.
    pub values: Vec<String>,
}

/// One host.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// The place of its value of each attribute; u32::MAX, or a place that is none,
    /// where it is unknown.
    pub values: Vec<u32>,
    /// Hours that the unit ran there.
    pub exposure: f64,
    /// Region × role: whatever number they share.
    pub stratum: u32,
    /// The bug was seen there.
    pub case: bool,
}

/// What [`mine`] is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What hosts differ in.
    pub attributes: &'a [Attribute],
    /// The hosts on which the unit ran.
    pub rows: &'a [Row],
    /// Of the shuffles.
    pub seed: u64,
    /// Shuffles; 200 are enough. With thousands of cases fewer are made.
    pub permutations: u32,
}

/// One value of one attribute, by their places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value {
    /// Place of the attribute.
    pub attribute: usize,
    /// Place of the value.
    pub value: u32,
}

/// What may be a trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// A value.
    One(Value),
    /// Two values of two attributes, the lower attribute first.
    Pair(Value, Value),
}

/// What remains of a finding beside the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Status {
    /// It stands out within each of the others.
    Supported,
    /// Within the other it does not stand out, the other within it does; or the other
    /// is its ancestor, and it adds too little.
    ExplainedAway {
        /// The other.
        by: Item,
    },
    /// Both stand out, and the ratio is not the same with and without the other.
    Interaction {
        /// The other.
        with: Item,
    },
    /// Neither stands out within the other.
    Inseparable {
        /// The other.
        from: Item,
        /// Further cases that would tell; None where none do, because hosts have both
        /// or neither.
        more: Option<u32>,
    },
    /// It does not vary within the strata: the region or the role may be the cause, or
    /// anything that goes with it. Never declared.
    Stratum,
}

/// An item and what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The item.
    pub item: Item,
    /// Case hosts that have it.
    pub cases: u32,
    /// Case hosts of which that is known.
    pub of: u32,
    /// Case hosts that exposure alone would give it.
    pub expected: f64,
    /// Kulldorff's log likelihood ratio.
    pub llr: f64,
    /// What naming it costs.
    pub penalty: f64,
    /// LLR − penalty.
    pub score: f64,
    /// The rate ratio within strata, with its 95 % interval, and p.
    pub ratio: Ratio,
    /// The ratio, not within strata, shrunk towards 1 by what all items show.
    pub shrunk: f64,
    /// Benjamini and Yekutieli's q.
    pub q: f64,
    /// The chance that the best of all items does as well; 1 without shuffles.
    pub family: f64,
    /// It passes every threshold.
    pub declared: bool,
    /// What remains of it beside the others.
    pub status: Status,
    /// Mantel and Haenszel's odds ratio within the one that leaves least of it.
    pub adjusted: Option<(Item, Ratio)>,
}

/// Why nothing was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Fewer than [`MIN_CASES`] case hosts with exposure.
    FewCases(u32),
    /// No attribute has a known value.
    NoItems,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Triggers {
    /// Hosts that were looked at.
    pub hosts: usize,
    /// Case hosts among them.
    pub cases: u32,
    /// Their hours; None where nothing (or less than half of the cases) had hours, and
    /// hosts were counted instead: whoever runs the unit longer looks guilty then.
    pub exposure: Option<f64>,
    /// Hosts left out because they had no hours.
    pub without_exposure: u32,
    /// Values that were looked at.
    pub singles: usize,
    /// Pairs of values that were looked at.
    pub pairs: usize,
    /// Pairs of attributes that had too many values.
    pub unpaired: u32,
    /// Shuffles made.
    pub permutations: usize,
    /// The best first.
    pub findings: Vec<Finding>,
    /// What was declared after the hosts of the first, of the second … were taken away:
    /// one per round, its numbers those of the remaining hosts.
    pub further: Vec<Finding>,
    /// Why there is nothing.
    pub reason: Option<Reason>,
}

impl Item {
    /// "kernel=6.1.0", "model=A & build=17".
    pub fn name(&self, attributes: &[Attribute]) -> String {
        let name = |value: &Value| {
            let attribute = attributes.get(value.attribute);
            let place = usize::try_from(value.value).unwrap_or(usize::MAX);
            let text = attribute.and_then(|attribute| attribute.values.get(place));
            format!("{}={}", attribute.map_or("?", |one| &one.name), text.map_or("?", String::as_str))
        };
        match self {
            Item::One(value) => name(value),
            Item::Pair(one, two) => format!("{} & {}", name(one), name(two)),
        }
    }

    fn values(self) -> impl Iterator<Item = Value> {
        let (one, two) = match self {
            Item::One(value) => (value, None),
            Item::Pair(one, two) => (one, Some(two)),
        };
        std::iter::once(one).chain(two)
    }

    /// The same with another value in the place of one; None where no two attributes
    /// remain.
    fn with(self, old: Value, new: Value) -> Option<Item> {
        let swap = |value: Value| if value == old { new } else { value };
        match self {
            Item::One(value) => Some(Item::One(swap(value))),
            Item::Pair(one, two) => {
                let (one, two) = (swap(one), swap(two));
                let pair = Item::Pair(one.min(two), one.max(two));
                (one.attribute != two.attribute).then_some(pair)
            }
        }
    }
}

/// Ranks what may trigger the bug.
pub fn mine(question: Question<'_>) -> Triggers {
    let fleet = Fleet::of(question.attributes, question.rows);
    let mut triggers = Triggers {
        hosts: fleet.hosts.len(),
        cases: fleet.cases,
        exposure: fleet.hours,
        without_exposure: fleet.without_exposure,
        singles: fleet.singles(),
        pairs: fleet.pairs(),
        unpaired: fleet.unpaired,
        permutations: 0,
        findings: Vec::new(),
        further: Vec::new(),
        reason: None,
    };
    if fleet.cases < MIN_CASES {
        triggers.reason = Some(Reason::FewCases(fleet.cases));
        return triggers;
    }
    if fleet.every_single().next().is_none() {
        triggers.reason = Some(Reason::NoItems);
        return triggers;
    }
    (triggers.findings, triggers.permutations) = look(&fleet, &question, 0);
    let mut cause = triggers.findings.iter().find(|finding| finding.is_cause()).map(|finding| finding.item);
    let mut rest = fleet;
    for round in 1..=MAX_ROUNDS {
        let Some(item) = cause else { break };
        rest = rest.without(item);
        if rest.cases < MIN_CASES {
            break;
        }
        let next = look(&rest, &question, round).0.into_iter().find(Finding::is_cause);
        cause = next.as_ref().map(|finding| finding.item);
        triggers.further.extend(next);
    }
    triggers
}

/// Kulldorff's log likelihood ratio of c cases of n where `expected` are expected.
pub(super) fn kulldorff(c: u32, n: u32, expected: f64) -> f64 {
    let (c, n) = (f64::from(c), f64::from(n));
    if !(expected > 0.0 && c > expected && c <= n) {
        return 0.0;
    }
    let rest = n - c;
    let others = if rest > 0.0 { rest * (rest / (n - expected)).ln() } else { 0.0 };
    (c * (c / expected).ln() + others).max(0.0)
}

/// What it costs to name one of the items.
pub(super) fn penalty(fleet: &Fleet, pair: bool) -> f64 {
    let one = (fleet.singles() as f64).ln();
    if pair { 2.0 * one } else { one }
}

/// An item on its way to a finding.
struct Candidate {
    item: Item,
    cell: Cell,
    known: Cell,
    score: f64,
    /// The score, or just below that of the ancestor that it yields to.
    rank: f64,
    yields: Option<Item>,
    p: f64,
    q: f64,
    strata: Vec<Stratum>,
}

impl Finding {
    /// Declared, and nothing else explains it.
    fn is_cause(&self) -> bool {
        self.declared && !self.is_explained()
    }

    fn is_explained(&self) -> bool {
        matches!(self.status, Status::ExplainedAway { .. } | Status::Stratum)
    }
}

fn expected(cell: &Cell, known: &Cell) -> f64 {
    if known.weight > 0.0 { f64::from(known.cases) * cell.weight / known.weight } else { 0.0 }
}

fn llr(cell: &Cell, known: &Cell) -> f64 {
    kulldorff(cell.cases, known.cases, expected(cell, known))
}

/// One round: the findings of this fleet, and how many shuffles were made.
fn look(fleet: &Fleet, question: &Question<'_>, round: u32) -> (Vec<Finding>, usize) {
    let mut candidates = shortlist(fleet, fleet.every_single(), fleet.singles());
    candidates.extend(shortlist(fleet, fleet.every_pair(), fleet.pairs()));
    for candidate in &mut candidates {
        if let Some((ancestor, score)) = ancestor(fleet, question.attributes, candidate) {
            candidate.yields = Some(ancestor);
            candidate.rank = candidate.score.min(score - 1e-9);
        }
    }
    // The more general and the lower place first, where scores are the same.
    candidates.sort_by(|a, b| b.rank.total_cmp(&a.rank).then(a.item.cmp(&b.item)));
    candidates.truncate(MAX_FINDINGS);
    let seed = question.seed.wrapping_add(u64::from(round).wrapping_mul(0x9e37_79b9));
    let chance = best_of_chance(fleet, question.permutations, seed);
    let all: Vec<(u32, f64)> =
        fleet.every_single().map(|(_, cell, known)| (cell.cases, expected(&cell, &known))).collect();
    let shrinkage = Shrinkage::fit(&all);
    let mut findings: Vec<Finding> =
        candidates.iter().map(|candidate| finding(fleet, candidate, &chance, &shrinkage)).collect();
    deconfound_all(fleet, &candidates, &mut findings);
    findings.sort_by_key(Finding::is_explained);
    (findings, chance.len())
}

/// The items with the best scores, with p and q. A pair that does not beat its better
/// value is none.
fn shortlist(fleet: &Fleet, items: impl Iterator<Item = (Item, Cell, Cell)>, tests: usize) -> Vec<Candidate> {
    let score = |item: Item, cell: &Cell, known: &Cell| {
        llr(cell, known) - penalty(fleet, matches!(item, Item::Pair(..)))
    };
    let better = |item: Item| {
        let one = |value: Value| {
            let single = Item::One(value);
            fleet.cell(single).map_or(f64::NEG_INFINITY, |(cell, known)| score(single, &cell, &known))
        };
        item.values().map(one).fold(f64::NEG_INFINITY, f64::max)
    };
    let mut scored: Vec<(f64, Item, Cell, Cell)> = items
        .filter(|(_, cell, known)| f64::from(cell.cases) > expected(cell, known))
        .map(|(item, cell, known)| (score(item, &cell, &known), item, cell, known))
        .filter(|(score, item, ..)| matches!(item, Item::One(_)) || *score > better(*item))
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    scored.truncate(SHORTLIST);
    let strata = |item: Item| fleet.split(item, Strata::Own).iter().map(Split::stratum).collect();
    let mut candidates: Vec<Candidate> = scored
        .into_iter()
        .map(|(score, item, cell, known)| (score, item, cell, known, strata(item)))
        .map(|(score, item, cell, known, strata): (_, _, _, _, Vec<Stratum>)| Candidate {
            p: tail(&strata),
            q: 1.0,
            item,
            cell,
            known,
            score,
            rank: score,
            yields: None,
            strata,
        })
        .collect();
    let p: Vec<f64> = candidates.iter().map(|candidate| candidate.p).collect();
    for (candidate, q) in candidates.iter_mut().zip(benjamini_yekutieli(&p, tests)) {
        candidate.q = q;
    }
    candidates
}

/// The more general item that is preferred to this one, and its score.
fn ancestor(fleet: &Fleet, attributes: &[Attribute], candidate: &Candidate) -> Option<(Item, f64)> {
    let mine = llr(&candidate.cell, &candidate.known);
    let mut best: Option<(Item, f64)> = None;
    for value in candidate.item.values() {
        let parent = |attribute: &usize| attributes.get(*attribute).and_then(|one| one.parent);
        // Parents may be damaged and go in circles.
        let line = std::iter::successors(Some(value.attribute), parent).skip(1).take(attributes.len());
        for above in line {
            let Some((general, siblings)) = lift(fleet, value, above) else { continue };
            let Some(item) = candidate.item.with(value, general) else { continue };
            let Some((cell, known)) = fleet.cell(item) else { continue };
            let theirs = llr(&cell, &known);
            let score = theirs - penalty(fleet, matches!(item, Item::Pair(..)));
            if theirs > 0.0 && mine - theirs <= siblings.ln() && best.is_none_or(|(_, most)| score > most) {
                best = Some((item, score));
            }
        }
    }
    best
}

/// The ancestor's value that most case hosts of a value have, and how many values of
/// the descendant's attribute its hosts have.
fn lift(fleet: &Fleet, value: Value, above: usize) -> Option<(Value, f64)> {
    let finder = fleet.finder(Item::One(value));
    let mut counts: Vec<(Value, u32)> = Vec::new();
    let cases = fleet.hosts.iter().filter(|host| host.case && finder.has(host) == Some(true));
    for general in cases.filter_map(|host| fleet.value(host, above)) {
        match counts.iter_mut().find(|(one, _)| *one == general) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => counts.push((general, 1)),
        }
    }
    let general = counts.into_iter().max_by_key(|(one, count)| (*count, std::cmp::Reverse(*one)))?.0;
    let finder = fleet.finder(Item::One(general));
    let hosts = fleet.hosts.iter().filter(|host| finder.has(host) == Some(true));
    let siblings: std::collections::BTreeSet<Value> =
        hosts.filter_map(|host| fleet.value(host, value.attribute)).collect();
    Some((general, siblings.len().max(1) as f64))
}

fn finding(fleet: &Fleet, candidate: &Candidate, chance: &[f64], shrinkage: &Shrinkage) -> Finding {
    let Candidate { item, cell, known, score, .. } = candidate;
    let penalty = penalty(fleet, matches!(item, Item::Pair(..)));
    // What the strata let expect, as the shuffles are scored.
    let by_strata =
        if known.within > 0.0 { f64::from(known.cases) * cell.within / known.within } else { 0.0 };
    let within = kulldorff(cell.cases, known.cases, by_strata) - penalty;
    let as_good = chance.len().saturating_sub(chance.partition_point(|best| *best < within));
    let family = (as_good as f64 + 1.0) / (chance.len() as f64 + 1.0);
    let expected = expected(cell, known);
    let rare = candidate.q < DECLARED_Q && (family <= DECLARED_Q || chance.len() < MIN_SHUFFLES);
    let speaks = candidate.strata.iter().any(|one| one.cases > 0 && one.share > 0.0 && one.share < 1.0);
    Finding {
        item: *item,
        cases: cell.cases,
        of: known.cases,
        expected,
        llr: llr(cell, known),
        penalty,
        score: *score,
        ratio: stratified(&candidate.strata),
        shrunk: shrinkage.ratio(cell.cases, expected),
        q: candidate.q,
        family,
        declared: *score > DECLARED_SCORE && rare,
        status: match candidate.yields {
            _ if !speaks => Status::Stratum,
            Some(by) => Status::ExplainedAway { by },
            None => Status::Supported,
        },
        adjusted: None,
    }
}

/// Sets each finding against those that are declared or near.
fn deconfound_all(fleet: &Fleet, candidates: &[Candidate], findings: &mut [Finding]) {
    let others: Vec<(Item, f64, bool, bool)> = findings
        .iter()
        .zip(candidates)
        .map(|(one, candidate)| (one.item, one.score, one.declared, candidate.yields.is_some()))
        .collect();
    for finding in findings.iter_mut().filter(|one| one.status == Status::Supported) {
        let near = |score: f64| score > 0.0 && score > finding.score - DECLARED_SCORE;
        let competing = others
            .iter()
            .filter(|(item, score, declared, yields)| {
                *item != finding.item && !yields && (*declared || near(*score))
            })
            .take(MAX_COMPETITORS);
        let mut worst = 0;
        for (other, ..) in competing {
            let (status, adjusted) = deconfound::against(fleet, finding.item, *other, finding.ratio.ratio);
            let weight = match status {
                Status::Supported | Status::Stratum => 1,
                Status::Interaction { .. } => 2,
                Status::Inseparable { .. } => 3,
                Status::ExplainedAway { .. } => 4,
            };
            if weight > worst {
                worst = weight;
                finding.status = status;
                finding.adjusted = adjusted.map(|ratio| (*other, ratio));
            }
        }
    }
}
