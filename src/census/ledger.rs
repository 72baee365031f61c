//! What the censuses of this boot have decided and done: /run/epicore/census.
//!
//! ```text
//! epicore census 1                    fixed width, one pwrite: whole or not
//! boot 00112233445566778899aabbccddeeff
//! decided 00000000001234567890        CLOCK_BOOTTIME of the last decision, ns
//! census 00000000001234567890         and of the last report that was kept
//! ```
//!
//! Opened and locked while still root; `census` is written through the open
//! file after the report is in the spool, so that a census that failed lends
//! its span to the next. Anything else in the file, or another boot's, is no
//! ledger: then this is the first census of the boot.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::unistd::geteuid;

const FILE: &str = "census";
/// The file is 110 bytes.
const MOST: usize = 256;

/// The open ledger; while it is held no other census runs.
#[derive(Debug)]
pub(super) struct Ledger {
    file: Flock<File>,
    boot: [u8; 16],
    /// The last decision and the last census of this boot.
    last: Option<(u64, u64)>,
}

impl Ledger {
    /// Opens the ledger in `run`, which is made when it is missing.
    pub(super) fn open(run: &Path, boot: [u8; 16]) -> Result<Ledger, String> {
        let why = |error: io::Error| format!("census: {}: {error}", run.join(FILE).display());
        if !run.exists() {
            std::fs::create_dir_all(run).map_err(why)?;
            std::fs::set_permissions(run, std::fs::Permissions::from_mode(0o755)).map_err(why)?;
        }
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(flags.bits())
            .open(run.join(FILE))
            .map_err(why)?;
        let facts = file.metadata().map_err(why)?;
        if !facts.is_file() || facts.uid() != geteuid().as_raw() || facts.mode() & 0o022 != 0 {
            return Err(format!("census: {} belongs to somebody else; remove it", run.join(FILE).display()));
        }
        let file = Flock::lock(file, FlockArg::LockExclusiveNonblock)
            .map_err(|_| "census: another one is under way".to_owned())?;
        let mut text = [0; MOST];
        let length = file.read_at(&mut text, 0).map_err(why)?;
        let last = parse(text.get(..length).unwrap_or_default(), &boot);
        Ok(Ledger { file, boot, last })
    }

    /// Whether now is the time, by `coin` of the nanoseconds since the last
    /// decision; the first time of a boot always is. Noted before anything
    /// else happens: a coin is tossed once.
    pub(super) fn decide(&mut self, now: u64, coin: impl FnOnce(u64) -> bool) -> bool {
        let yes = self.last.is_none_or(|(decided, _)| coin(now.saturating_sub(decided)));
        self.last = Some((now, self.census()));
        // Without it the next elapsed time is too long: one census too many.
        let _ = self.write();
        yes
    }

    /// CLOCK_BOOTTIME of the last report of this boot, 0 before the first.
    pub(super) fn census(&self) -> u64 {
        self.last.map_or(0, |(_, census)| census)
    }

    /// A report of `now` was kept.
    pub(super) fn done(&mut self, now: u64) -> io::Result<()> {
        self.last = Some((now, now));
        self.write()
    }

    fn write(&self) -> io::Result<()> {
        let (decided, census) = self.last.unwrap_or_default();
        self.file.write_all_at(text(&self.boot, decided, census).as_bytes(), 0)
    }
}

fn text(boot: &[u8; 16], decided: u64, census: u64) -> String {
    let boot = u128::from_be_bytes(*boot);
    format!("epicore census 1\nboot {boot:032x}\ndecided {decided:020}\ncensus {census:020}\n")
}

fn parse(text: &[u8], boot: &[u8; 16]) -> Option<(u64, u64)> {
    let mut lines = std::str::from_utf8(text).ok()?.lines();
    let mut value = |key: &str| lines.next()?.strip_prefix(key);
    value("epicore census 1")?;
    let of = u128::from_str_radix(value("boot ")?, 16).ok()?;
    let decided = value("decided ")?.parse().ok()?;
    let census = value("census ")?.parse().ok()?;
    (of == u128::from_be_bytes(*boot)).then_some((decided, census))
}

/// Puts a file of root's in the place of another, in one step, readable by all.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let _ = std::fs::remove_file(&new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&new)?;
    file.write_all(bytes)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))?;
    std::fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: [u8; 16] = [7; 16];

    #[test]
    fn the_first_time_of_a_boot_always_is_the_time() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        let mut ledger = Ledger::open(&run, BOOT).unwrap();
        assert!(ledger.decide(100, |_| false));
        assert_eq!(ledger.census(), 0);
        ledger.done(100).unwrap();
        drop(ledger);

        let mut ledger = Ledger::open(&run, BOOT).unwrap();
        assert_eq!(ledger.census(), 100);
        assert!(!ledger.decide(160, |elapsed| elapsed != 60));
        assert!(ledger.decide(170, |elapsed| elapsed == 10), "the coin is of the time since the last toss");
        drop(ledger);

        // That one left no report: its span is the next one's.
        assert_eq!(Ledger::open(&run, BOOT).unwrap().census(), 100);
        assert_eq!(Ledger::open(&run, [8; 16]).unwrap().last, None, "another boot");
    }

    #[test]
    fn two_censuses_do_not_run_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let first = Ledger::open(dir.path(), BOOT).unwrap();
        assert!(Ledger::open(dir.path(), BOOT).unwrap_err().contains("under way"));
        drop(first);
        Ledger::open(dir.path(), BOOT).unwrap();
    }

    #[test]
    fn a_damaged_ledger_is_none_and_a_planted_one_is_refused() {
        let whole = text(&BOOT, 5, 4);
        assert_eq!(parse(whole.as_bytes(), &BOOT), Some((5, 4)));
        for length in 0..whole.len() - 2 {
            let told = parse(&whole.as_bytes()[..length], &BOOT);
            assert!(told.is_none() || told == Some((5, 0)), "{length}: {told:?}");
        }
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join(FILE)).unwrap();
        assert!(Ledger::open(dir.path(), BOOT).is_err());
    }
}
