//! Verdicts without a collector: `verdicts.toml` beside the records.
//!
//! ```toml
//! [[verdict]]
//! at = 2026-11-28T21:12:48Z
//! host = "web-17"
//! verdict = "confirmed"
//! note = "memtest: DIMM A2"
//! who = "mia"
//! ```
//!
//! A text that people read and may write. Whoever adds to it holds a lock on the
//! directory, and puts a whole file in the place of the old one: a reader sees one
//! or the other, also after a power cut.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nix::libc;
use serde::Deserialize;

use super::failure::Failure;
use crate::record::Hex;
use crate::wire::api::Verdict;

/// Its name.
pub(super) const FILE: &str = "verdicts.toml";
/// Bytes of it: some ten thousand verdicts.
const LARGEST: u64 = 4 << 20;
const HEAD: &str = "\
# What was found out about hosts, the newest last. `epicore verdict` adds to it and
# `epicore study` reads it. Nothing is taken out: of a host, or of one signature on
# it, the newest counts.
";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    #[serde(default)]
    verdict: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    at: toml::Value,
    host: String,
    signature: Option<String>,
    verdict: Said,
    note: Option<String>,
    #[serde(default)]
    who: String,
}

/// One of two words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum Said {
    Confirmed,
    Refuted,
}

impl Entry {
    fn verdict(self) -> Result<Verdict, String> {
        let at = match &self.at {
            toml::Value::Datetime(at) => at.to_string(),
            toml::Value::String(at) => at.clone(),
            _ => String::new(),
        };
        let wrong = || format!("{}: at is a time with its offset: 2026-11-28T21:12:48Z", self.host);
        let moment: Timestamp = at.parse().map_err(|_| wrong())?;
        let at = u64::try_from(moment.as_nanosecond()).map_err(|_| wrong())?;
        let signature = self.signature.as_deref().map(key).transpose();
        let signature = signature.map_err(|why| format!("{}: {why}", self.host))?;
        let confirmed = self.verdict == Said::Confirmed;
        Ok(Verdict { at, who: self.who, host: self.host, signature, confirmed, note: self.note })
    }
}

/// A location key as it is printed.
pub(super) fn key(text: &str) -> Result<Hex, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let whole = (1..=16).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let key = u64::from_str_radix(digits, 16).ok().filter(|_| whole);
    key.map(Hex).ok_or_else(|| format!("\"{text}\" is no signature: up to 16 hexadecimal digits"))
}

/// The verdicts of a directory, the oldest first; none without the file.
pub(super) fn read(directory: &Path) -> Result<Vec<Verdict>, Failure> {
    let path = directory.join(FILE);
    let text = text(&path).map_err(|error| {
        Failure::new(format!("{}: {error}", path.display()), "It must be a text that you can read.")
    })?;
    parse(&text, &path)
}

fn text(path: &Path) -> io::Result<String> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        file => file?,
    };
    let mut text = String::new();
    file.take(LARGEST.saturating_add(1)).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST {
        return Err(io::Error::other("it has more than 4 MiB"));
    }
    Ok(text)
}

fn parse(text: &str, path: &Path) -> Result<Vec<Verdict>, Failure> {
    let wrong = |what: String| {
        let next = "Correct it by hand; `epicore verdict --help` shows what it looks like.";
        Failure::usage(format!("{}: {what}", path.display()), next)
    };
    let line = |error: &toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or("");
        before.lines().count().max(1)
    };
    let read: Text =
        toml::from_str(text).map_err(|error| wrong(format!("line {}: {}", line(&error), error.message())))?;
    let verdicts: Result<Vec<Verdict>, String> = read.verdict.into_iter().map(Entry::verdict).collect();
    let mut verdicts = verdicts.map_err(wrong)?;
    verdicts.sort_by_key(|verdict| verdict.at);
    Ok(verdicts)
}

/// Adds one, the whole file or nothing.
pub(super) fn append(directory: &Path, verdict: &Verdict) -> Result<(), Failure> {
    let path = directory.join(FILE);
    let failed = |error: io::Error| {
        let next = match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "A spool is its owner's to write: try it as root, or tell the collector (--fleet, --remote URL)."
            }
            _ => "Nothing was changed.",
        };
        Failure::new(format!("{}: {error}", path.display()), next)
    };
    let place = File::open(directory).map_err(failed)?;
    place.lock().map_err(failed)?;
    let old = text(&path).map_err(failed)?;
    // What cannot be read would hide what is added.
    parse(&old, &path)?;
    let old = if old.is_empty() { HEAD.to_owned() } else { old };
    let end = if old.ends_with('\n') { "" } else { "\n" };
    replace(&place, &path, &format!("{old}{end}\n{}", written(verdict))).map_err(failed)
}

fn replace(place: &File, path: &Path, text: &str) -> io::Result<()> {
    let beside = PathBuf::from(format!("{}.new", path.display()));
    // One of a writer that died: nobody else writes while the lock is held.
    let _ = std::fs::remove_file(&beside);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&beside)?;
    let owner = place.metadata()?;
    let done = file
        .write_all(text.as_bytes())
        .and_then(|()| belongs(&file, &owner))
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&beside, path))
        .and_then(|()| place.sync_all());
    if done.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    done
}

/// A file that root writes is the directory's owner's, as all of a spool.
fn belongs(file: &File, owner: &Metadata) -> io::Result<()> {
    match file.metadata()?.uid() {
        0 => fchown(file, Some(owner.uid()), Some(owner.gid())),
        _ => Ok(()),
    }
}

fn written(verdict: &Verdict) -> String {
    let at = Timestamp::from_nanosecond(verdict.at.into()).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut text = format!("[[verdict]]\nat = {at:.0}\nhost = {}\n", quoted(&verdict.host));
    if let Some(key) = verdict.signature {
        text += &format!("signature = \"{:016x}\"\n", key.0);
    }
    text += &format!("verdict = \"{}\"\n", if verdict.confirmed { "confirmed" } else { "refuted" });
    if let Some(note) = &verdict.note {
        text += &format!("note = {}\n", quoted(note));
    }
    text + &format!("who = {}\n", quoted(&verdict.who))
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => quoted += &format!("\\u{:04x}", u32::from(letter)),
            letter => quoted.push(letter),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(host: &str) -> Verdict {
        Verdict {
            at: 1_795_356_309_000_000_000,
            who: "mia".into(),
            host: host.into(),
            signature: Some(Hex(0xab)),
            confirmed: true,
            note: Some("\"A2\"\\ \u{1b}[2J\nfour\u{85}".into()),
        }
    }

    #[test]
    fn what_is_added_is_read_again_and_stands_there_for_people() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(read(place.path()).unwrap(), []);
        append(place.path(), &verdict("web-1")).unwrap();
        let second = Verdict { signature: None, confirmed: false, note: None, ..verdict("web-2") };
        append(place.path(), &second).unwrap();
        assert_eq!(read(place.path()).unwrap(), [verdict("web-1"), second]);
        let text = std::fs::read_to_string(place.path().join(FILE)).unwrap();
        assert!(
            text.contains("at = 2026-11-22T14:05:09Z\nhost = \"web-2\"\nverdict = \"refuted\""),
            "{text}"
        );
        assert!(!text.contains('\u{1b}'), "{text}");
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn those_who_add_at_once_lose_nothing() {
        let place = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for n in 0..8 {
                let place = place.path();
                scope.spawn(move || append(place, &verdict(&format!("web-{n}"))).unwrap());
            }
        });
        assert_eq!(read(place.path()).unwrap().len(), 8);
    }

    #[test]
    fn a_file_that_is_wrong_is_told_with_its_line_and_not_added_to() {
        let place = tempfile::tempdir().unwrap();
        let good = "[[verdict]]\nat = 2026-11-22T14:05:09+01:00\nhost = \"a\"\nverdict = \"refuted\"\n";
        let path = place.path().join(FILE);
        for wrong in
            ["nonsense\n", "verdic = 1\n", "[[verdict]]\nat = 1\nhost = \"a\"\nverdict = \"refuted\"\n"]
        {
            std::fs::write(&path, format!("{good}{wrong}")).unwrap();
            assert!(append(place.path(), &verdict("b")).is_err(), "{wrong}");
            assert!(std::fs::read_to_string(&path).unwrap().ends_with(wrong));
        }
        std::fs::write(&path, good).unwrap();
        assert_eq!(read(place.path()).unwrap()[0].at, 1_795_352_709_000_000_000);
    }
}
