//! The pages of what clap parses: synopsis and options from the parser, the
//! rest from the command's own words.

use clap::Command;
use clap_mangen::Man;

use super::roff::{Page, escape, whole_paths};
use super::synopsis::{is_everywhere, synopsis, typed};
use super::{Failure, source};

const STATUS: &str = "0 done, 1 failed or nothing found, 2 the command line or the configuration is wrong.";

/// The page of epicore, and one for each of its commands.
pub(super) fn pages(parser: Command, docs: &str) -> Result<Vec<Page>, Failure> {
    let parser = built(parser);
    let names: Vec<String> = commands(&parser).map(|command| command.get_name().to_owned()).collect();
    let mut pages = vec![overview(&parser, docs)?];
    for command in commands(&parser) {
        pages.push(one(command, &names, docs)?);
    }
    Ok(pages)
}

/// The page of epicore-collector: parser and docs/collector.md.
pub(super) fn collector(parser: Command, docs: &str) -> Result<Page, Failure> {
    let parser = built(parser);
    let text = source::file("docs/collector.md")?;
    let mut page = Page::new("epicore-collector", 8, "keep the crash records of a fleet");
    synopsis(&mut page, &parser);
    page.section("DESCRIPTION");
    page.markdown(&source::before_sections(&text), docs);
    nested(&mut page, &parser);
    options(&mut page, &parser);
    page.section("OPERATION");
    let titles = [
        "Install by hand",
        "Secrets and tokens",
        "Client certificates",
        "Sizing",
        "Backup",
        "Health and metrics",
        "Removing what should not be there",
        "Upgrade",
    ];
    for title in titles {
        page.markdown(&source::section(&text, title)?, docs);
    }
    page.markdown(&source::file("packaging/pages/texts/epicore-collector.md")?, docs);
    Ok(page)
}

fn overview(parser: &Command, docs: &str) -> Result<Page, Failure> {
    let readme = source::file("README.md")?;
    let mut page = Page::new("epicore", 1, &about(parser));
    synopsis(&mut page, parser);
    page.section("DESCRIPTION");
    page.markdown(&source::before_sections(&readme), docs);
    page.markdown(&source::section(&readme, "What it does not do")?, docs);
    page.section("COMMANDS");
    for command in commands(parser) {
        page.line(&format!(
            ".TP\n\\fBepicore\\-{}\\fR(1)\n{}",
            escape(command.get_name()),
            escape(&command.get_about().map(ToString::to_string).unwrap_or_default())
        ));
    }
    options(&mut page, parser);
    page.markdown(&source::file("packaging/pages/texts/epicore.md")?, docs);
    Ok(page)
}

/// A command's words: transcripts are the examples, what begins with "Exit
/// status" has a section of its own, the rest describes.
fn one(command: &Command, all: &[String], docs: &str) -> Result<Page, Failure> {
    let name = command.get_name();
    let text = source::command(name)?;
    let blocks = source::blocks(&text);
    let (examples, words): (Vec<_>, Vec<_>) = blocks.into_iter().partition(|b| b.starts_with("```console"));
    let (status, words): (Vec<_>, Vec<_>) = words.into_iter().partition(|b| b.starts_with("Exit status"));
    let mut page = Page::new(&format!("epicore-{name}"), 1, &about(command));
    synopsis(&mut page, command);
    page.section("DESCRIPTION");
    let (status, further) = status_alone(status);
    page.markdown(&sentence(&words.join("\n")), docs);
    page.markdown(&further, docs);
    nested(&mut page, command);
    options(&mut page, command);
    page.section("EXIT STATUS");
    page.markdown(&status, docs);
    page.markdown(&files(name), docs);
    if !examples.is_empty() {
        page.section("EXAMPLES");
        page.markdown(&examples.join("\n"), docs);
    }
    page.section("SEE ALSO");
    let near = all.iter().filter(|other| *other != name).map(|other| format!("**epicore-{other}**(1)"));
    let near: Vec<String> = std::iter::once("**epicore**(1)".to_owned()).chain(near).collect();
    page.markdown(&format!("{}, **epicore.toml**(5), **epicored**(8)", near.join(", ")), docs);
    Ok(page)
}

/// The exit status, and what follows it in the same paragraph: what `--json`
/// prints is no part of it.
fn status_alone(said: Vec<String>) -> (String, String) {
    let Some((_, told)) = said.first().and_then(|block| block.split_once(": ")) else {
        return (STATUS.to_owned(), String::new());
    };
    let (status, further) = told.split_at(told.find("`--json`").unwrap_or(told.len()));
    (status.to_owned(), further.to_owned())
}

fn files(name: &str) -> String {
    let more = match name {
        "enable" | "disable" => {
            "\n| `/var/lib/epicore/previous` | what the kernel was told before |\n\
             | `/etc/sysctl.d/60-epicore.conf` | the setting at boot: a link to /usr/lib/epicore/60-epicore.conf |\n\
             | `/proc/sys/kernel/core_pattern`, `core_pipe_limit` | what it writes, see core(5) |"
        }
        "status" => "\n| `/run/epicored/epicored.sock` | where epicored answers |",
        "verdict" => {
            "\n| `/var/spool/epicore/verdicts.toml` | what was found out, where no collector keeps it |\n\
             | `~/.config/epicore/token` | the token of who asks a collector |"
        }
        "list" | "show" | "tail" | "study" | "purge" | "audit" => {
            "\n| `~/.config/epicore/token` | the token of who asks a collector |"
        }
        _ => "",
    };
    format!(
        "# Files\n\n| key | what it is |\n|---|---|\n| `/etc/epicore/epicore.toml` | the configuration |\n\
         | `/var/spool/epicore` | the records |{more}\n"
    )
}

/// The first sentence without the command that it is about.
fn sentence(words: &str) -> String {
    let Some((_, rest)) = words.split_once("— ").filter(|(before, _)| before.starts_with('`')) else {
        return words.to_owned();
    };
    let mut letters = rest.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

fn built(parser: Command) -> Command {
    let mut parser = parser.disable_help_subcommand(true);
    parser.build();
    parser
}

fn commands(parser: &Command) -> impl Iterator<Item = &Command> {
    parser.get_subcommands().filter(|command| !command.is_hide_set())
}

/// What whatis(1) shows: no capital, no full stop.
fn about(command: &Command) -> String {
    let text = command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut letters = text.trim_end_matches('.').chars();
    letters.next().map_or(String::new(), |first| first.to_lowercase().chain(letters).collect())
}

fn rendered(write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut bytes = Vec::new();
    match write(&mut bytes) {
        Ok(()) => tidy(&String::from_utf8_lossy(&bytes)),
        Err(_) => String::new(),
    }
}

/// clap_mangen's text in ASCII, with whole paths, and without its preamble for
/// every part.
fn tidy(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with(".ie ") && !line.starts_with(".el "));
    let one_letter = |c: char| if c.is_ascii() { c.to_string() } else { escape(&c.to_string()) };
    let tidied = lines.map(|line| {
        let line = whole_paths(&line.replace("\\*(Aq", "\\(aq"));
        line.chars().map(one_letter).collect::<String>() + "\n"
    });
    tidied.collect()
}

fn options(page: &mut Page, command: &Command) {
    page.line(&rendered(|to| Man::new(command.clone()).render_options_section(to)));
}

/// Commands inside a command, on its own page.
fn nested(page: &mut Page, command: &Command) {
    if !command.has_subcommands() {
        return;
    }
    page.section("COMMANDS");
    for inner in commands(command) {
        page.line(&format!(".SS \"{}\"", escape(inner.get_name())));
        page.line(&typed(inner));
        page.line(".PP");
        page.line(&escape(&inner.get_about().map(ToString::to_string).unwrap_or_default()));
        let own: Vec<clap::Id> =
            inner.get_arguments().filter(|a| !is_everywhere(a)).map(|a| a.get_id().clone()).collect();
        let alone = inner.clone().mut_args(|argument| {
            let hide = !own.contains(argument.get_id());
            argument.hide(hide)
        });
        let options = rendered(|to| Man::new(alone).render_options_section(to));
        page.line(&options.replace(".SH OPTIONS\n", ""));
    }
}
