//! Storms: whether a crash leaves a record, decided before anything of it is
//! read, and what records and the spool are told of those that did not.
//!
//! The decision needs three numbers of one file, which executable crashed, and is
//! the first thing that is done without uid 0: what is suppressed is let go
//! before its core is looked at.

use std::os::fd::AsFd;
use std::path::Path;

use crate::config::Config;
use crate::gap::{Gap, Stage};
use crate::hardware;
use crate::invocation::Arguments;
use crate::process::{self, Directory};
use crate::spool::Spool;
use crate::storm::{Crashed, Kept, Key, RUN, Rate, Rules, Share, Storm, Sums, Verdict, ask};
use crate::{confine, record};

/// The first act: this handler is counted.
pub(super) fn begin(arguments: &Arguments) -> Storm {
    Storm::begin(arguments.run.as_deref().unwrap_or(Path::new(RUN)), hardware::boot_id())
}

/// Which executable crashed, and whose, where that can be known.
pub(super) fn who(storm: &Storm, arguments: &Arguments, proc_root: Option<&Directory>) -> Crashed {
    let secret = storm.secret();
    let executable = || {
        let task = arguments.tid.or(arguments.pid);
        let file = process::executable(proc_root?, task?).ok()?;
        Some(Key::of(&secret, &file, arguments.uid?))
    };
    Crashed { executable: executable(), user: arguments.uid.and_then(|uid| Key::of_user(&secret, uid)) }
}

/// Whether its crash leaves a record.
pub(super) fn decide(storm: &Storm, crashed: Crashed, config: &Config) -> Verdict {
    let throttle = &config.throttle;
    if !throttle.enabled {
        return Verdict::Admitted(Share::Within);
    }
    let rules = Rules {
        executable: Rate::new(throttle.executable_burst, throttle.executable_per_minute),
        user: Rate::new(throttle.burst.div_ceil(4), throttle.per_minute.div_ceil(4)),
        overall: Rate::new(throttle.burst, throttle.per_minute),
    };
    storm.decide(crashed, &rules)
}

/// What a record must say of a ledger that is missing.
pub(super) fn uncounted(storm: &Storm) -> Option<Gap> {
    storm.missing().map(|errno| {
        Gap::new(Stage::Invocation, format!("crashes are neither counted nor throttled: {}", errno.desc()))
    })
}

/// What the minimal record of a crash says for which there was no slot yet.
pub(super) fn no_slot() -> Gap {
    Gap::new(Stage::Confine, "not analysed: no slot of analysis.slots was free")
}

/// What a record says of the crashes that left less.
pub(super) fn told(storm: &Storm, crashed: Crashed, proc_root: Option<&Directory>) -> record::Storm {
    let totals = storm.totals(&ask(proc_root)).unwrap_or_default();
    record::Storm {
        own: crashed.executable.map_or(0, |key| storm.suppressed(key)),
        suppressed: totals.suppressed,
        unanalysed: totals.unanalysed,
        failed: totals.failed,
        lost: totals.lost.unwrap_or(0),
    }
}

/// Copies the numbers to the spool, when it is time; unprivileged.
pub(super) fn keep(storm: &Storm, spool: &Spool, proc_root: Option<&Directory>) {
    if storm.is_due() {
        copy(storm, spool, proc_root);
    }
}

/// What is left to do when the task was let go at once.
pub(super) fn let_go(storm: &Storm, spool: &Spool, proc_root: Option<&Directory>) {
    if storm.is_due() {
        // Reads /proc, to see who lives.
        let (written, read) = (spool.directories().collect::<Vec<_>>(), proc_root.map(Directory::as_fd));
        let _ = confine::after_release(&written, read.as_slice());
        copy(storm, spool, proc_root);
    }
}

fn copy(storm: &Storm, spool: &Spool, proc_root: Option<&Directory>) {
    // The old ones first: what is counted after them is no less.
    let old = spool.storm().and_then(|text| Kept::parse(&text));
    let Some(totals) = storm.totals(&ask(proc_root)) else { return };
    let kept = Kept::next(old, storm.boot(), Sums::from(totals));
    let _ = spool.keep_storm(kept.text().as_bytes());
}
