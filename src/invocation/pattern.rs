//! kernel.core_pattern: read, check, install, restore.
//!
//! What it needs from you: where the sysctls and the saved state are
//! ([`Roots`]; parameters, so that a test is a directory). What it gives you:
//! [`enable`] and [`disable`], which never leave a pattern that points at a
//! missing file, whatever fails on the way. Matches core(5).
//!
//! The order of writes: state first (durable before anything changes), then
//! core_pipe_limit (a handler under limit 0 would lose /proc), then the
//! pattern, which is read back because the kernel cuts it at 127 characters;
//! restoring goes the other way round. The saved state is text:
//!
//! ```text
//! epicore-previous 1
//! core_pipe_limit=0
//! core_pattern=|/usr/lib/systemd/systemd-coredump %P %u %g %s %t %c %h
//! ```

use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::limits;

/// Where the package puts the handler.
pub const DEFAULT_HANDLER: &str = "/usr/lib/epicore/epicore-handler";
/// Where `enable` saves what it found.
pub const DEFAULT_STATE: &str = "/var/lib/epicore/previous";
/// The kernel's own default, and where `disable` falls back to.
pub const KERNEL_DEFAULT: &str = "core";
/// One specifier letter for each option: nothing depends on position.
pub const SPECIFIERS: &str = "-P%P -I%I -u%u -g%g -d%d -s%s -t%t -C%C -c%c -F%F";

const MAGIC: &str = "epicore-previous 1";
const STATE_BYTES: u64 = 4096;

/// Where things are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// /proc/sys/kernel.
    pub sysctl: PathBuf,
    /// The file of the saved state.
    pub state: PathBuf,
    /// Who may own the handler: root, or in a test the tester.
    pub owner: u32,
}

impl Default for Roots {
    fn default() -> Roots {
        Roots { sysctl: PathBuf::from("/proc/sys/kernel"), state: PathBuf::from(DEFAULT_STATE), owner: 0 }
    }
}

/// What the kernel is told to do with a core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// kernel.core_pattern.
    pub pattern: String,
    /// kernel.core_pipe_limit.
    pub pipe_limit: u32,
}

/// The pattern that runs our handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Absolute path of the handler.
    pub handler: PathBuf,
    /// A spool that is not the default.
    pub spool: Option<PathBuf>,
    /// A configuration file that is not the default.
    pub config: Option<PathBuf>,
}

/// Why nothing was changed; `Display` says what and what to do.
#[derive(Debug)]
pub enum Refusal {
    /// The handler would not run, or should not.
    Handler(PathBuf, &'static str),
    /// A path in the pattern that the kernel would split or expand.
    Characters(PathBuf),
    /// More than the kernel keeps: characters, the longest part.
    TooLong(usize, String),
    /// The pattern belongs to somebody else (their pattern).
    NotOurs(String),
    /// The kernel kept something else than was written.
    Kept(String),
    /// A file could not be read or written.
    Io(PathBuf, io::Error),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Handler(path, why) => write!(f, "{}: {why}", path.display()),
            Refusal::Characters(path) => {
                write!(
                    f,
                    "{}: core_pattern cannot hold a path with spaces, % or control characters",
                    path.display()
                )
            }
            Refusal::TooLong(count, part) => write!(
                f,
                "the pattern has {count} characters and the kernel keeps {}: shorten {part} by {}",
                limits::CORE_PATTERN,
                count.saturating_sub(limits::CORE_PATTERN)
            ),
            Refusal::NotOurs(pattern) => {
                write!(f, "core_pattern belongs to {}: {pattern}", owner(pattern))
            }
            Refusal::Kept(kept) => write!(f, "the kernel kept another pattern: {kept}"),
            Refusal::Io(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for Refusal {}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> Refusal {
    |error| Refusal::Io(path.to_owned(), error)
}

/// Whose pattern it is, for people.
pub fn owner(pattern: &str) -> String {
    let Some(command) = pattern.strip_prefix('|') else {
        return if pattern.is_empty() { "nobody (empty)".into() } else { "the kernel (core files)".into() };
    };
    let program = command.trim_start().split(' ').next().unwrap_or(command);
    match program.rsplit('/').next().unwrap_or(program) {
        "systemd-coredump" => "systemd-coredump".into(),
        "apport" => "apport".into(),
        "abrt-hook-ccpp" => "abrt".into(),
        "kdumpctl" | "minicoredumper" => program.to_owned(),
        _ if handler_of(pattern).is_some() => "epicore".into(),
        _ => program.to_owned(),
    }
}

/// The handler's path, when the pattern is ours (whatever the file is called).
pub fn handler_of(pattern: &str) -> Option<PathBuf> {
    let mut words = pattern.strip_prefix('|')?.split(' ');
    let handler = words.next().filter(|path| path.starts_with('/'))?;
    let ours = words.next() == Some("-P%P") && words.next() == Some("-I%I");
    ours.then(|| PathBuf::from(handler))
}

/// The path that follows `option` in a pattern of ours.
pub fn option_of(pattern: &str, option: &str) -> Option<PathBuf> {
    let mut words = pattern.split(' ').skip_while(|word| *word != option);
    words.nth(1).map(PathBuf::from)
}

impl Pattern {
    /// The text for the kernel; refused when the kernel would cut or split it.
    pub fn text(&self) -> Result<String, Refusal> {
        let mut text = format!("|{} {SPECIFIERS}", plain(&self.handler)?);
        let mut longest = ("the handler's path (--handler)", plain(&self.handler)?.len());
        for (option, name, path) in [
            ("--spool", "the spool's path (--spool)", &self.spool),
            ("--config", "the configuration's path (--config)", &self.config),
        ] {
            let Some(path) = path else { continue };
            let path = plain(path)?;
            text = format!("{text} {option} {path}");
            if path.len() > longest.1 {
                longest = (name, path.len());
            }
        }
        if text.len() > limits::CORE_PATTERN {
            return Err(Refusal::TooLong(text.len(), longest.0.to_owned()));
        }
        Ok(text)
    }
}

/// A path that survives the kernel's splitting and expansion.
fn plain(path: &Path) -> Result<&str, Refusal> {
    let text = path.to_str().filter(|t| t.starts_with('/'));
    text.filter(|t| t.bytes().all(|b| b.is_ascii_graphic() && b != b'%'))
        .ok_or_else(|| Refusal::Characters(path.to_owned()))
}

/// The handler runs as root for every crash: it must exist, be executable,
/// and be nobody's to replace but `owner`'s — the directories above it as well.
pub fn check_handler(handler: &Path, owner: u32) -> Result<(), Refusal> {
    let refuse = |why| Err(Refusal::Handler(handler.to_owned(), why));
    plain(handler)?;
    let metadata = match fs::metadata(handler) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return refuse("does not exist"),
        Err(error) => return Err(Refusal::Io(handler.to_owned(), error)),
    };
    if !metadata.is_file() {
        return refuse("is not a regular file");
    }
    if metadata.mode() & 0o111 == 0 {
        return refuse("is not executable");
    }
    if metadata.mode() & 0o022 != 0 {
        return refuse("can be changed by its group or by everybody; it would run as root");
    }
    if ![0, owner].contains(&metadata.uid()) {
        return refuse("is not owned by root, and would run as root");
    }
    // The kernel follows the path at every crash: a link in it could lead
    // elsewhere by then.
    let real = fs::canonicalize(handler).map_err(io_at(handler))?;
    if real != handler {
        return refuse("is reached through a symbolic link; give its real path (`realpath` says it)");
    }
    for directory in real.ancestors().skip(1) {
        let metadata = fs::metadata(directory).map_err(io_at(directory))?;
        let sticky = metadata.mode() & 0o1000 != 0;
        if metadata.mode() & 0o022 != 0 && !sticky || ![0, owner].contains(&metadata.uid()) {
            return refuse("lies in a directory that others than root may change");
        }
    }
    Ok(())
}

impl Roots {
    fn pattern_file(&self) -> PathBuf {
        self.sysctl.join("core_pattern")
    }

    fn limit_file(&self) -> PathBuf {
        self.sysctl.join("core_pipe_limit")
    }

    /// What holds now.
    pub fn current(&self) -> Result<Setting, Refusal> {
        let pattern = read(&self.pattern_file()).map_err(io_at(&self.pattern_file()))?;
        let limit = read(&self.limit_file()).map_err(io_at(&self.limit_file()))?;
        Ok(Setting { pattern, pipe_limit: limit.trim().parse().unwrap_or(0) })
    }

    /// Installs a setting: the limit before the pattern.
    pub fn install(&self, setting: &Setting) -> Result<(), Refusal> {
        self.write_limit(setting.pipe_limit)?;
        self.write_pattern(&setting.pattern)
    }

    /// Restores a setting: the pattern before the limit.
    pub fn restore(&self, setting: &Setting) -> Result<(), Refusal> {
        self.write_pattern(&setting.pattern)?;
        self.write_limit(setting.pipe_limit)
    }

    fn write_limit(&self, limit: u32) -> Result<(), Refusal> {
        write(&self.limit_file(), &limit.to_string()).map_err(io_at(&self.limit_file()))
    }

    /// Writes the pattern and reads it back.
    fn write_pattern(&self, pattern: &str) -> Result<(), Refusal> {
        let file = self.pattern_file();
        write(&file, pattern).map_err(io_at(&file))?;
        let kept = read(&file).map_err(io_at(&file))?;
        if kept == pattern { Ok(()) } else { Err(Refusal::Kept(kept)) }
    }

    /// What `enable` saved; `None` when it is missing, an error in words when
    /// it is damaged.
    pub fn saved(&self) -> Result<Option<Setting>, String> {
        let text = match read(&self.state) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        parse_state(&text).map(Some).ok_or_else(|| "damaged".to_owned())
    }

    /// Saves a setting for [`Roots::saved`]: whole or not at all, durable.
    pub fn save(&self, setting: &Setting) -> Result<(), Refusal> {
        let text =
            format!("{MAGIC}\ncore_pipe_limit={}\ncore_pattern={}\n", setting.pipe_limit, setting.pattern);
        replace(&self.state, &text).map_err(io_at(&self.state))
    }
}

fn parse_state(text: &str) -> Option<Setting> {
    let mut lines = text.lines();
    lines.next().filter(|line| *line == MAGIC)?;
    let pipe_limit = lines.next()?.strip_prefix("core_pipe_limit=")?.parse().ok()?;
    let pattern = lines.next()?.strip_prefix("core_pattern=")?.to_owned();
    // The last line ends with its newline, or the write was torn.
    (text.ends_with('\n') && pattern.len() <= limits::CORE_PATTERN).then_some(Setting { pattern, pipe_limit })
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(STATE_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    // A sysctl ends with one newline that is not part of it.
    if path.file_name().is_some_and(|name| name == "core_pattern" || name == "core_pipe_limit") {
        return Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned());
    }
    Ok(text)
}

/// One write(2): the kernel takes a sysctl's value from one call.
fn write(path: &Path, value: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).truncate(true).open(path)?;
    file.write_all(format!("{value}\n").as_bytes())
}

/// Whole or not at all, 0600, durable.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(directory)?;
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let _ = fs::remove_file(&new);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    fs::File::open(directory)?.sync_all()
}

/// What `enable` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enabled {
    /// What held before this call.
    pub before: Setting,
    /// What holds now.
    pub now: Setting,
    /// Nothing had to be changed.
    pub already: bool,
    /// What `disable` will put back; `None`: nothing is saved, it will be
    /// [`KERNEL_DEFAULT`].
    pub saved: Option<Setting>,
}

/// Installs the pattern. Twice is once: what was saved first stays saved.
pub fn enable(roots: &Roots, pattern: &Pattern) -> Result<Enabled, Refusal> {
    check_handler(&pattern.handler, roots.owner)?;
    let text = pattern.text()?;
    let before = roots.current()?;
    if handler_of(&before.pattern).is_none() {
        roots.save(&before)?;
    }
    let now = Setting { pattern: text, pipe_limit: before.pipe_limit.max(limits::CORE_PIPE_LIMIT) };
    if now != before
        && let Err(refusal) = roots.install(&now)
    {
        let _ = roots.restore(&before);
        return Err(refusal);
    }
    let saved = roots.saved().ok().flatten();
    Ok(Enabled { already: now == before, before, now, saved })
}

/// What `disable` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disabled {
    /// What held before this call.
    pub before: Setting,
    /// What holds now.
    pub now: Setting,
    /// The pattern was not ours and nothing was saved: nothing was done.
    pub already: bool,
    /// Why what was saved could not be put back.
    pub fallback: Option<String>,
}

/// Puts back what was there. A pattern of somebody else's is overwritten only
/// with `force`.
pub fn disable(roots: &Roots, force: bool) -> Result<Disabled, Refusal> {
    let before = roots.current()?;
    let saved = roots.saved();
    let ours = handler_of(&before.pattern).is_some();
    if !ours && !force {
        return match saved {
            Ok(None) => Ok(Disabled { now: before.clone(), before, already: true, fallback: None }),
            // A reboot has put back what was there before `enable`.
            Ok(Some(setting)) if setting.pattern == before.pattern => {
                let _ = fs::remove_file(&roots.state);
                Ok(Disabled { now: before.clone(), before, already: true, fallback: None })
            }
            _ => Err(Refusal::NotOurs(before.pattern)),
        };
    }
    let (now, fallback) = match saved {
        Ok(Some(setting)) => usable(setting),
        Ok(None) => (plain_core(), Some("nothing was saved".to_owned())),
        Err(why) => (plain_core(), Some(format!("{}: {why}", roots.state.display()))),
    };
    roots.restore(&now)?;
    match fs::remove_file(&roots.state) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Refusal::Io(roots.state.clone(), error)),
        _ => Ok(Disabled { before, now, already: false, fallback }),
    }
}

fn plain_core() -> Setting {
    Setting { pattern: KERNEL_DEFAULT.to_owned(), pipe_limit: 0 }
}

/// A saved pipe whose program is gone by now (or is us) is not put back.
fn usable(setting: Setting) -> (Setting, Option<String>) {
    let program = setting.pattern.strip_prefix('|').and_then(|c| c.split(' ').next()).map(Path::new);
    match program {
        Some(program) if !program.is_file() => {
            (plain_core(), Some(format!("{} does not exist any more", program.display())))
        }
        _ if handler_of(&setting.pattern).is_some() => {
            (plain_core(), Some("what was saved is epicore itself".to_owned()))
        }
        _ => (setting, None),
    }
}
