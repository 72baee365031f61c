//! The copy of the numbers that outlives a power cut: a few lines of text.
//!
//! ```text
//! epicore storm 1
//! boot 00112233445566778899aabbccddeeff
//! now 812 0 0 3                suppressed unanalysed failed lost, of that boot
//! before 0 0 0 0               of boots before it that no census has told
//! crc32c 5f2c91a0              of the lines above
//! ```
//!
//! Where it lies is the spool's matter. What is torn or nobody's says nothing.

use std::fmt::Write;

use super::snapshot::Totals;

/// Crashes without a full record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Suppressed by the throttle.
    pub suppressed: u64,
    /// Kept as a minimal record only.
    pub unanalysed: u64,
    /// Ended by an error.
    pub failed: u64,
    /// Handlers that did not end.
    pub lost: u64,
}

impl From<Totals> for Sums {
    fn from(totals: Totals) -> Sums {
        let Totals { suppressed, unanalysed, failed, lost, .. } = totals;
        Sums { suppressed, unanalysed, failed, lost: lost.unwrap_or(0) }
    }
}

impl Sums {
    fn follows(self, old: Sums) -> bool {
        self.suppressed >= old.suppressed && self.unanalysed >= old.unanalysed && self.failed >= old.failed
    }

    fn and(self, other: Sums) -> Sums {
        Sums {
            suppressed: self.suppressed.saturating_add(other.suppressed),
            unanalysed: self.unanalysed.saturating_add(other.unanalysed),
            failed: self.failed.saturating_add(other.failed),
            lost: self.lost.saturating_add(other.lost),
        }
    }
}

/// What is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    boot: u128,
    now: Sums,
    /// Of boots before this one, as far as nobody has told them.
    pub before: Sums,
}

impl Kept {
    /// What follows on what was kept: the same boot's numbers in its place,
    /// another boot's beside it. `now` must be of later than `old`: numbers of
    /// one ledger only grow, so smaller ones are of a ledger that was made anew,
    /// and those of the old one are kept as another boot's.
    pub fn next(old: Option<Kept>, boot: &[u8; 16], now: Sums) -> Kept {
        let Some(old) = old else { return Kept { boot: number(boot), now, before: Sums::default() } };
        if old.is_of(boot) && now.follows(old.now) {
            // Handlers that come and go hide a lost one for a moment.
            return Kept { now: Sums { lost: now.lost.max(old.now.lost), ..now }, ..old };
        }
        Kept { boot: number(boot), now, before: old.before.and(old.now) }
    }

    /// Whether the numbers are this boot's.
    pub fn is_of(&self, boot: &[u8; 16]) -> bool {
        self.boot == number(boot)
    }

    /// The same, when the boots before are told.
    pub fn told(self) -> Kept {
        Kept { before: Sums::default(), ..self }
    }

    /// As text.
    pub fn text(&self) -> String {
        let mut text = format!("epicore storm 1\nboot {:032x}\n", self.boot);
        for (name, sums) in [("now", self.now), ("before", self.before)] {
            let Sums { suppressed, unanalysed, failed, lost } = sums;
            let _ = writeln!(text, "{name} {suppressed} {unanalysed} {failed} {lost}");
        }
        let sum = crc32c::crc32c(text.as_bytes());
        let _ = writeln!(text, "crc32c {sum:08x}");
        text
    }

    /// From text.
    pub fn parse(text: &[u8]) -> Option<Kept> {
        let text = std::str::from_utf8(text).ok()?;
        let (lines, sum) = text.strip_suffix('\n')?.split_at_checked(text.rfind("crc32c ")?)?;
        let sum = u32::from_str_radix(sum.strip_prefix("crc32c ")?, 16).ok()?;
        if crc32c::crc32c(lines.as_bytes()) != sum {
            return None;
        }
        let mut lines = lines.lines();
        let mut value = |name: &str| lines.next()?.strip_prefix(name);
        value("epicore storm 1")?;
        let boot = u128::from_str_radix(value("boot ")?, 16).ok()?;
        Some(Kept { boot, now: sums(value("now ")?)?, before: sums(value("before ")?)? })
    }
}

fn number(boot: &[u8; 16]) -> u128 {
    u128::from_be_bytes(*boot)
}

fn sums(text: &str) -> Option<Sums> {
    let mut numbers = text.split(' ').map(|number| number.parse().ok());
    let mut next = || numbers.next()?;
    Some(Sums { suppressed: next()?, unanalysed: next()?, failed: next()?, lost: next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: [u8; 16] = [1; 16];
    const SECOND: [u8; 16] = [2; 16];

    fn of(suppressed: u64) -> Sums {
        Sums { suppressed, unanalysed: 1, failed: 2, lost: 3 }
    }

    #[test]
    fn what_a_boot_left_is_there_until_it_was_told() {
        let kept = Kept::next(None, &FIRST, of(5));
        let kept = Kept::next(Some(kept), &FIRST, of(9));
        assert_eq!((kept.now, kept.before), (of(9), Sums::default()));
        let kept = Kept::next(Some(kept), &SECOND, Sums::default());
        let kept = Kept::next(Some(kept), &SECOND, of(4));
        assert_eq!((kept.now, kept.before), (of(4), of(9)));
        // Nobody told it before the next boot.
        let third = Kept::next(Some(kept), &[3; 16], Sums::default());
        assert_eq!(third.before, Sums { suppressed: 13, unanalysed: 2, failed: 4, lost: 6 });
        assert_eq!(Kept::next(Some(third.told()), &[3; 16], of(1)).before, Sums::default());
    }

    #[test]
    fn a_ledger_that_is_made_anew_takes_nothing_back() {
        let kept = Kept::next(Some(Kept::next(None, &FIRST, of(9))), &FIRST, of(2));
        assert_eq!((kept.now, kept.before), (of(2), of(9)));
        // A lost handler that the living hide for a moment stays lost.
        let hidden = Kept::next(Some(kept), &FIRST, Sums { lost: 0, ..of(3) });
        assert_eq!((hidden.now, hidden.before), (of(3), of(9)));
    }

    #[test]
    fn a_torn_text_says_nothing() {
        let kept = Kept::next(Some(Kept::next(None, &FIRST, of(u64::MAX))), &SECOND, of(7));
        let text = kept.text();
        assert!(text.len() <= crate::limits::STORM_KEPT);
        assert_eq!(Kept::parse(text.as_bytes()), Some(kept));
        for length in 0..text.len() {
            assert_eq!(Kept::parse(&text.as_bytes()[..length]), None, "{length}");
        }
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] ^= 4;
            assert_ne!(Kept::parse(&changed), Some(kept), "{at}");
        }
    }
}
