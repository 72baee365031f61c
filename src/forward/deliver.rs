//! One batch is posted until each of its items has a fate.
//!
//! What it gives: [`deliver`], which halves a batch that was called malformed
//! or too large until the one item is found that is to blame: the others are
//! stored, that one is refused. When it was not the collector that called it
//! too large (a proxy with a limit), that one is kept and the others go on.
//! What it trusts: nothing of an answer ([`read_answer`](super::read_answer),
//! [`course`](super::course)). It does no input or output; `post` does. Limits:
//! a batch of n items is at most 2n − 1 requests; when nothing fits, [`IN_VAIN`]
//! single items are tried.

use std::ops::Range;
use std::time::Duration;

use super::batch::Packed;
use super::transport::Reply;
use super::trouble::Trouble;
use super::verdict::{Course, course, read_answer};
use crate::wire::Said;

/// Single items that somebody before the collector may call too large before
/// nothing was stored; then all are, and the others are not tried.
const IN_VAIN: usize = 8;

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
    let mut too_large = 0usize;
    while let Some(range) = left.pop() {
        let Some(part) = items.get(range.clone()).filter(|part| !part.is_empty()) else { continue };
        let reply = match post(part) {
            Ok(reply) => reply,
            Err(trouble) => return Delivery { trouble: Some(trouble), ..delivery },
        };
        let goes_on = match course(&reply) {
            Course::Read => delivery.read(range.start, &reply, part),
            Course::Halve if part.len() == 1 => {
                delivery.settle(range.start, Fate::Refused(reply.said()));
                true
            }
            Course::Split if part.len() == 1 => {
                too_large = too_large.saturating_add(1);
                delivery.wait(&reply, Trouble::status(&reply));
                too_large < IN_VAIN || delivery.stored_some()
            }
            Course::Halve | Course::Split => {
                left.extend(halves(range));
                true
            }
            Course::Slowly | Course::Wait => {
                delivery.wait(&reply, Trouble::status(&reply));
                false
            }
        };
        if !goes_on {
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

    fn stored_some(&self) -> bool {
        self.fates.iter().any(|fate| matches!(fate, Fate::Stored | Fate::Duplicate))
    }

    /// Reads an answer; whether all of `part` has its fate.
    fn read(&mut self, start: usize, reply: &Reply, part: &[Packed]) -> bool {
        let Some(verdicts) = read_answer(&reply.body, part) else {
            self.wait(reply, Trouble::garbage(&reply.body));
            return false;
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
        later == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::Cause;
    use crate::record::Id;
    use crate::wire::api::Problem;
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

    /// The same in the collector's words.
    fn said(code: u16) -> Reply {
        let problem = Problem { error: "not so".into(), next: None };
        Reply { body: rmp_serde::to_vec_named(&problem).unwrap(), ..status(code) }
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
                Ok(if blamed { said(if malformed { 400 } else { 413 }) } else { stored(part) })
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
                    _ if part.iter().any(|item| item.id[0] == 5) => said(400),
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
    fn a_400_that_is_not_the_collectors_refuses_nothing_and_is_one_request() {
        let mut posts = 0;
        let delivery = deliver(&items(200), &mut |_| {
            posts += 1;
            Ok(Reply { body: b"<html>400 The SSL certificate error</html>".to_vec(), ..status(400) })
        });
        assert_eq!((posts, delivery.trouble.map(|trouble| trouble.cause)), (1, Some(Cause::NotACollector)));
        assert!(delivery.fates.iter().all(|fate| *fate == Fate::Later));
    }

    /// A proxy has a limit for bodies, which some records are above: those are
    /// kept, however often it says so, and do not stand before the others.
    #[test]
    fn what_a_proxy_finds_too_large_is_kept_and_the_rest_is_stored() {
        let large = [0, 1, 17, 39];
        let delivery = deliver(&items(40), &mut |part| {
            let blamed = part.len() > 7 || part.iter().any(|item| large.contains(&item.id[0]));
            Ok(if blamed { status(413) } else { stored(part) })
        });
        for (n, fate) in (0..40).zip(&delivery.fates) {
            assert_eq!(*fate, if large.contains(&n) { Fate::Later } else { Fate::Stored }, "{n}");
        }
        let trouble = delivery.trouble.unwrap();
        assert_eq!(trouble.cause, Cause::TooLarge);
        assert!(trouble.needs_a_person() && trouble.next.contains("client_max_body_size"), "{trouble:?}");
        let whole =
            deliver(&items(40), &mut |part| Ok(if part.len() > 7 { status(413) } else { stored(part) }));
        assert_eq!((whole.trouble, whole.fates), (None, vec![Fate::Stored; 40]));
    }

    #[test]
    fn a_proxy_that_lets_nothing_pass_is_not_asked_for_each_item() {
        let mut posts = 0;
        let delivery = deliver(&items(200), &mut |_| {
            posts += 1;
            Ok(status(413))
        });
        assert!(posts < 30, "{posts}");
        assert!(delivery.fates.iter().all(|fate| *fate == Fate::Later) && delivery.trouble.is_some());
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
