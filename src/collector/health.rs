//! Whether it runs, whether it can store, and what it counts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::answer::Trouble;
use super::desk::{Desk, TURN, blocking};
use super::reading::Asker;

/// GET /healthz: it runs.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// Bytes that must be free: the WAL between two checkpoints, and some.
const FREE: u64 = 64 << 20;

/// How long an answer of /readyz is good for: nobody has to say who asks, so
/// the writer is asked once, and not by all of them.
const FRESH: Duration = Duration::from_secs(1);

/// What was found last, and when; locked while somebody looks.
pub(super) type Ready = Arc<tokio::sync::Mutex<Option<(Instant, Result<(), String>)>>>;

/// GET /readyz: it can store. An empty batch goes the way of every batch, so
/// the writer answers; the disk has room.
pub(super) async fn ready(State(desk): State<Arc<Desk>>) -> Result<&'static str, Trouble> {
    if *desk.stopping.borrow() {
        return Err(Trouble::busy("the collector is being stopped"));
    }
    let turn = tokio::time::timeout(TURN, Arc::clone(&desk.ready).lock_owned()).await;
    let Ok(mut known) = turn else { return Err(unready("the store does not answer")) };
    let found = match &*known {
        Some((at, found)) if at.elapsed() < FRESH => found.clone(),
        // The lock goes with the work: whoever hangs up does not begin a second one.
        _ => blocking(move || known.insert((Instant::now(), look(&desk))).1.clone()).await?,
    };
    found.map(|()| "ready\n").map_err(|why| unready(&why))
}

/// Stores nothing, and looks at the disk.
fn look(desk: &Desk) -> Result<(), String> {
    let stored = desk.store.ingest(&crate::store::Origin::default(), Vec::new());
    stored.map_err(|error| Trouble::from(error).error().to_owned())?;
    match free(&desk.database) {
        Some(bytes) if bytes < FREE => Err(format!("the disk has {} MiB left", bytes >> 20)),
        _ => Ok(()),
    }
}

fn unready(why: &str) -> Trouble {
    let next = "look at the collector's log, and at the disk of its database";
    Trouble::new(StatusCode::SERVICE_UNAVAILABLE, why).after(10).next(next)
}

/// Bytes that are free on the disk of `file`, when the system says.
fn free(file: &std::path::Path) -> Option<u64> {
    let disk = nix::sys::statvfs::statvfs(file).ok()?;
    disk.blocks_available().checked_mul(disk.fragment_size())
}

/// GET /metrics: OpenMetrics text.
pub(super) async fn metrics(_: Asker, State(desk): State<Arc<Desk>>) -> Result<Response, Trouble> {
    let amounts = desk.ask(|store| Ok(store.amounts()?)).await?;
    let memory = &desk.memory;
    let in_flight = [&memory.bodies, &memory.unpacked, &memory.answers].map(|share| share.used());
    let text = desk.metrics.text(amounts, in_flight.into_iter().fold(0, usize::saturating_add));
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}
