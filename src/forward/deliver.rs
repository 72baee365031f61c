//! One batch is posted until each of its items has a fate.
//!
//! What it gives: [`deliver`], which halves a batch that was called malformed
//! or too large until the one item is found that is to blame: the others are
//! stored, that one is refused. What it trusts: nothing of an answer
//! ([`read_answer`](super::read_answer)). It does no input or output; `post`
//! does. Limits: a batch of n items is at most 2n − 1 requests.

use std::ops::Range;
use std::time::Duration;

use super::batch::Packed;
use super::transport::Reply;
use super::trouble::Trouble;
use super::verdict::{Course, course, read_answer};
use crate::wire::Said;

/// What became of one item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// It is on the collector's disk.
    Stored,
    /// It was there already.
    Duplicate,
    /// The collector will never take it; why, in its words.
    Refused(String),
    /// It is to be sent again.
    #[default]
    Later,
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// The fate of each item, in their order.
    pub fates: Vec<Fate>,
    /// Why some of them are to be sent again.
    pub trouble: Option<Trouble>,
    /// How long the collector asks us to wait.
    pub retry_after: Option<Duration>,
}

/// Posts `items` as one batch, or as many as it takes.
pub fn deliver(items: &[Packed], post: &mut dyn FnMut(&[Packed]) -> Result<Reply, Trouble>) -> Delivery {
    let mut delivery = Delivery { fates: vec![Fate::Later; items.len()], ..Delivery::default() };
    let mut left: Vec<Range<usize>> = Vec::from([Range { start: 0, end: items.len() }]);
    while let Some(range) = left.pop() {
        let Some(part) = items.get(range.clone()).filter(|part| !part.is_empty()) else { continue };
        let reply = match post(part) {
            Ok(reply) => reply,
            Err(trouble) => return Delivery { trouble: Some(trouble), ..delivery },
        };
        match course(reply.status) {
            Course::Read => delivery.read(range.start, &reply, part),
            Course::Halve if part.len() == 1 => delivery.settle(range.start, Fate::Refused(reply.said())),
            Course::Halve => left.extend(halves(range)),
            Course::Slowly | Course::Wait => delivery.wait(&reply, Trouble::status(&reply)),
        }
        if delivery.trouble.is_some() {
            break;
        }
    }
    delivery
}

/// The second half first: the first is taken from the end of the list.
fn halves(range: Range<usize>) -> [Range<usize>; 2] {
    let middle = range.start.midpoint(range.end);
    [middle..range.end, range.start..middle]
}

impl Delivery {
    fn settle(&mut self, at: usize, fate: Fate) {
        if let Some(slot) = self.fates.get_mut(at) {
            *slot = fate;
        }
    }

    fn wait(&mut self, reply: &Reply, trouble: Trouble) {
        self.trouble = Some(trouble);
        self.retry_after = reply.retry_after;
    }

    fn read(&mut self, start: usize, reply: &Reply, part: &[Packed]) {
        let Some(verdicts) = read_answer(&reply.body, part) else {
            return self.wait(reply, Trouble::garbage(&reply.body));
        };
        let (mut later, mut reason) = (0usize, String::new());
        for (at, verdict) in (start..).zip(verdicts) {
            match verdict.said {
                Said::Stored => self.settle(at, Fate::Stored),
                Said::Duplicate => self.settle(at, Fate::Duplicate),
                Said::Refused => self.settle(at, Fate::Refused(verdict.why)),
                Said::Later => {
                    later = later.saturating_add(1);
                    reason = verdict.why;
                }
            }
        }
        if later > 0 {
            self.wait(reply, Trouble::later(later, &reason));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Id;
    use crate::wire::{Answer, Outcome};
    use proptest::prelude::*;

    fn items(count: u8) -> Vec<Packed> {
        (0..count).map(|n| Packed { id: [n; 16], ..Packed::default() }).collect()
    }

    fn stored(part: &[Packed]) -> Reply {
        let outcome = |item: &Packed| Outcome { id: Id(item.id.to_vec()), said: Said::Stored, why: None };
        let answer = Answer { v: 1, outcomes: part.iter().map(outcome).collect() };
        Reply { status: 200, body: rmp_serde::to_vec_named(&answer).unwrap(), ..Reply::default() }
    }

    fn status(status: u16) -> Reply {
        Reply { status, ..Reply::default() }
    }

    proptest! {
        #[test]
        fn bisecting_refuses_exactly_the_bad_ones(
            count in 1u8..80,
            bad in proptest::collection::btree_set(0u8..80, 0..6),
            malformed: bool,
        ) {
            let mut posts = 0;
            let delivery = deliver(&items(count), &mut |part| {
                posts += 1;
                let blamed = part.iter().any(|item| bad.contains(&item.id[0]));
                Ok(if blamed { status(if malformed { 400 } else { 413 }) } else { stored(part) })
            });
            for (n, fate) in (0..count).zip(&delivery.fates) {
                prop_assert_eq!(matches!(fate, Fate::Refused(_)), bad.contains(&n));
                prop_assert_eq!(*fate == Fate::Stored, !bad.contains(&n));
            }
            prop_assert!(posts < 2 * usize::from(count));
            prop_assert_eq!(delivery.trouble, None);
        }

        #[test]
        fn trouble_in_between_loses_nothing_and_refuses_nobody_else(stop in 1usize..12) {
            let mut posts = 0;
            let delivery = deliver(&items(16), &mut |part| {
                posts += 1;
                Ok(match posts {
                    n if n == stop => status(503),
                    _ if part.iter().any(|item| item.id[0] == 5) => status(400),
                    _ => stored(part),
                })
            });
            for (n, fate) in delivery.fates.iter().enumerate() {
                prop_assert!(!matches!(fate, Fate::Refused(_)) || n == 5);
            }
            prop_assert_eq!(delivery.trouble.is_some(), delivery.fates.contains(&Fate::Later));
        }
    }

    #[test]
    fn garbage_with_status_200_confirms_nothing() {
        for body in [&b"<html>welcome</html>"[..], b"", b"\xc0", &[0x81; 64]] {
            let delivery = deliver(&items(3), &mut |_| Ok(Reply { body: body.to_vec(), ..status(200) }));
            assert_eq!(delivery.fates, [Fate::Later, Fate::Later, Fate::Later]);
            assert!(delivery.trouble.is_some());
        }
    }

    #[test]
    fn a_later_item_waits_and_the_others_are_done() {
        let delivery = deliver(&items(2), &mut |part| {
            Ok(Reply { retry_after: Some(Duration::from_secs(3)), ..stored(&part[..1]) })
        });
        assert_eq!(delivery.fates, [Fate::Stored, Fate::Later]);
        assert_eq!(delivery.retry_after, Some(Duration::from_secs(3)));
        assert!(delivery.trouble.is_some());
    }
}
