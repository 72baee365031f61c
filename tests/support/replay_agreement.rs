//! A replay of the full core against the live record of the same crash:
//! everything that a core holds is equal. What it does not hold is listed,
//! by name, in [`LIVE_ONLY`]; nothing else may differ.

use std::collections::BTreeMap;

use serde_json::Value;

/// Keys of a record that only the living process or the machine can give, or
/// that tell how the record was made. A path stands for all below it.
pub(crate) const LIVE_ONLY: [&str; 16] = [
    "id",       // each record has its own
    "kind",     // full, replay
    "at",       // when
    "bt",       // when
    "host",     // which machine replays
    "hwid",     // the same
    "hw",       // the same
    "cap",      // how it was made
    "storm",    // what other crashes of the boot left
    "gaps",     // what could not be known: more, in a replay
    "proc",     // /proc; the core has comm, pids and uids only
    "crash",    // argv of the handler; what siginfo holds is compared apart
    "flt/lit",  // the C library's note of an abort: no memory of that is planned
    "flt/cp",   // code bytes: the default coredump_filter leaves them out
    "th/cpu",   // /proc/PID/task/TID/stat
    "mod/*/fl", // deleted, replaced: the file system's word at the crash
];

/// Leaves of a JSON value by path ("/" between keys).
fn leaves(value: &Value, path: &str, into: &mut BTreeMap<String, Value>) {
    let mut below = |key: &str, v: &Value| {
        leaves(v, &if path.is_empty() { key.to_owned() } else { format!("{path}/{key}") }, into);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(k, v)| below(k, v)),
        Value::Array(list) => list.iter().enumerate().for_each(|(i, v)| below(&i.to_string(), v)),
        leaf => {
            into.insert(path.to_owned(), leaf.clone());
        }
    }
}

fn is_live_only(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    LIVE_ONLY.iter().any(|allowed| {
        let allowed: Vec<&str> = allowed.split('/').collect();
        parts.len() >= allowed.len() && allowed.iter().zip(&parts).all(|(a, p)| *a == "*" || a == p)
    })
}

/// Paths at which the two differ though a core holds what they say.
pub(crate) fn differences(live: &Value, replay: &Value) -> Vec<String> {
    let (mut ours, mut theirs) = (BTreeMap::new(), BTreeMap::new());
    leaves(live, "", &mut ours);
    leaves(replay, "", &mut theirs);
    for key in ["sig", "code", "errno", "addr", "spid", "suid"] {
        for (from, into) in [(live, &mut ours), (replay, &mut theirs)] {
            if let Some(value) = from.pointer(&format!("/crash/{key}")) {
                into.insert(format!("siginfo/{key}"), value.clone());
            }
        }
    }
    let paths: std::collections::BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let differ = |path: &&&String| !is_live_only(path) && ours.get(**path) != theirs.get(**path);
    let say = |path: &String| format!("{path}: live {:?}, replay {:?}", ours.get(path), theirs.get(path));
    paths.iter().filter(differ).map(|path| say(path)).collect()
}
