//! Waiting for what comes next: a page that would be empty is held until
//! something was stored, the time is over, or the collector stops.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use super::answer::Trouble;
use super::desk::{Desk, Turn, stopped};
use crate::store::Search;
use crate::wire::api::Page;

/// The longest wait, seconds.
pub(super) const LONGEST: u64 = 60;
/// The least time between two looks of one waiter: a thousand commits a second
/// are not a thousand searches for each. After a quiet time it looks at once.
const BREATH: Duration = Duration::from_millis(200);

/// One page, and the turn in which it was found when there is something in it;
/// waits up to `wait` for the first record.
pub(super) async fn page(
    desk: &Desk,
    search: Search,
    wait: Duration,
) -> Result<(Page, Option<Turn>), Trouble> {
    let deadline = Instant::now().checked_add(wait).unwrap_or_else(Instant::now);
    let mut tide = desk.tide.subscribe();
    loop {
        tide.mark_unchanged();
        let again = Instant::now().checked_add(BREATH).unwrap_or(deadline).min(deadline);
        let asked = search.clone();
        let (page, turn) = desk.ask_in_turn(move |store| Ok(store.search(&asked)?)).await?;
        if !page.records.is_empty() || Instant::now() >= deadline || *desk.stopping.borrow() {
            return Ok((page, Some(turn)));
        }
        drop(turn);
        tokio::select! {
            risen = timeout_at(deadline, tide.changed()) => match risen {
                Ok(Ok(())) => sleep_until(again).await,
                _ => return Ok((page, None)),
            },
            () = stopped(desk.stopping.clone()) => return Ok((page, None)),
        }
    }
}
