//! What people found out, as truth among what is estimated (semi-supervised
//! learning; Chapelle, Schölkopf and Zien 2006).
//!
//! A verdict is about crashes of a host, or of one signature on it, up to its time.
//! Confirmed, they are hardware's: they count into P(outcome | hardware) and not
//! into software's, and the host is one of those that compute wrongly. Refuted, they
//! are software's whatever they look like, and nothing is held against the host but
//! what came later. Of a host as a whole only what hardly any other host shows is
//! meant: a bad host runs into the fleet's bugs as well. Where two verdicts are
//! about one crash the newer one counts.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::episode::Episode;
use super::evidence::Shown;
use super::exposure::Background;

/// What was measured by injection, in crashes of one's own: some thousand flips of
/// known kinds, but by our hands and in few programs. With so many confirmed crashes
/// a fleet's own defects say half.
pub const WORTH: f64 = 200.0;

/// What somebody said.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Index of the host.
    pub host: u32,
    /// Index of the signature; none: whatever hardly any other host shows.
    pub signature: Option<u32>,
    /// It was hardware; else it was not.
    pub confirmed: bool,
    /// When, hours since the beginning of the window.
    pub at: f64,
}

/// What is known before anything is estimated.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Evidence of crashes that were hardware's, one of each host and signature.
    pub hardware: Vec<Shown>,
    /// The same of crashes that were software's.
    pub software: Vec<Shown>,
    /// Hosts that compute wrongly.
    pub confirmed: BTreeSet<u32>,
    /// Crashes that each verdict, in their order, decides.
    pub crashes: Vec<u32>,
}

impl Known {
    /// What follows from `verdicts`, each later than those before it. What was
    /// refuted leaves the background.
    pub fn of(verdicts: &[Verdict], episodes: &[Episode], background: &mut Background) -> Known {
        let mut known = Known { crashes: vec![0; verdicts.len()], ..Known::default() };
        if verdicts.is_empty() {
            return known;
        }
        // The newest of each subject.
        let places = || verdicts.iter().enumerate();
        let newest: BTreeMap<(u32, Option<u32>), usize> =
            places().map(|(place, verdict)| ((verdict.host, verdict.signature), place)).collect();
        let hosts: BTreeSet<u32> = verdicts.iter().map(|verdict| verdict.host).collect();
        let rare: HashSet<(u32, u32)> = hosts
            .iter()
            .flat_map(|host| background.rare.get(host).into_iter().flatten())
            .map(|episode| (episode.first.host, episode.first.signature))
            .collect();
        let decides = |episode: &Episode| -> Option<(usize, &Verdict)> {
            let crash = &episode.first;
            let whole = Some((crash.host, None)).filter(|_| rare.contains(&(crash.host, crash.signature)));
            let subjects = [whole, Some((crash.host, Some(crash.signature)))];
            let said = subjects.into_iter().flatten().filter_map(|subject| newest.get(&subject));
            let said = said.filter_map(|place| Some((*place, verdicts.get(*place)?)));
            said.filter(|(_, verdict)| crash.at <= verdict.at).max_by_key(|(place, _)| *place)
        };
        let mut seen: HashSet<(u32, u32, bool)> = HashSet::new();
        for episode in episodes.iter().filter(|episode| hosts.contains(&episode.first.host)) {
            let Some((place, verdict)) = decides(episode) else { continue };
            if let Some(count) = known.crashes.get_mut(place) {
                *count = count.saturating_add(episode.crashes);
            }
            let crash = &episode.first;
            let is_first = seen.insert((crash.host, crash.signature, verdict.confirmed));
            if verdict.confirmed {
                known.confirmed.insert(crash.host);
            }
            let side = if verdict.confirmed { &mut known.hardware } else { &mut known.software };
            side.extend(Some(crash.shown).filter(|_| is_first));
        }
        for host in &hosts {
            let Some(own) = background.rare.get_mut(host) else { continue };
            own.retain(|episode| decides(episode).is_none_or(|(_, verdict)| verdict.confirmed));
            if own.is_empty() {
                background.rare.remove(host);
            }
        }
        background.fit(&known.confirmed.iter().map(|host| (*host, 0.0)).collect());
        known
    }

    /// The probability, before anything is estimated, that a host is like others.
    pub fn usual(&self, host: u32) -> f64 {
        if self.confirmed.contains(&host) { 0.0 } else { 1.0 }
    }

    /// Hosts that compute wrongly and have no rare crash that could say so.
    pub fn silent(&self, background: &Background) -> f64 {
        self.confirmed.iter().filter(|host| !background.rare.contains_key(host)).count() as f64
    }
}

/// How many times more often than was measured hardware shows an outcome: the mean of
/// Dirichlet's distribution, whose prior is the measured share, worth [`WORTH`] crashes,
/// after `count` of `looked` confirmed crashes, over that share.
pub fn update(share: f64, count: f64, looked: f64) -> f64 {
    let measured = share.max(f64::MIN_POSITIVE);
    (WORTH * measured + count) / (WORTH + looked) / measured
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epidemiology::population::Crash;

    fn episode(host: u32, signature: u32, at: f64) -> Episode {
        let first = Crash { host, signature, at, ..Crash::default() };
        Episode { first, crashes: 2, last: at }
    }

    fn background(episodes: &[Episode]) -> Background {
        let mut background = Background { expected: vec![0.1; 8], ..Background::default() };
        for episode in episodes.iter().filter(|episode| episode.first.signature >= 10) {
            background.rare.entry(episode.first.host).or_default().push(*episode);
        }
        background
    }

    fn said(host: u32, signature: Option<u32>, confirmed: bool, at: f64) -> Verdict {
        Verdict { host, signature, confirmed, at }
    }

    fn of(verdicts: &[Verdict], episodes: &[Episode]) -> (Known, Background) {
        let mut background = background(episodes);
        let known = Known::of(verdicts, episodes, &mut background);
        (known, background)
    }

    #[test]
    fn a_host_that_was_confirmed_is_bad_and_the_fleets_bugs_on_it_stay_bugs() {
        let episodes = [episode(1, 10, 1.0), episode(1, 3, 2.0), episode(1, 11, 9.0), episode(2, 12, 1.0)];
        let (known, background) = of(&[said(1, None, true, 5.0)], &episodes);
        assert_eq!((known.hardware.len(), known.software.len()), (1, 0));
        assert_eq!(known.crashes, [2]);
        assert_eq!((known.usual(1), known.usual(2)), (0.0, 1.0));
        assert_eq!(background.rare[&1].len(), 2, "it is still looked at");
        // Of one signature a bug's may be meant.
        let (known, _) = of(&[said(1, Some(3), true, 5.0)], &episodes);
        assert_eq!((known.hardware.len(), known.silent(&background)), (1, 0.0));
    }

    #[test]
    fn what_was_refuted_is_softwares_and_what_came_later_counts_again() {
        let episodes = [episode(1, 10, 1.0), episode(1, 11, 2.0), episode(1, 10, 9.0)];
        let (known, background) = of(&[said(1, None, false, 5.0)], &episodes);
        assert_eq!((known.hardware.len(), known.software.len()), (0, 2));
        assert!(known.confirmed.is_empty());
        let left: Vec<f64> = background.rare[&1].iter().map(|episode| episode.first.at).collect();
        assert_eq!(left, [9.0]);
        let (_, background) = of(&[said(1, None, false, 50.0)], &episodes);
        assert!(!background.rare.contains_key(&1) && background.observed(1) == 0);
    }

    #[test]
    fn the_newest_verdict_on_a_crash_counts_and_the_others_decide_nothing() {
        let episodes = [episode(1, 10, 1.0), episode(1, 11, 2.0)];
        let verdicts = [said(1, None, true, 5.0), said(1, None, false, 6.0), said(1, Some(11), true, 7.0)];
        let (known, background) = of(&verdicts, &episodes);
        assert_eq!(known.crashes, [0, 2, 2]);
        assert_eq!((known.hardware.len(), known.software.len()), (1, 1));
        assert_eq!(background.rare[&1].len(), 1);
        let before = [said(1, None, true, 0.5)];
        let (known, _) = of(&before, &episodes);
        assert!(known.confirmed.is_empty(), "it is about crashes that are over");
    }

    #[test]
    fn confirmed_crashes_move_what_was_measured_and_two_hundred_move_it_half_way() {
        let shares = [0.74, 0.2, 0.06];
        let after = |counts: [f64; 3]| -> [f64; 3] {
            let looked = counts.iter().sum();
            std::array::from_fn(|n| shares[n] * update(shares[n], counts[n], looked))
        };
        let near = |a: [f64; 3], b: [f64; 3]| {
            assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12), "{a:?} {b:?}");
        };
        near(after([0.0; 3]), shares);
        near(after([74.0, 20.0, 6.0]), shares);
        near(after([0.0, 200.0, 0.0]), [0.37, 0.6, 0.03]);
        for counts in [[1e300, 0.0, 0.0], [0.0, 1e-300, 5.0]] {
            let sum: f64 = after(counts).iter().sum();
            assert!((sum - 1.0).abs() < 1e-9, "{sum}");
        }
        assert!(update(0.0, 0.0, 0.0).is_finite());
    }
}
