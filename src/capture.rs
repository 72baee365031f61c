//! Kernel → record, on one screen.
//!
//! It needs from you: the arguments and standard input that the kernel gave.
//! It gives you: a record in the spool, first a minimal one right after the
//! crashed task is released, then the full one in its place. It is not for
//! waiting: until the release every step is there because it cannot be done
//! later.
//!
//! ```text
//! count it → open what root must open → confine → throttled? → head → plan →
//! live memory, facts, files → close stdin: the task is reaped → drop everything
//! → minimal record → unwind, key, ask the machine → full record over the
//! minimal one → count what became of it
//! ```

mod abort_message;
mod admission;
mod analysis;
mod assembly;
mod evidence;
mod fault;
mod kmsg;
mod machine;
mod mappings;
mod registers;
mod slow;

use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::config::Config;
use crate::elfcore::Head;
use crate::gap::{Gap, Stage};
use crate::hardware::{HOST_FILE, Roots, Serials};
use crate::invocation::{Arguments, pipe_inode, still_holds, take_stdin};
use crate::memory::Stream;
use crate::process::{self, Directory};
use crate::record::{Kind, Record};
use crate::spool::{Quota, Spool, Stamp};
use crate::storm::{Outcome, Storm, Verdict, enter, writes};
use crate::{confine, record, syscall};

pub use assembly::add_facts;
pub use machine::{of_hardware, of_identity, of_serials};

use evidence::Evidence;
use kmsg::Kmsg;

/// While this file is there, crashes leave nothing, and cost no more than the start of the handler.
pub const KILL_SWITCH: &str = "/run/epicore/disabled";

/// Runs the handler: the kernel's arguments in, a record in the spool out.
pub fn from_kernel(arguments: Arguments) -> Result<(), String> {
    let started = Instant::now();
    if Path::new(KILL_SWITCH).exists() {
        return Ok(());
    }
    // Before anything else is opened: the number must still mean what the
    // kernel meant by it.
    let pidfd = arguments.pidfd.and_then(|fd| syscall::adopt(i32::try_from(fd).ok()?).ok());
    let mut storm = admission::begin(&arguments);
    storm.expect_the_worst(arguments.tid);
    let done = handle(&arguments, started, pidfd.as_ref(), &mut storm);
    storm.end(*done.as_ref().unwrap_or(&Outcome::Failed));
    done.map(drop)
}

fn handle(
    arguments: &Arguments,
    started: Instant,
    pidfd: Option<&OwnedFd>,
    storm: &mut Storm,
) -> Result<Outcome, String> {
    let kmsg = Kmsg::open();
    let stdin = take_stdin().map_err(|error| kmsg.say(arguments, &format!("no standard input: {error}")))?;
    let config = Config::load(arguments.config.as_deref());
    if config.drops(arguments.core_limit) {
        return Ok(Outcome::Unwanted);
    }
    let directory = arguments.spool.as_deref().unwrap_or(config.spool_directory());
    let spool = Spool::open(directory).map_err(|error| kmsg.say(arguments, &error.to_string()))?;
    storm.let_read(spool.owner().1);
    let proc_root = Directory::open(Path::new("/proc")).ok();
    let machine = Roots::open(Path::new("/proc"), Path::new("/sys")).ok();
    let host_file = Serials::open(Path::new(HOST_FILE));
    let cgroup = config.analysis_cgroup.as_deref().map(confine::Cgroup::open);
    process::learn_memory_device();
    let needs = confine::Needs { owner: spool.owner(), kill: config.release.kills() };
    enter(Stage::Confine);
    let mut unconfined = confine::before_first_byte(needs);
    if nix::unistd::geteuid().is_root() && spool.owner().0 != 0 {
        drop(stdin);
        return Err(kmsg.say(arguments, "root could not be given up: nothing of the crash was read"));
    }
    let crashed = admission::who(storm, arguments, proc_root.as_ref());
    let Verdict::Admitted(share) = admission::decide(storm, crashed, &config) else {
        drop(stdin);
        admission::let_go(storm, &spool, proc_root.as_ref());
        return Ok(Outcome::Suppressed);
    };

    // The task is held from here …
    let pipe = pipe_inode(&stdin);
    let mut stream = Stream::new(stdin);
    let mut evidence = Evidence::from_crash(&mut stream, arguments, proc_root.as_ref(), pidfd);
    evidence.end_sparse_walk(&config.release, pidfd);
    enter(Stage::Confine);
    let has_slot = storm.take_slot(config.analysis_slots, share);
    drop(stream.into_inner());
    evidence.held = Some(started.elapsed());
    // … to here.

    let _ = confine::analysis_deadline();
    let (written, trees) =
        (spool.directories().collect::<Vec<_>>(), machine.as_ref().map(Roots::directories));
    unconfined.extend(confine::after_release(&written, trees.as_ref().map_or(&[][..], |trees| trees)));
    if pipe.is_some_and(still_holds) {
        evidence.gaps.push(Gap::new(Stage::Invocation, "a duplicate of standard input holds the task"));
    }
    evidence.unconfined = unconfined;
    evidence.gaps.extend(admission::uncounted(storm));
    let quota = Quota { bytes: config.spool_bytes, records: config.spool_records };
    let keep = |record: &mut Record| {
        assembly::payload(record).and_then(|bytes| write(&spool, quota, record, &bytes))
    };
    let say = |error: String| kmsg.say(arguments, &error);
    let mut minimal = assembly::minimal(&evidence, arguments, record::new_id());
    writes(&minimal.id.0);
    minimal.storm = admission::told(storm, crashed, proc_root.as_ref());
    enter(Stage::Spool);
    let mut first = minimal.clone();
    first.gaps.extend((!has_slot).then(admission::no_slot));
    let first = keep(&mut first).map_err(say);
    minimal.capture.unconfined.extend(confine::let_others_go_first(cgroup));
    let outcome = if has_slot || storm.wait_for_slot(config.analysis_slots, share) {
        let mut full = analysis::run(minimal, &evidence, machine.as_ref(), host_file.as_ref());
        full.capture.total_us = assembly::micros(started.elapsed());
        enter(Stage::Spool);
        // The same disk refuses twice: one line a crash is enough.
        match (keep(&mut full), first) {
            (Ok(()), _) => {
                kmsg.tell(arguments, &full.id.0);
                Ok(Outcome::Recorded)
            }
            (Err(_), Err(said)) => Err(said),
            (Err(error), Ok(())) => Err(say(error)),
        }
    } else {
        first.map(|()| Outcome::Unanalysed)
    };
    admission::keep(storm, &spool, proc_root.as_ref());
    outcome
}

/// The minimal record makes room for itself, the full one takes its place.
fn write(spool: &Spool, quota: Quota, record: &Record, payload: &[u8]) -> Result<(), String> {
    let id = <[u8; 16]>::try_from(record.id.0.as_slice()).unwrap_or_default();
    let stamp = Stamp { id: id.into(), private: record.private, group: record::group(record) };
    let result = match record.kind {
        Kind::Minimal => {
            let written = spool.write_minimal(stamp, payload);
            let _ = spool.make_room(quota, id);
            written
        }
        Kind::Full | Kind::Replay => spool.replace_with_full(stamp, payload),
    };
    result.map_err(|error| error.to_string())
}

/// Makes the record of a core that somebody kept: the same code, fed from a
/// stream, with no process to ask. What only a live process knows is a gap.
/// `places` are directories in which module files of the same build may be.
pub fn replay(input: impl Read, places: &[PathBuf]) -> Record {
    let started = Instant::now();
    let mut stream = Stream::new(input);
    let head = stream.head();
    replayed(&mut stream, head, places, started)
}

/// The same from a file, which can be read twice: gdb's gcore writes the notes
/// behind the segments.
pub fn replay_file(file: &File, places: &[PathBuf]) -> Record {
    let started = Instant::now();
    let mut stream = Stream::new(file);
    let head = stream.head();
    let behind = head.segments.iter().any(|segment| segment.file_size > 0 && segment.offset < head.position);
    if behind && (&*file).rewind().is_ok() {
        stream = Stream::new(file);
    }
    replayed(&mut stream, head, places, started)
}

fn replayed<R: Read>(stream: &mut Stream<R>, head: Head, places: &[PathBuf], started: Instant) -> Record {
    // Paths out of a core count only when they are absolute; so do these.
    let places: Vec<PathBuf> = places.iter().filter_map(|place| place.canonicalize().ok()).collect();
    let evidence = Evidence::from_core(stream, head, &places);
    let minimal = assembly::minimal(&evidence, &Arguments::default(), record::new_id());
    let mut record = analysis::run(minimal, &evidence, None, None);
    record.kind = Kind::Replay;
    record.gaps.push(Gap::new(Stage::Process, "replay: no process to ask"));
    record.capture.total_us = assembly::micros(started.elapsed());
    record
}
