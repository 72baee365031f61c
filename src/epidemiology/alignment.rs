//! How alike two stacks are: FaST's alignment (Rodrigues, Aloise and Fernandes, FaST:
//! A linear time stack trace alignment heuristic for crash report deduplication, MSR
//! 2022), with the inverse document frequency of TraceSim (Vasiliev et al., MaLTeSQuE
//! 2020) and ReBucket's exponential decay (Dang et al., ICSE 2012).
//!
//! ```text
//! weight of frame f at place i   exp(-0.15 i) × ln(1 + N/df) / ln(1 + N)
//! alike                          weights of aligned frames / weights of all frames,
//!                                those that inlining may have taken by half
//! ```
//!
//! N innermost functions (below a library's) of all signatures, df of which f is on a
//! stack with: not of signatures, or the many forms of one bug would make its functions
//! common. FaST subtracts what is not aligned: the same on a scale from −1 to +1. Equal
//! frames are aligned where inlining can have put them: at most [`SHIFT`] places apart.
//!
//! What is the same below is not what crashed. So two stacks are alike only when the
//! innermost function of one (below what a library does for it: processors have their
//! own memcpy) is on the other near the top, because inlining takes frames away or adds
//! them and does not put one function in another's place; when that function is no
//! dispatcher that everything runs through; and when [`LEAST`] functions are the same:
//! stacks of one frame, of a recursion or cut off by corruption say too little.

use super::population::Frame;

/// Frames of a stack that are looked at; a record has as many.
pub(super) const FRAMES: usize = 8;
/// Of the weight with each place.
const DECAY: f64 = 0.15;
/// Places between two equal frames: two levels of inlining.
const SHIFT: usize = 2;
/// Functions that have to be the same: the crash and who called it and for whom. Two
/// would join what every caller of one library function does.
const LEAST: usize = 3;
/// What two functions of one file count of which one is known in one build only: they
/// may be the same or not, and nothing says more.
const EITHER: f64 = 0.5;
/// What functions count that stand above the innermost one of the other stack: inlining
/// may have taken them away there, or not.
const ABOVE: f64 = 0.5;
/// A function with more neighbours on stacks than this, and than √N, is a dispatcher
/// (many callees) or everybody's helper (many callers). Not counted are signatures: a
/// bug of a thousand forms has as many.
const NEIGHBOURS: f64 = 8.0;

/// What is known of frames over all signatures.
pub(super) struct Scale {
    /// Inverse document frequency of each frame, 0 to 1.
    rarity: Vec<f64>,
    dispatcher: Vec<bool>,
    decay: [f64; FRAMES],
}

/// Two stacks beside each other.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Alignment {
    /// 0 to 1.
    pub(super) alike: f64,
    /// The innermost function of one is known in one build only, and may be the other's.
    pub(super) guessed: bool,
    /// Places of the first stack that have their like in the other.
    pub(super) places: [bool; FRAMES],
}

impl Scale {
    /// `frames` are what the numbers mean.
    pub(super) fn of<'a>(frames: &[Frame], stacks: impl Iterator<Item = &'a [u32]>) -> Scale {
        let mut neighbours: Vec<(u32, u32)> = Vec::new();
        let mut tops: Vec<(u32, u64)> = Vec::new();
        for stack in stacks {
            let pairs = stack.iter().zip(stack.iter().skip(1));
            neighbours.extend(pairs.flat_map(|(above, below)| [(*above, *below), (*below, *above)]));
            let first = head(frames, stack);
            let top = stack.get(first).or(stack.first()).map_or(0, |top| named(frames, *top));
            tops.extend(stack.iter().map(|frame| (*frame, top)));
        }
        let mut all: Vec<u64> = tops.iter().map(|(_, top)| *top).collect();
        all.sort_unstable();
        all.dedup();
        let all = all.len().max(1) as f64;
        let most = NEIGHBOURS.max(all.sqrt());
        let rarity = |df: usize| (all / df.max(1) as f64).ln_1p() / all.ln_1p();
        let mut decay = [1.0; FRAMES];
        for (place, weight) in (0u32..).zip(&mut decay) {
            *weight = (-DECAY * f64::from(place)).exp();
        }
        let rarity = distinct(tops, frames.len()).into_iter().map(rarity).collect();
        let dispatcher = distinct(neighbours, frames.len()).into_iter().map(|count| count as f64 > most);
        Scale { rarity, dispatcher: dispatcher.collect(), decay }
    }

    fn weight(&self, place: usize, frame: u32) -> f64 {
        let rarity = usize::try_from(frame).ok().and_then(|frame| self.rarity.get(frame));
        rarity.zip(self.decay.get(place)).map_or(0.0, |(rarity, decay)| rarity * decay)
    }

    fn names(&self, frame: u32) -> bool {
        usize::try_from(frame).ok().and_then(|frame| self.dispatcher.get(frame)) == Some(&false)
    }

    /// `frames` are what the numbers mean.
    pub(super) fn align(&self, frames: &[Frame], one: &[u32], two: &[u32]) -> Alignment {
        let mut alignment = Alignment::default();
        let mut taken = [false; FRAMES];
        let (mut aligned, mut same, mut anchored) = (0.0, 0usize, false);
        let (first, second) = (head(frames, one), head(frames, two));
        // Where the innermost function of the other is.
        let (mut own_above, mut their_above) = (0usize, 0usize);
        for exact in [true, false] {
            for (i, a) in one.iter().enumerate().take(FRAMES) {
                if alignment.places.get(i) != Some(&false) {
                    continue;
                }
                let near = i.saturating_sub(SHIFT)..=i.saturating_add(SHIFT);
                let like = |b: u32| if exact { *a == b } else { either(frames, *a, b) };
                let found = two
                    .iter()
                    .enumerate()
                    .take(FRAMES)
                    .find(|(j, b)| near.contains(j) && taken.get(*j) == Some(&false) && like(**b));
                let Some((j, b)) = found else { continue };
                for (places, place) in [(&mut alignment.places, i), (&mut taken, j)] {
                    if let Some(place) = places.get_mut(place) {
                        *place = true;
                    }
                }
                let both = self.weight(i, *a) + self.weight(j, *b);
                aligned += if exact { both } else { both * EITHER };
                // Twice the same function says as much as once.
                let again = one.iter().take(i).any(|before| before == a);
                same = same.saturating_add(usize::from(exact && !again));
                let top = i == first || j == second;
                if i == first {
                    their_above = j;
                }
                if j == second {
                    own_above = i;
                }
                anchored |= top && (!exact || self.names(*a));
                alignment.guessed |= top && !exact;
            }
        }
        let sum = |stack: &[u32], aligned: &[bool; FRAMES], above: usize| {
            let one = |(place, frame): (usize, &u32)| {
                let lacking = place < above && aligned.get(place) == Some(&false);
                self.weight(place, *frame) * if lacking { ABOVE } else { 1.0 }
            };
            stack.iter().enumerate().map(one).sum::<f64>()
        };
        let all = sum(one, &alignment.places, own_above) + sum(two, &taken, their_above);
        if anchored && same >= LEAST && all > 0.0 {
            alignment.alike = aligned / all;
        }
        alignment
    }
}

/// What a frame is called over builds: where nothing names it, by its file alone.
pub(super) fn named(frames: &[Frame], number: u32) -> u64 {
    let frame = usize::try_from(number).ok().and_then(|number| frames.get(number));
    match frame.and_then(|frame| frame.build.map(|_| frame.file)) {
        Some(file) => 1 << 32 | u64::from(file),
        None => u64::from(number),
    }
}

/// How many distinct things each frame goes with.
fn distinct<T: Ord>(mut pairs: Vec<(u32, T)>, frames: usize) -> Vec<usize> {
    pairs.sort_unstable();
    pairs.dedup();
    let mut counts = vec![0; frames];
    for own in pairs.chunk_by(|a, b| a.0 == b.0) {
        let frame = own.first().and_then(|own| usize::try_from(own.0).ok());
        if let Some(count) = frame.and_then(|frame| counts.get_mut(frame)) {
            *count = own.len();
        }
    }
    counts
}

/// Where the program's own functions begin.
fn head(frames: &[Frame], stack: &[u32]) -> usize {
    let library = |number: &&u32| {
        let frame = usize::try_from(**number).ok().and_then(|number| frames.get(number));
        frame.is_some_and(|frame| frame.library)
    };
    stack.iter().take_while(library).count()
}

/// Functions of one file that may be the same: one of them is known in one build only,
/// the other in another or by its name.
fn either(frames: &[Frame], one: u32, two: u32) -> bool {
    let frame = |number: u32| usize::try_from(number).ok().and_then(|number| frames.get(number));
    frame(one).zip(frame(two)).is_some_and(|(one, two)| one.file == two.file && one.build != two.build)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 signatures of other bugs under the event loop 90, 91, 92.
    fn scale(own: &[&[u32]]) -> Scale {
        let others: Vec<Vec<u32>> = (0..100).map(|n| vec![200 + n, 400 + n, 90, 91, 92]).collect();
        Scale::of(&frames(), own.iter().copied().chain(others.iter().map(Vec::as_slice)))
    }

    fn frames() -> Vec<Frame> {
        let mut frames = vec![Frame::default(); 600];
        frames[50].build = Some(1);
        frames[51].build = Some(2);
        frames[52].build = Some(1);
        frames
    }

    fn alike(one: &[u32], two: &[u32]) -> f64 {
        let scale = scale(&[one, two]);
        let (there, back) = (scale.align(&frames(), one, two), scale.align(&frames(), two, one));
        assert!((there.alike - back.alike).abs() < 1e-12, "{there:?} {back:?}");
        there.alike
    }

    #[test]
    fn a_frame_more_or_less_is_the_same_bug() {
        assert!(alike(&[1, 2, 3, 4, 90, 91, 92], &[2, 3, 4, 90, 91, 92]) > 0.75, "inlined");
        assert!(alike(&[1, 2, 3, 4, 90, 91, 92], &[1, 7, 2, 3, 4, 90, 91]) > 0.75, "one more");
        assert!((alike(&[1, 2, 3, 4], &[1, 2, 3, 4]) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn what_is_the_same_below_does_not_join_what_differs_above() {
        // Two bugs under one caller, however long what they have in common is.
        assert_eq!(alike(&[1, 3, 4, 5, 6, 7, 8, 9], &[2, 3, 4, 5, 6, 7, 8, 9]), 0.0);
        assert!(alike(&[1, 2, 90, 91, 92], &[3, 4, 90, 91, 92]) == 0.0);
        // The event loop itself, and what it calls.
        assert!(alike(&[90, 91, 92], &[1, 90, 91, 92]) < 0.5);
        assert_eq!(alike(&[90, 91, 92], &[91, 92, 93]), 0.0);
    }

    #[test]
    fn short_and_recursive_stacks_attract_nothing() {
        assert_eq!(alike(&[1], &[1]), 0.0);
        assert_eq!(alike(&[1, 2], &[1, 2]), 0.0);
        assert_eq!(alike(&[1, 1, 1, 1, 1, 1, 1, 1], &[1, 1, 1, 1, 1, 1, 1, 2]), 0.0);
        assert_eq!(alike(&[], &[]), 0.0);
    }

    #[test]
    fn a_function_known_in_one_build_may_be_the_one_of_another() {
        let scale = scale(&[]);
        let with = |one: &[u32], two: &[u32]| scale.align(&frames(), one, two);
        let two_builds = with(&[50, 2, 3, 4, 90, 91, 92], &[51, 2, 3, 4, 90, 91, 92]);
        assert!(two_builds.guessed && two_builds.alike > 0.75, "{two_builds:?}");
        let one_build = with(&[50, 2, 3, 4, 90, 91, 92], &[52, 2, 3, 4, 90, 91, 92]);
        assert!(one_build.alike == 0.0, "{one_build:?}");
    }

    #[test]
    fn what_a_library_does_above_is_not_what_crashed() {
        let mut frames = frames();
        frames[20].library = true;
        frames[21].library = true;
        let scale = scale(&[]);
        let with = |one: &[u32], two: &[u32]| scale.align(&frames, one, two).alike;
        assert!(with(&[20, 1, 2, 3, 90], &[1, 2, 3, 90]) > 0.75, "inlined memcpy");
        assert!(with(&[20, 1, 2, 3, 4, 5, 90], &[21, 1, 2, 3, 4, 5, 90]) > 0.7, "another processor's");
        assert_eq!(with(&[20, 1, 3, 4, 5, 90], &[20, 2, 3, 4, 5, 90]), 0.0, "of two functions");
    }

    #[test]
    fn numbers_that_mean_nothing_are_no_panic() {
        let scale = scale(&[]);
        let long: Vec<u32> = (0..100).map(|n| n * 1_000_000).collect();
        assert!(scale.align(&[], &long, &long).alike.is_finite());
        assert_eq!(Scale::of(&[], std::iter::empty()).align(&[], &[1, 2, 3], &[1, 2, 3]).alike, 0.0);
    }
}
