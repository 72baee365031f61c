//! Who is let in, as what, and for whom they may speak.
#![cfg(feature = "collector")]

#[path = "support/collector.rs"]
mod collector;

use collector::{Authority, Collector, Options, batch, crash, pack};
use epicore::wire::api::Problem;

fn problem(response: reqwest::blocking::Response) -> (u16, Problem) {
    (response.status().as_u16(), serde_json::from_str(&response.text().unwrap()).unwrap())
}

#[test]
fn without_a_good_token_there_is_only_a_401_that_says_what_to_do() {
    let collector = Collector::start(Options::default());
    let token = collector.token("read", "mia");
    assert_eq!(collector.get("/v1/hosts", &token).status(), 200);
    let mut wrong = token.clone();
    let last = if wrong.pop() == Some('A') { 'E' } else { 'A' };
    wrong.push(last);
    let other = Collector::start(Options::default()).token("read", "mia");
    let forged = token.replace("mia", "eve");
    for bad in ["", "x", "epc1.read.mia", "epc1.read.mia.", "epc2.read.mia.x", &wrong, &other, &forged] {
        let (status, problem) = problem(collector.get("/v1/hosts", bad));
        assert_eq!(status, 401, "{bad}");
        assert!(problem.next.unwrap().contains("epicore-collector token"), "{bad}");
    }
    let none = collector.client().get(format!("{}/v1/hosts", collector.url)).send().unwrap();
    assert_eq!(none.status(), 401);
    assert!(none.headers()["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
}

#[test]
fn each_route_is_open_to_its_roles_and_to_no_others() {
    let collector = Collector::start(Options::default());
    let tokens = ["ingest", "read", "admin"].map(|role| collector.token(role, "somebody"));
    let get = |path: &str, token: &str| collector.get(path, token).status().as_u16();
    for path in [
        "/v1/records",
        "/v1/signatures",
        "/v1/hosts",
        "/v1/attributes",
        "/v1/exposure",
        "/v1/study",
        "/v1/openapi.json",
        "/metrics",
    ] {
        let statuses = tokens.each_ref().map(|token| get(path, token));
        assert_eq!(statuses, [403, 200, 200], "{path}");
    }
    assert_eq!(tokens.each_ref().map(|token| get("/v1/audit", token)), [403, 403, 200]);
    assert_eq!(tokens.each_ref().map(|token| get("/v1/records?private=true", token)), [403, 403, 200]);
    let purge = |token: &String| {
        let request = collector.client().post(format!("{}/v1/purge", collector.url)).bearer_auth(token);
        request.body("{\"uid\":7}").send().unwrap().status().as_u16()
    };
    assert_eq!(tokens.each_ref().map(purge), [403, 403, 200]);
    let body = pack(&batch("somebody", &[]));
    let post = |token: &String| collector.post(token, body.clone()).status().as_u16();
    assert_eq!(tokens.each_ref().map(post), [200, 403, 403]);
}

#[test]
fn a_host_speaks_for_itself_only() {
    let collector = Collector::start(Options::default());
    let token = collector.token("ingest", "web-17");
    assert_eq!(collector.post(&token, pack(&batch("web-18", &[crash("web-18")]))).status(), 403);
    assert_eq!(collector.post(&token, pack(&batch("", &[]))).status(), 403);
    assert_eq!(collector.post(&token, pack(&batch("*", &[]))).status(), 403);
    let everybody = collector.token("ingest", "*");
    collector.ingest(&everybody, &batch("web-18", &[crash("web-18")]));
    let answer = collector.ingest(&everybody, &batch("web-18", &[crash("web-17")]));
    assert_eq!(answer.outcomes[0].said, epicore::wire::Said::Refused);
    let page = collector.json("/v1/records", &collector.token("read", "mia"));
    assert_eq!(page["records"].as_array().unwrap().len(), 1);
}

#[test]
fn a_client_certificate_stands_for_its_names_and_for_nothing_else() {
    let collector = Collector::start(Options::default());
    let post = |client: &reqwest::blocking::Client, host: &str| {
        let request = client.post(format!("{}/v1/batches", collector.url));
        let request =
            request.header("Content-Type", "application/msgpack").header("Content-Encoding", "zstd");
        request.body(pack(&batch(host, &[crash(host)]))).send().map(|response| response.status().as_u16())
    };
    let good =
        collector.client_with_certificate(&collector.authority.sign(&["web-17", "web-17.example.net"], 2090));
    assert_eq!(post(&good, "web-17").unwrap(), 200);
    assert_eq!(post(&good, "web-17.example.net").unwrap(), 200);
    assert_eq!(post(&good, "web-18").unwrap(), 403);
    assert_eq!(good.get(format!("{}/v1/hosts", collector.url)).send().unwrap().status(), 403);
    let starred = collector.client_with_certificate(&collector.authority.sign(&["*.example.net"], 2090));
    assert_eq!(post(&starred, "web-1.example.net").unwrap(), 401, "a wildcard is no host");
    let expired = collector.client_with_certificate(&collector.authority.sign(&["web-17"], 2021));
    assert!(post(&expired, "web-17").is_err(), "expired");
    let foreign = collector.client_with_certificate(&Authority::new().sign(&["web-17"], 2090));
    assert!(post(&foreign, "web-17").is_err(), "another authority");
    assert_eq!(post(&collector.client(), "web-17").unwrap(), 401);
}

#[test]
fn sighup_takes_new_secrets_and_revocations_and_drops_no_connection() {
    let collector = Collector::start(Options::default());
    let client = collector.client();
    let get = |token: &str| {
        client.get(format!("{}/v1/hosts", collector.url)).bearer_auth(token).send().unwrap().status().as_u16()
    };
    let old = collector.token("read", "mia");
    assert_eq!(get(&old), 200);
    let secret = collector.new_secret();
    let new = collector.token("read", "mia");
    assert_eq!((get(&old), get(&new)), (200, 401), "not read yet");
    collector.reload();
    assert_eq!((get(&old), get(&new)), (200, 200), "both generations");
    collector.write("secrets", &format!("{secret}\n"));
    collector.reload();
    assert_eq!((get(&old), get(&new)), (401, 200), "the old one is gone");
    let eve = collector.token("read", "eve");
    collector.write("revoked", &format!("# left\neve\n{new}\n"));
    collector.reload();
    assert_eq!((get(&eve), get(&new)), (401, 401), "a subject, and one token");
    collector.write("secrets", "nonsense\n");
    collector.write("revoked", "");
    collector.reload();
    assert_eq!(get(&eve), 401, "a file that is wrong changes nothing at all");
    let text = collector.log();
    assert!(text.contains("nothing was changed") && text.contains("not hexadecimal"), "{text}");
}

#[test]
fn sighup_takes_a_new_certificate_and_a_new_authority_for_hosts() {
    let collector = Collector::start(Options::default());
    let token = collector.token("read", "mia");
    let old = collector.client();
    let get = |client: &reqwest::blocking::Client| {
        client.get(format!("{}/v1/hosts", collector.url)).bearer_auth(&token).send()
    };
    assert_eq!(get(&old).unwrap().status(), 200);
    let next = Authority::new();
    let (cert, key) = next.sign(&["127.0.0.1"], 2090);
    collector.write("cert.pem", &cert);
    collector.write("key.pem", &key);
    collector.write("ca.pem", &next.pem());
    collector.reload();
    assert_eq!(get(&old).unwrap().status(), 200, "a connection that was open stays");
    assert!(get(&collector.client()).is_err(), "a new one sees the new certificate");
    let authority = reqwest::Certificate::from_pem(next.pem().as_bytes()).unwrap();
    let fresh = reqwest::blocking::Client::builder().no_proxy().tls_certs_only([authority]).build().unwrap();
    assert_eq!(get(&fresh).unwrap().status(), 200);
}

#[test]
fn secrets_that_everybody_may_read_are_refused() {
    let collector = Collector::start(Options::default());
    use std::os::unix::fs::PermissionsExt;
    let file = collector.path("secrets");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let said = collector.try_run(&["check"]);
    assert_eq!(said.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&said.stderr).contains("chmod"));
}

#[test]
fn a_host_has_a_name_whoever_speaks_for_it() {
    let collector = Collector::start(Options::default());
    let everybody = collector.token("ingest", "*");
    for name in [String::new(), "x".repeat(256), "x".repeat(1 << 20)] {
        let status = collector.post(&everybody, pack(&batch(&name, &[]))).status();
        assert_eq!(status, 400, "{} bytes", name.len());
    }
    assert_eq!(collector.post(&everybody, pack(&batch(&"x".repeat(255), &[]))).status(), 200);
}

#[test]
fn a_certificate_with_a_revoked_name_speaks_for_none_of_its_names() {
    let collector = Collector::start(Options::default());
    let client =
        collector.client_with_certificate(&collector.authority.sign(&["web-17", "web-17.example.net"], 2090));
    let post = || {
        let request = client.post(format!("{}/v1/batches", collector.url));
        let request =
            request.header("Content-Type", "application/msgpack").header("Content-Encoding", "zstd");
        request.body(pack(&batch("web-17.example.net", &[]))).send().unwrap().status().as_u16()
    };
    assert_eq!(post(), 200);
    collector.write("revoked", "web-17\n");
    collector.reload();
    assert_eq!(post(), 401);
}
