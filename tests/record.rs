//! The record's promises: whatever is in it, it fits; whatever is sent, it is
//! decoded or refused; what was written comes back.

use epicore::gap::{Gap, Stage};
use epicore::limits;
use epicore::record::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

#[path = "support/records.rs"]
mod support;

fn text(most: usize) -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[ -~é\n]{0,12}", Just("/very/long/ü".repeat(most / 12))]
}

fn hex() -> impl Strategy<Value = Hex> {
    any::<u64>().prop_map(Hex)
}

fn frame() -> impl Strategy<Value = Frame> {
    let trust = prop::sample::select(vec![Trust::Context, Trust::Cfi, Trust::Scan, Trust::Tail]);
    (option::of(0u32..300), hex(), option::of(hex()), trust, option::of(text(40)))
        .prop_map(|(module, offset, function, trust, kind)| Frame { module, offset, function, trust, kind })
}

fn stack(frames: usize) -> impl Strategy<Value = Stack> {
    (
        vec(frame(), 0..4),
        0..=frames,
        any::<u32>(),
        option::of(text(40)),
        option::of((any::<u32>(), 0u32..200)),
    )
        .prop_map(|(few, times, count, end, cut)| Stack {
            frames: few.iter().cycle().take(if few.is_empty() { 0 } else { times }).cloned().collect(),
            count,
            end,
            cut: cut.map(|(cut, _)| cut),
            cut_at: cut.map(|(_, at)| at),
        })
}

fn module() -> impl Strategy<Value = Module> {
    let id = prop_oneof![Just(20usize), Just(0), Just(5000)].prop_map(|length| Id(vec![0xab; length]));
    (option::of(text(4096)), option::of(id), hex(), hex(), any::<u64>(), vec(text(20), 0..3)).prop_map(
        |(path, build_id, bias, start, size, flags)| Module { path, build_id, bias, start, size, flags },
    )
}

/// `scale` 1 is an ordinary crash, 100 the worst that a process can be.
fn record(scale: usize) -> impl Strategy<Value = Record> {
    let stages = prop::sample::select(vec![Stage::Memory, Stage::Record, Stage::Unwind]);
    let gap = (stages, text(6000), option::of(any::<u64>())).prop_map(|(stage, reason, count)| Gap {
        stage,
        reason,
        count,
    });
    let threads = (0..330 * scale, any::<u32>(), hex()).prop_map(|(count, tid, at)| Threads {
        tid: vec![tid; count],
        ip: vec![at; count],
        sp: vec![at; count],
        cpu: vec![3; count.min(64)],
        stack: vec![(count % 300) as i32; count],
    });
    let registers = (any::<u32>(), vec(hex(), 0..27)).prop_map(|(tid, values)| Registers { tid, values });
    let edac = (text(5000), option::of(text(5000)), any::<u64>()).prop_map(|(at, label, ce)| Edac {
        at,
        label,
        ce: Some(ce),
        ue: None,
    });
    (
        threads,
        vec(registers, 0..16),
        vec(module(), 0..3 * scale),
        vec(stack(2 * scale), 0..3 * scale),
        vec(gap, 0..2 * scale),
        vec(edac, 0..3 * scale),
        vec(text(4000), 0..scale),
        option::of(text(70_000)),
        vec(any::<u32>(), 0..6 * scale),
    )
        .prop_map(|(threads, registers, modules, stacks, gaps, edac, names, name, keys)| {
            let mut record = support::null_read();
            record.threads = threads;
            record.registers = registers;
            record.modules = modules;
            record.stacks = stacks;
            record.gaps = gaps;
            record.hardware.edac = edac;
            record.hardware.topology = Some(Topology { siblings: keys.clone(), ..Topology::default() });
            record.process.namespaces = names.iter().map(|name| (name.clone(), 1)).collect();
            record.capture.unconfined = names;
            record.process.exe = name.clone();
            record.host.name = name;
            record.keys.frames = keys;
            record
        })
}

#[test]
fn an_ordinary_record_passes_untouched() {
    let mut record = support::null_read();
    let before = record.clone();
    let bytes = fit(&mut record).unwrap();
    println!("{} bytes", bytes.len());
    assert_eq!(record, before);
    assert_eq!(decode(&bytes).unwrap(), before);
}

#[test]
fn thirty_two_thousand_threads_lose_threads_and_nothing_of_the_crash() {
    let mut record = support::null_read();
    let count = limits::THREADS;
    record.threads = Threads {
        tid: (0..count as u32).collect(),
        ip: vec![Hex(0x7fff_ffff_ffff); count],
        sp: vec![Hex(0x7fff_ffff_fff0); count],
        cpu: vec![1; 64],
        stack: vec![1; count],
    };
    let before = record.clone();
    let bytes = fit(&mut record).unwrap();
    assert!(bytes.len() <= limits::RECORD_BYTES);
    let left = record.threads.tid.len();
    println!("of {count} threads {left} stay in {} bytes; gaps {:?}", bytes.len(), record.gaps);
    assert_eq!((&record.stacks, &record.registers), (&before.stacks, &before.registers));
    assert_eq!((&record.modules, &record.keys), (&before.modules, &before.keys));
    let lost = record.gaps.iter().find(|gap| gap.reason == "threads left out").unwrap();
    assert_eq!(lost.count, Some((count - left) as u64));
}

#[test]
fn a_cut_record_is_consistent_and_not_cut_again() {
    let mut record = support::null_read();
    let deep = record.stacks[0].frames.iter().cycle().take(128).cloned().collect::<Vec<_>>();
    record.stacks = (0..300).map(|_| Stack { frames: deep.clone(), ..Stack::default() }).collect();
    record.threads.stack = (0..300).collect();
    record.modules = (0..3).map(|n| Module { size: n, ..Module::default() }).collect();
    record.stacks.iter_mut().flat_map(|stack| &mut stack.frames).for_each(|frame| frame.module = Some(2));
    let bytes = fit(&mut record).unwrap();
    for stack in &record.stacks[1..] {
        assert_eq!((stack.frames.len(), stack.cut, stack.cut_at), (32, Some(96), Some(32)));
    }
    assert_eq!(record.stacks[0].frames.len(), 128, "the crashing thread's stays whole");
    assert!(record.threads.stack.iter().all(|index| (*index as usize) < record.stacks.len()));
    let frames = record.stacks.iter().flat_map(|stack| &stack.frames);
    assert!(frames.clone().all(|frame| record.modules[frame.module.unwrap() as usize].size == 2));
    assert_eq!(fit(&mut record).unwrap(), bytes);
}

#[test]
fn equal_gaps_are_one_and_no_more_are_kept_than_may_be() {
    let mut record = support::null_read();
    record.gaps = vec![Gap::counted(Stage::Memory, "not kept", 5); 3];
    record.gaps.extend([Gap::new(Stage::Unwind, "x"), Gap::new(Stage::Unwind, "x")]);
    fit(&mut record).unwrap();
    assert_eq!(record.gaps, [Gap::counted(Stage::Memory, "not kept", 15), Gap::new(Stage::Unwind, "x")]);
    record.gaps = (0..500).map(|n| Gap::new(Stage::Memory, format!("gap {n}"))).collect();
    fit(&mut record).unwrap();
    assert!(record.gaps.len() <= limits::GAPS);
    let kept = record.gaps.len() as u64 - 1;
    assert_eq!(
        record.gaps.last().unwrap(),
        &Gap::counted(Stage::Record, "further gaps left out", 500 - kept)
    );
}

#[test]
fn keys_of_later_versions_are_skipped() {
    let mut json = serde_json::to_value(support::null_read()).unwrap();
    json["novelty"] = serde_json::json!({"deep": [1, {"x": null}]});
    json["crash"]["novelty"] = serde_json::json!("y");
    json["gaps"][0]["s"] = serde_json::json!("astrology");
    let record: Record = serde_json::from_value(json).unwrap();
    assert_eq!(record.gaps[0].stage, Stage::Unknown);
    // The same over the wire, made without this crate's own encoder.
    let bytes = rmp_serde::to_vec_named(
        &serde_json::json!({"v": 9, "novelty": [1, 2], "hw": {"new": {"a": 1}, "online": 4}}),
    )
    .unwrap();
    let record = decode(&bytes).unwrap();
    assert_eq!((record.v, record.hardware.online), (9, Some(4)));
}

#[test]
fn an_empty_map_is_a_record() {
    assert_eq!(decode(&[0x80]).unwrap(), Record::default());
}

/// Lengths in MessagePack are 32 bits: none of them is believed.
#[test]
fn a_length_that_lies_allocates_nothing() {
    for bytes in [
        &[0xdf, 0xff, 0xff, 0xff, 0xff][..],
        &[0x81, 0xa2, b'm', b'o', 0xdd, 0xff, 0xff, 0xff, 0xff],
        &[0x81, 0xa3, b'm', b'o', b'd', 0xdd, 0xff, 0xff, 0xff, 0xff],
        &[0x81, 0xa2, b'i', b'd', 0xc6, 0xff, 0xff, 0xff, 0xff],
    ] {
        assert!(decode(bytes).is_err());
    }
    let deep: Vec<u8> = [0x81, 0xa1, b'z'].into_iter().chain(std::iter::repeat_n(0x91, 200_000)).collect();
    assert!(decode(&deep).is_err());
    assert!(matches!(decode(&vec![0; limits::RECORD_BYTES + 1]), Err(DecodeError::TooLarge(_))));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn every_record_fits(record in prop_oneof![record(1), record(10), record(100)]) {
        let mut fitted = record.clone();
        let bytes = fit(&mut fitted).unwrap();
        prop_assert!(bytes.len() <= limits::RECORD_BYTES, "{} bytes", bytes.len());
        prop_assert_eq!(&decode(&bytes).unwrap(), &fitted);
        prop_assert_eq!(&fitted.crash, &record.crash);
        prop_assert!(fitted.gaps.len() <= limits::GAPS);
        let lost = encode(&record).unwrap().len() > limits::RECORD_BYTES;
        prop_assert!(!lost || fitted.gaps.iter().any(|gap| gap.stage == Stage::Record));
        let stacks_lost = fitted.gaps.iter().any(|gap| gap.reason == "stacks left out");
        let mut stacks = fitted.threads.stack.iter();
        prop_assert!(!stacks_lost || stacks.all(|index| *index < fitted.stacks.len() as i32));
        prop_assert_eq!(fit(&mut fitted).unwrap(), bytes);
    }

    #[test]
    fn a_record_survives_json_and_messagepack(record in record(1)) {
        let json = serde_json::to_string(&record).unwrap();
        let read: Record = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(&read, &record);
        let bytes = encode(&read).unwrap();
        prop_assert_eq!(&decode(&bytes).unwrap(), &record);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_a_record_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn a_record_with_one_byte_changed_is_a_record_or_refused(at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut bytes = encode(&support::null_read()).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(mut record) = decode(&bytes) {
            fit(&mut record).unwrap();
        }
        let _ = decode(&bytes[..at]);
    }
}
