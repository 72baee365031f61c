//! POST /v1/purge: removes records, and says so in the audit log.
//!
//! A misspelt key would widen what is removed, so an unknown one is an error;
//! and a purge without any condition is one too.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::answer::Trouble;
use super::auth::Peer;
use super::desk::Desk;
use super::log::clean;
use super::order::{Order, decode};
use crate::store::Store;
use crate::wire::api::Purge;

/// Bytes of the conditions.
const CONDITIONS: usize = 64 << 10;
/// Keys of [`Purge`].
const KEYS: [&str; 5] = ["uid", "unit", "host", "before", "dry_run"];

/// The route.
pub(super) async fn purge(
    State(desk): State<Arc<Desk>>,
    Extension(peer): Extension<Arc<Peer>>,
    request: Request,
) -> Result<Response, Trouble> {
    let order = Order::of(&desk, &peer, request, CONDITIONS).await?;
    let purge = conditions(order.bytes(), order.msgpack)?;
    let who = order.caller.who().to_owned();
    let address = order.address;
    let purged = move |store: &dyn Store| {
        let purged = store.purge(&purge, &who)?;
        log(address, &who, &purge, purged.records);
        Ok(purged)
    };
    desk.answer(order.format, purged).await
}

/// Who, how many, and under which conditions, each a field of its own.
fn log(address: SocketAddr, who: &str, purge: &Purge, records: u64) {
    let text = |value: &Option<String>| value.as_deref().map(clean);
    let (unit, host) = (text(&purge.unit), text(&purge.host));
    let before = purge.before.and_then(|ns| Timestamp::from_nanosecond(ns.into()).ok());
    let before = before.map(|before| before.to_string());
    let done = if purge.dry_run { "would purge" } else { "purged" };
    tracing::info!(
        records,
        uid = purge.uid,
        unit = unit.as_deref(),
        host = host.as_deref(),
        before = before.as_deref(),
        "{address}: {} {done} records",
        clean(who)
    );
}

fn conditions(bytes: &[u8], msgpack: bool) -> Result<Purge, Trouble> {
    let shape = "{ \"uid\": N, \"unit\": TEXT, \"host\": TEXT, \"before\": NANOSECONDS, \"dry_run\": true }, at least one";
    let malformed = |what: String| Trouble::malformed(what).next(shape);
    let map: Map<String, Value> = decode(bytes, msgpack).map_err(malformed)?;
    if let Some(unknown) = map.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(malformed(format!("there is no condition {unknown:?}")));
    }
    let purge: Purge = serde_json::from_value(Value::Object(map)).map_err(|e| malformed(e.to_string()))?;
    let given = purge.uid.is_some() || purge.unit.is_some() || purge.host.is_some() || purge.before.is_some();
    let empty = [&purge.unit, &purge.host].into_iter().flatten().any(String::is_empty);
    match given && !empty {
        true => Ok(purge),
        false => Err(malformed("a purge without a condition would remove everything".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purge_needs_a_condition_and_knows_no_misspelt_one() {
        assert!(conditions(b"{}", false).is_err());
        assert!(conditions(b"{\"dry_run\":true}", false).is_err());
        assert!(conditions(b"{\"host\":\"\"}", false).is_err());
        assert!(conditions(b"{\"uid\":5,\"hots\":\"web\"}", false).is_err());
        assert_eq!(conditions(b"{\"uid\":5}", false).unwrap().uid, Some(5));
        assert_eq!(conditions(b"\x81\xa3uid\x05", true).unwrap().uid, Some(5));
        assert!(conditions(&[0x91; 60_000], true).is_err());
        assert!(conditions(&[b'['; 60_000], false).is_err());
    }
}
