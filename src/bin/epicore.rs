//! The door of epicore.

use std::process::ExitCode;

fn main() -> ExitCode {
    epicore::cli::run()
}
