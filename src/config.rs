//! What was written → what the program needs.
//!
//! One TOML file and its drop-ins (`epicore.toml`, then `epicore.toml.d/*.toml`
//! in the order of their names; later wins, key by key):
//!
//! ```toml
//! spool = "/var/spool/epicore"       # an absolute path
//! core_limit_zero = "keep"           # or "drop": a soft RLIMIT_CORE of 0
//! [release]
//! sparse = "wait"                    # or "kill": end the walk of holes
//! sparse_threshold = 68719476736     # bytes of holes; "kill" acts above
//! [limits]
//! spool_bytes = 268435456            # quota of the spool
//! spool_records = 10000
//! [throttle]
//! enabled = true                     # storms leave some records and a number
//! executable_burst = 60              # records of one executable at once …
//! executable_per_minute = 120        # … and from then on
//! burst = 200                        # the same of all executables
//! per_minute = 600
//! [analysis]
//! slots = 0                          # handlers that analyse at once; 0: 2 a CPU
//! cgroup = "/sys/fs/cgroup/…"        # where they do; absent: the root
//! ```
//!
//! The further tables (collector, forward, retention, daemon, labels, fleet)
//! belong to the daemon, the command line and the census; docs/configuration.md
//! has every key. The handler reads over them.
//!
//! Reading never fails: a crash handler must work with a broken configuration.
//! What could not be used keeps its default and is a [`Warning`]; commands that
//! change something make an error of it. Limits: limits::CONFIG_BYTES a file, 64 drop-ins.

mod keys;
mod near;
// People correct the file with `epicore config check`; the handler, which is small, says
// what is wrong, and not where.
#[cfg(feature = "daemon")]
mod place;

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::limits;

pub use keys::{Entry, Value as Setting};
pub use near::near;

/// The configuration file.
pub const DEFAULT_FILE: &str = "/etc/epicore/epicore.toml";
/// The spool's directory.
pub const DEFAULT_SPOOL: &str = "/var/spool/epicore";
/// Where epicored answers `epicore status`.
pub const DEFAULT_SOCKET: &str = "/run/epicored/epicored.sock";
/// The tables; every other key stands alone.
const TABLES: [&str; 10] = [
    "release",
    "limits",
    "throttle",
    "analysis",
    "collector",
    "forward",
    "retention",
    "daemon",
    "labels",
    "fleet",
];
/// Drop-ins that are read.
const DROP_INS: usize = 64;

/// What to do about a process whose mappings are mostly holes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sparse {
    /// The kernel walks the holes; the process waits.
    #[default]
    Wait,
    /// SIGKILL through the pidfd; the wait status loses its core flag.
    Kill,
}

/// How the crashed process is let go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Mappings that are mostly holes.
    pub sparse: Sparse,
    /// Bytes of holes above which `Sparse::Kill` acts.
    pub sparse_threshold: u64,
}

impl Default for Release {
    fn default() -> Release {
        Release { sparse: Sparse::default(), sparse_threshold: limits::SPARSE_THRESHOLD }
    }
}

impl Release {
    /// True when holes are ended with SIGKILL.
    pub fn kills(&self) -> bool {
        self.sparse == Sparse::Kill
    }
}

/// How many crashes leave records; what is above is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Throttle {
    /// Without it every crash leaves a record.
    pub enabled: bool,
    /// Of one executable, at once.
    pub executable_burst: u64,
    /// Of one executable, a minute, when the burst is used up.
    pub executable_per_minute: u64,
    /// Of all, at once.
    pub burst: u64,
    /// Of all, a minute.
    pub per_minute: u64,
}

impl Default for Throttle {
    fn default() -> Throttle {
        Throttle {
            enabled: true,
            executable_burst: limits::THROTTLE_EXECUTABLE_BURST,
            executable_per_minute: limits::THROTTLE_EXECUTABLE_PER_MINUTE,
            burst: limits::THROTTLE_BURST,
            per_minute: limits::THROTTLE_PER_MINUTE,
        }
    }
}

/// What to do about a crash whose soft RLIMIT_CORE is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CoreLimitZero {
    /// A record holds no memory contents: keep it.
    #[default]
    Keep,
    /// Count it and keep nothing.
    Drop,
}

/// Where records go, and as whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collector {
    /// "https://collector.example:7464"; absent = nothing is forwarded.
    pub url: Option<String>,
    /// PEM of the authority that signed the collector; absent = the system's.
    pub ca_file: Option<PathBuf>,
    /// PEM of a client certificate, and its chain.
    pub cert_file: Option<PathBuf>,
    /// PEM of its key.
    pub key_file: Option<PathBuf>,
    /// A file with the bearer token.
    pub token_file: Option<PathBuf>,
    /// "http://proxy.example:3128"; "" = none, whatever the environment says;
    /// absent = the environment's (HTTPS_PROXY, NO_PROXY).
    pub proxy: Option<String>,
    /// http:// to another host than this one is allowed: token and records in
    /// clear.
    pub plain_http: bool,
}

/// What of the general registers leaves the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardRegisters {
    /// Their classes, low 12 bits and distance to a mapping.
    #[default]
    Classified,
    /// Their values too.
    Full,
    /// Nothing.
    None,
}

/// What leaves the host, and in which portions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// General registers.
    pub registers: ForwardRegisters,
    /// Records of privileged processes leave too.
    pub private: bool,
    /// Records in a batch.
    pub batch_records: u64,
    /// Bytes in a batch, before compression.
    pub batch_bytes: u64,
    /// Batches on the way at once.
    pub concurrency: u64,
    /// Seconds until a request is given up.
    pub timeout_seconds: u64,
}

impl Default for Forward {
    fn default() -> Forward {
        Forward {
            registers: ForwardRegisters::default(),
            private: false,
            batch_records: 500,
            batch_bytes: 4 << 20,
            concurrency: 4,
            timeout_seconds: 30,
        }
    }
}

/// What the daemon shows of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// Unix socket of `epicore status`.
    pub socket: PathBuf,
    /// Prometheus text file (node_exporter's textfile collector), when wanted.
    pub metrics_file: Option<PathBuf>,
    /// Crashes for which no handler began are counted, where the kernel tells.
    pub count_dropped: bool,
}

impl Default for Daemon {
    fn default() -> Daemon {
        Daemon { socket: PathBuf::from(DEFAULT_SOCKET), metrics_file: None, count_dropped: true }
    }
}

impl Daemon {
    /// Where it leaves that count for the census: beside its socket.
    pub fn dropped_file(&self) -> PathBuf {
        let mut name = self.socket.as_os_str().to_owned();
        name.push(".dropped");
        name.into()
    }
}

/// What the program needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The spool's directory; absent = [`DEFAULT_SPOOL`].
    pub spool: Option<PathBuf>,
    /// A soft RLIMIT_CORE of 0.
    pub core_limit_zero: CoreLimitZero,
    /// Sparse mappings.
    pub release: Release,
    /// Quota of the spool, bytes.
    pub spool_bytes: u64,
    /// Quota of the spool, records.
    pub spool_records: u64,
    /// Storms of crashes.
    pub throttle: Throttle,
    /// Handlers that analyse at once; 0: limits::SLOTS_PER_CPU for each CPU.
    pub analysis_slots: u64,
    /// The cgroup in which they do.
    pub analysis_cgroup: Option<PathBuf>,
    /// Days after which an acknowledged record (without a collector: any)
    /// leaves the spool; 0 = only the quota counts.
    pub retention_days: u64,
    /// The collector.
    pub collector: Collector,
    /// Forwarding.
    pub forward: Forward,
    /// The daemon.
    pub daemon: Daemon,
    /// Labels of this host (region, rack, role …), sorted by name.
    pub labels: Vec<(String, String)>,
    /// A file with the fleet's key for hashed serial numbers.
    pub fleet_key_file: Option<PathBuf>,
    /// Mean seconds between two censuses.
    pub census_mean_seconds: u64,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            spool: None,
            core_limit_zero: CoreLimitZero::default(),
            release: Release::default(),
            spool_bytes: limits::SPOOL_BYTES,
            spool_records: limits::SPOOL_RECORDS,
            throttle: Throttle::default(),
            analysis_slots: 0,
            analysis_cgroup: None,
            retention_days: 30,
            collector: Collector::default(),
            forward: Forward::default(),
            daemon: Daemon::default(),
            labels: Vec::new(),
            fleet_key_file: None,
            census_mean_seconds: 3600,
        }
    }
}

impl Config {
    /// What the handler needs: never fails, warns nobody.
    pub fn load(file: Option<&Path>) -> Config {
        load(file.unwrap_or(Path::new(DEFAULT_FILE))).0
    }

    /// True when a crash with this soft RLIMIT_CORE is not wanted.
    pub fn drops(&self, core_limit: Option<u64>) -> bool {
        core_limit == Some(0) && self.core_limit_zero == CoreLimitZero::Drop
    }

    /// The spool's directory, by default [`DEFAULT_SPOOL`].
    pub fn spool_directory(&self) -> &Path {
        self.spool.as_deref().unwrap_or(Path::new(DEFAULT_SPOOL))
    }
}

/// Something written that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// In which file.
    pub file: PathBuf,
    /// What, and what holds instead.
    pub what: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.what)
    }
}

/// Reads `file` and its drop-ins; files that do not exist say nothing.
pub fn load(file: &Path) -> (Config, Vec<Warning>) {
    let Loaded { config, warnings, .. } = load_whole(file);
    (config, warnings)
}

/// A configuration, and how it came about.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// What holds.
    pub config: Config,
    /// What could not be used.
    pub warnings: Vec<Warning>,
    /// The files that were there, in the order in which they were read.
    pub files: Vec<PathBuf>,
    /// Each key that a file set, and the last one that did.
    pub origins: BTreeMap<String, PathBuf>,
}

/// The same as [`load`], with where everything came from.
pub fn load_whole(file: &Path) -> Loaded {
    let mut loaded = Loaded::default();
    let mut files = vec![file.to_owned()];
    files.extend(drop_ins(file, &mut loaded.warnings));
    for file in files {
        match read(&file) {
            Ok(Some(text)) => apply(&mut loaded, &text, &file),
            Ok(None) => {}
            Err(what) => loaded.warnings.push(Warning { file, what }),
        }
    }
    loaded
}

fn drop_ins(file: &Path, warnings: &mut Vec<Warning>) -> Vec<PathBuf> {
    let mut name = file.as_os_str().to_owned();
    name.push(".d");
    let directory = PathBuf::from(name);
    let Ok(entries) = std::fs::read_dir(&directory) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> =
        paths.filter(|p| p.extension().is_some_and(|e| e == "toml")).take(DROP_INS + 1).collect();
    if files.len() > DROP_INS {
        files.truncate(DROP_INS);
        warnings.push(Warning { file: directory, what: format!("only {DROP_INS} drop-ins are read") });
    }
    files.sort();
    files
}

/// A bounded read of a regular file; a FIFO in its place does not block.
fn read(file: &Path) -> Result<Option<String>, String> {
    let opened = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags((nix::fcntl::OFlag::O_NONBLOCK | nix::fcntl::OFlag::O_NOCTTY).bits())
        .open(file);
    let opened = match opened {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|error| format!("not read: {error}"))?,
    };
    if !opened.metadata().is_ok_and(|m| m.is_file()) {
        return Err("not read: not a regular file".to_owned());
    }
    let mut text = String::new();
    let limit = limits::CONFIG_BYTES as u64;
    opened.take(limit + 1).read_to_string(&mut text).map_err(|error| format!("not read: {error}"))?;
    if text.len() > limits::CONFIG_BYTES {
        return Err(format!("not read: larger than {} bytes", limits::CONFIG_BYTES));
    }
    Ok(Some(text))
}

/// Applies one file's text, key by key.
fn apply(loaded: &mut Loaded, text: &str, file: &Path) {
    loaded.files.push(file.to_owned());
    let warnings = &mut loaded.warnings;
    let table = match text.parse::<Table>() {
        Ok(table) => table,
        Err(error) => {
            let line = error.span().map_or(0, |s| text.get(..s.start).unwrap_or("").lines().count().max(1));
            let what = format!("line {line}: {}; the file is not used", error.message());
            warnings.push(Warning { file: file.to_owned(), what });
            return;
        }
    };
    let mut wrong = Vec::new();
    for (key, value) in flatten(&table) {
        let expected = match keys::set(&mut loaded.config, &key, value) {
            Ok(()) => {
                loaded.origins.insert(key, file.to_owned());
                continue;
            }
            Err(expected) => expected,
        };
        let what = match expected {
            "" => unknown(&key, value),
            expected => format!("{key} must be {expected}; this line counts for nothing"),
        };
        let line = line(text, &key);
        wrong.push((line, line.map_or(what.clone(), |line| format!("line {line}: {what}"))));
    }
    wrong.sort();
    warnings.extend(wrong.into_iter().map(|(_, what)| Warning { file: file.to_owned(), what }));
}

#[cfg(feature = "daemon")]
use place::line;

/// The handler does not look.
#[cfg(not(feature = "daemon"))]
fn line(_: &str, _: &str) -> Option<usize> {
    None
}

fn unknown(key: &str, value: &Value) -> String {
    if value.is_table() {
        let meant = near(key, TABLES.into_iter());
        let meant = meant.first().map(|meant| format!(": is [{meant}] meant?")).unwrap_or_default();
        return format!("unknown table [{key}]{meant}");
    }
    let meant = keys::nearest(key).map(|meant| format!(": is {meant} meant?"));
    format!("unknown key {key}{}", meant.unwrap_or_default())
}

fn flatten(table: &Table) -> Vec<(String, &Value)> {
    let mut out = Vec::new();
    for (key, value) in table {
        match value {
            Value::Table(inner) if TABLES.contains(&key.as_str()) => {
                out.extend(inner.iter().map(|(name, value)| (format!("{key}.{name}"), value)));
            }
            _ => out.push((key.clone(), value)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warned(text: &str) -> (Config, Vec<String>) {
        let mut loaded = Loaded::default();
        apply(&mut loaded, text, Path::new("x"));
        (loaded.config, loaded.warnings.into_iter().map(|w| w.what).collect())
    }

    #[test]
    fn every_documented_key_is_understood() {
        let (config, warnings) = warned(
            "spool='/s'\ncore_limit_zero='drop'\n[release]\nsparse='kill'\nsparse_threshold=1\n\
             [limits]\nspool_bytes=2\nspool_records=3\n[throttle]\nenabled=false\nexecutable_burst=4\n\
             executable_per_minute=5\nburst=6\nper_minute=7\n[analysis]\nslots=8\ncgroup='/x'\n",
        );
        assert_eq!(warnings, Vec::<String>::new());
        let want = Config {
            spool: Some(PathBuf::from("/s")),
            core_limit_zero: CoreLimitZero::Drop,
            release: Release { sparse: Sparse::Kill, sparse_threshold: 1 },
            spool_bytes: 2,
            spool_records: 3,
            throttle: Throttle {
                enabled: false,
                executable_burst: 4,
                executable_per_minute: 5,
                burst: 6,
                per_minute: 7,
            },
            analysis_slots: 8,
            analysis_cgroup: Some("/x".into()),
            ..Config::default()
        };
        assert_eq!(config, want);
    }

    #[test]
    fn every_key_of_the_daemon_is_understood() {
        let (config, warnings) = warned(
            "[collector]\nurl='https://c.example:7464/'\nca_file='/ca'\ncert_file='/c'\nkey_file='/k'\n\
             token_file='/t'\nproxy=''\nplain_http=true\n[forward]\nregisters='full'\nprivate=true\nbatch_records=7\n\
             batch_bytes=300000\nconcurrency=2\ntimeout_seconds=9\n[retention]\ndays=0\n[daemon]\n\
             socket='/s'\nmetrics_file='/m'\ncount_dropped=false\n[labels]\nregion='eu'\nrack='r7'\n[fleet]\nkey_file='/f'\n\
             census_mean_seconds=60\n",
        );
        assert_eq!(warnings, Vec::<String>::new());
        let want = Config {
            retention_days: 0,
            collector: Collector {
                url: Some("https://c.example:7464".into()),
                ca_file: Some("/ca".into()),
                cert_file: Some("/c".into()),
                key_file: Some("/k".into()),
                token_file: Some("/t".into()),
                proxy: Some(String::new()),
                plain_http: true,
            },
            forward: Forward {
                registers: ForwardRegisters::Full,
                private: true,
                batch_records: 7,
                batch_bytes: 300_000,
                concurrency: 2,
                timeout_seconds: 9,
            },
            daemon: Daemon { socket: "/s".into(), metrics_file: Some("/m".into()), count_dropped: false },
            labels: vec![("rack".into(), "r7".into()), ("region".into(), "eu".into())],
            fleet_key_file: Some("/f".into()),
            census_mean_seconds: 60,
            ..Config::default()
        };
        assert_eq!(config, want);
        let (_, warnings) = warned("[forward]\nconcurrency=0\n[collector]\nurl='ftp://x'\n[labels]\nx=1\n");
        assert_eq!(warnings.len(), 3, "{warnings:?}");
    }

    #[test]
    fn one_bad_value_does_not_cost_the_others() {
        let (config, warnings) =
            warned("spool='relative'\nnonsense=1\n[limits]\nspool_records=-1\nspool_bytes=7\n");
        assert_eq!(config.spool_bytes, 7);
        assert_eq!(config.spool_directory(), Path::new(DEFAULT_SPOOL));
        assert_eq!(warnings.len(), 3, "{warnings:?}");
    }

    #[test]
    fn a_file_that_is_no_toml_leaves_the_defaults() {
        let (config, warnings) = warned("spool = [[[");
        assert_eq!(config, Config::default());
        assert_eq!(warnings.len(), 1);
    }

    #[test]
    fn a_later_drop_in_wins() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("epicore.toml");
        std::fs::create_dir(dir.path().join("epicore.toml.d")).unwrap();
        std::fs::write(&file, "spool='/a'\n[limits]\nspool_records=5\n").unwrap();
        std::fs::write(dir.path().join("epicore.toml.d/20.toml"), "spool='/c'\n").unwrap();
        std::fs::write(dir.path().join("epicore.toml.d/10.toml"), "spool='/b'\n").unwrap();
        let (config, warnings) = load(&file);
        assert_eq!((config.spool, config.spool_records), (Some(PathBuf::from("/c")), 5));
        assert!(warnings.is_empty());
    }
}
