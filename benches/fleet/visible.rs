//! A crash on its way: from the moment before the signal is sent until an API
//! call that waits for it returns it. Everything else is idle.
//!
//! ```text
//! kill(2) ── kernel, handler ──► file in the spool ── epicored ──► acknowledged
//!   │           (mtime of the full record)            │        (ctime: the rename)
//!   └────────────── GET /v1/records?after=…&wait=60 ──┴──► answered
//! ```

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use epicore::forward::Api;
use epicore::wire::api::Page;

use super::captured::{Kernel, fault, start};
use super::options::Options;
use super::place::{Collector, Daemon, Place};
use super::report::{Report, tail};
use super::statistics::median;

const MOST_MS: f64 = 200.0;
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two crashes: the daemon is idle again.
const PAUSE: Duration = Duration::from_millis(1000);

/// One crash, milliseconds since the fault.
struct Seen {
    whole: f64,
    spooled: f64,
    acknowledged: f64,
}

pub(crate) fn run(options: &Options, report: &mut Report) -> Result<(), String> {
    super::place::program("epicored")?;
    let place = Place::prepare(options)?;
    let spool = place.path("spool");
    let kernel = Kernel::take(&spool)?;
    let collector = place.collector()?;
    let daemon = Daemon::start(&place, &spool, collector.address.port())?;
    let answers = watch(&place, &collector)?;
    std::thread::sleep(Duration::from_secs(3));
    let crashes = options.pick(100, 20);
    let seen: Result<Vec<Seen>, String> = (0..crashes).map(|_| crash(&spool, &answers)).collect();
    let seen = seen.map_err(|why| format!("{why}; {}", place.said("epicored.log")))?;
    drop(kernel);
    daemon.stop();
    collector.stop();
    report.title(&format!(
        "visible: {crashes} crashes of sleep(1), one a second, everything idle; ms after the fault"
    ));
    report.line(&format!("{:44} {:>8} {:>8} {:>8}", "", "p50", "p90", "max"));
    let mut row = |what: &str, of: &dyn Fn(&Seen) -> f64| {
        let samples: Vec<f64> = seen.iter().map(of).collect();
        let [middle, most, all] = tail(&samples);
        report.line(&format!("{what:44} {middle:>8.1} {most:>8.1} {all:>8.1}"));
        report.keep(&format!("visible, {what}, ms"), &samples);
    };
    row("fault → the full record is in the spool", &|seen| seen.spooled);
    row("spool → acknowledged by the collector", &|seen| seen.acknowledged - seen.spooled);
    row("fault → the waiting API call has it", &|seen| seen.whole);
    let middle = median(&seen.iter().map(|seen| seen.whole).collect::<Vec<_>>());
    report.promise(
        middle <= MOST_MS,
        &format!("a crash is visible after {middle:.1} ms (median): at most {MOST_MS}"),
    );
    Ok(())
}

/// A process id, and when the API told of it.
type Told = (u32, Instant);

/// Asks for what comes next, for ever, on a connection of its own.
fn watch(place: &Place, collector: &Collector) -> Result<Receiver<Told>, String> {
    let access = place.access(collector.address.port(), "admin");
    let api = Api::new(&access, Duration::from_secs(90)).map_err(|error| error.to_string())?;
    let (told, answers) = channel();
    std::thread::spawn(move || {
        let mut after = 0;
        loop {
            let query =
                [("order", "oldest".to_owned()), ("after", after.to_string()), ("wait", "60".to_owned())];
            let Ok(page) = api.get::<Page>("/v1/records", &query) else { return };
            let now = Instant::now();
            for record in page.records {
                after = record.seq;
                let whole =
                    api.get::<epicore::wire::api::One>(&format!("/v1/records/{}", record.id.hex()), &[]);
                let pid = whole.ok().and_then(|one| one.record?.crash.pid);
                if told.send((pid.unwrap_or(0), now)).is_err() {
                    return;
                }
            }
        }
    });
    Ok(answers)
}

fn crash(spool: &Path, answers: &Receiver<Told>) -> Result<Seen, String> {
    let mut child = start(&["sleep", "600"]).ok_or("there is no sleep(1)")?;
    std::thread::sleep(PAUSE);
    let (at, wall) = (Instant::now(), SystemTime::now());
    fault(&child);
    let answered = loop {
        match answers.recv_timeout(PATIENCE) {
            Ok((pid, when)) if pid == child.id() => break when,
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => return Err("a crash did not become visible in 30 s".to_owned()),
            Err(RecvTimeoutError::Disconnected) => return Err("the API call failed".to_owned()),
        }
    };
    let _ = child.wait();
    let (spooled, acknowledged) = times(spool, wall).ok_or("the spool has no acknowledged record")?;
    Ok(Seen { whole: (answered - at).as_secs_f64() * 1e3, spooled, acknowledged })
}

/// When the newest record was written and acknowledged, milliseconds after
/// `fault`; the rename may come after the answer.
fn times(spool: &Path, fault: SystemTime) -> Option<(f64, f64)> {
    let fault = fault.duration_since(UNIX_EPOCH).ok()?.as_secs_f64() * 1e3;
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        let sent = std::fs::read_dir(spool).ok()?.flatten().map(|entry| entry.path());
        let newest = sent.filter(|path| path.extension().is_some_and(|e| e == "sent")).max();
        if let Some(meta) = newest.and_then(|path| path.metadata().ok()) {
            let since = |s: i64, ns: i64| s as f64 * 1e3 + ns as f64 / 1e6 - fault;
            let written = since(meta.mtime(), meta.mtime_nsec());
            // Clocks of file systems tick: 4 ms of grace.
            if written > -4.0 {
                return Some((written, since(meta.ctime(), meta.ctime_nsec())));
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}
