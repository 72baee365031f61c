//! A daemon after a long outage: a spool full of pending records, drained into
//! a collector, and again into [`Null`], which keeps nothing.
//!
//! The records are a few thousand real ones over and over, each under an id of
//! its own, written without fsync: how they came there is not what is timed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use epicore::record::{Id, Record, encode};
use epicore::spool::{Header, RecordId, initialise};

use super::captured;
use super::meter::{Meter, ms};
use super::null::Null;
use super::options::Options;
use super::place::{Daemon, Place, nodename};
use super::report::Report;
use super::sender::now;
use super::simulated::Fleet;

/// Distinct records.
const SAMPLES: u64 = 2000;
/// How long one drain may take.
const PATIENCE: Duration = Duration::from_secs(3600);
/// What one record needs on disk here: a block, its name, and the store's row.
const ROOM: u64 = 8192;

pub(crate) fn run(options: &Options, report: &mut Report) -> Result<(), String> {
    super::place::program("epicored")?;
    let count = options.records;
    let free = free_bytes(&options.at);
    if free < count * ROOM {
        return Err(format!("{} MiB are free, {} are needed", free >> 20, (count * ROOM) >> 20));
    }
    let place = Place::prepare(options)?;
    let spool = place.path("spool");
    fs::create_dir(&spool).map_err(|error| error.to_string())?;
    initialise(&spool, None).map_err(|error| error.to_string())?;
    let began = Instant::now();
    let bytes = write(&spool, count, &captured::records(options).0)?;
    eprintln!("fleet: {count} files in {:.0} s", began.elapsed().as_secs_f64());
    report.title(&format!("daemon: a spool of {count} pending records, {bytes} bytes each"));
    report.line(&format!(
        "{:16} {:>8} {:>10} {:>20} {:>14} {:>16}",
        "", "s", "records/s", "CPU ms/1000: daemon", "collector", "daemon peak MiB"
    ));
    let collector = place.collector()?;
    let seq = || seq(&place.path("fleet.db"));
    let drained = drain(&place, &spool, count, collector.address.port(), Some(collector.meter()), &seq)?;
    show("a collector", count, &drained, report);
    report.keep("daemon, into a collector", &drained);
    collector.stop();
    place.forget();
    pend_again(&spool)?;
    let null = Null::start(&place)?;
    let drained = drain(&place, &spool, count, null.address.port(), None, &|| null.items())?;
    show("into nothing", count, &drained, report);
    report.keep("daemon, into nothing", &drained);
    Ok(())
}

/// What a drain took.
#[derive(serde::Serialize)]
struct Drained {
    seconds: f64,
    daemon_cpu_ms: f64,
    collector_cpu_ms: f64,
    peak_mib: f64,
}

fn show(what: &str, count: u64, drained: &Drained, report: &mut Report) {
    let thousands = count as f64 / 1e3;
    report.line(&format!(
        "{what:16} {:>8.1} {:>10.0} {:>20.1} {:>14.1} {:>16.1}",
        drained.seconds,
        count as f64 / drained.seconds,
        drained.daemon_cpu_ms / thousands,
        drained.collector_cpu_ms / thousands,
        drained.peak_mib,
    ));
}

/// From the daemon's start until no name says that it is pending.
fn drain(
    place: &Place,
    spool: &Path,
    count: u64,
    port: u16,
    collector: Option<Meter>,
    taken: &dyn Fn() -> u64,
) -> Result<Drained, String> {
    let cpu = || collector.map_or(Duration::ZERO, Meter::cpu);
    let (began, before) = (Instant::now(), cpu());
    let daemon = Daemon::start(place, spool, port)?;
    // Listing a million names takes a second of a processor: first the other
    // end is asked, and only then the spool.
    while taken() < count || pending(spool) > 0 {
        if began.elapsed() > PATIENCE {
            return Err(format!("{} of {count} after an hour; {}", taken(), place.said("epicored.log")));
        }
        std::thread::sleep(Duration::from_millis(250));
    }
    let drained = Drained {
        seconds: began.elapsed().as_secs_f64(),
        daemon_cpu_ms: ms(daemon.meter().cpu()),
        collector_cpu_ms: ms(cpu() - before),
        peak_mib: daemon.meter().peak_mib(),
    };
    daemon.stop();
    Ok(drained)
}

/// Records of this host, each under its own id; the mean of their bytes.
fn write(spool: &Path, count: u64, records: &[Record]) -> Result<u64, String> {
    let samples = samples(records);
    let begin = now() - count * 1_000_000;
    let mut bytes = 0;
    for n in 0..count {
        let (at, payload) = &samples[usize::try_from(n % SAMPLES).expect("small")];
        let id = id(begin + n * 1_000_000, n);
        let mut payload = payload.clone();
        payload[*at..*at + 16].copy_from_slice(&id);
        let header = Header { id: RecordId(id), full: true, private: false, group: n % 40 };
        let file = header.frame(&payload).ok_or("a record is too large")?;
        bytes += file.len() as u64;
        let name = format!("{}.rec", Id(id.to_vec()).hex());
        fs::write(spool.join(name), file).map_err(|error| error.to_string())?;
    }
    Ok(bytes / count)
}

/// Payloads, and where in each its id is.
fn samples(records: &[Record]) -> Vec<(usize, Vec<u8>)> {
    let mut fleet = Fleet::new(3, SAMPLES);
    fleet.like(records);
    let (_, items) = fleet.batch(SAMPLES);
    let own = |item: epicore::store::Incoming| {
        let mut record = epicore::record::decode(&item.body).expect("a record");
        record.host.name = Some(nodename());
        let payload = encode(&record).expect("a record");
        let at = payload.windows(16).position(|window| window == item.id).expect("its id");
        (at, payload)
    };
    items.into_iter().map(own).collect()
}

/// A UUIDv7 of this moment.
fn id(at: u64, n: u64) -> [u8; 16] {
    let mut id = [0; 16];
    id[..6].copy_from_slice(&(at / 1_000_000).to_be_bytes()[2..]);
    (id[6], id[8]) = (0x70, 0x80);
    id[9..].copy_from_slice(&n.to_be_bytes()[1..]);
    id
}

fn names(spool: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(spool).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn pending(spool: &Path) -> usize {
    names(spool).filter(|path| path.extension().is_some_and(|e| e == "rec")).count()
}

/// What was acknowledged is pending again.
fn pend_again(spool: &Path) -> Result<(), String> {
    let sent: Vec<PathBuf> =
        names(spool).filter(|path| path.extension().is_some_and(|e| e == "sent")).collect();
    for path in sent {
        fs::rename(&path, path.with_extension("")).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Records that the store has numbered.
fn seq(database: &Path) -> u64 {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let asked = rusqlite::Connection::open_with_flags(database, flags).and_then(|file| {
        file.query_row("SELECT n - 1 FROM number WHERE name = 'seq'", [], |row| row.get::<_, i64>(0))
    });
    asked.map_or(0, |n| u64::try_from(n).unwrap_or(0))
}

fn free_bytes(at: &Path) -> u64 {
    nix::sys::statvfs::statvfs(at).map_or(0, |fs| fs.blocks_available() * fs.fragment_size())
}
