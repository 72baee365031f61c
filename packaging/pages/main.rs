//! Writes the manual pages and completions of all programs below a directory:
//!
//! ```console
//! $ cargo run --example pages -- target/pages
//! ```
//!
//! man1, man5 and man8 go below /usr/share/man; in `completions/` are
//! PROGRAM.bash, _PROGRAM (zsh) and PROGRAM.fish. The same sources give the
//! same bytes: the only date is that of SOURCE_DATE_EPOCH, and without it there
//! is none.

mod pages;

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(directory) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: pages DIRECTORY");
        return ExitCode::from(2);
    };
    match pages::write(&directory, &date()) {
        Ok(count) => {
            println!("{count} files in {}", directory.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("pages: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The day of SOURCE_DATE_EPOCH, or nothing.
fn date() -> String {
    let seconds = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok());
    let moment = seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    moment.map_or(String::new(), |moment| moment.strftime("%Y-%m-%d").to_string())
}
