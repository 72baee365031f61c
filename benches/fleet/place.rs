//! A directory, the programs under test, and what they need to trust each
//! other: certificates, a secret, tokens.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use epicore::config;

use super::meter::Meter;
use super::options::Options;

/// How long a program may take to start, and to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where everything lies; it goes away with this value.
pub(crate) struct Place {
    dir: tempfile::TempDir,
}

/// The path of a program under test.
pub(crate) fn program(name: &str) -> Result<PathBuf, String> {
    let dist = PathBuf::from(std::env::var_os("EPICORE_DIST").unwrap_or("target/dist".into()));
    let path = dist.join(name);
    if path.is_file() { Ok(path) } else { Err(format!("{} is missing: make build", path.display())) }
}

/// What `uname -n` says: the host that a real daemon here speaks for.
pub(crate) fn nodename() -> String {
    nix::sys::utsname::uname().expect("uname").nodename().to_string_lossy().into_owned()
}

impl Place {
    pub(crate) fn prepare(options: &Options) -> Result<Place, String> {
        program("epicore-collector")?;
        let made = tempfile::Builder::new().prefix("epicore-fleet-").tempdir_in(&options.at);
        let place = Place { dir: made.map_err(|error| format!("{}: {error}", options.at.display()))? };
        place.certificates();
        let settings = format!(
            "listen = [\"127.0.0.1:0\"]\ndatabase = \"{root}/fleet.db\"\n\
             [tls]\ncert_file = \"{root}/cert.pem\"\nkey_file = \"{root}/key.pem\"\n\
             [auth]\nsecrets_file = \"{root}/secrets\"\n\
             # One machine stands for many here.\n[limits]\nrequests_per_host = 0\n",
            root = place.path("").display(),
        );
        fs::write(place.path("collector.toml"), settings).expect("a file");
        let secret = place.ask(&["secret"])?;
        private(&place.path("secrets"), &secret);
        for (role, subject, file) in
            [("ingest", "*", "any"), ("ingest", nodename().as_str(), "own"), ("admin", "bench", "admin")]
        {
            private(&place.path(file), &place.ask(&["token", role, subject])?);
        }
        Ok(place)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What a subcommand of the collector prints.
    fn ask(&self, arguments: &[&str]) -> Result<Vec<u8>, String> {
        let mut command = Command::new(program("epicore-collector")?);
        let done = command.arg("--config").arg(self.path("collector.toml")).args(arguments).output();
        let done = done.map_err(|error| error.to_string())?;
        if done.status.success() {
            Ok(done.stdout)
        } else {
            Err(String::from_utf8_lossy(&done.stderr).into())
        }
    }

    fn certificates(&self) {
        use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
        let key = KeyPair::generate().expect("a key");
        let mut authority = CertificateParams::new(Vec::<String>::new()).expect("parameters");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = authority.self_signed(&key).expect("an authority");
        let issuer = Issuer::new(authority, key);
        let own = KeyPair::generate().expect("a key");
        let server = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
        let server = server.signed_by(&own, &issuer).expect("a certificate");
        fs::write(self.path("ca.pem"), certificate.pem()).expect("a file");
        fs::write(self.path("cert.pem"), server.pem()).expect("a file");
        private(&self.path("key.pem"), own.serialize_pem().as_bytes());
    }

    /// How `token` (a file here) reaches the collector at `port`.
    pub(crate) fn access(&self, port: u16, token: &str) -> config::Collector {
        config::Collector {
            url: Some(format!("https://localhost:{port}")),
            ca_file: Some(self.path("ca.pem")),
            token_file: Some(self.path(token)),
            proxy: Some(String::new()),
            ..config::Collector::default()
        }
    }

    pub(crate) fn collector(&self) -> Result<Collector, String> {
        Collector::start(self)
    }

    /// Bytes of the database; what is still in its log is not among them.
    pub(crate) fn database_bytes(&self) -> u64 {
        self.path("fleet.db").metadata().map_or(0, |meta| meta.len())
    }

    /// Away with the database.
    pub(crate) fn forget(&self) {
        for name in ["fleet.db", "fleet.db-wal", "fleet.db-shm"] {
            let _ = fs::remove_file(self.path(name));
        }
    }

    fn log(&self, name: &str) -> fs::File {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path(name));
        log.expect("a log")
    }

    /// The last lines of a program's log, for whoever asks why.
    pub(crate) fn said(&self, log: &str) -> String {
        let text = fs::read_to_string(self.path(log)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("; ")
    }
}

/// A file that only its owner may read.
fn private(path: &Path, bytes: &[u8]) {
    use std::io::Write;
    let file = fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(bytes)).expect("a file");
}

/// A collector that runs.
pub(crate) struct Collector {
    running: Running,
    pub(crate) address: SocketAddr,
}

impl Collector {
    fn start(place: &Place) -> Result<Collector, String> {
        let file = place.path("address");
        let _ = fs::remove_file(&file);
        let mut command = Command::new(program("epicore-collector")?);
        command.arg("--config").arg(place.path("collector.toml")).arg("--address-file").arg(&file);
        let running = Running::start(command, place.log("collector.log"))?;
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let text = fs::read_to_string(&file).unwrap_or_default();
            if let Some(address) = text.lines().next().and_then(|line| line.parse().ok()) {
                return Ok(Collector { running, address });
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Err(format!("epicore-collector did not listen: {}", place.said("collector.log")))
    }

    pub(crate) fn meter(&self) -> Meter {
        self.running.meter()
    }

    /// SIGTERM, and until it is gone.
    pub(crate) fn stop(self) {
        drop(self);
    }
}

/// A daemon that runs.
pub(crate) struct Daemon {
    running: Running,
}

impl Daemon {
    /// epicored on `spool`, for the collector (or who stands for it) at `port`.
    pub(crate) fn start(place: &Place, spool: &Path, port: u16) -> Result<Daemon, String> {
        let config = format!(
            "spool = \"{spool}\"\n[limits]\nspool_records = 4000000\nspool_bytes = 400000000000\n\
             [collector]\nurl = \"https://localhost:{port}\"\nca_file = \"{root}/ca.pem\"\n\
             token_file = \"{root}/own\"\nproxy = \"\"\n[daemon]\nsocket = \"{root}/socket\"\n",
            spool = spool.display(),
            root = place.path("").display(),
        );
        fs::write(place.path("epicore.toml"), config).expect("a file");
        let mut command = Command::new(program("epicored")?);
        command.arg("--config").arg(place.path("epicore.toml"));
        let mut running = Running::start(command, place.log("epicored.log"))?;
        std::thread::sleep(Duration::from_millis(300));
        match running.child.try_wait() {
            Ok(None) => Ok(Daemon { running }),
            _ => Err(format!("epicored ended at once: {}", place.said("epicored.log"))),
        }
    }

    pub(crate) fn meter(&self) -> Meter {
        self.running.meter()
    }

    pub(crate) fn stop(self) {
        drop(self);
    }
}

/// A child that is asked to end when this is dropped.
struct Running {
    child: Child,
}

impl Running {
    fn start(mut command: Command, log: fs::File) -> Result<Running, String> {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        Ok(Running { child })
    }

    fn meter(&self) -> Meter {
        Meter(self.child.id())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"));
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let until = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
