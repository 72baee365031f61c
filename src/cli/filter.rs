//! Which crashes: the options that list, tail and purge share, and what they
//! mean, for records here and for a collector.

use jiff::Zoned;

use super::failure::Failure;
use super::when;
use crate::record::{Hex, Record};
use crate::report::{frames, signal};

/// What was typed.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Typed {
    /// Not before this time: "2h", "yesterday", "2026-11-22", RFC 3339
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Not after this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Executable: path, file name or comm; * matches anything
    #[arg(long, value_name = "NAME")]
    exe: Option<String>,
    /// systemd unit, ".service" may be left out; * matches anything
    #[arg(long, value_name = "UNIT")]
    unit: Option<String>,
    /// Signal by name or number: SEGV, SIGABRT, 8
    #[arg(long, value_name = "SIGNAL")]
    signal: Option<String>,
    /// Beginning of a location key (L1 or L2), hexadecimal
    #[arg(long, value_name = "KEY")]
    signature: Option<String>,
    /// Host name; * matches anything
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
}

/// What the program needs.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    since: Option<u64>,
    until: Option<u64>,
    exe: Option<String>,
    unit: Option<String>,
    signal: Option<u32>,
    signature: Option<String>,
    host: Option<String>,
}

impl Filter {
    /// From what was typed; times are the reader's.
    pub(super) fn understand(typed: &Typed, now: &Zoned) -> Result<Filter, Failure> {
        let moment = |option: &str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => when::parse(text, now)
                .map(Some)
                .map_err(|why| Failure::usage(format!("{option}: {why}"), "`epicore list --help` has more.")),
        };
        let number = |text: &String| {
            signal::number(text).ok_or_else(|| {
                Failure::usage(
                    format!("--signal: \"{text}\" is not a signal"),
                    "Try SEGV, SIGABRT or a number from 1 to 64.",
                )
            })
        };
        Ok(Filter {
            since: moment("--since", &typed.since)?,
            until: moment("--until", &typed.until)?,
            exe: typed.exe.clone(),
            unit: typed.unit.clone(),
            signal: typed.signal.as_ref().map(number).transpose()?,
            signature: typed.signature.as_deref().map(key).transpose()?,
            host: typed.host.clone(),
        })
    }

    /// The same for a collector (docs/wire-protocol.md, GET /v1/records).
    pub(super) fn query(&self) -> Vec<(&'static str, String)> {
        let number = |name, value: Option<u64>| Some((name, value?.to_string()));
        let text = |name, value: &Option<String>| Some((name, value.clone()?));
        let all = [
            number("since", self.since),
            number("until", self.until),
            number("signal", self.signal.map(u64::from)),
            text("exe", &self.exe),
            text("unit", &self.unit),
            text("host", &self.host),
            text("signature", &self.signature),
        ];
        all.into_iter().flatten().collect()
    }

    /// True for a record that is meant.
    pub(super) fn accepts(&self, record: &Record) -> bool {
        let at = record.realtime_ns.unwrap_or(0);
        self.since.is_none_or(|since| at >= since)
            && self.until.is_none_or(|until| at <= until)
            && self.signal.is_none_or(|signal| record.crash.signal == Some(signal))
            && self.host.as_deref().is_none_or(|p| record.host.name.as_deref().is_some_and(|n| matches(p, n)))
            && self.unit.as_deref().is_none_or(|p| in_unit(p, record))
            && self.exe.as_deref().is_none_or(|p| is_exe(p, record))
            && self.signature.as_deref().is_none_or(|k| has_key(k, record))
    }
}

fn key(text: &str) -> Result<String, Failure> {
    let digits = text.strip_prefix("0x").unwrap_or(text).to_ascii_lowercase();
    if digits.is_empty() || digits.len() > 16 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        let next = "Give the KEY of `epicore list`, or the L1 or L2 of `epicore show`.";
        return Err(Failure::usage(format!("--signature: \"{text}\" is not a key"), next));
    }
    Ok(digits)
}

fn has_key(digits: &str, record: &Record) -> bool {
    let keys = [record.keys.functions, record.keys.portable];
    keys.into_iter().flatten().any(|Hex(key)| format!("{key:016x}").starts_with(digits))
}

fn in_unit(pattern: &str, record: &Record) -> bool {
    let unit = record.process.unit.as_deref();
    unit.is_some_and(|unit| matches(pattern, unit) || matches(&format!("{pattern}.service"), unit))
}

fn is_exe(pattern: &str, record: &Record) -> bool {
    let process = &record.process;
    let exe = process.exe.as_deref();
    if pattern.contains('/') {
        return exe.is_some_and(|path| matches(pattern, path));
    }
    let names = [exe.map(frames::base), process.comm.as_deref()];
    names.into_iter().flatten().any(|name| matches(pattern, name))
}

/// Whole-text match; `*` stands for any text. Linear in the product of both.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (mut rest, mut first) = (text, true);
    let mut parts = pattern.split('*').peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        match (first, last) {
            (true, true) => return rest == part,
            (true, false) => match rest.strip_prefix(part) {
                Some(after) => rest = after,
                None => return false,
            },
            (false, true) => return rest.ends_with(part),
            (false, false) => match rest.split_once(part) {
                Some((_, after)) => rest = after,
                None => return false,
            },
        }
        first = false;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        assert!(matches("ngin*", "nginx") && matches("*", "") && matches("a*b*c", "a-b-b-c"));
        assert!(matches("nginx", "nginx") && !matches("nginx", "nginx2"));
        assert!(!matches("a*b", "a-c") && !matches("ab*ba", "aba"));
    }
}
