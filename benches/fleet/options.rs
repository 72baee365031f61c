//! The words behind the command.

use std::path::PathBuf;

/// What can be measured, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Ingest,
    Study,
    Daemon,
    Idle,
    Visible,
    Census,
}

const ALL: [Part; 6] = [Part::Ingest, Part::Study, Part::Daemon, Part::Idle, Part::Visible, Part::Census];

impl Part {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Part::Ingest => "ingest",
            Part::Study => "study",
            Part::Daemon => "daemon",
            Part::Idle => "idle",
            Part::Visible => "visible",
            Part::Census => "census",
        }
    }
}

/// What is measured, and how long.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) parts: Vec<Part>,
    /// Records in the store of the study, and in the daemon's spool.
    pub(crate) records: u64,
    /// Rounds of ingest, each with three tenths of the records.
    pub(crate) rounds: u64,
    /// Shorter everywhere; verdicts are then about less than was promised.
    pub(crate) quick: bool,
    /// Where databases and spools lie.
    pub(crate) at: PathBuf,
}

impl Options {
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options =
            Options { parts: ALL.to_vec(), records: 0, rounds: 0, quick: false, at: std::env::temp_dir() };
        let mut words = words.filter(|word| word != "--bench");
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--quick" => options.quick = true,
                "--only" => options.parts = parts(&value()?)?,
                "--records" => options.records = number(&value()?)?,
                "--rounds" => options.rounds = number(&value()?)?,
                "--at" => options.at = PathBuf::from(value()?),
                _ => return Err(format!("there is no option {word}")),
            }
        }
        let or = |given: u64, whole: u64, quick: u64| match (given, options.quick) {
            (0, false) => whole,
            (0, true) => quick,
            (given, _) => given,
        };
        options.records = or(options.records, 1_000_000, 50_000);
        options.rounds = or(options.rounds, 3, 1);
        Ok(options)
    }

    /// A number that `--quick` makes smaller.
    pub(crate) fn pick(&self, whole: u64, quick: u64) -> u64 {
        if self.quick { quick } else { whole }
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.replace('_', "").parse().ok().filter(|n| *n > 0).ok_or(format!("{text} is no number above 0"))
}

fn parts(text: &str) -> Result<Vec<Part>, String> {
    let known = |name: &str| ALL.into_iter().find(|part| part.name() == name);
    let named: Result<Vec<Part>, String> =
        text.split(',').map(|name| known(name).ok_or(format!("there is no part {name}"))).collect();
    let named = named?;
    // The study comes after what fills its store, whatever was written first.
    Ok(ALL.into_iter().filter(|part| named.contains(part)).collect())
}
