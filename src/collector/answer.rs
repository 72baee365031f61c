//! What goes back: JSON or MessagePack by `Accept`, errors as [`Problem`], and
//! no answer larger than [`LARGEST`].

use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, SizeHint};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;

use crate::store::StoreError;
use crate::wire::api::Problem;

/// The largest answer: a page has one megabyte, a study of 20,000 hosts a few.
pub(super) const LARGEST: usize = 16 << 20;
/// Seconds after which a host tries again when the store cannot write.
const RETRY_FULL: u64 = 60;
/// Seconds after which a host tries again when too much is in flight.
const RETRY_BUSY: u64 = 2;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// The default.
    Json,
    /// When `Accept` names it.
    MessagePack,
}

impl Format {
    /// What the caller accepts; `otherwise` when it does not say.
    pub(super) fn accepted(headers: &HeaderMap, otherwise: Format) -> Format {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
        match (accept.contains("msgpack"), accept.contains("json")) {
            (true, _) => Format::MessagePack,
            (false, true) => Format::Json,
            (false, false) => otherwise,
        }
    }

    fn media(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Format::Json => "application/json",
            Format::MessagePack => "application/msgpack",
        })
    }

    /// The value's bytes, at most [`LARGEST`].
    pub(super) fn encode<T: Serialize>(self, value: &T) -> Result<Vec<u8>, Trouble> {
        let mut out = Bounded(Vec::new());
        let written = match self {
            Format::Json => serde_json::to_writer(&mut out, value).map_err(|e| e.to_string()),
            Format::MessagePack => rmp_serde::encode::write_named(&mut out, value).map_err(|e| e.to_string()),
        };
        written.map_err(|_| {
            Trouble::new(StatusCode::BAD_REQUEST, "the answer would have more than 16 MiB")
                .next("ask for less: a shorter time (since, until), a smaller limit")
        })?;
        Ok(out.0)
    }

    /// A whole answer.
    pub(super) fn reply(self, bytes: Vec<u8>, permit: Option<OwnedSemaphorePermit>) -> Response {
        let body = Body::new(Held { bytes: Some(Bytes::from(bytes)), _permit: permit });
        ([(header::CONTENT_TYPE, self.media())], body).into_response()
    }
}

/// A buffer that refuses to grow beyond [`LARGEST`].
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len().saturating_add(bytes.len()) > LARGEST {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A body that gives its memory back when it was sent.
struct Held {
    bytes: Option<Bytes>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl hyper::body::Body for Held {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

/// A request that gets no answer but a reason.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    /// The status.
    pub(super) status: StatusCode,
    problem: Problem,
    retry: Option<u64>,
}

impl Trouble {
    /// What is wrong.
    pub(super) fn new(status: StatusCode, error: impl Into<String>) -> Trouble {
        Trouble { status, problem: Problem { error: error.into(), next: None }, retry: None }
    }

    /// The request is not what it should be.
    pub(super) fn malformed(error: impl Into<String>) -> Trouble {
        Trouble::new(StatusCode::BAD_REQUEST, error)
    }

    /// Too much at once.
    pub(super) fn busy(error: impl Into<String>) -> Trouble {
        let next = "send it again after Retry-After seconds";
        Trouble::new(StatusCode::SERVICE_UNAVAILABLE, error).next(next).after(RETRY_BUSY)
    }

    /// What to do about it.
    pub(super) fn next(mut self, next: impl Into<String>) -> Trouble {
        self.problem.next = Some(next.into());
        self
    }

    /// When to try again, seconds.
    pub(super) fn after(mut self, seconds: u64) -> Trouble {
        self.retry = Some(seconds);
        self
    }

    /// What is wrong, for the log.
    pub(super) fn error(&self) -> &str {
        &self.problem.error
    }

    /// The response in a format.
    pub(super) fn respond(&self, format: Format) -> Response {
        let body = format.encode(&self.problem).unwrap_or_default();
        let mut response = (self.status, [(header::CONTENT_TYPE, format.media())], body).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"epicore\""));
        }
        response
    }
}

impl IntoResponse for Trouble {
    /// The reason travels as an extension: the outermost layer knows the format.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Trouble {
        let seconds = match &error {
            StoreError::Full(_) | StoreError::Broken(_) => RETRY_FULL,
            StoreError::Closed => RETRY_BUSY,
        };
        let status = match &error {
            StoreError::Full(_) | StoreError::Closed => StatusCode::SERVICE_UNAVAILABLE,
            StoreError::Broken(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        // What the engine said may name paths: it is for the log.
        let words = match &error {
            StoreError::Full(_) => "the collector's disk is full",
            StoreError::Closed => "the collector is being stopped",
            StoreError::Broken(_) => "the store failed",
        };
        tracing::error!("{error}");
        Trouble::new(status, words).next("nothing is lost: keep it and send it again").after(seconds)
    }
}
