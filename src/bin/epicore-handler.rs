//! The door that the kernel knocks at: `core_pattern` runs this for every
//! crash; and a timer's, with `--census`. Everything is in the library;
//! `epicore::capture` and `epicore::census` are where to read.

use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use epicore::invocation::{Arguments, is_piped};
use epicore::{capture, census};

const USAGE: &str = "\
epicore-handler: the kernel runs this for each crash, with -P%P first (core(5)).
  `epicore enable` installs it; `epicore doctor` says whether it would work.
  epicore-handler --census [--sampled] [--print] counts what runs; --census comes first.
  man epicore-handler has the rest.";

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    if words.iter().any(|word| word == "--version") {
        println!("epicore-handler {}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    let census = words.first().is_some_and(|word| word == "--census");
    // A person who tries it out is no crash. The kernel, whatever it was told to say, comes
    // with a pipe.
    let asked = words.iter().any(|word| word == "--help" || word == "-h");
    let names_a_process = words.iter().any(|word| word.as_bytes().starts_with(b"-P"));
    if asked || !census && !names_a_process && !is_piped() {
        eprintln!("{USAGE}");
        return if asked { ExitCode::SUCCESS } else { ExitCode::from(2) };
    }
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
