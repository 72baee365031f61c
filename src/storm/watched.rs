//! What somebody who watches the kernel knows of crashes for which no handler
//! began: one small file, which is believed while its writer lives.
//!
//! ```text
//! epicore dropped 1
//! boot 5f0c…
//! since 81240000000      CLOCK_BOOTTIME, nanoseconds
//! crashes 412
//! dropped 3
//! begun 409              handlers of this boot, when that was so
//! whole 1                0: something is open or was missed: lower bounds
//! crc32c 1a2b3c4d
//! ```
//!
//! It is rewritten in place under a lock that its writer holds for life (F_OFD_SETLK, its
//! first byte), so whoever finds it unlocked knows that nobody counts any more. It is the
//! writer's alone: who may read it could lock it, too. Empty, it says that nothing is known.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;

use super::file;

/// How the text begins.
const MAGIC: &str = "epicore dropped 1\n";
/// More than the text is ever long; it is padded with spaces to so many bytes.
const BYTES: usize = 256;
/// Reads of a text that is just being written.
const TRIES: usize = 8;
const OPEN: OFlag = OFlag::O_NOFOLLOW.union(OFlag::O_NONBLOCK).union(OFlag::O_NOCTTY);

/// The numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// Since when, CLOCK_BOOTTIME in nanoseconds.
    pub since_ns: u64,
    /// Crashes of which the kernel told since.
    pub crashes: u64,
    /// Of them, those for which no handler began.
    pub dropped: u64,
    /// Handlers that had begun in this boot, when that was so: if more have, the kernel has
    /// told of more crashes, or has not told of some.
    pub begun: u64,
    /// Nothing was missed and nothing is open: the numbers are exact.
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
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(OPEN.bits());
        let file = options.open(path)?;
        let mut begins = [0; MAGIC.len()];
        let length = file.read_at(&mut begins, 0)?;
        if !file::is_roots(&file) || length > 0 && begins != *MAGIC.as_bytes() {
            return Err(std::io::Error::other("it is another's file"));
        }
        let mine = file::byte(0, libc::F_WRLCK)?;
        fcntl(&file, FcntlArg::F_OFD_SETLK(&mine)).map_err(|errno| match errno {
            Errno::EAGAIN | Errno::EACCES => std::io::Error::other("another process counts there"),
            other => other.into(),
        })?;
        // What stands there is another one's, and would be believed from here on.
        file.set_len(0)?;
        Ok(WatchFile { file, boot: u128::from_be_bytes(*boot) })
    }

    /// Writes the numbers, or that there are none.
    pub fn write(&self, watched: Option<&Watched>) -> std::io::Result<()> {
        match watched {
            Some(watched) => {
                let text = text(self.boot, watched);
                self.file.write_all_at(format!("{text:<BYTES$}").as_bytes(), 0)
            }
            None => self.file.set_len(0),
        }
    }
}

impl Watched {
    /// What a living writer of this boot says; the file must be its user's who
    /// asks, the `owner`'s, or root's.
    pub fn read(path: &Path, boot: &[u8; 16], owner: u32) -> Option<Watched> {
        let file = OpenOptions::new().read(true).custom_flags(OPEN.bits()).open(path).ok()?;
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

/// Whether a writer holds its lock.
fn is_locked(file: &File) -> Option<bool> {
    let mut lock = file::byte(0, libc::F_WRLCK).ok()?;
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock)).ok()?;
    Some(i32::from(lock.l_type) == libc::F_WRLCK)
}

fn text(boot: u128, watched: &Watched) -> String {
    let Watched { since_ns, crashes, dropped, begun, whole } = watched;
    let whole = u8::from(*whole);
    let mut text = format!(
        "{MAGIC}boot {boot:032x}\nsince {since_ns}\ncrashes {crashes}\ndropped {dropped}\nbegun {begun}\nwhole {whole}\n"
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
        begun: number("begun ")?,
        whole: number("whole ")? == 1,
    };
    // That checks version, boot and sum, and that nothing else stands there.
    (text(boot, &watched) == words).then_some(watched)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: [u8; 16] = [7; 16];
    const SEEN: Watched =
        Watched { since_ns: 81_240_000_000, crashes: 412, dropped: 3, begun: 409, whole: true };

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
        file.write(Some(&SEEN)).unwrap();
        assert_eq!(Watched::read(&path, &BOOT, me()), Some(SEEN));
        assert_eq!(Watched::read(&path, &[8; 16], me()), None);
        assert!(WatchFile::create(&path, &BOOT).is_err(), "another one counts");
        drop(file);
        assert_eq!(Watched::read(&path, &BOOT, me()), None, "nobody counts");
        let file = WatchFile::create(&path, &BOOT).unwrap();
        assert_eq!(Watched::read(&path, &BOOT, me()), None, "the new one knows nothing yet");
        let all = u64::MAX;
        let most = Watched { since_ns: all, crashes: all, dropped: all, begun: all, whole: false };
        [SEEN, most, SEEN].iter().for_each(|seen| {
            file.write(Some(seen)).unwrap();
            assert_eq!(Watched::read(&path, &BOOT, me()), Some(*seen));
        });
    }

    #[test]
    fn a_reader_cannot_play_the_writer_and_another_s_file_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("dropped");
        let file = WatchFile::create(&path, &BOOT).unwrap();
        file.write(Some(&SEEN)).unwrap();
        file.write(None).unwrap();
        assert_eq!(Watched::read(&path, &BOOT, me()), None, "it says that nothing is known");
        file.write(Some(&SEEN)).unwrap();
        drop(file);
        let reader = File::open(&path).unwrap();
        fcntl(&reader, FcntlArg::F_OFD_SETLK(&file::byte(0, libc::F_RDLCK).unwrap())).unwrap();
        assert_eq!(Watched::read(&path, &BOOT, me()), None);
        let mode = std::os::unix::fs::PermissionsExt::mode(&reader.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        let other = place.path().join("other");
        for text in ["", MAGIC] {
            std::fs::write(&other, text).unwrap();
            assert!(WatchFile::create(&other, &BOOT).is_ok(), "{text:?}");
        }
        std::fs::write(&other, "somebody's list of things dropped\n").unwrap();
        assert!(WatchFile::create(&other, &BOOT).is_err());
        assert!(std::fs::read_to_string(&other).unwrap().starts_with("somebody"));
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
        file.write(Some(&SEEN)).unwrap();
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
