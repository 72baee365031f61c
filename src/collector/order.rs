//! What somebody who may change things asks for: let in as `admin`, read whole,
//! as JSON or MessagePack.

use std::net::SocketAddr;

use axum::extract::Request;
use axum::http::header;
use serde::de::DeserializeOwned;

use super::answer::{Format, Trouble};
use super::auth::{Caller, Peer};
use super::body::{self, Received};
use super::desk::Desk;
use super::token::Role;

/// How deep a value may be nested.
const DEPTH: usize = 8;

/// An order, not yet understood.
pub(super) struct Order {
    /// Who gives it.
    pub(super) caller: Caller,
    /// From where.
    pub(super) address: SocketAddr,
    /// How the answer is written.
    pub(super) format: Format,
    /// Whether it is MessagePack.
    pub(super) msgpack: bool,
    received: Received,
}

impl Order {
    /// Lets it in, and reads at most `limit` bytes of it.
    pub(super) async fn of(
        desk: &Desk,
        peer: &Peer,
        request: Request,
        limit: usize,
    ) -> Result<Order, Trouble> {
        let (head, mut body) = request.into_parts();
        let caller = desk.admit(&head.headers, peer, Role::Admin)?;
        let received = body::read(desk, &head.headers, &mut body, limit).await?;
        let kind = head.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
        Ok(Order {
            caller,
            address: peer.address,
            format: Format::accepted(&head.headers, Format::Json),
            msgpack: kind.contains("msgpack"),
            received,
        })
    }

    /// Its bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.received.bytes
    }
}

/// What the bytes say, or why they say nothing.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8], msgpack: bool) -> Result<T, String> {
    if msgpack {
        let mut deserializer = rmp_serde::Deserializer::new(bytes);
        deserializer.set_max_depth(DEPTH);
        return T::deserialize(&mut deserializer).map_err(|error| error.to_string());
    }
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}
