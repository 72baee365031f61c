//! The spool beside a small model of it: any sequence of writes, removals and
//! vacuuming leaves what a sorted map would hold.

use std::collections::BTreeMap;

use epicore::spool::{Entry, Quota, Reader, RecordStatus, SpoolError, State};
use proptest::collection::vec;
use proptest::prelude::*;

#[path = "support/spool.rs"]
mod support;
use support::{fresh, id};

#[derive(Clone, Debug)]
enum Step {
    Minimal(u64),
    Full(u64),
    Remove(u64),
    Room(u64, u64),
    Damage,
}

fn step() -> impl Strategy<Value = Step> {
    let n = 0u64..24;
    prop_oneof![
        4 => n.clone().prop_map(Step::Minimal),
        4 => n.clone().prop_map(Step::Full),
        1 => n.clone().prop_map(Step::Remove),
        2 => (n, 1u64..20).prop_map(|(n, records)| Step::Room(n, records)),
        1 => Just(Step::Damage),
    ]
}

/// The part follows from the number, as a crash's privilege never changes.
fn private(n: u64) -> bool {
    n.is_multiple_of(3)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn the_spool_holds_what_its_model_holds(steps in vec(step(), 0..60)) {
        let (_parent, path, spool) = fresh();
        let mut model: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        for (turn, step) in steps.into_iter().enumerate() {
            let payload = vec![turn as u8; turn];
            match step {
                Step::Minimal(n) => {
                    let expected = if model.contains_key(&n) { Err(SpoolError::Exists) } else { Ok(()) };
                    prop_assert_eq!(spool.write_minimal((id(n), private(n)), &payload), expected);
                    model.entry(n).or_insert(payload);
                }
                Step::Full(n) => {
                    spool.replace_with_full((id(n), private(n)), &payload).unwrap();
                    model.insert(n, payload);
                }
                Step::Remove(n) => {
                    spool.remove(&Entry { id: id(n), private: private(n), state: State::Pending }).unwrap();
                    model.remove(&n);
                }
                Step::Room(newest, records) => {
                    let before = model.len() as u64;
                    let done = spool.make_room(Quota { bytes: u64::MAX, records }, id(newest)).unwrap();
                    prop_assert!(before <= records || done.counted, "{before} records are over {records}");
                    let left = before - done.records;
                    while (model.len() as u64) > left {
                        let oldest = *model.keys().find(|n| **n != newest).unwrap();
                        model.remove(&oldest);
                    }
                    prop_assert!(left <= records.max(1));
                }
                Step::Damage => std::fs::write(path.join(".tally"), [turn as u8; 31]).unwrap(),
            }
            let reader = Reader::open(&path).unwrap();
            let listing = reader.list().unwrap();
            let held: BTreeMap<u64, Vec<u8>> = listing.entries.iter().map(|entry| {
                let RecordStatus::Valid { payload, header } = reader.read(entry) else { panic!("{entry:?}") };
                let n = entry.id.milliseconds() - id(0).milliseconds();
                assert_eq!((header.private, entry.private), (private(n), private(n)));
                (n, payload)
            }).collect();
            prop_assert_eq!(&held, &model);
            prop_assert_eq!(listing.temporaries, 0);
        }
    }
}

/// A reader beside a writer sees the minimal record or the full one.
#[test]
fn a_reader_beside_a_writer_never_sees_half_a_record() {
    let (_parent, path, spool) = fresh();
    let done = std::sync::atomic::AtomicBool::new(false);
    let (mut minimal, mut full) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..300 {
                spool.write_minimal((id(n), private(n)), &[b'm'; 700]).unwrap();
                spool.replace_with_full((id(n), private(n)), &vec![b'f'; 60_000]).unwrap();
            }
            done.store(true, std::sync::atomic::Ordering::Release);
        });
        let reader = Reader::open(&path).unwrap();
        while !done.load(std::sync::atomic::Ordering::Acquire) {
            let newest = reader.list().unwrap().entries.last().copied();
            match newest.map(|entry| reader.read(&entry)) {
                Some(RecordStatus::Valid { header, payload }) if header.full => {
                    assert_eq!(payload, vec![b'f'; 60_000]);
                    full += 1;
                }
                Some(RecordStatus::Valid { payload, .. }) => {
                    assert_eq!(payload, [b'm'; 700]);
                    minimal += 1;
                }
                None | Some(RecordStatus::Gone) => {}
                other => panic!("{other:?}"),
            }
        }
    });
    println!("read {minimal} minimal and {full} full records beside the writer");
}
