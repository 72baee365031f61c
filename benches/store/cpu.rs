//! Processor time of threads, which does not depend on who else runs.

/// Nanoseconds that the calling thread has run.
pub fn own() -> u64 {
    ran("/proc/thread-self/schedstat")
}

/// Nanoseconds that the store's writer of this process has run (of all, when
/// there are several).
pub fn writers() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let writers = tasks.flatten().filter(|task| {
        std::fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == "store-writer")
    });
    writers.map(|task| ran(task.path().join("schedstat").to_str().unwrap())).sum()
}

fn ran(path: &str) -> u64 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(0)
}
