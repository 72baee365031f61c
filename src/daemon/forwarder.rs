//! The main loop's state: what is to be sent, how fast, and how it goes.
//!
//! What it gives: [`Forwarder`], which is told of events and says when it wants
//! to be woken. It owns the queue, the pace and the crew; no other thread
//! changes them, so there is no lock. What it trusts: its events. It sends at
//! once while nothing is on its way, waits up to [`LINGER`] for company while
//! something is, and lets client and threads go after [`LET_GO`] of nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use super::dropped::Places;
use super::event::{Came, Event, Report};
use super::logs::Seldom;
use super::metrics::Metrics;
use super::outage::{Line, Outages};
use super::queue::{self, Hold, Queue, RIPE, Settled, Taken};
use super::round::Round;
use super::sender::{Crew, Kit};
use super::start;
use super::status::{Dropped, Sent};
use crate::config::Config;
use crate::forward::{Leave, Pace, Transport, plain};
use crate::spool::{Item, Reader, Spool};
use crate::{syscall, wire};

/// How long an item waits for company while others are on their way.
const LINGER: Duration = Duration::from_millis(50);
/// How long connections and threads are kept while nothing happens.
const LET_GO: Duration = Duration::from_secs(30);
/// A clock that differs by more is told.
pub(super) const SKEW: i64 = 300;
/// Lines about single items in an hour.
const LINES: u32 = 20;
/// Warnings that are kept for the status.
const WARNINGS: usize = 16;
/// Characters of foreign text in a line.
const TEXT: usize = 200;

/// See the module.
#[derive(Debug)]
pub(super) struct Forwarder {
    pub(super) config: Config,
    spool: Arc<Spool>,
    reader: Reader,
    pub(super) from: wire::Sender,
    events: Sender<Event>,
    pub(super) queue: Queue,
    pub(super) pace: Pace,
    crew: Option<Crew>,
    pub(super) stopping: Arc<AtomicBool>,
    pub(super) on_the_way: usize,
    last_began: Option<Instant>,
    idle_since: Instant,
    /// The look at the whole spool: goes on when the queue is drained.
    pub(super) round: Round,
    /// What the collector has and the spool could not note, as it was read.
    unmarked: Vec<Item>,
    /// Why the last item stays that names another host.
    pub(super) other_name: String,
    pub(super) outages: Outages,
    lines: Seldom,
    pub(super) ahead: Option<i64>,
    pub(super) warnings: Vec<String>,
    pub(super) sent: Sent,
    pub(super) last_stored: Option<u64>,
    pub(super) started: u64,
    /// Crashes for which no handler began, when somebody counts them, and the handlers
    /// that had begun then.
    pub(super) dropped: Option<(Dropped, u64)>,
    /// Where handlers count, when somebody compares.
    pub(super) ledger: Option<Places>,
    /// Why nobody does.
    pub(super) uncounted: Option<String>,
    /// Their run directory.
    pub(super) run: PathBuf,
    chance: fastrand::Rng,
    pub(super) metrics: Metrics,
    /// The numbers are others than the last time they were written.
    pub(super) changed: bool,
    /// Acknowledged since the last look at what is too old.
    pub(super) acknowledged: u64,
}

pub(super) fn wall() -> u64 {
    syscall::clocks().0.unwrap_or(0)
}

impl Forwarder {
    /// For a spool that was claimed.
    pub(super) fn new(
        config: Config,
        spool: Arc<Spool>,
        reader: Reader,
        from: wire::Sender,
        events: Sender<Event>,
    ) -> Forwarder {
        let pace = Pace::new(config.forward.concurrency);
        Forwarder {
            config,
            spool,
            reader,
            from,
            events,
            queue: Queue::default(),
            pace,
            crew: None,
            stopping: Arc::default(),
            on_the_way: 0,
            last_began: None,
            idle_since: Instant::now(),
            round: Round::default(),
            unmarked: Vec::new(),
            other_name: String::new(),
            outages: Outages::default(),
            lines: Seldom::new(LINES),
            ahead: None,
            warnings: Vec::new(),
            sent: Sent::default(),
            last_stored: None,
            started: wall(),
            dropped: None,
            ledger: None,
            uncounted: None,
            run: PathBuf::new(),
            chance: fastrand::Rng::new(),
            metrics: Metrics::new(),
            changed: true,
            acknowledged: 0,
        }
    }

    pub(super) fn forwards(&self) -> bool {
        self.config.collector.url.is_some()
    }

    /// A name appeared.
    pub(super) fn appeared(&mut self, item: Item, minimal: bool) {
        match Instant::now().checked_add(RIPE).filter(|_| minimal) {
            Some(until) => self.queue.offer_young(item, until),
            None => self.queue.offer(item),
        }
    }

    /// Names may have been missed.
    pub(super) fn want_scan(&mut self) {
        self.round.want();
    }

    /// The slow look at everything: what was missed, and what could not be
    /// marked.
    pub(super) fn look_again(&mut self) {
        self.want_scan();
        let unmarked = std::mem::take(&mut self.unmarked);
        if unmarked.is_empty() {
            return;
        }
        match self.spool.acknowledge(&unmarked) {
            Ok(()) => self.queue.release(|hold| hold == Hold::Unmarked),
            Err(_) => self.unmarked = unmarked,
        }
    }

    /// Credentials may be others now: an attempt is worth it.
    pub(super) fn credentials_changed(&mut self) {
        let waits = self.outages.current().is_some_and(|(trouble, _)| trouble.needs_a_person());
        if waits {
            self.pace.try_now();
        }
    }

    /// Notices that this host was renamed: what names another host is looked at
    /// again.
    fn look_at_name(&mut self) {
        let name = start::name();
        if name != self.from.name {
            tracing::info!(
                "this host is called {} now, and was {}",
                plain(&name, TEXT),
                plain(&self.from.name, TEXT)
            );
            self.from.name = name;
            self.queue.release(|hold| hold == Hold::OtherName);
            self.want_scan();
        }
    }

    /// Somebody asked for an attempt.
    pub(super) fn flush(&mut self) {
        self.pace.try_now();
        self.queue.release(|hold| hold == Hold::OtherName);
        self.look_again();
    }

    /// Refused items are pending again; how many.
    pub(super) fn retry(&mut self) -> String {
        let done = self.spool.retry_refused();
        self.flush();
        match done {
            Ok(count) => format!("{count} refused items are pending again\n"),
            Err(error) => format!("error: {error}\n"),
        }
    }

    /// Another configuration: a new client, and everything is looked at again.
    pub(super) fn reconfigure(&mut self, config: Config) {
        self.pace = Pace::new(config.forward.concurrency);
        self.config = config;
        self.crew = None;
        self.queue.release(|hold| matches!(hold, Hold::Private | Hold::Newer | Hold::Damaged));
        self.flush();
    }

    /// Nothing new begins any more.
    pub(super) fn stop(&mut self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// True when nothing is on its way.
    pub(super) fn is_still(&self) -> bool {
        self.on_the_way == 0
    }

    /// Begins what may begin; when to be called again, events aside.
    pub(super) fn turn(&mut self, now: Instant) -> Option<Instant> {
        if !self.forwards() || self.stopping.load(Ordering::Acquire) {
            return None;
        }
        self.look_at_name();
        self.queue.ripen(now);
        if self.queue.take_overflowed() {
            self.round.want();
        }
        let mut wake = self.queue.next_ripe();
        let mut at = |moment: Option<Instant>| wake = wake.into_iter().chain(moment).min();
        loop {
            while self.queue.ready() == 0 && self.round.is_due() && self.on_the_way == 0 {
                self.scan();
            }
            if self.queue.ready() == 0 {
                break;
            }
            match self.pace.leave(now, self.on_the_way) {
                Leave::At(moment) => {
                    at(Some(moment));
                    break;
                }
                Leave::Full => break,
                Leave::Now => {}
            }
            if let Some(moment) = self.lingers(now) {
                at(Some(moment));
                break;
            }
            if !self.begin(now) {
                at(now.checked_add(Duration::from_secs(1)));
                break;
            }
        }
        at(self.let_go(now));
        wake
    }

    /// While something is on its way, less than a batch waits a moment.
    fn lingers(&self, now: Instant) -> Option<Instant> {
        let batch = usize::try_from(self.config.forward.batch_records).unwrap_or(usize::MAX);
        if self.on_the_way == 0 || self.queue.ready() >= batch {
            return None;
        }
        self.last_began.and_then(|began| began.checked_add(LINGER)).filter(|until| now < *until)
    }

    fn begin(&mut self, now: Instant) -> bool {
        let most = usize::try_from(self.config.forward.batch_records).unwrap_or(usize::MAX);
        if self.crew.is_none() {
            match self.kit() {
                Some(kit) => self.crew = Some(Crew::new(kit, self.events.clone())),
                None => return false,
            }
        }
        let Some(crew) = &self.crew else { return false };
        let job: Vec<Taken> = self.queue.take(most);
        if let Err(job) = crew.send(job) {
            tracing::error!("no thread can be started; trying again");
            job.into_iter().for_each(|taken| self.queue.settle(taken.item, Settled::Again));
            return false;
        }
        self.on_the_way = self.on_the_way.saturating_add(1);
        self.last_began = Some(now);
        true
    }

    fn kit(&mut self) -> Option<Kit> {
        let patience = Duration::from_secs(self.config.forward.timeout_seconds);
        let transport = match Transport::new(&self.config.collector, patience) {
            Ok(transport) => transport,
            Err(error) => {
                let now = Instant::now();
                self.trouble(&error.into(), now, now, None);
                return None;
            }
        };
        Some(Kit {
            spool: self.spool.clone(),
            transport,
            rules: self.config.forward.clone(),
            from: self.from.clone(),
            stopping: self.stopping.clone(),
        })
    }

    /// Fills the queue with the oldest pending names that this round has not
    /// seen.
    fn scan(&mut self) {
        let after = self.round.next_part();
        if after.is_none() {
            self.queue.count_anew();
        }
        let (queue, private) = (&self.queue, self.config.forward.private);
        let found = self.reader.pending_of(queue.most(), &mut |item| {
            (private || !item.private) && after.is_none_or(|after| *item > after) && !queue.knows(item)
        });
        match found {
            Ok(found) => {
                self.round.came_to(found.items.last().copied(), found.more);
                found.items.into_iter().for_each(|item| self.queue.offer(item));
            }
            Err(error) => {
                self.round.came_to(None, false);
                self.line(format!("the spool cannot be listed: {error}"));
            }
        }
    }

    /// Drops client, connections and threads when they have long been idle;
    /// when to look again.
    fn let_go(&mut self, now: Instant) -> Option<Instant> {
        let until = self.idle_since.checked_add(LET_GO)?;
        if self.crew.is_none() || self.on_the_way > 0 {
            return None;
        }
        if now < until {
            return Some(until);
        }
        self.crew = None;
        syscall::give_memory_back();
        None
    }

    /// A batch has come back.
    pub(super) fn returned(&mut self, report: Report) {
        let now = Instant::now();
        self.on_the_way = self.on_the_way.saturating_sub(1);
        self.idle_since = now;
        self.changed = true;
        self.clock(report.ahead);
        self.look_at_name();
        let before = self.sent;
        self.sent.requests = self.sent.requests.saturating_add(report.requests);
        self.sent.bytes = self.sent.bytes.saturating_add(report.bytes);
        let renamed = report.name != self.from.name;
        for (item, came) in report.items {
            let came = match came {
                Came::Held(Hold::OtherName, _) if renamed => Came::Again,
                came => came,
            };
            self.settle(item, came, now);
        }
        self.metrics.sent(self.sent.since(before));
        let stored = self.sent.stored.saturating_add(self.sent.duplicates);
        let progress = stored > before.stored.saturating_add(before.duplicates);
        if progress {
            self.last_stored = Some(wall());
            self.acknowledged = self.acknowledged.saturating_add(stored.saturating_sub(before.stored));
        }
        if let Some(error) = report.unmarked {
            self.line(format!("the collector has records that the spool could not mark: {error}; they are marked later, or sent again"));
        }
        match report.trouble {
            None if report.posted => {
                self.pace.went_well(report.began, now);
                self.tell(|outages| outages.over(now));
            }
            None => {}
            Some(_) if self.stopping.load(Ordering::Acquire) => {}
            Some(trouble) => {
                if progress {
                    self.pace.progressed();
                }
                self.trouble(&trouble, report.began, now, report.retry_after);
            }
        }
    }

    fn trouble(
        &mut self,
        trouble: &crate::forward::Trouble,
        began: Instant,
        now: Instant,
        wait: Option<Duration>,
    ) {
        let random = self.chance.f64();
        self.pace.failed(began, now, wait, trouble.needs_a_person(), random);
        self.metrics.failed();
        self.changed = true;
        self.tell(|outages| outages.trouble(trouble, now, wall()));
    }

    fn tell(&mut self, line: impl FnOnce(&mut Outages) -> Option<Line>) {
        match line(&mut self.outages) {
            Some(Line::Bad(text)) => {
                tracing::warn!("{text}");
                super::notify::status(&text);
            }
            Some(Line::Good(text)) => {
                tracing::info!("{text}");
                super::notify::status(&text);
            }
            None => {}
        }
    }

    fn settle(&mut self, item: Item, came: Came, now: Instant) {
        let settled = match came {
            Came::Sent { duplicate } => {
                let count = if duplicate { &mut self.sent.duplicates } else { &mut self.sent.stored };
                *count = count.saturating_add(1);
                Settled::Done
            }
            Came::Gone => Settled::Done,
            Came::Again => Settled::Again,
            Came::Young(left) => Settled::Young(now.checked_add(left).unwrap_or(now)),
            Came::Refused(why) => self.refuse(&item, &why),
            Came::Held(hold, why) => {
                match hold {
                    Hold::Unmarked if self.unmarked.len() < queue::MOST => self.unmarked.push(item),
                    Hold::Unmarked => {}
                    Hold::OtherName => self.stays_for_its_name(&item, &why),
                    _ => self.line(format!("{} stays here: {}", item.file_name(), plain(&why, TEXT))),
                }
                Settled::Held(hold)
            }
        };
        // The queue knows names only: what was read of them is forgotten.
        self.queue.settle(Item { full: false, ..item }, settled);
    }

    /// A renamed host has many of them: one line for all.
    fn stays_for_its_name(&mut self, item: &Item, why: &str) {
        let why = plain(why, 2 * TEXT);
        if why != self.other_name {
            self.line(format!("{} stays here, and others like it: {why}", item.file_name()));
            self.other_name = why;
        }
    }

    fn refuse(&mut self, item: &Item, why: &str) -> Settled {
        self.sent.refused = self.sent.refused.saturating_add(1);
        self.line(format!(
            "{}: the collector refuses it: {}. It is kept, and not sent again unless `epicore status --retry` says so",
            item.file_name(),
            plain(why, TEXT)
        ));
        match self.spool.refuse(item, why) {
            Ok(()) => Settled::Done,
            Err(error) => {
                self.line(format!("the spool could not mark it: {error}"));
                Settled::Held(Hold::Damaged)
            }
        }
    }

    fn clock(&mut self, ahead: Option<i64>) {
        let wrong = |ahead: Option<i64>| ahead.is_some_and(|ahead| ahead.abs() > SKEW);
        if ahead.is_some() {
            if wrong(ahead) && !wrong(self.ahead) {
                self.line(clock_words(ahead.unwrap_or(0)));
            }
            self.ahead = ahead;
        }
    }

    /// A line about something single: a few an hour.
    fn line(&mut self, text: String) {
        match self.lines.may(Instant::now()) {
            Some(0) => tracing::warn!("{text}"),
            Some(more) => tracing::warn!("{text} (and {more} such lines in the last hour)"),
            None => {}
        }
    }

    /// Something that somebody should look at: in the journal, and in the
    /// status until the next reload.
    pub(super) fn warn(&mut self, text: String) {
        tracing::warn!("{text}");
        if self.warnings.len() < WARNINGS && !self.warnings.contains(&text) {
            self.warnings.push(text);
        }
    }
}

impl Sent {
    fn since(self, before: Sent) -> Sent {
        Sent {
            stored: self.stored.saturating_sub(before.stored),
            duplicates: self.duplicates.saturating_sub(before.duplicates),
            refused: self.refused.saturating_sub(before.refused),
            requests: self.requests.saturating_sub(before.requests),
            bytes: self.bytes.saturating_sub(before.bytes),
        }
    }
}

pub(super) fn clock_words(ahead: i64) -> String {
    let (side, by) = if ahead < 0 { ("behind", ahead.saturating_neg()) } else { ("ahead of", ahead) };
    format!("this host's clock is {by} s {side} the collector's; `timedatectl` on both says whose is wrong")
}
