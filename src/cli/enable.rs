//! `epicore enable` and `epicore disable` — whether the kernel hands crashes
//! to epicore.
//!
//! ```console
//! # epicore enable
//! core_pattern     |/usr/lib/epicore/epicore-handler -P%P -I%I -u%u …
//! core_pipe_limit  64 (before: 0)
//! Saved in /var/lib/epicore/previous: |/usr/lib/systemd/systemd-coredump %P …
//! Try it: `epicore doctor`, then `epicore demo`. This lasts until the next boot.
//! # epicore disable
//! core_pattern     |/usr/lib/systemd/systemd-coredump %P %u %g %s %t %c %h
//! core_pipe_limit  16 (before: 64)
//! ```
//!
//! `enable` refuses a handler that others than root could replace, and a
//! pattern that the kernel would cut. It may be repeated: what was there
//! before the first time stays saved. `disable` refuses to overwrite a pattern
//! that somebody else has set meanwhile, unless --force; what cannot be put
//! back (nothing saved, damaged, a handler that is gone) becomes the kernel's
//! own "core", and is said.
//!
//! `--json`: `changed`, `core_pattern`, `core_pipe_limit`, `before`, `saved`
//! (enable), `fallback` (disable).

use std::path::PathBuf;

use serde_json::{Value, json};

use super::arguments::Common;
use super::failure::{Failure, Outcome, warn};
use super::output::Output;
use crate::invocation::pattern::{self, Pattern, Refusal, Roots, Setting};
use crate::report::escape::clean;
use crate::{config, spool};

/// What was typed.
#[derive(Debug, clap::Args)]
pub(super) struct Enable {
    /// The handler that the kernel runs
    #[arg(long, value_name = "PATH", default_value = pattern::DEFAULT_HANDLER)]
    handler: PathBuf,
    /// Where to save what was there
    #[arg(long, value_name = "FILE", default_value = pattern::DEFAULT_STATE)]
    state: PathBuf,
}

/// What was typed.
#[derive(Debug, clap::Args)]
pub(super) struct Disable {
    /// Where `enable` saved what was there
    #[arg(long, value_name = "FILE", default_value = pattern::DEFAULT_STATE)]
    state: PathBuf,
    /// Overwrite a pattern that is not epicore's
    #[arg(long)]
    force: bool,
}

/// Installs the pattern.
pub(super) fn enable(arguments: &Enable, common: &Common, out: &mut Output) -> Outcome {
    be_root()?;
    let settings = common.settings()?;
    let spool = settings.spool_directory();
    let handler = std::path::absolute(&arguments.handler).unwrap_or_else(|_| arguments.handler.clone());
    pattern::check_handler(&handler, 0).map_err(explain)?;
    if !spool.exists() {
        spool::initialise(spool, None)
            .map_err(|error| Failure::new(format!("{}: {error}", spool.display()), ROOT))?;
        warn(&format!("{} did not exist and was made; it belongs to root", spool.display()));
    }
    let roots = Roots { state: arguments.state.clone(), ..Roots::default() };
    let pattern = Pattern {
        handler,
        // The handler reads the default configuration by itself.
        spool: common.spool.is_some().then(|| spool.to_owned()).filter(|p| p != config::DEFAULT_SPOOL),
        config: common.config.clone().and_then(|p| std::path::absolute(p).ok()),
    };
    let done = pattern::enable(&roots, &pattern).map_err(explain)?;
    if out.json {
        let saved = done.saved.as_ref().map(value);
        return out.json_pretty(&with(&done.now, &done.before, done.already, "saved", json!(saved)));
    }
    told(&done.now, &done.before, out)?;
    match &done.saved {
        Some(saved) => out.line(&format!("Saved in {}: {}", roots.state.display(), clean(&saved.pattern)))?,
        None => out.line("Nothing is saved: `epicore disable` will set the kernel's own \"core\".")?,
    }
    out.line("Try it: `epicore doctor`, then `epicore demo`. This lasts until the next boot.")
}

/// Only root reads what was saved, and writes the kernel's settings.
fn be_root() -> Outcome {
    match nix::unistd::geteuid().is_root() {
        true => Ok(()),
        false => Err(Failure::new("kernel.core_pattern is for root to set", ROOT)),
    }
}

/// Puts back what was there.
pub(super) fn disable(arguments: &Disable, out: &mut Output) -> Outcome {
    be_root()?;
    let roots = Roots { state: arguments.state.clone(), ..Roots::default() };
    let done = pattern::disable(&roots, arguments.force).map_err(explain)?;
    if out.json {
        let fallback = json!(done.fallback);
        return out.json_pretty(&with(&done.now, &done.before, done.already, "fallback", fallback));
    }
    if done.already {
        let owner = pattern::owner(&done.now.pattern);
        return out.line(&format!("epicore is not enabled; core_pattern belongs to {}.", clean(&owner)));
    }
    if let Some(why) = &done.fallback {
        warn(&format!("what was there before could not be put back ({why}): core_pattern is \"core\" now"));
    }
    told(&done.now, &done.before, out)
}

fn told(now: &Setting, before: &Setting, out: &mut Output) -> Outcome {
    let was = |same: bool, text: String| if same { " (unchanged)".to_owned() } else { text };
    let unchanged = was(now.pattern == before.pattern, String::new());
    out.line(&format!("core_pattern     {}{unchanged}", clean(&now.pattern)))?;
    let before = was(now.pipe_limit == before.pipe_limit, format!(" (before: {})", before.pipe_limit));
    out.line(&format!("core_pipe_limit  {}{before}", now.pipe_limit))
}

fn value(setting: &Setting) -> Value {
    json!({ "core_pattern": setting.pattern, "core_pipe_limit": setting.pipe_limit })
}

fn with(now: &Setting, before: &Setting, already: bool, key: &str, extra: Value) -> Value {
    json!({
        "changed": !already, "core_pattern": now.pattern, "core_pipe_limit": now.pipe_limit,
        "before": value(before), key: extra,
    })
}

const ROOT: &str = "This needs root: try it with sudo.";

fn explain(refusal: Refusal) -> Failure {
    use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    let next = match &refusal {
        Refusal::Handler(..) => {
            "Install the handler (`make build`, or the package), or name it with --handler."
        }
        Refusal::Characters(_) => "Use a path of plain characters.",
        Refusal::TooLong(..) => {
            "Put the spool into the configuration file instead of --spool, or use shorter paths."
        }
        Refusal::NotOurs(_) => {
            "It was set after `epicore enable`. --force overwrites it; or leave it as it is."
        }
        Refusal::Kept(_) => {
            "What was there before has been put back. Please report this with your kernel's version."
        }
        Refusal::Io(_, error) if error.kind() == PermissionDenied => ROOT,
        Refusal::Io(_, error) if error.kind() == ReadOnlyFilesystem => {
            "The system's settings are read-only here (a container?): do it on the host."
        }
        Refusal::Io(..) => "`epicore doctor` looks at everything that is needed.",
    };
    Failure::new(refusal.to_string(), next)
}
