//! What gdb makes of a full core: physical frames of all threads, asked for
//! through its Python interface (judge_gdb.py), with the right executable
//! given to it even where the file has been deleted.

use std::path::Path;
use std::process::Command;

use super::symbols::Pc;

/// Threads (tid, frames), the crashing one first.
pub(crate) type Stacks = Vec<(u32, Vec<Pc>)>;

pub(crate) fn stacks(core: &Path, executable: &Path, dir: &Path) -> Stacks {
    let script = super::tests_dir().join("support/judge_gdb.py");
    let output = Command::new("gdb")
        .args(["-nx", "-batch", "-iex", "set debuginfod enabled off", "-iex", "set auto-load off"])
        .args(["-ex", "set print frame-arguments none"])
        .arg("-ex")
        .arg(format!("set solib-search-path {}", dir.display()))
        .arg("-ex")
        .arg(format!("file {}", executable.display()))
        .arg("-ex")
        .arg(format!("core-file {}", core.display()))
        .arg("-x")
        .arg(script)
        .current_dir(dir)
        .stdin(std::process::Stdio::null())
        .output()
        .expect("gdb");
    parse(&String::from_utf8_lossy(&output.stdout))
}

fn parse(text: &str) -> Stacks {
    let mut stacks: Stacks = Vec::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        match (words.next(), words.next()) {
            (Some("THREAD"), Some(tid)) => stacks.push((tid.parse().unwrap_or(0), Vec::new())),
            (Some("FRAME"), Some(pc)) => {
                let exact = words.next() == Some("1");
                if let (Some((_, frames)), Ok(at)) = (stacks.last_mut(), u64::from_str_radix(pc, 16)) {
                    frames.push(Pc { at, exact });
                }
            }
            _ => {}
        }
    }
    stacks
}
