//! One bug, several location keys: inlining differs between builds, a function is
//! split, or nothing names a function over builds. Keys are joined whose stacks are
//! alike (alignment.rs), by average linkage (Sokal and Michener 1958; of crash stacks
//! Dang et al., ReBucket, ICSE 2012, with complete linkage).
//!
//! ```text
//! candidates   an inverted index of functions that stacks have in common
//! linked       mean likeness of all pairs of two groups ≥ 0.75, and one class of symptoms
//! ```
//!
//! A pair that was not compared, has no symptom in common or cannot be told from another
//! counts as nothing alike in every mean, so that what is joined is joined by all that it
//! was held against.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::alignment::{Alignment, FRAMES, Scale};
use super::candidates::{at, candidates, components};
use super::episode::Episode;
use super::population::Population;

/// Mean likeness at which two groups are one. Innermost functions of one that the other
/// lacks leave more than this where the callers are the bug's own, and less where only
/// what everybody runs through is the same.
const LINKED: f64 = 0.75;
/// Signatures that are linked at a time: the linkage is cubic in them.
const GROUP: usize = 128;
/// A symptom is usual for a signature when one crash in so many has it.
const USUAL: usize = 4;

/// Which signatures are one bug's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Merged {
    /// For each signature the one that stands for it: of its group the one with the most
    /// crashes. Empty when none was joined.
    of: Vec<u32>,
    /// Every signature that another one stands for, and why.
    pub merges: Vec<Merge>,
}

/// Why one signature was joined with others.
#[derive(Clone, Debug, PartialEq)]
pub struct Merge {
    /// The signature.
    pub signature: u32,
    /// The one that stands for it.
    pub into: u32,
    /// The one of the group that it is most alike.
    pub with: u32,
    /// How much: 0 to 1.
    pub alike: f64,
    /// Mean over all others of the group.
    pub mean: f64,
    /// Its frames that are on the stack of `with`, innermost first.
    pub frames: Vec<u32>,
}

impl Merged {
    /// What belongs together in this population.
    pub fn of(population: &Population) -> Merged {
        let stacks: Vec<Vec<u32>> = population.stacks.iter().map(|stack| once(stack)).collect();
        if stacks.iter().all(Vec::is_empty) {
            return Merged::default();
        }
        let told = stacks.iter().filter(|stack| !stack.is_empty()).map(Vec::as_slice);
        let scale = Scale::of(&population.frames, told);
        let pairs = candidates(population, &stacks);
        let symptoms = Symptoms::of(population, &pairs);
        let mut work = Work { population, stacks, scale, symptoms, unclear: HashSet::new() };
        let alike: Vec<(u32, u32, Alignment)> = pairs
            .into_iter()
            .map(|(one, two)| (one, two, work.align(one, two)))
            .filter(|(.., alignment)| alignment.alike >= LINKED)
            .collect();
        work.unclear = work.unclear(&alike);
        let mut merged = Merged::default();
        for members in components(alike.iter().map(|(one, two, _)| (*one, *two)), population.stacks.len()) {
            // Of a bug with more variants each part becomes one.
            for part in members.chunks(GROUP) {
                work.link(part, &mut merged);
            }
        }
        merged
    }

    /// The signature that stands for this one.
    pub fn name(&self, signature: u32) -> u32 {
        let place = usize::try_from(signature).ok();
        place.and_then(|place| self.of.get(place)).copied().unwrap_or(signature)
    }

    /// The same episodes, each of the signature that stands for its own.
    pub fn rename(&self, mut episodes: Vec<Episode>) -> Vec<Episode> {
        if !self.merges.is_empty() {
            for episode in &mut episodes {
                episode.first.signature = self.name(episode.first.signature);
            }
        }
        episodes
    }
}

/// The stack without what a recursion repeats.
fn once(stack: &[u32]) -> Vec<u32> {
    let mut once = stack.to_vec();
    once.dedup();
    once.truncate(FRAMES);
    once
}

/// Crashes of signatures, and the usual symptoms among them.
struct Symptoms(HashMap<u32, (usize, Vec<u32>)>);

impl Symptoms {
    fn of(population: &Population, pairs: &[(u32, u32)]) -> Symptoms {
        let mut wanted = vec![false; population.stacks.len()];
        for signature in pairs.iter().flat_map(|(one, two)| [one, two]) {
            if let Some(wanted) = usize::try_from(*signature).ok().and_then(|at| wanted.get_mut(at)) {
                *wanted = true;
            }
        }
        let crashes = population.crashes.iter().filter(|crash| at(&wanted, crash.signature) == Some(&true));
        let mut all: Vec<(u32, u32)> = crashes.map(|crash| (crash.signature, crash.symptom)).collect();
        all.sort_unstable();
        let usual = |own: &[(u32, u32)]| {
            let often = |same: &&[(u32, u32)]| same.len().saturating_mul(USUAL) >= own.len();
            let same = own.chunk_by(|a, b| a.1 == b.1).filter(often);
            (own.len(), same.filter_map(|same| Some(same.first()?.1)).collect())
        };
        let own = all.chunk_by(|a, b| a.0 == b.0);
        Symptoms(own.filter_map(|own| Some((own.first()?.0, usual(own)))).collect())
    }

    fn overlap(&self, one: u32, two: u32) -> bool {
        let (Some((_, one)), Some((_, two))) = (self.0.get(&one), self.0.get(&two)) else { return false };
        one.iter().any(|symptom| two.contains(symptom))
    }

    fn crashes(&self, signature: u32) -> usize {
        self.0.get(&signature).map_or(0, |(crashes, _)| *crashes)
    }
}

/// Everything that pairs are held against.
struct Work<'a> {
    population: &'a Population,
    stacks: Vec<Vec<u32>>,
    scale: Scale,
    symptoms: Symptoms,
    unclear: HashSet<(u32, u32)>,
}

impl Work<'_> {
    fn align(&self, one: u32, two: u32) -> Alignment {
        let pair = (one.min(two), one.max(two));
        if self.unclear.contains(&pair) || !self.symptoms.overlap(one, two) {
            return Alignment::default();
        }
        let (Some(first), Some(second)) = (at(&self.stacks, one), at(&self.stacks, two)) else {
            return Alignment::default();
        };
        self.scale.align(&self.population.frames, first, second)
    }

    fn build(&self, signature: u32) -> Option<(u32, u32)> {
        let top = at(&self.population.frames, *at(&self.stacks, signature)?.first()?)?;
        Some((top.file, top.build?))
    }

    /// Pairs whose innermost functions nothing names, where another signature of the same
    /// build would fit as well: which of the two it is nobody knows.
    fn unclear(&self, alike: &[(u32, u32, Alignment)]) -> HashSet<(u32, u32)> {
        let guessed = || alike.iter().filter(|(.., alignment)| alignment.guessed);
        let sides =
            |(one, two, _): &(u32, u32, Alignment)| [(*one, self.build(*two)), (*two, self.build(*one))];
        let mut fits: HashMap<(u32, Option<(u32, u32)>), u32> = HashMap::new();
        for side in guessed().flat_map(sides) {
            let fits = fits.entry(side).or_insert(0);
            *fits = fits.saturating_add(1);
        }
        guessed()
            .filter(|pair| sides(pair).iter().any(|side| fits.get(side).is_some_and(|fits| *fits > 1)))
            .map(|(one, two, _)| (*one, *two))
            .collect()
    }

    /// Average linkage of some signatures; what is joined goes to `merged`.
    fn link(&self, members: &[u32], merged: &mut Merged) {
        let mut alike: BTreeMap<(u32, u32), Alignment> = BTreeMap::new();
        let mut groups: Vec<Vec<u32>> = members.iter().map(|member| vec![*member]).collect();
        // Sums of likeness between two groups, the higher place first.
        let mut sums: Vec<Vec<f64>> = Vec::with_capacity(members.len());
        for (place, one) in members.iter().enumerate() {
            let mut row = Vec::with_capacity(place);
            for two in members.iter().take(place) {
                let alignment = self.align(*one, *two);
                row.push(alignment.alike);
                alike.insert((*one, *two), alignment);
            }
            sums.push(row);
        }
        while let Some((high, low)) = closest(&sums, &groups) {
            let moved = groups.get_mut(high).map(std::mem::take).unwrap_or_default();
            if let Some(group) = groups.get_mut(low) {
                group.extend(moved);
            }
            for other in (0..groups.len()).filter(|other| *other != high && *other != low) {
                let more = cell(&mut sums, high, other).map_or(0.0, std::mem::take);
                if let Some(sum) = cell(&mut sums, low, other) {
                    *sum += more;
                }
            }
        }
        for group in groups.iter().filter(|group| group.len() > 1) {
            self.tell(group, &alike, merged);
        }
    }

    fn tell(&self, group: &[u32], alike: &BTreeMap<(u32, u32), Alignment>, merged: &mut Merged) {
        let most = |one: &u32| (self.symptoms.crashes(*one), std::cmp::Reverse(*one));
        let Some(into) = group.iter().copied().max_by_key(most) else { return };
        if merged.of.is_empty() {
            merged.of = (0u32..).take(self.stacks.len()).collect();
        }
        let pair = |one: u32, two: u32| alike.get(&(one, two)).or_else(|| alike.get(&(two, one)));
        for one in group.iter().copied().filter(|one| *one != into) {
            let others = || group.iter().copied().filter(move |other| *other != one);
            let value = |other: u32| pair(one, other).map_or(0.0, |alignment| alignment.alike);
            let Some(with) = others().max_by(|a, b| value(*a).total_cmp(&value(*b)).then(b.cmp(a))) else {
                continue;
            };
            let sum: f64 = others().map(value).sum();
            let (Some(own), Some(theirs)) = (at(&self.stacks, one), at(&self.stacks, with)) else { continue };
            // Once more, for the places of this one's frames.
            let places = self.scale.align(&self.population.frames, own, theirs).places;
            merged.merges.push(Merge {
                signature: one,
                into,
                with,
                alike: value(with),
                mean: sum / group.len().saturating_sub(1).max(1) as f64,
                frames: own
                    .iter()
                    .zip(places)
                    .filter(|(_, aligned)| *aligned)
                    .map(|(frame, _)| *frame)
                    .collect(),
            });
            if let Some(of) = usize::try_from(one).ok().and_then(|place| merged.of.get_mut(place)) {
                *of = into;
            }
        }
    }
}

/// The sum between two groups, whichever is higher.
fn cell(sums: &mut [Vec<f64>], one: usize, two: usize) -> Option<&mut f64> {
    sums.get_mut(one.max(two))?.get_mut(one.min(two))
}

/// The two groups with the highest mean, the higher place first, where that is enough.
fn closest(sums: &[Vec<f64>], groups: &[Vec<u32>]) -> Option<(usize, usize)> {
    let mut best: Option<(f64, usize, usize)> = None;
    for (high, (row, one)) in sums.iter().zip(groups).enumerate() {
        for (low, (sum, two)) in row.iter().zip(groups).enumerate() {
            let pairs = one.len().saturating_mul(two.len()) as f64;
            let mean = if pairs > 0.0 { sum / pairs } else { 0.0 };
            if mean >= LINKED && best.is_none_or(|(most, ..)| mean > most) {
                best = Some((mean, high, low));
            }
        }
    }
    best.map(|(_, high, low)| (high, low))
}

#[cfg(test)]
mod tests {
    use super::super::population::{Crash, Frame};
    use super::*;

    /// One crash of each stack, with this symptom; under an event loop of 900 to 902, and
    /// beside a hundred other bugs of it.
    fn population(own: &[(&[u32], u32)]) -> Population {
        let below = |stack: &[u32]| [stack, &[900, 901, 902]].concat();
        let mut stacks: Vec<Vec<u32>> = own.iter().map(|(stack, _)| below(stack)).collect();
        let symptoms = own.iter().map(|(_, symptom)| *symptom);
        let mut crashes: Vec<Crash> = (0u32..)
            .zip(symptoms)
            .map(|(signature, symptom)| Crash { signature, symptom, ..Crash::default() })
            .collect();
        for n in 0..100 {
            let signature = u32::try_from(stacks.len()).unwrap();
            crashes.push(Crash { signature, symptom: 1, ..Crash::default() });
            stacks.push(below(&[300 + n, 500 + n % 50]));
        }
        let mut frames = vec![Frame::default(); 1000];
        for (number, build) in [(50, 1), (51, 2), (52, 1)] {
            frames[number].build = Some(build);
        }
        Population { stacks, crashes, frames, ..Population::default() }
    }

    fn names(own: &[(&[u32], u32)]) -> Vec<u32> {
        let merged = Merged::of(&population(own));
        assert!(merged.merges.iter().all(|merge| (merge.into as usize) < own.len()), "{merged:?}");
        (0u32..).take(own.len()).map(|signature| merged.name(signature)).collect()
    }

    #[test]
    fn forms_of_a_bug_are_one_and_the_evidence_says_why() {
        let own: [(&[u32], u32); 3] = [(&[1, 2, 3, 4], 7), (&[2, 3, 4], 7), (&[9, 1, 2, 3, 4], 7)];
        let mut population = population(&own);
        population.crashes.push(Crash { signature: 1, symptom: 7, ..Crash::default() });
        let merged = Merged::of(&population);
        assert_eq!((0..3).map(|one| merged.name(one)).collect::<Vec<_>>(), [1, 1, 1], "{merged:?}");
        let first = merged.merges.iter().find(|merge| merge.signature == 0).expect("a merge");
        assert!(first.alike >= LINKED && first.mean >= LINKED * 0.9, "{first:?}");
        assert_eq!((first.into, first.frames.len() >= 6), (1, true), "{first:?}");
        let chain = |signature: u32| Episode {
            first: Crash { signature, ..Crash::default() },
            crashes: 1,
            last: 0.0,
        };
        let renamed = merged.rename(vec![chain(0), chain(2), chain(5)]);
        assert_eq!(renamed.iter().map(|one| one.first.signature).collect::<Vec<_>>(), [1, 1, 5]);
    }

    #[test]
    fn other_symptoms_are_another_bug() {
        assert_eq!(names(&[(&[1, 2, 3, 4], 7), (&[2, 3, 4], 8)]), [0, 1]);
    }

    #[test]
    fn two_bugs_under_one_caller_stay_two_and_a_third_joins_neither_by_chain() {
        assert_eq!(names(&[(&[1, 3, 4, 5, 6], 7), (&[2, 3, 4, 5, 6], 7)]), [0, 1]);
        // The caller's own bug is like both, and both are like nothing: one of them at most.
        let three = names(&[(&[1, 3, 4, 5, 6], 7), (&[2, 3, 4, 5, 6], 7), (&[3, 4, 5, 6], 7)]);
        assert_ne!(three[0], three[1]);
    }

    #[test]
    fn a_function_without_a_name_is_joined_only_where_no_other_fits() {
        assert_eq!(names(&[(&[50, 2, 3, 4], 7), (&[51, 2, 3, 4], 7)]), [0, 0]);
        assert_eq!(names(&[(&[50, 2, 3, 4], 7), (&[51, 2, 3, 4], 7), (&[52, 2, 3, 4], 7)]), [0, 1, 2]);
        assert_eq!(names(&[(&[50, 2, 3, 4], 7), (&[51, 2, 3, 4], 7), (&[52, 2, 3, 4], 8)]), [0, 0, 2]);
    }

    #[test]
    fn short_stacks_and_none_attract_nothing() {
        let own: [(&[u32], u32); 4] = [(&[], 7), (&[], 7), (&[1], 7), (&[1], 7)];
        let mut population = population(&own);
        population.stacks[..4].clone_from_slice(&[vec![1], vec![1], vec![1, 2], vec![1, 1, 1, 2]]);
        assert_eq!(Merged::of(&population), Merged::default());
        assert_eq!(Merged::of(&Population::default()), Merged::default());
    }

    #[test]
    fn many_forms_are_linked_in_parts_and_nothing_is_lost() {
        let own: Vec<Vec<u32>> = (0..400).map(|n| vec![1, 2, 3, 4, 5, 6, 100 + n % 150]).collect();
        let told: Vec<(&[u32], u32)> = own.iter().map(|stack| (stack.as_slice(), 7)).collect();
        let merged = Merged::of(&population(&told));
        let left: HashSet<u32> = (0..400).map(|one| merged.name(one)).collect();
        assert!(left.len() <= 8, "{}", left.len());
    }

    #[test]
    fn numbers_that_mean_nothing_are_no_panic() {
        let stacks = vec![vec![u32::MAX, 5, 6, 7], vec![u32::MAX, 5, 6, 7], vec![9_999; 50]];
        let crash = |signature: u32| Crash { signature, ..Crash::default() };
        let crashes = vec![crash(0), crash(1), crash(u32::MAX)];
        let _ = Merged::of(&Population { stacks, crashes, ..Population::default() });
    }
}
