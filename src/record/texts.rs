//! Every text of a record, for who must bound them all.

use super::Record;

/// What follows a text that was cut.
const ELLIPSIS: &str = "…";

/// Cuts each text to `most` bytes; how many were longer.
pub(super) fn cut(record: &mut Record, most: usize) -> u64 {
    let mut count = 0u64;
    each(record, &mut |text| {
        if text.len() > most {
            let room = most.saturating_sub(ELLIPSIS.len());
            let end = (0..=room).rev().find(|at| text.is_char_boundary(*at));
            text.truncate(end.unwrap_or(0));
            text.push_str(ELLIPSIS);
            count = count.saturating_add(1);
        }
    });
    count
}

fn each(record: &mut Record, visit: &mut dyn FnMut(&mut String)) {
    let host = &mut record.host;
    let process = &mut record.process;
    let hardware = &mut record.hardware;
    let capture = &mut record.capture;
    [&mut host.name, &mut host.kernel, &mut host.arch]
        .into_iter()
        .chain([&mut process.comm, &mut process.thread_comm, &mut process.exe])
        .chain([&mut process.cgroup, &mut process.unit, &mut process.container])
        .chain([&mut hardware.vendor, &mut hardware.model_name])
        .chain([&mut capture.version, &mut capture.source, &mut capture.identity])
        .flatten()
        .for_each(&mut *visit);
    process.namespaces.iter_mut().for_each(|(name, _)| visit(name));
    process.limits.iter_mut().for_each(|(name, _)| visit(name));
    hardware.interrupts.iter_mut().for_each(|(name, ..)| visit(name));
    hardware.thermal.iter_mut().for_each(|(name, ..)| visit(name));
    for edac in &mut hardware.edac {
        visit(&mut edac.at);
        edac.label.iter_mut().for_each(&mut *visit);
    }
    capture.unconfined.iter_mut().for_each(&mut *visit);
    for module in &mut record.modules {
        module.path.iter_mut().chain(&mut module.flags).for_each(&mut *visit);
    }
    for stack in &mut record.stacks {
        stack.end.iter_mut().for_each(&mut *visit);
        stack.frames.iter_mut().filter_map(|frame| frame.kind.as_mut()).for_each(&mut *visit);
    }
    record.gaps.iter_mut().for_each(|gap| visit(&mut gap.reason));
}
