//! What a study reads of a record: everything but what only people look at.

use super::budget::idle_modules;
use super::{Capture, Record, RegisterClasses, Threads, Window};

/// Frames of the crashing thread that stay, from its key's first on, and with them the modules
/// that they lie in: similar stacks of different keys are told by them.
const FRAMES: usize = 8;

/// The record without threads, registers, outer frames and idle modules: a tenth.
pub fn slim(mut record: Record) -> Record {
    record.stacks.truncate(1);
    // From the first frame that says something on: abort and its like are everybody's.
    let begin = record.keys.frames.first().copied().unwrap_or(0);
    for stack in &mut record.stacks {
        let first = usize::try_from(begin).unwrap_or(usize::MAX).min(stack.frames.len());
        stack.frames.drain(..first);
        stack.frames.truncate(FRAMES);
        (stack.cut, stack.cut_at) = (None, None);
    }
    for frame in &mut record.keys.frames {
        *frame = frame.saturating_sub(begin);
    }
    record.registers = Vec::new();
    record.register_classes = RegisterClasses::default();
    record.threads = Threads::default();
    record.fault.window = Window::default();
    record.capture = Capture::default();
    record.gaps = Vec::new();
    idle_modules(&mut record);
    record
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Frame, Module, Stack, Trust};

    #[test]
    fn eight_frames_stay_and_the_modules_that_they_name() {
        let frame = |module: u32| Frame { module: Some(module), trust: Trust::Cfi, ..Frame::default() };
        let stack = |modules: &[u32]| Stack {
            frames: modules.iter().map(|module| frame(*module)).collect(),
            ..Stack::default()
        };
        let named = |n: usize| Module { path: Some(format!("/lib/{n}.so")), ..Module::default() };
        let mut record = Record { modules: (0..12).map(named).collect(), ..Record::default() };
        record.stacks = vec![stack(&[0, 7, 2, 7, 7, 7, 7, 7, 7, 11, 1]), stack(&[5])];
        record.keys.frames = vec![1, 2, 10];
        let slim = slim(record);
        assert_eq!((slim.stacks.len(), slim.stacks[0].frames.len()), (1, 8));
        let paths: Vec<_> = slim.modules.iter().filter_map(|module| module.path.as_deref()).collect();
        assert_eq!(paths, ["/lib/2.so", "/lib/7.so"]);
        let places: Vec<_> = slim.stacks[0].frames.iter().map(|frame| frame.module).collect();
        assert_eq!(places[..3], [Some(1), Some(0), Some(1)]);
        assert_eq!(slim.keys.frames, [0, 1, 9]);
    }
}
