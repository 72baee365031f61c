//! The walk over a stack that a crashed process left behind (`unwind::walk`), with
//! its registers, its memory and its modules' files as hostile as it likes.
//!
//! Input: see machine.rs. Beside "no crash": at least the crashing frame, at most
//! the named number of frames; the cut lies among them; a frame's function begins
//! at or before its instruction; the same walk with what was remembered of the
//! first gives the same frames.
#![cfg_attr(fuzzing, no_main)]

#[path = "common.rs"]
mod common;
#[path = "machine.rs"]
mod machine;

use epicore::limits;
use epicore::unwind::{Cache, FrameKind, Stacks, walk};

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

pub fn run(data: &[u8]) {
    let process = machine::process(&mut common::Input(data));
    let (image, modules) = (&process.image, &process.modules);
    let stacks = Stacks::new([process.stack]);
    let mut cache = Cache::new();
    let first = walk(&process.registers, &stacks, image, modules, &mut cache);
    assert!(!first.frames.is_empty());
    assert!(first.frames.len() <= limits::FRAMES_INNER + limits::FRAMES_OUTER);
    assert!(first.cut.is_none_or(|cut| cut.at <= first.frames.len()));
    assert_eq!(first.frames[0].ip, process.registers.ip());
    for frame in &first.frames {
        assert_eq!(frame.kind == FrameKind::Code, frame.module.is_some());
        if let Some(start) = frame.function {
            assert!(start <= frame.lookup, "{frame:?}");
        }
        let Some((index, module)) = frame.module.and_then(|index| Some((index, modules.get(index)?))) else {
            continue;
        };
        let linked = module.linked(frame.function.unwrap_or(frame.lookup));
        let identity = || modules.function_identity(index, linked, frame.function_len, image);
        assert_eq!(identity(), identity());
        let name = modules.symbol(index, module.linked(frame.lookup)).unwrap_or_default();
        assert!(name.len() <= limits::SYMBOL_NAME);
    }
    assert_eq!(walk(&process.registers, &stacks, image, modules, &mut cache), first);
    let _ = modules.gaps();
}
