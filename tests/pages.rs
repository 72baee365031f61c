//! Manual pages and completions say what the programs understand: nothing is
//! missing, and nothing is wrong.

#[path = "support/manual.rs"]
mod manual;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use manual::{plain, source, written};

fn files(place: &Path, below: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(place.join(below)).expect(below).flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.sort();
    files
}

/// Every option and argument of a parser that is not hidden, in words that a
/// page must hold.
fn words(parser: &clap::Command) -> Vec<String> {
    let of = |argument: &clap::Arg| match (argument.get_short(), argument.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long}"),
        (Some(short), None) => format!("-{short}"),
        (None, Some(long)) => format!("--{long}"),
        (None, None) => argument.get_value_names().unwrap_or_default()[0].to_string(),
    };
    let inner = parser.get_subcommands().filter(|inner| inner.get_name() != "help");
    let inner = inner.flat_map(|inner| std::iter::once(inner.get_name().to_owned()).chain(words(inner)));
    parser.get_arguments().filter(|argument| !argument.is_hide_set()).map(of).chain(inner).collect()
}

/// The word is there, and not only the beginning of another.
fn names(page: &str, word: &str) -> bool {
    page.match_indices(word).any(|(at, _)| {
        page[at + word.len()..].bytes().next().is_none_or(|b| b != b'-' && !b.is_ascii_alphanumeric())
    })
}

#[test]
fn every_command_has_a_page_that_names_all_of_its_options() {
    let place = written();
    let mut parser = epicore::cli::command();
    parser.build();
    let overview = plain(place.path(), "man1/epicore.1");
    for command in parser.get_subcommands().filter(|command| command.get_name() != "help") {
        let name = command.get_name();
        assert!(overview.contains(&format!("epicore-{name}(1)")), "{name}");
        let page = plain(place.path(), &format!("man1/epicore-{name}.1"));
        for word in words(command) {
            assert!(names(&page, &word), "epicore-{name}(1) does not name {word}");
        }
    }
    let mut parser = epicore::collector::command();
    parser.build();
    let page = plain(place.path(), "man8/epicore-collector.8");
    for word in words(&parser) {
        assert!(names(&page, &word), "epicore-collector(8) does not name {word}");
    }
}

/// The programs that parse by hand: what their sources compare with.
#[test]
fn no_option_of_handler_and_daemon_is_missing_in_their_pages() {
    let place = written();
    let read = |file: &str| -> BTreeSet<String> {
        let code = source(file);
        let code = code.split("#[cfg(test)]").next().unwrap_or("");
        let long = code.split("\"--").skip(1).filter_map(|rest| rest.split('"').next());
        let long =
            long.filter(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
        let letters = code.split("b'").skip(1).filter(|rest| rest.contains("' =>"));
        let letters = letters
            .filter_map(|rest| rest.split('\'').next())
            .filter(|letter| letter.len() == 1 && *letter != "-");
        long.map(|name| format!("--{name}")).chain(letters.map(|letter| format!("-{letter}"))).collect()
    };
    let crash = read("src/invocation/arguments.rs");
    assert!(crash.len() >= 10, "{crash:?}");
    let handler = plain(place.path(), "man8/epicore-handler.8");
    for word in crash.into_iter().chain(read("src/census/arguments.rs")) {
        assert!(names(&handler, &word), "epicore-handler(8) does not name {word}");
    }
    let daemon = plain(place.path(), "man8/epicored.8");
    for word in read("src/daemon/arguments.rs") {
        assert!(names(&daemon, &word), "epicored(8) does not name {word}");
    }
}

#[test]
fn pages_are_the_same_every_time_and_bear_the_date_that_was_given() {
    let (one, two) = (written(), written());
    let mut count = 0;
    for section in ["man1", "man5", "man8", "completions"] {
        for (one, two) in files(one.path(), section).iter().zip(&files(two.path(), section)) {
            assert_eq!(std::fs::read(one).unwrap(), std::fs::read(two).unwrap(), "{}", one.display());
            count += 1;
        }
    }
    assert!(count >= 20, "{count}");
    assert!(plain(one.path(), "man8/epicored.8").lines().nth(1).unwrap().contains("\"2026-01-02\""));
}

#[test]
fn every_page_has_the_sections_that_readers_look_for_and_only_ascii() {
    let place = written();
    for page in ["man1", "man5", "man8"].iter().flat_map(|section| files(place.path(), section)) {
        let text = std::fs::read_to_string(&page).unwrap();
        assert!(text.is_ascii(), "{}", page.display());
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "FILES", "SEE ALSO"] {
            assert!(text.contains(&format!(".SH \"{section}\"\n")), "{}: {section}", page.display());
        }
        let program = !page.display().to_string().ends_with(".toml.5");
        assert!(!program || text.contains(".SH \"EXIT STATUS\"\n"), "{}", page.display());
    }
}

/// Runs a tool that may not be there; `None` then.
fn tool(program: &str, arguments: &[&str], file: &Path) -> Option<(bool, String)> {
    let run = Command::new(program).args(arguments).arg(file).env("LC_ALL", "C.UTF-8").output();
    let Ok(output) = run else {
        println!("skipped: {program} is not installed");
        return None;
    };
    let said = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat();
    Some((output.status.success(), said))
}

#[test]
fn groff_and_mandoc_have_nothing_to_say_against_a_page() {
    let place = written();
    for page in ["man1", "man5", "man8"].iter().flat_map(|section| files(place.path(), section)) {
        let warnings = "man --warnings -E UTF-8 -l \"$0\" 2>&1 >/dev/null";
        if tool("man", &["--version"], Path::new("")).is_some()
            && let Some((good, said)) = tool("sh", &["-c", warnings], &page)
        {
            assert!(good && said.trim().is_empty(), "{}: {said}", page.display());
        }
        if let Some((good, said)) = tool("mandoc", &["-T", "lint", "-W", "warning"], &page) {
            assert!(good, "{said}");
        }
    }
}

#[test]
fn completions_are_good_in_the_language_of_their_shell() {
    let place = written();
    let mut count = 0;
    for file in files(place.path(), "completions") {
        let (shell, flag) = match file.extension().and_then(|e| e.to_str()) {
            Some("bash") => ("bash", "-n"),
            Some("fish") => ("fish", "--no-execute"),
            _ => ("zsh", "-n"),
        };
        count += 1;
        if let Some((good, said)) = tool(shell, &[flag], &file) {
            assert!(good, "{}: {said}", file.display());
        }
    }
    assert_eq!(count, 6);
}

/// What bash would offer for these words, the last of which is being typed.
fn offered(script: &Path, words: &[&str]) -> Option<Vec<String>> {
    let program = words[0].replace('-', "__subcmd__");
    let asked = format!(
        "cd / && source {} && COMP_WORDS=({}) && COMP_CWORD={} && {{ _{program} {} {:?} {:?} 2>/dev/null; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\"; }}",
        script.display(),
        words.join(" "),
        words.len() - 1,
        words[0],
        words[words.len() - 1],
        words[words.len() - 2],
    );
    let (_, said) = tool("bash", &["-c", &asked], Path::new(""))?;
    Some(said.lines().map(str::to_owned).collect())
}

/// Files stood among the signals, and behind `show`.
#[test]
fn file_names_are_offered_for_paths_and_for_nothing_else() {
    let place = written();
    let script = place.path().join("completions/epicore.bash");
    for words in [
        &["epicore", "list", "--signal", "et"][..],
        &["epicore", "list", "--exe", "et"],
        &["epicore", "tail", "--unit", "et"],
        &["epicore", "purge", "--host", "et"],
        &["epicore", "show", "et"],
        &["epicore", "show", "--full", "et"],
        &["epicore", "list", "et"],
    ] {
        let Some(found) = offered(&script, words) else { return };
        assert_eq!(found, ["et"], "{words:?}: the word itself, or bash falls back to files");
    }
    assert_eq!(offered(&script, &["epicore", "list", "--token-file", "et"]), Some(vec!["etc".to_owned()]));
    assert_eq!(offered(&script, &["epicore", "replay", "et"]), Some(vec![String::new()]), "bash's own");
    assert_eq!(offered(&script, &["epicore", "sho"]), Some(vec!["show".to_owned()]));
    let collector = place.path().join("completions/epicore-collector.bash");
    assert_eq!(offered(&collector, &["epicore-collector", "backup", "et"]), Some(vec![String::new()]));
    let text = |name: &str| std::fs::read_to_string(place.path().join("completions").join(name)).unwrap();
    assert!(text("_epicore").contains("]:SIGNAL:' ") && text("_epicore").contains("]:FILE:_files' "));
    let fish = text("epicore.fish");
    assert!(
        fish.contains("using_subcommand show\" -f\n") && !fish.contains("using_subcommand replay\" -f\n")
    );
}
