//! The door that the kernel knocks at: `core_pattern` runs this for every
//! crash. Everything is in the library; `epicore::capture` is where to read.

use std::process::ExitCode;

use epicore::capture;
use epicore::invocation::Arguments;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    if words.iter().any(|word| word == "--version") {
        println!("epicore-handler {}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    if words.is_empty() {
        eprintln!("epicore-handler: the kernel runs this; `epicore enable` installs it");
        return ExitCode::from(2);
    }
    match capture::from_kernel(Arguments::parse(words)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(said) => {
            eprintln!("{said}");
            ExitCode::FAILURE
        }
    }
}
