//! The door that the kernel knocks at: `core_pattern` runs this for every
//! crash; and a timer's, with `--census`. Everything is in the library;
//! `epicore::capture` and `epicore::census` are where to read.

use std::process::ExitCode;

use epicore::invocation::Arguments;
use epicore::{capture, census};

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
    let census = words.first().is_some_and(|word| word == "--census");
    let done = match census {
        true => census::run(words.into_iter().skip(1)),
        false => capture::from_kernel(Arguments::parse(words)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(said) => {
            eprintln!("{said}");
            ExitCode::FAILURE
        }
    }
}
