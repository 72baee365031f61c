//! The few oldest of many, in bounded memory.
//!
//! A directory may hold a million names; whoever wants the oldest thousand of
//! them keeps a thousand and one.

use std::collections::BinaryHeap;

/// Keeps the least `most` of what it is given.
#[derive(Debug)]
pub(super) struct Oldest<T> {
    kept: BinaryHeap<T>,
    most: usize,
    /// More was given than is kept.
    pub(super) more: bool,
}

impl<T: Ord> Oldest<T> {
    pub(super) fn new(most: usize) -> Oldest<T> {
        Oldest { kept: BinaryHeap::new(), most, more: false }
    }

    pub(super) fn offer(&mut self, one: T) {
        if self.kept.len() < self.most {
            return self.kept.push(one);
        }
        self.more = true;
        if let Some(mut newest) = self.kept.peek_mut().filter(|newest| one < **newest) {
            *newest = one;
        }
    }

    /// Oldest first.
    pub(super) fn sorted(self) -> Vec<T> {
        self.kept.into_sorted_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_are_kept_whatever_the_order() {
        let mut oldest = Oldest::new(3);
        for n in [5, 9, 1, 7, 3, 8, 2] {
            oldest.offer(n);
        }
        assert!(oldest.more);
        assert_eq!(oldest.sorted(), [1, 2, 3]);
        let mut none = Oldest::new(0);
        none.offer(1);
        assert!(none.more && none.sorted().is_empty());
    }
}
