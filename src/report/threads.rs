//! The other threads, folded: equal stacks are one entry with a count.

use std::collections::BTreeMap;

use super::amount;
use super::frames::{self, Look};
use super::names::Names;
use crate::record::{Record, Stack};

/// Thread ids shown of one group.
const TIDS: usize = 4;
/// Functions shown of one folded stack.
const FUNCTIONS: usize = 4;

/// Threads with one stack.
struct Group {
    stack: i32,
    tids: Vec<u32>,
}

/// Groups of the threads beside the crashing one, the largest first.
fn groups(record: &Record) -> Vec<Group> {
    let mut by: BTreeMap<i32, Vec<u32>> = BTreeMap::new();
    for (index, tid) in record.threads.tid.iter().enumerate().skip(1) {
        let stack = record.threads.stack.get(index).copied().unwrap_or(-1);
        by.entry(stack).or_default().push(*tid);
    }
    let mut all: Vec<Group> = by.into_iter().map(|(stack, tids)| Group { stack, tids }).collect();
    all.sort_by_key(|g| (g.stack < 0, std::cmp::Reverse(g.tids.len()), g.stack));
    all
}

/// How many other threads, in how many distinct stacks.
pub fn heading(record: &Record) -> Option<String> {
    let all = groups(record);
    let threads: usize = all.iter().map(|g| g.tids.len()).sum();
    let stacks = all.iter().filter(|g| g.stack >= 0).count();
    (threads > 0).then(|| {
        format!(
            "Other threads: {}, {}",
            amount::count(threads as u64),
            amount::of(stacks as u64, "distinct stack")
        )
    })
}

/// One line a group, innermost function first; and how many groups are left.
pub fn folded(record: &Record, names: &Names, most: usize) -> (Vec<String>, usize) {
    let all = groups(record);
    let lines = all.iter().take(most).map(|g| {
        let what = match stack(record, g.stack) {
            Some(stack) => chain(record, names, stack),
            None => "no stack was kept".to_owned(),
        };
        format!("  {:>4} × {what}", amount::count(g.tids.len() as u64))
    });
    (lines.collect(), all.len().saturating_sub(most))
}

/// Every group with all its frames.
pub fn full(record: &Record, names: &Names, look: Look) -> Vec<String> {
    let mut out = Vec::new();
    for g in groups(record) {
        let shown: Vec<String> = g.tids.iter().take(TIDS).map(u32::to_string).collect();
        let more = g.tids.len().saturating_sub(TIDS);
        let more = if more > 0 { format!(" and {} more", amount::count(more as u64)) } else { String::new() };
        let count = amount::of(g.tids.len() as u64, "thread");
        out.push(look.paint.bold(&format!("  {count}: {}{more}", shown.join(", "))));
        match stack(record, g.stack) {
            Some(stack) => out.extend(frames::lines(record, names, stack, usize::MAX, look)),
            None => out.push("  no stack was kept".to_owned()),
        }
    }
    out
}

fn stack(record: &Record, index: i32) -> Option<&Stack> {
    record.stacks.get(usize::try_from(index).ok()?)
}

fn chain(record: &Record, names: &Names, stack: &Stack) -> String {
    let each = stack.frames.iter().take(FUNCTIONS).map(|frame| match names.of(frame) {
        Some(function) => super::escape::shorten(&super::escape::clean(&function.name), 32),
        None => frames::place(record, frame),
    });
    let each: Vec<String> = each.collect();
    let more = if stack.frames.len() > FUNCTIONS { " ← …" } else { "" };
    if each.is_empty() { "no frame was found".to_owned() } else { format!("{}{more}", each.join(" ← ")) }
}
