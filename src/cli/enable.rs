//! `epicore enable` and `epicore disable` — whether the kernel hands crashes
//! to epicore.
//!
//! ```console
//! # epicore enable
//! core_pattern     |/usr/lib/epicore/epicore-handler -P%P -I%I -u%u …
//! core_pipe_limit  64 (before: 0)
//! Saved in /var/lib/epicore/previous: |/usr/lib/systemd/systemd-coredump %P …
//! Each boot sets it again (/etc/sysctl.d/60-epicore.conf).
//! Try it: `epicore doctor`, then `epicore demo`.
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
//! In a chroot or a container the kernel is another system's and is left
//! alone: only what this system's next boot does is changed. `--refresh` does
//! nothing where epicore is not enabled; packages use it after an upgrade.
//!
//! `--json`: `changed`, `core_pattern`, `core_pipe_limit`, `before`, `saved`,
//! `at_boot` (enable), `fallback` (disable); in a chroot or a container
//! `kernel` ("chroot", "container") and `at_boot`.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::arguments::Common;
use super::failure::{Failure, Outcome, hint, warn};
use super::output::Output;
use crate::invocation::boot::{self, Boot, Kernel};
use crate::invocation::pattern::{self, Pattern, Refusal, Roots, Setting};
use crate::report::escape::clean;
use crate::{config, spool, storm};

/// What was typed.
#[derive(Debug, clap::Args)]
pub(super) struct Enable {
    /// The handler that the kernel runs
    #[arg(long, value_name = "PATH", default_value = pattern::DEFAULT_HANDLER)]
    handler: PathBuf,
    /// Where to save what was there
    #[arg(long, value_name = "FILE", default_value = pattern::DEFAULT_STATE)]
    state: PathBuf,
    /// Only if it is enabled already: set it again as this version would
    #[arg(long)]
    refresh: bool,
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
    let (roots, boot) = (Roots { state: arguments.state.clone(), ..Roots::default() }, Boot::default());
    if arguments.refresh && !is_enabled(&roots, &boot) {
        return out.line("epicore is not enabled here; nothing was changed.");
    }
    let settings = common.strict_settings()?;
    let spool = settings.spool_directory();
    let handler = std::path::absolute(&arguments.handler).unwrap_or_else(|_| arguments.handler.clone());
    pattern::check_handler(&handler, 0).map_err(explain)?;
    if !spool.exists() {
        spool::initialise(spool, None)
            .map_err(|error| Failure::new(format!("{}: {error}", spool.display()), ROOT))?;
        warn(&format!("{} did not exist and was made; it belongs to root", spool.display()));
    }
    let pattern = Pattern {
        handler,
        // The handler reads the default configuration by itself.
        spool: common.spool.is_some().then(|| spool.to_owned()).filter(|p| p != config::DEFAULT_SPOOL),
        config: common.config.clone().and_then(|p| std::path::absolute(p).ok()),
    };
    let pattern = if arguments.refresh { carried_over(pattern, &roots) } else { pattern };
    if let Some(around) = around(boot.kernel()) {
        return another_kernel(around, kept(&boot, &pattern), out);
    }
    let done = pattern::enable(&roots, &pattern).map_err(explain)?;
    let at_boot = kept(&boot, &pattern);
    count_from_the_first(spool);
    if out.json {
        let saved = done.saved.as_ref().map(value);
        let mut value = with(&done.now, &done.before, done.already, "saved", json!(saved));
        value["at_boot"] = json!(at_boot);
        return out.json_pretty(&value);
    }
    told(&done.now, &done.before, out)?;
    match &done.saved {
        Some(saved) => {
            out.line(&format!("Saved in {}: {}", roots.state.display(), clean(&saved.pattern)))?;
            if roots.state != Path::new(pattern::DEFAULT_STATE) {
                out.line(&format!("`epicore disable --state {}` puts it back.", roots.state.display()))?;
            }
        }
        None => out.line("Nothing is saved: `epicore disable` will set the kernel's own \"core\".")?,
    }
    match at_boot {
        true => out.line(&format!("Each boot sets it again ({}).", boot::LINK))?,
        false => out.line(
            "This lasts until the next boot: no package installed it, or its paths are not the package's.",
        )?,
    }
    out.line("Try it: `epicore doctor`, then `epicore demo`.")
}

/// Makes the handlers' ledger, which epicored compares with what the kernel tells of
/// crashes: without one it cannot know whether none began. A handler makes it, too.
fn count_from_the_first(spool: &Path) {
    let group = std::fs::metadata(spool).map_or(0, |facts| facts.gid());
    let made = crate::hardware::boot_id().map(|boot| storm::prepare(Path::new(storm::RUN), boot, group));
    if let Some(Err(errno)) = made {
        warn(&format!("{}: the ledger of crashes could not be made: {}", storm::RUN, errno.desc()));
    }
}

/// A pattern that somebody gave paths of their own keeps them.
fn carried_over(pattern: Pattern, roots: &Roots) -> Pattern {
    let Ok(now) = roots.current() else { return pattern };
    let Some(handler) = pattern::handler_of(&now.pattern) else { return pattern };
    let handler = if pattern::check_handler(&handler, 0).is_ok() { handler } else { pattern.handler };
    Pattern {
        handler,
        spool: pattern.spool.or_else(|| pattern::option_of(&now.pattern, "--spool")),
        config: pattern.config.or_else(|| pattern::option_of(&now.pattern, "--config")),
    }
}

/// The kernel runs our handler, or will from the next boot on.
fn is_enabled(roots: &Roots, boot: &Boot) -> bool {
    let runs = || roots.current().is_ok_and(|now| pattern::handler_of(&now.pattern).is_some());
    boot.is_kept() || boot.kernel() == Kernel::Own && runs()
}

/// Whether each boot sets it; a directory that cannot be written is no reason
/// not to set it now.
fn kept(boot: &Boot, pattern: &Pattern) -> bool {
    let Ok(text) = pattern.text() else { return false };
    boot.keep(&text).unwrap_or_else(|error| {
        warn(&format!("{}: {error}", boot.link.display()));
        false
    })
}

fn around(kernel: Kernel) -> Option<&'static str> {
    match kernel {
        Kernel::Own => None,
        Kernel::AroundChroot => Some("chroot"),
        Kernel::AroundContainer => Some("container"),
    }
}

/// What is said where the kernel is not this system's.
fn another_kernel(around: &str, at_boot: bool, out: &mut Output) -> Outcome {
    if out.json {
        return out.json_pretty(&json!({ "changed": false, "kernel": around, "at_boot": at_boot }));
    }
    let rest = match at_boot {
        true => "crashes go to epicore when this system boots.",
        false => "nothing was changed. Crashes here are the host's to handle: enable epicore there.",
    };
    out.line(&format!("This is a {around}, and the kernel is another system's: {rest}"))
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
    let (roots, boot) = (Roots { state: arguments.state.clone(), ..Roots::default() }, Boot::default());
    if let Err(error) = boot.forget() {
        let next = "Remove the link yourself: with it the next boot enables epicore again.";
        return Err(Failure::new(format!("{}: {error}", boot.link.display()), next));
    }
    if let Some(around) = around(boot.kernel()) {
        return another_kernel(around, false, out);
    }
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
        hint("If `enable` was given --state, what was there stands in that file.");
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
