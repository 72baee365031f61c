//! The collector while it is filled, beside a bare loop of the same rows.
//!
//! Each round makes new records, then has 1, 2 and 4 senders through TLS into a
//! collector in random order, each into an empty file and each followed by
//! [`bare`] (one thread, prepared INSERTs of the rows that this collector made,
//! without its dictionaries and roll-ups), which it is divided by.
//! Senders and collector share the machine's processors; the bare loop has
//! them alone. At the end one collector takes all the records of the study.

use epicore::record::Record;

use super::bare::{Bare, rows};
use super::captured;
use super::meter::ms;
use super::options::Options;
use super::place::Place;
use super::report::{Report, spread};
use super::sender::{BATCH, Batch, Sent, send};
use super::simulated::Fleet;
use super::statistics::{Random, quantile, sorted};

const SENDERS: [usize; 3] = [1, 2, 4];
/// A fleet sends from many hosts at once: the promise is about so many.
const PROMISED: usize = 2;
const RATIO: f64 = 0.6;
const PEAK_MIB: f64 = 200.0;
/// Records that are made, then sent, before the next are made.
const PORTION: u64 = 100_000;

/// Samples of one number of senders.
#[derive(Default)]
struct Way {
    speed: Vec<f64>,
    ratio: Vec<f64>,
    posts: Vec<f64>,
    collector_cpu: Vec<f64>,
    client_cpu: Vec<f64>,
    peak: Vec<f64>,
}

/// Rounds, then the whole store; the place that it lies in.
pub(crate) fn run(options: &Options, report: &mut Report) -> Result<Place, String> {
    let place = Place::prepare(options)?;
    let (records, how) = captured::records(options);
    rounds(options, &place, &records, &how, report)?;
    fill(options, &place, &records, Some(report))?;
    Ok(place)
}

fn rounds(
    options: &Options,
    place: &Place,
    records: &[Record],
    how: &str,
    report: &mut Report,
) -> Result<(), String> {
    let count = (options.records * 3 / 10).next_multiple_of(BATCH);
    let mut fleet = Fleet::new(1, options.rounds * count);
    fleet.like(records);
    let (mut bare, mut ways) = (Vec::new(), [Way::default(), Way::default(), Way::default()]);
    let mut random = Random::new(7);
    let mut bytes = 0.0;
    for round in 0..options.rounds {
        let batches = portion(&mut fleet, count);
        bytes = mean_bytes(&batches);
        let mut order = [0, 1, 2];
        random.shuffle(&mut order);
        for which in order {
            eprintln!("fleet: ingest: round {round}, {} senders", SENDERS[which]);
            place.forget();
            once(place, &batches, SENDERS[which], &mut ways[which])?;
            // The bare loop needs rows that a collector made; the disk's mood
            // changes, so each has a bare loop right behind it.
            eprintln!("fleet: ingest: round {round}, bare");
            let speed = bare_speed(place, count);
            bare.push(speed);
            let way = &mut ways[which];
            way.ratio.push(way.speed.last().copied().unwrap_or(f64::NAN) / speed);
        }
    }
    report.title(&format!(
        "ingest: {} rounds of {count} records in batches of {BATCH}; {how}; {bytes:.0} bytes each",
        options.rounds
    ));
    table(&bare, &ways, report);
    for (senders, way) in SENDERS.iter().zip(&ways) {
        let what = format!(
            "a collector with {senders} senders takes {} of a bare loop's rows a second: at least {RATIO}",
            spread(&way.ratio, 2)
        );
        if *senders == PROMISED {
            report.promise(super::statistics::median(&way.ratio) >= RATIO, &what);
        }
        report.keep(&format!("ingest, {senders} senders, rows/s"), &way.speed);
        report.keep(&format!("ingest, {senders} senders, of bare"), &way.ratio);
        report.keep(&format!("ingest, {senders} senders, ms of a POST"), &way.posts);
    }
    report.keep("ingest, bare, rows/s", &bare);
    Ok(())
}

fn table(bare: &[f64], ways: &[Way; 3], report: &mut Report) {
    report.line(&format!(
        "{:17} {:>24} {:>20} {:>9} {:>9}   {:>14} {:>14} {:>9}",
        "", "rows/s", "of the bare loop", "POST p50", "p99 ms", "CPU ms/1000:", "", "peak MiB"
    ));
    report.line(&format!("{:97} {:>14} {:>14}", "", "collector", "sender"));
    report.line(&format!("{:17} {:>24}", "bare INSERT loop", spread(bare, 0)));
    for (senders, way) in SENDERS.iter().zip(ways) {
        let posts = sorted(way.posts.iter().copied());
        let name = if *senders == 1 { "1 sender".to_owned() } else { format!("{senders} senders") };
        report.line(&format!(
            "{name:17} {:>24} {:>20} {:>9.1} {:>9.1}   {:>14.1} {:>14.1} {:>9.0}",
            spread(&way.speed, 0),
            spread(&way.ratio, 2),
            quantile(&posts, 0.5),
            quantile(&posts, 0.99),
            super::statistics::median(&way.collector_cpu),
            super::statistics::median(&way.client_cpu),
            way.peak.iter().copied().fold(0.0, f64::max),
        ));
    }
}

/// One collector, one number of senders, one empty file.
fn once(place: &Place, batches: &[Batch], senders: usize, way: &mut Way) -> Result<(), String> {
    let collector = place.collector()?;
    let meter = collector.meter();
    let before = meter.cpu();
    let sent = send(batches, senders, &place.access(collector.address.port(), "any"))
        .map_err(|why| format!("{why}; {}", place.said("collector.log")))?;
    let count: usize = batches.iter().map(|(_, items)| items.len()).sum();
    let thousands = count as f64 / 1e3;
    way.speed.push(count as f64 / sent.seconds);
    way.collector_cpu.push(ms(meter.cpu() - before) / thousands);
    way.client_cpu.push(ms(sent.cpu) / thousands);
    way.posts.extend(sent.posts);
    way.peak.push(meter.peak_mib());
    collector.stop();
    Ok(())
}

/// Rows a second of the bare loop, with the rows of the last collector.
fn bare_speed(place: &Place, count: u64) -> f64 {
    let rows = rows(&place.path("fleet.db"));
    let path = place.path("bare.db");
    let took = Bare::open(&path).insert(&rows, usize::try_from(BATCH).expect("a small number"));
    for name in ["bare.db", "bare.db-wal", "bare.db-shm"] {
        let _ = std::fs::remove_file(place.path(name));
    }
    count as f64 / took.as_secs_f64()
}

/// A store of all records and a census of each host and day.
pub(crate) fn fill(
    options: &Options,
    place: &Place,
    records: &[Record],
    report: Option<&mut Report>,
) -> Result<(), String> {
    place.forget();
    let collector = place.collector()?;
    let access = place.access(collector.address.port(), "any");
    let mut fleet = Fleet::new(2, options.records);
    fleet.like(records);
    let (mut whole, mut left) = (Sent::default(), options.records);
    while left > 0 {
        eprintln!("fleet: {left} records are left");
        let count = left.min(PORTION);
        let sent = send(&portion(&mut fleet, count), 4, &access)?;
        whole.seconds += sent.seconds;
        whole.wire += sent.wire;
        left -= count;
    }
    let (peak, disk) = (collector.meter().peak_mib(), place.database_bytes());
    let censuses: Vec<Batch> = fleet.censuses().collect();
    let reports = send(&censuses, 4, &access)?;
    let after = collector.meter().peak_mib();
    collector.stop();
    let Some(report) = report else { return Ok(()) };
    let of = |bytes: u64| bytes as f64 / options.records as f64;
    report.title(&format!("ingest: {} records into one store by 4 senders", options.records));
    report.line(&format!("{:9.0} rows/s", options.records as f64 / whole.seconds));
    report
        .line(&format!("{peak:9.0} MiB at most in the collector (VmHWM); {after:.0} after 30,000 censuses"));
    report.line(&format!("{:9.0} bytes a record on the wire, {:.0} on disk", of(whole.wire), of(disk)));
    report.line(&format!("{:9.0} censuses/s, of 40 workloads each", 30_000.0 / reports.seconds));
    let what = format!("the collector had {after:.0} MiB at most: at most {PEAK_MIB}");
    report.promise(after <= PEAK_MIB, &what);
    Ok(())
}

fn portion(fleet: &mut Fleet, count: u64) -> Vec<Batch> {
    let mut left = count;
    let mut batches = Vec::new();
    while left > 0 {
        let batch = fleet.batch(left.min(BATCH));
        left -= batch.1.len() as u64;
        batches.push(batch);
    }
    batches
}

fn mean_bytes(batches: &[Batch]) -> f64 {
    let items = || batches.iter().flat_map(|(_, items)| items);
    items().map(|item| item.body.len()).sum::<usize>() as f64 / items().count() as f64
}
