use super::*;

const LEDGER: Option<[u8; 16]> = Some([1; 16]);
const NONE: Begun = Begun { ledger: None, count: 0 };

fn begun(count: u64) -> Begun {
    Begun { ledger: LEDGER, count }
}

/// A count, and a clock.
struct Rig {
    count: Count,
    now: Instant,
}

impl Rig {
    /// Counts from these handlers on.
    fn from(begun: Begun) -> Rig {
        let mut rig = Rig { count: Count::default(), now: Instant::now() };
        assert!(rig.count.is_open() && !rig.count.has_begun());
        assert_eq!(rig.look(begun), (0, 0, true));
        assert!(!rig.count.is_open() && rig.count.has_begun());
        rig
    }

    fn crash(&mut self, processes: std::ops::Range<u32>) {
        for process in processes {
            self.count.hear(Heard::Crash { process, thread: process }, self.now);
        }
    }

    fn end(&mut self, processes: std::ops::Range<u32>) {
        processes.for_each(|process| self.count.hear(Heard::Ended(process), self.now));
    }

    /// Crashes that have ended.
    fn crashed(&mut self, processes: std::ops::Range<u32>) {
        self.crash(processes.clone());
        self.end(processes);
    }

    /// Crashes, dropped, exact.
    fn look(&mut self, begun: Begun) -> (u64, u64, bool) {
        let look = self.count.look(begun, false, Begin::Quiet, self.now);
        (look.crashes, look.dropped, look.exact)
    }

    fn later(&mut self, begun: Begun) -> (u64, u64, bool) {
        self.now += CONFIRMED;
        self.look(begun)
    }
}

#[test]
fn what_was_told_and_did_not_begin_was_dropped_when_it_is_quiet() {
    let mut rig = Rig::from(begun(100));
    rig.crash(1..6);
    rig.count.hear(Heard::Crash { process: 5, thread: 77 }, rig.now);
    rig.end(1..6);
    assert_eq!(rig.look(begun(103)), (5, 0, false), "a handler may still begin");
    assert!(rig.count.is_open());
    assert_eq!(rig.later(begun(103)), (5, 2, true));
    assert!(!rig.count.is_open());
    rig.end(9..10);
    assert_eq!(rig.later(begun(103)), (5, 2, true), "killed by hand");
}

#[test]
fn a_handler_that_begins_after_the_end_of_its_process_is_no_drop() {
    let mut rig = Rig::from(begun(0));
    // Each time the last one has not begun when it is looked at: never the same one.
    for n in 1..20 {
        rig.crashed(n..n + 1);
        let (_, dropped, exact) = rig.look(begun(u64::from(n) - 1));
        assert_eq!((dropped, exact), (0, false), "{n}");
        rig.now += CONFIRMED / 3;
    }
    assert_eq!(rig.later(begun(19)), (19, 0, true));
}

#[test]
fn one_that_was_slower_than_is_thought_possible_costs_exactness() {
    let mut rig = Rig::from(begun(0));
    rig.crashed(1..2);
    rig.look(begun(0));
    assert_eq!(rig.later(begun(0)), (1, 1, true));
    assert_eq!(rig.later(begun(1)), (1, 1, false), "or it is a crash that was not told");
}

#[test]
fn while_it_is_not_quiet_a_lower_bound_grows() {
    let mut rig = Rig::from(begun(0));
    rig.crash(1..12);
    rig.end(2..12);
    assert_eq!(rig.look(begun(4)), (11, 0, false));
    assert_eq!(rig.later(begun(4)), (11, 6, false), "of ten that ended, four at most had a handler");
    assert_eq!(rig.later(begun(5)), (11, 6, false));
    rig.end(1..2);
    assert_eq!(rig.later(begun(5)), (11, 6, true));
}

#[test]
fn unheard_handlers_never_make_up_for_drops() {
    let mut rig = Rig::from(begun(2));
    rig.crashed(1..4);
    assert_eq!(rig.later(begun(2)), (3, 3, true));
    // Three handlers of crashes that nobody told, and one that was.
    rig.crashed(4..5);
    assert_eq!(rig.later(begun(6)), (4, 3, false));
    rig.crashed(5..7);
    assert_eq!(rig.later(begun(6)), (6, 5, false), "it goes on from there");
}

#[test]
fn one_that_never_ends_is_let_go_and_costs_exactness() {
    let mut rig = Rig::from(begun(0));
    // This process, which ptrace could hold.
    rig.crash(std::process::id()..std::process::id() + 1);
    rig.crashed(1..3);
    rig.look(begun(0));
    assert_eq!(rig.later(begun(0)), (3, 2, false));
    rig.count.forget_the_dead(rig.now);
    assert!(rig.count.is_open(), "it lives");
    rig.now += PATIENCE;
    rig.count.forget_the_dead(rig.now);
    assert_eq!(rig.look(begun(0)), (2, 2, false));
    assert!(!rig.count.is_open());
}

#[test]
fn what_has_ended_unheard_is_seen() {
    let mut rig = Rig::from(begun(0));
    let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    rig.crash(child.id()..child.id() + 1);
    rig.count.forget_the_dead(rig.now);
    assert_eq!(rig.count.pending.len(), 1);
    child.kill().unwrap();
    let end = Instant::now() + Duration::from_secs(10);
    while !rig.count.pending.is_empty() && Instant::now() < end {
        rig.count.forget_the_dead(rig.now);
    }
    assert!(rig.count.pending.is_empty(), "it is not reaped, and has ended");
    // And so is one whose number another one has by now.
    rig.crash(child.id()..child.id() + 1);
    rig.crash(child.id()..child.id() + 1);
    assert_eq!(rig.count.told, 3);
    child.wait().unwrap();
}

#[test]
fn an_overrun_costs_exactness_and_no_number() {
    let mut rig = Rig::from(begun(0));
    rig.crashed(1..2);
    assert_eq!(rig.later(begun(0)), (1, 1, true));
    rig.crash(2..3);
    rig.count.hear(Heard::Missed, rig.now);
    assert!(rig.count.has_missed() && rig.count.is_open());
    assert_eq!(rig.count.known(), Look { crashes: 2, dropped: 1, exact: false });
    rig.crashed(3..5);
    assert_eq!(rig.look(begun(7)), (4, 1, false), "counting begins anew, whoever is dumping");
    rig.end(2..3);
    rig.crashed(5..6);
    assert_eq!(rig.later(begun(7)), (5, 2, false));
    assert!(!rig.count.is_open());
}

#[test]
fn another_ledger_is_never_compared_with_the_one_before() {
    let mut rig = Rig::from(begun(2));
    rig.crashed(1..6);
    let other = Begun { ledger: Some([2; 16]), count: 5 };
    assert_eq!(rig.later(other), (5, 0, false), "all five had a handler");
    rig.crashed(6..7);
    assert_eq!(rig.later(other), (6, 1, false));
}

#[test]
fn the_first_ledger_counts_from_nothing_and_none_at_all_says_nothing() {
    let mut rig = Rig::from(NONE);
    rig.crashed(1..4);
    assert_eq!(rig.look(NONE), (3, 0, false), "the first handler makes it");
    assert_eq!(rig.later(begun(2)), (3, 1, true));
    let mut rig = Rig::from(NONE);
    rig.crashed(1..4);
    assert_eq!(rig.later(NONE), (3, 0, false), "handlers may have run without one");
}

#[test]
fn before_counting_begins_nothing_was_missed() {
    let (mut count, now) = (Count::default(), Instant::now());
    count.hear(Heard::Missed, now);
    count.hear(Heard::Crash { process: 1, thread: 1 }, now);
    assert_eq!(count.look(begun(3), false, Begin::NotYet, now), Look::default());
    count.hear(Heard::Ended(1), now);
    let later = now + CONFIRMED;
    assert_eq!(count.look(begun(3), false, Begin::Quiet, later), Look { exact: true, ..Look::default() });
}

#[test]
fn where_it_is_never_quiet_a_lower_bound_begins() {
    let mut rig = Rig { count: Count::default(), now: Instant::now() };
    rig.crash(1..2);
    assert_eq!(rig.look(begun(3)), (0, 0, false));
    assert!(!rig.count.has_begun());
    let look = rig.count.look(begun(3), false, Begin::Anyhow, rig.now);
    assert!(rig.count.has_begun() && !look.exact);
    rig.crash(2..5);
    rig.end(2..5);
    rig.look(begun(4));
    assert_eq!(rig.later(begun(4)), (3, 1, false), "the first may have had the one that began");
}

#[test]
fn a_number_that_crashes_came_between_is_not_exact() {
    let mut rig = Rig::from(begun(0));
    rig.crashed(1..2);
    rig.now += CONFIRMED;
    assert!(!rig.count.look(begun(1), true, Begin::Quiet, rig.now).exact);
    assert!(rig.count.is_open());
    assert_eq!(rig.look(begun(1)), (1, 0, true));
}
