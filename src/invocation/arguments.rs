//! The handler's arguments: one letter and its value in one word, as the
//! kernel expands them, and two words that an administrator may add.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::gap::{Gap, Stage};

/// What the kernel said of the crash. Absent is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    /// %P: process id in the initial pid namespace.
    pub pid: Option<u32>,
    /// %I: id of the crashing thread in the initial pid namespace.
    pub tid: Option<u32>,
    /// %u: real uid in the initial user namespace.
    pub uid: Option<u32>,
    /// %g: real gid in the initial user namespace.
    pub gid: Option<u32>,
    /// %d: dump mode, as PR_GET_DUMPABLE returns it.
    pub dump_mode: Option<u32>,
    /// %s: number of the signal.
    pub signal: Option<u32>,
    /// %t: seconds since the epoch.
    pub time: Option<u64>,
    /// %C: CPU on which the dump began (Linux ≥ 6.2).
    pub cpu: Option<u32>,
    /// %c: soft RLIMIT_CORE, bytes.
    pub core_limit: Option<u64>,
    /// %F: descriptor of a pidfd (Linux ≥ 6.16), always 3.
    pub pidfd: Option<u32>,
    /// `--spool DIR`.
    pub spool: Option<PathBuf>,
    /// `--config FILE`.
    pub config: Option<PathBuf>,
    /// `--run DIR`: where the ledger of crashes is.
    pub run: Option<PathBuf>,
    /// `--source stream`: do not read live memory (for tests and for sites
    /// that forbid it).
    pub stream_only: bool,
    /// What could not be understood.
    pub gaps: Vec<Gap>,
}

impl Arguments {
    /// Parses the words after the program's name. Never fails: a crash is
    /// recorded with whatever was understood.
    pub fn parse(words: impl IntoIterator<Item = OsString>) -> Arguments {
        let mut arguments = Arguments::default();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            match word.as_bytes() {
                b"--spool" => arguments.spool = words.next().map(PathBuf::from),
                b"--config" => arguments.config = words.next().map(PathBuf::from),
                b"--run" => arguments.run = words.next().map(PathBuf::from),
                b"--source" => arguments.stream_only = words.next().as_deref() == Some(OsStr::new("stream")),
                [b'-', letter, value @ ..] if *letter != b'-' => arguments.letter(*letter, value),
                _ => arguments.gap("unknown argument"),
            }
        }
        arguments
    }

    fn gap(&mut self, reason: impl Into<String>) {
        self.gaps.push(Gap::new(Stage::Invocation, reason));
    }

    fn letter(&mut self, letter: u8, value: &[u8]) {
        // An unknown specifier of an older kernel: nothing came.
        if value.is_empty() {
            return;
        }
        let number = std::str::from_utf8(value).ok().and_then(|text| text.parse::<u64>().ok());
        let Some(number) = number else {
            return self.gap(format!("-{} is not a number", char::from(letter).escape_default()));
        };
        if letter == b't' || letter == b'c' {
            let slot = if letter == b't' { &mut self.time } else { &mut self.core_limit };
            if slot.is_some() {
                return self.gap(format!("-{} came twice", char::from(letter)));
            }
            *slot = Some(number);
            return;
        }
        let slot = match letter {
            b'P' => &mut self.pid,
            b'I' => &mut self.tid,
            b'u' => &mut self.uid,
            b'g' => &mut self.gid,
            b'd' => &mut self.dump_mode,
            b's' => &mut self.signal,
            b'C' => &mut self.cpu,
            b'F' => &mut self.pidfd,
            _ => return self.gap(format!("unknown option -{}", char::from(letter).escape_default())),
        };
        // The kernel prints %C of "no CPU" as -1, which is no number above;
        // what does not fit is not believed.
        let Ok(number) = u32::try_from(number) else {
            return self.gap(format!("-{} is too large", char::from(letter)));
        };
        // The first one counts: the kernel's own come before anything that an
        // administrator appended.
        if slot.is_some() {
            return self.gap(format!("-{} came twice", char::from(letter)));
        }
        *slot = Some(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Arguments {
        Arguments::parse(words.iter().map(OsString::from))
    }

    #[test]
    fn what_an_old_kernel_does_not_know_is_absent_and_not_an_error() {
        let arguments = parse(&["-P12", "-I13", "-C", "-F", "-c18446744073709551615"]);
        assert_eq!((arguments.pid, arguments.tid), (Some(12), Some(13)));
        assert_eq!((arguments.cpu, arguments.pidfd), (None, None));
        assert_eq!(arguments.core_limit, Some(u64::MAX));
        assert!(arguments.gaps.is_empty());
    }

    #[test]
    fn nonsense_is_a_gap_and_the_rest_still_counts() {
        let arguments =
            parse(&["-Px", "-P1", "-P2", "-u99999999999", "-é", "--what", "-", "-s11", "--spool"]);
        assert_eq!((arguments.pid, arguments.uid, arguments.signal), (Some(1), None, Some(11)));
        assert_eq!(arguments.spool, None);
        assert_eq!(arguments.gaps.len(), 6, "{:?}", arguments.gaps);
    }

    #[test]
    fn the_order_of_options_does_not_matter() {
        let words = ["-P1", "-I2", "-u3", "-g4", "-d1", "-s11", "-t5", "-C6", "-c0", "-F3"];
        let reversed: Vec<&str> = words.iter().rev().copied().collect();
        assert_eq!(parse(&words), parse(&reversed));
    }
}
