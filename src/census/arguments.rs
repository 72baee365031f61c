//! The words behind `--census`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arguments {
    /// `--spool DIR`.
    pub(super) spool: Option<PathBuf>,
    /// `--config FILE`.
    pub(super) config: Option<PathBuf>,
    /// `--sampled`: a timer asks; decide whether now is the time.
    pub(super) sampled: bool,
    /// `--print`: say what was seen, and leave nothing behind.
    pub(super) print: bool,
    /// `--run DIR`: where the ledger and the file of serials are.
    pub(super) run: PathBuf,
    /// `--root DIR`: below which /sys, /dev/kmsg and the files of container
    /// runtimes and hypervisors are looked for (tests; /proc stays).
    pub(super) root: PathBuf,
}

impl Arguments {
    /// Parses the words. Unlike a crash, a census can wait for them to be
    /// right.
    pub(super) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Arguments, String> {
        let mut arguments = Arguments {
            spool: None,
            config: None,
            sampled: false,
            print: false,
            run: "/run/epicore".into(),
            root: "/".into(),
        };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let mut path = || {
                let next = words.next().map(PathBuf::from);
                next.ok_or_else(|| format!("census: {} wants a path", word.display()))
            };
            match word.as_bytes() {
                b"--sampled" => arguments.sampled = true,
                b"--print" => arguments.print = true,
                b"--spool" => arguments.spool = Some(path()?),
                b"--config" => arguments.config = Some(path()?),
                b"--run" => arguments.run = path()?,
                b"--root" => arguments.root = path()?,
                _ => {
                    return Err(format!(
                        "census: unknown argument {}; known: --sampled --print --spool DIR --config FILE --run DIR --root DIR",
                        word.display()
                    ));
                }
            }
        }
        Ok(arguments)
    }

    /// An absolute path, below the root that was given.
    pub(super) fn below(&self, path: &str) -> PathBuf {
        below(&self.root, path)
    }
}

/// An absolute path below `root`.
pub(super) fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_nobody_knows_are_refused_and_named() {
        let parse = |words: &[&str]| Arguments::parse(words.iter().map(OsString::from));
        let all = parse(&["--sampled", "--spool", "/s", "--config", "/c"]).unwrap();
        assert!(all.sampled && !all.print);
        assert_eq!((all.spool, all.config), (Some("/s".into()), Some("/c".into())));
        assert!(parse(&["--sample"]).unwrap_err().contains("--sample;"));
        assert!(parse(&["--spool"]).is_err());
        assert_eq!(below(Path::new("/"), "/sys"), Path::new("/sys"));
    }
}
