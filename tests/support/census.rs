//! A census of this machine, run as it is installed, and what it left.
#![allow(dead_code)]

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use epicore::record::{Exposure, decode_exposure};
use epicore::spool::initialise;

/// Who owns the spool: somebody who is not root and has no name.
pub(crate) const OWNER: u32 = 61_234;

/// A spool, a directory for the ledger, a root for other files.
pub(crate) struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    /// `None`, and a line that says why, without root.
    pub(crate) fn new() -> Option<Place> {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: not root: a census looks into other users' processes");
            return None;
        }
        // Others must reach what is in it.
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let place = Place { dir };
        initialise(&place.path("spool"), Some((OWNER, OWNER))).unwrap();
        Some(place)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file, with its directories.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// `epicore-handler --census` with these words and the place's own.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_epicore-handler"));
        command.arg("--census").args(["--spool".as_ref(), self.path("spool").as_os_str()]);
        command.args(["--run".as_ref(), self.path("run").as_os_str()]);
        command.args(["--config".as_ref(), self.path("epicore.toml").as_os_str()]).args(words);
        command
    }

    /// Runs one; it must end well.
    pub(crate) fn census(&self, words: &[&str]) -> Output {
        let output = self.command(words).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output
    }

    /// Every report in the spool, oldest first. Framed as a record is: 64 bytes
    /// of header.
    pub(crate) fn reports(&self) -> Vec<Exposure> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(self.path("spool"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "exp"))
            .collect();
        files.sort();
        files.iter().map(|path| decode_exposure(&std::fs::read(path).unwrap()[64..]).unwrap()).collect()
    }

    /// Runs one and reads its report.
    pub(crate) fn report(&self, words: &[&str]) -> Exposure {
        self.census(words);
        self.reports().pop().expect("a report")
    }

    /// A root for `--root` whose /sys is this machine's.
    pub(crate) fn root(&self) -> PathBuf {
        let root = self.path("root");
        std::fs::create_dir_all(&root).unwrap();
        let sys = root.join("sys");
        if !sys.exists() {
            std::os::unix::fs::symlink("/sys", sys).unwrap();
        }
        root
    }
}

/// A program that sleeps, with a build-id of its own: `what` makes it another.
pub(crate) fn sleeper(at: &Path, what: &str) {
    let source = at.with_extension("c");
    let text = format!(
        "#include <sys/prctl.h>\n#include <unistd.h>\nconst char *what = \"{what}\";\n\
         int main(void) {{ prctl(PR_SET_NAME, \"a\\n) R 1 (b\"); for (;;) pause(); }}\n"
    );
    std::fs::write(&source, text).unwrap();
    let built = Command::new("gcc").args(["-Wl,--build-id", "-o"]).arg(at).arg(&source).output();
    let built = built.expect("gcc");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    chown(at, Some(0), Some(0)).unwrap();
}

/// What readelf says is the build-id.
pub(crate) fn build_id(file: &Path) -> String {
    let output = Command::new("readelf").arg("-n").arg(file).output().expect("readelf");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.trim().strip_prefix("Build ID: "));
    line.unwrap_or_else(|| panic!("no build-id in {text}")).to_owned()
}

/// Children that end with this value.
pub(crate) struct Children(pub(crate) Vec<std::process::Child>);

impl Children {
    pub(crate) fn of(program: &Path, count: usize) -> Children {
        let spawn = |_| Command::new(program).spawn().expect("a child");
        let children = Children((0..count).map(spawn).collect());
        // They have their name when they sleep.
        std::thread::sleep(std::time::Duration::from_millis(200));
        children
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
