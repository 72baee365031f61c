//! A look at the whole spool, in parts: where it has come to.
//!
//! ```text
//! wanted ──► under way: the oldest names after the last one seen ──► ended
//!               └────────── when these are done: the next part ─┘
//! ```
//!
//! What it gives: [`Round`], a cursor over the pending names. A round sees each
//! name once, so what has to stay here (held, and more of it than is known by
//! name) is read once and does not stand before what may leave. A round that
//! has ended is the last until somebody wants another; one that is wanted
//! meanwhile begins after this one, so that no one's wish keeps it from its
//! end. What it trusts: that names which appear are told by somebody else.

use crate::spool::Item;

/// See the module. The first one is wanted from the beginning.
#[derive(Debug)]
pub(super) struct Round {
    after: Option<Item>,
    under_way: bool,
    wanted: bool,
}

impl Default for Round {
    fn default() -> Round {
        Round { after: None, under_way: false, wanted: true }
    }
}

impl Round {
    /// Names may have been missed.
    pub(super) fn want(&mut self) {
        self.wanted = true;
    }

    /// There are names to be looked for.
    pub(super) fn is_due(&self) -> bool {
        self.under_way || self.wanted
    }

    /// Begins the next part: only names after this one count.
    pub(super) fn next_part(&mut self) -> Option<Item> {
        if !self.under_way {
            *self = Round { after: None, under_way: true, wanted: false };
        }
        self.after
    }

    /// The part ended with this name; whether there are more.
    pub(super) fn came_to(&mut self, last: Option<Item>, more: bool) {
        self.under_way = more && last.is_some();
        self.after = last;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::super::event::{Came, Event};
    use super::super::forwarder::Forwarder;
    use super::super::queue::Queue;
    use super::*;
    use crate::config::Config;
    use crate::record::{Record, SCHEMA, encode};
    use crate::spool::{Reader, RecordId, Spool, initialise};
    use crate::wire;

    fn id(n: u8) -> RecordId {
        RecordId([1, 0x8f, 0, 0, 0, n, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, n])
    }

    #[test]
    fn a_round_that_is_wanted_again_comes_to_its_end_first() {
        let item = |n| Item {
            id: id(n),
            private: false,
            kind: Default::default(),
            state: Default::default(),
            full: false,
        };
        let mut round = Round::default();
        assert_eq!((round.is_due(), round.next_part()), (true, None));
        round.came_to(Some(item(4)), true);
        round.want();
        assert_eq!((round.is_due(), round.next_part()), (true, Some(item(4))));
        round.came_to(Some(item(6)), false);
        assert_eq!((round.is_due(), round.next_part()), (true, None));
        round.came_to(None, false);
        assert!(!round.is_due());
    }

    /// 140,000 records of a later schema: those beyond the 65,536 that are known
    /// were read again and again, at full speed, and what lay behind them never
    /// left. Here four names are known.
    #[test]
    fn more_held_names_than_are_known_are_read_once_and_stand_before_nobody() {
        let dir = tempfile::tempdir().unwrap();
        initialise(&dir.path().join("spool"), None).unwrap();
        let spool = Arc::new(Spool::open(&dir.path().join("spool")).unwrap());
        for n in 0..10 {
            std::fs::write(dir.path().join("spool").join(id(n).file_name()), b"rubbish").unwrap();
        }
        let good = encode(&Record { v: SCHEMA, ..Record::default() }).unwrap();
        (10..12).for_each(|n| spool.replace_with_full((id(n), false), &good).unwrap());
        let mut config = Config::default();
        config.collector.url = Some("http://127.0.0.1:1".into()); // nobody listens there
        config.collector.proxy = Some(String::new());
        let (sender, events) = crossbeam_channel::unbounded();
        let reader = Reader::of(&spool).unwrap();
        let mut forwarder = Forwarder::new(config, spool, reader, wire::Sender::default(), sender);
        forwarder.queue = Queue::new(4);

        let (mut held, mut again) = (0, 0);
        for _ in 0..40 {
            forwarder.turn(Instant::now());
            let Ok(Event::Returned(report)) = events.recv_timeout(Duration::from_millis(500)) else { break };
            let count =
                |which: fn(&Came) -> bool| report.items.iter().filter(|(_, came)| which(came)).count();
            held += count(|came| matches!(came, Came::Held(..)));
            again += count(|came| matches!(came, Came::Again));
            forwarder.returned(*report);
            if again > 0 {
                break;
            }
        }
        assert_eq!((held, again), (10, 2), "each is read once, and the good ones are posted");
        assert!(!forwarder.round.is_due());
        let status = forwarder.status();
        assert_eq!(status.held.damaged, 4);
        assert!(
            status.warnings.iter().any(|warning| warning.starts_with("more than 4 items stay")),
            "{status:?}"
        );
    }
}
