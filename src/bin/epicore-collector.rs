//! The door of epicore-collector.

use std::process::ExitCode;

fn main() -> ExitCode {
    epicore::collector::run()
}
