//! The manual pages as they are generated, and sources to hold them against.

#[path = "../../packaging/pages/pages/mod.rs"]
mod pages;

use std::path::{Path, PathBuf};

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn source(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(crate) fn written() -> tempfile::TempDir {
    let place = tempfile::tempdir().expect("a directory");
    pages::write(place.path(), "2026-01-02").expect("pages");
    place
}

/// A page without its fonts and break points.
pub(crate) fn plain(place: &Path, page: &str) -> String {
    let text = std::fs::read_to_string(place.join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
    let marks = ["\\fB", "\\fI", "\\fR", "\\%", "\\:", "\\&"];
    let text = marks.iter().fold(text, |text, mark| text.replace(mark, ""));
    text.replace("\\-", "-").replace("\\(aq", "'")
}
