//! The keys: what each may be, and what it is.
//!
//! [`set`] takes one that was written, [`Config::entries`] tells all of them
//! as they hold; a test keeps the two, and docs/configuration.md, together.

use std::path::{Path, PathBuf};

use toml::Value as Toml;

use super::near::distance;
use super::{Config, CoreLimitZero, ForwardRegisters, Sparse};
use crate::limits;

/// The longest name or text of a label.
const LABEL: usize = 128;
/// Labels of one host.
const LABELS: usize = 32;

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text or a path.
    Text(String),
    /// A number.
    Number(u64),
    /// True or false.
    Flag(bool),
    /// Nothing, and what that means.
    Unset(&'static str),
}

/// A key and what holds for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// "limits.spool_bytes".
    pub key: String,
    /// What holds.
    pub value: Value,
}

impl Config {
    /// Every key, in the order of docs/configuration.md, labels at their place.
    pub fn entries(&self) -> Vec<Entry> {
        use Value::{Flag, Number};
        let text = |text: &str| Value::Text(text.to_owned());
        let path = |path: &Path| Value::Text(path.to_string_lossy().into_owned());
        let file = |file: &Option<PathBuf>, without| match file {
            Some(file) => path(file),
            None => Value::Unset(without),
        };
        let said = |said: &Option<String>, without| match said {
            Some(said) => text(said),
            None => Value::Unset(without),
        };
        let registers = match self.forward.registers {
            ForwardRegisters::Classified => "classified",
            ForwardRegisters::Full => "full",
            ForwardRegisters::None => "none",
        };
        let zero = match self.core_limit_zero {
            CoreLimitZero::Keep => "keep",
            CoreLimitZero::Drop => "drop",
        };
        let (collector, forward) = (&self.collector, &self.forward);
        let mut entries = vec![
            ("spool", path(self.spool_directory())),
            ("core_limit_zero", text(zero)),
            ("release.sparse", text(if self.release.kills() { "kill" } else { "wait" })),
            ("release.sparse_threshold", Number(self.release.sparse_threshold)),
            ("limits.spool_bytes", Number(self.spool_bytes)),
            ("limits.spool_records", Number(self.spool_records)),
            ("throttle.enabled", Flag(self.throttle.enabled)),
            ("throttle.executable_burst", Number(self.throttle.executable_burst)),
            ("throttle.executable_per_minute", Number(self.throttle.executable_per_minute)),
            ("throttle.burst", Number(self.throttle.burst)),
            ("throttle.per_minute", Number(self.throttle.per_minute)),
            ("analysis.slots", Number(self.analysis_slots)),
            ("analysis.cgroup", file(&self.analysis_cgroup, "the kernel's, the root")),
            ("retention.days", Number(self.retention_days)),
            ("collector.url", said(&collector.url, "nothing leaves this host")),
            ("collector.ca_file", file(&collector.ca_file, "the system's authorities")),
            ("collector.cert_file", file(&collector.cert_file, "no client certificate")),
            ("collector.key_file", file(&collector.key_file, "no client certificate")),
            ("collector.token_file", file(&collector.token_file, "no token")),
            ("collector.proxy", said(&collector.proxy, "the environment's")),
            ("collector.plain_http", Flag(collector.plain_http)),
            ("forward.registers", text(registers)),
            ("forward.private", Flag(forward.private)),
            ("forward.batch_records", Number(forward.batch_records)),
            ("forward.batch_bytes", Number(forward.batch_bytes)),
            ("forward.concurrency", Number(forward.concurrency)),
            ("forward.timeout_seconds", Number(forward.timeout_seconds)),
            ("daemon.socket", path(&self.daemon.socket)),
            ("daemon.metrics_file", file(&self.daemon.metrics_file, "none is written")),
            ("daemon.count_dropped", Flag(self.daemon.count_dropped)),
            ("fleet.key_file", file(&self.fleet_key_file, "serial numbers are not recorded")),
            ("fleet.census_mean_seconds", Number(self.census_mean_seconds)),
        ]
        .into_iter()
        .map(|(key, value)| Entry { key: key.to_owned(), value })
        .collect::<Vec<_>>();
        let at = entries.iter().position(|entry| entry.key == "fleet.key_file").unwrap_or(entries.len());
        let labels = self.labels.iter();
        let labels = labels.map(|(name, value)| Entry { key: format!("labels.{name}"), value: text(value) });
        entries.splice(at..at, labels);
        entries
    }
}

/// The key that was probably meant: the same last word elsewhere, or one that
/// is a letter or two away.
pub(super) fn nearest(wrong: &str) -> Option<String> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or(key).to_owned();
    let known = Config::default().entries().into_iter().map(|entry| entry.key);
    let near = known.map(|key| (distance(&key, wrong).min(distance(&last(&key), &last(wrong))), key));
    near.min().filter(|(distance, _)| *distance <= 2).map(|(_, key)| key)
}

/// The whole table of keys. An error is what was expected, or "" for a key
/// that does not exist.
pub(super) fn set(config: &mut Config, key: &str, value: &Toml) -> Result<(), &'static str> {
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
        "limits.spool_records" => {
            config.spool_records = within(value, 1..=u64::MAX, "a whole number above 0")?
        }
        "throttle.enabled" => config.throttle.enabled = value.as_bool().ok_or("true or false")?,
        "throttle.executable_burst" => config.throttle.executable_burst = crashes(value)?,
        "throttle.executable_per_minute" => config.throttle.executable_per_minute = crashes(value)?,
        "throttle.burst" => config.throttle.burst = crashes(value)?,
        "throttle.per_minute" => config.throttle.per_minute = crashes(value)?,
        "analysis.slots" => {
            config.analysis_slots = within(value, 0..=limits::SLOTS, "0 (2 for each CPU) to 1024")?;
        }
        "retention.days" => config.retention_days = days(value)?,
        "collector.url" => config.collector.url = Some(url(value)?),
        "analysis.cgroup" => config.analysis_cgroup = Some(path(value)?),
        "collector.ca_file" => config.collector.ca_file = Some(path(value)?),
        "collector.cert_file" => config.collector.cert_file = Some(path(value)?),
        "collector.key_file" => config.collector.key_file = Some(path(value)?),
        "collector.token_file" => config.collector.token_file = Some(path(value)?),
        "collector.proxy" => config.collector.proxy = Some(text.ok_or("a URL or \"\"")?.to_owned()),
        "collector.plain_http" => config.collector.plain_http = value.as_bool().ok_or("true or false")?,
        "forward.registers" => match text {
            Some("classified") => config.forward.registers = ForwardRegisters::Classified,
            Some("full") => config.forward.registers = ForwardRegisters::Full,
            Some("none") => config.forward.registers = ForwardRegisters::None,
            _ => return Err("\"classified\", \"full\" or \"none\""),
        },
        "forward.private" => config.forward.private = value.as_bool().ok_or("true or false")?,
        "forward.batch_records" => config.forward.batch_records = within(value, 1..=1000, "1 to 1000")?,
        "forward.batch_bytes" => {
            config.forward.batch_bytes = within(value, 262_144..=16_000_000, "262144 to 16000000")?;
        }
        "forward.concurrency" => config.forward.concurrency = within(value, 1..=32, "1 to 32")?,
        "forward.timeout_seconds" => {
            config.forward.timeout_seconds = within(value, 1..=3600, "1 to 3600")?;
        }
        "daemon.socket" => config.daemon.socket = path(value)?,
        "daemon.metrics_file" => config.daemon.metrics_file = Some(path(value)?),
        "daemon.count_dropped" => config.daemon.count_dropped = value.as_bool().ok_or("true or false")?,
        "fleet.key_file" => config.fleet_key_file = Some(path(value)?),
        "fleet.census_mean_seconds" => {
            config.census_mean_seconds = within(value, 60..=86_400, "60 to 86400")?;
        }
        _ => match key.strip_prefix("labels.") {
            Some(name) => label(config, name, text)?,
            None => return Err(""),
        },
    }
    Ok(())
}

/// A label; a later file's replaces it, so a drop-in of the provisioning
/// (a cloud's physical host, say) may add to what the fleet's file says.
fn label(config: &mut Config, name: &str, text: Option<&str>) -> Result<(), &'static str> {
    const EXPECTED: &str = "a name and a text, in quotes, of at most 128 characters";
    let text =
        text.filter(|text| text.len() <= LABEL && !name.is_empty() && name.len() <= LABEL).ok_or(EXPECTED)?;
    match config.labels.binary_search_by(|(known, _)| known.as_str().cmp(name)) {
        Ok(at) => {
            if let Some((_, known)) = config.labels.get_mut(at) {
                *known = text.to_owned();
            }
        }
        Err(_) if config.labels.len() >= LABELS => return Err("one of at most 32 labels"),
        Err(at) => config.labels.insert(at, (name.to_owned(), text.to_owned())),
    }
    Ok(())
}

fn path(value: &Toml) -> Result<PathBuf, &'static str> {
    value.as_str().map(PathBuf::from).filter(|path| path.is_absolute()).ok_or("an absolute path")
}

fn url(value: &Toml) -> Result<String, &'static str> {
    let text = value.as_str().filter(|url| url.starts_with("https://") || url.starts_with("http://"));
    text.map(|url| url.trim_end_matches('/').to_owned()).ok_or("a URL that begins with https:// or http://")
}

fn days(value: &Toml) -> Result<u64, &'static str> {
    within(value, 0..=36_500, "days, 0 to 36500")
}

fn crashes(value: &Toml) -> Result<u64, &'static str> {
    within(value, 1..=limits::THROTTLE_MOST, "1 to 1000000")
}

fn within(
    value: &Toml,
    range: std::ops::RangeInclusive<u64>,
    expected: &'static str,
) -> Result<u64, &'static str> {
    let number = value.as_integer().and_then(|n| u64::try_from(n).ok());
    number.filter(|n| range.contains(n)).ok_or(expected)
}

fn bytes(value: &Toml) -> Result<u64, &'static str> {
    let number = value.as_integer().and_then(|n| u64::try_from(n).ok());
    number.filter(|n| *n > 0).ok_or("a whole number of bytes above 0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_can_be_written_and_holds_then() {
        let everything = "spool='/s'\ncore_limit_zero='drop'\n[release]\nsparse='kill'\nsparse_threshold=1\n\
            [limits]\nspool_bytes=2\nspool_records=3\n[throttle]\nenabled=false\nexecutable_burst=4\n\
            executable_per_minute=5\nburst=6\nper_minute=7\n[analysis]\nslots=8\ncgroup='/x'\n[retention]\ndays=4\n[collector]\nurl='https://c'\n\
            ca_file='/a'\ncert_file='/b'\nkey_file='/c'\ntoken_file='/d'\nproxy='p'\nplain_http=true\n\
            [forward]\nregisters='none'\nprivate=true\nbatch_records=5\nbatch_bytes=300000\nconcurrency=6\n\
            timeout_seconds=7\n[daemon]\nsocket='/e'\nmetrics_file='/f'\ncount_dropped=false\n[labels]\nrack='r'\n\
            [fleet]\nkey_file='/g'\ncensus_mean_seconds=80\n";
        let mut first = super::super::Loaded::default();
        super::super::apply(&mut first, everything, Path::new("x"));
        assert_eq!(first.warnings, []);
        let entries = first.config.entries();
        assert!(entries.iter().all(|entry| !matches!(entry.value, Value::Unset(_))), "{entries:?}");
        assert_eq!(first.origins.len(), entries.len(), "each was written");
        let mut again = Config::default();
        for entry in &entries {
            let value = match &entry.value {
                Value::Text(text) => Toml::String(text.clone()),
                Value::Number(n) => Toml::Integer(i64::try_from(*n).unwrap()),
                Value::Flag(flag) => Toml::Boolean(*flag),
                Value::Unset(_) => continue,
            };
            assert_eq!(set(&mut again, &entry.key, &value), Ok(()), "{}", entry.key);
        }
        assert_eq!(again, first.config);
    }

    #[test]
    fn a_slip_is_told_with_what_was_probably_meant() {
        assert_eq!(nearest("limits.spool_byte").as_deref(), Some("limits.spool_bytes"));
        assert_eq!(nearest("spool_records").as_deref(), Some("limits.spool_records"));
        assert_eq!(nearest("forward.token_file").as_deref(), Some("collector.token_file"));
        assert_eq!(nearest("nonsense"), None);
    }
}
