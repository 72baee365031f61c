//! Whether a process lives, asked by who may see less than root.

use super::directory::Directory;
use super::{facts, stat};

/// What is known of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It lives, since so many nanoseconds after boot (hundredths of a second).
    Since(u64),
    /// There is none, or one that only waits for its parent.
    Gone,
    /// It may not be asked.
    Unknown,
}

/// Whether process `pid` lives, below /proc.
pub fn life(proc_root: &Directory, pid: u32) -> Life {
    let Some(text) = proc_root.text(&format!("{pid}/stat")) else {
        // Where /proc hides others' processes (hidepid) even the first is not
        // there: then nobody's absence says anything.
        let hidden = proc_root.text("1/stat").is_none();
        return if hidden { Life::Unknown } else { Life::Gone };
    };
    let stat = stat::parse(&text);
    match stat.start_ticks {
        _ if stat.is_dead => Life::Gone,
        Some(ticks) => Life::Since(ticks.saturating_mul(facts::NS_PER_TICK)),
        None => Life::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_living_the_dead_and_the_hidden_are_told_apart() {
        let root = Directory::open(Path::new("/proc")).unwrap();
        let now = crate::syscall::clocks().1.unwrap();
        assert!(matches!(life(&root, std::process::id()), Life::Since(at) if at <= now));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        for _ in 0..1000 {
            std::thread::sleep(std::time::Duration::from_millis(5));
            if life(&root, pid) == Life::Gone {
                break;
            }
        }
        assert_eq!(life(&root, pid), Life::Gone, "it waits for us only");
        child.wait().unwrap();
        assert_eq!(life(&root, pid), Life::Gone);
        let hidden = tempfile::tempdir().unwrap();
        let hidden = Directory::open(hidden.path()).unwrap();
        assert_eq!(life(&hidden, pid), Life::Unknown);
    }
}
