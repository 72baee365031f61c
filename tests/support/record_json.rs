//! A record as `epicore` prints it in JSON (src/record/schema.rs documents the
//! keys), read as any consumer would read it: no type of `src/` is used.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::judge_gdb::Stacks;
use super::symbols::{AddressSpace, Pc, SymbolStore};

/// A record.
#[derive(Clone, Debug)]
pub(crate) struct RecordJson(pub(crate) Value);

/// "0x…" text, or a number.
pub(crate) fn hex(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => u64::from_str_radix(text.strip_prefix("0x")?, 16).ok(),
        other => other.as_u64(),
    }
}

fn bytes(text: &str) -> Vec<u8> {
    (0..text.len() / 2).filter_map(|i| u8::from_str_radix(text.get(i * 2..i * 2 + 2)?, 16).ok()).collect()
}

/// Runs `epicore` with arguments and reads what it prints.
pub(crate) fn epicore(args: &[&str]) -> Result<RecordJson, String> {
    let program = super::handler_place::dist().join("epicore");
    let output =
        Command::new(&program).args(args).output().map_err(|e| format!("{}: {e}", program.display()))?;
    if !output.status.success() {
        return Err(format!("epicore {args:?}: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    serde_json::from_slice(&output.stdout).map(RecordJson).map_err(|e| format!("epicore {args:?}: {e}"))
}

/// The last record of a spool.
pub(crate) fn last(spool: &Path) -> Result<RecordJson, String> {
    epicore(&["show", "--json", "--spool", &spool.display().to_string(), "last"])
}

/// Waits until the spool's last record is a full one.
pub(crate) fn wait_for_full(spool: &Path, patience: Duration) -> Result<RecordJson, String> {
    let deadline = Instant::now() + patience;
    loop {
        let seen = last(spool);
        match &seen {
            Ok(record) if record.0["kind"] == "full" => return seen,
            _ if Instant::now() > deadline => {
                return Err(match seen {
                    Ok(record) => format!("only a {} record after {patience:?}", record.0["kind"]),
                    Err(why) => why,
                });
            }
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// `epicore replay CORE --json`.
pub(crate) fn replay(core: &Path) -> Result<RecordJson, String> {
    epicore(&["replay", &core.display().to_string(), "--json"])
}

impl RecordJson {
    fn list(&self, pointer: &str) -> &[Value] {
        self.0.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn number(&self, pointer: &str) -> Option<u64> {
        self.0.pointer(pointer).and_then(hex)
    }

    /// Thread ids, the crashing one first.
    pub(crate) fn tids(&self) -> Vec<u32> {
        self.list("/th/tid").iter().filter_map(|t| t.as_u64()?.try_into().ok()).collect()
    }

    /// Frames of each distinct stack.
    fn distinct_stacks(&self) -> Vec<Vec<Pc>> {
        let bias = |m: &Value| m.as_u64().and_then(|m| hex(&self.list("/mod").get(m as usize)?["a"]));
        let frame = |(i, f): (usize, &Value)| Pc {
            at: hex(&f["o"]).unwrap_or(0).wrapping_add(bias(&f["m"]).unwrap_or(0)),
            exact: i == 0 || f["h"] == "signal",
        };
        let frames = |s: &Value| s["f"].as_array().into_iter().flatten().enumerate().map(frame).collect();
        self.list("/st").iter().map(frames).collect()
    }

    /// Frames of every thread, in the record's order.
    pub(crate) fn stacks(&self) -> Stacks {
        let distinct = self.distinct_stacks();
        let of = |i: usize| self.list("/th/st").get(i).and_then(Value::as_u64);
        let frames = |i: usize| of(i).and_then(|s| distinct.get(s as usize).cloned()).unwrap_or_default();
        self.tids().into_iter().enumerate().map(|(i, tid)| (tid, frames(i))).collect()
    }

    /// Threads whose stack leaves frames out (long recursion), and how many:
    /// zero when that is not known.
    pub(crate) fn cuts(&self) -> BTreeMap<u32, u64> {
        let cut = |i: usize| {
            let stack = self.list("/th/st").get(i).and_then(Value::as_u64)?;
            self.list("/st").get(stack as usize)?["cut"].as_u64()
        };
        self.tids().into_iter().enumerate().filter_map(|(i, tid)| Some((tid, cut(i)?))).collect()
    }

    /// General registers by thread id.
    pub(crate) fn registers(&self) -> BTreeMap<u64, Vec<u64>> {
        let values = |r: &Value| r["r"].as_array().into_iter().flatten().filter_map(hex).collect();
        self.list("/regs").iter().filter_map(|r| Some((r["tid"].as_u64()?, values(r)))).collect()
    }

    /// Build-ids in hexadecimal by load bias.
    pub(crate) fn build_ids(&self) -> BTreeMap<u64, String> {
        let module = |m: &Value| Some((hex(&m["a"])?, m["b"].as_str()?.to_owned()));
        self.list("/mod").iter().filter_map(module).collect()
    }

    /// The address space as the record itself tells it.
    pub(crate) fn address_space(&self, store: &SymbolStore, ranges: Vec<(String, u64, u64)>) -> AddressSpace {
        let mut space = AddressSpace::new(ranges);
        for m in self.list("/mod") {
            let (bias, start) = (hex(&m["a"]).unwrap_or(0), hex(&m["lo"]).unwrap_or(0));
            let end = start.wrapping_add(hex(&m["z"]).unwrap_or(0));
            let id = m["b"].as_str().map(bytes);
            space.add(store, (start, end), bias, m["p"].as_str().unwrap_or(""), id.as_deref());
        }
        space
    }
}
