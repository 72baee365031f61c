//! Every route, and what is done around each: the time is taken, the answer
//! counted, the reason of a refusal written in the caller's format.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};

use super::answer::{Format, Trouble};
use super::auth::Peer;
use super::desk::Desk;
use super::{health, ingest, population, reading, removal, verdicts};

/// The router. docs/openapi.json has the same routes, held by a test.
pub(super) fn router(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/v1/batches", post(ingest::batches))
        .route("/v1/records", get(reading::records))
        .route("/v1/records/{id}", get(reading::record))
        .route("/v1/signatures", get(reading::signatures))
        .route("/v1/hosts", get(reading::hosts))
        .route("/v1/attributes", get(reading::attributes))
        .route("/v1/exposure", get(reading::exposure))
        .route("/v1/study", get(reading::study))
        .route("/v1/population", get(population::population))
        .route("/v1/verdicts", get(verdicts::list))
        .route("/v1/verdicts", post(verdicts::judge))
        .route("/v1/audit", get(reading::audit))
        .route("/v1/purge", post(removal::purge))
        .route("/v1/openapi.json", get(reading::openapi))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .fallback(nothing)
        .method_not_allowed_fallback(not_so)
        .layer(from_fn_with_state(Arc::clone(&desk), around))
        .with_state(desk)
}

async fn nothing() -> Trouble {
    Trouble::new(StatusCode::NOT_FOUND, "there is nothing here").next("the routes are in /v1/openapi.json")
}

async fn not_so() -> Trouble {
    Trouble::new(StatusCode::METHOD_NOT_ALLOWED, "this route has another method").next("see /v1/openapi.json")
}

async fn around(State(desk): State<Arc<Desk>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let peer = request.extensions().get::<Arc<Peer>>().map(|peer| peer.address);
    let otherwise = if route == "/v1/batches" { Format::MessagePack } else { Format::Json };
    let format = Format::accepted(request.headers(), otherwise);
    let mut response = next.run(request).await;
    if let Some(trouble) = response.extensions_mut().remove::<Trouble>() {
        let allow = response.headers_mut().remove(header::ALLOW);
        response = trouble.respond(format);
        if let Some(allow) = allow {
            response.headers_mut().insert(header::ALLOW, allow);
        }
        if let Some(peer) = peer {
            let (status, error) = (trouble.status.as_u16(), super::log::clean(trouble.error()));
            tracing::debug!("{peer}: {route}: {status}: {error}");
        }
    }
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    desk.metrics.request(&route, response.status().as_u16(), begun.elapsed());
    response
}
