//! A host hands in what crashed: what is called stored is there, once, and
//! every refusal has the status that docs/wire-protocol.md gives it.
#![cfg(feature = "collector")]

#[path = "support/collector.rs"]
mod collector;

use collector::{Collector, Options, batch, crash, pack};
use epicore::record::Id;
use epicore::wire::api::Problem;
use epicore::wire::{Item, Said};

fn said(answer: &epicore::wire::Answer) -> Vec<Said> {
    answer.outcomes.iter().map(|outcome| outcome.said).collect()
}

#[test]
fn a_batch_is_stored_and_a_second_time_it_is_a_duplicate() {
    let collector = Collector::start(Options::default());
    let token = collector.token("ingest", "web-17");
    let sent = batch("web-17", &[crash("web-17"), crash("web-17")]);
    let answer = collector.ingest(&token, &sent);
    assert_eq!(said(&answer), [Said::Stored, Said::Stored]);
    assert_eq!(answer.outcomes[1].id, sent.items[1].id);
    assert_eq!(said(&collector.ingest(&token, &sent)), [Said::Duplicate, Said::Duplicate]);
    let page = collector.json("/v1/records", &collector.token("read", "mia"));
    assert_eq!(page["records"].as_array().unwrap().len(), 2);
}

#[test]
fn an_item_that_is_wrong_does_not_cost_the_others() {
    let collector = Collector::start(Options::default());
    let token = collector.token("ingest", "web-17");
    let mut sent = batch("web-17", &[crash("web-17"), crash("web-18"), crash("web-17")]);
    sent.items.insert(0, Item { id: Id(vec![1; 15]), ..sent.items[0].clone() });
    sent.items.push(Item { id: Id(vec![2; 16]), body: vec![0; (256 << 10) + 1], ..Item::default() });
    sent.items.push(Item { id: Id(vec![3; 16]), body: vec![0x91; 10_000], ..Item::default() });
    sent.items.push(Item { id: Id(vec![4; 16]), body: b"\xff\xfe not a record".to_vec(), ..Item::default() });
    let answer = collector.ingest(&token, &sent);
    use Said::{Refused, Stored};
    assert_eq!(said(&answer), [Refused, Stored, Refused, Stored, Refused, Refused, Refused]);
    for outcome in answer.outcomes.iter().filter(|outcome| outcome.said == Refused) {
        assert!(outcome.why.as_deref().is_some_and(|why| !why.is_empty()), "{outcome:?}");
    }
    assert_eq!(answer.outcomes[0].id.0.len(), 15, "an id comes back as it was sent");
}

#[test]
fn an_answer_is_message_pack_or_json_as_it_was_asked_for() {
    let collector = Collector::start(Options::default());
    let token = collector.token("ingest", "web-17");
    let body = pack(&batch("web-17", &[crash("web-17")]));
    let post = || {
        let request = collector.client().post(format!("{}/v1/batches", collector.url)).bearer_auth(&token);
        request
            .header("Content-Type", "application/msgpack")
            .header("Content-Encoding", "zstd")
            .body(body.clone())
    };
    let response = post().header("Accept", "application/json").send().unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    let answer: serde_json::Value = serde_json::from_str(&response.text().unwrap()).unwrap();
    assert_eq!(answer["outcomes"][0]["said"], "stored");
    let response = post().send().unwrap();
    assert_eq!(response.headers()["content-type"], "application/msgpack");
    let refused =
        post().header("Accept", "application/json").header("Content-Encoding", "br").send().unwrap();
    let problem: Problem = serde_json::from_str(&refused.text().unwrap()).unwrap();
    assert!(problem.next.unwrap().contains("zstd"));
}
