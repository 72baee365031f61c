//! What the operator wrote in collector.toml.
//!
//! One file and its drop-ins (`collector.toml.d/*.toml`, in the order of their
//! names; later wins, key by key). A key that does not exist, or a value that
//! cannot be, is an error that names file and line: a collector that starts
//! with settings other than the written ones is worse than one that does not
//! start. Every key: docs/collector.md.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};
use toml::{Table, Value};

use super::{Failure, files};

/// Where settings are looked for.
pub(super) const DEFAULT_FILE: &str = "/etc/epicore/collector.toml";
/// The store's file, in a directory of the service's own.
pub(super) const DEFAULT_DATABASE: &str = "/var/lib/epicore-collector/collector.db";
/// Drop-ins that are read.
const DROP_INS: usize = 64;

/// All settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Addresses.
    #[serde(deserialize_with = "addresses")]
    pub listen: Vec<SocketAddr>,
    /// The store's file.
    pub database: PathBuf,
    /// Certificates.
    pub tls: Tls,
    /// Tokens.
    pub auth: Auth,
    /// Limits.
    pub limits: Limits,
    /// How long things are kept.
    pub retention: Retention,
    /// What is said.
    pub log: Log,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            listen: vec![SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, 7464))],
            database: PathBuf::from(DEFAULT_DATABASE),
            tls: Tls::default(),
            auth: Auth::default(),
            limits: Limits::default(),
            retention: Retention::default(),
            log: Log::default(),
        }
    }
}

/// Certificates, PEM.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// The collector's certificate and its chain.
    pub cert_file: Option<PathBuf>,
    /// Its key.
    pub key_file: Option<PathBuf>,
    /// Authorities whose client certificates stand for hosts.
    pub client_ca_file: Option<PathBuf>,
    /// Plain HTTP on any address: something in front speaks TLS.
    pub off: bool,
}

/// Tokens.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// Secrets, the first of which signs.
    pub secrets_file: PathBuf,
    /// Subjects and tokens that are no longer let in.
    pub revoked_file: Option<PathBuf>,
}

impl Default for Auth {
    fn default() -> Auth {
        Auth { secrets_file: PathBuf::from("/etc/epicore/collector.secrets"), revoked_file: None }
    }
}

/// Limits. What they cost in memory is in docs/collector.md.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections at once; further ones wait in the kernel's queue.
    pub connections: u32,
    /// Connections of one address (of a /64 of IPv6) at once; 0 = any number.
    pub connections_per_address: u32,
    /// Batches of one host, a minute; 0 = any number.
    pub requests_per_host: u32,
    /// Batches that a host may send at once after a quiet time.
    pub requests_burst: u32,
    /// Batches that are unpacked and stored at once.
    pub concurrent_ingest: u32,
    /// Questions that are answered at once.
    pub concurrent_reads: u32,
    /// Bytes of bodies and answers in flight, all together.
    pub memory_bytes: u64,
    /// Seconds for a TLS handshake.
    pub handshake_seconds: u32,
    /// Seconds until the head of the (next) request is there.
    pub header_seconds: u32,
    /// Seconds until the body of a request is there.
    pub body_seconds: u32,
    /// Seconds in which a reader takes at least something of its answer.
    pub stall_seconds: u32,
    /// Seconds for requests in flight when the collector is stopped.
    pub stop_seconds: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 1024,
            connections_per_address: 512,
            requests_per_host: 120,
            requests_burst: 240,
            concurrent_ingest: 8,
            concurrent_reads: 4,
            memory_bytes: 64 << 20,
            handshake_seconds: 10,
            header_seconds: 60,
            body_seconds: 30,
            stall_seconds: 30,
            stop_seconds: 10,
        }
    }
}

/// How long things are kept; 0 = for ever.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Days that records, exposure and roll-ups are kept.
    pub records_days: u32,
    /// Days that whole records are kept; their columns stay.
    pub bodies_days: u32,
}

impl Default for Retention {
    fn default() -> Retention {
        Retention { records_days: 400, bodies_days: 90 }
    }
}

/// What is said.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// error, warn, info, debug.
    pub level: Level,
}

/// How much is said.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// What failed.
    Error,
    /// And what was refused.
    Warn,
    /// And what changed.
    #[default]
    Info,
    /// And each request.
    Debug,
}

/// One address or a list of them, `host:port` with a numeric host.
fn addresses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SocketAddr>, D::Error> {
    use serde::de::Error;
    let texts: Vec<String> = match Value::deserialize(deserializer)? {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().map(|v| v.as_str().unwrap_or("").to_owned()).collect(),
        _ => Vec::new(),
    };
    if texts.is_empty() {
        return Err(D::Error::custom("listen is an address, or a list of addresses"));
    }
    let parse = |text: &String| {
        let hint = format!(
            "listen: {text:?} is not an address; \"[::]:7464\" is every one, \"127.0.0.1:7464\" this host"
        );
        text.parse().map_err(|_| D::Error::custom(hint))
    };
    texts.iter().map(parse).collect()
}

impl Settings {
    /// Reads `file` and its drop-ins. Without `file`, the default one, which
    /// need not exist.
    pub fn load(file: Option<&Path>) -> Result<Settings, Failure> {
        let path = file.unwrap_or(Path::new(DEFAULT_FILE));
        let mut table = Table::new();
        if file.is_some() || path.exists() {
            merge(&mut table, read(path)?);
        }
        for drop_in in drop_ins(path)? {
            merge(&mut table, read(&drop_in)?);
        }
        let settings: Settings =
            table.try_into().map_err(|e| Failure::new(format!("{}: {e}", path.display())))?;
        settings.check()?;
        Ok(settings)
    }

    /// Values that cannot be, and combinations that should not.
    fn check(&self) -> Result<(), Failure> {
        let tls = &self.tls;
        if tls.cert_file.is_some() != tls.key_file.is_some() {
            return Err(Failure::new("tls.cert_file and tls.key_file belong together"));
        }
        if tls.client_ca_file.is_some() && tls.cert_file.is_none() {
            return Err(Failure::new("tls.client_ca_file needs tls.cert_file and tls.key_file"));
        }
        if tls.off && tls.cert_file.is_some() {
            return Err(Failure::new("tls.off = true, and there is a tls.cert_file: say one of them"));
        }
        let open = self.listen.iter().find(|address| !address.ip().is_loopback());
        if let (Some(open), None, false) = (open, &tls.cert_file, tls.off) {
            return Err(Failure::new(format!(
                "{open} without TLS would send tokens in clear: give tls.cert_file and tls.key_file, \
                 listen on 127.0.0.1, or say tls.off = true when something in front of it speaks TLS"
            )));
        }
        self.limits.check()
    }
}

impl Limits {
    fn check(&self) -> Result<(), Failure> {
        let within = |name: &str, value: u64, least: u64, most: u64| match (least..=most).contains(&value) {
            true => Ok(()),
            false => Err(Failure::new(format!("limits.{name} = {value}: it is {least} to {most}"))),
        };
        within("connections", self.connections.into(), 1, 1 << 20)?;
        within("connections_per_address", self.connections_per_address.into(), 0, 1 << 20)?;
        within("requests_per_host", self.requests_per_host.into(), 0, 1 << 20)?;
        within("requests_burst", self.requests_burst.into(), 1, 1 << 20)?;
        within("concurrent_ingest", self.concurrent_ingest.into(), 1, 256)?;
        within("concurrent_reads", self.concurrent_reads.into(), 1, 256)?;
        within("memory_bytes", self.memory_bytes, 64 << 20, 1 << 36)?;
        for (name, seconds) in [
            ("handshake_seconds", self.handshake_seconds),
            ("header_seconds", self.header_seconds),
            ("body_seconds", self.body_seconds),
            ("stall_seconds", self.stall_seconds),
            ("stop_seconds", self.stop_seconds),
        ] {
            within(name, seconds.into(), 1, 3600)?;
        }
        Ok(())
    }
}

/// One file, which must be good by itself: so that an error has a line.
fn read(file: &Path) -> Result<Table, Failure> {
    let text = files::text(file)?;
    let say = |error: toml::de::Error| Failure::new(format!("{}: {error}", file.display()));
    toml::from_str::<Settings>(&text).map_err(say)?;
    toml::from_str(&text).map_err(say)
}

fn drop_ins(file: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut directory = file.as_os_str().to_owned();
    directory.push(".d");
    let Ok(entries) = std::fs::read_dir(&directory) else { return Ok(Vec::new()) };
    let paths = entries.flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = paths
        .filter(|p| p.extension().is_some_and(|e| e == "toml"))
        .take(DROP_INS.saturating_add(1))
        .collect();
    if files.len() > DROP_INS {
        return Err(Failure::new(format!("{}: more than {DROP_INS} files", directory.display())));
    }
    files.sort();
    Ok(files)
}

/// Tables are merged key by key; everything else is replaced.
fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(known)), Value::Table(new)) => known.extend(new),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, drop_in: &str) -> Result<Settings, String> {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("collector.toml");
        std::fs::write(&file, text).unwrap();
        std::fs::create_dir(place.path().join("collector.toml.d")).unwrap();
        std::fs::write(place.path().join("collector.toml.d/10.toml"), drop_in).unwrap();
        Settings::load(Some(&file)).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_drop_in_changes_its_keys_and_no_others() {
        let text = "listen = '127.0.0.1:1'\n[limits]\nconnections = 7\nconcurrent_ingest = 3\n";
        let settings =
            load(text, "listen = ['127.0.0.1:2', '[::1]:3']\n[limits]\nconnections = 9\n").unwrap();
        assert_eq!(settings.listen.len(), 2);
        assert_eq!((settings.limits.connections, settings.limits.concurrent_ingest), (9, 3));
    }

    #[test]
    fn a_wrong_key_is_an_error_with_its_line_and_what_would_be_right() {
        let error = load("listen = '127.0.0.1:1'\n[limits]\nconections = 7\n", "").unwrap_err();
        assert!(error.contains("line 3") && error.contains("conections"), "{error}");
        assert!(error.contains("`connections`"), "{error}");
        let error = load("listen = '127.0.0.1:1'\n", "\n[retention]\nrecord_days = 1\n").unwrap_err();
        assert!(error.contains("10.toml") && error.contains("line 3"), "{error}");
    }

    #[test]
    fn a_value_that_cannot_be_is_an_error() {
        assert!(load("listen = 'localhost'\n", "").unwrap_err().contains("[::]:7464"));
        assert!(
            load("listen = '127.0.0.1:1'\n[limits]\nconnections = 0\n", "").unwrap_err().contains("1 to")
        );
        assert!(load("listen = []\n", "").is_err());
    }

    #[test]
    fn plain_http_stays_on_this_host_unless_somebody_says_otherwise() {
        assert!(load("listen = '0.0.0.0:1'\n", "").unwrap_err().contains("tls.cert_file"));
        assert!(load("listen = '0.0.0.0:1'\n[tls]\noff = true\n", "").is_ok());
        assert!(load("listen = '127.0.0.1:1'\n", "").is_ok());
        assert!(load("listen = '127.0.0.1:1'\n[tls]\ncert_file = '/c'\n", "").is_err());
    }
}
