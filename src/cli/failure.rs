//! How commands fail, and the one place where exit codes are decided.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done; a reader that went away (a broken pipe) is no failure |
//! | 1 | failed, or nothing was found |
//! | 2 | the command line or the configuration is wrong |
//!
//! Errors print as `epicore: what` and a second line that says what to do
//! next.

use std::io;
use std::process::ExitCode;

use crate::report::escape::clean;

/// Why a command ended.
#[derive(Debug)]
pub(super) enum Failure {
    /// It failed, or found nothing.
    Failed {
        /// What happened.
        what: String,
        /// What to do about it.
        next: String,
    },
    /// The command line or the configuration is wrong.
    Usage {
        /// What is wrong.
        what: String,
        /// What would be right.
        next: String,
    },
    /// Everything was said already.
    Told,
    /// Everything was said already: the configuration is wrong.
    Misconfigured,
    /// Nobody reads our output any more.
    BrokenPipe,
}

/// A command's result.
pub(super) type Outcome = Result<(), Failure>;

impl Failure {
    /// A failure and its remedy.
    pub(super) fn new(what: impl Into<String>, next: impl Into<String>) -> Failure {
        Failure::Failed { what: what.into(), next: next.into() }
    }

    /// A mistake in what was typed, and what would be right.
    pub(super) fn usage(what: impl Into<String>, next: impl Into<String>) -> Failure {
        Failure::Usage { what: what.into(), next: next.into() }
    }
}

impl From<io::Error> for Failure {
    /// Errors of writing the output; every other error has a remedy of its own.
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::BrokenPipe,
            _ => Failure::new(format!("the output could not be written: {error}"), ""),
        }
    }
}

/// Prints a failure, once, and gives its exit code.
pub(super) fn conclude(outcome: Outcome) -> ExitCode {
    outcome.map_or_else(tell, |()| ExitCode::SUCCESS)
}

/// Prints a failure that may or may not be the end.
pub(super) fn tell(failure: Failure) -> ExitCode {
    let (what, next, code) = match failure {
        Failure::BrokenPipe => return ExitCode::SUCCESS,
        Failure::Told => return ExitCode::from(1),
        Failure::Misconfigured => return ExitCode::from(2),
        Failure::Failed { what, next } => (what, next, 1),
        Failure::Usage { what, next } => (what, next, 2),
    };
    warn(&what);
    if !next.is_empty() {
        hint(&next);
    }
    ExitCode::from(code)
}

/// One line on standard error.
pub(super) fn warn(what: &str) {
    say(&format!("epicore: {}", lines(what)));
}

/// What to do next, on standard error.
pub(super) fn hint(next: &str) {
    say(&format!("         {}", lines(next)));
}

/// Standard error may be closed; that must not be a panic.
fn say(line: &str) {
    use io::Write;
    let _ = writeln!(io::stderr(), "{line}");
}

/// Our own line breaks stay; anything else that a terminal obeys does not.
fn lines(text: &str) -> String {
    text.lines().map(clean).collect::<Vec<_>>().join("\n         ")
}
