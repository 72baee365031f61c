//! A disk that cannot take the record: one line in the kernel log, no hang,
//! and the task is released as ever. Needs root; says so and passes without.

mod support;

use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use support::mount::Mount;
use support::observe::{Observatory, Seen, Watch, dumped, records, victim};

/// The kernel log from here on.
struct KernelLog(std::fs::File);

impl KernelLog {
    fn from_now() -> Option<KernelLog> {
        let file = std::fs::File::options().read(true).custom_flags(nix::libc::O_NONBLOCK).open("/dev/kmsg");
        let Ok(mut file) = file else {
            println!("skipped: /dev/kmsg cannot be read");
            return None;
        };
        std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).expect("the end of /dev/kmsg");
        Some(KernelLog(file))
    }

    /// The handler's lines about a process. One read is one line.
    fn about(&mut self, pid: u32) -> Vec<String> {
        let (mut lines, mut buffer) = (Vec::new(), [0; 8192]);
        while let Ok(count) = self.0.read(&mut buffer) {
            let line = String::from_utf8_lossy(&buffer[..count]).into_owned();
            let text =
                line.split_once(';').map_or("", |(_, text)| text).lines().next().unwrap_or("").to_owned();
            if text.starts_with("epicore") && text.contains(&format!("pid {pid} ")) {
                lines.push(text);
            }
        }
        lines
    }
}

fn crash(observatory: &Observatory, spool: &Path) -> Seen {
    let mut command = victim(&support::workshop::helper("crash"));
    observatory.crash(Watch::Usage, spool, command.arg("3"))
}

fn one_line(log: &mut KernelLog, seen: &Seen) {
    assert!(dumped(seen.status, 11), "{:?}", seen.status);
    let said = log.about(seen.pid);
    println!("{said:?}");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("signal 11"), "{said:?}");
}

#[test]
fn a_full_disk_costs_one_line_in_the_kernel_log() {
    let Some(observatory) = Observatory::open() else { return };
    let Some(mut log) = KernelLog::from_now() else { return };
    let Some(mount) = Mount::tmpfs(&observatory.place.path("s"), "size=64k,mode=750") else { return };
    let spool = observatory.spool("s");
    let _ = std::fs::write(mount.0.join("fill"), vec![1; 128 << 10]);
    let seen = crash(&observatory, &spool);
    assert!(records(&spool).is_empty());
    one_line(&mut log, &seen);
}

#[test]
fn a_read_only_spool_costs_one_line_in_the_kernel_log() {
    let Some(observatory) = Observatory::open() else { return };
    let Some(mut log) = KernelLog::from_now() else { return };
    let Some(mount) = Mount::tmpfs(&observatory.place.path("s"), "size=1m,mode=750") else { return };
    let spool = observatory.spool("s");
    mount.read_only();
    let seen = crash(&observatory, &spool);
    assert!(records(&spool).is_empty());
    one_line(&mut log, &seen);
}

#[test]
fn a_missing_spool_costs_one_line_in_the_kernel_log() {
    let Some(observatory) = Observatory::open() else { return };
    let Some(mut log) = KernelLog::from_now() else { return };
    let seen = crash(&observatory, &observatory.place.path("nowhere"));
    one_line(&mut log, &seen);
}
