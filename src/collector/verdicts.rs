//! GET and POST /v1/verdicts: what people found out about machines.
//!
//! A verdict changes what every later study of the fleet says, so it needs the
//! role `admin`, as removing does, and leaves a line in the audit log. Nobody
//! takes one back by overwriting it: a newer one of the same subject counts.

use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::answer::Trouble;
use super::auth::Peer;
use super::desk::Desk;
use super::ingest::now;
use super::log::clean;
use super::order::{Order, decode};
use super::parameters::Parameters;
use super::reading::Asker;
use crate::config::near;
use crate::store::{Store, Subject};
use crate::wire::api::{Judged, Judgement, Verdict};

/// Bytes of a judgement.
const BODY: usize = 16 << 10;
/// Bytes of its note.
const NOTE: usize = 1024;
/// Bytes of a host's name, as in a batch.
const HOST: usize = 255;
/// Verdicts of an answer, and when the caller does not say.
const MOST: u32 = 10_000;
const SHAPE: &str = "{ \"host\": NAME, \"confirmed\": true or false, \"signature\": KEY, \"note\": TEXT }, \
                     the last two where there is something to say";

/// GET /v1/verdicts
pub(super) async fn list(asker: Asker) -> Result<Response, Trouble> {
    let most = Parameters::of(&asker.uri, &["limit"])?.small("limit")?.unwrap_or(MOST).clamp(1, MOST);
    asker.desk.answer(asker.format, move |store| store.verdicts(most)).await
}

/// POST /v1/verdicts
pub(super) async fn judge(
    State(desk): State<Arc<Desk>>,
    Extension(peer): Extension<Arc<Peer>>,
    request: Request,
) -> Result<Response, Trouble> {
    let order = Order::of(&desk, &peer, request, BODY).await?;
    let judgement = judgement(order.bytes(), order.msgpack)?;
    let Judgement { host, signature, confirmed, note } = judgement;
    let who = order.caller.who().to_owned();
    let verdict = Verdict { at: now(), who, host, signature, confirmed, note };
    let (address, format) = (order.address, order.format);
    let written = move |store: &dyn Store| {
        let judged = write(store, verdict)?;
        let said = if judged.verdict.confirmed { "confirmed" } else { "refuted" };
        let (who, host) = (clean(&judged.verdict.who), clean(&judged.verdict.host));
        tracing::info!(crashes = judged.crashes, "{address}: {who} {said} {host}");
        format.encode(&judged)
    };
    let (bytes, turn) = desk.ask_in_turn(written).await?;
    desk.send(format, bytes, Some(turn)).await
}

fn judgement(bytes: &[u8], msgpack: bool) -> Result<Judgement, Trouble> {
    let malformed = |what: String| Trouble::malformed(what).next(SHAPE);
    let judgement: Judgement = decode(bytes, msgpack).map_err(malformed)?;
    if judgement.host.is_empty() || judgement.host.len() > HOST {
        return Err(malformed(format!("host is a name of 1 to {HOST} bytes")));
    }
    if judgement.note.as_ref().is_some_and(|note| note.len() > NOTE) {
        return Err(malformed(format!("note has more than {NOTE} bytes")));
    }
    Ok(judgement)
}

/// Writes it, or says who may have been meant.
fn write(store: &dyn Store, verdict: Verdict) -> Result<Judged, Trouble> {
    let host = clean(&verdict.host);
    match store.judge(&verdict)? {
        Subject::Crashes(crashes) => Ok(Judged { verdict, crashes }),
        Subject::NoCrash => {
            let key = verdict.signature.map_or(0, |key| key.0);
            let error = format!("{host} has no crash of signature {key:016x}");
            Err(Trouble::new(StatusCode::UNPROCESSABLE_ENTITY, error)
                .next("a whole key, as `epicore study` and GET /v1/signatures print it"))
        }
        Subject::NoHost => {
            let names = store.host_names()?;
            let near = near(&verdict.host, names.iter().map(String::as_str));
            let next = match near.is_empty() {
                true => "a whole host name, as GET /v1/hosts lists them".to_owned(),
                false => format!("did you mean {}?", clean(&near.join(", "))),
            };
            Err(Trouble::new(StatusCode::UNPROCESSABLE_ENTITY, format!("no host {host} was ever heard of"))
                .next(next))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_judgement_says_whom_and_which_and_nothing_else() {
        let of = |text: &str| judgement(text.as_bytes(), false);
        let good = of("{\"host\":\"web-1\",\"confirmed\":false,\"signature\":\"0xab\"}").unwrap();
        assert_eq!(
            (good.host.as_str(), good.confirmed, good.signature.map(|key| key.0)),
            ("web-1", false, Some(0xab))
        );
        for wrong in [
            "{\"host\":\"web-1\"}",
            "{\"confirmed\":true}",
            "{\"host\":\"\",\"confirmed\":true}",
            "{\"host\":\"web-1\",\"confirmed\":true,\"signatur\":\"ab\"}",
            "[]",
        ] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
        let long = format!("{{\"host\":\"web-1\",\"confirmed\":true,\"note\":\"{}\"}}", "x".repeat(1025));
        assert!(of(&long).is_err());
        assert!(judgement(&[0x91; 10_000], true).is_err());
        let packed = rmp_serde::to_vec_named(&good).unwrap();
        assert_eq!(judgement(&packed, true).unwrap(), good);
    }
}
