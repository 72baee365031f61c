//! What epicored does with records, without the spool: redact, pack, encode,
//! compress, post, and read what became of each.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use epicore::config;
use epicore::forward::{Packed, Packer, Transport, encode, read_answer, redact_crash, redact_exposure};
use epicore::store::{Incoming, Origin};
use epicore::wire::{self, ItemKind, Said, Sender};

use super::meter::{ms, own_cpu};

/// Records of a batch.
pub(crate) const BATCH: u64 = 500;
const PATIENCE: Duration = Duration::from_secs(60);

/// One host's records, as they lie in its spool.
pub(crate) type Batch = (Origin, Vec<Incoming>);

/// What it took to send them.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) seconds: f64,
    /// Time of each POST, milliseconds.
    pub(crate) posts: Vec<f64>,
    /// Compressed bytes of all requests.
    pub(crate) wire: u64,
    /// CPU time of this process meanwhile.
    pub(crate) cpu: Duration,
}

/// Sends every batch; `senders` threads, each with a client of its own.
pub(crate) fn send(batches: &[Batch], senders: usize, access: &config::Collector) -> Result<Sent, String> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Sent::default());
    let failed = Mutex::new(None);
    let (began, cpu) = (Instant::now(), own_cpu());
    std::thread::scope(|scope| {
        for _ in 0..senders {
            scope.spawn(|| {
                if let Err(why) = work(batches, &next, access, &done) {
                    *failed.lock().expect("the lock") = Some(why);
                }
            });
        }
    });
    if let Some(why) = failed.into_inner().expect("the lock") {
        return Err(why);
    }
    let mut sent = done.into_inner().expect("the lock");
    (sent.seconds, sent.cpu) = (began.elapsed().as_secs_f64(), own_cpu() - cpu);
    Ok(sent)
}

fn work(
    batches: &[Batch],
    next: &AtomicUsize,
    access: &config::Collector,
    done: &Mutex<Sent>,
) -> Result<(), String> {
    let transport = Transport::new(access, PATIENCE).map_err(|error| error.to_string())?;
    let mut own = Sent::default();
    while let Some((origin, items)) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
        let packer = pack(items)?;
        let from = Sender { name: origin.host.clone(), version: "bench".to_owned(), ..Sender::default() };
        let body = encode(&from, now(), packer.items()).map_err(|error| error.to_string())?;
        own.wire += body.len() as u64;
        let began = Instant::now();
        let reply = transport.post_batch(body).map_err(|trouble| trouble.what)?;
        own.posts.push(ms(began.elapsed()));
        let verdicts = read_answer(&reply.body, packer.items()).unwrap_or_default();
        let stored = verdicts.iter().filter(|verdict| verdict.said == Said::Stored).count();
        if reply.status != 200 || stored != items.len() {
            let why = verdicts.iter().find(|verdict| verdict.said != Said::Stored).map(|v| v.why.clone());
            return Err(format!("status {}, {stored} of {} stored: {why:?}", reply.status, items.len()));
        }
    }
    let mut done = done.lock().expect("the lock");
    done.posts.extend(own.posts);
    done.wire += own.wire;
    Ok(())
}

fn pack(items: &[Incoming]) -> Result<Packer, String> {
    let rules = config::Forward::default();
    let mut packer = Packer::new(usize::MAX, 15 << 20);
    for item in items {
        let body = match item.kind {
            ItemKind::Crash => redact_crash(&item.body, &rules),
            ItemKind::Exposure => redact_exposure(&item.body),
        };
        let body = body.map_err(|held| held.to_string())?;
        let packed = Packed { id: item.id, kind: item.kind, body: wire::pack::pack(&body.bytes) };
        packer.push(packed).map_err(|_| "a batch is larger than a collector takes".to_owned())?;
    }
    Ok(packer)
}

/// Nanoseconds since the epoch.
pub(crate) fn now() -> u64 {
    let passed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    passed.map_or(0, |passed| u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX))
}
