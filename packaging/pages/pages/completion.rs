//! Where file names are offered: for paths, and for nothing else.
//!
//! The generators offer them for every value of which they know nothing, and
//! shells for every word of which nobody knows.

use clap::ValueHint;
use clap_complete::Shell;

/// What takes no path takes no file name: the parser knows which is which.
pub(super) fn hinted(parser: clap::Command) -> clap::Command {
    let hint = |argument: clap::Arg| match argument.get_value_hint() {
        ValueHint::Unknown if argument.get_action().takes_values() => argument.value_hint(ValueHint::Other),
        _ => argument,
    };
    parser.mut_args(hint).mut_subcommands(hinted)
}

/// The same for words that belong to no option.
pub(super) fn without_files(parser: &clap::Command, shell: Shell, text: &str) -> String {
    match shell {
        Shell::Bash => bash(parser, text),
        Shell::Fish => fish(parser, text),
        _ => text.to_owned(),
    }
}

/// A command of which a word is a path.
fn takes_path(command: &clap::Command) -> bool {
    command.get_positionals().any(|word| word.get_value_hint() != ValueHint::Other)
}

/// bash falls back to file names where there is no other candidate: the word
/// itself is one.
fn bash(parser: &clap::Command, text: &str) -> String {
    const CANDIDATES: &str = "COMPREPLY=( $(compgen -W \"${opts}\" -- \"${cur}\") )";
    const NONE: &str = "[[ ${#COMPREPLY[@]} -gt 0 ]] || COMPREPLY=(\"${cur}\")";
    let program = parser.get_name().replace('-', "__subcmd__");
    let paths = parser.get_subcommands().filter(|inner| takes_path(inner));
    let paths: Vec<String> = paths.map(|inner| format!("{program}__subcmd__{})", inner.get_name())).collect();
    let mut of_path = false;
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        // The label of a command, in the second `case`.
        if line.starts_with("        ") && !line.starts_with("         ") && line.ends_with(')') {
            of_path = paths.iter().any(|label| line.trim() == label);
        }
        out.push_str(line);
        out.push('\n');
        if line.trim() == CANDIDATES && !of_path {
            let indent = line.len().saturating_sub(line.trim_start().len());
            out.push_str(&format!("{:indent$}{NONE}\n", ""));
        }
    }
    out
}

/// fish offers file names for every word unless it is told not to.
fn fish(parser: &clap::Command, text: &str) -> String {
    let (name, program) = (parser.get_name().replace('-', "_"), parser.get_name());
    let plain = parser.get_subcommands().filter(|inner| !takes_path(inner));
    let lines = plain.map(|inner| {
        format!("complete -c {program} -n \"__fish_{name}_using_subcommand {}\" -f\n", inner.get_name())
    });
    text.to_owned() + &lines.collect::<String>()
}
