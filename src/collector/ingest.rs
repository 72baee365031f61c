//! POST /v1/batches: from bytes to items that are on disk.
//!
//! In this order, so that the cheapest refusal comes first: who is it, how
//! often, what kind of body, how large; then it is read, unpacked, checked
//! against its sender, and handed to the store. 200 is only said after the
//! store's fsync.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use tokio::sync::OwnedSemaphorePermit;

use super::answer::{Format, Trouble};
use super::auth::{Caller, Peer};
use super::body::{self, Received};
use super::crowd::neighbourhood;
use super::desk::{Desk, blocking};
use super::settings::Limits;
use super::token::Role;
use super::unpack::{self, Candidate, Unpacked};
use crate::store::{Incoming, Origin, Store, StoreError};
use crate::wire::{Answer, ItemKind, Outcome, PROTOCOL, Said};

/// How long a batch waits for its turn to be unpacked.
const PATIENCE: Duration = Duration::from_secs(10);

/// Batches of one host at once: an epicored sends one after the other, and one
/// that it gave up may still be here.
const AT_ONCE: u32 = 4;
/// Batches at once of one address that speaks for more than one host.
const GATEWAY_AT_ONCE: u32 = 16;
/// Seconds after which a host that sent too much at once tries again.
const RETRY_AT_ONCE: u64 = 2;
/// The longest host name: DNS has no longer one, uname(2) 64 bytes.
const NAME: usize = 255;

/// The route.
pub(super) async fn batches(
    State(desk): State<Arc<Desk>>,
    Extension(peer): Extension<Arc<Peer>>,
    request: Request,
) -> Result<Response, Trouble> {
    let (head, mut body) = request.into_parts();
    let taken = take(&desk, &peer, &head.headers, &mut body).await;
    if taken.is_err() {
        body::drain(body).await;
    }
    let answer = taken?;
    let format = Format::accepted(&head.headers, Format::MessagePack);
    Ok(format.reply(format.encode(&answer)?, None))
}

/// Whose batches are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Sender {
    /// A host's, wherever they come from.
    Host(String),
    /// An address's, under a credential for several hosts.
    Address(IpAddr),
}

impl Sender {
    /// None where many may speak from one address: this host, and all when
    /// `limits.connections_per_address` says so.
    fn of(caller: &Caller, peer: &Peer, limits: &Limits) -> Option<Sender> {
        if let Some(name) = caller.only_name() {
            return Some(Sender::Host(name.to_owned()));
        }
        let counted = limits.connections_per_address > 0;
        neighbourhood(peer.address.ip()).filter(|_| counted).map(Sender::Address)
    }

    fn at_once(&self) -> u32 {
        match self {
            Sender::Host(_) => AT_ONCE,
            Sender::Address(_) => GATEWAY_AT_ONCE,
        }
    }
}

async fn take(
    desk: &Arc<Desk>,
    peer: &Peer,
    headers: &HeaderMap,
    body: &mut Body,
) -> Result<Answer, Trouble> {
    let caller = desk.admit(headers, peer, Role::Ingest)?;
    if let Some(name) = caller.only_name() {
        pace(desk, name)?;
    }
    let sender = Sender::of(&caller, peer, &desk.limits).map(|sender| {
        let most = sender.at_once();
        desk.senders.enter(sender, most)
    });
    if let Some(None) = sender {
        return Err(Trouble::new(StatusCode::TOO_MANY_REQUESTS, "this host sends too much at once")
            .next("send one batch after the other")
            .after(RETRY_AT_ONCE));
    }
    let compressed = is_zstd(headers)?;
    let received = body::read(desk, headers, body, body::COMPRESSED).await?;
    desk.metrics.received(received.bytes.len());
    let cost = unpack::cost(&received.bytes, compressed)?;
    let mut memory = desk.memory.unpacked.admit(cost, PATIENCE).await?;
    let turn = tokio::time::timeout(PATIENCE, Arc::clone(&desk.ingest).acquire_owned()).await;
    let Ok(Ok(turn)) = turn else { return Err(Trouble::busy("too many batches at once")) };
    let shared = Arc::clone(desk);
    let work = move || {
        let stored = store(&shared, &caller, received, compressed, &mut memory);
        drop((memory, turn, sender));
        stored
    };
    let stored = blocking(work).await??;
    if stored.outcomes.iter().any(|outcome| outcome.said == Said::Stored) {
        desk.tide.send_modify(|tide| *tide = tide.wrapping_add(1));
    }
    Ok(stored)
}

/// A MessagePack body, compressed with zstd or not at all.
fn is_zstd(headers: &HeaderMap) -> Result<bool, Trouble> {
    // Two of them are a list, which nobody sends who means zstd.
    let word = |name| {
        let mut values = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("?").trim());
        let first = values.next().unwrap_or("");
        if values.next().is_some() { "?" } else { first }
    };
    let unsupported = |words: String| {
        Trouble::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, words)
            .next("send Content-Type: application/msgpack and Content-Encoding: zstd")
    };
    let kind = word(header::CONTENT_TYPE).split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    if !matches!(kind.as_str(), "application/msgpack" | "application/vnd.msgpack" | "application/x-msgpack") {
        return Err(unsupported("a batch is MessagePack".to_owned()));
    }
    match word(header::CONTENT_ENCODING).to_ascii_lowercase().as_str() {
        "zstd" => Ok(true),
        "" | "identity" => Ok(false),
        _ => Err(unsupported("the body's compression is not zstd".to_owned())),
    }
}

fn pace(desk: &Desk, name: &str) -> Result<(), Trouble> {
    desk.rate.take(name, Instant::now()).map_err(|wait| {
        Trouble::new(StatusCode::TOO_MANY_REQUESTS, "this host sends too often")
            .next("send larger batches, or raise limits.requests_per_host on the collector")
            .after(wait.as_secs().saturating_add(1))
    })
}

/// Unpacks and stores; on a thread that may block.
fn store(
    desk: &Desk,
    caller: &Caller,
    received: Received,
    compressed: bool,
    memory: &mut OwnedSemaphorePermit,
) -> Result<Answer, Trouble> {
    let mut more = |bytes| desk.memory.unpacked.grow(memory, bytes);
    let (batch, items) = unpack::unpack(&received.bytes, compressed, &mut more)?;
    drop(received);
    if !caller.speaks_for(&batch.from.name) {
        let words = format!("{} may not speak for {:?}", caller.who(), batch.from.name);
        return Err(Trouble::new(StatusCode::FORBIDDEN, words)
            .next("a token names its host (`uname -n`): `epicore-collector token ingest HOST` makes one"));
    }
    if !(1..=NAME).contains(&batch.from.name.len()) {
        return Err(Trouble::malformed(format!("from.name is a host's name, of 1 to {NAME} bytes"))
            .next("it is what `uname -n` says"));
    }
    if caller.only_name().is_none() {
        pace(desk, &batch.from.name)?;
    }
    more(unpack::opening(&items))?;
    let outcomes = ingest(&*desk.store, &origin(&batch), items, &desk.metrics)?;
    Ok(Answer { v: PROTOCOL, outcomes })
}

fn origin(batch: &Unpacked) -> Origin {
    let received = now();
    let signed = |at: u64| i64::try_from(at).unwrap_or(i64::MAX);
    Origin {
        host: batch.from.name.clone(),
        mid: batch.from.mid.as_ref().and_then(|mid| mid.0.as_slice().try_into().ok()),
        clock_ns: signed(batch.at).saturating_sub(signed(received)),
        received,
    }
}

/// Nanoseconds since the epoch.
pub(super) fn now() -> u64 {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX)
}

/// What is an item goes to the store; refusals keep their places.
fn ingest(
    store: &dyn Store,
    origin: &Origin,
    candidates: Vec<Candidate>,
    metrics: &super::metrics::Metrics,
) -> Result<Vec<Outcome>, Trouble> {
    let mut outcomes: Vec<Outcome> = Vec::with_capacity(candidates.len());
    let mut kinds: Vec<ItemKind> = Vec::with_capacity(candidates.len());
    let mut places: Vec<usize> = Vec::new();
    let mut items: Vec<Incoming> = Vec::new();
    for (place, candidate) in candidates.into_iter().enumerate() {
        let refused = |why| Outcome { id: candidate.id.clone(), said: Said::Refused, why };
        match (candidate.item, <[u8; 16]>::try_from(candidate.id.0.as_slice())) {
            (Ok((kind, body)), Ok(id)) => {
                outcomes.push(refused(None));
                kinds.push(kind);
                places.push(place);
                items.push(Incoming { id, kind, body });
            }
            (item, _) => {
                outcomes.push(refused(item.err()));
                kinds.push(ItemKind::Crash);
            }
        }
    }
    if !items.is_empty() {
        fill(&mut outcomes, &places, store.ingest(origin, items)?)?;
    }
    for (outcome, kind) in outcomes.iter().zip(kinds) {
        metrics.item(kind, outcome.said);
    }
    Ok(outcomes)
}

/// Puts the store's outcomes where their items stood.
fn fill(outcomes: &mut [Outcome], places: &[usize], stored: Vec<Outcome>) -> Result<(), StoreError> {
    if stored.len() != places.len() {
        return Err(StoreError::Broken(format!("{} outcomes for {} items", stored.len(), places.len())));
    }
    for (place, outcome) in places.iter().zip(stored) {
        if let Some(known) = outcomes.get_mut(*place) {
            *known = outcome;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A token for all hosts had no limit: one address under it could hold all
    /// the memory of arriving bodies.
    #[test]
    fn batches_are_counted_by_host_and_else_by_address() {
        let of = |names: &[&str], address: &str, per_address: u32| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            let caller = Caller { role: Role::Ingest, names };
            let peer = Peer { address: format!("{address}:7").parse().unwrap(), names: Vec::new() };
            let limits = Limits { connections_per_address: per_address, ..Limits::default() };
            Sender::of(&caller, &peer, &limits)
        };
        let own = Sender::Address("192.0.2.7".parse().unwrap());
        assert_eq!([own.at_once(), Sender::Host(String::new()).at_once()], [16, 4]);
        let address = Some(own);
        assert_eq!(of(&["web-1"], "192.0.2.7", 512), Some(Sender::Host("web-1".to_owned())));
        assert_eq!(of(&["*"], "192.0.2.7", 512), address);
        assert_eq!(of(&["web-1", "web-2"], "192.0.2.7", 512), address);
        assert_eq!(of(&["*"], "127.0.0.1", 512), None, "a proxy on this host");
        assert_eq!(of(&["*"], "192.0.2.7", 0), None, "a proxy elsewhere");
    }
}
