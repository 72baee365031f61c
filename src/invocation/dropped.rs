//! Dumps that the kernel dropped, as its log tells: [`Dropped`].
//!
//! The kernel limits the rate of these lines and its buffer forgets, so a
//! count from here is "at least", unless the log is whole and silent. Reading
//! is bounded and never waits; it needs CAP_SYSLOG where
//! kernel.dmesg_restrict is set.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Records of the log that are looked at.
const MESSAGES: usize = 65_536;
/// One record of /dev/kmsg is never longer (CONSOLE_EXT_LOG_MAX).
const MESSAGE: usize = 8192;

/// What fs/coredump.c says, in lower case, and which count it is: in the order of [`Dropped`].
/// From Linux 6.12 on a limit of 1 reads otherwise.
const PHRASES: [(&[u8], usize); 4] = [
    (b"over core_pipe_limit", 0),
    (b"has rlimit_core set to 1", 1),
    (b"rlimit_core is set to 1", 1),
    (b"pipe failed", 2),
];

/// Dumps dropped since the log begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// More at once than core_pipe_limit.
    pub over_limit: u64,
    /// The process had a soft core limit of 1.
    pub limit_of_one: u64,
    /// The handler could not be run.
    pub no_handler: u64,
    /// The log goes back to the boot.
    pub whole: bool,
}

impl Dropped {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.over_limit.saturating_add(self.limit_of_one).saturating_add(self.no_handler)
    }

    /// True when there can have been more.
    pub fn is_at_least(&self) -> bool {
        self.total() > 0 || !self.whole
    }
}

/// Opens the log, /dev/kmsg.
pub fn open_log(path: &Path) -> std::io::Result<File> {
    let flags = nix::fcntl::OFlag::O_NONBLOCK | nix::fcntl::OFlag::O_NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)
}

/// Reads it from where it stands, and shows each line. Each read(2) of
/// /dev/kmsg is one message; a plain file's are its lines. True when the log
/// goes back to the boot.
pub fn each_line(log: &mut File, see: &mut dyn FnMut(&[u8])) -> bool {
    let mut whole = false;
    let mut buffer = [0; MESSAGE];
    for message in 0..MESSAGES {
        match log.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                let text = buffer.get(..length).unwrap_or(&[]);
                whole |= message == 0 && sequence(text) == Some(0);
                text.split(|byte| *byte == b'\n').for_each(&mut *see);
            }
            // EPIPE: what came next was overwritten; the one after follows.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => whole = false,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    whole
}

/// Counts what the log tells of dropped dumps. With the path of a handler: a handler that
/// could not be run counts only when it is that one, and not another's.
pub fn dropped(log: &mut File, handler: Option<&Path>) -> Dropped {
    let mut found = Dropped::default();
    let named = handler.map(|handler| [b"|", handler.as_os_str().as_bytes()].concat().to_ascii_lowercase());
    let whole = each_line(log, &mut |line| found.count(line, named.as_deref()));
    Dropped { whole, ..found }
}

impl Dropped {
    fn count(&mut self, line: &[u8], handler: Option<&[u8]>) {
        // Continuation lines (" KEY=value") are not the kernel's sentence.
        if line.first() == Some(&b' ') {
            return;
        }
        let line = line.to_ascii_lowercase();
        let has = |phrase: &[u8]| line.windows(phrase.len().max(1)).any(|part| part == phrase);
        let theirs = handler.is_some_and(|handler| !has(handler));
        let counts = [&mut self.over_limit, &mut self.limit_of_one, &mut self.no_handler];
        for (kind, count) in counts.into_iter().enumerate() {
            let told = PHRASES.iter().any(|(phrase, of)| *of == kind && has(phrase));
            if told && !(theirs && kind == 2) {
                *count = count.saturating_add(1);
            }
        }
    }
}

/// The second field of a message: `priority,sequence,microseconds,flags;text`.
fn sequence(message: &[u8]) -> Option<u64> {
    let field = message.split(|byte| *byte == b',').nth(1)?;
    std::str::from_utf8(field).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, Write};

    fn of(text: &str) -> Dropped {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(text.as_bytes()).expect("written");
        file.rewind().expect("a rewind");
        dropped(&mut file, None)
    }

    #[test]
    fn another_handler_that_cannot_be_run_is_not_this_one() {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"4,1,1,-;coredump: 7(b): |/usr/bin/Other pipe failed\n4,2,1,-;coredump: 8(b): |/usr/lib/H pipe failed\n")
            .expect("written");
        for (handler, count) in [("/usr/lib/H", 1), ("/usr/bin/none", 0)] {
            file.rewind().expect("a rewind");
            assert_eq!(dropped(&mut file, Some(Path::new(handler))).no_handler, count);
        }
    }

    #[test]
    fn each_complaint_is_counted_and_a_quiet_log_from_the_boot_is_an_exact_zero() {
        let log = "4,0,1,-;Linux\n4,9,10,-;Pid 5(a) over core_pipe_limit\n over core_pipe_limit\n\
                   4,10,11,-;coredump: 7(b): over core_pipe_limit, skipping core dump\n\
                   4,11,12,-;Process 5(x) has RLIMIT_CORE set to 1\n4,12,13,-;core_pattern: pipe failed\n\
                   4,13,14,-;coredump: 5628(crasher): RLIMIT_CORE is set to 1, aborting core\n";
        let found = of(log);
        assert_eq!((found.over_limit, found.limit_of_one, found.no_handler), (2, 2, 1));
        assert!(found.is_at_least());
        assert!(!of("4,0,1,-;Linux\n").is_at_least());
        assert!(of("4,7,1,-;Linux\n").is_at_least(), "what came before is gone");
    }
}
