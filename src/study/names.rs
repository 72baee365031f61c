//! Names become small numbers, in the order in which they are met.

use std::collections::HashMap;

use crate::epidemiology::population::UNKNOWN;

/// Distinct names of one kind, at most: what comes behind them is unknown.
const MOST: usize = 1 << 24;

/// The name of a number.
pub(super) fn named(list: &[String], number: u32) -> Option<&str> {
    list.get(usize::try_from(number).ok()?).map(String::as_str)
}

/// One kind of names.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    numbers: HashMap<String, u32>,
    list: Vec<String>,
}

impl Names {
    pub(super) fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let Some(number) = u32::try_from(self.list.len()).ok().filter(|_| self.list.len() < MOST) else {
            return UNKNOWN;
        };
        self.numbers.insert(name.to_owned(), number);
        self.list.push(name.to_owned());
        number
    }

    /// Of a name that was met.
    pub(super) fn known(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    pub(super) fn list(&self) -> &[String] {
        &self.list
    }
}
