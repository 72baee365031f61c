//! epicored as a process: started with a configuration, asked, ended.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use epicore::daemon::{AskError, Status, ask, ask_status};
use epicore::record::{Host, Id, Kind, Record, SCHEMA, encode};
use epicore::spool::{Reader, RecordId, Spool, initialise};

/// A directory with a spool and room for everything else.
pub struct Place {
    pub dir: tempfile::TempDir,
    pub spool: Spool,
}

impl Place {
    pub fn new() -> Place {
        let dir = tempfile::tempdir().unwrap();
        initialise(&dir.path().join("spool"), None).unwrap();
        let spool = Spool::open(&dir.path().join("spool")).unwrap();
        Place { dir, spool }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes the configuration; `more` is TOML behind the collector's table.
    pub fn configure(&self, url: Option<&str>, more: &str) {
        self.write(url, "", more);
    }

    /// The same with more of the daemon's own table.
    pub fn configure_daemon(&self, url: Option<&str>, daemon: &str) {
        self.write(url, daemon, "");
    }

    fn write(&self, url: Option<&str>, daemon: &str, more: &str) {
        let url = url.map(|url| format!("url = \"{url}\"\n")).unwrap_or_default();
        let text = format!(
            "spool = \"{}\"\n[daemon]\nsocket = \"{}\"\nmetrics_file = \"{}\"\n{daemon}[collector]\n{url}proxy = \"\"\n{more}",
            self.path("spool").display(),
            self.path("sock").display(),
            self.path("epicore.prom").display(),
        );
        std::fs::write(self.path("epicore.toml"), text).unwrap();
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_epicored"));
        command.arg("--config").arg(self.path("epicore.toml"));
        command.env_remove("NOTIFY_SOCKET").env_remove("JOURNAL_STREAM").env_remove("WATCHDOG_USEC");
        command.env_remove("HTTPS_PROXY").env_remove("HTTP_PROXY").env_remove("NO_PROXY");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Starts it, and waits until it can be asked.
    pub fn start(&self) -> Daemon {
        self.start_as(self.command())
    }

    pub fn start_as(&self, mut command: Command) -> Daemon {
        let log = self.path("log");
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let child = command.stderr(file).spawn().unwrap();
        let mut daemon = Daemon { child, socket: self.path("sock"), log };
        daemon.wait("it answers", |daemon| daemon.try_status().is_ok());
        daemon
    }

    /// Writes a full record and returns its id.
    pub fn crash(&self, n: u64) -> RecordId {
        let record = record(n);
        self.put(&record, false)
    }

    pub fn put(&self, record: &Record, private: bool) -> RecordId {
        let id = RecordId(record.id.0.as_slice().try_into().unwrap());
        self.spool.replace_with_full((id, private), &encode(record).unwrap()).unwrap();
        id
    }

    /// Names in the spool that end so.
    pub fn named(&self, end: &str) -> usize {
        let names = std::fs::read_dir(self.path("spool")).unwrap().flatten();
        names.filter(|entry| entry.file_name().to_string_lossy().ends_with(end)).count()
    }

    /// What `epicore status` says, and its exit status.
    pub fn status_as_told(&self) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_epicore"));
        let said = command.arg("status").arg("--socket").arg(self.path("sock")).output().unwrap();
        (said.status.code(), String::from_utf8(said.stdout).unwrap())
    }

    pub fn reader(&self) -> Reader {
        Reader::open(&self.path("spool")).unwrap()
    }
}

/// The name under which this host may speak.
pub fn host() -> String {
    nix::unistd::gethostname().unwrap().into_string().unwrap()
}

/// A full record of this moment, the n-th of its millisecond.
pub fn record(n: u64) -> Record {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    record_at(u64::try_from(now.as_millis()).unwrap(), n)
}

pub fn record_at(milliseconds: u64, n: u64) -> Record {
    let mut id = [0; 16];
    id[..6].copy_from_slice(&milliseconds.to_be_bytes()[2..]);
    id[6] = 0x70;
    id[8] = 0x80;
    id[9..].copy_from_slice(&n.to_be_bytes()[1..]);
    Record {
        v: SCHEMA,
        id: Id(id.to_vec()),
        kind: Kind::Full,
        host: Host { name: Some(host()), ..Host::default() },
        ..Record::default()
    }
}

/// A running epicored; killed when dropped.
pub struct Daemon {
    pub child: Child,
    socket: PathBuf,
    log: PathBuf,
}

impl Daemon {
    pub fn try_status(&self) -> Result<Status, AskError> {
        ask_status(&self.socket)
    }

    pub fn status(&self) -> Status {
        self.try_status().unwrap()
    }

    pub fn ask(&self, word: &str) -> Result<String, AskError> {
        ask(&self.socket, word)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until `done`; panics with the log after 30 s.
    pub fn wait(&mut self, what: &str, done: impl Fn(&Daemon) -> bool) {
        let until = Instant::now() + Duration::from_secs(30);
        while !done(self) {
            let ended = self.child.try_wait().unwrap();
            let status = self.try_status().map(|status| format!("{status:#?}")).unwrap_or_default();
            assert!(ended.is_none(), "{what}: it ended: {ended:?}\n{}", self.log());
            assert!(Instant::now() < until, "never: {what}\n{}\n{status}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    /// SIGTERM, and its exit.
    pub fn end(mut self) -> ExitStatus {
        self.signal(nix::sys::signal::Signal::SIGTERM);
        self.child.wait().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs to its end: exit code and standard error.
pub fn run(mut command: Command) -> (Option<i32>, String) {
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    (child.wait().unwrap().code(), text)
}

/// All bytes of a file, or none.
pub fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_default()
}
