//! A request's body: admitted before it is read, bounded in bytes and time.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use tokio::sync::OwnedSemaphorePermit;

use super::answer::Trouble;
use super::desk::Desk;

/// Compressed bytes of one batch.
pub(super) const COMPRESSED: usize = 4 << 20;
/// How long a body waits for memory before its host is asked to come later.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long what was refused unread is still read and thrown away, so that the
/// refusal is not lost in a reset.
const DRAIN: Duration = Duration::from_secs(5);

/// A whole body, and the memory that it was given.
pub(super) struct Received {
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
    _permit: OwnedSemaphorePermit,
}

/// Reads a body of at most `limit` bytes.
pub(super) async fn read(
    desk: &Desk,
    headers: &HeaderMap,
    body: &mut Body,
    limit: usize,
) -> Result<Received, Trouble> {
    let declared = declared(headers, limit)?;
    let permit = desk.memory.bodies.admit(declared, PATIENCE).await?;
    let seconds = Duration::from_secs(desk.limits.body_seconds.into());
    let read = tokio::time::timeout(seconds, collect(body, declared.min(limit), limit)).await;
    let late = || Trouble::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time");
    let bytes = read.map_err(|_| late().next("send less at once"))??;
    Ok(Received { bytes, _permit: permit })
}

/// What `Content-Length` says, or the limit when it says nothing.
fn declared(headers: &HeaderMap, limit: usize) -> Result<usize, Trouble> {
    let Some(value) = headers.get(header::CONTENT_LENGTH) else { return Ok(limit) };
    let length = value.to_str().ok().and_then(|text| text.parse::<u64>().ok());
    let length = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(usize::MAX);
    if length > limit { Err(large(limit)) } else { Ok(length) }
}

async fn collect(body: &mut Body, expected: usize, limit: usize) -> Result<Vec<u8>, Trouble> {
    let mut bytes: Vec<u8> = Vec::with_capacity(expected.min(64 << 10));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Trouble::malformed("the body ended early"))?;
        let data: Bytes = frame.into_data().unwrap_or_default();
        if bytes.len().saturating_add(data.len()) > limit {
            return Err(large(limit));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

fn large(limit: usize) -> Trouble {
    Trouble::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body has more than {limit} bytes"))
        .next("send it in smaller parts")
}

/// Reads what was refused unread, within limits.
pub(super) async fn drain(mut body: Body) {
    let mut left = COMPRESSED.saturating_mul(2);
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(1, |data| data.len().max(1)));
            if left == 0 {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(DRAIN, reading).await;
}
