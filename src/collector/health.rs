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

/// GET /readyz: it can store.
pub(super) async fn ready(State(desk): State<Arc<Desk>>) -> Result<&'static str, Trouble> {
    if *desk.stopping.borrow() {
        return Err(Trouble::busy("the collector is being stopped"));
    }
    let ready = desk.ask(|store| Ok(store.ingest(&crate::store::Origin::default(), Vec::new())?)).await;
    match ready {
        Ok(_) => Ok("ready\n"),
        Err(trouble) => Err(Trouble::new(StatusCode::SERVICE_UNAVAILABLE, trouble.error())
            .after(10)
            .next("look at the collector's log")),
    }
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
