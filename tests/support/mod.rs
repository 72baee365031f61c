//! What the integration tests stand on: victims, a guarded core_pattern, the
//! judges. Each module is one noun; none of them shares code with `src/`
//! about cores or symbols, so that a mistake there cannot hide itself.
#![allow(dead_code)]

pub(crate) mod canaries;
pub(crate) mod chain;
pub(crate) mod elf;
pub(crate) mod evidence;
pub(crate) mod full_core;
pub(crate) mod handler_place;
pub(crate) mod judge_eu_stack;
pub(crate) mod judge_gdb;
pub(crate) mod launch;
pub(crate) mod mount;
pub(crate) mod observe;
pub(crate) mod pattern_guard;
pub(crate) mod record_json;
pub(crate) mod replay_agreement;
pub(crate) mod score_table;
pub(crate) mod stack_agreement;
pub(crate) mod symbols;
pub(crate) mod trace;
pub(crate) mod victims;
pub(crate) mod workshop;

use std::path::PathBuf;

/// Runs a closure over items on as many threads as there are CPUs, keeping order.
pub(crate) fn on_all_cpus<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let done = std::sync::Mutex::new(Vec::new());
    let cpus = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cpus {
            scope.spawn(|| {
                while let Some((i, item)) = {
                    let i = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    items.get(i).map(|item| (i, item))
                } {
                    let result = work(item);
                    done.lock().unwrap().push((i, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(i, _)| *i);
    done.into_iter().map(|(_, result)| result).collect()
}

/// The cargo target directory of this build.
pub(crate) fn target_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).parent().expect("target/tmp has a parent").to_owned()
}

/// `tests/` of this package.
pub(crate) fn tests_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// Whether this kernel can be judged: root, and core_pattern can be written.
pub(crate) fn may_set_core_pattern() -> Result<(), String> {
    if !nix::unistd::geteuid().is_root() {
        return Err("not root: /proc/sys/kernel/core_pattern cannot be set".into());
    }
    std::fs::OpenOptions::new()
        .write(true)
        .open("/proc/sys/kernel/core_pattern")
        .map(|_| ())
        .map_err(|e| format!("/proc/sys/kernel/core_pattern: {e}"))
}
