//! What changed in the window: bugs that are new, and bugs that are gone.
//!
//! A signature that n hosts show, each at its own time, is new when all of them first
//! did in the last days: by chance that happens with (days / window)ⁿ. It is gone when
//! none did: (1 − days / window)ⁿ. Both are Bonferroni's over signatures and over the
//! lengths that are tried.

use super::findings::{Bug, Change, Changed};

/// Days before the end that are tried.
const RECENT: [f64; 4] = [1.0, 3.0, 7.0, 14.0];
/// Chance of one false word a study, over all signatures.
const FALSE: f64 = 0.01;
/// At most so many are told.
const MOST: usize = 20;
const DAY_NS: f64 = 8.64e13;

/// The bugs that are new or gone, those with the most hosts first. `window` in days.
pub(super) fn changed(bugs: &[Bug], until: u64, window: f64) -> Vec<Changed> {
    let tries = (bugs.len() as f64).max(1.0) * 2.0 * RECENT.len() as f64;
    let one = |bug: &Bug| {
        let hosts = f64::from(bug.hosts);
        let ago = |at: u64| until.saturating_sub(at) as f64 / DAY_NS;
        RECENT.iter().filter(|days| **days <= window / 2.0).find_map(|days| {
            let share = days / window;
            let new = ago(bug.first) <= *days && share.powf(hosts) * tries < FALSE;
            let gone = ago(bug.last) >= *days && (1.0 - share).powf(hosts) * tries < FALSE;
            let what = if new { Change::New } else { Change::Gone };
            (new || gone).then(|| Changed {
                signature: bug.signature.clone(),
                unit: bug.unit.clone(),
                what,
                at: if new { bug.first } else { bug.last },
                hosts: bug.hosts,
            })
        })
    };
    let mut changed: Vec<Changed> = bugs.iter().filter_map(one).collect();
    changed.sort_by_key(|change| std::cmp::Reverse(change.hosts));
    changed.truncate(MOST);
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNTIL: u64 = 1_800_000_000_000_000_000;

    fn bug(hosts: u32, first: f64, last: f64) -> Bug {
        let at = |days: f64| UNTIL - (days * DAY_NS) as u64;
        Bug { hosts, first: at(first), last: at(last), ..Bug::default() }
    }

    fn told(bug: Bug) -> Option<Change> {
        let others = (0..50).map(|_| self::bug(30, 27.9, 0.1));
        let all: Vec<Bug> = others.chain([bug]).collect();
        changed(&all, UNTIL, 28.0).first().map(|change| change.what)
    }

    #[test]
    fn a_bug_is_new_when_so_many_hosts_would_have_shown_it_before() {
        assert_eq!(told(bug(8, 6.9, 0.1)), Some(Change::New));
        assert_eq!(told(bug(3, 6.9, 0.1)), None);
    }

    #[test]
    fn a_bug_is_gone_when_so_many_hosts_would_have_shown_it_since() {
        assert_eq!(told(bug(60, 27.0, 7.5)), Some(Change::Gone));
        assert_eq!(told(bug(10, 27.0, 7.5)), None);
    }
}
