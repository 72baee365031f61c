//! Sets of logical CPUs, from the two ways the kernel writes them.
//!
//! `0-3,8` (cpu/online, thread_siblings_list: "%*pbl") and `ff,ffffffff`
//! (Cpus_allowed: "%*pb", words of 32 bits, highest first). CPUs from
//! limits::CPUS on are dropped.

use super::value;
use crate::limits;

/// A set of logical CPUs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuSet(Vec<bool>);

impl CpuSet {
    /// From a list; `None` when it is not one.
    pub fn from_list(text: &[u8]) -> Option<CpuSet> {
        let mut set = CpuSet::default();
        let text = text.trim_ascii();
        if text.is_empty() {
            return Some(set);
        }
        for range in text.split(|byte| *byte == b',') {
            let mut ends = range.splitn(2, |byte| *byte == b'-');
            let first = value::number(ends.next()?)?;
            let last = ends.next().map_or(Some(first), value::number)?;
            let most = u32::try_from(limits::CPUS).ok()?;
            (first..last.saturating_add(1).min(most)).for_each(|cpu| set.insert(cpu));
        }
        Some(set)
    }

    /// From a mask; `None` when it is not one.
    pub fn from_mask(text: &[u8]) -> Option<CpuSet> {
        let text = text.trim_ascii();
        if text.is_empty() {
            return None;
        }
        let mut set = CpuSet::default();
        let mut first = 0u32;
        for word in text.rsplit(|byte| *byte == b',') {
            if word.is_empty() || word.len() > 8 {
                return None;
            }
            let mut cpu = first;
            for digit in word.iter().rev() {
                let digit = char::from(*digit).to_digit(16)?;
                for bit in [1, 2, 4, 8] {
                    if digit & bit != 0 {
                        set.insert(cpu);
                    }
                    cpu = cpu.saturating_add(1);
                }
            }
            first = first.saturating_add(32);
        }
        Some(set)
    }

    /// Adds one.
    pub fn insert(&mut self, cpu: u32) {
        let Ok(index) = usize::try_from(cpu) else { return };
        if index >= limits::CPUS {
            return;
        }
        if self.0.len() <= index {
            self.0.resize(index.saturating_add(1), false);
        }
        if let Some(slot) = self.0.get_mut(index) {
            *slot = true;
        }
    }

    /// True when it is in.
    pub fn contains(&self, cpu: u32) -> bool {
        usize::try_from(cpu).ok().and_then(|index| self.0.get(index)) == Some(&true)
    }

    /// Its members, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        (0u32..).zip(&self.0).filter_map(|(cpu, member)| member.then_some(cpu))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// True for the empty set.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Option<Vec<u32>> {
        CpuSet::from_list(text.as_bytes()).map(|set| set.iter().collect())
    }

    fn mask(text: &str) -> Option<Vec<u32>> {
        CpuSet::from_mask(text.as_bytes()).map(|set| set.iter().collect())
    }

    #[test]
    fn both_ways_of_writing_a_set_are_read() {
        assert_eq!(list("0-2,8\n"), Some(vec![0, 1, 2, 8]));
        assert_eq!(list("\n"), Some(vec![]));
        assert_eq!(mask("5"), Some(vec![0, 2]));
        assert_eq!(mask("1,00000003\n"), Some(vec![0, 1, 32]));
    }

    #[test]
    fn what_is_no_set_is_none_and_no_set_is_large() {
        for bad in ["x", "1-", "-1", "1,,2", "1-2-3", "4294967296"] {
            assert_eq!(list(bad), None, "{bad}");
        }
        for bad in ["", "g", "123456789", "1,,2"] {
            assert_eq!(mask(bad), None, "{bad}");
        }
        assert_eq!(list("0-4294967295").map(|set| set.len()), Some(limits::CPUS));
        assert_eq!(list("5-1"), Some(vec![]));
    }
}
