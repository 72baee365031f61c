//! How many of one kind are here at once: connections of an address, batches
//! of a host. Whoever is one too many is told so and waits elsewhere; nobody
//! else's place is taken.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Bits of an IPv6 address that one network is given: below them an address
/// costs nothing.
const NETWORK_BITS: u32 = 64;

/// Who is here, and how often. Holds no key that is not here.
#[derive(Debug)]
pub(super) struct Crowd<K: Eq + Hash>(Arc<Mutex<HashMap<K, u32>>>);

/// A place, which is free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place<K: Eq + Hash> {
    crowd: Arc<Mutex<HashMap<K, u32>>>,
    key: K,
}

impl<K: Clone + Eq + Hash> Crowd<K> {
    pub(super) fn new() -> Crowd<K> {
        Crowd(Arc::default())
    }

    /// A place for `key`, when there are fewer than `most`.
    pub(super) fn enter(&self, key: K, most: u32) -> Option<Place<K>> {
        let mut crowd = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let here = crowd.get(&key).copied().unwrap_or(0);
        if here >= most {
            return None;
        }
        crowd.insert(key.clone(), here.saturating_add(1));
        Some(Place { crowd: Arc::clone(&self.0), key })
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut crowd = self.crowd.lock().unwrap_or_else(PoisonError::into_inner);
        match crowd.get_mut(&self.key) {
            Some(here) if *here > 1 => *here = here.saturating_sub(1),
            _ => drop(crowd.remove(&self.key)),
        }
    }
}

/// What is counted as one address: an IPv4 address, a /64 of IPv6. None for
/// this host, where a proxy may speak for many.
pub(super) fn neighbourhood(address: IpAddr) -> Option<IpAddr> {
    let address = address.to_canonical();
    if address.is_loopback() {
        return None;
    }
    Some(match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) => {
            let mask = u128::MAX.checked_shl(NETWORK_BITS).unwrap_or(0);
            Ipv6Addr::from_bits(six.to_bits() & mask).into()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_too_many_is_told_and_a_place_is_free_again() {
        let crowd = Crowd::new();
        let (first, second) = (crowd.enter("a", 2), crowd.enter("a", 2));
        assert!(first.is_some() && second.is_some());
        assert!(crowd.enter("a", 2).is_none());
        assert!(crowd.enter("b", 2).is_some(), "another's places are its own");
        drop(first);
        assert!(crowd.enter("a", 2).is_some());
        drop(second);
        assert!(crowd.0.lock().unwrap().is_empty());
    }

    #[test]
    fn a_network_of_ipv6_is_one_address_and_this_host_is_nobody() {
        let of = |text: &str| neighbourhood(text.parse().unwrap()).map(|address| address.to_string());
        assert_eq!(of("2001:db8::1:2:3:4"), of("2001:db8::5"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.7").as_deref(), Some("192.0.2.7"));
        assert_eq!((of("127.0.0.2"), of("::1"), of("::ffff:127.0.0.1")), (None, None, None));
    }
}
