//! An outage in the journal: a line at its start, one an hour, one at its end.
//!
//! What it gives: [`Outages`], which is told of each trouble and each success
//! and says which sentence is due. What it trusts: its caller's clock. A cause
//! that is new within an outage is told at once, each only once.

use std::time::{Duration, Instant};

use crate::forward::{Cause, Trouble};

/// How often a lasting outage is told.
const AGAIN: Duration = Duration::from_secs(3600);

#[derive(Clone, Debug)]
struct Current {
    trouble: Trouble,
    began: Instant,
    since: u64,
    told: Instant,
    causes: Vec<Cause>,
    attempts: u64,
}

/// The outage that lasts, when one does.
#[derive(Clone, Debug, Default)]
pub(super) struct Outages {
    current: Option<Current>,
}

/// A sentence for the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Something is wrong.
    Bad(String),
    /// It is over.
    Good(String),
}

impl Outages {
    /// A batch failed. `at` is the wall clock, nanoseconds.
    pub(super) fn trouble(&mut self, trouble: &Trouble, now: Instant, at: u64) -> Option<Line> {
        let Some(current) = &mut self.current else {
            let (trouble, causes) = (trouble.clone(), vec![trouble.cause]);
            let line = format!("{}. {}", trouble.what, trouble.next);
            self.current = Some(Current { trouble, began: now, since: at, told: now, causes, attempts: 1 });
            return Some(Line::Bad(line));
        };
        current.attempts = current.attempts.saturating_add(1);
        current.trouble = trouble.clone();
        let new = !current.causes.contains(&trouble.cause);
        if new {
            current.causes.push(trouble.cause);
        }
        if !new && now.saturating_duration_since(current.told) < AGAIN {
            return None;
        }
        current.told = now;
        let (lasts, attempts) = (words(now.saturating_duration_since(current.began)), current.attempts);
        Some(Line::Bad(format!("for {lasts}, after {attempts} attempts: {}. {}", trouble.what, trouble.next)))
    }

    /// A batch was taken.
    pub(super) fn over(&mut self, now: Instant) -> Option<Line> {
        let current = self.current.take()?;
        let (lasted, attempts) = (words(now.saturating_duration_since(current.began)), current.attempts);
        Some(Line::Good(format!(
            "the collector takes records again, after {lasted} and {attempts} attempts in vain"
        )))
    }

    /// What is wrong, and since when.
    pub(super) fn current(&self) -> Option<(&Trouble, u64)> {
        self.current.as_ref().map(|current| (&current.trouble, current.since))
    }
}

/// A duration as people say it.
fn words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_of_hours_is_a_few_lines() {
        let (mut outages, began) = (Outages::default(), Instant::now());
        let dns = Trouble::new(Cause::Dns, "no name", "Check DNS.");
        let slow = Trouble::new(Cause::TimedOut, "no answer", "Wait.");
        let mut lines = Vec::new();
        for minute in 0..200u64 {
            let now = began + Duration::from_secs(minute * 60);
            let trouble = if minute % 2 == 0 { &dns } else { &slow };
            lines.extend(outages.trouble(trouble, now, 7));
        }
        assert_eq!(lines.len(), 5, "{lines:?}");
        assert_eq!(lines[0], Line::Bad("no name. Check DNS.".into()));
        assert_eq!(outages.current().map(|(_, since)| since), Some(7));
        let end = outages.over(began + Duration::from_secs(200 * 60));
        assert_eq!(
            end,
            Some(Line::Good("the collector takes records again, after 3 h and 200 attempts in vain".into()))
        );
        assert_eq!(outages.over(began), None);
    }
}
