//! The bytes that were kept, and the only way to read them.
//!
//! What it gives: [`Image::read`], all of a range or nothing. It does not
//! matter to a reader whether they came live or from the stream. Pieces that
//! touch are joined; of two that overlap the earlier one wins.

use crate::address::{Addr, AddrRange};
use crate::bytes::Bytes;

/// Kept memory of the crashed process.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// Sorted, disjoint, never touching.
    pieces: Vec<(Addr, Vec<u8>)>,
}

impl Image {
    /// From pieces in any order.
    pub fn new(mut pieces: Vec<(Addr, Vec<u8>)>) -> Image {
        pieces.sort_by_key(|(start, _)| *start);
        let mut joined: Vec<(Addr, Vec<u8>)> = Vec::with_capacity(pieces.len());
        for (start, bytes) in pieces {
            if let Some((last, kept)) = joined.last_mut()
                && let Some(end) = last.add(kept.len() as u64)
                && start <= end
            {
                let overlap = usize::try_from(end.offset_from(start).unwrap_or(0)).unwrap_or(usize::MAX);
                kept.extend_from_slice(bytes.get(overlap..).unwrap_or(&[]));
            } else if !bytes.is_empty() {
                joined.push((start, bytes));
            }
        }
        Image { pieces: joined }
    }

    /// With what another one has.
    pub fn and(mut self, other: Image) -> Image {
        self.pieces.extend(other.pieces);
        Image::new(self.pieces)
    }

    fn piece(&self, address: Addr) -> Option<(Addr, &Vec<u8>)> {
        let behind = self.pieces.partition_point(|(start, _)| *start <= address);
        self.pieces.get(behind.checked_sub(1)?).map(|(start, bytes)| (*start, bytes))
    }

    /// `length` bytes at `address`, or `None` when any of them is missing.
    pub fn read(&self, address: Addr, length: usize) -> Option<Bytes<'_>> {
        let (start, bytes) = self.piece(address)?;
        Bytes::new(bytes).range(usize::try_from(address.offset_from(start)?).ok()?, length)
    }

    /// What is kept from `address` on without a hole, `None` when nothing is.
    pub fn from(&self, address: Addr) -> Option<Bytes<'_>> {
        let (start, bytes) = self.piece(address)?;
        let tail = Bytes::new(bytes).tail(usize::try_from(address.offset_from(start)?).ok()?)?;
        (!tail.is_empty()).then_some(tail)
    }

    /// Eight bytes at `address`.
    pub fn u64(&self, address: Addr) -> Option<u64> {
        self.read(address, 8)?.u64(0)
    }

    /// The ranges that are kept, ascending.
    pub fn ranges(&self) -> impl Iterator<Item = AddrRange> {
        self.pieces.iter().filter_map(|(start, bytes)| start.range(bytes.len() as u64))
    }

    /// How many bytes are kept.
    pub fn len(&self) -> u64 {
        self.pieces.iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }

    /// True when nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_across_a_hole_is_none_and_touching_pieces_are_one() {
        let image = Image::new(vec![(Addr(8), vec![2; 8]), (Addr(0), vec![1; 8]), (Addr(32), vec![3; 8])]);
        assert_eq!(image.read(Addr(4), 8).map(|b| b.as_slice().to_vec()), Some(vec![1, 1, 1, 1, 2, 2, 2, 2]));
        assert!(image.read(Addr(12), 8).is_none());
        assert!(image.u64(Addr(32)).is_some());
        assert!(image.u64(Addr(33)).is_none());
    }

    #[test]
    fn of_two_pieces_that_overlap_the_lower_one_wins() {
        let image = Image::new(vec![(Addr(0), vec![1; 8]), (Addr(4), vec![2; 8])]);
        assert_eq!(
            image.read(Addr(0), 12).map(|b| b.as_slice().to_vec()),
            Some(vec![1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2])
        );
        let image = Image::new(vec![(Addr(0), vec![1; 8]), (Addr(2), vec![2; 2])]);
        assert_eq!(image.len(), 8);
    }
}
