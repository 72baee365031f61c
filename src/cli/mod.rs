//! What an SRE types.
//!
//! Each command is one file: its module documentation is the user's
//! documentation, with a transcript; its `Arguments` feed the parser, the
//! help and the manual page; its `run` goes from what was typed to what the
//! program needs, and asks the rooms. `run` below is the table of contents.

mod arguments;
mod audit;
mod config;
mod demo;
pub mod doctor;
mod enable;
mod failure;
mod filter;
mod kernel;
mod list;
mod names;
mod output;
mod pile;
mod population;
mod progress;
mod purge;
mod readable;
mod records;
mod remote;
mod replay;
mod show;
mod simulate;
mod status;
mod storms;
mod study;
mod symbols;
mod tail;
mod verdict;
mod verdicts;
mod when;

use std::process::ExitCode;

use arguments::Command;
use failure::{Outcome, conclude};
use output::Output;

/// The whole program.
pub fn run() -> ExitCode {
    match arguments::parse() {
        Ok(typed) => conclude(dispatch(typed)),
        Err(code) => code,
    }
}

fn dispatch(typed: arguments::Epicore) -> Outcome {
    typed.check()?;
    let common = &typed.common;
    let mut out = Output::open(common.json);
    match typed.command {
        Command::List(arguments) => list::run(&arguments, common, &mut out),
        Command::Show(arguments) => show::run(&arguments, common, &mut out),
        Command::Doctor(arguments) => doctor::run(&arguments, common, &mut out),
        Command::Enable(arguments) => enable::enable(&arguments, common, &mut out),
        Command::Disable(arguments) => enable::disable(&arguments, &mut out),
        Command::Tail(arguments) => tail::run(&arguments, common, &mut out),
        Command::Status(arguments) => status::run(&arguments, common, &mut out),
        Command::Purge(arguments) => purge::run(&arguments, common, &mut out),
        Command::Audit(arguments) => audit::run(&arguments, common, &mut out),
        Command::Replay(arguments) => replay::run(&arguments, common, &mut out),
        Command::Config(arguments) => config::run(&arguments, common, &mut out),
        Command::Study(arguments) => study::run(&arguments, common, &mut out),
        Command::Verdict(arguments) => verdict::run(&arguments, common, &mut out),
        Command::Simulate(arguments) => simulate::run(&arguments, common, &mut out),
        Command::Demo(arguments) => demo::run(&arguments, &mut out),
    }?;
    out.flush()
}

/// The parser, for whoever generates manual pages and completions.
pub fn command() -> clap::Command {
    <arguments::Epicore as clap::CommandFactory>::command()
}
