//! The victims: programs that crash, and what they declare about it before
//! any handler runs. The declaration is the comment at the top of the source
//! file; tests/victims/README.md explains each line.

use std::path::PathBuf;

use super::chain::Pattern;

/// One victim, as its source file declares it.
#[derive(Clone, Debug)]
pub(crate) struct Victim {
    pub(crate) name: String,
    pub(crate) source: PathBuf,
    pub(crate) chain: Pattern,
    pub(crate) cause: String,
    /// What the record's sentence must contain (SAYS, any number of lines).
    pub(crate) says: Vec<String>,
    /// Signal number.
    pub(crate) signal: i32,
    /// Words of BUILD: compiler flags, and `strip`, `musl`.
    pub(crate) build: Vec<String>,
    /// The same for PLUGIN, when the source makes a plugin as well.
    pub(crate) plugin: Option<Vec<String>>,
    pub(crate) threads: usize,
    /// What every other thread's chain is.
    pub(crate) each: Option<Pattern>,
    /// The files it ran from are not there after the crash (FILES gone).
    pub(crate) files_gone: bool,
    /// Kernel settings under which it runs: path under /proc/sys, value.
    pub(crate) sysctl: Vec<(String, String)>,
}

/// Number of a signal by its name.
pub(crate) fn signal_number(name: &str) -> Option<i32> {
    let known = [
        ("SIGQUIT", 3),
        ("SIGILL", 4),
        ("SIGTRAP", 5),
        ("SIGABRT", 6),
        ("SIGBUS", 7),
        ("SIGFPE", 8),
        ("SIGSEGV", 11),
        ("SIGSYS", 31),
    ];
    known.iter().find(|(n, _)| *n == name).map(|(_, number)| *number)
}

impl Victim {
    /// Reads the declaration; the error says what is missing.
    pub(crate) fn declared_in(source: PathBuf, text: &str) -> Result<Victim, String> {
        let name = source.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let lines: Vec<(&str, &str)> = text
            .lines()
            .map_while(|line| line.strip_prefix("// "))
            .filter_map(|line| line.split_once(' '))
            .collect();
        let all = |key: &'static str| lines.iter().filter(move |(k, _)| *k == key).map(|(_, v)| v.trim());
        let one = |key: &'static str| all(key).next().ok_or(format!("{name}: no line `// {key} …`"));
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let signal = one("SIGNAL")?;
        Ok(Victim {
            chain: Pattern::parse(one("CHAIN")?),
            cause: one("CAUSE")?.to_owned(),
            says: all("SAYS").map(str::to_owned).collect(),
            signal: signal_number(signal).ok_or(format!("{name}: unknown signal {signal}"))?,
            build: words(one("BUILD")?),
            plugin: all("PLUGIN").next().map(words),
            threads: match all("THREADS").next() {
                Some(n) => n.parse().map_err(|_| format!("{name}: THREADS {n}"))?,
                None => 1,
            },
            each: all("EACH").next().map(Pattern::parse),
            files_gone: all("FILES").any(|v| v == "gone"),
            sysctl: all("SYSCTL")
                .map(|v| v.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned())))
                .collect::<Option<_>>()
                .ok_or(format!("{name}: SYSCTL path=value"))?,
            name,
            source,
        })
    }

    /// Every victim of tests/victims, by name. EPICORE_VICTIMS=a,b picks some
    /// while developing (the scores are then not asserted).
    pub(crate) fn all() -> Vec<Victim> {
        let picked = std::env::var("EPICORE_VICTIMS").ok();
        let picked = picked.as_deref().map(|p| p.split(',').collect::<Vec<_>>());
        let mut all: Vec<Victim> = std::fs::read_dir(super::tests_dir().join("victims"))
            .expect("tests/victims")
            .map(|entry| entry.expect("an entry").path())
            .filter(|p| p.extension().is_some_and(|e| ["c", "cpp", "rs", "S"].iter().any(|x| e == *x)))
            .map(|p| {
                let text = std::fs::read_to_string(&p).expect("a source file");
                Victim::declared_in(p, &text).unwrap_or_else(|why| panic!("{why}"))
            })
            .filter(|v| picked.as_ref().is_none_or(|p| p.contains(&v.name.as_str())))
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// One victim by name.
    pub(crate) fn named(name: &str) -> Victim {
        let mut all = Victim::all();
        let at = all.iter().position(|v| v.name == name).unwrap_or_else(|| panic!("no victim {name}"));
        all.swap_remove(at)
    }
}
