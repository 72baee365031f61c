//! GET /v1/…: questions about the fleet.
//!
//! Private records are for `admin`, and no such record leaves before its line
//! stands in the audit log: a log that cannot be written refuses the reading.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::answer::{Format, Trouble};
use super::auth::{Caller, Peer};
use super::desk::{Desk, Turn, blocking};
use super::ingest::now;
use super::parameters::Parameters;
use super::tail;
use super::token::Role;
use crate::record::Id;
use crate::store::{Store, StoreError, Window};
use crate::wire::api::{AuditRow, One, Page, Summary};

/// The line of the audit log for a private record that was shown.
const READ_PRIVATE: &str = "read-private";
/// Rows of the audit log, at most.
const AUDIT: u32 = 10_000;
/// The longest part of an id.
const DIGITS: usize = 64;

/// Somebody who asks, and how the answer is written.
pub(super) struct Asker {
    pub(super) desk: Arc<Desk>,
    pub(super) caller: Caller,
    pub(super) format: Format,
    pub(super) uri: Uri,
}

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for Asker
where
    Arc<Desk>: axum::extract::FromRef<S>,
{
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, state: &S) -> Result<Asker, Trouble> {
        let State(desk) = State::<Arc<Desk>>::from_request_parts(parts, state)
            .await
            .map_err(|_: std::convert::Infallible| Trouble::malformed("no state"))?;
        let Extension(peer) = Extension::<Arc<Peer>>::from_request_parts(parts, state)
            .await
            .map_err(|_| Trouble::malformed("no peer"))?;
        let caller = desk.admit(&parts.headers, &peer, Role::Read)?;
        Ok(Asker {
            desk,
            caller,
            format: Format::accepted(&parts.headers, Format::Json),
            uri: parts.uri.clone(),
        })
    }
}

impl Asker {
    pub(super) fn is_admin(&self) -> bool {
        self.caller.role == Role::Admin
    }

    /// A list over a span of time.
    async fn list<T: Serialize>(
        self,
        known: &[&str],
        question: impl FnOnce(&dyn Store, &Window) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Response, Trouble> {
        let window = Parameters::of(&self.uri, known)?.window()?;
        self.desk.answer(self.format, move |store| question(store, &window)).await
    }

    /// What the audit log is to say of a page of records.
    fn audit<'a>(&self, shown: impl Iterator<Item = &'a Summary>) -> Option<AuditRow> {
        self.audit_private(shown.filter(|summary| summary.private).map(|summary| &summary.id))
    }

    /// What the audit log is to say of private records that are shown.
    pub(super) fn audit_private<'a>(&self, ids: impl Iterator<Item = &'a Id>) -> Option<AuditRow> {
        let ids: Vec<String> = ids.map(Id::hex).collect();
        let first = ids.first()?;
        let what = match ids.len() {
            1 => format!("record {first}"),
            n => format!("{n} records, first {first}: {}", super::log::clean(&self.uri.to_string())),
        };
        let (who, action) = (self.caller.who().to_owned(), READ_PRIVATE.to_owned());
        Some(AuditRow { at: now(), who, action, what, count: ids.len() as u64 })
    }

    /// Sends what was written, behind its line in the audit log.
    pub(super) async fn send(
        &self,
        row: Option<AuditRow>,
        bytes: Vec<u8>,
        turn: Option<Turn>,
    ) -> Result<Response, Trouble> {
        if let Some(row) = row {
            let store = Arc::clone(&self.desk.store);
            blocking(move || store.note(&row)).await??;
        }
        self.desk.send(self.format, bytes, turn).await
    }

    async fn send_page(&self, page: &Page, turn: Option<Turn>) -> Result<Response, Trouble> {
        self.send(self.audit(page.records.iter()), self.format.encode(page)?, turn).await
    }
}

/// GET /v1/records
pub(super) async fn records(asker: Asker) -> Result<Response, Trouble> {
    let known = [
        "since",
        "until",
        "host",
        "unit",
        "exe",
        "signal",
        "signature",
        "build",
        "after",
        "order",
        "limit",
        "wait",
        "private",
    ];
    let parameters = Parameters::of(&asker.uri, &known)?;
    let wait = parameters.number("wait")?.unwrap_or(0);
    let search = parameters.search(wait > 0)?;
    if search.private && !asker.is_admin() {
        return Err(only_admin());
    }
    if wait > tail::LONGEST || (wait > 0 && (search.newest_first || search.after.is_none())) {
        return Err(Trouble::malformed("wait is up to 60 seconds, with after=POSITION, and order=oldest"));
    }
    let (page, turn) = tail::page(&asker.desk, search, Duration::from_secs(wait)).await?;
    asker.send_page(&page, turn).await
}

pub(super) fn only_admin() -> Trouble {
    Trouble::new(StatusCode::FORBIDDEN, "records of privileged processes are for the role admin")
        .next("`epicore-collector token admin NAME` on the collector makes a token; each reading is audited")
}

/// GET /v1/records/ID
pub(super) async fn record(asker: Asker, Path(id): Path<String>) -> Result<Response, Trouble> {
    Parameters::of(&asker.uri, &[])?;
    let digits: String = id.chars().filter(|c| *c != '-').collect::<String>().to_ascii_lowercase();
    if digits.is_empty() || digits.len() > DIGITS || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Trouble::malformed("an id is hexadecimal"));
    }
    let admin = asker.is_admin();
    let (found, turn) = asker.desk.ask_in_turn(move |store| find(store, &digits, admin)).await?;
    match found {
        Found::One(one) if one.summary.private && !admin => Err(only_admin()),
        Found::One(one) => {
            let row = asker.audit(std::iter::once(&one.summary));
            asker.send(row, asker.format.encode(&*one)?, Some(turn)).await
        }
        Found::Several(page) => {
            let mut response = asker.send_page(&page, Some(turn)).await?;
            *response.status_mut() = StatusCode::CONFLICT;
            Ok(response)
        }
    }
}

enum Found {
    One(Box<One>),
    Several(Page),
}

/// The record that a whole id or a part of one names.
fn find(store: &dyn Store, digits: &str, admin: bool) -> Result<Found, Trouble> {
    let missing =
        || Trouble::new(StatusCode::NOT_FOUND, "there is no such record").next("GET /v1/records lists them");
    let whole = Id::from_hex(digits).and_then(|id| <[u8; 16]>::try_from(id.0.as_slice()).ok());
    if let Some(id) = whole {
        return store.one(&id)?.map(|one| Found::One(Box::new(one))).ok_or_else(missing);
    }
    let mut page = store.find(digits)?;
    page.records.retain(|summary| admin || !summary.private);
    let id = match page.records.as_slice() {
        [] => return Err(missing()),
        [one] => <[u8; 16]>::try_from(one.id.0.as_slice()).map_err(|_| missing())?,
        _ => return Ok(Found::Several(page)),
    };
    store.one(&id)?.map(|one| Found::One(Box::new(one))).ok_or_else(missing)
}

/// GET /v1/signatures
pub(super) async fn signatures(asker: Asker) -> Result<Response, Trouble> {
    asker.list(&["since", "until", "limit"], |store, window| store.signatures(window)).await
}

/// GET /v1/hosts
pub(super) async fn hosts(asker: Asker) -> Result<Response, Trouble> {
    asker.list(&["since", "until", "limit"], |store, window| store.hosts(window)).await
}

/// GET /v1/attributes
pub(super) async fn attributes(asker: Asker) -> Result<Response, Trouble> {
    let known = ["since", "until", "limit", "signature"];
    let digits = Parameters::of(&asker.uri, &known)?.digits("signature")?;
    let wrong = |_| Trouble::malformed("signature is a whole key here: up to 16 hexadecimal digits");
    let signature = digits.map(|digits| u64::from_str_radix(&digits, 16).map_err(wrong)).transpose()?;
    asker.list(&known, move |store, window| store.attributes(window, signature)).await
}

/// GET /v1/exposure
pub(super) async fn exposure(asker: Asker) -> Result<Response, Trouble> {
    asker.list(&["since", "until", "limit"], |store, window| store.exposure(window)).await
}

/// GET /v1/study
pub(super) async fn study(asker: Asker) -> Result<Response, Trouble> {
    asker.list(&["since", "until"], |store, window| store.study(window)).await
}

/// GET /v1/audit
pub(super) async fn audit(asker: Asker) -> Result<Response, Trouble> {
    let Asker { desk, caller, format, uri } = asker;
    caller.needs(Role::Admin)?;
    let most = Parameters::of(&uri, &["limit"])?.small("limit")?.unwrap_or(100).clamp(1, AUDIT);
    desk.answer(format, move |store| store.audit(most)).await
}

/// GET /v1/openapi.json
pub(super) async fn openapi(_: Asker, _: HeaderMap) -> Response {
    const TEXT: &str = include_str!("../../docs/openapi.json");
    ([(axum::http::header::CONTENT_TYPE, "application/json")], TEXT).into_response()
}
