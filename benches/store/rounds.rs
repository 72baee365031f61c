//! Rounds: the bare loop, the store with one caller, the store with two, each
//! round in another order, each with a file of its own that grows.

use std::path::Path;
use std::time::{Duration, Instant};

use epicore::store::sqlite::{Options, Sqlite};
use epicore::store::{Incoming, Origin, Store};
use epicore::wire::pack::pack;

use crate::bare::{Bare, rows};
use crate::cpu;
use crate::fleet::Fleet;

/// Items of a batch, and of a commit of the bare loop.
const BATCH: u64 = 500;

type Batch = (Origin, Vec<Incoming>);

struct Contenders {
    bare: Bare,
    one: Sqlite,
    two: Sqlite,
}

pub fn run(place: &Path, rounds: u64, count: u64) {
    let open = |name: &str| Sqlite::open(&place.join(name), Options::default()).unwrap();
    let mut contenders =
        Contenders { bare: Bare::open(&place.join("bare")), one: open("one"), two: open("two") };
    let mut fleet = Fleet::new(1, rounds * count);
    let mut processor = [0u64; 3];
    let mut speeds: [Vec<f64>; 3] = Default::default();
    println!("round  rows     bare      1 caller  2 callers   (rows/s)");
    for round in 0..rounds {
        let batches: Vec<Batch> = (0..count / BATCH).map(|_| packed(fleet.batch(BATCH))).collect();
        let bytes: usize = batches.iter().flat_map(|(_, items)| items).map(|item| item.body.len()).sum();
        let ready = prepared(place, &batches);
        let mut took = [Duration::ZERO; 3];
        for turn in 0..3u64 {
            let who = ((turn + round) % 3) as usize;
            let before = (cpu::own(), cpu::writers());
            took[who] = match who {
                0 => contenders.bare.insert(&ready, BATCH as usize),
                1 => ingest(&contenders.one, batches.clone(), 1),
                _ => ingest(&contenders.two, batches.clone(), 2),
            };
            let own = cpu::own() - before.0;
            match who {
                0 => processor[0] += own,
                1 => {
                    processor[1] += own;
                    processor[2] += cpu::writers() - before.1;
                }
                _ => {}
            }
        }
        let speed = took.map(|took| count as f64 / took.as_secs_f64());
        println!("{round:5}  {count}  {:8.0}  {:8.0}  {:8.0}", speed[0], speed[1], speed[2]);
        speeds.iter_mut().zip(speed).for_each(|(speeds, speed)| speeds.push(speed));
        if round == 0 {
            println!("       ({} bytes a record)", bytes as u64 / count);
        }
    }
    let [bare, caller, writer] = processor.map(|ns| ns as f64 / 1e3 / (rounds * count) as f64);
    println!(
        "processor time of a record: bare loop {bare:.1} µs; caller {caller:.1} µs, writer {writer:.1} µs"
    );
    for (name, who) in [("1 caller ", 1), ("2 callers", 2)] {
        let mut ratios: Vec<f64> = speeds[who].iter().zip(&speeds[0]).map(|(own, bare)| own / bare).collect();
        ratios.sort_by(f64::total_cmp);
        let (low, high) = (ratios[0], ratios[ratios.len() - 1]);
        let middle = ratios[ratios.len() / 2];
        println!(
            "{name}: {middle:.2} of the bare loop (median of {rounds} rounds, all within {low:.2} … {high:.2})"
        );
    }
}

/// As a daemon sends it.
fn packed((origin, mut items): Batch) -> Batch {
    items.iter_mut().for_each(|item| item.body = pack(&item.body));
    (origin, items)
}

/// What the bare loop gets ready made.
fn prepared(place: &Path, batches: &[Batch]) -> Vec<crate::bare::Row> {
    let path = place.join("scratch");
    let scratch = Sqlite::open(&path, Options::default()).unwrap();
    for (origin, items) in batches {
        scratch.ingest(origin, items.clone()).unwrap();
    }
    drop(scratch);
    let ready = rows(&path);
    std::fs::remove_file(&path).unwrap();
    ready
}

fn ingest(store: &Sqlite, batches: Vec<Batch>, callers: usize) -> Duration {
    if callers == 1 {
        let began = Instant::now();
        for (origin, items) in batches {
            store.ingest(&origin, items).unwrap();
        }
        return began.elapsed();
    }
    let waiting = std::sync::Mutex::new(batches.into_iter());
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..callers {
            scope.spawn(|| {
                loop {
                    let batch = waiting.lock().unwrap().next();
                    let Some((origin, items)) = batch else { break };
                    store.ingest(&origin, items).unwrap();
                }
            });
        }
    });
    began.elapsed()
}
