//! What somebody who watches the kernel knows of crashes for which no handler
//! began: one small file, which is believed while its writer lives.
//!
//! ```text
//! epicore dropped 1
//! boot 5f0c…
//! since 81240000000      CLOCK_BOOTTIME, nanoseconds
//! crashes 412
//! dropped 3
//! whole 1                0: something was missed, and these are lower bounds
//! crc32c 1a2b3c4d
//! ```
//!
//! It is rewritten in place under a lock that its writer holds for life (F_OFD_SETLK, its
//! first byte), so whoever finds it unlocked knows that nobody counts any more.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;

use super::file;

/// More than the text is ever long; it is padded with spaces to so many bytes.
const BYTES: usize = 256;
/// Reads of a text that is just being written.
const TRIES: usize = 8;

/// The numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// Since when, CLOCK_BOOTTIME in nanoseconds.
    pub since_ns: u64,
    /// Crashes of which the kernel told since.
    pub crashes: u64,
    /// Of them, those for which no handler began.
    pub dropped: u64,
    /// Nothing was missed: the numbers are exact.
    pub whole: bool,
}

/// The file, and the right to write it.
#[derive(Debug)]
pub struct WatchFile {
    file: File,
    boot: u128,
}

impl WatchFile {
    /// Makes it, or takes over what another one left.
    pub fn create(path: &Path, boot: &[u8; 16]) -> std::io::Result<WatchFile> {
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o640).custom_flags(flags.bits());
        let file = options.open(path)?;
        let mine = file::byte(0, libc::F_WRLCK)?;
        fcntl(&file, FcntlArg::F_OFD_SETLK(&mine)).map_err(|errno| match errno {
            Errno::EAGAIN | Errno::EACCES => std::io::Error::other("another process counts there"),
            other => other.into(),
        })?;
        // What stands there is another one's, and would be believed from here on.
        file.set_len(0)?;
        Ok(WatchFile { file, boot: u128::from_be_bytes(*boot) })
    }

    /// Writes the numbers.
    pub fn write(&self, watched: &Watched) -> std::io::Result<()> {
        let text = text(self.boot, watched);
        self.file.write_all_at(format!("{text:<BYTES$}").as_bytes(), 0)
    }
}

impl Watched {
    /// What a living writer of this boot says; the file must be its user's who
    /// asks, the `owner`'s, or root's.
    pub fn read(path: &Path, boot: &[u8; 16], owner: u32) -> Option<Watched> {
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path).ok()?;
        if !file::is_of(&file, owner) || !is_locked(&file)? {
            return None;
        }
        let mut bytes = [0; BYTES];
        (0..TRIES).find_map(|_| {
            let length = file.read_at(&mut bytes, 0).ok()?;
            parse(bytes.get(..length)?, u128::from_be_bytes(*boot))
        })
    }
}

/// Whether somebody else holds its lock.
fn is_locked(file: &File) -> Option<bool> {
    let mut lock = file::byte(0, libc::F_WRLCK).ok()?;
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock)).ok()?;
    Some(i32::from(lock.l_type) != libc::F_UNLCK)
}

fn text(boot: u128, watched: &Watched) -> String {
    let Watched { since_ns, crashes, dropped, whole } = watched;
    let mut text = format!(
        "epicore dropped 1\nboot {boot:032x}\nsince {since_ns}\ncrashes {crashes}\ndropped {dropped}\nwhole {}\n",
        u8::from(*whole)
    );
    let sum = crc32c::crc32c(text.as_bytes());
    let _ = writeln!(text, "crc32c {sum:08x}");
    text
}

fn parse(bytes: &[u8], boot: u128) -> Option<Watched> {
    let words = std::str::from_utf8(bytes).ok()?.trim_end_matches(' ');
    let mut lines = words.lines().skip(2);
    let mut number = |name: &str| lines.next()?.strip_prefix(name)?.parse::<u64>().ok();
    let watched = Watched {
        since_ns: number("since ")?,
        crashes: number("crashes ")?,
        dropped: number("dropped ")?,
        whole: number("whole ")? == 1,
    };
    // That checks version, boot and sum, and that nothing else stands there.
    (text(boot, &watched) == words).then_some(watched)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: [u8; 16] = [7; 16];
    const SEEN: Watched = Watched { since_ns: 81_240_000_000, crashes: 412, dropped: 3, whole: true };

    fn me() -> u32 {
        nix::unistd::geteuid().as_raw()
    }

    #[test]
    fn it_is_believed_while_its_writer_lives_and_in_its_boot() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("dropped");
        assert_eq!(Watched::read(&path, &BOOT, me()), None);
        let file = WatchFile::create(&path, &BOOT).unwrap();
        assert_eq!(Watched::read(&path, &BOOT, me()), None, "nothing is known yet");
        file.write(&SEEN).unwrap();
        assert_eq!(Watched::read(&path, &BOOT, me()), Some(SEEN));
        assert_eq!(Watched::read(&path, &[8; 16], me()), None);
        assert!(WatchFile::create(&path, &BOOT).is_err(), "another one counts");
        drop(file);
        assert_eq!(Watched::read(&path, &BOOT, me()), None, "nobody counts");
        let file = WatchFile::create(&path, &BOOT).unwrap();
        assert_eq!(Watched::read(&path, &BOOT, me()), None, "the new one knows nothing yet");
        let most = Watched { since_ns: u64::MAX, crashes: u64::MAX, dropped: u64::MAX, whole: false };
        [SEEN, most, SEEN].iter().for_each(|seen| {
            file.write(seen).unwrap();
            assert_eq!(Watched::read(&path, &BOOT, me()), Some(*seen));
        });
    }

    #[test]
    fn what_is_damaged_linked_or_somebody_elses_is_not_believed() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("dropped");
        let file = WatchFile::create(&path, &BOOT).unwrap();
        let good = text(u128::from_be_bytes(BOOT), &SEEN);
        for wrong in [
            good.replace("dropped 3", "dropped 4"),
            good.replace("since 8", "since +8"),
            format!("{good}more"),
            good.replace("whole 1", "whole 2"),
            good.replace('\n', "\r\n"),
            good.chars().take(60).collect(),
        ] {
            file.file.set_len(0).unwrap();
            file.file.write_all_at(wrong.as_bytes(), 0).unwrap();
            assert_eq!(Watched::read(&path, &BOOT, me()), None, "{wrong}");
        }
        file.write(&SEEN).unwrap();
        let link = place.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(Watched::read(&link, &BOOT, me()), None);
        let fifo = place.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert_eq!(Watched::read(&fifo, &BOOT, me()), None);
        if me() == 0 {
            nix::unistd::chown(&path, Some(4242.into()), None).unwrap();
            assert_eq!(Watched::read(&path, &BOOT, 4243), None);
            assert_eq!(Watched::read(&path, &BOOT, 4242), Some(SEEN));
        } else {
            eprintln!("skipped: a file of another user: needs root");
        }
    }
}
