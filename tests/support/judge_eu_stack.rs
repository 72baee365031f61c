//! What eu-stack (elfutils) makes of a full core. `-a` marks frames whose pc
//! is the very instruction by the absence of "- 1".

use std::path::Path;
use std::process::Command;

use super::judge_gdb::Stacks;
use super::symbols::Pc;

pub(crate) fn stacks(core: &Path, executable: &Path, dir: &Path) -> Stacks {
    let output = Command::new("eu-stack")
        .args(["-a", "-q", "-n", "0", "--core"])
        .arg(core)
        .arg("--executable")
        .arg(executable)
        .current_dir(dir)
        .env("DEBUGINFOD_URLS", "")
        .stdin(std::process::Stdio::null())
        .output()
        .expect("eu-stack");
    parse(&String::from_utf8_lossy(&output.stdout))
}

fn parse(text: &str) -> Stacks {
    let mut stacks: Stacks = Vec::new();
    for line in text.lines() {
        if let Some(tid) = line.strip_prefix("TID ") {
            stacks.push((tid.trim_end_matches(':').parse().unwrap_or(0), Vec::new()));
        } else if let (Some((_, frames)), true) = (stacks.last_mut(), line.starts_with('#')) {
            let mut words = line.split_whitespace().skip(1).peekable();
            let pc = words.next().and_then(|w| u64::from_str_radix(w.trim_start_matches("0x"), 16).ok());
            if let Some(at) = pc {
                frames.push(Pc { at, exact: frames.is_empty() || words.peek() != Some(&"-") });
            }
        }
    }
    stacks
}
