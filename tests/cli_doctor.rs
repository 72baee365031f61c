//! What doctor promises, on trees that look like hosts.
#![allow(missing_docs)]

#[allow(dead_code)]
#[path = "support/pattern_guard.rs"]
mod pattern_guard;
#[path = "support/records.rs"]
mod records;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use epicore::cli::doctor::{Check, Host, Level, examine};
use epicore::config::Config;
use epicore::storm::{Crashed, Key, Outcome, Rate, Rules, Storm, Verdict};

const OURS: &str = "|/usr/lib/epicore/epicore-handler -P%P -I%I -u%u -g%g -d%d -s%s -t%t -C%C -c%c -F%F";

struct Tree {
    dir: tempfile::TempDir,
    release: &'static str,
}

impl Tree {
    /// A host on which all is well.
    fn healthy() -> Tree {
        let tree = Tree { dir: tempfile::tempdir().unwrap(), release: "6.18.44" };
        tree.put("proc/sys/kernel/core_pattern", OURS);
        tree.put("proc/sys/kernel/core_pipe_limit", "64");
        tree.put("proc/sys/kernel/yama/ptrace_scope", "1");
        tree.put("proc/sys/fs/suid_dumpable", "2");
        tree.put("proc/1/limits", &limits("0"));
        tree.put("dev/kmsg", "6,1,1,-;Linux version 6.18.44");
        tree.put("etc/sysctl.d/60-epicore.conf", &format!("kernel.core_pattern = {OURS}"));
        let handler = tree.put("usr/lib/epicore/epicore-handler", "");
        fs::write(&handler, elf(&[1, 6])).unwrap();
        fs::set_permissions(&handler, fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir_all(tree.at("var/spool")).unwrap();
        records::spool(&tree.at("var/spool/epicore"), &[]);
        tree
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn put(&self, path: &str, text: &str) -> PathBuf {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("{text}\n")).unwrap();
        path
    }

    fn examine(&self, pid: Option<u32>) -> Vec<Check> {
        let owner = fs::metadata(self.dir.path()).unwrap().uid();
        let host = Host { root: self.dir.path().to_owned(), release: self.release.to_owned(), owner };
        examine(&host, &Config::default(), pid)
    }

    /// The one check that is not as it should be.
    fn only(&self, pid: Option<u32>) -> (Level, &'static str, String) {
        let wrong: Vec<Check> = self.examine(pid).into_iter().filter(|c| c.level != Level::Ok).collect();
        assert_eq!(wrong.len(), 1, "{wrong:#?}");
        assert!(wrong[0].remedy.is_some(), "{wrong:#?}");
        (wrong[0].level, wrong[0].name, wrong[0].what.clone())
    }
}

fn limits(core: &str) -> String {
    format!(
        "Limit                     Soft Limit           Hard Limit           Units\nMax core file size        {core}                    unlimited            bytes"
    )
}

/// A 64-bit ELF header with program headers of these types.
fn elf(kinds: &[u32]) -> Vec<u8> {
    let mut bytes = vec![0; 64 + 56 * kinds.len()];
    bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
    bytes[0x20..0x28].copy_from_slice(&64u64.to_le_bytes());
    bytes[0x38..0x3a].copy_from_slice(&u16::try_from(kinds.len()).unwrap().to_le_bytes());
    for (index, kind) in kinds.iter().enumerate() {
        bytes[64 + 56 * index..][..4].copy_from_slice(&kind.to_le_bytes());
    }
    bytes
}

#[test]
fn a_healthy_host_has_nothing_to_complain_about() {
    let wrong: Vec<Check> =
        Tree::healthy().examine(None).into_iter().filter(|c| c.level != Level::Ok).collect();
    assert_eq!(wrong, []);
}

#[test]
fn each_thing_that_costs_records_is_found_alone() {
    type Break = fn(&Tree);
    let broken: [(&str, Break, Level); 13] = [
        ("at boot", |t| fs::remove_file(t.at("etc/sysctl.d/60-epicore.conf")).unwrap(), Level::Warn),
        ("core_pattern", |t| drop(t.put("proc/sys/kernel/core_pattern", "core")), Level::Fail),
        ("core_pipe_limit", |t| drop(t.put("proc/sys/kernel/core_pipe_limit", "0")), Level::Warn),
        ("kill switch", |t| drop(t.put("run/epicore/disabled", "")), Level::Fail),
        ("handler", |t| fs::remove_file(t.at("usr/lib/epicore/epicore-handler")).unwrap(), Level::Fail),
        (
            "handler",
            |t| fs::write(t.at("usr/lib/epicore/epicore-handler"), "#!/bin/sh\n").unwrap(),
            Level::Fail,
        ),
        (
            "handler",
            |t| fs::write(t.at("usr/lib/epicore/epicore-handler"), elf(&[3, 1])).unwrap(),
            Level::Warn,
        ),
        ("spool", |t| fs::remove_dir_all(t.at("var/spool/epicore")).unwrap(), Level::Fail),
        ("spool", |t| drop(t.put("var/spool/epicore/notes.txt", "mine")), Level::Warn),
        ("suid_dumpable", |t| drop(t.put("proc/sys/fs/suid_dumpable", "1")), Level::Warn),
        ("ptrace_scope", |t| drop(t.put("proc/sys/kernel/yama/ptrace_scope", "3")), Level::Warn),
        ("neighbours", |t| drop(t.put("etc/init.d/apport", "")), Level::Warn),
        ("RLIMIT_CORE", |t| drop(t.put("proc/1/limits", &limits("1"))), Level::Fail),
    ];
    for (name, break_it, level) in broken {
        let tree = Tree::healthy();
        break_it(&tree);
        let (found, where_, what) = tree.only(None);
        assert_eq!((found, where_), (level, name), "{what}");
    }
}

#[test]
fn a_spool_that_everybody_may_write_is_a_failure() {
    let tree = Tree::healthy();
    fs::set_permissions(tree.at("var/spool/epicore"), fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(tree.only(None).0, Level::Fail);
}

#[test]
fn the_spool_is_the_one_that_the_pattern_names() {
    let tree = Tree::healthy();
    fs::rename(tree.at("var/spool/epicore"), tree.at("var/spool/other")).unwrap();
    assert_eq!(tree.only(None).1, "spool");
    tree.put("proc/sys/kernel/core_pattern", &format!("{OURS} --spool /var/spool/other"));
    assert!(tree.examine(None).iter().all(|c| c.level == Level::Ok));
}

#[test]
fn dropped_dumps_are_counted_from_the_kernels_log() {
    let tree = Tree::healthy();
    let line = "4,9,9,-;coredump: 42(x): over core_pipe_limit, skipping core dump";
    tree.put("dev/kmsg", &format!("{line}\n{line}\n SUBSYSTEM=over core_pipe_limit"));
    let (level, name, what) = tree.only(None);
    assert_eq!((level, name), (Level::Warn, "kernel log"));
    assert!(what.starts_with("at least 2 crashes dropped"), "{what}");
}

#[test]
fn an_old_kernel_is_told_what_it_lacks() {
    let tree = Tree { release: "4.18.0-553.el8_10.x86_64", ..Tree::healthy() };
    let lacks: Vec<Check> = tree.examine(None).into_iter().filter(|c| c.level == Level::Warn).collect();
    assert_eq!(lacks.len(), 3, "{lacks:#?}");
    assert!(lacks.iter().all(|c| c.name == "kernel"));
}

#[test]
fn what_a_record_shows_to_be_there_is_there_whatever_the_version() {
    let tree = Tree { release: "6.1.0-49-amd64", ..Tree::healthy() };
    fs::remove_dir_all(tree.at("var/spool/epicore")).unwrap();
    let mut record = records::null_read();
    record.capture.identity = Some("pidfd".to_owned());
    record.crash.cpu = None;
    records::spool(&tree.at("var/spool/epicore"), &[record]);
    let (level, name, what) = tree.only(None);
    assert_eq!((level, name), (Level::Warn, "kernel"), "only %C is missing: {what}");
    assert!(what.contains("%C"), "{what}");
}

#[test]
fn a_process_with_a_core_limit_of_one_is_found() {
    let tree = Tree::healthy();
    let uid = fs::metadata(tree.dir.path()).unwrap().uid();
    tree.put("proc/77/limits", &limits("1"));
    tree.put("proc/77/status", &format!("Name:\tx\nUid:\t{uid}\t{uid}\t{uid}\t{uid}"));
    let (level, name, what) = tree.only(Some(77));
    assert_eq!((level, name), (Level::Fail, "process"), "{what}");
    assert!(what.contains("soft core limit of 1"));
    assert!(tree.only(Some(78)).2.contains("there is no process 78"));
}

#[test]
fn the_newest_record_tells_what_it_lacks() {
    let tree = Tree::healthy();
    fs::remove_dir_all(tree.at("var/spool/epicore")).unwrap();
    let mut record = records::null_read();
    record.kind = epicore::record::Kind::Minimal;
    records::spool(&tree.at("var/spool/epicore"), &[record]);
    assert!(tree.only(None).2.contains("minimal"));
}

#[test]
fn what_sets_core_pattern_earlier_at_boot_is_no_trouble_and_what_sets_it_last_is() {
    let tree = Tree::healthy();
    tree.put("usr/lib/sysctl.d/50-coredump.conf", "");
    assert!(tree.examine(None).iter().all(|c| c.level == Level::Ok));
    fs::remove_file(tree.at("etc/sysctl.d/60-epicore.conf")).unwrap();
    let wrong: Vec<&str> =
        tree.examine(None).into_iter().filter(|c| c.level != Level::Ok).map(|c| c.name).collect();
    assert_eq!(wrong, ["at boot", "neighbours"]);
}

#[test]
fn what_a_security_module_denied_is_told_and_others_denials_are_not() {
    let tree = Tree::healthy();
    assert!(tree.examine(None).iter().all(|c| c.name != "security modules"), "there are none");
    tree.put("sys/fs/selinux/enforce", "1");
    let denied = |who: &str| {
        format!(
            "5,7,7,-;audit: type=1400 audit(1.2:3): avc:  denied  {{ write }} for pid=9 comm=\"{who}\" x=\x1b[31m"
        )
    };
    tree.put("dev/kmsg", &denied("nginx"));
    assert!(tree.examine(None).iter().all(|c| c.level == Level::Ok));
    tree.put("dev/kmsg", &denied("epicore-handler"));
    tree.put("var/log/audit/audit.log", &denied("epicored"));
    let (level, name, what) = tree.only(None);
    assert_eq!((level, name), (Level::Warn, "security modules"));
    assert!(what.starts_with("SELinux enforces; at least 2 denials of epicore, the last: avc:"), "{what}");
}

/// Without root the spool was a `?` and the last line said that all is well.
#[test]
fn what_could_not_be_looked_at_is_said_and_the_end_says_so() {
    use std::os::unix::process::CommandExt;
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    // A pattern of another test would name that test's spool.
    let _guard = pattern_guard::PatternGuard::take();
    let tree = Tree::healthy();
    let spool = tree.at("var/spool/epicore");
    for part in [tree.dir.path(), &tree.at("var"), &tree.at("var/spool")] {
        fs::set_permissions(part, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let said = std::process::Command::new(env!("CARGO_BIN_EXE_epicore"))
        .args(["doctor", "--spool", spool.to_str().unwrap()])
        .env_clear()
        .uid(54321)
        .gid(54321)
        .output()
        .unwrap();
    let text = records::out(&said);
    for check in ["spool ", "last record "] {
        let closed = format!("{} may not be read", spool.display());
        let told = |line: &str| line.starts_with("? ") && line.contains(check) && line.contains(&closed);
        assert!(text.lines().any(told), "{check}: {text}");
    }
    let end = text.lines().last().unwrap();
    assert!(end.contains("could not be made") || end.contains("would leave no record"), "{text}");
}

#[test]
fn what_a_storm_cost_since_the_boot_is_one_warning() {
    let tree = Tree::healthy();
    tree.put("proc/sys/kernel/random/boot_id", "01010101-0101-0101-0101-010101010101");
    let rules = Rules { executable: Rate::new(1, 1), user: Rate::new(9, 1), overall: Rate::new(9, 1) };
    let crash = || {
        let storm = Storm::begin(&tree.at("run/epicore"), Some([1; 16]));
        let outcome = match storm.decide(Crashed { executable: Some(Key(7)), user: None }, &rules) {
            Verdict::Admitted(_) => Outcome::Recorded,
            Verdict::Suppressed => Outcome::Suppressed,
        };
        storm.end(outcome);
    };
    crash();
    assert!(tree.examine(None).iter().all(|check| check.level == Level::Ok), "a crash is no storm");
    crash();
    crash();
    let (level, name, what) = tree.only(None);
    assert_eq!((level, name), (Level::Warn, "storms"));
    let when = what.strip_prefix("2 crashes suppressed by the throttle (the last ").expect(&what);
    assert!(when.ends_with("s ago), of 3 crashes since boot"), "{what}");
    tree.put("proc/sys/kernel/random/boot_id", "02010101-0101-0101-0101-010101010101");
    assert!(tree.examine(None).iter().all(|check| check.level == Level::Ok), "another boot's");
}
