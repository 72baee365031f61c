//! What goes wrong on the way to a collector is said in words that a person
//! can act on: real sockets, real TLS, real certificates.

#[path = "support/fake_collector.rs"]
mod fake_collector;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use epicore::config::Collector as Access;
use epicore::forward::{Api, Cause, Packed, Transport, Trouble, encode};
use epicore::wire::Sender;
use epicore::wire::api::{Page, Problem, Summary};
use fake_collector::{Act, Collector};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;

/// An authority, and the directory with its files.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: tempfile::TempDir,
}

/// When a certificate counts.
enum When {
    Now,
    Past,
    Future,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), issuer.pem()).unwrap();
        Authority { issuer, dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn sign(&self, name: &str, when: When) -> (rcgen::Certificate, KeyPair) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = match when {
            When::Now => (date_time_ymd(2020, 1, 1), date_time_ymd(2100, 1, 1)),
            When::Past => (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1)),
            When::Future => (date_time_ymd(2090, 1, 1), date_time_ymd(2100, 1, 1)),
        };
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// A collector with a certificate for `name`; with `clients` it wants one
    /// of that authority from its clients.
    fn collector(&self, name: &str, when: When, clients: Option<&Authority>) -> Collector {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (certificate, key) = self.sign(name, when);
        let builder = rustls::ServerConfig::builder();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(authority.issuer.der().clone()).unwrap();
                let verifier =
                    rustls::server::WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
                builder.with_client_cert_verifier(verifier)
            }
        };
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        Collector::start_tls(Arc::new(config))
    }

    /// Writes a client certificate and its key.
    fn client(&self, name: &str) -> (PathBuf, PathBuf) {
        let (certificate, key) = self.sign(name, When::Now);
        std::fs::write(self.path("client.pem"), certificate.pem()).unwrap();
        std::fs::write(self.path("client.key"), key.serialize_pem()).unwrap();
        (self.path("client.pem"), self.path("client.key"))
    }
}

fn access(url: String) -> Access {
    Access { url: Some(url), proxy: Some(String::new()), ..Access::default() }
}

fn secure(collector: &Collector, authority: &Authority) -> Access {
    let url = format!("https://localhost:{}", collector.address.port());
    Access { ca_file: Some(authority.path("ca.pem")), ..access(url) }
}

fn transport(access: &Access) -> Transport {
    Transport::new(access, Duration::from_secs(5)).unwrap()
}

/// Posts one record; its status.
fn post(transport: &Transport) -> Result<u16, Trouble> {
    let body = epicore::wire::pack::pack(b"a body");
    let item = Packed { id: [7; 16], body, ..Packed::default() };
    let body = encode(&Sender::default(), 0, &[item]).unwrap();
    transport.post_batch(body).map(|reply| reply.status)
}

fn cause(access: &Access) -> Cause {
    let trouble = post(&transport(access)).unwrap_err();
    assert!(!trouble.what.is_empty() && !trouble.next.is_empty(), "{trouble:?}");
    println!("{}. {}", trouble.what, trouble.next);
    trouble.cause
}

#[test]
fn a_collector_with_a_certificate_of_the_configured_authority_is_trusted() {
    let authority = Authority::new();
    let collector = authority.collector("localhost", When::Now, None);
    assert_eq!(post(&transport(&secure(&collector, &authority))), Ok(200));
    assert_eq!(collector.stored(), [[7; 16]]);
    let head = &collector.requests()[0].head;
    assert!(head.starts_with("POST /v1/batches HTTP/1.1"), "{head}");
    assert!(head.contains(concat!("user-agent: epicore/", env!("CARGO_PKG_VERSION"))), "{head}");
}

#[test]
fn each_fault_of_a_certificate_has_its_own_words() {
    let (authority, other) = (Authority::new(), Authority::new());
    for (name, when, trusted, want) in [
        ("localhost", When::Past, &authority, Cause::Expired),
        ("localhost", When::Future, &authority, Cause::NotYetValid),
        ("elsewhere.example", When::Now, &authority, Cause::WrongName),
        ("localhost", When::Now, &other, Cause::UnknownAuthority),
    ] {
        let collector = authority.collector(name, when, None);
        assert_eq!(cause(&secure(&collector, trusted)), want);
        assert!(post(&transport(&secure(&collector, trusted))).unwrap_err().unsent);
        assert!(collector.stored().is_empty());
    }
    let collector = authority.collector("localhost", When::Now, None);
    let of_the_system = Access { ca_file: None, ..secure(&collector, &authority) };
    assert!(matches!(cause(&of_the_system), Cause::UnknownAuthority | Cause::Setup));
}

#[test]
fn a_client_certificate_is_shown_and_a_missing_one_is_told() {
    let (authority, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
    let collector = authority.collector("localhost", When::Now, Some(&clients));
    let without = secure(&collector, &authority);
    assert_eq!(cause(&without), Cause::ClientCertificate);
    let shown = |authority: &Authority| {
        let (certificate, key) = authority.client("web-1");
        Access { cert_file: Some(certificate), key_file: Some(key), ..without.clone() }
    };
    assert_eq!(cause(&shown(&strangers)), Cause::ClientCertificate);
    assert_eq!(post(&transport(&shown(&clients))), Ok(200));
}

#[test]
fn files_that_change_are_used_by_the_next_request() {
    let (authority, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
    let collector = authority.collector("localhost", When::Now, Some(&clients));
    let (certificate, key) = strangers.client("web-1");
    let token = strangers.path("token");
    std::fs::write(&token, "wrong\n").unwrap();
    let access = Access {
        cert_file: Some(certificate.clone()),
        key_file: Some(key.clone()),
        token_file: Some(token.clone()),
        ..secure(&collector, &authority)
    };
    collector.otherwise(Act::Token("right".into()));
    let transport = transport(&access);
    assert_eq!(post(&transport).unwrap_err().cause, Cause::ClientCertificate);
    let (new_certificate, new_key) = clients.client("web-1");
    replace(&new_certificate, &certificate);
    replace(&new_key, &key);
    assert_eq!(post(&transport), Ok(401));
    std::fs::write(&token, "right\n").unwrap();
    assert_eq!(post(&transport), Ok(200));
    std::fs::write(&token, "two words").unwrap();
    let trouble = post(&transport).unwrap_err();
    assert_eq!(trouble.cause, Cause::Setup);
    assert!(trouble.what.contains("token"), "{}", trouble.what);
    assert!(!trouble.what.contains("two words"), "a token is in no message");
}

fn replace(from: &Path, to: &Path) {
    std::fs::copy(from, to.with_extension("new")).unwrap();
    std::fs::rename(to.with_extension("new"), to).unwrap();
}

#[test]
fn whoever_is_not_there_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = listener.local_addr().unwrap();
    drop(listener);
    assert_eq!(cause(&access(format!("http://{closed}"))), Cause::Refused);
    assert_eq!(cause(&access("https://collector.invalid:7464".into())), Cause::Dns);

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let hasty = Transport::new(&access(url), Duration::from_millis(300)).unwrap();
    assert_eq!(post(&hasty).unwrap_err().cause, Cause::TimedOut);

    let collector = Collector::start();
    collector.script([Act::Close, Act::StoreAndCut]);
    assert_eq!(cause(&access(collector.url())), Cause::Broken);
    let cut = post(&transport(&access(collector.url()))).unwrap_err();
    assert_eq!((cut.cause, cut.unsent), (Cause::Broken, false));
    // TLS spoken to who does not.
    let url = format!("https://{}", collector.address);
    let no_tls = post(&transport(&access(url))).unwrap_err();
    assert!(matches!(no_tls.cause, Cause::Tls | Cause::Broken) && no_tls.unsent, "{no_tls:?}");
}

#[test]
fn an_answer_that_drips_for_ever_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
        while stream.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let transport = Transport::new(&access(url), Duration::from_millis(600)).unwrap();
    assert_eq!(post(&transport).unwrap_err().cause, Cause::TimedOut);
}

#[test]
fn a_redirect_is_not_followed() {
    let (here, there) = (Collector::start(), Collector::start());
    here.otherwise(Act::Status(307, format!("Location: {}/v1/batches\r\n", there.url()), Vec::new()));
    assert_eq!(post(&transport(&access(here.url()))), Ok(307));
    assert!(there.requests().is_empty());
}

/// A proxy that knows CONNECT; how many tunnels it made.
fn proxy(refuse: bool) -> (SocketAddr, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let tunnels = Arc::new(AtomicU32::new(0));
    let count = tunnels.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if reader.read_line(&mut head).unwrap_or(0) == 0 {
                    break;
                }
            }
            let mut client = stream;
            if refuse {
                let _ = client.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
                continue;
            }
            let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap_or("");
            let Ok(mut server) = TcpStream::connect(target) else { continue };
            count.fetch_add(1, Ordering::SeqCst);
            let _ = client.write_all(b"HTTP/1.1 200 Established\r\n\r\n");
            let (mut up, mut down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut up, &mut server));
            std::thread::spawn(move || std::io::copy(&mut down, &mut client));
        }
    });
    (address, tunnels)
}

#[test]
fn a_configured_proxy_is_used_and_its_refusal_is_told() {
    let authority = Authority::new();
    let collector = authority.collector("localhost", When::Now, None);
    let (address, tunnels) = proxy(false);
    let through = Access { proxy: Some(format!("http://{address}")), ..secure(&collector, &authority) };
    assert_eq!(post(&transport(&through)), Ok(200));
    assert_eq!(tunnels.load(Ordering::SeqCst), 1);
    let (address, _) = proxy(true);
    let refused = Access { proxy: Some(format!("http://{address}")), ..secure(&collector, &authority) };
    assert_eq!(cause(&refused), Cause::Proxy);
}

#[test]
fn people_ask_the_same_way() {
    let collector = Collector::start();
    let page = Page { records: vec![Summary { host: "web-1".into(), ..Summary::default() }], next: Some(7) };
    let problem = Problem { error: "since is after until".into(), next: Some("Swap them.".into()) };
    collector.script([
        Act::Garbage(rmp_serde::to_vec_named(&page).unwrap()),
        Act::Status(400, String::new(), rmp_serde::to_vec_named(&problem).unwrap()),
        Act::Status(401, String::new(), Vec::new()),
        Act::Garbage(b"<html>".to_vec()),
        Act::Garbage(rmp_serde::to_vec_named(&page).unwrap()),
    ]);
    let api = Api::new(&access(collector.url()), Duration::from_secs(5)).unwrap();
    let query = [("host", "web 1&2".to_owned()), ("limit", "10".to_owned())];
    assert_eq!(api.get::<Page>("/v1/records", &query), Ok(page.clone()));
    let head = &collector.requests()[0].head;
    assert!(head.starts_with("GET /v1/records?host=web+1%262&limit=10 HTTP/1.1"), "{head}");
    assert!(head.contains("accept: application/msgpack"), "{head}");
    let error = api.get::<Page>("/v1/records", &[]).unwrap_err();
    assert_eq!((error.to_string().as_str(), error.next()), ("since is after until", Some("Swap them.")));
    let error = api.get::<Page>("/v1/records", &[]).unwrap_err();
    assert_eq!(error.status(), Some(401));
    assert!(error.next().unwrap().contains("token"), "{error:?}");
    assert!(api.get::<Page>("/v1/records", &[]).unwrap_err().to_string().contains("<html>"));
    assert_eq!(api.post::<_, Page>("/v1/purge", &problem), Ok(page));
}
