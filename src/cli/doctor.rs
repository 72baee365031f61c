//! `epicore doctor` — would a crash leave a record? If not, why not?
//!
//! ```console
//! $ epicore doctor
//! FAIL  core_pattern     belongs to the kernel (core files): core
//!                        → epicore enable
//! ok    handler          /usr/lib/epicore/epicore-handler, root's, static
//! warn  core_pipe_limit  0: the kernel waits for nobody; facts of /proc are lost
//!                        → epicore enable
//! ok    spool            /var/spool/epicore: 12 records, 84 KiB of 256 MiB
//! …
//! A crash now would leave no record: 1 check failed.
//! ```
//!
//! Each line is a check, a sentence, and where it is not ok a remedy. `warn`
//! costs facts or comfort, `FAIL` costs records, `?` could not be looked at
//! (mostly without root), which the last line says, too. `--pid PID` also looks at one running process;
//! `--crash` makes a program crash, and waits for its record.
//!
//! Exit status: 0 when nothing that was seen keeps a crash now from leaving a
//! record (warnings or not), 1 when a check failed. `--json`: one object a line: `check`, `level` ("ok",
//! "warn", "fail", "unknown"), `what`, `remedy`.

mod crash;
mod daemon;
mod handler;
mod kernel;
mod log;
mod modules;
mod process;
mod spool;
mod storm;

use std::fs;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::arguments::Common;
use super::failure::{Failure, Outcome};
use super::output::Output;
use crate::config::{self, Config};
use crate::invocation::pattern;
use crate::report::escape::{clean, columns};

/// What was typed.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Also look at this running process
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
    /// Also make a small program crash, and wait for its record
    #[arg(long)]
    crash: bool,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// As it should be.
    Ok,
    /// It could not be looked at.
    Unknown,
    /// Costs facts or comfort, not records.
    Warn,
    /// Costs records.
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name.
    pub name: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What is the case, a sentence.
    pub what: String,
    /// What to do, where there is something.
    pub remedy: Option<String>,
}

impl Check {
    fn new(level: Level, name: &'static str, what: impl Into<String>, remedy: &str) -> Check {
        let remedy = (!remedy.is_empty()).then(|| remedy.to_owned());
        Check { name, level, what: what.into(), remedy }
    }

    fn ok(name: &'static str, what: impl Into<String>) -> Check {
        Check::new(Level::Ok, name, what, "")
    }

    fn warn(name: &'static str, what: impl Into<String>, remedy: &str) -> Check {
        Check::new(Level::Warn, name, what, remedy)
    }

    fn fail(name: &'static str, what: impl Into<String>, remedy: &str) -> Check {
        Check::new(Level::Fail, name, what, remedy)
    }

    fn unknown(name: &'static str, what: impl Into<String>) -> Check {
        Check::new(Level::Unknown, name, what, "Run epicore doctor as root.")
    }
}

/// The host that is looked at; a test's is a directory.
#[derive(Clone, Debug)]
pub struct Host {
    /// Everything is below it.
    pub root: PathBuf,
    /// Kernel release, as uname(2) says.
    pub release: String,
    /// Who owns system files: root, or in a test the tester.
    pub owner: u32,
}

impl Host {
    /// This host.
    pub fn this() -> Host {
        let release = nix::sys::utsname::uname().map(|u| u.release().to_string_lossy().into_owned());
        Host { root: PathBuf::from("/"), release: release.unwrap_or_default(), owner: 0 }
    }

    fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// A small text file, trimmed; never blocks.
    fn read(&self, path: impl AsRef<Path>) -> Option<String> {
        let flags = (nix::fcntl::OFlag::O_NONBLOCK | nix::fcntl::OFlag::O_NOCTTY).bits();
        let file = fs::OpenOptions::new().read(true).custom_flags(flags).open(self.at(path)).ok()?;
        let mut bytes = Vec::new();
        file.take(crate::limits::PROC_TEXT as u64).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    }
}

/// Looks at everything.
pub fn examine(host: &Host, settings: &Config, pid: Option<u32>) -> Vec<Check> {
    let current = host.read("/proc/sys/kernel/core_pattern").unwrap_or_default();
    let installed = pattern::handler_of(&current);
    let path = installed.clone().unwrap_or_else(|| pattern::DEFAULT_HANDLER.into());
    let directory = pattern::option_of(&current, "--spool").filter(|_| installed.is_some());
    let directory = directory.unwrap_or_else(|| settings.spool_directory().to_owned());
    let mut checks = kernel::pattern(host, &current);
    checks.extend(handler::handler(host, &path));
    checks.extend(spool::spool(host, &directory, settings));
    checks.extend(kernel::settings(host));
    let newest = spool::newest(host, &directory);
    checks.extend(kernel::features(&host.release, newest.as_ref().ok().and_then(Option::as_ref)));
    checks.extend(kernel::at_boot(host, &current));
    checks.extend(kernel::neighbours(host));
    checks.extend(process::limits(host, pid));
    checks.extend(log::dropped(host, &path));
    let run = pattern::option_of(&current, "--run").filter(|_| installed.is_some());
    checks.extend(storm::storm(host, &run.unwrap_or_else(|| crate::storm::RUN.into())));
    checks.extend(modules::modules(host));
    checks.extend(spool::last_record(&newest));
    checks
}

/// Prints what was found.
pub(super) fn run(arguments: &Arguments, common: &Common, out: &mut Output) -> Outcome {
    // The handler works with a broken configuration, so the doctor does too.
    let file = common.config.clone().unwrap_or_else(|| config::DEFAULT_FILE.into());
    let (mut settings, warnings) = config::load(&file);
    let typed = common.spool.as_ref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
    settings.spool = typed.or(settings.spool);
    // Before the rest: the last record is then its own.
    let made = arguments.crash.then(|| crash::crash(&Host::this(), &settings));
    let mut checks = examine(&Host::this(), &settings, arguments.pid);
    checks.extend(daemon::daemon(&settings, out));
    checks.extend(warnings.iter().map(|w| Check::warn("configuration", w.to_string(), "Correct the file.")));
    checks.extend(made);
    print(&checks, out)?;
    let failed = checks.iter().filter(|c| c.level == Level::Fail).count();
    out.flush()?;
    if failed > 0 { Err(Failure::Told) } else { Ok(()) }
}

fn print(checks: &[Check], out: &mut Output) -> Outcome {
    if out.json {
        return checks.iter().try_for_each(|check| {
            out.json_line(&json!({
                "check": check.name, "level": word(check.level).to_lowercase(),
                "what": check.what, "remedy": check.remedy,
            }))
        });
    }
    let widest = checks.iter().map(|c| columns(c.name)).max().unwrap_or(0);
    for check in checks {
        let level = format!("{:<4}", if check.level == Level::Unknown { "?" } else { word(check.level) });
        let level = match check.level {
            Level::Ok => out.paint.green(&level),
            Level::Warn => out.paint.yellow(&level),
            Level::Fail => out.paint.red(&level),
            Level::Unknown => out.paint.dim(&level),
        };
        let what = clean(&check.what);
        out.line(&format!("{level}  {:<widest$}  {what}", check.name))?;
        if let Some(remedy) = &check.remedy {
            out.line(&format!("      {:widest$}  → {remedy}", ""))?;
        }
    }
    out.line(&out.paint.bold(&verdict(checks)))
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Ok => "ok",
        Level::Unknown => "unknown",
        Level::Warn => "warn",
        Level::Fail => "FAIL",
    }
}

fn verdict(checks: &[Check]) -> String {
    let count = |level| checks.iter().filter(|c| c.level == level).count() as u64;
    let of = crate::report::amount::of;
    match (count(Level::Fail), count(Level::Warn), count(Level::Unknown)) {
        (0, 0, 0) => "A crash now would leave a record.".to_owned(),
        (0, warnings, 0) => format!("A crash now would leave a record; {}.", of(warnings, "warning")),
        (0, warnings, unseen) => {
            let warned = if warnings > 0 { format!("{}; ", of(warnings, "warning")) } else { String::new() };
            format!(
                "Nothing that was seen keeps a crash from leaving a record; {warned}{} could not be made: \
                 root sees all.",
                of(unseen, "check")
            )
        }
        (failed, _, _) => format!("A crash now would leave no record: {} failed.", of(failed, "check")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_no_better_than_what_was_seen() {
        let (ok, warn) = (Check::ok("a", "x"), Check::warn("b", "x", "y"));
        let (unknown, fail) = (Check::unknown("c", "x"), Check::fail("d", "x", "y"));
        assert_eq!(verdict(&[ok.clone(), warn.clone()]), "A crash now would leave a record; 1 warning.");
        let unseen = verdict(&[ok.clone(), unknown.clone()]);
        assert!(unseen.starts_with("Nothing that was seen") && unseen.contains("1 check could not be made"));
        assert!(verdict(&[warn, unknown.clone()]).contains("; 1 warning; 1 check could not"));
        assert!(verdict(&[unknown, fail]).starts_with("A crash now would leave no record"));
    }
}
