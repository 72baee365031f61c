//! The store against the least that could be done: a bare loop of prepared
//! INSERTs of the same rows, in the same run; then how long each question
//! takes over many records.
//!
//! ```text
//! cargo bench --bench store -- [--rounds N] [--rows N] [--records N] [--at DIR]
//! cargo bench --bench store -- --train FILE      the dictionary of src/store/sqlite
//! ```
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod bare;
mod cpu;
mod dictionary;
mod fleet;
mod questions;
mod rounds;

use std::path::PathBuf;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let given = |name: &str| {
        arguments.iter().position(|argument| argument == name).and_then(|at| arguments.get(at + 1)).cloned()
    };
    let number = |name: &str, default: u64| {
        given(name).map_or(default, |text| text.parse().expect("a number behind the option"))
    };
    let directory = given("--at").map_or_else(std::env::temp_dir, PathBuf::from);
    let place = tempfile::tempdir_in(directory).unwrap();
    if let Some(file) = given("--train") {
        return dictionary::train(file.as_ref());
    }
    if let Some(records) = given("--questions") {
        return questions::run(place.path(), records.parse().unwrap());
    }
    rounds::run(place.path(), number("--rounds", 7), number("--rows", 20_000));
    // A process of its own: its memory is the store's.
    let records = number("--records", 200_000).to_string();
    let own = std::env::current_exe().unwrap();
    let at = place.path().as_os_str();
    let status =
        std::process::Command::new(own).arg("--questions").arg(records).arg("--at").arg(at).status().unwrap();
    assert!(status.success());
}
