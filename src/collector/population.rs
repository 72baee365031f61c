//! GET /v1/population: the records and exposure reports that a study is made of,
//! one page after the other, in the order of arrival.
//!
//! A study needs crashes, not sums: how sure one may be of a machine depends on
//! each crash's evidence and core. What only people look at stays here, so that a
//! fleet's month is some hundred megabytes and not the database.

use axum::response::Response;

use super::answer::Trouble;
use super::ingest::now;
use super::parameters::Parameters;
use super::reading::{Asker, only_admin};
use crate::store::Walk;

/// Items of a page, when the caller does not say.
const ITEMS: u32 = 1000;

/// The route.
pub(super) async fn population(asker: Asker) -> Result<Response, Trouble> {
    let known = ["since", "until", "after", "limit", "private"];
    let parameters = Parameters::of(&asker.uri, &known)?;
    let walk = Walk {
        since: parameters.time("since")?.unwrap_or(0),
        until: parameters.time("until")?.unwrap_or(u64::MAX),
        after: parameters.number("after")?,
        private: parameters.flag("private")?,
        most: parameters.small("limit")?.unwrap_or(ITEMS),
        now: now(),
    };
    if walk.private && !asker.is_admin() {
        return Err(only_admin());
    }
    let format = asker.format;
    let question = move |store: &dyn crate::store::Store| {
        let portion = store.portion(&walk)?;
        let bytes = format.encode(&portion)?;
        Ok((portion, bytes))
    };
    let ((portion, bytes), turn) = asker.desk.ask_in_turn(question).await?;
    let private = portion.items.iter().filter(|item| item.private).map(|item| &item.id);
    let row = asker.audit_private(private);
    drop(portion);
    asker.send(row, bytes, Some(turn)).await
}
