//! A fleet's records out of its collector, page by page into a study.
//!
//! Nothing is kept but what a study needs of each: the pages come in the order of
//! arrival and end where the collector's records ended when this began, so that
//! crashes that come meanwhile neither prolong it nor come twice. What a collector
//! says is not believed further than that: positions must rise.

use super::failure::Failure;
use super::pile::{Damage, FILES, Piece};
use super::progress::Progress;
use super::remote::Remote;
use super::study::{HISTORY, Material, ahead, window};
use crate::study::{Gather, Told};
use crate::wire::api::{Portion, Verdict};

/// Items that are asked for at once; a page may have fewer.
const PAGE: &str = "4000";
/// A page that goes on has come so far, or has so many bytes: a collector ends one
/// after 4,000 positions or 4 MiB.
const STEP: u64 = 1000;
/// See [`STEP`].
const STEP_BYTES: usize = 256 << 10;
/// Pages of a study, at most.
const PAGES: usize = FILES / 1000;
const ROUTE: &str = "/v1/population";
const TOO_MANY: &str = "more records than a study takes: ask for fewer --days";

/// Everything of the last `days` before the newest record.
pub(super) fn gather(remote: &Remote, days: f64, private: bool) -> Result<Material, Failure> {
    let asked = private.then(|| ("private", "true".to_owned()));
    let mut query = vec![("limit", "0".to_owned())];
    query.extend(asked.clone());
    let head: Portion = remote.page(ROUTE, &query)?;
    let Some(until) = head.latest.map(|latest| latest.min(ahead())) else {
        let next = "`epicore status` on a host says whether it forwards.";
        return Err(Failure::new(format!("{}: no records", remote.url), next));
    };
    let told = told(remote.page("/v1/verdicts", &[])?);
    let since = window(until, days);
    let earliest = window(since, f64::from(HISTORY));
    let mut reading = Reading {
        gather: Gather::new(since, until).with_history(HISTORY),
        damage: Damage::default(),
        seen: None,
        items: 0,
    };
    let mut progress = Progress::of("records and censuses");
    let (mut after, mut private_left, mut unread) = (None, 0u64, 0u64);
    for pages in 1usize.. {
        let mut query =
            vec![("since", earliest.to_string()), ("until", until.to_string()), ("limit", PAGE.to_owned())];
        query.extend(after.map(|after: u64| ("after", after.to_string())));
        query.extend(asked.clone());
        let page: Portion = remote.page(ROUTE, &query)?;
        private_left = private_left.saturating_add(page.private);
        unread = unread.saturating_add(page.unread);
        let next = page.next;
        let bytes = page.items.iter().map(|item| item.body.0.len()).fold(0, usize::saturating_add);
        reading.page(page, head.last).map_err(|what| garbage(remote, what))?;
        let Some(next) = next.filter(|next| *next < head.last) else { break };
        let step = next.saturating_sub(after.unwrap_or(0));
        if step == 0 || (step < STEP && bytes < STEP_BYTES) {
            return Err(garbage(remote, "its pages do not go on"));
        }
        if pages >= PAGES {
            return Err(garbage(remote, TOO_MANY));
        }
        after = Some(next);
        progress.tell(reading.items as u64, next, head.last);
    }
    progress.end();
    reading.damage.tell();
    let mut gather = reading.gather;
    gather.missed(unread.saturating_add(reading.damage.count), private_left);
    Ok(Material { gather, until, told })
}

fn garbage(remote: &Remote, what: &str) -> Failure {
    Failure::new(
        format!("{}: {what}", remote.url),
        "This is no answer of a collector: see its log, and what stands between.",
    )
}

/// What a study needs to know of verdicts.
pub(super) fn told(verdicts: Vec<Verdict>) -> Vec<Told> {
    let told = |verdict: Verdict| Told {
        host: verdict.host,
        signature: verdict.signature.map(|key| key.0),
        confirmed: verdict.confirmed,
        at: verdict.at,
        who: verdict.who,
        note: verdict.note,
    };
    verdicts.into_iter().map(told).collect()
}

struct Reading {
    gather: Gather,
    damage: Damage,
    /// Position of the last item.
    seen: Option<u64>,
    items: usize,
}

impl Reading {
    fn page(&mut self, page: Portion, last: u64) -> Result<(), &'static str> {
        for item in page.items {
            if self.seen.is_some_and(|seen| item.seq <= seen) {
                return Err("its pages have the same items twice");
            }
            self.seen = Some(item.seq);
            if item.seq > last {
                continue;
            }
            self.items = self.items.saturating_add(1);
            if self.items > FILES {
                return Err(TOO_MANY);
            }
            match Piece::of(item.kind, &item.body.0) {
                Ok(Piece::Crash(record)) => self.gather.crash(&record),
                Ok(Piece::Census(report)) => self.gather.census(&report),
                Err(why) => self.damage.add(&item.id.hex(), &why),
            }
        }
        Ok(())
    }
}
