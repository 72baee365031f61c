//! What enable and disable promise, on a tree that looks like /proc/sys/kernel.
#![allow(missing_docs)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use epicore::invocation::pattern::*;

const SYSTEMD: &str = "|/bin/sh -c systemd-coredump %P";

struct Tree {
    dir: tempfile::TempDir,
    roots: Roots,
}

impl Tree {
    fn new(pattern: &str) -> Tree {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        let owner = fs::metadata(&path).unwrap().uid();
        let tree =
            Tree { dir, roots: Roots { sysctl: path.clone(), state: path.join("lib/previous"), owner } };
        fs::write(path.join("core_pattern"), format!("{pattern}\n")).unwrap();
        fs::write(path.join("core_pipe_limit"), "0\n").unwrap();
        fs::write(path.join("epicore-handler"), "").unwrap();
        tree.chmod(0o755);
        tree
    }

    fn handler(&self) -> PathBuf {
        self.dir.path().join("epicore-handler")
    }

    fn chmod(&self, mode: u32) {
        fs::set_permissions(self.handler(), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn ours(&self) -> Pattern {
        Pattern { handler: self.handler(), spool: None, config: None }
    }

    fn now(&self) -> (String, u32) {
        let now = self.roots.current().unwrap();
        (now.pattern, now.pipe_limit)
    }
}

#[test]
fn disable_puts_back_exactly_what_enable_found() {
    let tree = Tree::new(SYSTEMD);
    let done = enable(&tree.roots, &tree.ours()).unwrap();
    assert_eq!(tree.now(), (tree.ours().text().unwrap(), 64));
    assert_eq!(done.saved.unwrap().pattern, SYSTEMD);
    let mode = fs::metadata(&tree.roots.state).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
    let done = disable(&tree.roots, false).unwrap();
    assert_eq!((tree.now(), done.fallback), ((SYSTEMD.to_owned(), 0), None));
    assert!(!tree.roots.state.exists());
}

#[test]
fn enabling_twice_keeps_what_was_saved_first() {
    let tree = Tree::new(SYSTEMD);
    enable(&tree.roots, &tree.ours()).unwrap();
    let again = Pattern { spool: Some("/s".into()), ..tree.ours() };
    assert!(!enable(&tree.roots, &again).unwrap().already);
    assert!(enable(&tree.roots, &again).unwrap().already);
    assert!(tree.now().0.ends_with(" --spool /s"));
    disable(&tree.roots, false).unwrap();
    assert_eq!(tree.now().0, SYSTEMD);
}

#[test]
fn a_larger_pipe_limit_of_the_administrator_stays() {
    let tree = Tree::new("core");
    fs::write(tree.dir.path().join("core_pipe_limit"), "500\n").unwrap();
    enable(&tree.roots, &tree.ours()).unwrap();
    assert_eq!(tree.now().1, 500);
}

#[test]
fn a_handler_that_others_could_replace_is_refused() {
    let tree = Tree::new("core");
    for (mode, why) in [(0o644, "not executable"), (0o777, "changed by"), (0o775, "changed by")] {
        tree.chmod(mode);
        let refusal = enable(&tree.roots, &tree.ours()).unwrap_err().to_string();
        assert!(refusal.contains(why), "{refusal}");
    }
    let missing = Pattern { handler: tree.dir.path().join("nothing"), ..tree.ours() };
    assert!(enable(&tree.roots, &missing).unwrap_err().to_string().contains("does not exist"));
    assert_eq!(tree.now(), ("core".to_owned(), 0));
    assert!(!tree.roots.state.exists());
}

#[test]
fn a_handler_in_a_directory_that_others_may_change_is_refused() {
    let tree = Tree::new("core");
    let open = tree.dir.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    fs::copy(tree.handler(), open.join("h")).unwrap();
    let refusal = check_handler(&open.join("h"), tree.roots.owner).unwrap_err().to_string();
    assert!(refusal.contains("directory"), "{refusal}");
}

#[test]
fn a_pattern_that_the_kernel_would_cut_or_split_is_refused_before_anything_changes() {
    let tree = Tree::new("core");
    let long = Pattern { spool: Some(format!("/{}", "x".repeat(100)).into()), ..tree.ours() };
    let refusal = enable(&tree.roots, &long).unwrap_err().to_string();
    assert!(refusal.contains("the spool's path (--spool)") && refusal.contains("127"), "{refusal}");
    for bad in ["/with space", "/percent%", "relative", "/tab\t"] {
        let pattern = Pattern { spool: Some(bad.into()), ..tree.ours() };
        assert!(matches!(enable(&tree.roots, &pattern), Err(Refusal::Characters(_))), "{bad}");
    }
    assert_eq!(tree.now(), ("core".to_owned(), 0));
}

#[test]
fn disable_never_overwrites_what_somebody_else_has_set_meanwhile() {
    let tree = Tree::new("core");
    enable(&tree.roots, &tree.ours()).unwrap();
    fs::write(tree.dir.path().join("core_pattern"), format!("{SYSTEMD}\n")).unwrap();
    let refusal = disable(&tree.roots, false).unwrap_err().to_string();
    assert!(refusal.contains("/bin/sh"), "{refusal}");
    assert_eq!(tree.now().0, SYSTEMD);
    disable(&tree.roots, true).unwrap();
    assert_eq!(tree.now().0, "core");
}

#[test]
fn disable_without_a_usable_saved_state_falls_back_to_core_and_says_so() {
    for damage in [None, Some("garbage"), Some("epicore-previous 1\ncore_pipe_limit=0\ncore_pattern=|/x")] {
        let tree = Tree::new(SYSTEMD);
        enable(&tree.roots, &tree.ours()).unwrap();
        match damage {
            None => fs::remove_file(&tree.roots.state).unwrap(),
            Some(text) => fs::write(&tree.roots.state, text).unwrap(),
        }
        let done = disable(&tree.roots, false).unwrap();
        assert!(done.fallback.is_some(), "{damage:?}");
        assert_eq!(tree.now(), ("core".to_owned(), 0));
    }
}

#[test]
fn a_saved_handler_that_is_gone_is_not_put_back() {
    let tree = Tree::new("|/usr/share/apport/is-gone %p");
    enable(&tree.roots, &tree.ours()).unwrap();
    let done = disable(&tree.roots, false).unwrap();
    assert!(done.fallback.unwrap().contains("does not exist any more"));
    assert_eq!(tree.now().0, "core");
}

#[test]
fn disabling_what_was_never_enabled_changes_nothing() {
    let tree = Tree::new(SYSTEMD);
    assert!(disable(&tree.roots, false).unwrap().already);
    assert_eq!(tree.now().0, SYSTEMD);
}

#[test]
fn a_handler_is_ours_by_its_arguments_and_not_by_its_name() {
    assert_eq!(handler_of("|/run/h -P%P -I%I -u%u --spool /s"), Some("/run/h".into()));
    assert_eq!(option_of("|/run/h -P%P -I%I -u%u --spool /s", "--spool"), Some("/s".into()));
    assert_eq!(handler_of("|/usr/lib/systemd/systemd-coredump %P"), None);
    assert_eq!(owner("|/usr/lib/systemd/systemd-coredump %P"), "systemd-coredump");
    assert_eq!(owner("core"), "the kernel (core files)");
}
