//! The fleet's hosts by what they have: cases and exposure of every item.
//!
//! An item is a value of an attribute, or a pair of values of two. Exposure enters
//! as a weight, the chance that the host is a case where nothing matters but time:
//!
//! ```text
//! weight = 1 - exp(-l hours), l so that the weights' sum is the number of cases
//! within = weight × (cases / weight of its stratum)
//! ```
//!
//! While cases are rare the weight is in proportion to the hours; when a tenth of
//! the hosts are cases it no longer is, because a host counts once. Unknown values
//! are in no item and in no denominator of their attribute.

use std::collections::BTreeMap;

use super::rate::{Stratum, Table};
use super::trigger::{Attribute, Item, Row, Value};

/// Values of one attribute that are items, those with the most hosts; the others
/// count in denominators only. An attribute with more is an identity (host names),
/// and the penalty grows with ln of the number.
const MAX_VALUES: usize = 1024;
/// Attributes that are looked at, the first: pairs grow with the square.
const MAX_ATTRIBUTES: usize = 64;
/// Cells of the tables of pairs, 24 bytes each: 12 MiB. A thousand values on ten
/// attributes fit.
const MAX_CELLS: usize = 1 << 19;
/// Hours of a host. The census comes once an hour: less than a tenth is not measured,
/// and a case on a host with next to none would look like certainty. More than about a
/// century is damage, and sums stay finite.
const HOURS: (f64, f64) = (0.1, 1e6);

/// The value is not known.
const UNKNOWN: u32 = u32::MAX;
/// Known, and one of those beyond [`MAX_VALUES`].
const OTHER: u32 = u32::MAX - 1;

/// One host with exposure.
#[derive(Clone, Debug)]
pub(super) struct Host {
    pub(super) hours: f64,
    pub(super) weight: f64,
    pub(super) within: f64,
    pub(super) stratum: usize,
    pub(super) case: bool,
    /// The number of its value of each attribute: an item's, or one of the above.
    values: Vec<u32>,
}

/// What is counted of an item, or of all whose value is known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cell {
    pub(super) cases: u32,
    pub(super) weight: f64,
    pub(super) within: f64,
}

impl Cell {
    fn add(&mut self, host: &Host) {
        self.cases = self.cases.saturating_add(u32::from(host.case));
        self.weight += host.weight;
        self.within += host.within;
    }
}

/// Where the pairs of two attributes are.
#[derive(Clone, Copy, Debug)]
struct Block {
    one: usize,
    two: usize,
    /// Of the first value of each attribute.
    firsts: (u32, u32),
    columns: usize,
    start: usize,
}

impl Block {
    fn place(&self, one: u32, two: u32) -> usize {
        let at = |value: u32, first: u32| usize::try_from(value.saturating_sub(first)).unwrap_or(usize::MAX);
        let row = at(one, self.firsts.0).saturating_mul(self.columns);
        self.start.saturating_add(row).saturating_add(at(two, self.firsts.1))
    }
}

/// The hosts and all tables.
#[derive(Clone, Debug)]
pub(super) struct Fleet {
    pub(super) hosts: Vec<Host>,
    pub(super) cases: u32,
    pub(super) strata: usize,
    /// Hours in all; None when hosts were counted instead.
    pub(super) hours: Option<f64>,
    pub(super) without_exposure: u32,
    /// (attribute, value) of each item, in the order of attributes.
    items: Vec<Value>,
    singles: Vec<Cell>,
    known: Vec<Cell>,
    blocks: Vec<Block>,
    pairs: Vec<Cell>,
    known_pairs: Vec<Cell>,
    costs: Vec<f64>,
}

impl Fleet {
    pub(super) fn of(attributes: &[Attribute], rows: &[Row]) -> Fleet {
        let hours = |row: &Row| if row.exposure > 0.0 { row.exposure.clamp(HOURS.0, HOURS.1) } else { 0.0 };
        let cases = rows.iter().filter(|row| row.case).count();
        let exposed = rows.iter().filter(|row| row.case && hours(row) > 0.0).count();
        // A census that misses most cases is no denominator for them.
        let counted = exposed.saturating_mul(2) >= cases && rows.iter().any(|row| hours(row) > 0.0);
        let kept: Vec<&Row> = rows.iter().filter(|row| !counted || hours(row) > 0.0).collect();

        let items = items(attributes, &kept);
        let numbers: BTreeMap<(usize, u32), u32> =
            items.iter().zip(0u32..).map(|(item, number)| ((item.attribute, item.value), number)).collect();
        // Numbers by value, for speed: [attribute][value].
        let look: Vec<Vec<u32>> = attributes
            .iter()
            .take(MAX_ATTRIBUTES)
            .enumerate()
            .map(|(attribute, one)| {
                let number = |value: u32| numbers.get(&(attribute, value)).copied().unwrap_or(OTHER);
                (0u32..).take(one.values.len()).map(number).collect()
            })
            .collect();
        let mut strata: BTreeMap<u32, usize> = BTreeMap::new();
        let mut hosts = Vec::with_capacity(kept.len());
        for row in &kept {
            let next = strata.len();
            let stratum = *strata.entry(row.stratum).or_insert(next);
            let values = row.values.iter().map(Some).chain(std::iter::repeat(None)).zip(&look);
            let number = |(value, look): (Option<&u32>, &Vec<u32>)| {
                let place = value.and_then(|value| usize::try_from(*value).ok());
                place.and_then(|place| look.get(place)).copied().unwrap_or(UNKNOWN)
            };
            hosts.push(Host {
                hours: if counted { hours(row) } else { 1.0 },
                weight: 0.0,
                within: 0.0,
                stratum,
                case: row.case,
                values: values.map(number).collect(),
            });
        }
        let left_out = rows.len().saturating_sub(kept.len());
        let blocks = blocks(&items, look.len());
        let mut fleet = Fleet {
            hosts,
            cases: 0,
            strata: strata.len(),
            hours: counted.then(|| kept.iter().map(|row| hours(row)).sum()),
            without_exposure: u32::try_from(left_out).unwrap_or(u32::MAX),
            singles: Vec::new(),
            known: vec![Cell::default(); look.len()],
            pairs: Vec::new(),
            known_pairs: vec![Cell::default(); blocks.len()],
            costs: costs(&items, look.len(), &blocks),
            items,
            blocks,
        };
        fleet.count();
        fleet
    }

    /// The same fleet without the hosts that have the item.
    pub(super) fn without(&self, item: Item) -> Fleet {
        let finder = self.finder(item);
        let hosts = self.hosts.iter().filter(|host| finder.has(host) != Some(true)).cloned().collect();
        let mut rest = Fleet { hosts, ..self.clone() };
        rest.count();
        rest
    }

    /// How many singles there are, at least one.
    pub(super) fn singles(&self) -> usize {
        self.items.len().max(1)
    }

    /// What it costs to name an item, ln: which attribute (or two) among those that
    /// tell hosts apart, and which of its values. Σ exp(−cost) is 1 for the singles and 1
    /// for the pairs, so that an attribute of a thousand values (racks) does not make
    /// one of two values expensive.
    pub(super) fn cost(&self, item: Item) -> f64 {
        let place = match item {
            Item::One(value) => Some(value.attribute),
            Item::Pair(one, two) => {
                let of = |block: &Block| block.one == one.attribute && block.two == two.attribute;
                self.blocks.iter().position(of).map(|at| self.known.len().saturating_add(at))
            }
        };
        place.and_then(|place| self.costs.get(place)).copied().unwrap_or(f64::INFINITY)
    }

    /// The cost of the items of each attribute, then of each two.
    pub(super) fn costs(&self) -> &[f64] {
        &self.costs
    }

    /// How many pairs of two attributes' values there are, at least one.
    pub(super) fn pairs(&self) -> usize {
        self.pairs.len().max(1)
    }

    fn count(&mut self) {
        self.weigh();
        self.singles = vec![Cell::default(); self.items.len()];
        let cells = self.blocks.last().map_or(0, |last| {
            let rows = self.items.iter().filter(|item| item.attribute == last.one).count();
            last.start.saturating_add(rows.saturating_mul(last.columns))
        });
        self.pairs = vec![Cell::default(); cells];
        self.known.fill(Cell::default());
        self.known_pairs.fill(Cell::default());
        for host in &self.hosts {
            for (value, known) in host.values.iter().zip(&mut self.known) {
                if *value != UNKNOWN {
                    known.add(host);
                }
                if let Some(cell) = usize::try_from(*value).ok().and_then(|at| self.singles.get_mut(at)) {
                    cell.add(host);
                }
            }
            for (block, known) in self.blocks.iter().zip(&mut self.known_pairs) {
                let Some((one, two)) = pair(&host.values, block) else { continue };
                known.add(host);
                if one != OTHER
                    && two != OTHER
                    && let Some(cell) = self.pairs.get_mut(block.place(one, two))
                {
                    cell.add(host);
                }
            }
        }
    }

    /// Weights from hours, and what the strata make of them.
    fn weigh(&mut self) {
        let cases = self.hosts.iter().filter(|host| host.case).count();
        self.cases = u32::try_from(cases).unwrap_or(u32::MAX);
        let cases = cases as f64;
        let hours: f64 = self.hosts.iter().map(|host| host.hours).sum();
        let mut rate = if hours > 0.0 { cases / hours } else { 0.0 };
        // Newton from below: the sum is concave in the rate, so no step goes too far.
        for _ in 0..16 {
            let (mut sum, mut slope) = (0.0, 0.0);
            for host in &self.hosts {
                let not = (-rate * host.hours).exp();
                sum += 1.0 - not;
                slope += host.hours * not;
            }
            if cases - sum < 1e-3 * cases || slope <= 0.0 {
                break;
            }
            rate += (cases - sum) / slope;
        }
        let rate = rate.clamp(1e-12, 1e12);
        let mut strata = vec![(0.0, 0.0); self.strata];
        for host in &mut self.hosts {
            host.weight = -(-rate * host.hours).exp_m1();
            if let Some((cases, weight)) = strata.get_mut(host.stratum) {
                *cases += f64::from(u8::from(host.case));
                *weight += host.weight;
            }
        }
        for host in &mut self.hosts {
            let of = strata.get(host.stratum).filter(|(_, weight)| *weight > 0.0);
            host.within = of.map_or(0.0, |(cases, weight)| host.weight * cases / weight);
        }
    }

    fn number(&self, value: Value) -> Option<u32> {
        let place = self.items.binary_search(&value).ok()?;
        u32::try_from(place).ok()
    }

    fn block(&self, item: Item) -> Option<(&Block, &Cell, u32, u32)> {
        let Item::Pair(one, two) = item else { return None };
        let (block, known) = self
            .blocks
            .iter()
            .zip(&self.known_pairs)
            .find(|(block, _)| block.one == one.attribute && block.two == two.attribute)?;
        Some((block, known, self.number(one)?, self.number(two)?))
    }

    /// What is counted of an item, and of all hosts of which it is known.
    pub(super) fn cell(&self, item: Item) -> Option<(Cell, Cell)> {
        match item {
            Item::One(value) => {
                let place = usize::try_from(self.number(value)?).ok()?;
                Some((*self.singles.get(place)?, *self.known.get(value.attribute)?))
            }
            Item::Pair(..) => {
                let (block, known, one, two) = self.block(item)?;
                Some((*self.pairs.get(block.place(one, two))?, *known))
            }
        }
    }

    /// Looks for the item in hosts.
    pub(super) fn finder(&self, item: Item) -> Finder {
        // What no host has is UNKNOWN's number, and never found.
        let place = |value: Value| (value.attribute, self.number(value).unwrap_or(UNKNOWN));
        match item {
            Item::One(value) => Finder(place(value), None),
            Item::Pair(one, two) => Finder(place(one), Some(place(two))),
        }
    }

    /// A host's value of an attribute.
    pub(super) fn value(&self, host: &Host, attribute: usize) -> Option<Value> {
        let number = usize::try_from(*host.values.get(attribute)?).ok()?;
        self.items.get(number).copied()
    }

    /// Every single, with its counts.
    pub(super) fn every_single(&self) -> impl Iterator<Item = (Item, Cell, Cell)> {
        self.items.iter().zip(&self.singles).filter_map(|(item, cell)| {
            let known = self.known.get(item.attribute)?;
            Some((Item::One(*item), *cell, *known))
        })
    }

    /// Every pair that two cases or more have, with its counts.
    pub(super) fn every_pair(&self) -> impl Iterator<Item = (Item, Cell, Cell)> {
        self.blocks.iter().zip(&self.known_pairs).flat_map(|(block, known)| {
            let values = |attribute: usize| self.items.iter().filter(move |item| item.attribute == attribute);
            let both = values(block.one).flat_map(move |one| values(block.two).map(move |two| (one, two)));
            let cells = self.pairs.iter().skip(block.start);
            both.zip(cells)
                .filter(|(_, cell)| cell.cases >= 2)
                .map(|((one, two), cell)| (Item::Pair(*one, *two), *cell, *known))
        })
    }

    /// The places of a host's items among all items, singles before pairs, with the
    /// place of what must be known of each among all that may be known. For tallies
    /// of shuffled cases.
    pub(super) fn places(&self, host: &Host, mut at: impl FnMut(usize, Option<usize>)) {
        for (attribute, value) in host.values.iter().enumerate().filter(|(_, value)| **value != UNKNOWN) {
            at(attribute, usize::try_from(*value).ok().filter(|place| *place < self.singles.len()));
        }
        for (number, block) in self.blocks.iter().enumerate() {
            let Some((one, two)) = pair(&host.values, block) else { continue };
            let place = (one != OTHER && two != OTHER).then(|| block.place(one, two));
            let place = place.map(|place| self.singles.len().saturating_add(place));
            at(self.known.len().saturating_add(number), place);
        }
    }

    /// Every cell in the order of [`Fleet::places`], and every known one.
    pub(super) fn cells(&self) -> (Vec<Cell>, Vec<Cell>) {
        let chain = |singles: &[Cell], pairs: &[Cell]| singles.iter().chain(pairs).copied().collect();
        (chain(&self.singles, &self.pairs), chain(&self.known, &self.known_pairs))
    }

    /// Every stratum's hosts by whether they have the item; of [`Strata::Of`] first
    /// those without.
    pub(super) fn split(&self, item: Item, by: Strata) -> Vec<Split> {
        let (finder, other) = match by {
            Strata::Own => (self.finder(item), None),
            Strata::Of(other) => (self.finder(item), Some(self.finder(other))),
        };
        let mut splits = vec![Split::default(); if other.is_some() { 2 } else { self.strata }];
        for host in &self.hosts {
            let Some(exposed) = finder.has(host) else { continue };
            let stratum = match &other {
                None => Some(host.stratum),
                Some(other) => other.has(host).map(usize::from),
            };
            let Some(split) = stratum.and_then(|stratum| splits.get_mut(stratum)) else { continue };
            let case = u32::from(host.case);
            split.cases = split.cases.saturating_add(case);
            if exposed {
                split.exposed = split.exposed.saturating_add(case);
                split.with += host.weight;
            } else {
                split.without += host.weight;
            }
        }
        splits
    }
}

/// (attribute, number of its value) of one value or of two.
#[derive(Clone, Copy)]
pub(super) struct Finder((usize, u32), Option<(usize, u32)>);

impl Finder {
    /// Whether a host has the item; None where that is unknown.
    pub(super) fn has(&self, host: &Host) -> Option<bool> {
        let has = |(attribute, number): (usize, u32)| {
            let seen = *host.values.get(attribute)?;
            (seen != UNKNOWN).then_some(seen == number)
        };
        let one = has(self.0)?;
        Some(self.1.map_or(Some(true), has)? && one)
    }
}

/// Hosts of one stratum by whether they have an item.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Split {
    exposed: u32,
    cases: u32,
    with: f64,
    without: f64,
}

impl Split {
    pub(super) fn weight(&self) -> f64 {
        self.with + self.without
    }

    pub(super) fn stratum(&self) -> Stratum {
        let share = if self.with > 0.0 { self.with / self.weight() } else { 0.0 };
        Stratum { exposed: self.exposed, cases: self.cases, share }
    }

    /// With weights as controls, `each` for one of weight.
    pub(super) fn table(&self, each: f64) -> Table {
        let a = f64::from(self.exposed);
        Table { a, b: self.with * each, c: f64::from(self.cases) - a, d: self.without * each }
    }
}

/// By what hosts are put in strata.
#[derive(Clone, Copy, Debug)]
pub(super) enum Strata {
    /// The question's: region and role.
    Own,
    /// Whether they have this item.
    Of(Item),
}

fn pair(values: &[u32], block: &Block) -> Option<(u32, u32)> {
    let (one, two) = (*values.get(block.one)?, *values.get(block.two)?);
    (one != UNKNOWN && two != UNKNOWN).then_some((one, two))
}

/// The values that hosts have, by attribute and value.
fn items(attributes: &[Attribute], rows: &[&Row]) -> Vec<Value> {
    let mut items = Vec::new();
    for (attribute, one) in attributes.iter().take(MAX_ATTRIBUTES).enumerate() {
        let mut hosts = vec![0u32; one.values.len()];
        for value in rows.iter().filter_map(|row| row.values.get(attribute)) {
            if let Some(count) = usize::try_from(*value).ok().and_then(|place| hosts.get_mut(place)) {
                *count = count.saturating_add(1);
            }
        }
        let mut seen: Vec<(u32, u32)> =
            hosts.into_iter().zip(0u32..).filter(|(hosts, _)| *hosts > 0).collect();
        if seen.len() > MAX_VALUES {
            seen.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
            seen.truncate(MAX_VALUES);
            seen.sort_unstable_by_key(|(_, value)| *value);
        }
        items.extend(seen.into_iter().map(|(_, value)| Value { attribute, value }));
    }
    items
}

fn costs(items: &[Value], attributes: usize, blocks: &[Block]) -> Vec<f64> {
    let values: Vec<usize> =
        (0..attributes).map(|at| items.iter().filter(|item| item.attribute == at).count()).collect();
    let of = |attribute: usize| values.get(attribute).copied().unwrap_or(0);
    let tell = values.iter().filter(|count| **count > 1).count().max(1);
    let both = blocks.iter().filter(|block| of(block.one) > 1 && of(block.two) > 1).count().max(1);
    let singles = values.iter().map(|count| (tell as f64).ln() + (*count as f64).max(1.0).ln());
    let pairs = blocks.iter().map(|block| {
        let cells = of(block.one).saturating_mul(of(block.two));
        (both as f64).ln() + (cells as f64).max(1.0).ln()
    });
    singles.chain(pairs).collect()
}

/// The tables of pairs that fit.
fn blocks(items: &[Value], attributes: usize) -> Vec<Block> {
    let mut firsts = vec![(0u32, 0usize); attributes];
    for (item, number) in items.iter().zip(0u32..) {
        if let Some((first, count)) = firsts.get_mut(item.attribute) {
            *first = if *count == 0 { number } else { *first };
            *count = count.saturating_add(1);
        }
    }
    let (mut blocks, mut start) = (Vec::new(), 0usize);
    for (one, (first, rows)) in firsts.iter().enumerate() {
        for (two, (second, columns)) in firsts.iter().enumerate().skip(one.saturating_add(1)) {
            let cells = rows.saturating_mul(*columns);
            if cells == 0 || start.saturating_add(cells) > MAX_CELLS {
                continue;
            }
            blocks.push(Block { one, two, firsts: (*first, *second), columns: *columns, start });
            start = start.saturating_add(cells);
        }
    }
    blocks
}
