//! A census of this machine: it counts what is there, says what it cannot
//! know, and has no more privileges than it needs.
//!
//! Needs root, gcc and readelf; strace for one promise. Says so and passes
//! without.

#[path = "support/census.rs"]
mod census;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use census::{Children, OWNER, Place, build_id, sleeper};
use epicore::record::{Exposure, Running};

fn of<'a>(report: &'a Exposure, exe: &str) -> Vec<&'a Running> {
    report.running.iter().filter(|running| running.exe.as_deref() == Some(exe)).collect()
}

/// Process ids that have an executable, as `ls` and `readlink` see them.
fn processes() -> BTreeSet<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| std::fs::read_link(format!("/proc/{pid}/exe")).is_ok()).collect()
}

/// A cgroup of the unified hierarchy, removed with this value.
struct Cgroup(PathBuf);

impl Cgroup {
    fn make(name: &str) -> Option<Cgroup> {
        let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
        let root = roots.iter().find(|root| Path::new(root).join("cgroup.controllers").exists());
        let path = Path::new(root?).join(name);
        if let Err(error) = std::fs::create_dir(&path) {
            println!("skipped: {}: {error}", path.display());
            return None;
        }
        Some(Cgroup(path))
    }

    fn take(&self, children: &Children) {
        for child in &children.0 {
            std::fs::write(self.0.join("cgroup.procs"), child.id().to_string()).unwrap();
        }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for _ in 0..100 {
            if std::fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

#[test]
fn every_process_is_counted_once_under_its_unit_executable_and_build() {
    let Some(place) = Place::new() else { return };
    let (one, two) = (place.path("one"), place.path("two"));
    sleeper(&one, "one");
    sleeper(&two, "two");
    let (first, second) = (Children::of(&one, 30), Children::of(&two, 30));
    let name = format!("epicore-{}.service", std::process::id());
    let cgroup = Cgroup::make(&name);
    if let Some(cgroup) = &cgroup {
        cgroup.take(&first);
    }
    let before = processes();
    let report = place.report(&[]);
    let after = processes();

    for (program, in_unit) in [(&one, cgroup.is_some()), (&two, false)] {
        let found = of(&report, program.to_str().unwrap());
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].n, found[0].threads), (30, 30));
        assert_eq!(found[0].build_id.as_ref().map(|id| id.hex()), Some(build_id(program)));
        assert_eq!(found[0].unit.as_deref() == Some(name.as_str()), in_unit);
    }
    // Those that were there before and after were there during.
    let stayed = before.intersection(&after).count() as u32;
    let counted: u32 = report.running.iter().map(|running| running.n).sum();
    assert_eq!(counted, report.cost.processes);
    assert!(counted >= stayed, "{counted} counted, {stayed} stayed");
    assert!(counted <= stayed + 200, "{counted} counted, {stayed} stayed");
    drop((first, second));
}

#[test]
fn a_container_is_named_by_its_image_and_not_by_its_id() {
    let Some(place) = Place::new() else { return };
    let id = format!("{:064x}", u128::from(std::process::id()) << 64 | 0xc0ffee);
    let Some(cgroup) = Cgroup::make(&format!("docker-{id}.scope")) else { return };
    let program = place.path("inside");
    sleeper(&program, "inside");
    let children = Children::of(&program, 3);
    cgroup.take(&children);
    place.root();
    place.write(
        &format!("root/var/lib/docker/containers/{id}/config.v2.json"),
        r#"{"Config":{"Env":["Image=no"],"Image":"registry.example/app:7"}}"#,
    );
    let report = place.report(&["--root", place.root().to_str().unwrap()]);
    let found = of(&report, program.to_str().unwrap());
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].image.as_deref(), found[0].unit.as_deref()), (Some("registry.example/app:7"), None));
    assert_eq!(found[0].n, 3);
    assert!(report.images.contains(&(id, "registry.example/app:7".to_owned())));
    drop(children);
}

#[test]
fn names_that_a_hostile_user_chose_change_nothing_else() {
    let Some(place) = Place::new() else { return };
    let plain = place.path("plain");
    sleeper(&plain, "hostile");
    let hostile = place.path("").join(OsStr::from_bytes(b"x\n0::/evil.service\n\xff (deleted)"));
    std::fs::create_dir(hostile.parent().unwrap()).unwrap();
    std::fs::copy(&plain, &hostile).unwrap();
    let children = Children::of(&hostile, 2);
    let report = place.report(&[]);
    let expected =
        format!("{}/x\n0::/evil.service\n\\xff", place.path("").to_str().unwrap().trim_end_matches('/'));
    let found = of(&report, &expected);
    assert_eq!(found.len(), 1, "{:?}", report.running);
    assert_eq!((found[0].n, found[0].unit.as_deref()), (2, None));
    // On a terminal it stays one line.
    let printed = place.census(&["--print"]);
    assert!(!String::from_utf8_lossy(&printed.stdout).contains("\n0::/evil"));
    drop(children);
}

#[test]
fn the_build_is_that_of_the_file_which_runs_and_not_of_what_lies_there_now() {
    let Some(place) = Place::new() else { return };
    let program = place.path("program");
    sleeper(&program, "old");
    let old = build_id(&program);
    let children = Children::of(&program, 2);
    let new = place.path("new");
    sleeper(&new, "new");
    std::fs::rename(&new, &program).unwrap();
    assert_ne!(build_id(&program), old);
    let report = place.report(&[]);
    let found = of(&report, program.to_str().unwrap());
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].build_id.as_ref().map(|id| id.hex()), Some(old));
    drop(children);
}

#[test]
fn the_machine_the_boot_and_a_control_are_in_the_report() {
    let Some(place) = Place::new() else { return };
    place.write("epicore.toml", "[labels]\nrack='b7'\n");
    let report = place.report(&[]);
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    assert_eq!(report.host.boot.as_ref().map(|id| id.hex()), Some(boot.trim().replace('-', "")));
    assert_eq!(report.labels, [("rack".to_owned(), "b7".to_owned())]);
    assert_eq!(report.since_ns, Some(0), "the first of its ledger");
    let online = std::thread::available_parallelism().unwrap().get();
    assert!(report.cpus.cpu.len() >= online.min(2) && report.cpus.cpu.len() == report.cpus.busy_ms.len());
    assert!(
        report
            .cpus
            .busy_ms
            .iter()
            .all(|busy| u128::from(*busy) * 1_000_000 <= u128::from(report.boottime_ns.unwrap()))
    );
    let control = report.control.as_ref().expect("a control");
    assert_eq!(control.of, report.cost.processes);
    assert!(control.process.exe.is_some() && control.process.start_ns.is_some());
    assert!(control.process.allowed_cores.is_some_and(|cores| cores >= 1));
    assert!(report.cost.cpu_us > 0 && report.hardware.online.is_some());
    assert_eq!(report.lost.evicted, Some(0));
    assert_eq!(report.lost.suppressed, None);
}

#[test]
fn a_report_stands_for_the_time_since_the_one_before() {
    let Some(place) = Place::new() else { return };
    place.write("epicore.toml", "[fleet]\ncensus_mean_seconds=86400\n");
    // The first question of a boot is a census; at a day's mean the next
    // seconds have none.
    for _ in 0..3 {
        place.census(&["--sampled"]);
    }
    assert_eq!(place.reports().len(), 1);
    place.census(&["--print"]);
    assert_eq!(place.reports().len(), 1, "--print leaves nothing behind");
    place.census(&[]);
    let reports = place.reports();
    let [first, second] = reports.as_slice() else { panic!("{} reports", reports.len()) };
    assert_eq!(second.since_ns, first.boottime_ns);
    assert!(first.id < second.id);
}

#[test]
fn a_census_without_a_spool_says_so_and_its_span_is_the_next_ones() {
    let Some(place) = Place::new() else { return };
    let first = place.report(&[]);
    let elsewhere = place.path("nothing");
    let output = place.command(&["--spool", elsewhere.to_str().unwrap()]).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing"), "{output:?}");
    let output = place.command(&["--what"]).output().unwrap();
    assert!(!output.status.success());
    let report = place.report(&[]);
    assert_eq!(report.since_ns, first.boottime_ns);
}

#[test]
fn it_looks_as_the_spools_owner_with_two_capabilities() {
    let Some(place) = Place::new() else { return };
    let output = place.census(&["--print"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let last = text.lines().last().unwrap();
    for expected in [
        format!("Uid {OWNER}"),
        format!("Gid {OWNER}"),
        "CapInh 0000000000000000".into(),
        // CAP_DAC_READ_SEARCH is bit 2, CAP_SYS_PTRACE bit 19.
        "CapPrm 0000000000080004".into(),
        "CapEff 0000000000080004".into(),
        "CapBnd 0000000000000000".into(),
        "NoNewPrivs 1".into(),
    ] {
        assert!(last.contains(&expected), "{expected}: {last}");
    }
    assert!(!text.contains("not known: uid"), "{text}");
}

/// What systemd/epicore-census.service leaves it with is enough.
#[test]
fn the_capabilities_of_its_unit_are_enough() {
    let Some(place) = Place::new() else { return };
    let unit = include_str!("../systemd/epicore-census.service");
    let set = unit.lines().find_map(|line| line.strip_prefix("CapabilityBoundingSet=")).unwrap();
    let set: Vec<String> =
        set.split(' ').map(|name| format!("+{}", name.trim_start_matches("CAP_").to_lowercase())).collect();
    let plain = place.command(&[]);
    let mut command = Command::new("setpriv");
    command.arg(format!("--bounding-set=-all,{}", set.join(","))).arg("--no-new-privs");
    command.arg("--inh-caps=-all").arg(plain.get_program()).args(plain.get_args());
    let Ok(output) = command.output() else { return println!("skipped: no setpriv") };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = place.reports().pop().expect("a report");
    assert!(!report.gaps.iter().any(|gap| gap.stage == epicore::gap::Stage::Confine), "{:?}", report.gaps);
    assert!(report.running.iter().any(|running| running.build_id.is_some()));
}

#[test]
fn it_opens_no_socket_and_writes_nowhere_else() {
    let Some(place) = Place::new() else { return };
    let trace = place.path("trace");
    let plain = place.command(&[]);
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-s", "200", "-o"]).arg(&trace);
    command.arg(plain.get_program()).args(plain.get_args());
    match command.status() {
        Ok(status) => assert!(status.success()),
        Err(_) => return println!("skipped: strace is not installed"),
    }
    let text = String::from_utf8_lossy(&std::fs::read(&trace).unwrap()).into_owned();
    assert!(text.contains("capset("), "strace saw nothing: {text}");
    let mut calls = text.lines().filter_map(|line| line.split_once(' ').map(|(_, call)| call.trim_start()));
    for socket in ["socket(", "socketpair(", "connect(", "bind(", "sendto(", "sendmsg("] {
        assert!(!calls.clone().any(|call| call.starts_with(socket)), "{socket}");
    }
    let allowed = ["/dev/null", "/proc/self/oom_score_adj"];
    let stray = calls.find(|call| {
        let writes = ["O_WRONLY", "O_RDWR", "O_CREAT"].iter().any(|flag| call.contains(flag));
        let path = call.split('"').nth(1).unwrap_or_default();
        let known =
            allowed.contains(&path) || !path.starts_with('/') || Path::new(path).starts_with(place.path(""));
        call.starts_with("open") && writes && !known
    });
    assert_eq!(stray, None);
}
