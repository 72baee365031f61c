//! The door of epicored.

use std::process::ExitCode;

fn main() -> ExitCode {
    epicore::daemon::run(std::env::args_os().skip(1))
}
