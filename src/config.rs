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
//! ```
//!
//! Reading never fails: a crash handler must work with a broken configuration.
//! What could not be used keeps its default and is a [`Warning`]; the command
//! line makes an error of it. Limits: limits::CONFIG_BYTES a file, 64 drop-ins.

use std::fmt;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::limits;

/// The configuration file.
pub const DEFAULT_FILE: &str = "/etc/epicore/epicore.toml";
/// The spool's directory.
pub const DEFAULT_SPOOL: &str = "/var/spool/epicore";
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

/// What to do about a crash whose soft RLIMIT_CORE is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CoreLimitZero {
    /// A record holds no memory contents: keep it.
    #[default]
    Keep,
    /// Count it and keep nothing.
    Drop,
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
}

impl Default for Config {
    fn default() -> Config {
        Config {
            spool: None,
            core_limit_zero: CoreLimitZero::default(),
            release: Release::default(),
            spool_bytes: limits::SPOOL_BYTES,
            spool_records: limits::SPOOL_RECORDS,
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
    let mut config = Config::default();
    let mut warnings = Vec::new();
    let mut files = vec![file.to_owned()];
    files.extend(drop_ins(file, &mut warnings));
    for file in files {
        match read(&file) {
            Ok(Some(text)) => apply(&mut config, &text, &file, &mut warnings),
            Ok(None) => {}
            Err(what) => warnings.push(Warning { file, what }),
        }
    }
    (config, warnings)
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
fn apply(config: &mut Config, text: &str, file: &Path, warnings: &mut Vec<Warning>) {
    let table = match text.parse::<Table>() {
        Ok(table) => table,
        Err(error) => {
            let line = error.span().map_or(0, |s| text.get(..s.start).unwrap_or("").lines().count().max(1));
            let what = format!("line {line}: {}; the file is not used", error.message());
            warnings.push(Warning { file: file.to_owned(), what });
            return;
        }
    };
    for (key, value) in flatten(&table) {
        if let Err(expected) = set(config, &key, value) {
            let what = match expected {
                "" => format!("unknown key {key}"),
                expected => format!("{key} must be {expected}; it keeps its value"),
            };
            warnings.push(Warning { file: file.to_owned(), what });
        }
    }
}

fn flatten(table: &Table) -> Vec<(String, &Value)> {
    let mut out = Vec::new();
    for (key, value) in table {
        match value {
            Value::Table(inner) if matches!(key.as_str(), "release" | "limits") => {
                out.extend(inner.iter().map(|(name, value)| (format!("{key}.{name}"), value)));
            }
            _ => out.push((key.clone(), value)),
        }
    }
    out
}

/// The whole table of keys. An error is what was expected, or "" for a key
/// that does not exist.
fn set(config: &mut Config, key: &str, value: &Value) -> Result<(), &'static str> {
    let text = value.as_str();
    match key {
        "spool" => match text.map(PathBuf::from).filter(|path| path.is_absolute()) {
            Some(path) => config.spool = Some(path),
            None => return Err("an absolute path"),
        },
        "core_limit_zero" => match text {
            Some("keep") => config.core_limit_zero = CoreLimitZero::Keep,
            Some("drop") => config.core_limit_zero = CoreLimitZero::Drop,
            _ => return Err("\"keep\" or \"drop\""),
        },
        "release.sparse" => match text {
            Some("wait") => config.release.sparse = Sparse::Wait,
            Some("kill") => config.release.sparse = Sparse::Kill,
            _ => return Err("\"wait\" or \"kill\""),
        },
        "release.sparse_threshold" => config.release.sparse_threshold = bytes(value)?,
        "limits.spool_bytes" => config.spool_bytes = bytes(value)?,
        "limits.spool_records" => config.spool_records = bytes(value)?,
        _ => return Err(""),
    }
    Ok(())
}

fn bytes(value: &Value) -> Result<u64, &'static str> {
    let number = value.as_integer().and_then(|n| u64::try_from(n).ok());
    number.filter(|n| *n > 0).ok_or("a whole number above 0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warned(text: &str) -> (Config, Vec<String>) {
        let mut config = Config::default();
        let mut warnings = Vec::new();
        apply(&mut config, text, Path::new("x"), &mut warnings);
        (config, warnings.into_iter().map(|w| w.what).collect())
    }

    #[test]
    fn every_documented_key_is_understood() {
        let (config, warnings) = warned(
            "spool='/s'\ncore_limit_zero='drop'\n[release]\nsparse='kill'\nsparse_threshold=1\n\
             [limits]\nspool_bytes=2\nspool_records=3\n",
        );
        assert_eq!(warnings, Vec::<String>::new());
        let want = Config {
            spool: Some(PathBuf::from("/s")),
            core_limit_zero: CoreLimitZero::Drop,
            release: Release { sparse: Sparse::Kill, sparse_threshold: 1 },
            spool_bytes: 2,
            spool_records: 3,
        };
        assert_eq!(config, want);
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
