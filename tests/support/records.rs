//! Records made in code, and a spool to put them in: what the tests of the
//! command line look at.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::path::Path;
use std::process::{Command, Output};

use epicore::gap::{Gap, Stage};
use epicore::record::*;
use epicore::spool::{RecordId, Spool, initialise};

/// 2026-11-22 14:05:09 UTC.
pub const AT: u64 = 1_795_356_309_000_000_000;

fn frame(module: u32, offset: u64, function: u64, trust: Trust) -> Frame {
    Frame { module: Some(module), offset: Hex(offset), function: Some(Hex(function)), trust, kind: None }
}

/// A null read in a small server with three threads.
pub fn null_read() -> Record {
    let id = "0199f0a6d1c87bd2a1b0c3d441f7a2c3";
    let mut record =
        Record { v: SCHEMA, id: Id::from_hex(id).unwrap(), kind: Kind::Full, ..Record::default() };
    record.realtime_ns = Some(AT);
    record.host.name = Some("web-12".into());
    record.host.kernel = Some("6.18.44".into());
    record.host.arch = Some("x86_64".into());
    record.crash = Crash {
        pid: Some(4240),
        tid: Some(4242),
        uid: Some(1000),
        gid: Some(1000),
        dump: Some(1),
        signal: Some(11),
        code: Some(1),
        addr: Some(Hex(0x18)),
        cpu: Some(3),
        ..Crash::default()
    };
    record.process = Process {
        comm: Some("server".into()),
        thread_comm: Some("worker-3".into()),
        exe: Some("/opt/app/server".into()),
        unit: Some("server.service".into()),
        ppid: Some(1),
        euid: Some(1000),
        age_ns: Some(12_000_000_000_000),
        rss_kib: Some(214 << 10),
        vsize_kib: Some(3 << 20),
        threads: Some(3),
        limits: vec![("stack".into(), 8 << 20), ("nofile".into(), 1024)],
        ..Process::default()
    };
    record.modules = vec![
        Module {
            path: Some("/opt/app/server".into()),
            build_id: Id::from_hex("aabbccdd"),
            ..Module::default()
        },
        Module {
            path: Some("/usr/lib/libc.so.6".into()),
            build_id: Id::from_hex("00112233"),
            ..Module::default()
        },
    ];
    record.stacks = vec![
        Stack {
            frames: vec![
                frame(0, 0x4134, 0x4120, Trust::Context),
                frame(0, 0x512c, 0x5100, Trust::Cfi),
                frame(1, 0x2724a, 0x271d0, Trust::Scan),
            ],
            count: 1,
            end: Some("end".into()),
            ..Stack::default()
        },
        Stack { frames: vec![frame(1, 0x9e21, 0x9e00, Trust::Context)], count: 2, ..Stack::default() },
    ];
    record.threads = Threads {
        tid: vec![4242, 4240, 4241],
        ip: vec![Hex(0x5555_5555_8134); 3],
        sp: vec![Hex(0x7fff_0000_1000); 3],
        cpu: vec![3, 1, 0],
        stack: vec![0, 1, 1],
    };
    record.registers = vec![Registers { tid: 4242, values: (0..27).map(|n| Hex(n * 0x1111)).collect() }];
    record.keys = Keys {
        leaf: Some(Hex(0x0123_4567_89ab_cdef)),
        functions: Some(Hex(0x9c11_85a5_c5e9_fc54)),
        portable: Some(Hex(0x00aa_bbcc_ddee_ff00)),
        frames: vec![0, 1],
        ..Keys::default()
    };
    record.hardware.model_name = Some("Example CPU @ 3.00GHz".into());
    record.hardware.microcode = Some(Hex(0xf4));
    record.capture.held_us = Some(3400);
    record.capture.source = Some("live".into());
    record.capture.core_bytes = Some(3 << 30);
    record.gaps = vec![Gap::counted(Stage::Memory, "not kept", 12)];
    record
}

/// The same crash under another id, later.
pub fn later(seconds: u64, tail: &str) -> Record {
    let mut record = null_read();
    record.realtime_ns = Some(AT + seconds * 1_000_000_000);
    record.id = Id::from_hex(&format!("0199f0a6d1c87bd2a1b0c3d4{tail}")).unwrap();
    record
}

/// Writes records into a new spool at `path`.
pub fn spool(path: &Path, records: &[Record]) {
    initialise(path, None).unwrap();
    let spool = Spool::open(path).unwrap();
    for record in records {
        let id = RecordId::from(<[u8; 16]>::try_from(record.id.0.as_slice()).unwrap());
        spool.replace_with_full((id, record.private), &encode(record).unwrap()).unwrap();
    }
}

/// Runs epicore with a quiet environment.
pub fn epicore(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_epicore")).args(arguments).env_clear().env("TZ", "UTC").output().unwrap()
}

pub fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
