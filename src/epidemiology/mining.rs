//! One look at a fleet: every item scored, the best tested and told.
//!
//! What trigger.rs says at its head is done here, in this order: shortlist (scores, p
//! and q), ancestors, shuffles, findings, each against the others.

use std::collections::{BTreeMap, BTreeSet};

use super::deconfound;
use super::fdr::benjamini_yekutieli;
use super::localise::kulldorff;
use super::rate::{Shrinkage, Stratum, stratified, tail};
use super::shuffle::best_of_chance;
use super::tally::{Cell, Fleet, Split, Strata};
use super::trigger::{Attribute, Finding, Item, Question, Status, Value};

/// Singles, and pairs, that are tested; the others have p = 1.
const SHORTLIST: usize = 32;
/// Findings that are told and set against each other.
const MAX_FINDINGS: usize = 16;
/// Others that a finding is set against: those that are declared or near.
const MAX_COMPETITORS: usize = 8;
/// Ancestors of an attribute: maker, model, microcode is three.
const MAX_DEPTH: usize = 8;
/// Declared scores more: one wrong in a hundred looks, by the description length.
pub const DECLARED_SCORE: f64 = 4.605_170_185_988_092; // ln 100
/// And has a smaller q: one wrong in twenty declared.
pub const DECLARED_Q: f64 = 0.05;
/// What a descendant has to gain beyond ln(#siblings): one of its siblings fits the
/// cases a little better as often as not.
const DESCENT: f64 = 2.995_732_273_553_991; // ln 20
/// Fewer shuffles cannot reach 5 %, and are not asked.
const MIN_SHUFFLES: usize = 19;
/// What a pair's score is above its better value's: odds of three, below which
/// evidence is "not worth more than a bare mention" (Kass and Raftery 1995).
const PAIR_GAIN: f64 = 1.098_612_288_668_109_8; // ln 3

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

fn expected(cell: &Cell, known: &Cell) -> f64 {
    if known.weight > 0.0 { f64::from(known.cases) * cell.weight / known.weight } else { 0.0 }
}

fn llr(cell: &Cell, known: &Cell) -> f64 {
    kulldorff(cell.cases, known.cases, expected(cell, known))
}

/// One round: the findings of this fleet, and how many shuffles were made.
pub(super) fn look(fleet: &Fleet, question: &Question<'_>, round: u32) -> (Vec<Finding>, usize) {
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
    let score = |item: Item, cell: &Cell, known: &Cell| llr(cell, known) - fleet.cost(item);
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
        .filter(|(score, item, ..)| matches!(item, Item::One(_)) || *score > better(*item) + PAIR_GAIN)
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
    // Weighted by what naming costs (Genovese, Roeder and Wasserman, Biometrika 2006):
    // the weights' mean is 1.
    let weight = |item: Item| tests.max(1) as f64 * (-fleet.cost(item)).exp();
    let p: Vec<f64> =
        candidates.iter().map(|candidate| candidate.p / weight(candidate.item).max(1e-300)).collect();
    for (candidate, q) in candidates.iter_mut().zip(benjamini_yekutieli(&p, tests)) {
        candidate.q = q;
    }
    candidates
}

/// The more general item that is preferred to this one, and its score.
fn ancestor(fleet: &Fleet, attributes: &[Attribute], candidate: &Candidate) -> Option<(Item, f64)> {
    let mut best: Option<(Item, f64)> = None;
    for value in candidate.item.values() {
        let parent = |attribute: &usize| attributes.get(*attribute).and_then(|one| one.parent);
        // Parents may be damaged and go in circles.
        let line = std::iter::successors(Some(value.attribute), parent).skip(1).take(MAX_DEPTH);
        for above in line {
            let Some((general, siblings)) = lift(fleet, value, above) else { continue };
            let Some(item) = candidate.item.with(value, general) else { continue };
            let Some((cell, known)) = fleet.cell(item) else { continue };
            let theirs = llr(&cell, &known);
            let score = theirs - fleet.cost(item);
            if theirs > 0.0
                && gain(fleet, candidate.item, item) <= siblings.ln() + DESCENT
                && best.is_none_or(|(_, most)| score > most)
            {
                best = Some((item, score));
            }
        }
    }
    best
}

/// How much more of the cases of a general item a special one has than its share of
/// each stratum: log likelihood ratio. Not by shares of the fleet: where a region has
/// the new kernel it has the new microcode, too.
fn gain(fleet: &Fleet, special: Item, general: Item) -> f64 {
    let (special, general) = (fleet.finder(special), fleet.finder(general));
    let mut strata = vec![(0.0, 0.0, 0.0); fleet.strata];
    let (mut cases, mut of) = (0u32, 0u32);
    for host in fleet.hosts.iter().filter(|host| general.has(host) == Some(true)) {
        let Some(has) = special.has(host) else { continue };
        let Some((own, weight, all)) = strata.get_mut(host.stratum) else { continue };
        *all += host.weight;
        *weight += if has { host.weight } else { 0.0 };
        *own += f64::from(u8::from(host.case));
        of = of.saturating_add(u32::from(host.case));
        cases = cases.saturating_add(u32::from(host.case && has));
    }
    let expected = strata.iter().filter(|(.., all)| *all > 0.0).map(|(own, weight, all)| own * weight / all);
    kulldorff(cases, of, expected.sum())
}

/// The ancestor's value that most case hosts of a value have, and how many values of
/// the descendant's attribute its hosts have.
fn lift(fleet: &Fleet, value: Value, above: usize) -> Option<(Value, f64)> {
    let finder = fleet.finder(Item::One(value));
    let mut counts: BTreeMap<Value, u32> = BTreeMap::new();
    let cases = fleet.hosts.iter().filter(|host| host.case && finder.has(host) == Some(true));
    for general in cases.filter_map(|host| fleet.value(host, above)) {
        let count = counts.entry(general).or_default();
        *count = count.saturating_add(1);
    }
    let general = counts.into_iter().max_by_key(|(one, count)| (*count, std::cmp::Reverse(*one)))?.0;
    let finder = fleet.finder(Item::One(general));
    let hosts = fleet.hosts.iter().filter(|host| finder.has(host) == Some(true));
    let siblings: BTreeSet<Value> = hosts.filter_map(|host| fleet.value(host, value.attribute)).collect();
    Some((general, siblings.len().max(1) as f64))
}

fn finding(fleet: &Fleet, candidate: &Candidate, chance: &[f64], shrinkage: &Shrinkage) -> Finding {
    let Candidate { item, cell, known, score, .. } = candidate;
    let penalty = fleet.cost(*item);
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
        for (other, score, ..) in competing {
            let (status, adjusted) = deconfound::against(fleet, finding, *other, *score > finding.score);
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
    name_the_last(findings);
}

/// What is explained by something that is explained itself is explained by the last of
/// them: that one is to be looked at.
fn name_the_last(findings: &mut [Finding]) {
    let explained: BTreeMap<Item, Item> = findings
        .iter()
        .filter_map(|finding| match finding.status {
            Status::ExplainedAway { by } => Some((finding.item, by)),
            _ => None,
        })
        .collect();
    for finding in findings {
        if let Status::ExplainedAway { by } = &mut finding.status {
            *by = last(&explained, *by);
        }
    }
}

/// The end of the line; where it goes in a circle, its beginning.
fn last(explained: &BTreeMap<Item, Item>, by: Item) -> Item {
    let line = std::iter::successors(Some(by), |item| explained.get(item).copied());
    let line: Vec<Item> = line.take(explained.len().saturating_add(1)).collect();
    line.last().filter(|item| !explained.contains_key(item)).copied().unwrap_or(by)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_explained_by_something_explained_names_the_last_and_a_circle_stays_as_it_is() {
        let one = |value: u32| Item::One(Value { attribute: 0, value });
        let of = |pairs: &[(u32, u32)], by: u32| {
            last(&pairs.iter().map(|(item, by)| (one(*item), one(*by))).collect(), one(by))
        };
        assert_eq!(of(&[(3, 2), (2, 1)], 2), one(1));
        assert_eq!(of(&[(3, 2)], 2), one(2));
        assert_eq!(of(&[(1, 2), (2, 1), (3, 1)], 1), one(1));
    }
}
