//! Questions: pages, waiting, private records, purging; and docs/openapi.json
//! is what the server does.
#![cfg(feature = "collector")]

#[path = "support/collector.rs"]
mod collector;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use collector::{Collector, Options, batch, crash};
use serde_json::Value;

fn openapi() -> Value {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

#[test]
fn a_tail_wakes_when_something_is_stored() {
    let collector = Collector::start(Options::default());
    let (ingest, read) = (collector.token("ingest", "web-17"), collector.token("read", "mia"));
    collector.ingest(&ingest, &batch("web-17", &[crash("web-17")]));
    let seq = collector.json("/v1/records?limit=1", &read)["records"][0]["seq"].as_u64().unwrap();
    let begun = Instant::now();
    let page = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| collector.json(&format!("/v1/records?after={seq}&wait=50"), &read));
        std::thread::sleep(Duration::from_millis(500));
        collector.ingest(&ingest, &batch("web-17", &[crash("web-17")]));
        waiting.join().unwrap()
    });
    assert_eq!(page["records"].as_array().unwrap().len(), 1);
    assert!(page["records"][0]["seq"].as_u64().unwrap() > seq);
    assert!(begun.elapsed() < Duration::from_secs(45), "it did not wait to the end");
}

#[test]
fn a_tail_that_sees_nothing_ends_with_an_empty_page_also_when_the_collector_stops() {
    let mut collector = Collector::start(Options::default());
    let read = collector.token("read", "mia");
    let page = collector.json("/v1/records?after=0&wait=1", &read);
    assert_eq!(page["records"].as_array().unwrap().len(), 0);
    for wrong in ["after=0&wait=61", "wait=5", "after=0&wait=5&order=newest"] {
        assert_eq!(collector.get(&format!("/v1/records?{wrong}"), &read).status(), 400, "{wrong}");
    }
    let (client, url) = (collector.client(), format!("{}/v1/records?after=0&wait=60", collector.url));
    let begun = Instant::now();
    let waiting = std::thread::spawn(move || client.get(url).bearer_auth(read).send().unwrap().status());
    std::thread::sleep(Duration::from_millis(500));
    assert!(collector.stop().success());
    assert_eq!(waiting.join().unwrap(), 200);
    assert!(begun.elapsed() < Duration::from_secs(40));
}

#[test]
fn a_private_record_is_for_admins_and_each_reading_is_in_the_audit_log() {
    let collector = Collector::start(Options::default());
    let [read, admin] = ["read", "admin"].map(|role| collector.token(role, "mia"));
    let mut secret = crash("web-17");
    secret.private = true;
    let open = crash("web-17");
    collector.ingest(&collector.token("ingest", "web-17"), &batch("web-17", &[secret.clone(), open.clone()]));
    let path = format!("/v1/records/{}", secret.id.hex());
    let count = |value: Value| value["records"].as_array().unwrap().len();
    assert_eq!(collector.get(&path, &read).status(), 403);
    let tail = &secret.id.hex()[20..];
    assert_eq!(
        collector.get(&format!("/v1/records/{tail}"), &read).status(),
        404,
        "a part of its id tells nothing"
    );
    assert_eq!(count(collector.json("/v1/records", &read)), 1);
    assert_eq!(count(collector.json("/v1/records", &admin)), 1);
    assert_eq!(collector.json("/v1/audit", &admin).as_array().unwrap().len(), 0);
    assert_eq!(collector.json(&path, &admin)["summary"]["private"], true);
    assert_eq!(count(collector.json("/v1/records?private=true", &admin)), 2);
    collector.json(&format!("/v1/records/{}", open.id.hex()), &admin);
    let audit = collector.json("/v1/audit", &admin);
    assert_eq!(audit.as_array().unwrap().len(), 2, "{audit}");
    for row in audit.as_array().unwrap() {
        assert_eq!((row["who"].as_str(), row["action"].as_str()), (Some("mia"), Some("read-private")));
        assert!(row["what"].as_str().unwrap().contains(&secret.id.hex()), "{row}");
    }
}

#[test]
fn a_purge_removes_what_it_names_and_is_in_the_audit_log() {
    let collector = Collector::start(Options::default());
    let admin = collector.token("admin", "mia");
    let purge = |body: &str| {
        let request = collector.client().post(format!("{}/v1/purge", collector.url)).bearer_auth(&admin);
        let response = request.body(body.to_owned()).send().unwrap();
        (response.status().as_u16(), serde_json::from_str::<Value>(&response.text().unwrap()).unwrap())
    };
    let everybody = collector.token("ingest", "*");
    collector.ingest(&everybody, &batch("web-17", &[crash("web-17"), crash("web-17")]));
    collector.ingest(&everybody, &batch("web-18", &[crash("web-18")]));
    for nothing in ["", "{}", "[]", "{\"dry_run\":true}", "{\"host\":null}", "{\"hots\":\"web-17\"}"] {
        assert_eq!(purge(nothing).0, 400, "{nothing}");
    }
    let dry = purge("{\"host\":\"web-17\",\"dry_run\":true}");
    assert_eq!((dry.0, dry.1["records"].as_u64()), (200, Some(2)));
    let done = purge("{\"host\":\"web-17\"}");
    assert_eq!((done.0, done.1["records"].as_u64()), (200, Some(2)));
    let left = collector.json("/v1/records", &admin);
    assert_eq!(left["records"].as_array().unwrap().len(), 1);
    assert_eq!(left["records"][0]["host"], "web-18");
    let audit = collector.json("/v1/audit", &admin);
    let row = &audit[0];
    assert_eq!((row["who"].as_str(), row["action"].as_str()), (Some("mia"), Some("purge")), "{audit}");
}

#[test]
fn a_part_of_an_id_will_do_and_an_ambiguous_one_lists_candidates() {
    let collector = Collector::start(Options::default());
    let read = collector.token("read", "mia");
    let records: Vec<_> = (0..2u8)
        .map(|n| {
            let mut record = crash("web-17");
            record.id = epicore::record::Id([[7; 15].as_slice(), &[n]].concat());
            record
        })
        .collect();
    collector.ingest(&collector.token("ingest", "web-17"), &batch("web-17", &records));
    let one = collector.json("/v1/records/0700", &read);
    assert_eq!(one["summary"]["id"].as_str().unwrap(), records[0].id.hex());
    assert_eq!(one["record"]["proc"]["unit"], "shop.service");
    let several = collector.get("/v1/records/070707", &read);
    assert_eq!(several.status(), 409);
    let page: Value = serde_json::from_str(&several.text().unwrap()).unwrap();
    assert_eq!(page["records"].as_array().unwrap().len(), 2);
}

#[test]
fn pages_follow_each_other_and_together_have_everything_once() {
    let collector = Collector::start(Options::default());
    let read = collector.token("read", "mia");
    let records: Vec<_> = (0..25).map(|_| crash("web-17")).collect();
    collector.ingest(&collector.token("ingest", "web-17"), &batch("web-17", &records));
    for order in ["newest", "oldest"] {
        let mut seen = BTreeSet::new();
        let mut path = format!("/v1/records?limit=10&order={order}");
        loop {
            let page = collector.json(&path, &read);
            for record in page["records"].as_array().unwrap() {
                assert!(seen.insert(record["id"].as_str().unwrap().to_owned()));
            }
            let Some(next) = page["next"].as_u64() else { break };
            path = format!("/v1/records?limit=10&order={order}&after={next}");
        }
        assert_eq!(seen.len(), 25, "{order}");
    }
}

#[test]
fn an_answer_is_the_same_in_message_pack() {
    let collector = Collector::start(Options::default());
    let read = collector.token("read", "mia");
    collector.ingest(&collector.token("ingest", "web-17"), &batch("web-17", &[crash("web-17")]));
    let request = collector.client().get(format!("{}/v1/records", collector.url)).bearer_auth(&read);
    let response = request.header("Accept", "application/msgpack").send().unwrap();
    assert_eq!(response.headers()["content-type"], "application/msgpack");
    let packed: epicore::wire::api::Page = rmp_serde::from_slice(&response.bytes().unwrap()).unwrap();
    let text = collector.get("/v1/records", &read).text().unwrap();
    let json: epicore::wire::api::Page = serde_json::from_str(&text).unwrap();
    assert_eq!(packed, json);
}

#[test]
fn metrics_are_open_metrics_and_count_what_happened() {
    let collector = Collector::start(Options::default());
    let read = collector.token("read", "mia");
    let ingest = collector.token("ingest", "web-17");
    let sent = batch("web-17", &[crash("web-17"), crash("web-18")]);
    collector.ingest(&ingest, &sent);
    collector.ingest(&ingest, &sent);
    collector.get("/v1/hosts", "x");
    let response = collector.get("/metrics", &read);
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    let text = response.text().unwrap();
    let value = |series: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in\n{text}")).parse::<f64>().unwrap()
    };
    assert_eq!(value("epicore_collector_items_total{kind=\"crash\",outcome=\"stored\"}"), 1.0);
    assert_eq!(value("epicore_collector_items_total{kind=\"crash\",outcome=\"duplicate\"}"), 1.0);
    assert_eq!(value("epicore_collector_items_total{kind=\"crash\",outcome=\"refused\"}"), 2.0);
    assert_eq!(value("epicore_collector_requests_total{route=\"/v1/batches\",status=\"200\"}"), 2.0);
    assert_eq!(value("epicore_collector_auth_failures_total{cause=\"credentials\"}"), 1.0);
    assert_eq!(value("epicore_collector_store_records"), 1.0);
    assert!(value("epicore_collector_received_bytes_total") > 100.0);
    assert!(text.ends_with("# EOF\n"));
    let mut announced = BTreeSet::new();
    for line in text.lines() {
        match line.strip_prefix("# ") {
            Some(comment) => {
                let mut words = comment.split(' ');
                if words.next() == Some("TYPE") {
                    assert!(announced.insert(words.next().unwrap()), "{line} twice");
                }
            }
            None => {
                let (series, number) = line.rsplit_once(' ').unwrap();
                number.parse::<f64>().unwrap();
                let name = series.split('{').next().unwrap();
                assert!(announced.iter().any(|known| name.starts_with(known)), "{line} has no TYPE");
            }
        }
    }
}

/// Walks a value and its schema: every key of one is in the other.
fn agrees(value: &Value, schema: &Value, all: &Value, at: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.strip_prefix("#/components/schemas/").unwrap();
        return agrees(value, &all["components"]["schemas"][name], all, &format!("{at}<{name}>"));
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let null = |choice: &&Value| choice["type"] == "null";
        let choice = choices.iter().find(|c| null(c) == value.is_null());
        return agrees(value, choice.unwrap_or_else(|| panic!("{at}: {value}")), all, at);
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
    };
    let types = &schema["type"];
    let named = |kind: &str| *types == kind || types.as_array().is_some_and(|t| t.contains(&kind.into()));
    assert!(named(kind) || (kind == "integer" && named("number")), "{at}: {value} is not {types}");
    match value {
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                let schema = schema["prefixItems"].get(n).unwrap_or(&schema["items"]);
                agrees(item, schema, all, &format!("{at}[]"));
            }
        }
        Value::Object(map) => {
            let open = schema["additionalProperties"] != false;
            for (key, item) in map {
                match schema["properties"].get(key) {
                    Some(schema) => agrees(item, schema, all, &format!("{at}.{key}")),
                    None => assert!(open, "{at}.{key} is not in docs/openapi.json"),
                }
            }
            for key in schema["required"].as_array().into_iter().flatten() {
                assert!(map.contains_key(key.as_str().unwrap()), "{at} has no {key}");
            }
        }
        _ => {}
    }
}

/// The schema of an answer's JSON.
fn answer<'a>(all: &'a Value, path: &str, method: &str, status: u16) -> &'a Value {
    let response = &all["paths"][path][method]["responses"][status.to_string()];
    assert!(response.is_object(), "{method} {path} {status} is not in docs/openapi.json");
    &response["content"]["application/json"]["schema"]
}

#[test]
fn every_answer_has_the_keys_that_openapi_gives_it() {
    let collector = Collector::start(Options::default());
    let all = openapi();
    let admin = collector.token("admin", "mia");
    let mut secret = crash("web-17");
    secret.private = true;
    let exposure = epicore::record::Exposure {
        v: 1,
        id: epicore::record::new_id(),
        realtime_ns: Some(collector::now()),
        boottime_ns: Some(7_200_000_000_000),
        since_ns: Some(0),
        host: secret.host.clone(),
        labels: vec![("rack".into(), "r7".into())],
        running: vec![epicore::record::Running {
            unit: Some("shop.service".into()),
            n: 3,
            ..Default::default()
        }],
        ..Default::default()
    };
    let mut sent = batch("web-17", &[crash("web-17"), secret.clone()]);
    sent.items.push(epicore::wire::Item {
        id: exposure.id.clone(),
        kind: epicore::wire::ItemKind::Exposure,
        body: epicore::record::encode_exposure(&exposure).unwrap(),
    });
    let request = collector.client().post(format!("{}/v1/batches", collector.url));
    let request =
        request.bearer_auth(collector.token("ingest", "web-17")).header("Accept", "application/json");
    let request = request.header("Content-Type", "application/msgpack").header("Content-Encoding", "zstd");
    let posted: Value =
        serde_json::from_str(&request.body(collector::pack(&sent)).send().unwrap().text().unwrap()).unwrap();
    agrees(&posted, answer(&all, "/v1/batches", "post", 200), &all, "batches");
    let judge = collector.client().post(format!("{}/v1/verdicts", collector.url)).bearer_auth(&admin);
    let judgement = "{\"host\":\"web-17\",\"confirmed\":true}";
    let judged: Value = serde_json::from_str(&judge.body(judgement).send().unwrap().text().unwrap()).unwrap();
    agrees(&judged, answer(&all, "/v1/verdicts", "post", 200), &all, "verdicts");
    let id = format!("/v1/records/{}", secret.id.hex());
    for (path, route) in [
        ("/v1/population?limit=2", "/v1/population"),
        ("/v1/population?limit=0", "/v1/population"),
        ("/v1/verdicts", "/v1/verdicts"),
        ("/v1/records?private=true", "/v1/records"),
        (id.as_str(), "/v1/records/{id}"),
        ("/v1/signatures", "/v1/signatures"),
        ("/v1/hosts", "/v1/hosts"),
        ("/v1/attributes", "/v1/attributes"),
        ("/v1/attributes?signature=123456789abcdef0", "/v1/attributes"),
        ("/v1/exposure", "/v1/exposure"),
        ("/v1/study", "/v1/study"),
        ("/v1/audit", "/v1/audit"),
    ] {
        let value = collector.json(path, &admin);
        let rows = value.as_array();
        assert!(rows.is_none_or(|rows| !rows.is_empty()), "{path} is empty: nothing was compared");
        agrees(&value, answer(&all, route, "get", 200), &all, route);
    }
    let purge = collector.client().post(format!("{}/v1/purge", collector.url)).bearer_auth(&admin);
    let purged: Value =
        serde_json::from_str(&purge.body("{\"uid\":7}").send().unwrap().text().unwrap()).unwrap();
    agrees(&purged, answer(&all, "/v1/purge", "post", 200), &all, "purge");
    assert_eq!(collector.json("/v1/openapi.json", &admin), all);
}

#[test]
fn openapi_and_the_server_have_the_same_routes_parameters_and_refusals() {
    let collector = Collector::start(Options::default());
    let all = openapi();
    let admin = collector.token("admin", "mia");
    let source =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/collector/routes.rs")).unwrap();
    let mut routes = BTreeSet::new();
    for line in source.split(".route(\"").skip(1) {
        let (path, rest) = line.split_once("\", ").unwrap();
        routes.insert((path.to_owned(), rest.split('(').next().unwrap().to_owned()));
    }
    let mut described = BTreeSet::new();
    for (path, methods) in all["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            described.insert((path.clone(), method.clone()));
            let url = format!("{}{}", collector.url, path.replace("{id}", "00"));
            let request = |query: &str| match method.as_str() {
                "get" => collector.client().get(format!("{url}{query}")),
                _ => collector.client().post(&url),
            };
            let bare = request("").header("Accept", "application/json").send().unwrap();
            let status = bare.status().as_u16();
            assert_eq!(status == 401, operation["responses"].get("401").is_some(), "{method} {path}");
            if status == 401 {
                let problem: Value = serde_json::from_str(&bare.text().unwrap()).unwrap();
                agrees(&problem, answer(&all, path, method, 401), &all, path);
            }
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let name = parameter["name"].as_str().unwrap();
                if parameter["in"] == "query" {
                    let known = request(&format!("?{name}=")).bearer_auth(&admin).send().unwrap();
                    assert_eq!(known.status(), 200, "{path}?{name}=");
                }
            }
            if method == "get" && operation["responses"].get("400").is_some() {
                let unknown = request("?no-such=1").bearer_auth(&admin).send().unwrap();
                assert_eq!(unknown.status(), 400, "{path}?no-such=1");
            }
        }
    }
    assert_eq!(routes, described);
}
