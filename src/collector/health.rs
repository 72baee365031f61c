//! Whether it runs, whether it can store, and what it counts.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::answer::Trouble;
use super::desk::Desk;
use super::reading::Asker;

/// GET /healthz: it runs.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// Bytes that must be free: the WAL between two checkpoints, and some.
const FREE: u64 = 64 << 20;

/// GET /readyz: it can store. An empty batch goes the way of every batch, so
/// the writer answers; the disk has room.
pub(super) async fn ready(State(desk): State<Arc<Desk>>) -> Result<&'static str, Trouble> {
    if *desk.stopping.borrow() {
        return Err(Trouble::busy("the collector is being stopped"));
    }
    let file = desk.database.clone();
    let stored = desk.ask(move |store| {
        store.ingest(&crate::store::Origin::default(), Vec::new())?;
        Ok(free(&file))
    });
    match stored.await {
        Ok(Some(bytes)) if bytes < FREE => Err(unready(&format!("the disk has {} MiB left", bytes >> 20))),
        Ok(_) => Ok("ready\n"),
        Err(trouble) => Err(unready(trouble.error())),
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
