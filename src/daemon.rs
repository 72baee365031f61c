//! epicored on one screen: the spool is claimed, watched and sent.
//!
//! ```text
//!  watch ────┐ names                      ┌──► sender ─┐   as many as the pace
//!  signals ──┼──────► events ──► main ────┼──► sender ─┤   allows, while there
//!  socket ───┤                    ▲       └──► sender ─┘   is something to send
//!  dropped ──┘                    └──────── reports ───┘
//! ```
//!
//! One main loop owns all state; the other threads wait in the kernel and send
//! it events. It sleeps without a timer but for these: a minimal record that
//! becomes due, a collector that is tried again, idle connections that are let
//! go, a metrics file to write, a watchdog that the unit asks for, and a look
//! at the whole spool every ten minutes in case the kernel lost an event.
//!
//! What it trusts: the configuration, and whoever owns the spool. What it
//! promises: an item leaves the pending names only after a collector said that
//! it is on its disk (or that it never will be); so whatever ends the daemon at
//! whatever moment, nothing is lost, and what is sent twice is stored once.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )
)]

mod arguments;
mod connector;
mod count;
mod dropped;
mod event;
mod forwarder;
mod logs;
mod metrics;
mod notify;
mod outage;
mod queue;
mod retention;
mod round;
mod sender;
mod signals;
mod socket;
mod standing;
mod start;
mod status;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use arguments::{Order, Paths};
use event::{Event, Reply, Request};
use forwarder::Forwarder;
use notify::Watchdog;
use retention::Keeper;
use start::Failure;

use crate::spool::Spool;

pub use socket::{AskError, ask, ask_status};
pub use status::{Activity, Dropped, Held, Outage, Refusal, STATUS_VERSION, Sent, Status, Tally};

/// Events that wait: the kernel's own queue is behind them.
const EVENTS: usize = 1024;
/// How often the whole spool is looked at.
const LOOK: Duration = Duration::from_secs(600);
/// How often the metrics file is written, at most.
const WRITE: Duration = Duration::from_secs(15);
/// How long a request in flight may take after SIGTERM.
const LAST: Duration = Duration::from_secs(5);

/// Runs epicored with these arguments (without the program's name): 0 after
/// SIGTERM, 1 when it cannot run, 2 when the configuration is wrong.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let outcome = match arguments::read(arguments) {
        Ok(Order::Print(text)) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Ok(Order::Run(paths)) => serve(paths),
        Err(wrong) => Err(Failure::Usage(vec![format!("{wrong}; `epicored --help` lists the options")])),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}

fn serve(paths: Paths) -> Result<(), Failure> {
    // A handler has this user, too: it is none of its business what is in here.
    let _ = nix::sys::prctl::set_dumpable(false);
    crate::syscall::use_few_arenas();
    let config = start::configuration(&paths)?;
    logs::start();
    let (sender, events) = crossbeam_channel::bounded(EVENTS);
    signals::listen(&sender)?;
    let (spool, reader, _claim) = start::spool(&config)?;
    let spool = Arc::new(spool);
    start::watch(&spool, &config, &sender)?;
    let mut forwarder = Forwarder::new(config, spool.clone(), reader, start::identity(), sender.clone());
    let _ending = start::dropped(&mut forwarder, &paths, &sender);
    let socket = start::socket(&mut forwarder, &spool, &sender);
    notify::ready(&start::greeting(&forwarder.config));
    tracing::info!("{}", start::greeting(&forwarder.config));
    turn(&mut forwarder, &spool, &events, &paths);
    start::farewell(&forwarder.config, socket);
    Ok(())
}

/// The main loop, until SIGTERM.
fn turn(forwarder: &mut Forwarder, spool: &Spool, events: &Receiver<Event>, paths: &Paths) {
    let (mut keeper, mut watchdog) = (Keeper::default(), Watchdog::new(Instant::now()));
    let mut look = Instant::now().checked_add(LOOK);
    let mut written: Option<Instant> = None;
    let mut last: Option<Instant> = None;
    loop {
        let now = Instant::now();
        if look.is_some_and(|look| now >= look) {
            forwarder.look_again();
            look = now.checked_add(LOOK);
        }
        let mut acknowledged = forwarder.acknowledged;
        keeper.keep(spool, &forwarder.config, &mut acknowledged, now);
        forwarder.acknowledged = acknowledged;
        watchdog.pat(now);
        let write = write_metrics(forwarder, &mut written, now);
        let wake = forwarder.turn(now);
        if last.is_some_and(|last| now >= last || forwarder.is_still()) {
            return;
        }
        let due = [look, write, wake, watchdog.due(), last].into_iter().flatten().min();
        let Some(event) = next(events, due) else { continue };
        for event in std::iter::once(event).chain(events.try_iter().take(EVENTS)) {
            match event {
                Event::Stop if last.is_some() => return,
                Event::Stop => {
                    notify::stopping();
                    forwarder.stop();
                    last = Instant::now().checked_add(LAST);
                }
                Event::Reload => start::reload(forwarder, paths),
                event => handle(forwarder, event),
            }
        }
    }
}

/// The next event, or nothing when `due` has come.
fn next(events: &Receiver<Event>, due: Option<Instant>) -> Option<Event> {
    match due {
        None => events.recv().ok(),
        Some(due) => events.recv_deadline(due).ok(),
    }
}

fn handle(forwarder: &mut Forwarder, event: Event) {
    match event {
        Event::Appeared { item, minimal } => forwarder.appeared(item, minimal),
        Event::Overflow => forwarder.want_scan(),
        Event::Credentials => forwarder.credentials_changed(),
        Event::Returned(report) => forwarder.returned(*report),
        Event::Dropped { known, missed } => forwarder.dropped(known, missed),
        Event::Asked(request, answer) => {
            let reply = match request {
                Request::Status => Reply::Status(Box::new(forwarder.status())),
                Request::Flush => {
                    forwarder.flush();
                    Reply::Text("trying now\n".into())
                }
                Request::Retry => Reply::Text(forwarder.retry()),
                Request::Metrics => {
                    forwarder.gauges();
                    Reply::Text(forwarder.metrics.text())
                }
            };
            // Who asked may have gone.
            let _ = answer.send(reply);
        }
        Event::Reload | Event::Stop => {}
    }
}

/// Writes the metrics file when something changed and the last time is long
/// ago; when to do so, otherwise.
fn write_metrics(forwarder: &mut Forwarder, written: &mut Option<Instant>, now: Instant) -> Option<Instant> {
    let path = forwarder.config.daemon.metrics_file.clone().filter(|_| forwarder.changed)?;
    let due = written.and_then(|written| written.checked_add(WRITE)).filter(|due| now < *due);
    if due.is_some() {
        return due;
    }
    *written = Some(now);
    forwarder.changed = false;
    forwarder.gauges();
    if let Err(error) = metrics::write(&path, &forwarder.metrics.text()) {
        forwarder.warn(format!("{}: {error}", path.display()));
    }
    None
}
