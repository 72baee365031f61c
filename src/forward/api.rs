//! The read side: what people ask a collector (docs/wire-protocol.md, "The
//! API").
//!
//! What it gives: [`Api`], GET and POST with MessagePack both ways, errors in
//! the collector's words with its hint of what to do next. What it trusts:
//! nothing of an answer but its shape. Limits: [`ANSWER`] bytes, nesting.

use std::time::Duration;

use reqwest::blocking::{Body, Client, RequestBuilder};
use reqwest::header::CONTENT_TYPE;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::transport::{ForwardError, MSGPACK, Reply, Transport};
use super::trouble::{Cause, Trouble, WHY, plain};
use crate::config::Collector;
use crate::wire::api::Problem;

/// The largest answer: the aggregates of a study over a hundred thousand hosts
/// are some ten megabytes.
const ANSWER: u64 = 256 << 20;
/// Maps and lists inside each other: a record in a page has nine.
const DEPTH: usize = 64;

/// Why a question has no answer, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    status: Option<u16>,
    cause: Option<Cause>,
    error: String,
    next: Option<String>,
}

impl ApiError {
    /// What kind of trouble it is, unless the collector itself said no.
    pub fn cause(&self) -> Option<Cause> {
        self.cause
    }

    /// What to do about it.
    pub fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }

    /// HTTP status, when there was an answer.
    pub fn status(&self) -> Option<u16> {
        self.status
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.error)
    }
}

impl std::error::Error for ApiError {}

impl From<Trouble> for ApiError {
    fn from(trouble: Trouble) -> ApiError {
        ApiError {
            status: None,
            cause: Some(trouble.cause),
            error: trouble.what,
            next: Some(trouble.next).filter(|next| !next.is_empty()),
        }
    }
}

/// A collector that is asked.
#[derive(Debug)]
pub struct Api {
    transport: Transport,
}

impl Api {
    /// The collector of `access`; an answer may take `patience`. Every file of
    /// credentials is read now.
    pub fn new(access: &Collector, patience: Duration) -> Result<Api, ForwardError> {
        let transport = Transport::new(access, patience)?;
        transport.prepare()?;
        Ok(Api { transport })
    }

    /// GET `path` ("/v1/records") with a query.
    pub fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<T, ApiError> {
        let url = self.transport.url(path, query);
        self.ask(|client| client.get(url))
    }

    /// GET where an answer with `status` has another shape, which is no error:
    /// 409 lists the candidates of a part of an id.
    pub fn get_or<T: DeserializeOwned, U: DeserializeOwned>(
        &self,
        path: &str,
        status: u16,
    ) -> Result<Result<T, U>, ApiError> {
        let url = self.transport.url(path, &[]);
        let reply = self.transport.exchange(ANSWER, |client| client.get(url))?;
        match decode(&reply.body) {
            Some(other) if reply.status == status => Ok(Err(other)),
            _ => answer(&reply).map(Ok),
        }
    }

    /// POST `body` as MessagePack.
    pub fn post<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, ApiError> {
        let url = self.transport.url(path, &[]);
        let body = rmp_serde::to_vec_named(body).map_err(|error| ApiError {
            status: None,
            cause: None,
            error: format!("the question cannot be encoded: {error}"),
            next: None,
        })?;
        self.ask(|client| client.post(url).header(CONTENT_TYPE, MSGPACK).body(Body::from(body)))
    }

    fn ask<T: DeserializeOwned>(
        &self,
        request: impl FnOnce(&Client) -> RequestBuilder,
    ) -> Result<T, ApiError> {
        answer(&self.transport.exchange(ANSWER, request)?)
    }
}

fn answer<T: DeserializeOwned>(reply: &Reply) -> Result<T, ApiError> {
    if reply.status != 200 {
        return Err(refused(reply));
    }
    decode(&reply.body).ok_or_else(|| Trouble::garbage(&reply.body).into())
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(body);
    deserializer.set_max_depth(DEPTH);
    T::deserialize(&mut deserializer).ok()
}

/// The collector's own words, else ours for the status.
fn refused(reply: &Reply) -> ApiError {
    let problem = decode::<Problem>(&reply.body).filter(|problem| !problem.error.is_empty());
    let (cause, error, next) = match (problem, reply.status) {
        (Some(problem), _) => (None, plain(&problem.error, WHY), problem.next.map(|next| plain(&next, WHY))),
        (None, 401 | 403) => (
            None,
            format!("the collector does not take this token ({})", reply.status),
            Some("`epicore-collector token ROLE NAME` makes one: read to ask, admin to purge.".to_owned()),
        ),
        (None, _) => {
            let trouble = Trouble::status(reply);
            (Some(trouble.cause), trouble.what, Some(trouble.next))
        }
    };
    ApiError { status: Some(reply.status), cause, error, next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_collectors_words() {
        let problem =
            Problem { error: "since is after until\x1b[2J".into(), next: Some("Swap them.".into()) };
        let body = rmp_serde::to_vec_named(&problem).unwrap();
        let error = refused(&Reply { status: 400, body, ..Reply::default() });
        assert_eq!(error.to_string(), "since is after until\\u{1b}[2J");
        assert_eq!((error.status(), error.next()), (Some(400), Some("Swap them.")));
        let error = refused(&Reply { status: 404, body: b"<html>".to_vec(), ..Reply::default() });
        assert!(error.to_string().contains("no collector"), "{error}");
    }
}
