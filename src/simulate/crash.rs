//! One simulated crash: the record of a server of three modules with four
//! threads, about as large as a real one.

use super::dice::{Dice, hash};
use super::stack::{self, Told};
use crate::epidemiology::evidence::Shown;
use crate::record::{
    self, Capture, Crash, Frame, Hex, Id, Keys, Kind, Module, Process, Record, Registers, SCHEMA, Stack,
    Threads, Topology, Trust,
};

/// What a crash is of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    /// Which bug; equal bugs have equal stacks.
    pub(super) bug: u64,
    /// Which unit crashed.
    pub(super) unit: u32,
    /// Which build of it.
    pub(super) build: u64,
    /// On which logical CPU.
    pub(super) cpu: u32,
    /// The address was one bit away from a good one.
    pub(super) flipped: bool,
    /// Evidence codes.
    pub(super) shown: Shown,
    /// Symptom key.
    pub(super) symptom: u64,
    /// Physical cores that the process was allowed to use; 0 unknown.
    pub(super) allowed: u32,
    /// Physical core, where known.
    pub(super) core: Option<u32>,
    /// What stands on the stack.
    pub(super) told: Told,
}

/// What the record says of why, as far as statistics read it.
fn why(fault: &Fault) -> record::Fault {
    let shown = fault.shown;
    if shown == Shown::default() {
        return record::Fault::default();
    }
    record::Fault {
        cause: Some("simulated".into()),
        evidence: shown.codes().map(|code| (code.to_owned(), "simulated".to_owned())).collect(),
        symptom: Some(Hex(fault.symptom)),
        access: Some(if fault.flipped { "wild" } else { "null" }.into()),
        code_page: Some(record::CodePage {
            module: 0,
            compared: 4096,
            difference: "same".into(),
            ..record::CodePage::default()
        }),
        ..record::Fault::default()
    }
}

/// Sixteen bytes of a UUIDv7: milliseconds, then what makes it unique.
pub(super) fn id(at_ns: u64, unique: u64) -> Id {
    let milliseconds = at_ns.checked_div(1_000_000).unwrap_or(0);
    let [_, _, time @ ..] = milliseconds.to_be_bytes();
    let [a, b, rest @ ..] = unique.to_be_bytes();
    let mut bytes = time.to_vec();
    bytes.extend([0x70 | (a & 0x0f), b, 0x80]);
    bytes.extend(rest);
    bytes.push(u8::try_from(hash(&[unique, at_ns]) & 0xff).unwrap_or(0));
    Id(bytes)
}

/// The build-id of a unit's build: twenty bytes, as a linker's SHA-1.
pub(super) fn build_id(unit: u32, build: u64) -> Id {
    let words = [1, 2, 3].map(|n| hash(&[0xb1d, u64::from(unit), build, n]).to_be_bytes());
    Id(words.concat().into_iter().take(20).collect())
}

/// The record, without what the host adds.
pub(super) fn record(fault: Fault, at_ns: u64, dice: &mut Dice) -> Record {
    let build = build_id(fault.unit, fault.build);
    let (frames, keys) = stack(fault);
    let base = 0x5500_0000_0000 | u64::from(dice.below(1 << 28)) << 12;
    let ip = frames.first().map_or(0, |frame| base.wrapping_add(frame.offset.0));
    let sp = 0x7ffc_0000_0000 | u64::from(dice.below(1 << 24)) << 4;
    let pid = dice.below(1 << 20).saturating_add(300);
    let program = format!("svc{}", fault.unit);
    let fault_address = if fault.flipped { 1 << 45 | sp } else { u64::from(dice.below(256)) };
    let quiet = Frame {
        module: Some(1),
        offset: Hex(0x8_9a4f),
        function: Some(Hex(0x8_9a30)),
        trust: Trust::Context,
        kind: None,
    };
    Record {
        v: SCHEMA,
        id: id(at_ns, dice.bits()),
        kind: Kind::Full,
        realtime_ns: Some(at_ns),
        crash: Crash {
            pid: Some(pid),
            tid: Some(pid),
            uid: Some(998),
            gid: Some(998),
            dump: Some(1),
            signal: Some(11),
            code: Some(1),
            addr: Some(Hex(fault_address)),
            cpu: Some(fault.cpu),
            ..Crash::default()
        },
        process: Process {
            comm: Some(program.clone()),
            exe: Some(format!("/usr/bin/{program}")),
            build_id: Some(build.clone()),
            euid: Some(998),
            unit: Some(format!("{program}.service")),
            cgroup: Some(format!("/system.slice/{program}.service")),
            age_ns: Some(u64::from(dice.below(1 << 31)).wrapping_mul(1000)),
            rss_kib: Some(u64::from(dice.below(1 << 20))),
            threads: Some(4),
            allowed_cores: (fault.allowed > 0).then_some(fault.allowed),
            ..Process::default()
        },
        threads: Threads {
            tid: (0..4).map(|n| pid.saturating_add(n)).collect(),
            ip: vec![Hex(ip), Hex(0x7f00_0008_9a4f), Hex(0x7f00_0008_9a4f), Hex(0x7f00_0008_9a4f)],
            sp: (0..4u64).map(|n| Hex(sp.wrapping_sub(n << 23))).collect(),
            cpu: vec![i32::try_from(fault.cpu).unwrap_or(-1)],
            stack: vec![0, 1, 1, 1],
        },
        registers: vec![Registers { tid: pid, values: (0..27).map(|_| Hex(dice.bits() >> 17)).collect() }],
        modules: vec![
            module(&format!("/usr/bin/{program}"), build, base),
            module("/usr/lib/x86_64-linux-gnu/libc.so.6", build_id(u32::MAX, 0), 0x7f00_0000_0000),
            module("/usr/lib/x86_64-linux-gnu/libstdc++.so.6", build_id(u32::MAX, 1), 0x7f00_1000_0000),
        ],
        stacks: vec![
            Stack { frames, count: 1, end: Some("end".into()), ..Stack::default() },
            Stack { frames: vec![quiet], count: 3, end: Some("end".into()), ..Stack::default() },
        ],
        keys,
        fault: why(&fault),
        hardware: crate::record::Hardware {
            topology: Some(Topology {
                cpu: fault.cpu,
                core: fault.core,
                package: Some(0),
                node: Some(0),
                siblings: vec![],
            }),
            online: Some(64),
            cores: Some(32),
            ..crate::record::Hardware::default()
        },
        capture: Capture { source: Some("live".into()), held_us: Some(900), ..Capture::default() },
        ..Record::default()
    }
}

fn module(path: &str, build: Id, bias: u64) -> Module {
    Module {
        path: Some(path.to_owned()),
        build_id: Some(build),
        bias: Hex(bias),
        start: Hex(bias),
        size: 2 << 20,
        flags: Vec::new(),
    }
}

/// Location keys L0, L1 and L2: the last does not know the build.
pub(super) fn keys(signature: u64, unit: u32, build: u64) -> [u64; 3] {
    let unit = u64::from(unit);
    let [l0, l1] = [0, 1].map(|which| hash(&[signature, unit, build, which]));
    [l0, l1, hash(&[signature, unit, 2])]
}

/// The frames of a bug, and its keys.
fn stack(fault: Fault) -> (Vec<Frame>, Keys) {
    let [l0, l1, l2] = keys(fault.bug, fault.unit, fault.build);
    let functions = stack::stack(fault.told, fault.bug, fault.unit);
    let frame = |function: &stack::Function| {
        let start = (hash(&[function.identity, fault.build]) & 0xf_ffff) << 4;
        Frame {
            module: Some(u32::from(function.library)),
            offset: Hex(start | 9),
            function: Some(Hex(start)),
            trust: Trust::Cfi,
            kind: None,
        }
    };
    let mut frames: Vec<Frame> = functions.iter().map(frame).collect();
    if let Some(first) = frames.first_mut() {
        first.trust = Trust::Context;
    }
    let named = |function: &stack::Function| Hex(if function.unnamed { 0 } else { function.identity });
    let identities: Vec<Hex> = functions.iter().take(8).map(named).collect();
    let keys = Keys {
        leaf: Some(Hex(l0)),
        functions: Some(Hex(l1)),
        portable: identities.first().filter(|first| first.0 != 0).map(|_| Hex(l2)),
        frames: if functions.first().is_some_and(|first| first.library) { vec![0, 1] } else { vec![0] },
        identities,
    };
    (frames, keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid_v7_of_its_time() {
        const AT: u64 = 1_795_356_309_000_000_000;
        let id = id(AT, 5).0;
        assert_eq!((id.len(), id[6] >> 4, id[8] >> 6), (16, 7, 2));
        assert_eq!(&id[..6], &(AT / 1_000_000).to_be_bytes()[2..]);
    }
}
