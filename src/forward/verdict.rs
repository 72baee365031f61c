//! Status and outcomes → what to do: the table of docs/wire-protocol.md.
//!
//! What it gives: [`course`] for a reply, [`read_answer`] for the body of a
//! 200, [`retry_after`] for its header. What it trusts: nothing. An answer is
//! believed for an id that it names exactly once; an id that is missing, comes
//! twice or was never sent confirms nothing, and neither does a body that is
//! not an answer. A refusal is believed only in the collector's own words
//! ([`Reply::problem`]): proxies and TLS servers say 400 and 413, too. Limits:
//! the body was bounded by the transport; nesting here.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use serde::Deserialize;

use super::batch::Packed;
use super::transport::Reply;
use super::trouble::{WHY, plain};
use crate::wire::{Answer, Said};

/// Maps and lists inside each other; an answer has three.
const DEPTH: usize = 32;

/// What a reply asks of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// 200: read the outcomes.
    Read,
    /// 400, 413 in a collector's words: halve the batch; a single item is
    /// refused.
    Halve,
    /// 413 of somebody before the collector: halve the batch; a single item is
    /// kept, and somebody is told.
    Split,
    /// 401, 403, 404, 405, 415, 426, redirects, and 400 of somebody before the
    /// collector: keep everything, try slowly, say so.
    Slowly,
    /// Anything else: wait and send again.
    Wait,
}

/// What to do about a reply.
pub fn course(reply: &Reply) -> Course {
    match reply.status {
        200 => Course::Read,
        400 | 413 if reply.problem().is_some() => Course::Halve,
        413 => Course::Split,
        400 | 401 | 403 | 404 | 405 | 415 | 426 | 300..=399 => Course::Slowly,
        _ => Course::Wait,
    }
}

/// What an answer says of one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What became of it.
    pub said: Said,
    /// In words: bounded and printable.
    pub why: String,
}

impl Verdict {
    fn unsaid(why: &str) -> Verdict {
        Verdict { said: Said::Later, why: why.to_owned() }
    }
}

/// The verdict on each of `items`, in their order; `None` when the body is not
/// an answer.
pub fn read_answer(body: &[u8], items: &[Packed]) -> Option<Vec<Verdict>> {
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(body);
    deserializer.set_max_depth(DEPTH);
    let answer = Answer::deserialize(&mut deserializer).ok()?;
    let mut said: HashMap<&[u8], Option<(Said, Option<&str>)>> = HashMap::with_capacity(items.len());
    for outcome in &answer.outcomes {
        let one = Some((outcome.said, outcome.why.as_deref()));
        said.entry(&outcome.id.0).and_modify(|known| *known = None).or_insert(one);
    }
    let verdict = |item: &Packed| match said.get(&item.id[..]) {
        Some(Some((said, why))) => Verdict { said: *said, why: plain(why.unwrap_or(""), WHY) },
        Some(None) => Verdict::unsaid("the answer names it more than once"),
        None => Verdict::unsaid("the answer does not name it"),
    };
    Some(items.iter().map(verdict).collect())
}

/// Retry-After: seconds, or a date. A date counts from the collector's own
/// clock (`date`, its Date header) where that is known.
pub fn retry_after(value: &str, date: Option<SystemTime>) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(value).ok()?;
    Some(at.duration_since(date.unwrap_or_else(SystemTime::now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Id;
    use crate::wire::Outcome;
    use crate::wire::api::Problem;
    use proptest::prelude::*;

    fn items(ids: &[u8]) -> Vec<Packed> {
        ids.iter().map(|n| Packed { id: [*n; 16], ..Packed::default() }).collect()
    }

    fn answer(outcomes: &[(u8, Said)]) -> Vec<u8> {
        let outcome = |(n, said): &(u8, Said)| Outcome { id: Id(vec![*n; 16]), said: *said, why: None };
        let answer = Answer { v: 1, outcomes: outcomes.iter().map(outcome).collect() };
        rmp_serde::to_vec_named(&answer).unwrap()
    }

    fn said(body: &[u8], ids: &[u8]) -> Vec<Said> {
        read_answer(body, &items(ids)).unwrap().into_iter().map(|verdict| verdict.said).collect()
    }

    fn with(status: u16, body: &[u8]) -> Reply {
        Reply { status, body: body.to_vec(), ..Reply::default() }
    }

    #[test]
    fn every_status_has_the_course_of_the_protocol() {
        let of = |statuses: &[u16], want| {
            assert!(statuses.iter().all(|s| course(&with(*s, b"")) == want), "{want:?}")
        };
        of(&[200], Course::Read);
        of(&[413], Course::Split);
        of(&[400, 401, 403, 404, 405, 415, 426, 301, 308], Course::Slowly);
        of(&[408, 409, 425, 429, 500, 502, 503, 504, 599, 201, 204, 418, 100, 999], Course::Wait);
    }

    /// The page of an nginx whose client certificate had expired, status 400,
    /// marked a whole backlog as refused.
    #[test]
    fn only_a_collectors_own_words_refuse() {
        let packed = rmp_serde::to_vec_named(&Problem { error: "no batch".into(), next: None }).unwrap();
        for own in [&packed[..], br#"{"error":"no batch","next":"upgrade"}"#, br#"{"error":"x","next":null}"#]
        {
            assert_eq!([400, 413].map(|status| course(&with(status, own))), [Course::Halve; 2]);
        }
        let silent = rmp_serde::to_vec_named(&Problem::default()).unwrap();
        for foreign in [
            &b"<html><head><title>400 The SSL certificate error</title></head>"[..],
            b"Client sent an HTTP request to an HTTPS server.\n",
            br#"{"error":"Bad Request"}"#,
            br#"{"timestamp":1,"status":400,"error":"Bad Request","path":"/v1/batches"}"#,
            br#"{"error":"","next":null}"#,
            &silent,
            &[0x80],
            &[0xdf, 0xff, 0xff, 0xff, 0xff],
            &[0x91; 4000],
        ] {
            let courses = [400, 413].map(|status| course(&with(status, foreign)));
            assert_eq!(courses, [Course::Slowly, Course::Split], "{foreign:?}");
        }
    }

    #[test]
    fn an_item_is_only_confirmed_by_its_own_id_once() {
        use Said::*;
        let body = answer(&[(1, Stored), (9, Stored), (3, Refused), (3, Stored), (4, Duplicate)]);
        assert_eq!(said(&body, &[1, 2, 3, 4]), [Stored, Later, Later, Duplicate]);
        assert_eq!(said(&answer(&[(2, Refused), (1, Stored)]), &[1, 2]), [Stored, Refused]);
        assert_eq!(said(&answer(&[]), &[1]), [Later]);
    }

    #[test]
    fn an_answer_of_a_later_protocol_loses_nothing() {
        let body = b"\x82\xa1v\x09\xa8outcomes\x91\x82\xa2id\xc4\x01\x01\xa4said\xa9postponed";
        assert_eq!(read_answer(body, &items(&[1])), None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_by_the_collectors_clock() {
        let date = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(retry_after(" 120 ", None), Some(Duration::from_secs(120)));
        let later = "Sun, 06 Nov 1994 08:50:07 GMT";
        assert_eq!(retry_after(later, Some(date)), Some(Duration::from_secs(30)));
        assert_eq!(retry_after(later, None), Some(Duration::ZERO));
        for odd in ["", "-1", "soon", "1e9", "99999999999999999999999"] {
            assert_eq!(retry_after(odd, None), None, "{odd}");
        }
    }

    proptest! {
        #[test]
        fn no_body_confirms_what_it_does_not_say(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let verdicts = read_answer(&body, &items(&[1, 2])).unwrap_or_default();
            prop_assert!(verdicts.iter().all(|verdict| verdict.said == Said::Later));
        }
    }
}
