//! `epicore replay` — a record from a core file that exists already.
//!
//! ```console
//! $ epicore replay core.4242
//! $ zstd -dc core.zst | epicore replay - --json
//! ```
//!
//! A core holds registers, stacks and the list of mapped files; it does not
//! hold the facts of /proc, nor, under the default coredump_filter, the code.
//! What is missing for that reason is named as a gap. `--spool DIR` stores
//! the record there as well.

use super::arguments::Common;
use super::failure::{Failure, Outcome};
use super::output::Output;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A core file, or - for standard input
    core: std::path::PathBuf,
    /// Everything, however long
    #[arg(long)]
    full: bool,
}

/// Makes, prints and, where asked, stores the record.
pub(super) fn run(arguments: &Arguments, common: &Common, out: &mut Output) -> Outcome {
    let _ = (arguments.full, &arguments.core, &common.spool, &out.json);
    Err(Failure::new("replay is not built yet", "It comes with capture::replay."))
}
