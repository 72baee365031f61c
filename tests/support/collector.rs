//! A real epicore-collector process on 127.0.0.1, with certificates of an
//! authority that was made for it, a secret, and a database in a directory
//! that goes away with it.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use epicore::record::{Id, Kind, Record, SCHEMA, encode, new_id};
use epicore::wire::{Answer, Batch, Item, ItemKind, PROTOCOL, Sender};
use rcgen::{CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use reqwest::blocking::{Client, ClientBuilder, Response};

/// What a collector is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// TLS, with client certificates welcome; else plain HTTP.
    pub tls: bool,
    /// TOML that stands in a drop-in: "[limits]\nconnections = 4\n".
    pub settings: String,
    /// Where it listens, and the names in its certificate beside localhost.
    pub listen: String,
    pub names: Vec<String>,
    /// Words before the program's: `ip netns exec NAME`.
    pub within: Vec<String>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            tls: true,
            settings: String::new(),
            listen: "127.0.0.1:0".to_owned(),
            names: Vec::new(),
            within: Vec::new(),
        }
    }
}

/// An authority, and what it signs.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Certificate and key for `names`, good until 1 January of `year`.
    pub fn sign(&self, names: &[&str], year: i32) -> (String, String) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

/// A collector that runs.
pub struct Collector {
    /// "https://127.0.0.1:PORT"
    pub url: String,
    /// PEM of the authority that signed it (and its hosts).
    pub ca_pem: String,
    pub address: SocketAddr,
    pub authority: Authority,
    place: tempfile::TempDir,
    options: Options,
    child: Option<Child>,
}

impl Collector {
    /// Starts one and waits until it listens.
    pub fn start(options: Options) -> Collector {
        let place = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let mut collector = Collector {
            url: String::new(),
            ca_pem: authority.pem(),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            authority,
            place,
            options,
            child: None,
        };
        collector.write_settings();
        collector.new_secret();
        collector.restart();
        collector
    }

    fn write_settings(&self) {
        let at = |name: &str| self.path(name).display().to_string();
        let mut text = format!("listen = {:?}\ndatabase = {:?}\n", self.options.listen, at("collector.db"));
        text += &format!("[auth]\nsecrets_file = {:?}\nrevoked_file = {:?}\n", at("secrets"), at("revoked"));
        if self.options.tls {
            let more = self.options.names.iter().map(String::as_str);
            let names: Vec<&str> = ["127.0.0.1", "localhost"].into_iter().chain(more).collect();
            let (cert, key) = self.authority.sign(&names, 2090);
            self.write("cert.pem", &cert);
            self.write("key.pem", &key);
            self.write("ca.pem", &self.ca_pem);
            text += &format!("[tls]\ncert_file = {:?}\nkey_file = {:?}\n", at("cert.pem"), at("key.pem"));
            text += &format!("client_ca_file = {:?}\n", at("ca.pem"));
        }
        self.write("collector.toml", &text);
        self.write("revoked", "# subjects and tokens\n");
        std::fs::create_dir_all(self.path("collector.toml.d")).unwrap();
        self.write("collector.toml.d/50-test.toml", &self.options.settings);
    }

    /// A file of its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Puts a new secret in front of those that are there.
    pub fn new_secret(&self) -> String {
        let secret = self.run(&["secret"]);
        let old = std::fs::read_to_string(self.path("secrets")).unwrap_or_default();
        self.write("secrets", &format!("{secret}\n{old}"));
        secret
    }

    /// The output of a subcommand; it must succeed.
    pub fn run(&self, arguments: &[&str]) -> String {
        let done = self.try_run(arguments);
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim_end().to_owned()
    }

    pub fn try_run(&self, arguments: &[&str]) -> std::process::Output {
        Command::new(env!("CARGO_BIN_EXE_epicore-collector"))
            .arg("--config")
            .arg(self.path("collector.toml"))
            .args(arguments)
            .output()
            .unwrap()
    }

    /// A token: `token("ingest", "web-17")`.
    pub fn token(&self, role: &str, subject: &str) -> String {
        self.run(&["token", role, subject])
    }

    /// Starts it again, on another port; the one that runs is killed.
    pub fn restart(&mut self) {
        self.kill9();
        let addresses = self.path("addresses");
        let _ = std::fs::remove_file(&addresses);
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.path("log")).unwrap();
        let words = self.options.within.iter().map(String::as_str);
        let mut words = words.chain([env!("CARGO_BIN_EXE_epicore-collector")]);
        let child = Command::new(words.next().unwrap())
            .args(words)
            .arg("--config")
            .arg(self.path("collector.toml"))
            .arg("--address-file")
            .arg(&addresses)
            .env_remove("JOURNAL_STREAM")
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        self.address = self.wait_until_it_listens(&addresses);
        self.url = format!("{}://{}", if self.options.tls { "https" } else { "http" }, self.address);
    }

    fn wait_until_it_listens(&mut self, addresses: &Path) -> SocketAddr {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            if let Ok(text) = std::fs::read_to_string(addresses) {
                return text.lines().next().unwrap().parse().unwrap();
            }
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "the collector ended: {}", self.log());
            assert!(Instant::now() < end, "the collector does not listen: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(self.pid().try_into().unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    /// SIGHUP, and waits until it said what came of it.
    pub fn reload(&self) {
        let said =
            |log: &str| log.matches("were read again").count() + log.matches("nothing was changed").count();
        let before = said(&self.log());
        self.signal(nix::sys::signal::Signal::SIGHUP);
        let end = Instant::now() + Duration::from_secs(20);
        while said(&self.log()) == before {
            assert!(Instant::now() < end, "SIGHUP did nothing: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(&mut self) -> std::process::ExitStatus {
        self.signal(nix::sys::signal::Signal::SIGTERM);
        self.stop_waits()
    }

    /// Waits for the end of one that was told to stop.
    pub fn stop_waits(&mut self) -> std::process::ExitStatus {
        self.child.take().unwrap().wait().unwrap()
    }

    /// SIGKILL, as a power cut of the process.
    pub fn kill9(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// A number of /proc/PID/status, KiB: "VmHWM", "VmRSS".
    pub fn memory_kib(&self, key: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// An HTTP client that trusts the authority, and no proxy.
    pub fn client(&self) -> Client {
        self.client_builder().build().unwrap()
    }

    pub fn client_builder(&self) -> ClientBuilder {
        install_provider();
        let authority = reqwest::Certificate::from_pem(self.ca_pem.as_bytes()).unwrap();
        Client::builder().no_proxy().tls_certs_only([authority]).timeout(Duration::from_secs(90))
    }

    /// A client with a certificate of `authority`.
    pub fn client_with_certificate(&self, certificate: &(String, String)) -> Client {
        let pem = format!("{}{}", certificate.0, certificate.1);
        let identity = reqwest::Identity::from_pem(pem.as_bytes()).unwrap();
        self.client_builder().identity(identity).build().unwrap()
    }

    /// GET with a token.
    pub fn get(&self, path: &str, token: &str) -> Response {
        self.client().get(format!("{}{path}", self.url)).bearer_auth(token).send().unwrap()
    }

    /// GET, 200, JSON.
    pub fn json(&self, path: &str, token: &str) -> serde_json::Value {
        let response = self.get(path, token);
        let status = response.status();
        let text = response.text().unwrap();
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// POST /v1/batches with any body.
    pub fn post(&self, token: &str, body: Vec<u8>) -> Response {
        let request = self.client().post(format!("{}/v1/batches", self.url)).bearer_auth(token);
        let request =
            request.header("Content-Type", "application/msgpack").header("Content-Encoding", "zstd");
        request.body(body).send().unwrap()
    }

    /// Hands in a batch, which must be answered with 200.
    pub fn ingest(&self, token: &str, batch: &Batch) -> Answer {
        let response = self.post(token, pack(batch));
        let status = response.status();
        let bytes = response.bytes().unwrap();
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&bytes));
        rmp_serde::from_slice(&bytes).unwrap()
    }

    /// A connection without HTTP on it yet.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(90))).unwrap();
        stream
    }

    /// A connection with TLS on it.
    pub fn connect_tls(&self) -> rustls::StreamOwned<rustls::ClientConnection, TcpStream> {
        use rustls::pki_types::pem::PemObject;
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(rustls::pki_types::CertificateDer::from_pem_slice(self.ca_pem.as_bytes()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = "localhost".try_into().unwrap();
        let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        rustls::StreamOwned::new(connection, self.connect())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the collector's log\n{}", self.log());
        }
        self.kill9();
    }
}

fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// Everything that a stream still says, until it ends or is reset.
pub fn rest(stream: &mut impl Read) -> String {
    let mut all = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(n) = stream.read(&mut chunk) {
        if n == 0 {
            break;
        }
        all.extend_from_slice(&chunk[..n]);
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// A full record of `host`, with a new id.
pub fn crash(host: &str) -> Record {
    let mut record = Record { v: SCHEMA, id: new_id(), kind: Kind::Full, ..Record::default() };
    record.realtime_ns = Some(now());
    record.host.name = Some(host.to_owned());
    record.host.kernel = Some("6.12.0".to_owned());
    record.process.unit = Some("shop.service".to_owned());
    record.process.exe = Some("/usr/bin/shop".to_owned());
    record.process.comm = Some("shop".to_owned());
    record.process.build_id = Id::from_hex("aabbccddeeff0011");
    record.crash.signal = Some(11);
    record.crash.uid = Some(1000);
    record.crash.cpu = Some(3);
    record.keys.portable = Some(epicore::record::Hex(0x1234_5678_9abc_def0));
    record.keys.functions = Some(epicore::record::Hex(0x0fed_cba9_8765_4321));
    record
}

pub fn item(record: &Record) -> Item {
    Item { id: record.id.clone(), kind: ItemKind::Crash, body: encode(record).unwrap() }
}

/// A batch of `host`.
pub fn batch(host: &str, records: &[Record]) -> Batch {
    let from = Sender { name: host.to_owned(), version: "test".to_owned(), ..Sender::default() };
    Batch { v: PROTOCOL, from, at: now(), items: records.iter().map(item).collect() }
}

pub fn pack(batch: &Batch) -> Vec<u8> {
    zstd::bulk::compress(&rmp_serde::to_vec_named(batch).unwrap(), 3).unwrap()
}

pub fn now() -> u64 {
    let passed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    passed.as_nanos().try_into().unwrap()
}
