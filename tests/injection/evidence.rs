//! The file of counts that statistics load: one half of its lines is measured by
//! the corpus, the other by the living.

use std::path::PathBuf;

const HEAD: &str = "class\tside\tcrashes\tgroup\toutcome\tcount\n";

/// Puts new lines in the place of one half: those of living processes, or all
/// others.
pub(crate) fn replace(living: bool, lines: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/epidemiology/evidence.tsv");
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    let kept: String = before
        .lines()
        .skip(1)
        .filter(|line| line.starts_with("-\tliving") != living)
        .map(|line| format!("{line}\n"))
        .collect();
    let (first, second) = if living { (kept.as_str(), lines) } else { (lines, kept.as_str()) };
    std::fs::write(&path, format!("{HEAD}{first}{second}")).expect("src/epidemiology/evidence.tsv");
    println!("{} is written; docs/evidence.md has its table", path.display());
}
