//! The command line as it is typed, and what it means together with the
//! configuration.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::failure::{self, Failure, Outcome};
use super::{
    audit, config as configuration, demo, doctor, enable, list, purge, replay, show, simulate, status, study,
    tail, verdict,
};
use crate::config::{self, Config, Warning};

const AFTER: &str = "\
Begin with `epicore doctor`: it says whether a crash on this host would leave
a record, and what to do if not. `epicore demo` shows five crashes.

Exit status: 0 done, 1 failed or nothing found, 2 wrong usage.";

/// Compact crash records straight from the kernel: no core file is written.
#[derive(Debug, Parser)]
#[command(name = "epicore", version, after_help = AFTER, max_term_width = 100, arg_required_else_help = true)]
pub(super) struct Epicore {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Common {
    /// Directory of the records [default: the configuration's, else /var/spool/epicore]
    #[arg(long, value_name = "DIR", global = true, help_heading = "Common options")]
    pub(super) spool: Option<PathBuf>,
    /// Configuration file [default: /etc/epicore/epicore.toml]
    #[arg(long, value_name = "FILE", global = true, help_heading = "Common options")]
    pub(super) config: Option<PathBuf>,
    /// Ask the collector at URL instead of this host's spool (list, show, tail,
    /// study, verdict, purge, audit; simulate sends to it)
    #[arg(
        long,
        value_name = "URL",
        global = true,
        conflicts_with = "fleet",
        help_heading = "Common options"
    )]
    pub(super) remote: Option<String>,
    /// Ask the configuration's collector instead of this host's spool (the same
    /// commands)
    #[arg(long, global = true, help_heading = "Common options")]
    pub(super) fleet: bool,
    /// File with the token for the collector [default: ~/.config/epicore/token;
    /// without it the configuration's collector.token_file, which is the host's
    /// and may as a rule only hand in records]
    #[arg(long, value_name = "FILE", global = true, help_heading = "Common options")]
    pub(super) token_file: Option<PathBuf>,
    /// Authority that signed the collector's certificate [default: the
    /// configuration's collector.ca_file, else the system's]
    #[arg(long, value_name = "FILE", global = true, help_heading = "Common options")]
    pub(super) ca_file: Option<PathBuf>,
    /// Print JSON with documented keys
    #[arg(long, global = true, help_heading = "Common options")]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Which crashes there were, the newest last
    List(list::Arguments),
    /// One crash: why, where, on which machine
    Show(show::Arguments),
    /// Would a crash leave a record? Why not?
    Doctor(doctor::Arguments),
    /// Let the kernel hand crashes to epicore
    Enable(enable::Enable),
    /// Put back what was there before `enable`
    Disable(enable::Disable),
    /// Crashes as they come
    Tail(tail::Arguments),
    /// What epicored does, and what keeps it from doing it
    Status(status::Arguments),
    /// Remove records of a user, a unit or a time, and write down who did
    Purge(purge::Arguments),
    /// Who purged, who read records of privileged processes, who judged a machine
    Audit(audit::Arguments),
    /// What is configured, and what is wrong with it
    Config(configuration::Arguments),
    /// Make a record from a core file
    Replay(replay::Arguments),
    /// Which machine, which build, which kernel, and how sure
    Study(study::Arguments),
    /// Say what was found out about a machine, or list what was said
    ///
    /// With --remote or --fleet the collector keeps verdicts, else `verdicts.toml` in the
    /// spool or the directory that --spool names. `epicore study` reads them from where it
    /// reads its records: the collector, or that file in the directory it is given. Of a
    /// single file of batches it reads none.
    Verdict(verdict::Arguments),
    /// A fleet that never was, with the truth beside it
    Simulate(simulate::Arguments),
    /// Crash five small programs and look at the records
    Demo(demo::Arguments),
}

impl Command {
    /// The name of a command that is about this host alone; `None` for one that
    /// a collector can be asked, too.
    fn of_this_host(&self) -> Option<&'static str> {
        match self {
            Command::List(_) | Command::Show(_) | Command::Tail(_) => None,
            Command::Purge(_) | Command::Audit(_) => None,
            Command::Doctor(_) => Some("doctor"),
            Command::Enable(_) => Some("enable"),
            Command::Disable(_) => Some("disable"),
            Command::Status(_) => Some("status"),
            Command::Config(_) => Some("config"),
            Command::Replay(_) => Some("replay"),
            Command::Simulate(_) | Command::Study(_) | Command::Verdict(_) => None,
            Command::Demo(_) => Some("demo"),
        }
    }
}

impl Epicore {
    /// Whoever asks for a collector does not get an answer about this host.
    pub(super) fn check(&self) -> Outcome {
        let asked = match (&self.common.remote, self.common.fleet) {
            (Some(_), _) => "--remote",
            (None, true) => "--fleet",
            (None, false) => return Ok(()),
        };
        let Some(command) = self.command.of_this_host() else { return Ok(()) };
        Err(Failure::usage(
            format!("{asked}: `{command}` is about this host alone"),
            format!("Leave {asked} out; list, show, tail, study, verdict, purge and audit take it."),
        ))
    }
}

/// Parses the command line. What clap itself answers (help, version, a
/// mistake) is printed here in our words.
pub(super) fn parse() -> Result<Epicore, ExitCode> {
    Epicore::try_parse().map_err(|error| {
        if !error.use_stderr() {
            return failure::conclude(error.print().map_err(Failure::from));
        }
        let text = error.render().to_string();
        let text = text.strip_prefix("error: ").map_or(text.clone(), |rest| format!("epicore: {rest}"));
        use std::io::Write;
        let _ = write!(std::io::stderr(), "{text}");
        ExitCode::from(2)
    })
}

impl Common {
    /// The configuration, with what was typed on top, for commands that only
    /// read: a mistake in it is told and hides no crash.
    pub(super) fn settings(&self) -> Result<Config, Failure> {
        let (settings, warnings) = self.load()?;
        warnings.iter().for_each(|warning| failure::warn(&warning.to_string()));
        Ok(settings)
    }

    /// The same for commands that change something: a mistake is an error,
    /// because what was meant is not known.
    pub(super) fn strict_settings(&self) -> Result<Config, Failure> {
        let (settings, warnings) = self.load()?;
        if warnings.is_empty() {
            return Ok(settings);
        }
        let what: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        Err(Failure::usage(what.join("\n"), "Correct the configuration; the handler ignores these."))
    }

    fn load(&self) -> Result<(Config, Vec<Warning>), Failure> {
        let file = self.config.clone().unwrap_or_else(|| PathBuf::from(config::DEFAULT_FILE));
        if self.config.is_some() && !file.exists() {
            return Err(Failure::usage(format!("{}: no such file", file.display()), "Check --config."));
        }
        let (mut settings, warnings) = config::load(&file);
        if let Some(spool) = &self.spool {
            settings.spool = Some(std::path::absolute(spool).unwrap_or_else(|_| spool.clone()));
        }
        Ok((settings, warnings))
    }
}
