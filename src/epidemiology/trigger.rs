//! What triggers a bug: the values, or pairs of values, that its hosts have in common
//! and the others have not.
//!
//! Needs: one row per host that could crash, a case or not, with what it has and how
//! long the unit ran there. Gives: items ranked by score, with what speaks for and
//! against each. Is not for hardware: hosts are exchangeable here.
//!
//! ```text
//! score = c ln(c/E) + (n-c) ln((n-c)/(n-E)), 0 unless c > E   (Kulldorff 1997)
//!         - ln #attributes - ln #its values for one value,
//!         - ln #pairs of attributes - ln #pairs of their values for two
//!         (what it costs to say which; Rissanen 1978)
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
//! more than ln of 20 times the number of siblings; a pair has to beat its better value by ln 3. Then
//! each finding is tested within the others (deconfound.rs), the hosts of the best
//! are taken away, and what remains is looked at again (Liblit et al. 2005).

use super::mining::look;
use super::rate::Ratio;
use super::tally::Fleet;

/// Case hosts below which nothing is looked for.
pub const MIN_CASES: u32 = 5;
/// Times that the hosts of a cause are taken away.
const MAX_ROUNDS: u32 = 4;
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

    pub(super) fn values(self) -> impl Iterator<Item = Value> {
        let (one, two) = match self {
            Item::One(value) => (value, None),
            Item::Pair(one, two) => (one, Some(two)),
        };
        std::iter::once(one).chain(two)
    }

    /// The same with another value in the place of one; None where no two attributes
    /// remain.
    pub(super) fn with(self, old: Value, new: Value) -> Option<Item> {
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

impl Finding {
    /// Declared, and nothing else explains it.
    pub(crate) fn is_cause(&self) -> bool {
        self.declared && !self.is_explained()
    }

    pub(super) fn is_explained(&self) -> bool {
        matches!(self.status, Status::ExplainedAway { .. } | Status::Stratum)
    }
}

#[cfg(test)]
mod tests {
    use super::super::shuffle::SplitMix64;
    use super::*;

    /// Attributes with 4, 4 and 12 values, the third's ancestor the second (three
    /// values each), and a fourth with 5.
    fn attributes() -> Vec<Attribute> {
        let attribute = |name: &str, parent, values: u32| Attribute {
            name: name.to_owned(),
            parent,
            values: (0..values).map(|value| format!("{value}")).collect(),
        };
        vec![
            attribute("distro", None, 4),
            attribute("model", None, 4),
            attribute("microcode", Some(1), 12),
            attribute("build", None, 5),
        ]
    }

    /// Hosts without a case, each value as likely as the others.
    fn hosts(count: usize) -> Vec<Row> {
        let mut random = SplitMix64(7);
        let host = |_| {
            let mut value = |values: u32| {
                let at = random.unit() * f64::from(values);
                (0..values).rev().find(|value| f64::from(*value) <= at).unwrap_or(0)
            };
            let (distro, model, microcode, build) = (value(4), value(4), value(3), value(5));
            let values = vec![distro, model, 3 * model + microcode, build];
            Row { values, exposure: 10.0 + f64::from(value(90)), stratum: build % 2, case: false }
        };
        (0..count).map(host).collect()
    }

    /// Makes the first hosts cases for which `which` holds.
    fn strike(rows: &mut [Row], count: usize, which: impl Fn(&Row) -> bool) {
        rows.iter_mut().filter(|row| which(row)).take(count).for_each(|row| row.case = true);
    }

    fn ask(rows: &[Row]) -> Triggers {
        mine(Question { attributes: &attributes(), rows, seed: 1, permutations: 99 })
    }

    fn one(attribute: usize, value: u32) -> Item {
        Item::One(Value { attribute, value })
    }

    #[test]
    fn a_value_that_cases_have_and_few_hosts_is_declared() {
        let mut rows = hosts(3000);
        strike(&mut rows, 12, |row| row.values[0] == 2);
        strike(&mut rows, 3, |row| row.values[0] != 2);
        let triggers = ask(&rows);
        let first = &triggers.findings[0];
        assert_eq!((first.item, first.cases, first.of), (one(0, 2), 12, 15));
        assert!(first.declared && first.status == Status::Supported, "{first:?}");
        assert!(first.ratio.low > 2.0 && first.ratio.low < 12.0 && first.ratio.high > 12.0, "{first:?}");
        assert_eq!(first.item.name(&attributes()), "distro=2");
        assert_eq!((triggers.permutations, triggers.without_exposure, triggers.reason), (99, 0, None));
        assert!(triggers.further.is_empty() && triggers.exposure.is_some());
    }

    #[test]
    fn a_pair_is_named_where_no_value_alone_is_enough() {
        let mut rows = hosts(3000);
        strike(&mut rows, 20, |row| row.values[0] == 1 && row.values[3] == 4);
        let first = &ask(&rows).findings[0];
        let pair = Item::Pair(Value { attribute: 0, value: 1 }, Value { attribute: 3, value: 4 });
        assert_eq!(first.item, pair);
        assert!(first.declared && first.status == Status::Supported, "{first:?}");
        assert_eq!(first.item.name(&attributes()), "distro=1 & build=4");
    }

    #[test]
    fn what_goes_with_the_cause_is_explained_away() {
        let mut rows = hosts(4000);
        // Most hosts of distro 0 run build 0, and few others do.
        for (place, row) in rows.iter_mut().enumerate() {
            let with = (row.values[0] == 0) == (place % 10 < 8);
            row.values[3] = if with { 0 } else { row.values[3].max(1) };
            row.stratum = 0;
        }
        strike(&mut rows, 24, |row| row.values[0] == 0);
        let triggers = ask(&rows);
        assert_eq!(triggers.findings[0].item, one(0, 0));
        let build = triggers.findings.iter().find(|finding| finding.item == one(3, 0)).expect("a finding");
        assert_eq!(build.status, Status::ExplainedAway { by: one(0, 0) });
        assert!(build.adjusted.is_none_or(|(_, ratio)| ratio.ratio < 2.0), "{build:?}");
    }

    #[test]
    fn values_that_hosts_only_have_together_are_never_separated() {
        let mut rows = hosts(3000);
        for row in &mut rows {
            row.values[3] = row.values[0];
            row.stratum = 0;
        }
        strike(&mut rows, 20, |row| row.values[0] == 3);
        let triggers = ask(&rows);
        assert_eq!(triggers.findings[0].item, one(0, 3));
        assert_eq!(triggers.findings[0].status, Status::Inseparable { from: one(3, 3), more: None });
    }

    #[test]
    fn an_ancestor_is_preferred_unless_the_descendant_gains() {
        let mut rows = hosts(3000);
        strike(&mut rows, 20, |row| row.values[1] == 2);
        let triggers = ask(&rows);
        assert_eq!(triggers.findings[0].item, one(1, 2));
        let below = triggers.findings.iter().find(|one| matches!(one.item, Item::One(v) if v.attribute == 2));
        assert!(
            below.is_some_and(|below| below.status == Status::ExplainedAway { by: one(1, 2) }),
            "{below:?}"
        );
        let mut rows = hosts(3000);
        strike(&mut rows, 20, |row| row.values[2] == 7);
        let triggers = ask(&rows);
        assert_eq!(triggers.findings[0].item, one(2, 7));
        assert!(triggers.findings[0].declared);
    }

    #[test]
    fn what_the_region_makes_is_told_and_not_declared() {
        let mut rows = hosts(3000);
        for row in &mut rows {
            row.stratum = row.values[0];
        }
        strike(&mut rows, 20, |row| row.values[0] == 1);
        let triggers = ask(&rows);
        let region = triggers.findings.iter().find(|finding| finding.item == one(0, 1)).expect("a finding");
        assert!(region.status == Status::Stratum && !region.declared && region.score > 10.0, "{region:?}");
        assert!(triggers.findings.iter().all(|finding| !finding.declared));
    }

    #[test]
    fn a_second_cause_is_found_when_the_first_is_taken_away() {
        let mut rows = hosts(4000);
        strike(&mut rows, 30, |row| row.values[0] == 1 && row.values[2] != 5);
        strike(&mut rows, 12, |row| row.values[2] == 5 && row.values[0] != 1);
        let triggers = ask(&rows);
        let mut named = vec![triggers.findings[0].item];
        named.extend(triggers.further.iter().map(|finding| finding.item));
        assert!(named.contains(&one(0, 1)) && named.contains(&one(2, 5)), "{named:?}");
    }

    #[test]
    fn fewer_than_five_case_hosts_yield_a_reason() {
        let mut rows = hosts(1000);
        strike(&mut rows, 4, |row| row.values[0] == 2);
        let triggers = ask(&rows);
        assert!(triggers.findings.is_empty() && triggers.reason == Some(Reason::FewCases(4)));
        assert_eq!(ask(&[]).reason, Some(Reason::FewCases(0)));
    }

    #[test]
    fn without_exposure_hosts_are_counted_and_the_answer_says_so() {
        let mut rows = hosts(3000);
        strike(&mut rows, 20, |row| row.values[0] == 2);
        rows.iter_mut().for_each(|row| row.exposure = 0.0);
        let triggers = ask(&rows);
        assert_eq!((triggers.exposure, triggers.hosts), (None, 3000));
        assert_eq!(triggers.findings[0].item, one(0, 2));
        // One host with hours is no census.
        rows[0].exposure = 5.0;
        assert_eq!(ask(&rows).exposure, None);
    }

    #[test]
    fn an_unknown_value_counts_for_nothing() {
        let mut rows = hosts(3000);
        strike(&mut rows, 20, |row| row.values[0] == 2);
        for row in rows.iter_mut().step_by(3) {
            row.values[0] = u32::MAX;
        }
        let first = &ask(&rows).findings[0];
        assert!(first.item == one(0, 2) && first.of < 20 && first.cases == first.of, "{first:?}");
        assert!((first.expected / f64::from(first.of) - 0.25).abs() < 0.05, "{first:?}");
    }

    #[test]
    fn the_same_question_has_the_same_answer() {
        let mut rows = hosts(1000);
        strike(&mut rows, 20, |row| row.values[0] != 2);
        assert_eq!(ask(&rows), ask(&rows));
    }

    #[test]
    fn hostile_rows_end_in_an_answer_without_nan() {
        let sane = |triggers: &Triggers| {
            for one in triggers.findings.iter().chain(&triggers.further) {
                let numbers = [
                    one.expected,
                    one.llr,
                    one.score,
                    one.shrunk,
                    one.q,
                    one.family,
                    one.ratio.p,
                    one.ratio.ratio,
                    one.ratio.low,
                    one.ratio.high,
                ];
                assert!(numbers.iter().all(|number| !number.is_nan()), "{one:?}");
            }
        };
        let mut rows = hosts(500);
        for (place, row) in rows.iter_mut().enumerate() {
            row.exposure = [f64::NAN, -1.0, f64::INFINITY, 1e308, 1e-308, 0.0, 3.0][place % 7];
            row.stratum = u32::try_from(place % 90).expect("few");
            row.values.truncate(place % 6);
            row.values.extend([9_999, 7, u32::MAX]);
            row.case = place % 2 == 0;
        }
        sane(&ask(&rows));
        rows.iter_mut().for_each(|row| row.case = true);
        sane(&ask(&rows));
        rows.truncate(1);
        sane(&ask(&rows));
        // Every host its own name, twice, and parents in a circle.
        let names = |parent| Attribute {
            name: String::new(),
            parent: Some(parent),
            values: vec![String::new(); 5000],
        };
        let attributes = [names(1), names(0), names(9), names(2)];
        let name = |at: u32| Row { values: vec![at; 4], exposure: 1.0, stratum: at, case: at < 300 };
        let rows: Vec<Row> = (0..5000).map(name).collect();
        let triggers = mine(Question { attributes: &attributes, rows: &rows, seed: 0, permutations: 20 });
        sane(&triggers);
        assert!(triggers.findings.iter().all(|finding| !finding.declared));
        sane(&mine(Question { attributes: &[], rows: &rows, seed: 0, permutations: 20 }));
    }
}
