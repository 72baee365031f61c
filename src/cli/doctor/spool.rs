//! The spool: there, closed to others, with room; and what the newest record
//! says about the capture.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sys::statvfs::statvfs;

use super::{Check, Host};
use crate::config::Config;
use crate::record::{self, Kind, Record};
use crate::report::{amount, gaps};
use crate::spool::{PRIVATE, Reader, RecordStatus};

/// Less free space than this is told: some hundred records.
const LITTLE: u64 = 16 << 20;
/// Fewer free inodes than this are told: one is one record.
const FEW: u64 = 1000;

const MAKE: &str = "systemd-tmpfiles --create, or `epicore enable`, which makes it";

/// The directory itself.
pub(super) fn spool(host: &Host, path: &Path, settings: &Config) -> Vec<Check> {
    let real = host.at(path);
    let shown = path.display();
    let metadata = match fs::symlink_metadata(&real) {
        Ok(metadata) if metadata.is_dir() => metadata,
        Ok(_) => return vec![Check::fail("spool", format!("{shown} is not a directory"), MAKE)],
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            return vec![Check::unknown("spool", format!("{shown} may not be looked at"))];
        }
        Err(error) => return vec![Check::fail("spool", format!("{shown}: {error}"), MAKE)],
    };
    let mut checks = rights(host, path, &metadata);
    checks.extend(room(&real));
    checks.extend(contents(&real, path, settings));
    checks
}

fn rights(host: &Host, path: &Path, metadata: &fs::Metadata) -> Vec<Check> {
    let shown = path.display();
    let mode = metadata.mode() & 0o7777;
    let mut checks = Vec::new();
    if mode & 0o002 != 0 {
        let what = format!("{shown} may be written by everybody ({mode:04o}): the handler refuses it");
        checks.push(Check::fail("spool", what, &format!("chmod 0750 {shown}")));
    } else if mode & 0o005 != 0 {
        let what = format!("{shown} may be read by everybody ({mode:04o})");
        checks.push(Check::warn("spool", what, &format!("chmod 0750 {shown}")));
    }
    if metadata.uid() == 0 && host.root == Path::new("/") {
        let what = format!("{shown} belongs to root: the handler keeps uid 0 while it works");
        checks.push(Check::warn("spool", what, &format!("chown epicore:epicore {shown}")));
    }
    if fs::symlink_metadata(host.at(path).join(PRIVATE))
        .is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound)
    {
        let what = format!("{shown}/{PRIVATE} is missing: crashes of privileged programs are not kept");
        checks.push(Check::warn("spool", what, "The handler makes it at the next crash."));
    }
    checks
}

fn room(real: &Path) -> Vec<Check> {
    let Ok(stat) = statvfs(real) else { return vec![Check::unknown("spool space", "could not be asked")] };
    let free = stat.blocks_available().saturating_mul(stat.fragment_size());
    let inodes = stat.files_available();
    let mut checks = Vec::new();
    if free < LITTLE {
        let what = format!("{} free: new records push out the oldest", amount::bytes(free));
        checks.push(Check::warn("spool space", what, "Make room on that filesystem."));
    }
    // Filesystems that make inodes as they go report none at all.
    if stat.files() > 0 && inodes < FEW {
        let what = format!("{} free: each record needs one", amount::of(inodes, "inode"));
        checks.push(Check::warn("spool space", what, "Remove small files from that filesystem."));
    }
    if checks.is_empty() {
        checks.push(Check::ok("spool space", format!("{} free", amount::bytes(free))));
    }
    checks
}

fn contents(real: &Path, path: &Path, settings: &Config) -> Vec<Check> {
    let shown = path.display();
    let listing = match Reader::open(real).and_then(|reader| reader.list()) {
        Ok(listing) => listing,
        Err(error) => return vec![Check::unknown("spool", format!("{shown} may not be read: {error}"))],
    };
    let records = listing.entries.len() as u64;
    let bytes = size(real).saturating_add(size(&real.join(PRIVATE)));
    let what = format!(
        "{shown}: {} of {}, {} of {}",
        amount::count(records),
        amount::of(settings.spool_records, "record"),
        amount::bytes(bytes),
        amount::bytes(settings.spool_bytes)
    );
    let full = records.saturating_mul(10) >= settings.spool_records.saturating_mul(9)
        || bytes >= settings.spool_bytes / 10 * 9;
    let mut checks = vec![if full {
        Check::warn(
            "spool",
            format!("{what}: nearly full, the oldest go first"),
            "Raise limits.spool_* if they matter.",
        )
    } else {
        Check::ok("spool", what)
    }];
    if listing.strangers > 0 {
        let what = format!("{} in {shown} that are no records", amount::of(listing.strangers, "file"));
        checks.push(Check::warn("spool", what, "Look at them; nothing else should write there."));
    }
    checks
}

fn size(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    let files =
        entries.flatten().take(crate::limits::SPOOL_ENTRIES).filter_map(|entry| entry.metadata().ok());
    files
        .filter(fs::Metadata::is_file)
        .fold(0, |sum, file| sum.saturating_add(file.blocks().saturating_mul(512)))
}

/// The newest record, or the check that says why there is none.
pub(super) fn newest(host: &Host, path: &Path) -> Result<Option<Record>, Check> {
    let real = host.at(path);
    // What is missing is said of the spool itself.
    if fs::symlink_metadata(&real).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
        return Ok(None);
    }
    let opened = Reader::open(&real).and_then(|reader| Ok((reader.list()?, reader)));
    let (listing, reader) = opened.map_err(|error| {
        Check::unknown("last record", format!("{} may not be read: {error}", path.display()))
    })?;
    let Some(entry) = listing.entries.last().copied() else {
        return Err(Check::ok("last record", "none yet; `epicore doctor --crash` makes one"));
    };
    let wrong = |why: String| Check::warn("last record", format!("{}: {why}", entry.id), REPORT);
    match reader.read(&entry) {
        RecordStatus::Valid { payload, .. } => {
            record::decode(&payload).map(Some).map_err(|error| wrong(error.to_string()))
        }
        RecordStatus::Gone => Ok(None),
        status => Err(wrong(format!("{status:?}"))),
    }
}

/// What it says about how it was captured.
pub(super) fn last_record(newest: &Result<Option<Record>, Check>) -> Vec<Check> {
    let record = match newest {
        Ok(Some(record)) => record,
        Ok(None) => return Vec::new(),
        Err(check) => return vec![check.clone()],
    };
    let id = record.id.hex();
    let mut checks = Vec::new();
    if record.kind == Kind::Minimal {
        let what = format!("{id} is minimal: the analysis did not finish");
        checks.push(Check::warn("last record", what, REPORT));
    }
    if !record.capture.unconfined.is_empty() {
        let what = format!("not confined: {}", record.capture.unconfined.join(", "));
        checks.push(Check::warn("last record", what, "An old kernel, or a container's restrictions."));
    }
    let words: Vec<String> = record.gaps.iter().take(3).map(gaps::words).collect();
    let rest = record.gaps.len().saturating_sub(3);
    if !words.is_empty() {
        let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
        let what = format!("{id} lacks: {}{more}", words.join("; "));
        checks.push(Check::ok("last record", what));
    }
    if checks.is_empty() {
        checks.push(Check::ok("last record", format!("{id} is complete")));
    }
    checks
}

const REPORT: &str = "`epicore show last` has more; `journalctl -k -t epicore` may say why.";
