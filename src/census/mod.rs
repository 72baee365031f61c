//! The census: what runs on this host, and for how long, so that crashes can
//! be divided by the time in which they could have happened.
//!
//! It needs from you: root, for a moment (systemd/epicore-census.service), and
//! a spool. It gives you: one [`Exposure`] in the spool, and /run/epicore/host
//! for the crash handler. It is not for: watching; it looks once and ends.
//!
//! ```text
//! epicore-handler --census [--sampled] [--print] [--spool DIR] [--config FILE]
//!
//! root     arguments, configuration ── --sampled: now? (ledger) ── no ► end
//!          serials under the fleet's key ► /run/epicore/host, once a boot
//!          open /dev/kmsg, /proc, /sys, the spool
//!   ── confine::for_census: the spool's owner, CAP_SYS_PTRACE and
//!      CAP_DAC_READ_SEARCH, a deadline, limits
//! owner    walk /proc once ► workloads, images, one control
//!          what crash handlers counted (/run/epicore/crashes)
//!          the machine and its counters ► Exposure ► spool, or text (--print)
//! ```
//!
//! Nothing here speaks to a network; there is no code for it in the binary.
//! Damage is a gap, as in a capture. docs/exposure-format.md has every key and
//! says why the moments must be random.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )
)]

mod arguments;
mod builds;
mod cloud;
mod images;
mod json;
mod key;
mod ledger;
mod machine;
mod print;
mod random;
mod sampling;
mod storm;
mod walk;

use std::ffi::OsString;
use std::fs::File;
use std::path::Path;

use crate::capture::{of_identity, of_serials};
use crate::config::Config;
use crate::gap::{Gap, Stage};
use crate::hardware::{self, HOST_FILE, Identity, Roots, Serials};
use crate::record::{self, EXPOSURE_SCHEMA, Exposure, Lost};
use crate::spool::{Quota, Spool};
use crate::storm::{Watched, begun as storm_begun};
use crate::{confine, invocation, syscall};

use arguments::Arguments;
use ledger::Ledger;
use storm::Storms;

pub use random::Random;
pub use sampling::{decides, probability};

/// Runs one census: the words behind `--census` in, a report in the spool out.
pub fn run(words: impl IntoIterator<Item = OsString>) -> Result<(), String> {
    let arguments = Arguments::parse(words)?;
    let config = Config::load(arguments.config.as_deref());
    let mut random = Random::from_kernel().map_err(|error| format!("census: no random numbers: {error}"))?;
    let proc_root = Path::new("/proc");
    let roots = Roots::open(proc_root, &arguments.below("/sys"))
        .map_err(|error| format!("census: /proc or /sys could not be opened: {}", error.desc()))?;
    let identity = hardware::identity(&roots, &arguments.below("/etc/machine-id"));
    let (_, now) = syscall::clocks();
    let boot = identity.boot_id.unwrap_or_default();
    let mut ledger = if arguments.print { None } else { Some(Ledger::open(&arguments.run, boot)?) };
    if let Some(ledger) = &mut ledger {
        let mean = config.census_mean_seconds;
        if arguments.sampled
            && !ledger.decide(now.unwrap_or(0), |elapsed| decides(&mut random, elapsed, mean))
        {
            return Ok(());
        }
    }
    let mut gaps = Vec::new();
    let serials = serials(&arguments, &config, &roots, boot, &mut gaps);
    let mut storms = Storms::read(&arguments.run, boot);
    let log = invocation::open_log(&arguments.below("/dev/kmsg")).ok();
    let directory = arguments.spool.as_deref().unwrap_or(config.spool_directory());
    let spool =
        Spool::open(directory).map_err(|error| format!("census: {}: {error}", directory.display()))?;
    for open in confine::for_census(spool.owner()) {
        gaps.push(Gap::new(Stage::Confine, open));
    }
    // From here on with two capabilities.
    let since = ledger.as_ref().map_or(0, |ledger| ledger.census());
    let told = Told { identity, serials, since, now };
    let mut exposure = look(&arguments, config.labels.clone(), &roots, told, &mut random, &mut storms, gaps);
    let watched = Watched::read(&config.daemon.dropped_file(), &boot, spool.owner().0);
    let begun = storm_begun(&arguments.run, boot).map(|begun| begun.count);
    exposure.lost = lost(log, watched, begun, &spool, &mut exposure.gaps);
    let kept = storms.kept(&spool);
    storms.tell(&mut exposure.lost, kept);
    exposure.cost.cpu_us = machine::cpu_us();
    let payload = record::fit_exposure(&mut exposure).map_err(|error| format!("census: {error}"))?;
    let Some(mut ledger) = ledger else {
        print!("{}", print::text(&exposure));
        return Ok(());
    };
    keep(&spool, &config, &exposure, &payload)?;
    // The boots before are told now.
    if let Some(kept) = kept {
        let _ = spool.keep_storm(kept.told().text().as_bytes());
    }
    ledger.done(now.unwrap_or(0)).map_err(|error| format!("census: its ledger: {error}"))
}

/// What was known before the census looked.
struct Told {
    identity: Identity,
    serials: Serials,
    since: u64,
    now: Option<u64>,
}

/// Looks at everything, once.
fn look(
    arguments: &Arguments,
    labels: Vec<(String, String)>,
    roots: &Roots,
    told: Told,
    random: &mut Random,
    storms: &mut Storms,
    mut gaps: Vec<Gap>,
) -> Exposure {
    let seen = walk::walk(&arguments.root, roots, random, storms, &mut gaps);
    let (realtime_ns, _) = syscall::clocks();
    let mut exposure = Exposure {
        v: EXPOSURE_SCHEMA,
        id: record::new_id(),
        realtime_ns,
        boottime_ns: told.now,
        since_ns: told.now.map(|_| told.since),
        host: of_identity(told.identity),
        hardware: machine::hardware(roots, &mut gaps),
        serials: of_serials(told.serials),
        labels: cloud::labels(labels, &arguments.root),
        cpus: machine::cpus(roots, &mut gaps),
        running: seen.running,
        images: seen.images,
        control: seen.control,
        gaps: Vec::new(),
        ..Exposure::default()
    };
    exposure.cost.processes = seen.processes;
    exposure.cost.kernel_threads = seen.kernel_threads;
    exposure.cost.unread = seen.unread;
    exposure.gaps = gaps;
    exposure
}

/// The hashed serials of this boot: from the file that an earlier census left,
/// else read, hashed and left there.
fn serials(
    arguments: &Arguments,
    config: &Config,
    roots: &Roots,
    boot: [u8; 16],
    gaps: &mut Vec<Gap>,
) -> Serials {
    let Some(key_file) = &config.fleet_key_file else { return Serials::default() };
    let name = Path::new(HOST_FILE).file_name().unwrap_or_default();
    let file = arguments.run.join(name);
    let left = Serials::open(&file).and_then(|file| Serials::from_file(&file, &boot));
    if let Some(serials) = left.filter(|serials| !serials.is_empty()) {
        return serials;
    }
    match key::read(key_file) {
        Ok(key) => {
            let serials = hardware::serials(roots, &key);
            if !arguments.print
                && let Err(error) = ledger::replace(&file, serials.file(&boot).as_bytes())
            {
                gaps.push(Gap::new(Stage::Hardware, format!("the file of serials: {error}")));
            }
            serials
        }
        Err(why) => {
            gaps.push(Gap::new(Stage::Hardware, format!("no serials: {why}")));
            Serials::default()
        }
    }
}

/// What the kernel dropped: exact when epicored watches, and has looked since the last
/// handler began; else as the kernel's log tells.
fn lost(
    log: Option<File>,
    watched: Option<Watched>,
    begun: Option<u64>,
    spool: &Spool,
    gaps: &mut Vec<Gap>,
) -> Lost {
    let evicted = Some(spool.evicted());
    if let Some(Watched { since_ns, dropped, begun: then, whole, .. }) = watched {
        let (dropped, watched_ns) = (Some(dropped), Some(since_ns));
        let at_least = !whole || begun != Some(then);
        return Lost { dropped, at_least, watched_ns, evicted, ..Lost::default() };
    }
    let dropped = log.map(|mut log| invocation::dropped(&mut log, None));
    if dropped.is_none() {
        gaps.push(Gap::new(Stage::Invocation, "the kernel log could not be read"));
    }
    Lost {
        dropped: dropped.map(|dropped| dropped.total()),
        at_least: dropped.is_some_and(|dropped| dropped.is_at_least()),
        evicted,
        ..Lost::default()
    }
}

fn keep(spool: &Spool, config: &Config, exposure: &Exposure, payload: &[u8]) -> Result<(), String> {
    let id = <[u8; 16]>::try_from(exposure.id.0.as_slice()).unwrap_or_default();
    spool.write_exposure(id, payload).map_err(|error| format!("census: {error}"))?;
    let _ = spool.make_room(Quota { bytes: config.spool_bytes, records: config.spool_records }, id);
    Ok(())
}
