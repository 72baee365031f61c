//! The crew that sends: threads that exist only while something is to be sent.
//!
//! ```text
//! job: names ──► read ──► redact ──► pack ──► deliver ──► acknowledge ──► report
//! ```
//!
//! What it gives: [`Crew`], which starts a thread when a job finds none free,
//! and ends all of them (and the client, its connections and certificates) when
//! it is dropped. What it trusts: the spool's reader judges each file, `forward`
//! each answer. Memory: one batch for each thread, before and after compression.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::event::{Came, Event, Report};
use super::queue::{Hold, RIPE, Taken};
use super::start;
use crate::config::Forward;
use crate::forward::{
    Delivery, Fate, Held, Packed, Packer, Transport, Trouble, deliver, encode, redact_crash, redact_exposure,
};
use crate::spool::{Header, Item, Kind, Reader, RecordStatus, Spool};
use crate::syscall;
use crate::wire::pack::pack;
use crate::wire::{self, ItemKind};

/// What every sender needs.
#[derive(Debug)]
pub(super) struct Kit {
    /// The spool, claimed.
    pub(super) spool: Arc<Spool>,
    /// The way to the collector.
    pub(super) transport: Transport,
    /// What may leave, and in which portions.
    pub(super) rules: Forward,
    /// Who speaks; the name is read again for each batch, because hosts are
    /// renamed while they run (DHCP, cloud-init).
    pub(super) from: wire::Sender,
    /// Nothing new begins any more.
    pub(super) stopping: Arc<AtomicBool>,
}

/// The threads.
#[derive(Debug)]
pub(super) struct Crew {
    kit: Arc<Kit>,
    jobs: Sender<Vec<Taken>>,
    receiver: Receiver<Vec<Taken>>,
    free: Arc<AtomicUsize>,
    events: Sender<Event>,
}

impl Crew {
    /// A crew without threads yet.
    pub(super) fn new(kit: Kit, events: Sender<Event>) -> Crew {
        let (jobs, receiver) = unbounded();
        Crew { kit: Arc::new(kit), jobs, receiver, free: Arc::default(), events }
    }

    /// Gives a job to a free thread, or to a new one. The job back, when no
    /// thread can be had.
    pub(super) fn send(&self, job: Vec<Taken>) -> Result<(), Vec<Taken>> {
        let claimed = self.free.fetch_update(Ordering::AcqRel, Ordering::Acquire, |free| free.checked_sub(1));
        if claimed.is_err() && self.start().is_err() {
            return Err(job);
        }
        self.jobs.send(job).map_err(|error| error.0)
    }

    fn start(&self) -> std::io::Result<()> {
        let (kit, jobs, free) = (self.kit.clone(), self.receiver.clone(), self.free.clone());
        let events = self.events.clone();
        let work = move || {
            for job in jobs {
                let report = kit.work(&job);
                // Free before the report: whoever reads it may have a job.
                free.fetch_add(1, Ordering::AcqRel);
                if events.send(Event::Returned(Box::new(report))).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("sender".into()).spawn(work).map(drop)
    }
}

/// An item with what was read of it.
#[derive(Debug)]
struct Read {
    item: Item,
    packed: Packed,
}

impl Kit {
    /// Sends what can be sent of `job`.
    fn work(&self, job: &[Taken]) -> Report {
        let from = wire::Sender { name: start::name(), ..self.from.clone() };
        let mut report = Report {
            began: Instant::now(),
            name: from.name.clone(),
            items: Vec::with_capacity(job.len()),
            posted: false,
            bytes: 0,
            requests: 0,
            trouble: None,
            retry_after: None,
            ahead: None,
            unmarked: None,
        };
        if from.name.is_empty() {
            report.give_back(job, Trouble::nameless());
            return report;
        }
        let (items, packed) = self.pack(job, &mut report);
        if packed.is_empty() {
            return report;
        }
        report.began = Instant::now();
        let delivery = deliver(&packed, &mut |part| self.post(&from, part, &mut report));
        drop(packed);
        self.note(&items, delivery, &mut report);
        report
    }

    fn post(
        &self,
        from: &wire::Sender,
        part: &[Packed],
        report: &mut Report,
    ) -> Result<crate::forward::Reply, Trouble> {
        if self.stopping.load(Ordering::Acquire) {
            return Err(Trouble::stopping());
        }
        let at = syscall::clocks().0.unwrap_or(0);
        let body = encode(from, at, part).map_err(|error| Trouble::unencodable(&error))?;
        report.posted = true;
        let bytes = body.len() as u64;
        let reply = self.transport.post_batch(body);
        // What found no connection was not sent.
        if reply.as_ref().map_or_else(|trouble| !trouble.unsent, |_| true) {
            report.bytes = report.bytes.saturating_add(bytes);
            report.requests = report.requests.saturating_add(1);
        }
        let reply = reply?;
        report.ahead = reply.ahead.or(report.ahead);
        Ok(reply)
    }

    /// Reads, redacts and packs until the batch is full; the rest comes back.
    fn pack(&self, job: &[Taken], report: &mut Report) -> (Vec<Item>, Vec<Packed>) {
        let most = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let mut packer = Packer::new(most(self.rules.batch_records), most(self.rules.batch_bytes));
        let mut items = Vec::with_capacity(job.len());
        let reader = match Reader::of(&self.spool) {
            Ok(reader) => reader,
            Err(error) => {
                report.give_back(job, Trouble::spool(&error.to_string()));
                return (items, Vec::new());
            }
        };
        let mut job = job.iter();
        for taken in job.by_ref() {
            match self.read(&reader, taken, &report.name) {
                Err(came) => report.items.push((taken.item, came)),
                Ok(read) => match packer.push(read.packed) {
                    Ok(()) => items.push(read.item),
                    Err(_) => {
                        report.items.push((taken.item, Came::Again));
                        break;
                    }
                },
            }
        }
        report.items.extend(job.map(|taken| (taken.item, Came::Again)));
        (items, packer.into_items())
    }

    fn read(&self, reader: &Reader, taken: &Taken, name: &str) -> Result<Read, Came> {
        let damaged = |why: String| Came::Held(Hold::Damaged, why);
        let (header, payload) = match reader.read_item(&taken.item) {
            RecordStatus::Valid { header, payload } => (header, payload),
            RecordStatus::Gone => return Err(Came::Gone),
            RecordStatus::Corrupted(damage) => return Err(damaged(damage.to_string())),
            RecordStatus::Refused(refusal) => return Err(damaged(refusal.to_string())),
            RecordStatus::Unreadable(errno) => return Err(damaged(errno.to_string())),
        };
        if let Some(left) = time_to_ripen(taken, &header) {
            return Err(Came::Young(left));
        }
        if header.private && !self.rules.private {
            return Err(held(Held::Private));
        }
        let (kind, redacted) = match taken.item.kind {
            Kind::Crash => (ItemKind::Crash, redact_crash(&payload, &self.rules)),
            Kind::Exposure => (ItemKind::Exposure, redact_exposure(&payload)),
        };
        let body = redacted.and_then(|redacted| redacted.under(name)).map_err(held)?;
        let packed = Packed { id: taken.item.id.0, kind, body: pack(&body) };
        Ok(Read { item: taken.item.read_as(&header), packed })
    }

    /// Notes in the spool what the collector has, before anybody is told.
    fn note(&self, items: &[Item], delivery: Delivery, report: &mut Report) {
        report.trouble = delivery.trouble;
        report.retry_after = delivery.retry_after;
        let has = |fate: &Fate| matches!(fate, Fate::Stored | Fate::Duplicate);
        let stored: Vec<Item> =
            items.iter().zip(&delivery.fates).filter(|(_, fate)| has(fate)).map(|(item, _)| *item).collect();
        if !stored.is_empty() {
            report.unmarked = self.spool.acknowledge(&stored).err();
        }
        let unmarked = report.unmarked;
        let came = |fate| match (fate, unmarked) {
            (Fate::Stored | Fate::Duplicate, Some(error)) => Came::Held(Hold::Unmarked, error.to_string()),
            (Fate::Stored, None) => Came::Sent { duplicate: false },
            (Fate::Duplicate, None) => Came::Sent { duplicate: true },
            (Fate::Refused(why), _) => Came::Refused(why),
            (Fate::Later, _) => Came::Again,
        };
        report.items.extend(items.iter().copied().zip(delivery.fates.into_iter().map(came)));
    }
}

impl Report {
    /// All of a job is to be done again, because of this.
    fn give_back(&mut self, job: &[Taken], trouble: Trouble) {
        self.trouble = Some(trouble);
        self.items.extend(job.iter().map(|taken| (taken.item, Came::Again)));
    }
}

fn held(held: Held) -> Came {
    let hold = match held {
        Held::Private => Hold::Private,
        Held::Newer(_) => Hold::Newer,
        Held::Malformed(_) => Hold::Damaged,
        Held::OtherName { .. } => Hold::OtherName,
    };
    Came::Held(hold, held.to_string())
}

/// How long the full record of a minimal one may still take. Its age is the
/// wall clock's, which may jump: a minute from now is the longest.
fn time_to_ripen(taken: &Taken, header: &Header) -> Option<Duration> {
    if header.full || taken.ripe || taken.item.kind == Kind::Exposure {
        return None;
    }
    let now = syscall::clocks().0.unwrap_or(0) / 1_000_000;
    let age = Duration::from_millis(now.saturating_sub(header.id.milliseconds()));
    RIPE.checked_sub(age).filter(|left| !left.is_zero())
}
