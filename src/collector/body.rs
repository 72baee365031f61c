//! A request's body: memory is admitted as bytes arrive, so that who says much
//! and sends nothing holds nothing; bounded in bytes and time.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use tokio::sync::OwnedSemaphorePermit;

use super::answer::Trouble;
use super::desk::{Desk, Share};

/// Compressed bytes of one batch.
pub(super) const COMPRESSED: usize = 4 << 20;
/// Memory that a body is given first, and at least each time that it is full.
const STEP: usize = 64 << 10;
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
    let most = declared(headers, limit)?;
    let permit = desk.memory.bodies.admit(STEP.min(most), PATIENCE).await?;
    let arriving = Arriving { bytes: Vec::new(), permit, room: STEP.min(most), most, limit };
    let seconds = Duration::from_secs(desk.limits.body_seconds.into());
    let read = tokio::time::timeout(seconds, arriving.collect(&desk.memory.bodies, body)).await;
    let late = || Trouble::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time");
    read.map_err(|_| late().next("send less at once"))?
}

/// A body of which some is here.
struct Arriving {
    bytes: Vec<u8>,
    permit: OwnedSemaphorePermit,
    /// Bytes that are admitted.
    room: usize,
    /// Bytes that it may have, by its own word.
    most: usize,
    /// Bytes that any may have.
    limit: usize,
}

impl Arriving {
    async fn collect(mut self, share: &Share, body: &mut Body) -> Result<Received, Trouble> {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Trouble::malformed("the body ended early"))?;
            let data: Bytes = frame.into_data().unwrap_or_default();
            let length = self.bytes.len().saturating_add(data.len());
            if length > self.limit {
                return Err(large(self.limit));
            }
            self.make_room(share, length).await?;
            self.bytes.extend_from_slice(&data);
        }
        Ok(Received { bytes: self.bytes, _permit: self.permit })
    }

    /// Half as much again, so that a long body is moved a few times only.
    async fn make_room(&mut self, share: &Share, length: usize) -> Result<(), Trouble> {
        if length > self.room {
            let wanted =
                length.max(self.room.saturating_add((self.room >> 1).max(STEP))).min(self.most.max(length));
            let more = share.admit(wanted.saturating_sub(self.room), PATIENCE).await?;
            self.permit.merge(more);
            self.room = wanted;
        }
        let spare = self.room.saturating_sub(self.bytes.len());
        self.bytes.reserve_exact(spare);
        Ok(())
    }
}

/// What `Content-Length` says, or the limit when it says nothing.
fn declared(headers: &HeaderMap, limit: usize) -> Result<usize, Trouble> {
    let Some(value) = headers.get(header::CONTENT_LENGTH) else { return Ok(limit) };
    let length = value.to_str().ok().and_then(|text| text.parse::<u64>().ok());
    let length = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(usize::MAX);
    if length > limit { Err(large(limit)) } else { Ok(length) }
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
