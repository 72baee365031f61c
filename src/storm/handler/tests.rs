use super::*;
use std::collections::BTreeSet;
use std::time::Duration;

use crate::limits;

const BOOT: [u8; 16] = [7; 16];

fn run() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    std::fs::set_permissions(place.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    place
}

fn begin(run: &Path) -> Storm {
    let storm = Storm::begin(run, Some(BOOT));
    assert_eq!(storm.missing(), None);
    storm
}

fn rules(executable: u64, overall: u64) -> Rules {
    let user = Rate::new(limits::THROTTLE_MOST, limits::THROTTLE_MOST);
    Rules { executable: Rate::new(executable, 1), user, overall: Rate::new(overall, 1) }
}

/// A crash of this executable, by a user who may do much.
fn of(executable: u64) -> Crashed {
    Crashed { executable: Some(Key(executable)), user: Some(Key(1 << 40)) }
}

fn admits(verdict: Verdict) -> bool {
    verdict != Verdict::Suppressed
}

fn read(run: &Path) -> Snapshot {
    Snapshot::read(run, BOOT).unwrap()
}

fn nobody(_: u32) -> Life {
    Life::Gone
}

/// What /proc says, as the real readers ask it.
fn asked(pid: u32) -> Life {
    alive::ask(crate::process::Directory::open(Path::new("/proc")).ok().as_ref())(pid)
}

#[test]
fn every_handler_is_counted_once_under_what_became_of_it() {
    let place = run();
    for outcome in [Outcome::Recorded, Outcome::Recorded, Outcome::Failed, Outcome::Unwanted] {
        begin(place.path()).end(outcome);
    }
    begin(place.path()).end(Outcome::Unanalysed);
    let storm = begin(place.path());
    assert_eq!(storm.decide(of(5), &rules(1, 9)), Verdict::Admitted(Share::Within));
    assert_eq!(storm.decide(of(5), &rules(1, 9)), Verdict::Suppressed);
    assert_eq!((storm.suppressed(Key(5)), storm.suppressed(Key(6))), (1, 0));
    storm.end(Outcome::Suppressed);
    let totals = read(place.path()).totals(&nobody);
    let expected =
        Totals { begun: 6, recorded: 3, unanalysed: 1, suppressed: 1, failed: 1, unwanted: 1, lost: Some(0) };
    assert_eq!(totals, expected);
    assert!(totals.is_short());
}

#[test]
fn a_storm_of_one_executable_leaves_the_others_their_records() {
    let (place, rules) = (run(), rules(5, 20));
    let storm = begin(place.path());
    let admitted = |key: u64, n: usize| (0..n).filter(|_| admits(storm.decide(of(key), &rules))).count();
    assert_eq!(admitted(1, 1000), 5);
    assert_eq!((admitted(2, 10), admitted(3, 10), admitted(4, 10)), (5, 5, 5));
    // The bucket of all is empty; what it refused is not taken from its own.
    assert_eq!(admitted(5, 10), 0);
    let own = table::find(storm.ledger.as_ref().unwrap(), Key(5)).unwrap();
    assert!(storm.ledger.unwrap().get(own.full_at()) <= now());
    assert_eq!(read(place.path()).totals(&nobody).suppressed, 995 + 3 * 5 + 10);
}

#[test]
fn crashes_of_nobody_known_share_no_bucket_but_that_of_all() {
    let place = run();
    let storm = begin(place.path());
    let somebody = Crashed { executable: None, ..of(1) };
    let admitted = (0..30).filter(|_| admits(storm.decide(somebody, &rules(2, 20)))).count();
    assert_eq!(admitted, 20);
    assert_eq!(read(place.path()).most_suppressed(), (Vec::new(), 10));
}

#[test]
fn a_user_with_many_programs_leaves_a_quarter_to_the_others() {
    let place = run();
    let rules = Rules { executable: Rate::new(5, 1), user: Rate::new(10, 1), overall: Rate::new(40, 1) };
    let storm = begin(place.path());
    let crash = |executable: u64, user: u64| {
        let crashed = Crashed { executable: Some(Key(executable)), user: Some(Key(user << 40)) };
        storm.decide(crashed, &rules)
    };
    // A new program each time.
    let shares: Vec<Verdict> = (1..=100).map(|n| crash(n, 1)).collect();
    let count = |verdict| shares.iter().filter(|one| **one == verdict).count();
    assert_eq!(count(Verdict::Admitted(Share::Within)), 10);
    assert_eq!(count(Verdict::Admitted(Share::Beyond)), 20);
    assert_eq!(count(Verdict::Suppressed), 70);
    // Nobody known is as one who has used its share.
    assert!(!admits(storm.decide(Crashed::default(), &rules)));
    // Another user's crash is heard, and what was refused took nothing from its share.
    assert_eq!((0..9).filter(|_| admits(crash(900, 2))).count(), 5);
    assert_eq!((0..9).filter(|_| admits(crash(901, 2))).count(), 5);
    assert!(!admits(crash(902, 2)), "no more than the quarter is left");
}

#[test]
fn without_a_ledger_everything_is_admitted_and_it_is_said_why() {
    let place = run();
    std::fs::write(place.path().join("file"), "").unwrap();
    let storm = Storm::begin(&place.path().join("file"), Some(BOOT));
    assert_eq!(storm.missing(), Some(Errno::ENOTDIR));
    for _ in 0..10 {
        assert!(admits(storm.decide(of(1), &rules(1, 1))));
    }
    assert!(storm.totals(&nobody).is_none() && storm.take_slot(1, Share::Beyond));
    storm.end(Outcome::Recorded);
}

#[test]
fn many_threads_that_count_at_once_lose_no_number() {
    let place = run();
    let rules = rules(10, 1_000_000);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Who looks meanwhile never finds a living one lost.
        let (run, done) = (place.path(), &done);
        let reader = scope.spawn(move || {
            begin(run).end(Outcome::Unwanted);
            while !done.load(Ordering::Relaxed) {
                assert_eq!(read(run).totals(&|_| Life::Since(0)).lost, Some(0));
            }
        });
        let mut users = Vec::new();
        for thread in 0..8u64 {
            let rules = &rules;
            users.push(scope.spawn(move || {
                for n in 0..200 {
                    let storm = begin(run);
                    // 40 executables, each known to two threads.
                    let verdict = storm.decide(of(1 + (thread % 4) * 10 + n % 10), rules);
                    storm.end(match verdict {
                        Verdict::Admitted(_) => Outcome::Recorded,
                        Verdict::Suppressed => Outcome::Suppressed,
                    });
                }
            }));
        }
        users.into_iter().for_each(|user| user.join().unwrap());
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap();
    });
    let snapshot = read(place.path());
    let totals = snapshot.totals(&nobody);
    assert_eq!((totals.begun, totals.recorded, totals.suppressed), (1601, 400, 1200));
    assert_eq!(totals.lost, Some(0));
    let (rows, others) = snapshot.most_suppressed();
    assert_eq!((rows.len(), others), (32, 8 * 30), "the 32 that a report names, of 40");
    assert!(rows.iter().all(|(_, count)| *count == 30));
}

#[test]
fn a_handler_that_lives_is_not_lost_and_one_that_is_gone_is() {
    let place = run();
    let (first, second) = (begin(place.path()), begin(place.path()));
    let lost = |life: &dyn Fn(u32) -> Life| read(place.path()).totals(life).lost;
    assert_eq!(lost(&asked), Some(0), "this process lives");
    assert_eq!(lost(&nobody), Some(2));
    assert_eq!(lost(&|_| Life::Unknown), None);
    // The dead are forgotten, and stay lost.
    assert_eq!(second.totals(&nobody).unwrap().lost, Some(2));
    assert_eq!(lost(&asked), Some(2));
    first.end(Outcome::Recorded);
    assert_eq!(lost(&nobody), Some(1));
}

#[test]
fn a_handler_that_ends_while_it_is_looked_for_is_not_lost() {
    let place = run();
    let ends = std::cell::Cell::new(Some(begin(place.path())));
    let life = |_| {
        ends.take().into_iter().for_each(|storm: Storm| storm.end(Outcome::Recorded));
        Life::Gone
    };
    assert_eq!(read(place.path()).totals(&life).lost, Some(0));
    // The same through the mapping, of which the dead are taken away.
    let reader = begin(place.path());
    ends.set(Some(begin(place.path())));
    let own = std::process::id();
    let first = std::cell::Cell::new(true);
    let life = |pid| if pid == own && first.replace(false) { Life::Since(0) } else { life(pid) };
    assert_eq!(reader.totals(&life).unwrap().lost, Some(0));
    assert_eq!(read(place.path()).totals(&nobody).begun, 3);
}

/// Uses the ledger until somebody ends it: run as a child of the test below.
#[test]
fn child_that_uses_the_ledger() {
    let Some(run) = std::env::var_os("EPICORE_STORM_RUN") else { return };
    let mut n = 0u64;
    loop {
        let storm = begin(Path::new(&run));
        let verdict = storm.decide(of(1 + n % 50), &rules(3, 1_000_000));
        storm.totals(&|pid| if pid == std::process::id() { Life::Since(0) } else { asked(pid) });
        storm.end(match verdict {
            Verdict::Admitted(_) => Outcome::Recorded,
            Verdict::Suppressed => Outcome::Suppressed,
        });
        n += 1;
    }
}

#[test]
fn handlers_killed_at_random_instants_break_nothing_and_are_counted() {
    const KILLED: u64 = 40;
    let place = run();
    begin(place.path()).end(Outcome::Recorded);
    let program = std::env::current_exe().unwrap();
    for n in 0..KILLED {
        let mut child = std::process::Command::new(&program)
            .args(["--exact", "storm::handler::tests::child_that_uses_the_ledger"])
            .env("EPICORE_STORM_RUN", place.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let begun = read(place.path()).totals(&nobody).begun;
        while read(place.path()).totals(&nobody).begun < begun + 10 {
            std::thread::sleep(Duration::from_micros(200));
        }
        std::thread::sleep(Duration::from_micros(n * 37 % 500));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let snapshot = read(place.path());
    let totals = snapshot.totals(&asked);
    // Each child was in at most one round when it died: that one is missing at
    // one place, and every other number is exact.
    let lost = totals.lost.unwrap();
    let missing = totals.begun - totals.recorded - totals.suppressed;
    assert!(lost <= KILLED && lost > 0, "{totals:?}");
    assert!(missing <= lost && lost - missing <= KILLED, "{totals:?}");
    let (rows, others) = snapshot.most_suppressed();
    let told = rows.iter().map(|(_, count)| count).sum::<u64>() + others;
    assert_eq!(told, totals.suppressed);
    let keys: BTreeSet<Key> = rows.iter().map(|(key, _)| *key).collect();
    assert_eq!(keys.len(), rows.len());
    // It goes on.
    let storm = begin(place.path());
    assert_eq!(storm.decide(of(1), &rules(3, 1_000_000)), Verdict::Suppressed);
    storm.end(Outcome::Suppressed);
    assert_eq!(read(place.path()).totals(&asked).lost, Some(lost));
}

#[test]
fn a_ledger_of_random_words_decides_counts_and_ends() {
    let place = run();
    begin(place.path()).end(Outcome::Recorded);
    let mut seed = 9u64;
    for _ in 0..20 {
        let storm = begin(place.path());
        for word in storm.ledger.unwrap().0.iter().skip(super::super::ledger::HEADER) {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            word.store(seed ^ seed >> 31, Ordering::Relaxed);
        }
        for key in 1..200 {
            storm.decide(of(key), &rules(3, 5));
            storm.suppressed(Key(key));
        }
        storm.is_due();
        storm.totals(&nobody);
        storm.end(Outcome::Recorded);
        let again = Storm::begin(place.path(), Some(BOOT));
        assert_eq!(again.missing(), None);
        read(place.path()).most_suppressed();
        again.end(Outcome::Failed);
    }
}
