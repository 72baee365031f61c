//! No register value leaves the host unless that is configured: a program dies
//! with canaries in its registers, the real handler writes its record, the real
//! epicored posts it, and every byte of the batch is searched.
//!
//! Needs root (core_pattern) and x86_64; says so and passes without.

mod support;

#[path = "support/daemon.rs"]
mod daemon;
#[path = "support/fake_collector.rs"]
mod fake_collector;

use std::path::Path;
use std::process::{Command, Stdio};

use daemon::Place;
use epicore::record::{Record, decode};
use fake_collector::Collector;
use support::observe::{Observatory, Watch, dumped, records};

/// Values that no address, counter or hash of the machine has by chance.
fn canaries() -> Vec<u64> {
    let mut random = fastrand::Rng::new();
    (0..5).map(|_| random.u64(..) | 0x8100_0000_0000_0081).collect()
}

/// How often a value, or its seven upper bytes, shows in these bytes in either
/// order: whole, or with the low bits cut off as an alignment would.
fn found(values: &[u64], bytes: &[u8]) -> usize {
    let shows = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    let hidden = |value: &&u64| {
        let (big, little) = (value.to_be_bytes(), value.to_le_bytes());
        shows(&big[..7]) || shows(&little[1..]) || shows(format!("{value:x}").as_bytes())
    };
    values.iter().filter(hidden).count()
}

/// Forwards everything in `spool` under this setting: the batches, and what
/// the record has become.
fn forwarded(spool: &Path, setting: &str) -> (Vec<u8>, Record) {
    let (place, collector) = (Place::new(), Collector::start());
    for entry in std::fs::read_dir(spool).unwrap().flatten() {
        if entry.file_name().to_string_lossy().ends_with(".rec") {
            std::fs::copy(entry.path(), place.path("spool").join(entry.file_name())).unwrap();
        }
    }
    place.configure(Some(&collector.url()), &format!("[forward]\nregisters = \"{setting}\"\n"));
    let _daemon = place.start();
    collector.until("it is stored", |state| state.stored.len() == 1);
    let state = collector.state.0.lock().unwrap();
    let posted = state.seen.iter().flat_map(|seen| seen.opened.clone()).collect();
    let (_, _, body) = state.stored.values().next().unwrap();
    (posted, decode(body).unwrap())
}

#[test]
fn register_values_stay_on_the_host() {
    if cfg!(not(target_arch = "x86_64")) {
        return println!("skipped: the program is for x86_64");
    }
    let Some(observatory) = Observatory::open() else { return };
    let values = canaries();
    let spool = observatory.spool("s");
    let mut command = Command::new(support::workshop::helper("register_canary"));
    command.args(values.iter().map(|value| format!("{value:x}"))).stdout(Stdio::null());
    command.env_clear();
    let seen = observatory.crash(Watch::Usage, &spool, &mut command);
    assert!(dumped(seen.status, 11), "{:?}", seen.status);
    let local = records(&spool).pop().expect("a record");
    let (_, file) = (local.id.clone(), std::fs::read(spool.join(format!("{}.rec", local.id.hex()))).unwrap());
    assert_eq!(found(&values, &file), values.len(), "the host's own record has them");

    let (posted, record) = forwarded(&spool, "full");
    assert_eq!(found(&values, &posted), values.len(), "the search finds what is there");
    assert_eq!(record, local);

    let (posted, record) = forwarded(&spool, "classified");
    assert_eq!(found(&values, &posted), 0);
    assert!(record.registers.is_empty());
    assert_eq!(record.register_classes, local.register_classes);

    let (posted, record) = forwarded(&spool, "none");
    assert_eq!(found(&values, &posted), 0);
    assert_eq!((record.registers.len(), record.register_classes.class.len()), (0, 0));
}
