//! The programs of the soak: started, killed, started again, and ended.

use std::cell::Cell;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use epicore::record::{Record, decode, encode, new_id};
use epicore::simulate::{Scenario, Simulation};
use epicore::spool::{Reader, Spool, Stamp, initialise};
use epicore::wire::ItemKind;

use super::faulty_proxy::Proxy;

const PATIENCE: Duration = Duration::from_secs(20);

/// Where everything lies.
pub(super) struct Place {
    dir: Option<tempfile::TempDir>,
    kept: Cell<Option<PathBuf>>,
    pub(super) root: PathBuf,
    pub(super) database: PathBuf,
    dist: PathBuf,
}

impl Place {
    /// Certificates, secrets and the collector's configuration.
    pub(super) fn prepare() -> Place {
        let dist = PathBuf::from(std::env::var_os("EPICORE_DIST").unwrap_or("target/dist".into()));
        for program in ["epicored", "epicore-collector"] {
            if !dist.join(program).is_file() {
                eprintln!("soak: {} is missing: make build", dist.join(program).display());
                std::process::exit(2);
            }
        }
        let dir = tempfile::Builder::new().prefix("epicore-soak-").tempdir().expect("a directory");
        let root = dir.path().to_owned();
        let place =
            Place { dir: Some(dir), kept: Cell::new(None), database: root.join("fleet.db"), root, dist };
        certificates(&place.root);
        let config = format!(
            "listen = [\"127.0.0.1:0\"]\ndatabase = \"{db}\"\n\
             [tls]\ncert_file = \"{root}/cert.pem\"\nkey_file = \"{root}/key.pem\"\n\
             [auth]\nsecrets_file = \"{root}/secrets\"\n",
            db = place.database.display(),
            root = place.root.display()
        );
        fs::write(place.root.join("collector.toml"), config).expect("a file");
        let secret = place.ask(&["secret"]);
        private(&place.root.join("secrets"), &secret);
        place
    }

    /// What a subcommand of the collector prints.
    fn ask(&self, arguments: &[&str]) -> Vec<u8> {
        let done = Command::new(self.dist.join("epicore-collector"))
            .arg("--config")
            .arg(self.root.join("collector.toml"))
            .args(arguments)
            .output()
            .expect("epicore-collector");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        done.stdout
    }

    /// Leaves the directory for whoever wants to look.
    pub(super) fn keep(&self) -> PathBuf {
        self.kept.set(Some(self.root.clone()));
        self.root.clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let (Some(dir), Some(_)) = (self.dir.take(), self.kept.take()) {
            let _ = dir.keep();
        }
    }
}

fn private(path: &Path, bytes: &[u8]) {
    use std::io::Write;
    let file = fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(bytes)).expect("a file");
}

fn certificates(root: &Path) {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::new(Vec::<String>::new()).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = authority.self_signed(&key).expect("an authority");
    let issuer = Issuer::new(authority, key);
    let own = KeyPair::generate().expect("a key");
    let server = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    let server = server.signed_by(&own, &issuer).expect("a certificate");
    fs::write(root.join("ca.pem"), certificate.pem()).expect("a file");
    fs::write(root.join("cert.pem"), server.pem()).expect("a file");
    private(&root.join("key.pem"), own.serialize_pem().as_bytes());
}

/// The collector, which is killed again and again.
pub(super) struct Collector {
    child: Child,
    program: PathBuf,
    root: PathBuf,
    pub(super) address: SocketAddr,
    pub(super) peak_kib: u64,
}

impl Collector {
    pub(super) fn start(place: &Place) -> Collector {
        let program = place.dist.join("epicore-collector");
        let (child, address) = launch(&program, &place.root);
        Collector { child, program, root: place.root.clone(), address, peak_kib: 0 }
    }

    /// SIGKILL, an outage of so many milliseconds, and up again.
    pub(super) fn kill_and_restart(&mut self, proxy: &Proxy, outage: u32) {
        self.peak_kib = self.peak_kib.max(peak(&self.child));
        self.child.kill().expect("our own child");
        self.child.wait().expect("our own child");
        std::thread::sleep(Duration::from_millis(outage.into()));
        (self.child, self.address) = launch(&self.program, &self.root);
        proxy.lead_to(self.address);
    }

    /// Ends it in peace; the outcomes that it counted.
    pub(super) fn stop(&mut self) -> Option<String> {
        self.peak_kib = self.peak_kib.max(peak(&self.child));
        end(&mut self.child);
        None
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whoever gets the child waits for it.
#[allow(clippy::zombie_processes)]
fn launch(program: &Path, root: &Path) -> (Child, SocketAddr) {
    let file = root.join("address");
    let _ = fs::remove_file(&file);
    let log =
        fs::OpenOptions::new().create(true).append(true).open(root.join("collector.log")).expect("a log");
    let mut child = Command::new(program)
        .arg("--config")
        .arg(root.join("collector.toml"))
        .arg("--address-file")
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("epicore-collector");
    let until = Instant::now() + PATIENCE;
    loop {
        let text = fs::read_to_string(&file).unwrap_or_default();
        if let Some(address) = text.lines().next().filter(|_| text.ends_with('\n')) {
            return (child, address.parse().expect("an address"));
        }
        if Instant::now() > until {
            let _ = child.kill();
            let _ = child.wait();
            panic!("epicore-collector did not listen; see {}", root.join("collector.log").display());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// One host: a spool and its daemon.
pub(super) struct Daemon {
    child: Option<Child>,
    program: PathBuf,
    root: PathBuf,
    number: u32,
    reader: Reader,
    peak_kib: Cell<u64>,
}

impl Daemon {
    pub(super) fn prepare(place: &Place, number: u32, port: u16) -> Daemon {
        let root = place.root.join(format!("host-{number}"));
        let spool = root.join("spool");
        fs::create_dir(&root).expect("a directory");
        initialise(&spool, None).expect("a spool");
        let token = place.ask(&["token", "ingest", &nodename(number)]);
        private(&root.join("token"), &token);
        let config = format!(
            "spool = \"{spool}\"\n[limits]\nspool_records = 1000000\nspool_bytes = 100000000000\n\
             [collector]\nurl = \"https://localhost:{port}\"\nca_file = \"{ca}\"\ntoken_file = \"{token}\"\nproxy = \"\"\n\
             [forward]\ntimeout_seconds = 5\n[daemon]\nsocket = \"{socket}\"\n",
            spool = spool.display(),
            ca = place.root.join("ca.pem").display(),
            token = root.join("token").display(),
            socket = root.join("socket").display(),
        );
        fs::write(root.join("epicore.toml"), config).expect("a file");
        let reader = Reader::open(&spool).expect("the spool");
        Daemon {
            child: None,
            program: place.dist.join("epicored"),
            root,
            number,
            reader,
            peak_kib: Cell::new(0),
        }
    }

    pub(super) fn start(&mut self) {
        let log =
            fs::OpenOptions::new().create(true).append(true).open(self.root.join("log")).expect("a log");
        let mut command = Command::new(&self.program);
        if nix::unistd::geteuid().is_root() {
            command = Command::new("unshare");
            let script = "hostname \"$1\" && shift && exec \"$@\"";
            command.args(["--uts", "sh", "-c", script, "sh", &nodename(self.number)]).arg(&self.program);
        }
        let child = command
            .arg("--config")
            .arg(self.root.join("epicore.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("epicored");
        self.child = Some(child);
    }

    pub(super) fn kill_and_restart(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("our own child");
            child.wait().expect("our own child");
        }
        self.start();
    }

    pub(super) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            end(&mut child);
        }
    }

    /// Records that no collector has acknowledged.
    pub(super) fn pending(&self) -> u64 {
        if let Some(child) = &self.child {
            self.peak_kib.set(self.peak_kib.get().max(peak(child)));
        }
        self.reader.pending(1).map_or(u64::MAX >> 16, |pending| pending.totals.crashes.pending)
    }

    pub(super) fn peak_kib(&self) -> u64 {
        self.peak_kib.get()
    }

    /// Writes records as the handler does while the soak runs: the minimal one
    /// first for every fourth, the full one for all, spread over some time. Their
    /// ids.
    pub(super) fn write(&self, records: u32, seed: u64, spread: Duration) -> JoinHandle<Vec<[u8; 16]>> {
        let (path, number) = (self.root.join("spool"), self.number);
        std::thread::spawn(move || {
            let spool = Spool::open(&path).expect("the spool");
            let sample = sample(seed, number);
            let began = Instant::now();
            (0..records)
                .map(|n| {
                    let due = began + spread * n / records;
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    let mut record = sample[n as usize % sample.len()].clone();
                    record.id = new_id();
                    record.host.name = Some(nodename(number));
                    let id: [u8; 16] = record.id.0.as_slice().try_into().expect("sixteen bytes");
                    let payload = encode(&record).expect("a record");
                    let stamp = Stamp { id: id.into(), private: false, group: u64::from(n % 7) };
                    if n % 4 == 0 {
                        spool.write_minimal(stamp, &payload).expect("room");
                    }
                    spool.replace_with_full(stamp, &payload).expect("room");
                    id
                })
                .collect()
        })
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Each daemon has a host name of its own (a UTS namespace, which needs root);
/// otherwise all speak for this machine.
fn nodename(number: u32) -> String {
    if nix::unistd::geteuid().is_root() {
        return format!("soak-{number}");
    }
    nix::sys::utsname::uname().expect("uname").nodename().to_string_lossy().into_owned()
}

/// Records of a simulated host: about as large as real ones.
fn sample(seed: u64, number: u32) -> Vec<Record> {
    let simulation = Simulation::new(&Scenario { rate: 1.0, ..Scenario::default() }, 100, seed);
    let batches: Vec<_> = simulation.batches(1_795_356_309_000_000_000).collect();
    let first = number as usize;
    let items = batches.iter().skip(first).chain(batches.iter().take(first)).flat_map(|batch| &batch.items);
    items
        .filter(|item| item.kind == ItemKind::Crash)
        .take(50)
        .map(|item| decode(&item.body).expect("a record"))
        .collect()
}

fn end(child: &mut Child) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
    let until = Instant::now() + PATIENCE;
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() > until {
            eprintln!("soak: {pid} ignores SIGTERM");
            let _ = child.kill();
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.wait();
}

/// VmHWM of a child, KiB.
fn peak(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|text| text.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// What the network did.
pub(super) fn tell_proxy(proxy: &Proxy) {
    let get = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let count = &proxy.count;
    println!(
        "{} connections: {} refused, {} hung, {} reset in the request, {} cut in the answer, {} delayed, {} met no collector",
        get(&count.connections),
        get(&count.refused),
        get(&count.hung),
        get(&count.reset),
        get(&count.cut),
        get(&count.delayed),
        get(&count.no_upstream),
    );
}
