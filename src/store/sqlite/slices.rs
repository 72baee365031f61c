//! A batch in slices, so that no batch is everybody's: each is one job of the
//! writer, and other hosts' jobs come in between.
//!
//! A few bytes of an exposure report unfold to hundreds of thousands of rows
//! (workloads × hours). So everything is measured in row updates: a slice, a
//! request, and what the exposure of one host may change in an hour. What is
//! beyond waits: it is "later", not opened, and sent again. Only one slice is
//! in memory unpacked.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::vec::IntoIter;

use super::number::{clamp, hour};
use super::prepare::{Prepared, prepare};
use crate::store::{Incoming, Origin};
use crate::wire::ItemKind;

/// Row updates of one slice, and of one transaction; one item may be more.
pub(super) const SLICE: u64 = 50_000;
/// Row updates of one request.
const REQUEST: u64 = 4 * SLICE;
/// Row updates that a host's exposure may ask for in an hour: a census of
/// 16,384 workloads, the most there can be, asks for 98,000; of 300 for 1,800,
/// so that a week's backlog takes an hour.
const HOURLY: u64 = 250_000;
/// Hosts that are counted apart; further ones share an allowance.
const HOSTS: usize = 65_536;

/// What the exposure of each host asked for in this hour.
#[derive(Debug, Default)]
pub(super) struct Allowance(Mutex<Spent>);

#[derive(Debug, Default)]
struct Spent {
    hour: i64,
    hosts: HashMap<String, u64>,
}

impl Allowance {
    /// Adds `cost` to what a host asked for; the sum.
    fn spend(&self, origin: &Origin, cost: u64) -> u64 {
        let mut spent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = hour(clamp(origin.received));
        if spent.hour != now {
            *spent = Spent { hour: now, ..Spent::default() };
        }
        let full = spent.hosts.len() >= HOSTS && !spent.hosts.contains_key(&origin.host);
        let host = if full { String::new() } else { origin.host.clone() };
        let sum = spent.hosts.entry(host).or_insert(0);
        *sum = sum.saturating_add(cost);
        *sum
    }
}

/// The slices of one batch, each prepared when it is asked for.
pub(super) struct Slices<'a> {
    origin: &'a Origin,
    allowance: &'a Allowance,
    items: IntoIter<Incoming>,
    /// The item that did not fit into the slice before.
    waiting: Option<Prepared>,
    spent: u64,
}

impl<'a> Slices<'a> {
    pub(super) fn new(origin: &'a Origin, allowance: &'a Allowance, items: Vec<Incoming>) -> Slices<'a> {
        Slices { origin, allowance, items: items.into_iter(), waiting: None, spent: 0 }
    }

    fn prepare(&mut self, item: Incoming) -> Prepared {
        let exposure = item.kind == ItemKind::Exposure;
        if self.spent >= REQUEST {
            return Prepared::Later(item.id, "this batch changes too many rows at once".to_owned());
        }
        if exposure && self.allowance.spend(self.origin, 0) >= HOURLY {
            let why = format!("this host's exposure reports changed {HOURLY} rows in this hour");
            return Prepared::Later(item.id, why);
        }
        let prepared = prepare(self.origin, item);
        self.spent = self.spent.saturating_add(prepared.cost());
        if exposure {
            self.allowance.spend(self.origin, prepared.cost());
        }
        prepared
    }

    fn following(&mut self) -> Option<Prepared> {
        if let Some(waiting) = self.waiting.take() {
            return Some(waiting);
        }
        let item = self.items.next()?;
        Some(self.prepare(item))
    }
}

impl Iterator for Slices<'_> {
    type Item = Vec<Prepared>;

    fn next(&mut self) -> Option<Vec<Prepared>> {
        let (mut slice, mut cost) = (Vec::new(), 0u64);
        while let Some(item) = self.following() {
            cost = cost.saturating_add(item.cost());
            if cost > SLICE && !slice.is_empty() {
                self.waiting = Some(item);
                break;
            }
            slice.push(item);
        }
        (!slice.is_empty()).then_some(slice)
    }
}
