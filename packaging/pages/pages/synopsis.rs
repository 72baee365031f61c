//! What is typed, in one line: options with their values, and "common options"
//! for those that every command has.

use clap::{Arg, Command};

use super::roff::{Page, escape};

/// SYNOPSIS of a command.
pub(super) fn synopsis(page: &mut Page, command: &Command) {
    page.section("SYNOPSIS");
    page.line(&typed(command));
}

/// What is typed, in one line.
pub(super) fn typed(command: &Command) -> String {
    let mut words = vec![bold(command.get_bin_name().unwrap_or(command.get_name()))];
    let shown = |argument: &&Arg| !argument.is_hide_set() && !is_everywhere(argument);
    for option in command.get_arguments().filter(shown).filter(|a| !a.is_positional()) {
        let name = match (option.get_short(), option.get_long()) {
            (Some(short), None) => format!("-{short}"),
            (_, long) => format!("--{}", long.unwrap_or_default()),
        };
        let value = match option.get_action().takes_values() {
            true => format!(" {}", values(option)),
            false => String::new(),
        };
        words.push(bracketed(option, &format!("{}{value}", bold(&name))));
    }
    if command.get_arguments().any(|argument| argument.is_global_set() && !is_help(argument)) {
        words.push("[\\fIcommon options\\fR]".to_owned());
    }
    words.extend(command.get_positionals().filter(shown).map(|p| bracketed(p, &values(p))));
    if command.has_subcommands() {
        let asked = command.is_subcommand_required_set() || command.is_arg_required_else_help_set();
        words.push(if asked { "\\fICOMMAND\\fR ..." } else { "[\\fICOMMAND\\fR ...]" }.to_owned());
    }
    words.join(" ")
}

fn values(argument: &Arg) -> String {
    let names: Vec<&str> =
        argument.get_value_names().unwrap_or_default().iter().map(|n| n.as_str()).collect();
    format!("\\fI{}\\fR", escape(&names.join(" ")))
}

fn bracketed(argument: &Arg, text: &str) -> String {
    if argument.is_required_set() { text.to_owned() } else { format!("[{text}]") }
}

fn bold(text: &str) -> String {
    format!("\\fB{}\\fR", escape(text))
}

fn is_help(argument: &Arg) -> bool {
    ["help", "version"].contains(&argument.get_id().as_str())
}

/// An option that every command has.
pub(super) fn is_everywhere(argument: &Arg) -> bool {
    argument.is_global_set() || is_help(argument)
}
