//! Runs a victim in a directory of its own and says how it ended.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::workshop::{Built, helper};

/// How a run ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Run {
    /// Process id of what was started (the one that crashes may be a child).
    pub(crate) pid: i32,
    /// waitpid's status of it.
    pub(crate) status: i32,
    /// From the start to its end.
    pub(crate) ms: f64,
    pub(crate) timed_out: bool,
    /// What it wrote to stderr.
    pub(crate) said: String,
    /// The directory it ran in, and the copy of the program that ran.
    pub(crate) dir: PathBuf,
    pub(crate) app: PathBuf,
}

impl Run {
    /// `RANGE name start end`: code that no symbol table knows.
    pub(crate) fn ranges(&self) -> Vec<(String, u64, u64)> {
        let hex = |t: &str| u64::from_str_radix(t.trim_start_matches("0x"), 16).ok();
        let range = |line: &str| {
            let mut words = line.strip_prefix("RANGE ")?.split(' ');
            Some((words.next()?.to_owned(), hex(words.next()?)?, hex(words.next()?)?))
        };
        self.said.lines().filter_map(range).collect()
    }
}

/// Seconds a victim may take, its dump included.
const PATIENCE: &str = "60";

/// Runs a copy of the victim in `dir` (made here, left to the caller).
pub(crate) fn run(name: &str, built: &Built, dir: &Path, core_limit: &str) -> Run {
    std::fs::create_dir_all(dir).expect("a directory");
    super::handler_place::open_to_all(dir);
    let app = dir.join(name);
    std::fs::copy(&built.app, &app).expect("a copy of the victim");
    if let Some(plugin) = &built.plugin {
        std::fs::copy(plugin, dir.join(format!("{name}.so"))).expect("a copy of the plugin");
    }
    let said = dir.join("said");
    let output = Command::new(helper("launch"))
        .args([PATIENCE, core_limit])
        .arg(&app)
        .current_dir(dir)
        .env_clear()
        .stdin(std::process::Stdio::null())
        .stderr(File::create(&said).expect("a file"))
        .output()
        .expect("launch");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let value = |key: &str| text.lines().find_map(|l| l.strip_prefix(key)?.trim().parse::<f64>().ok());
    #[allow(clippy::cast_possible_truncation)]
    Run {
        pid: value("started").unwrap_or(0.0) as i32,
        status: value("status").unwrap_or(-1.0) as i32,
        ms: value("ms").unwrap_or(0.0),
        timed_out: value("timeout").is_some(),
        said: String::from_utf8_lossy(&std::fs::read(&said).unwrap_or_default()).into_owned(),
        dir: dir.to_owned(),
        app,
    }
}
