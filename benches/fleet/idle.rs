//! A daemon with nothing to do: its memory, and how often it wakes up. And one
//! whose collector is gone while a record waits: how often it tries.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use epicore::record::{Host, Kind, Record, encode, new_id};
use epicore::spool::{Spool, initialise};

use super::options::Options;
use super::place::{Daemon, Place, nodename};
use super::report::Report;

const PEAK_MIB: f64 = 20.0;
/// After its last record a daemon keeps its connection for half a minute.
const SETTLES: Duration = Duration::from_secs(45);

pub(crate) fn run(options: &Options, report: &mut Report) -> Result<(), String> {
    super::place::program("epicored")?;
    let place = Place::prepare(options)?;
    let spool = empty(&place, "spool")?;
    let seconds = options.pick(60, 20);
    // One that has worked: its client was made, and let go.
    one_record(&spool)?;
    let collector = place.collector()?;
    let daemon = Daemon::start(&place, &spool, collector.address.port())?;
    std::thread::sleep(SETTLES);
    let (before, cpu) = (daemon.meter().switches(), daemon.meter().cpu());
    std::thread::sleep(Duration::from_secs(seconds));
    let wakes = (daemon.meter().switches() - before) as f64 * 60.0 / seconds as f64;
    let cpu = daemon.meter().cpu() - cpu;
    let (resident, own) = daemon.meter().resident_mib();
    daemon.stop();
    collector.stop();
    report.title(&format!("idle: epicored for {seconds} s, everything sent, its collector there"));
    report.line(&format!("{resident:9.1} MiB resident, {own:.1} of them its own (not a file's)"));
    report.line(&format!("{wakes:9.1} wake-ups a minute, {} ms of CPU", cpu.as_millis()));
    report.keep("idle", [("resident MiB", resident), ("wake-ups a minute", wakes)]);
    report.promise(
        resident <= PEAK_MIB,
        &format!("an idle epicored has {resident:.1} MiB: at most {PEAK_MIB}"),
    );
    report.promise(wakes == 0.0, &format!("an idle epicored wakes up {wakes:.1} times a minute: never"));
    outage(options, &place, report)
}

/// A record waits, and whoever stands for the collector hangs up.
fn outage(options: &Options, place: &Place, report: &mut Report) -> Result<(), String> {
    let spool = empty(place, "outage")?;
    one_record(&spool)?;
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    let tries = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&tries);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            drop(stream);
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    let minutes = options.pick(10, 1);
    let daemon = Daemon::start(place, &spool, port)?;
    std::thread::sleep(Duration::from_secs(60 * minutes));
    let switches = daemon.meter().switches();
    let tries = tries.load(Ordering::Relaxed);
    report.title(&format!(
        "idle: epicored for {minutes} min from its start, one record pending, its collector hangs up"
    ));
    report.line(&format!(
        "{tries:9} tries, {switches} wake-ups in all, {} ms of CPU",
        daemon.meter().cpu().as_millis()
    ));
    report.keep("outage, tries", tries);
    daemon.stop();
    Ok(())
}

fn empty(place: &Place, name: &str) -> Result<PathBuf, String> {
    let spool = place.path(name);
    std::fs::create_dir(&spool).map_err(|error| error.to_string())?;
    initialise(&spool, None).map_err(|error| error.to_string())?;
    Ok(spool)
}

/// Writes one, as a handler does.
fn one_record(spool: &Path) -> Result<(), String> {
    let record = Record {
        v: epicore::record::SCHEMA,
        id: new_id(),
        kind: Kind::Full,
        host: Host { name: Some(nodename()), ..Host::default() },
        ..Record::default()
    };
    let id: [u8; 16] = record.id.0.as_slice().try_into().expect("sixteen bytes");
    let payload = encode(&record).map_err(|error| error.to_string())?;
    let spool = Spool::open(spool).map_err(|error| error.to_string())?;
    spool.replace_with_full((id, false), &payload).map_err(|error| error.to_string())
}
