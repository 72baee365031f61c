//! Which pairs of stacks are worth a comparison, and what hangs together by them.
//!
//! Of 100,000 signatures nearly all pairs have nothing in common. An inverted index of
//! (innermost function, one of the next four) finds those that have, where up to two
//! frames above may be missing in the other: what is alike (alignment.rs) has its
//! innermost function there, and two more that are the same.

use std::collections::BTreeMap;

use super::alignment::named;
use super::population::Population;

/// Frames above the innermost that the other may lack.
const ABOVE: usize = 2;
/// Frames below it of which one has to be the same.
const BELOW: usize = 4;
/// Signatures of one entry of the index that are all compared with each other; of more
/// of them (an entry that says little) each with the next [`NEXT`] in the order of their
/// stacks.
const ENTRY: usize = 24;
/// See [`ENTRY`].
const NEXT: usize = 8;

/// By a number of the population.
pub(super) fn at<T>(list: &[T], index: u32) -> Option<&T> {
    list.get(usize::try_from(index).ok()?)
}

/// Pairs that may be alike, each once, the lower first.
pub(super) fn candidates(population: &Population, stacks: &[Vec<u32>]) -> Vec<(u32, u32)> {
    // (innermost, below), the signature, and whether frames above were passed over.
    let mut index: Vec<(u64, u64, bool, u32)> = Vec::new();
    for (signature, stack) in (0u32..).zip(stacks) {
        let names: Vec<u64> = stack.iter().map(|frame| named(&population.frames, *frame)).collect();
        // What a library does above, and what nothing names, another form may lack.
        let says =
            |frame: &&u32| at(&population.frames, **frame).is_some_and(|f| f.library || f.build.is_some());
        let head = stack.iter().take_while(says).count();
        let tops = names.iter().enumerate().take(head.saturating_add(ABOVE).saturating_add(1));
        for (above, top) in tops {
            let below = names.iter().skip(above).skip(1).take(BELOW);
            index.extend(below.map(|below| (*top, *below, above > head, signature)));
        }
    }
    index.sort_unstable();
    let mut pairs = Vec::new();
    for entry in index.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
        let split = entry.partition_point(|(_, _, above, _)| !above);
        let (Some(home), Some(_)) = (entry.get(..split).filter(|home| !home.is_empty()), entry.get(1)) else {
            continue;
        };
        let reach = if entry.len() <= ENTRY { entry.len() } else { NEXT };
        let mut order: Vec<&(u64, u64, bool, u32)> = entry.iter().collect();
        if entry.len() > ENTRY {
            order.sort_by(|a, b| at(stacks, a.3).cmp(&at(stacks, b.3)).then(a.3.cmp(&b.3)));
        } else if home.len() < entry.len() {
            // Those whose own innermost function it is are held against all, the others
            // not against each other.
            order.sort_by_key(|one| (one.2, one.3));
        }
        for (place, one) in order.iter().enumerate() {
            for two in order.iter().skip(place).skip(1).take(reach) {
                if (!one.2 || !two.2) && one.3 != two.3 {
                    pairs.push((one.3.min(two.3), one.3.max(two.3)));
                }
            }
        }
    }
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// Signatures that hang together, each component in ascending order.
pub(super) fn components(pairs: impl Iterator<Item = (u32, u32)>, count: usize) -> Vec<Vec<u32>> {
    let mut above: Vec<u32> = (0u32..).take(count).collect();
    let mut root = |mut one: u32, with: Option<u32>| {
        // Halving paths on the way; a root is above itself.
        while let Some(parent) = at(&above, one).copied().filter(|parent| *parent != one) {
            let next = at(&above, parent).copied().unwrap_or(parent);
            if let Some(slot) = usize::try_from(one).ok().and_then(|place| above.get_mut(place)) {
                *slot = next;
            }
            one = next;
        }
        if let Some((slot, with)) = usize::try_from(one).ok().and_then(|place| above.get_mut(place)).zip(with)
        {
            *slot = with;
        }
        one
    };
    let mut touched: Vec<u32> = Vec::new();
    for (one, two) in pairs {
        let top = root(two, None);
        if root(one, None) != top {
            root(one, Some(top));
        }
        touched.extend([one, two]);
    }
    touched.sort_unstable();
    touched.dedup();
    let mut components: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for one in touched {
        components.entry(root(one, None)).or_default().push(one);
    }
    components.into_values().collect()
}
