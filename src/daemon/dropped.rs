//! Crashes for which no handler began, counted where the proc connector can be had: those
//! of which the kernel told, less the handlers that began.
//!
//! ```text
//!  kernel ── crash ──► pending ── its end ──► quiet: told − begun ──► the file, the main loop
//!     └── handler ──► begun (/run/epicore/crashes) ─────┘
//! ```
//!
//! [`count`](super::count) has the rules. The number is exact when it has been quiet for a
//! second; while a process is dumping, and for ever after something was missed, it is a
//! lower bound, and says so at once. Who reads it compares the handlers that have begun with
//! those in the file: if there are more, the kernel has not told of their crashes.
//!
//! It counts what the kernel does not hand over (core_pipe_limit, a core limit of 1, a
//! process that may not be dumped, one that ended already), handlers that could not be run
//! or were killed before their first act, and whatever crashes while the pattern is
//! somebody else's or /run/epicore/disabled is there.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use super::connector::{Connector, Ending, Heard};
use super::count::{Begin, Count, Look};
use super::event::Event;
use crate::storm::{self, Begun, WatchFile, Watched};
use crate::syscall;

/// Counting begins so long after listening: handlers of crashes that were told to nobody
/// have begun by then.
const GRACE: Duration = Duration::from_secs(2);
/// And after so long also where it is never quiet.
const LONG: Duration = Duration::from_secs(30);
/// How often it looks while something is open.
const PATIENCE: Duration = Duration::from_secs(1);
/// After a call of the kernel's with nothing to hear.
const PAUSE: Duration = Duration::from_millis(100);
/// How often it looks for a ledger that cannot be read.
const SELDOM: Duration = Duration::from_secs(30);
/// How often it asks the kernel whether it still tells, and looks for handlers of crashes
/// that it did not tell of.
const LOOK: Duration = Duration::from_secs(600);
/// Ledgers that could not be read in a row, until that is said and nothing is known.
const FAILURES: u32 = 5;
/// Reads of the ledger that crashes came between, until the look is of a busy moment.
const ROUNDS: usize = 16;

/// Where things are.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// The handlers' run directory.
    pub(super) run: PathBuf,
    /// The file with the numbers.
    pub(super) file: PathBuf,
    /// This boot.
    pub(super) boot: [u8; 16],
}

impl Places {
    /// Handlers that began.
    pub(super) fn begun(&self) -> Option<Begun> {
        storm::begun(&self.run, self.boot)
    }
}

/// The one who counts, before it has its own thread.
#[derive(Debug)]
pub(super) struct Dropped {
    connector: Connector,
    file: WatchFile,
    places: Places,
    count: Count,
    listening_since: Instant,
    looked: Option<Instant>,
    since_ns: Option<u64>,
    /// What is known: nothing at first, and while the ledger cannot be read.
    told: Option<Watched>,
    /// And that it is a lower bound for good.
    missed: bool,
    failures: u32,
}

impl Dropped {
    /// Listens to the kernel; why that cannot be, in words.
    pub(super) fn new(places: Places) -> Result<Dropped, String> {
        let connector = Connector::listen()?;
        let file = WatchFile::create(&places.file, &places.boot)
            .map_err(|error| format!("{}: {error}", places.file.display()))?;
        Ok(Dropped {
            connector,
            file,
            places,
            count: Count::default(),
            listening_since: Instant::now(),
            looked: None,
            since_ns: None,
            told: None,
            missed: false,
            failures: 0,
        })
    }

    /// For who ends this process: the kernel need not tell any more.
    pub(super) fn ending(&self) -> Option<Ending> {
        self.connector.ending()
    }

    /// Counts until nobody listens. While nothing is open it sleeps without a timer but one
    /// of ten minutes.
    pub(super) fn run(mut self, events: &Sender<Event>) {
        let mut asked = Instant::now();
        loop {
            if self.connector.wait(self.patience()) && !self.drain() {
                // Whatever it is, it must not keep a processor busy.
                std::thread::sleep(PAUSE);
            }
            if asked.elapsed() >= LOOK {
                asked = Instant::now();
                self.ask();
            }
            let now = Instant::now();
            self.count.forget_the_dead(now);
            let short = self.count.has_missed() && self.told.is_some_and(|told| told.whole);
            let due = self.looked.is_none_or(|looked| now.saturating_duration_since(looked) >= PATIENCE);
            if !short && !due {
                continue;
            }
            let Some(known) = self.look(now) else { continue };
            let missed = self.count.has_missed();
            if (self.told, self.missed) != (known, missed) {
                (self.told, self.missed) = (known, missed);
                if let Err(error) = self.file.write(known.as_ref()) {
                    tracing::warn!("{}: {error}", self.places.file.display());
                }
                if events.send(Event::Dropped { known, missed }).is_err() {
                    return;
                }
            }
        }
    }

    /// How long to wait for the kernel to tell something.
    fn patience(&self) -> Duration {
        let look = match (self.failures, self.count.is_open()) {
            (FAILURES.., _) => SELDOM,
            (1.., _) | (_, true) => PATIENCE,
            (0, false) => return LOOK,
        };
        self.looked.map_or(look, |looked| look.saturating_sub(looked.elapsed()))
    }

    /// What is known now; `None`: nothing yet, look again.
    fn look(&mut self, now: Instant) -> Option<Option<Watched>> {
        self.looked = Some(now);
        let mut seen = None;
        for _ in 0..ROUNDS {
            let Some(begun) = self.places.begun() else { return self.unreadable() };
            let between = self.drain();
            seen = Some((begun, between));
            if !between {
                break;
            }
        }
        let (begun, between) = seen?;
        self.failures = 0;
        let begin = match now.saturating_duration_since(self.listening_since) {
            listened if listened < GRACE => Begin::NotYet,
            listened if listened < LONG => Begin::Quiet,
            _ => Begin::Anyhow,
        };
        let Look { crashes, dropped, exact } = self.count.look(begun, between, begin, now);
        if !self.count.has_begun() {
            return None;
        }
        let since_ns = *self.since_ns.get_or_insert_with(|| syscall::clocks().1.unwrap_or(0));
        Some(Some(Watched { since_ns, crashes, dropped, begun: begun.count, whole: exact }))
    }

    /// The ledger cannot be read: for a moment that is nothing, for longer it is said. The
    /// numbers go on meanwhile, and are as they were when it can be read.
    fn unreadable(&mut self) -> Option<Option<Watched>> {
        self.failures = self.failures.saturating_add(1).min(FAILURES.saturating_add(1));
        if self.failures == FAILURES {
            let run = self.places.run.display();
            tracing::warn!(
                "the handlers' ledger in {run} cannot be read; what the kernel drops is known from its log only"
            );
        }
        (self.failures >= FAILURES).then_some(None)
    }

    /// Asks the kernel whether it still tells.
    fn ask(&mut self) {
        let (told, heard) = self.connector.probe();
        heard.into_iter().for_each(|heard| self.count.hear(heard, Instant::now()));
        if !told {
            if !self.count.has_missed() {
                tracing::warn!("the kernel does not tell of crashes any more; see docs/daemon.md");
            }
            self.count.miss();
        }
    }

    /// Hears all there is; whether there was anything.
    fn drain(&mut self) -> bool {
        let mut any = false;
        while let Some(heard) = self.connector.next() {
            if heard == Heard::Missed {
                self.listening_since = Instant::now();
            }
            self.count.hear(heard, Instant::now());
            any = true;
        }
        any
    }
}
