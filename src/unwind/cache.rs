//! What was looked up once: rows by instruction, call sites by return
//! address. Two thousand threads that wait in the same place cost one look-up.
//!
//! Limits: [`limits::ROWS_CACHED`] each, then the cache starts anew; rows are read
//! from [`limits::ROW_BYTES`] in all.

use std::collections::HashMap;
use std::rc::Rc;

use super::cfi::{Context, Row};
use super::ground::Site;
use crate::address::Addr;
use crate::limits;
use crate::module::Modules;

/// Remembers look-ups between walks of one process.
pub struct Cache {
    rows: HashMap<(usize, u64), Option<Rc<Row>>>,
    pub(super) sites: HashMap<Addr, Site>,
    /// What is left of [`limits::EFFORT_TOTAL`].
    total: usize,
    /// What is left of it for the walk at hand.
    effort: usize,
    /// What is left of [`limits::ROW_BYTES`].
    bytes: usize,
    context: Box<Context>,
}

impl Default for Cache {
    fn default() -> Cache {
        Cache {
            rows: HashMap::new(),
            sites: HashMap::new(),
            total: limits::EFFORT_TOTAL,
            effort: 0,
            bytes: limits::ROW_BYTES,
            context: Box::new(Context::new_in()),
        }
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("rows", &self.rows.len()).field("sites", &self.sites.len()).finish()
    }
}

impl Cache {
    /// An empty one.
    pub fn new() -> Cache {
        Cache::default()
    }

    /// A new walk begins.
    pub(super) fn begin(&mut self) {
        self.effort = limits::EFFORT_WALK.min(self.total);
    }

    /// Spends effort; false when nothing is left.
    pub(super) fn spend(&mut self, units: usize) -> bool {
        self.total = self.total.saturating_sub(units);
        self.effort = self.effort.saturating_sub(units);
        self.effort > 0
    }

    /// No further row is read: what a walk needs and is not remembered, it does
    /// not get.
    pub(super) fn rows_are_spent(&self) -> bool {
        self.bytes == 0
    }

    /// The row for an address of a module.
    pub(super) fn row(&mut self, modules: &Modules, index: usize, lookup: Addr) -> Option<Rc<Row>> {
        let linked = modules.get(index)?.linked(lookup);
        if let Some(row) = self.rows.get(&(index, linked)) {
            return row.clone();
        }
        if self.rows_are_spent() {
            return None;
        }
        let entry = modules.unwind_entry(index, linked);
        let cost = entry.as_ref().map_or(0, |entry| entry.bytes.len());
        self.bytes = self.bytes.saturating_sub(cost);
        if self.rows_are_spent() {
            return None;
        }
        if self.rows.len() >= limits::ROWS_CACHED {
            self.rows.clear();
        }
        let row =
            entry.and_then(|e| Row::read(&e, modules.machine(), linked, &mut self.context)).map(Rc::new);
        self.rows.insert((index, linked), row.clone());
        row
    }
}
