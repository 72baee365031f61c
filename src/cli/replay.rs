//! `epicore replay` — a record from a core file that exists already.
//!
//! ```console
//! $ epicore replay core.4242
//! $ zstd -dc core.zst | epicore replay - --json
//! $ epicore replay core.4242 --modules ./from-that-host
//! ```
//!
//! A core holds registers, stacks and the list of mapped files; it does not
//! hold the facts of /proc, nor, under the default coredump_filter, the code.
//! What is missing for that reason is named as a gap. `--spool DIR` stores
//! the record there as well.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::arguments::Common;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::show;
use crate::capture;
use crate::record::{self, Record};
use crate::spool::{Spool, Stamp};

/// What was typed.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A core file, or - for standard input
    core: PathBuf,
    /// Everything, however long
    #[arg(long)]
    full: bool,
    /// Look for executables and libraries here too (same name, same build-id);
    /// may be given more than once
    #[arg(long, value_name = "DIR")]
    modules: Vec<PathBuf>,
}

/// Makes, prints and, where asked, stores the record.
pub(super) fn run(arguments: &Arguments, common: &Common, out: &mut Output) -> Outcome {
    let record = read(&arguments.core, &arguments.modules)?;
    if record.threads.tid.is_empty() && record.crash.signal.is_none() {
        let what = format!("{}: not a core file, or nothing of it is left", arguments.core.display());
        return Err(Failure::new(what, "`file` says what it is; a compressed core must be unpacked first."));
    }
    if let Some(path) = &common.spool {
        store(&record, path)?;
    }
    show::print(&record, arguments.full, &arguments.modules, out)
}

fn read(core: &Path, modules: &[PathBuf]) -> Result<Record, Failure> {
    if core.as_os_str() == "-" {
        return Ok(capture::replay(io::stdin().lock(), modules));
    }
    let next = "Give the path of a core file, or - for standard input.";
    let file =
        File::open(core).map_err(|error| Failure::new(format!("{}: {error}", core.display()), next))?;
    Ok(capture::replay_file(&file, modules))
}

fn store(record: &Record, path: &Path) -> Outcome {
    let failed = |why: String| {
        Failure::new(
            format!("{}: {why}", path.display()),
            "The record was not stored; leave --spool away to see it.",
        )
    };
    let spool = Spool::open(path).map_err(|error| failed(error.to_string()))?;
    let payload = record::fit(&mut record.clone()).map_err(|error| failed(error.to_string()))?;
    let id = <[u8; 16]>::try_from(record.id.0.as_slice())
        .map_err(|_| failed("the record has no id".to_owned()))?;
    let stamp = Stamp { id: id.into(), private: record.private, group: record::group(record) };
    spool.replace_with_full(stamp, &payload).map_err(|error| failed(error.to_string()))
}
