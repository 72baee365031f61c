//! Evidence → record: what each stage found, in the record's words.

use std::time::Duration;

use super::evidence::Evidence;
use crate::elfcore::{Origin, Thread};
use crate::invocation::Arguments;
use crate::limits;
use crate::process::{Facts, Identity, Mapping};
use crate::record::{self, Capture, Crash, Hex, Id, Kind, Process, Record, Registers, Threads, text};

/// The dump mode of a process that was not dumpable by its user.
const ROOT_ONLY: u32 = 2;

/// Whole microseconds.
pub(super) fn micros(duration: Duration) -> Option<u64> {
    u64::try_from(duration.as_micros()).ok()
}

/// The record as bytes, cut to its budget.
pub(super) fn payload(record: &mut Record) -> Result<Vec<u8>, String> {
    record::fit(record).map_err(|error| error.to_string())
}

/// Everything that needs no further work: written right after the release.
pub(super) fn minimal(evidence: &Evidence, arguments: &Arguments, id: Id) -> Record {
    let (realtime_ns, boottime_ns) = evidence.clocks;
    let private = is_private(evidence, arguments);
    let given = arguments.time.and_then(|seconds| seconds.checked_mul(1_000_000_000));
    Record {
        v: record::SCHEMA,
        id,
        kind: Kind::Minimal,
        private,
        realtime_ns: realtime_ns.or(given),
        boottime_ns,
        host: record::Host::default(),
        crash: crash(evidence, arguments),
        process: process(evidence),
        threads: threads(evidence),
        registers: registers(evidence, private),
        capture: Capture {
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            source: Some(evidence.source.to_owned()),
            held_us: evidence.held.and_then(micros),
            total_us: None,
            stream_bytes: Some(evidence.stream_bytes),
            kept_bytes: Some(evidence.image.len()),
            core_bytes: Some(evidence.head.core_bytes()),
            identity: evidence.identity.map(|identity| identity_name(identity).to_owned()),
            killed: evidence.killed,
            run_uid: Some(nix::unistd::geteuid().as_raw()).filter(|uid| *uid != 0),
            unconfined: evidence.unconfined.clone(),
        },
        gaps: evidence.gaps.clone(),
        ..Record::default()
    }
}

fn identity_name(identity: Identity) -> &'static str {
    match identity {
        Identity::Pidfd => "pidfd",
        Identity::StartTime => "starttime",
        Identity::Lost => "none",
    }
}

/// Privileged processes stay in the private part of the spool. Without the
/// kernel's word on the dump mode nobody is taken for harmless.
fn is_private(evidence: &Evidence, arguments: &Arguments) -> bool {
    let live = arguments.pid.is_some();
    // Nor without the auxiliary vector's word on AT_SECURE (a 32-bit core).
    let unsaid = live && (arguments.dump_mode.is_none() || !evidence.head.auxv.complete);
    let changed = evidence.facts.as_ref().is_some_and(|facts| facts.status.ids_differ);
    unsaid || arguments.dump_mode == Some(ROOT_ONLY) || evidence.head.auxv.secure || changed
}

fn crash(evidence: &Evidence, arguments: &Arguments) -> Crash {
    let head = &evidence.head;
    let info = head.siginfo;
    let origin = info.map(|info| info.origin);
    let sender = match origin {
        Some(Origin::Sender { pid, uid }) => Some((pid, uid)),
        _ => None,
    };
    let replayed = arguments.pid.is_none();
    let note = head.prpsinfo.as_ref().filter(|_| replayed);
    Crash {
        pid: arguments.pid.or(note.map(|info| info.pid)),
        tid: arguments.tid.or(head.threads.first().filter(|_| replayed).map(|thread| thread.tid)),
        uid: arguments.uid.or(note.map(|info| info.uid)),
        gid: arguments.gid.or(note.map(|info| info.gid)),
        dump: arguments.dump_mode,
        signal: arguments.signal.or(info.map(|info| info.signal)),
        code: info.map(|info| info.code),
        errno: info.map(|info| info.errno).filter(|errno| *errno != 0),
        addr: match origin {
            Some(Origin::Fault(address) | Origin::Syscall { address, .. }) => Some(Hex(address.0)),
            _ => None,
        },
        sender_pid: sender.map(|(pid, _)| pid),
        sender_uid: sender.map(|(_, uid)| uid),
        cpu: arguments.cpu,
        core_limit: arguments.core_limit,
    }
}

fn process(evidence: &Evidence) -> Process {
    let head = &evidence.head;
    let threads = u32::try_from(head.threads.len()).ok().filter(|count| *count > 0);
    let mut process =
        Process { comm: head.prpsinfo.as_ref().map(|info| text(&info.comm)), threads, ..Process::default() };
    if let Some(facts) = &evidence.facts {
        add_facts(&mut process, facts, evidence.clocks.1);
    }
    process
}

/// Facts of /proc, in the record's words; `now` is CLOCK_BOOTTIME.
pub fn add_facts(process: &mut Process, facts: &Facts, now: Option<u64>) {
    let status = &facts.status;
    let link = facts.exe.as_ref().map(|exe| Mapping { path: exe.clone(), ..Mapping::default() });
    process.thread_comm = facts.thread_comm.as_ref().map(|comm| text(comm));
    process.exe = link.as_ref().map(|exe| text(exe.clean_path()));
    process.gone = link.as_ref().is_some_and(Mapping::is_deleted);
    process.euid = status.uid.map(|(_, effective)| effective);
    process.ppid = status.ppid;
    process.nspid = status.namespace_pid.filter(|pid| Some(*pid) != status.tgid);
    process.cgroup = facts.cgroup.path.as_ref().map(|path| text(path));
    process.unit = facts.cgroup.unit.as_ref().map(|unit| text(unit));
    process.user_unit = facts.cgroup.user_unit.as_ref().map(|unit| text(unit));
    process.container = facts.cgroup.container.clone();
    process.namespaces = facts.namespaces.clone();
    process.start_ns = facts.start_ns;
    process.age_ns = facts.start_ns.zip(now).and_then(|(start, now)| now.checked_sub(start));
    process.rss_kib = status.rss_kib;
    process.vsize_kib = status.vsize_kib;
    process.threads = process.threads.or(status.threads);
    process.limits = facts.limits.clone();
}

fn threads(evidence: &Evidence) -> Threads {
    let all = &evidence.head.threads;
    let of = |pick: fn(&Thread) -> Hex| all.iter().map(pick).collect();
    let cpu = |cpu: &Option<u32>| cpu.and_then(|cpu| i32::try_from(cpu).ok()).unwrap_or(-1);
    Threads {
        tid: all.iter().map(|thread| thread.tid).collect(),
        ip: of(|thread| Hex(thread.registers.ip().0)),
        sp: of(|thread| Hex(thread.registers.sp().0)),
        cpu: evidence.cpus.iter().map(cpu).collect(),
        stack: Vec::new(),
    }
}

fn registers(evidence: &Evidence, private: bool) -> Vec<Registers> {
    // Of a privileged program no more than the crash needs.
    let most = if private { 1 } else { limits::RECORD_REGISTERS };
    let kept = evidence.head.threads.iter().take(most);
    kept.map(|thread| Registers {
        tid: thread.tid,
        values: thread.registers.values().iter().map(|value| Hex(*value)).collect(),
    })
    .collect()
}
