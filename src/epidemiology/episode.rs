//! Restart chains: a service that crashes, is restarted and crashes again of the
//! same thing has had one misfortune, not fifty.
//!
//! Crashes of one (host, unit, signature) belong to one episode while no more
//! than [`Chain::pause`] lies between two of them, and no longer than
//! [`Chain::longest`]. Everything behind this counts episodes.

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
    // Sorting once is several times faster than a table of what is open: a fleet has
    // millions of crashes, and hardly two of them beside each other.
    let mut order: Vec<([u32; 3], u32)> =
        (0u32..).zip(crashes).map(|(at, crash)| ([crash.host, crash.signature, crash.unit], at)).collect();
    order.sort_unstable();
    let mut episodes: Vec<(u32, Episode)> = Vec::new();
    for same in order.chunk_by(|a, b| a.0 == b.0) {
        let mut open: Option<(u32, Episode)> = None;
        for (at, crash) in same.iter().filter_map(|(_, at)| Some((*at, crash_at(crashes, *at)?))) {
            let running = open.as_mut().filter(|(_, episode)| {
                crash.at - episode.last <= chain.pause && crash.at - episode.first.at <= chain.longest
            });
            if let Some((_, episode)) = running {
                episode.crashes = episode.crashes.saturating_add(1);
                episode.last = episode.last.max(crash.at);
                continue;
            }
            episodes.extend(open.replace((at, Episode { first: *crash, crashes: 1, last: crash.at })));
        }
        episodes.extend(open);
    }
    episodes.sort_unstable_by_key(|(at, _)| *at);
    episodes.into_iter().map(|(_, episode)| episode).collect()
}

fn crash_at(crashes: &[Crash], index: u32) -> Option<&Crash> {
    crashes.get(usize::try_from(index).ok()?)
}

/// The episodes of one signature.
#[derive(Clone, Debug, Default)]
pub struct Cluster<'a> {
    /// Its signature.
    pub signature: u32,
    /// By host, those of one host in the order of time.
    pub episodes: Vec<&'a Episode>,
    /// Hosts.
    pub hosts: usize,
}

/// Episodes by signature, in the order of the signatures' numbers.
pub fn clusters(episodes: &[Episode]) -> impl Iterator<Item = Cluster<'_>> {
    let mut order: Vec<(u32, u32, u32)> = (0u32..)
        .zip(episodes)
        .map(|(at, episode)| (episode.first.signature, episode.first.host, at))
        .collect();
    order.sort_unstable();
    let mut next = 0usize;
    std::iter::from_fn(move || {
        let (signature, ..) = *order.get(next)?;
        let own = order.get(next..).unwrap_or_default().iter().take_while(|one| one.0 == signature);
        let own: Vec<(u32, u32)> = own.map(|(_, host, at)| (*host, *at)).collect();
        next = next.saturating_add(own.len());
        let hosts = own.chunk_by(|a, b| a.0 == b.0).count();
        let at = |(_, at): &(u32, u32)| episodes.get(usize::try_from(*at).ok()?);
        Some(Cluster { signature, episodes: own.iter().filter_map(at).collect(), hosts })
    })
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

    #[test]
    fn a_cluster_has_its_episodes_by_host_and_counts_the_hosts() {
        let on = |host, signature, at| Crash { host, ..crash(at, signature) };
        let crashes = vec![on(7, 2, 0.0), on(1, 2, 1.0), on(1, 5, 2.0), on(7, 2, 5.0), on(7, 2, 5.1)];
        let population = Population { crashes, ..Population::default() };
        let episodes = episodes(&population, Chain::default());
        let mut seen = Vec::new();
        for one in clusters(&episodes) {
            let own: Vec<(u32, f64)> =
                one.episodes.iter().map(|own| (own.first.host, own.first.at)).collect();
            seen.push((one.signature, one.hosts, own));
        }
        assert_eq!(seen, [(2, 2, vec![(1, 1.0), (7, 0.0), (7, 5.0)]), (5, 1, vec![(1, 2.0)])]);
    }
}
