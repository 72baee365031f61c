//! Which pages there are, and what each is made of.
//!
//! Nothing is written here that stands elsewhere: options come from the
//! parsers, a command's description from its module documentation, keys from
//! docs/. What no source has (the handler's page, files, neighbours) is in
//! `texts/`. `tests/pages.rs` holds the pages against parsers and settings.

mod command;
mod completion;
mod markdown;
mod roff;
mod source;
mod synopsis;
mod tables;

use std::fs;
use std::path::Path;

use clap_complete::Shell;
use roff::Page;

/// Where the pages of a package point to its documents.
const HOST: &str = "/usr/share/doc/epicore";
const FLEET: &str = "/usr/share/doc/epicore-collector";

/// Why there is no page, in words.
pub(crate) type Failure = String;

/// Writes everything below `directory`, with `date` (or none) at the foot of
/// each page; says how many files that is.
pub(crate) fn write(directory: &Path, date: &str) -> Result<usize, Failure> {
    let mut files = Vec::new();
    for page in all()? {
        files.push((format!("man{}/{}.{}", page.section, page.name, page.section), page.text(date)));
    }
    for parser in [epicore::cli::command(), epicore::collector::command()] {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            files.push(completion(parser.clone(), shell));
        }
    }
    for (name, text) in &files {
        let file = directory.join(name);
        let say = |error: std::io::Error| format!("{}: {error}", file.display());
        fs::create_dir_all(file.parent().unwrap_or(directory)).map_err(say)?;
        fs::write(&file, text).map_err(say)?;
    }
    Ok(files.len())
}

fn completion(parser: clap::Command, shell: Shell) -> (String, String) {
    let mut parser = completion::hinted(parser);
    let program = parser.get_name().to_owned();
    let name = match shell {
        Shell::Zsh => format!("completions/_{program}"),
        Shell::Fish => format!("completions/{program}.fish"),
        _ => format!("completions/{program}.bash"),
    };
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut parser, program, &mut text);
    (name, completion::without_files(&parser, shell, &String::from_utf8_lossy(&text)))
}

fn all() -> Result<Vec<Page>, Failure> {
    let mut pages = command::pages(epicore::cli::command(), HOST)?;
    pages.push(command::collector(epicore::collector::command(), FLEET)?);
    pages.push(daemon()?);
    pages.push(handler()?);
    pages.push(configuration()?);
    pages.push(settings()?);
    Ok(pages)
}

fn daemon() -> Result<Page, Failure> {
    let mut page = Page::new("epicored", 8, "forward crash records to the fleet's collector");
    let text = source::file("docs/daemon.md")?;
    page.section("SYNOPSIS");
    page.line("\\fBepicored\\fR [\\fB\\-\\-config\\fR \\fIFILE\\fR] [\\fB\\-\\-spool\\fR \\fIDIR\\fR]");
    page.section("DESCRIPTION");
    page.markdown(&source::before_sections(&text), HOST);
    for title in ["When a record leaves", "The collector does not take it", "What may be wrong"] {
        page.markdown(&source::section(&text, title)?, HOST);
    }
    for title in ["The status, line by line", "Metrics", "Limits"] {
        page.markdown(&source::section(&text, title)?, HOST);
    }
    page.markdown(&source::file("packaging/pages/texts/epicored.md")?, HOST);
    Ok(page)
}

fn handler() -> Result<Page, Failure> {
    let mut page = Page::new("epicore-handler", 8, "make a crash record of what the kernel hands over");
    page.markdown(&source::file("packaging/pages/texts/epicore-handler.md")?, HOST);
    Ok(page)
}

fn configuration() -> Result<Page, Failure> {
    let mut page = Page::new("epicore.toml", 5, "configuration of epicore on a host");
    page.section("SYNOPSIS");
    page.markdown("**/etc/epicore/epicore.toml**\n\n**/etc/epicore/epicore.toml.d/\\*.toml**\n", HOST);
    page.section("DESCRIPTION");
    page.markdown(&source::without_title(&source::file("docs/configuration.md")?), HOST);
    page.markdown(&source::file("packaging/pages/texts/epicore.toml.md")?, HOST);
    Ok(page)
}

fn settings() -> Result<Page, Failure> {
    let mut page = Page::new("epicore-collector.toml", 5, "settings of epicore-collector");
    let text = source::file("docs/collector.md")?;
    page.section("SYNOPSIS");
    page.markdown("**/etc/epicore/collector.toml**\n\n**/etc/epicore/collector.toml.d/\\*.toml**\n", FLEET);
    page.section("DESCRIPTION");
    page.markdown(&source::body(&text, "Settings")?, FLEET);
    page.markdown(&source::file("packaging/pages/texts/epicore-collector.toml.md")?, FLEET);
    Ok(page)
}
