//! Builds the victims into `target/victims/NAME/`: `app` (what runs), `app.so`
//! (its plugin), and for each an unstripped twin, from which the judge takes
//! names. A victim is built again when its source, `victim.h`, its flags or
//! the recipe below have changed.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::victims::Victim;

/// What a built victim consists of.
#[derive(Clone, Debug)]
pub(crate) struct Built {
    pub(crate) app: PathBuf,
    pub(crate) app_twin: PathBuf,
    pub(crate) plugin: Option<PathBuf>,
    pub(crate) plugin_twin: Option<PathBuf>,
}

/// Change it when the recipe changes: everything is built anew.
const RECIPE: &str = "1";

/// Builds all of them, several at a time.
pub(crate) fn build_all(victims: &[Victim]) -> Vec<Built> {
    super::on_all_cpus(victims, build)
}

/// Builds one victim, if need be.
pub(crate) fn build(victim: &Victim) -> Built {
    let dir = super::target_dir().join("victims").join(&victim.name);
    std::fs::create_dir_all(&dir).expect("target/victims");
    let part = |name: &str| dir.join(name);
    let built = Built {
        app: part("app"),
        app_twin: part("app.twin"),
        plugin: victim.plugin.as_ref().map(|_| part("app.so")),
        plugin_twin: victim.plugin.as_ref().map(|_| part("app.so.twin")),
    };
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    let header = victim.source.with_file_name("victim.h");
    let stamp =
        format!("{RECIPE} {:?} {:?}\n{}{}", victim.build, victim.plugin, read(&header), read(&victim.source));
    // Two test programs may want the same victim at the same time.
    let lock = std::fs::File::create(part("lock")).expect("a lock file");
    lock.lock().expect("the lock");
    if read(&part("stamp")) != stamp {
        compile(&victim.source, &victim.build, &[], &built.app_twin, &built.app);
        if let (Some(flags), Some(twin), Some(so)) = (&victim.plugin, &built.plugin_twin, &built.plugin) {
            compile(&victim.source, flags, &["-DIS_PLUGIN", "-shared", "-fPIC"], twin, so);
        }
        std::fs::write(part("stamp"), stamp).expect("a stamp");
    }
    built
}

fn compile(source: &Path, words: &[String], more: &[&str], twin: &Path, out: &Path) {
    let (keywords, flags): (Vec<_>, Vec<_>) =
        words.iter().partition(|w| ["strip", "musl"].contains(&w.as_str()));
    let is = |k: &str| keywords.iter().any(|w| *w == k);
    let rust = source.extension().is_some_and(|e| e == "rs");
    let compiler = match source.extension().and_then(|e| e.to_str()) {
        Some("rs") => "rustc",
        Some("cpp") => "g++",
        _ if is("musl") => "musl-gcc",
        _ => "gcc",
    };
    let mut command = Command::new(compiler);
    if rust {
        command.args(["--edition", "2021", "--crate-name", "victim", "-C", "link-arg=-Wl,--build-id"]);
    } else {
        command.args(["-Wall", "-Wextra", "-Wl,--build-id", "-Wl,-z,noexecstack"]);
    }
    run(command.args(&flags).args(more).arg(source).arg("-o").arg(twin));
    if is("strip") {
        run(Command::new("strip").arg("-o").arg(out).arg(twin));
    } else {
        std::fs::copy(twin, out).expect("a copy");
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// Builds a helper of the tests (tee, launch): static, so that it runs anywhere.
pub(crate) fn helper(name: &str) -> PathBuf {
    built(name, "-static")
}

/// The same with the C library of this machine.
pub(crate) fn dynamic_helper(name: &str) -> PathBuf {
    built(name, "-ldl")
}

fn built(name: &str, flag: &str) -> PathBuf {
    let source = super::tests_dir().join("support").join(name).with_extension("c");
    let dir = super::target_dir().join("victims");
    std::fs::create_dir_all(&dir).expect("target/victims");
    let lock = std::fs::File::create(dir.join(format!("{name}.lock"))).expect("a lock file");
    lock.lock().expect("the lock");
    let out = dir.join(name);
    let age = |p: &Path| p.metadata().and_then(|m| m.modified()).ok();
    // What it includes of ours is as good as its own.
    let header = source.with_file_name("observer.h");
    if age(&out).is_none() || age(&out) < age(&source).max(age(&header)) {
        let new = dir.join(format!("{name}.new"));
        run(Command::new("gcc").args(["-O2", "-Wall", "-Wextra"]).arg(&source).arg(flag).arg("-o").arg(&new));
        std::fs::rename(&new, &out).expect("a rename");
    }
    out
}
