//! A soak: many daemons, one collector, a network that fails.
//!
//! `make soak` starts so many epicored processes (each with a spool, a host
//! name and a token of its own), one epicore-collector with TLS, and between
//! them a proxy that refuses, hangs, delays, cuts and resets half of all
//! connections. Records are written while it runs; the collector is killed
//! with SIGKILL again and again, and so are daemons. At the end every spool
//! must be empty of pending records, and the store must hold every id exactly
//! once, none that was not written.
//!
//! ```text
//! cargo bench --bench soak -- [--daemons 50] [--records 2000] [--kills 20]
//!                             [--spread SECONDS] [--seed N] [--minutes 30]
//! ```
//!
//! EPICORE_DIST says where the programs are (default target/dist). The result
//! goes to standard output, progress to standard error. Exit status: 0 every
//! id is there exactly once, 1 not, 2 it could not be run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod fleet;
mod verdict;

#[path = "../../tests/support/faulty_proxy.rs"]
mod faulty_proxy;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use faulty_proxy::{Faults, Proxy};
use fleet::{Collector, Daemon, Place};

#[derive(Clone, Copy, Debug)]
struct Options {
    daemons: u32,
    records: u32,
    kills: u32,
    seed: u64,
    minutes: u64,
    spread: u64,
}

fn options() -> Options {
    let mut options = Options { daemons: 50, records: 2000, kills: 20, seed: 1, minutes: 30, spread: 75 };
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    while let Some(word) = words.next() {
        let value: u64 = words.next().and_then(|text| text.parse().ok()).unwrap_or_else(|| {
            eprintln!("soak: {word} needs a number");
            std::process::exit(2)
        });
        let small = u32::try_from(value).expect("a small number");
        match word.as_str() {
            "--daemons" => options.daemons = small,
            "--records" => options.records = small,
            "--kills" => options.kills = small,
            "--seed" => options.seed = value,
            "--minutes" => options.minutes = value,
            "--spread" => options.spread = value,
            _ => {
                eprintln!("soak: unknown option {word}");
                std::process::exit(2)
            }
        }
    }
    options
}

fn main() -> ExitCode {
    let options = options();
    let began = Instant::now();
    let place = Place::prepare();
    let mut collector = Collector::start(&place);
    let proxy = Proxy::start(collector.address, Faults::BAD, options.seed);
    let mut daemons: Vec<Daemon> =
        (0..options.daemons).map(|n| Daemon::prepare(&place, n, proxy.address.port())).collect();
    let writers: Vec<_> = daemons
        .iter()
        .map(|daemon| daemon.write(options.records, options.seed, Duration::from_secs(options.spread)))
        .collect();
    daemons.iter_mut().for_each(Daemon::start);

    let until = began + Duration::from_secs(60 * options.minutes);
    let (mut collector_kills, mut daemon_kills) = (0, 0);
    let mut chance = options.seed;
    loop {
        std::thread::sleep(Duration::from_millis(1500 + u64::from(roll(&mut chance, 2500))));
        let pending: u64 = daemons.iter().map(Daemon::pending).sum();
        let writing = writers.iter().filter(|writer| !writer.is_finished()).count();
        let seconds = began.elapsed().as_secs();
        eprint!(
            "\rsoak: {seconds:>4} s  pending {pending:>7}  writers {writing:>3}  collector killed {collector_kills:>2} ×  daemons {daemon_kills:>2} × "
        );
        if collector_kills < options.kills {
            collector.kill_and_restart(&proxy, roll(&mut chance, 1500));
            collector_kills += 1;
            let victim = roll(&mut chance, options.daemons) as usize;
            daemons[victim].kill_and_restart();
            daemon_kills += 1;
        } else if pending == 0 && writing == 0 {
            break;
        } else {
            // The faults were there for the whole of the kills; the rest may drain.
            proxy.set_faults(Faults::NONE);
        }
        if Instant::now() > until {
            eprintln!("\nsoak: not drained after {} minutes", options.minutes);
            break;
        }
    }
    eprintln!();
    let written: Vec<[u8; 16]> = writers.into_iter().flat_map(|w| w.join().expect("a writer")).collect();
    let daemon_peak = daemons.iter().map(Daemon::peak_kib).max().unwrap_or(0);
    let collector_peak = collector.peak_kib;
    daemons.iter_mut().for_each(Daemon::stop);
    let metrics = collector.stop();
    println!(
        "{} daemons × {} records in {:.0} s; collector killed -9 {collector_kills} times, daemons {daemon_kills} times",
        options.daemons,
        options.records,
        began.elapsed().as_secs_f64(),
    );
    fleet::tell_proxy(&proxy);
    println!("peak RSS: a daemon {daemon_peak} KiB, the collector {collector_peak} KiB");
    if let Some(line) = metrics {
        println!("outcomes since its last start: {line}");
    }
    verdict::judge(&place, &written)
}

/// A number below `below`.
fn roll(state: &mut u64, below: u32) -> u32 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    u32::try_from((*state >> 33) % u64::from(below.max(1))).expect("below a u32")
}
