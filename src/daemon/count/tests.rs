use super::*;

const LEDGER: Option<[u8; 16]> = Some([1; 16]);

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
        assert!(rig.count.is_open() && !rig.count.is_begun());
        assert_eq!(rig.count.look(begun, false, rig.now), Look { exact: true, ..Look::default() });
        assert!(!rig.count.is_open() && rig.count.is_begun());
        rig
    }

    fn crash(&mut self, processes: std::ops::Range<u32>) {
        for process in processes {
            // No such thread, and a process that is nobody's.
            self.count.hear(Heard::Crash { process, thread: process }, self.now);
        }
    }

    fn end(&mut self, processes: std::ops::Range<u32>) {
        processes.for_each(|process| self.count.hear(Heard::Ended(process), self.now));
    }

    /// Crashes, dropped, exact.
    fn look(&mut self, begun: Begun) -> (u64, u64, bool) {
        let look = self.count.look(begun, false, self.now);
        (look.crashes, look.dropped, look.exact)
    }

    fn later(&mut self, begun: Begun) -> (u64, u64, bool) {
        self.now += CONFIRMED;
        self.look(begun)
    }
}

#[test]
fn what_was_told_and_did_not_begin_was_dropped_when_it_stands_for_a_second() {
    let mut rig = Rig::from(begun(100));
    rig.crash(1..6);
    assert!(rig.count.is_open() && !rig.count.is_settled());
    rig.count.hear(Heard::Crash { process: 5, thread: 77 }, rig.now);
    rig.end(1..6);
    assert_eq!(rig.look(begun(103)), (5, 0, false), "a handler may still begin");
    assert!(rig.count.is_open());
    assert_eq!(rig.later(begun(103)), (5, 2, true));
    assert!(!rig.count.is_open());
    rig.end(9..10);
    assert_eq!(rig.look(begun(103)), (5, 2, true), "killed by hand");
}

#[test]
fn a_handler_that_begins_after_the_end_of_its_process_is_no_drop() {
    let mut rig = Rig::from(begun(0));
    rig.crash(1..3);
    rig.end(1..3);
    assert_eq!(rig.look(begun(1)), (2, 0, false));
    assert_eq!(rig.look(begun(2)), (2, 0, true));
    rig.crash(3..4);
    rig.end(3..4);
    rig.look(begun(2));
    assert_eq!(rig.later(begun(2)), (3, 1, true));
    assert_eq!(rig.later(begun(3)), (3, 0, true), "it was very slow");
}

#[test]
fn while_a_process_dumps_the_others_are_a_lower_bound() {
    let mut rig = Rig::from(begun(0));
    rig.crash(1..12);
    rig.end(2..12);
    assert_eq!(rig.look(begun(4)), (11, 0, false));
    assert_eq!(rig.later(begun(4)), (11, 6, false), "of ten that ended, four at most had a handler");
    assert_eq!(rig.look(begun(8)), (11, 6, false));
    rig.end(1..2);
    assert_eq!(rig.look(begun(8)), (11, 3, true), "three of eleven");
}

#[test]
fn one_that_never_ends_is_let_go_and_costs_exactness() {
    let mut rig = Rig::from(begun(0));
    // This process, which ptrace could hold.
    rig.crash(std::process::id()..std::process::id() + 1);
    rig.crash(1..3);
    rig.end(1..3);
    rig.look(begun(0));
    assert_eq!(rig.later(begun(0)), (3, 2, false));
    rig.count.forget_the_dead(rig.now);
    assert!(!rig.count.is_settled(), "it lives");
    rig.now += PATIENCE;
    rig.count.forget_the_dead(rig.now);
    assert!(rig.count.is_settled());
    assert_eq!(rig.look(begun(0)), (2, 2, false));
    assert!(!rig.count.is_open());
}

#[test]
fn what_has_ended_unheard_is_seen() {
    let mut rig = Rig::from(begun(0));
    let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    rig.crash(child.id()..child.id() + 1);
    rig.count.forget_the_dead(rig.now);
    assert!(!rig.count.is_settled());
    child.kill().unwrap();
    let end = Instant::now() + Duration::from_secs(10);
    while !rig.count.is_settled() && Instant::now() < end {
        rig.count.forget_the_dead(rig.now);
    }
    assert!(rig.count.is_settled(), "it is not reaped, and has ended");
    child.wait().unwrap();
}

#[test]
fn an_overrun_costs_exactness_and_no_number() {
    let mut rig = Rig::from(begun(0));
    rig.crash(1..2);
    rig.end(1..2);
    rig.look(begun(0));
    assert_eq!(rig.later(begun(0)), (1, 1, true));
    rig.crash(2..3);
    rig.count.hear(Heard::Missed, rig.now);
    assert!(rig.count.is_settled() && rig.count.is_open());
    assert_eq!(rig.look(begun(7)), (2, 1, false));
    rig.crash(3..4);
    rig.end(3..4);
    rig.look(begun(7));
    assert_eq!(rig.later(begun(7)), (3, 2, false));
}

#[test]
fn another_ledger_is_never_compared_with_the_one_before() {
    let mut rig = Rig::from(begun(2));
    rig.crash(1..6);
    rig.end(1..6);
    let other = Begun { ledger: Some([2; 16]), count: 5 };
    assert_eq!(rig.look(other), (5, 0, false), "all five had a handler");
    rig.look(other);
    assert_eq!(rig.later(other), (5, 0, false));
    rig.crash(6..7);
    rig.end(6..7);
    rig.look(other);
    assert_eq!(rig.later(other), (6, 1, false));
}

#[test]
fn the_first_ledger_counts_from_nothing_and_none_at_all_says_nothing() {
    let none = Begun { ledger: None, count: 0 };
    let mut rig = Rig::from(none);
    rig.crash(1..4);
    rig.end(1..4);
    rig.look(begun(2));
    assert_eq!(rig.later(begun(2)), (3, 1, true));
    let mut rig = Rig::from(none);
    rig.crash(1..4);
    rig.end(1..4);
    rig.look(none);
    assert_eq!(rig.later(none), (3, 0, false), "handlers may have run without one");
}

#[test]
fn handlers_without_a_crash_are_a_surplus() {
    let mut rig = Rig::from(begun(7));
    let look = rig.count.look(begun(9), false, rig.now);
    assert_eq!((look.surplus, look.exact), (true, false));
    assert_eq!(rig.look(begun(9)), (0, 0, false));
}

#[test]
fn before_counting_begins_nothing_was_missed() {
    let mut count = Count::default();
    count.hear(Heard::Missed, Instant::now());
    assert!(count.look(begun(3), false, Instant::now()).exact);
}

#[test]
fn a_number_that_crashes_came_between_is_not_exact() {
    let mut rig = Rig::from(begun(0));
    rig.crash(1..2);
    rig.end(1..2);
    assert!(!rig.count.look(begun(1), true, rig.now).exact);
    assert!(rig.count.is_open());
    assert_eq!(rig.look(begun(1)), (1, 0, true));
}
