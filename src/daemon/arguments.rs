//! What epicored was told on its command line: five options, by hand.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::{config, storm};

/// What `--help` says.
pub(super) const HELP: &str = "\
epicored forwards the records of this host's spool to the fleet's collector.

Usage: epicored [--config FILE] [--spool DIR] [--run DIR]

  --config FILE   the configuration (default /etc/epicore/epicore.toml)
  --spool DIR     the spool, whatever the configuration says
  --run DIR       where crash handlers count (default /run/epicore)
  --version       print the version
  --help          print this

It stays in the foreground. SIGHUP reads configuration and credentials again;
SIGTERM ends it after the request in flight. `epicore status` shows what it does.
";

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Run, with this configuration file and spool.
    Run(Paths),
    /// Print this and end.
    Print(String),
}

/// Where things are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Paths {
    /// The configuration.
    pub(super) config: PathBuf,
    /// The spool, when it was given.
    pub(super) spool: Option<PathBuf>,
    /// The handlers' run directory.
    pub(super) run: PathBuf,
}

/// Reads the arguments after the program's name.
pub(super) fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Order, String> {
    let mut paths =
        Paths { config: PathBuf::from(config::DEFAULT_FILE), spool: None, run: storm::RUN.into() };
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy();
        let (name, inline) = match text.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(OsString::from(value))),
            None => (text.into_owned(), None),
        };
        let mut value = || inline.clone().or_else(|| arguments.next()).ok_or(format!("{name} needs a path"));
        match name.as_str() {
            "--config" => paths.config = value()?.into(),
            "--spool" => paths.spool = Some(value()?.into()),
            "--run" => paths.run = value()?.into(),
            "--help" | "-h" => return Ok(Order::Print(HELP.into())),
            "--version" | "-V" => {
                return Ok(Order::Print(concat!("epicored ", env!("CARGO_PKG_VERSION"), "\n").into()));
            }
            other => return Err(format!("{} is no option of epicored", crate::forward::plain(other, 100))),
        }
    }
    Ok(Order::Run(paths))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(arguments: &[&str]) -> Result<Order, String> {
        read(arguments.iter().map(OsString::from))
    }

    #[test]
    fn options_are_few_and_mistakes_are_told() {
        let want = Paths { config: "/c".into(), spool: Some("/s=1".into()), run: "/run/epicore".into() };
        assert_eq!(of(&["--config", "/c", "--spool=/s=1"]), Ok(Order::Run(want.clone())));
        let want = Paths { run: "/r".into(), spool: None, ..want };
        assert_eq!(of(&["--run", "/r", "--config=/c"]), Ok(Order::Run(want)));
        assert!(matches!(of(&["--help", "--nonsense"]), Ok(Order::Print(_))));
        assert!(of(&["--config"]).is_err_and(|error| error.contains("--config needs")));
        assert!(of(&["--forground"]).is_err_and(|error| error.contains("--forground")));
    }
}
