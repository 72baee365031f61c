//! Records out of a spool, with the sentences for when there is none.

use std::path::{Path, PathBuf};

use super::failure::{Failure, warn};
use crate::record::{self, Record};
use crate::spool::{Entry, Listing, NotOne, Reader, RecordStatus, SpoolError, read_file};

/// A spool that a person asked for.
#[derive(Debug)]
pub(super) struct Records {
    reader: Reader,
    path: PathBuf,
}

impl Records {
    /// Opens the spool at `path`.
    pub(super) fn open(path: &Path) -> Result<Records, Failure> {
        match Reader::open(path) {
            Ok(reader) => Ok(Records { reader, path: path.to_owned() }),
            Err(error) => Err(cannot_open(path, &error)),
        }
    }

    /// What is there, oldest first.
    pub(super) fn list(&self) -> Result<Listing, Failure> {
        let listing = self.reader.list();
        listing.map_err(|error| Failure::new(format!("{}: {error}", self.path.display()), DOCTOR))
    }

    /// One record of a listing; `None` when it is gone meanwhile.
    pub(super) fn read(&self, entry: &Entry) -> Result<Option<Record>, String> {
        judge(self.reader.read(entry))
    }

    /// The one record that `selector` means.
    pub(super) fn find(&self, selector: &str) -> Result<Record, Failure> {
        let entry = self.reader.find(selector).map_err(|why| self.not_one(selector, why))?;
        match self.read(&entry) {
            Ok(Some(record)) => Ok(record),
            Ok(None) => Err(Failure::new(format!("record {} was removed just now", entry.id), LIST)),
            Err(why) => Err(Failure::new(format!("record {}: {why}", entry.id), LIST)),
        }
    }

    fn not_one(&self, selector: &str, why: NotOne) -> Failure {
        let spool = self.path.display();
        match why {
            NotOne::None if selector == "last" => Failure::new(format!("no records in {spool}"), DOCTOR),
            NotOne::None => Failure::new(format!("no record {selector} in {spool}"), LIST),
            NotOne::Several(entries) => {
                let ids: Vec<String> = entries.iter().map(|e| e.id.to_string()).collect();
                super::show::several(selector, &ids)
            }
            NotOne::Malformed => Failure::usage(
                format!("\"{selector}\" is not a record"),
                "Give an id or a part of one, \"last\", or the path of a file.",
            ),
            NotOne::Spool(error) => Failure::new(format!("{spool}: {error}"), DOCTOR),
        }
    }
}

const DOCTOR: &str = "`epicore doctor` says whether a crash would leave a record here.";
const LIST: &str = "`epicore list` shows the records there are.";

fn cannot_open(path: &Path, error: &SpoolError) -> Failure {
    let next = match error {
        SpoolError::Io(_, nix::errno::Errno::EACCES) => {
            "Reading records needs membership of the spool's group (epicore), or root."
        }
        SpoolError::Io(_, nix::errno::Errno::ENOENT) => {
            "No spool there: is epicore installed? `epicore doctor` looks; --spool DIR reads another."
        }
        _ => DOCTOR,
    };
    Failure::new(format!("{}: {error}", path.display()), next)
}

/// One record from a file anywhere.
pub(super) fn from_file(path: &Path) -> Result<Record, Failure> {
    let next = "`show` reads records; `epicore replay FILE` reads core files.";
    match judge(read_file(path)) {
        Ok(Some(record)) => Ok(record),
        Ok(None) => Err(Failure::new(format!("{}: no such file", path.display()), LIST)),
        Err(why) => Err(Failure::new(format!("{}: {why}", path.display()), next)),
    }
}

fn judge(status: RecordStatus) -> Result<Option<Record>, String> {
    match status {
        RecordStatus::Valid { payload, .. } => {
            record::decode(&payload).map(Some).map_err(|error| error.to_string())
        }
        RecordStatus::Gone => Ok(None),
        RecordStatus::Corrupted(damage) => Err(format!("damaged: {damage}")),
        RecordStatus::Refused(why) => Err(format!("not read: {why}")),
        RecordStatus::Unreadable(errno) => Err(format!("not read: {}", errno.desc())),
    }
}

/// Damage is told, once, and hides nothing else.
pub(super) fn tell_damage(damaged: &[(String, String)]) {
    if let Some((id, why)) = damaged.first() {
        let count = crate::report::amount::of(damaged.len() as u64, "record");
        warn(&format!("{count} could not be read (the first: {id}, {why})"));
    }
}

/// Now, nanoseconds since the epoch.
pub(super) fn now_ns() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
