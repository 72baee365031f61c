//! Where the words come from: files of this repository, by section.

use std::path::PathBuf;

use super::Failure;

fn path(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/")).join(name)
}

/// A file of the repository.
pub(super) fn file(name: &str) -> Result<String, Failure> {
    std::fs::read_to_string(path(name)).map_err(|error| format!("{name}: {error}"))
}

/// The module documentation of a command: `src/cli/NAME.rs`, where two
/// commands are one file under the name of the first.
pub(super) fn command(name: &str) -> Result<String, Failure> {
    let room = match name {
        "disable" => "enable",
        name => name,
    };
    let (alone, inside) = (format!("src/cli/{room}.rs"), format!("src/cli/{room}/mod.rs"));
    let text = file(&alone).or_else(|_| file(&inside)).map_err(|_| format!("{alone}: not found"))?;
    let said: String = text
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line)))
        .collect();
    match said.trim().is_empty() {
        true => Err(format!("{alone}: a command's module documentation is its manual")),
        false => Ok(said),
    }
}

/// Blocks between empty lines; a fenced block is one.
pub(super) fn blocks(text: &str) -> Vec<String> {
    let (mut blocks, mut fenced) = (vec![String::new()], false);
    for line in text.lines() {
        fenced ^= line.starts_with("```");
        if line.is_empty() && !fenced {
            blocks.push(String::new());
        } else if let Some(block) = blocks.last_mut() {
            block.push_str(line);
            block.push('\n');
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

/// All but the title.
pub(super) fn without_title(text: &str) -> String {
    text.split_once('\n')
        .filter(|(first, _)| first.starts_with("# "))
        .map_or(text, |(_, rest)| rest)
        .to_owned()
}

/// What stands before the first section, without the title.
pub(super) fn before_sections(text: &str) -> String {
    let text = without_title(text);
    text.split_once("\n## ").map_or(text.clone(), |(before, _)| before.to_owned())
}

/// A section with its heading.
pub(super) fn section(text: &str, title: &str) -> Result<String, Failure> {
    body(text, title).map(|body| format!("## {title}\n{body}"))
}

/// A section without its heading.
pub(super) fn body(text: &str, title: &str) -> Result<String, Failure> {
    let heading = format!("\n## {title}\n");
    let (_, rest) = text.split_once(&heading).ok_or(format!("no section \"{title}\""))?;
    Ok(rest.split_once("\n## ").map_or(rest, |(body, _)| body).to_owned())
}
