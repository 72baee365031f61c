//! Restart chains: a service that crashes, is restarted and crashes again of the
//! same thing has had one misfortune, not fifty.
//!
//! Crashes of one (host, unit, signature) belong to one episode while no more
//! than [`Chain::pause`] lies between two of them, and no longer than
//! [`Chain::longest`]. Everything behind this counts episodes.

use std::collections::HashMap;

use super::population::{Crash, Population};

/// When a chain ends.
#[derive(Clone, Copy, Debug)]
pub struct Chain {
    /// Hours without a crash: ten times systemd's RestartSec, and an hour at
    /// least.
    pub pause: f64,
    /// Hours after which another one begins in any case.
    pub longest: f64,
}

impl Default for Chain {
    fn default() -> Chain {
        Chain { pause: 1.0, longest: 24.0 }
    }
}

/// One chain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Episode {
    /// Its first crash.
    pub first: Crash,
    /// How many there were.
    pub crashes: u32,
    /// When the last one was.
    pub last: f64,
}

/// The episodes, in the order of their first crashes.
pub fn episodes(population: &Population, chain: Chain) -> Vec<Episode> {
    episodes_of(&population.crashes, chain)
}

/// Of crashes that are in the order of time.
pub fn episodes_of(crashes: &[Crash], chain: Chain) -> Vec<Episode> {
    let mut open: HashMap<(u32, u32, u32), usize> = HashMap::new();
    let mut episodes: Vec<Episode> = Vec::new();
    for crash in crashes {
        let key = (crash.host, crash.unit, crash.signature);
        let running = open.get(&key).and_then(|index| episodes.get_mut(*index)).filter(|episode| {
            crash.at - episode.last <= chain.pause && crash.at - episode.first.at <= chain.longest
        });
        if let Some(episode) = running {
            episode.crashes = episode.crashes.saturating_add(1);
            episode.last = episode.last.max(crash.at);
            continue;
        }
        open.insert(key, episodes.len());
        episodes.push(Episode { first: *crash, crashes: 1, last: crash.at });
    }
    episodes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crash(at: f64, signature: u32) -> Crash {
        Crash { at, signature, ..Crash::default() }
    }

    fn count(crashes: Vec<Crash>) -> Vec<u32> {
        let population = Population { crashes, ..Population::default() };
        episodes(&population, Chain::default()).iter().map(|episode| episode.crashes).collect()
    }

    #[test]
    fn a_crash_loop_is_one_episode_and_another_signature_is_another() {
        let looping = (0..50u32).map(|n| crash(f64::from(n) * 0.01, 1));
        assert_eq!(count(looping.chain([crash(0.6, 2), crash(0.61, 1)]).collect()), [51, 1]);
    }

    #[test]
    fn a_chain_ends_with_a_pause_and_after_a_day() {
        assert_eq!(count(vec![crash(0.0, 1), crash(0.9, 1), crash(2.0, 1)]), [2, 1]);
        let steady: Vec<Crash> = (0..60u32).map(|n| crash(f64::from(n) * 0.5, 1)).collect();
        assert_eq!(count(steady), [49, 11]);
    }
}
