//! Location keys: where a crash happened, three times as stable as the last.
//!
//! ```text
//! L0  build-id and offset of the first frame that says something
//! L1  build-id and start of each function, at most six
//! L2  module name and identity of each function: the same over rebuilds that
//!     do not touch the function, and over strip
//! ```
//!
//! Which frames: what only carries a signal out (raise, abort, an assertion's
//! reporter) says nothing and is skipped, with every frame inside it; library
//! code that a program calls with its own arguments (memcpy, malloc, the throw
//! machinery, all of the C and C++ runtime) says less than its caller and is
//! taken along; the first frame of the program's own ends the key. Hashes are
//! SipHash-2-4 under a key that never changes: keys are compared across
//! versions of epicore.

use siphasher::sip::SipHasher24;
use std::hash::Hasher;

use super::schema::{Hex, Keys};
use crate::limits;

/// Never changes (16 bytes).
const KEY: &[u8; 16] = b"epicore:location";

/// Functions that carry a signal out: they and what is inside them say nothing.
const CARRIERS: [&[u8]; 22] = [
    b"raise",
    b"gsignal",
    b"abort",
    b"kill",
    b"tgkill",
    b"killpg",
    b"sigqueue",
    b"pthread_kill",
    b"__pthread_kill",
    b"pthread_sigqueue",
    b"__assert",
    b"__assert_fail",
    b"__assert_perror_fail",
    b"__stack_chk_fail",
    b"__fortify_fail",
    b"__chk_fail",
    b"__libc_fatal",
    b"__libc_message",
    b"malloc_printerr",
    b"_ZSt9terminatev",
    b"_ZN10__cxxabiv111__terminateEPFvvE",
    b"__cxa_call_terminate",
];

/// Modules that a program calls into, by the start of their file name.
const RUNTIME: [&[u8]; 18] = [
    b"libc.so",
    b"libc-",
    b"libc.musl",
    b"ld-linux",
    b"ld-musl",
    b"ld-2",
    b"libpthread",
    b"libm.so",
    b"libstdc++",
    b"libc++",
    b"libgcc_s",
    b"libunwind",
    b"librt.so",
    b"libdl.so",
    b"libasan",
    b"libtsan",
    b"libubsan",
    b"[vdso]",
];

/// One frame, as a key sees it.
#[derive(Clone, Copy, Debug, Default)]
pub struct FrameKey<'a> {
    /// Index of the frame in its stack.
    pub index: u32,
    /// Path of the module; `None` for code outside every module.
    pub module: Option<&'a [u8]>,
    /// Build-id of the module.
    pub build_id: Option<&'a [u8]>,
    /// Offset of the instruction from the module's bias.
    pub offset: u64,
    /// Offset of the function's start, when it is known.
    pub function: Option<u64>,
    /// What the function is over builds: a hash of its exported name, or of
    /// its code without what a linker changes.
    pub identity: Option<u64>,
    /// Exported name of the function around the frame.
    pub symbol: Option<&'a [u8]>,
}

impl FrameKey<'_> {
    fn file_name(&self) -> Option<&[u8]> {
        self.module?.rsplit(|byte| *byte == b'/').next()
    }

    fn is_runtime(&self) -> bool {
        self.file_name().is_some_and(|name| RUNTIME.iter().any(|runtime| name.starts_with(runtime)))
    }

    fn is_carrier(&self) -> bool {
        self.symbol.is_some_and(|symbol| CARRIERS.contains(&symbol))
    }

    /// The file name without what changes from version to version:
    /// `libfoo.so.1.2.3` and `libfoo-1.2.so` are `libfoo`.
    fn stem(&self) -> &[u8] {
        let name = self.file_name().unwrap_or(b"");
        let end = name.windows(3).position(|three| three == b".so").unwrap_or(name.len());
        let stem = name.get(..end).unwrap_or(name);
        let versioned = end < name.len();
        let version = stem.iter().rposition(|byte| !byte.is_ascii_digit() && *byte != b'.');
        match version {
            Some(dash) if versioned && stem.get(dash) == Some(&b'-') => stem.get(..dash).unwrap_or(stem),
            _ => stem,
        }
    }
}

fn hasher(domain: &[u8]) -> SipHasher24 {
    let mut hasher = SipHasher24::new_with_key(KEY);
    add(&mut hasher, domain);
    hasher
}

/// A length before the bytes, so that two fields never read as one.
fn add(hasher: &mut SipHasher24, bytes: &[u8]) {
    hasher.write_u64(bytes.len() as u64);
    hasher.write(bytes);
}

fn add_number(hasher: &mut SipHasher24, number: Option<u64>) {
    match number {
        Some(number) => add(hasher, &number.to_le_bytes()),
        None => add(hasher, b"?"),
    }
}

/// The frames that make a key.
fn telling<'a, 'b>(frames: &'a [FrameKey<'b>]) -> Vec<&'a FrameKey<'b>> {
    let leading =
        frames.iter().take_while(|frame| frame.is_runtime() || frame.module.is_none() || frame.is_carrier());
    let carried = leading.enumerate().filter(|(_, frame)| frame.is_carrier()).last();
    let skip = carried.map_or(0, |(index, _)| index.saturating_add(1));
    let mut telling = Vec::new();
    // Code outside every module (a wild jump, a JIT) is the symptom's affair.
    for frame in frames.iter().skip(skip).filter(|frame| frame.module.is_some()) {
        telling.push(frame);
        if !frame.is_runtime() || telling.len() >= limits::KEY_FRAMES {
            break;
        }
    }
    telling
}

/// Computes the keys of a crashing thread's stack.
pub fn location_keys(frames: &[FrameKey<'_>]) -> Keys {
    let telling = telling(frames);
    let Some(leaf) = telling.first() else { return Keys::default() };
    let module = |frame: &FrameKey<'_>| frame.build_id.or(frame.file_name()).unwrap_or(b"").to_vec();
    let mut l0 = hasher(b"L0");
    add(&mut l0, &module(leaf));
    add_number(&mut l0, Some(leaf.offset));
    let (mut l1, mut l2) = (hasher(b"L1"), hasher(b"L2"));
    for frame in &telling {
        add(&mut l1, &module(frame));
        add_number(&mut l1, Some(frame.function.unwrap_or(frame.offset)));
        add(&mut l2, frame.stem());
        add_number(&mut l2, frame.identity);
    }
    // A key of nothing but module names would join what does not belong
    // together.
    let portable = telling.iter().any(|frame| frame.identity.is_some());
    Keys {
        leaf: Some(Hex(l0.finish())),
        functions: Some(Hex(l1.finish())),
        portable: portable.then(|| Hex(l2.finish())),
        frames: telling.iter().map(|frame| frame.index).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(
        index: u32,
        module: &'static str,
        function: u64,
        symbol: Option<&'static str>,
    ) -> FrameKey<'static> {
        FrameKey {
            index,
            module: Some(module.as_bytes()),
            build_id: Some(module.as_bytes()),
            offset: function + 7,
            function: Some(function),
            identity: Some(function * 31),
            symbol: symbol.map(str::as_bytes),
        }
    }

    const LIBC: &str = "/lib/x86_64-linux-gnu/libc.so.6";

    #[test]
    fn two_places_that_abort_are_two_keys() {
        let abort = |caller| {
            location_keys(&[
                frame(0, LIBC, 1, None),
                frame(1, LIBC, 2, Some("raise")),
                frame(2, LIBC, 3, Some("abort")),
                frame(3, "/bin/app", caller, None),
            ])
        };
        assert_eq!(abort(10).frames, vec![3]);
        assert_ne!(abort(10).functions, abort(11).functions);
        assert_ne!(abort(10).leaf, abort(11).leaf);
    }

    #[test]
    fn a_library_frame_is_taken_along_and_the_programs_own_ends_the_key() {
        let keys = location_keys(&[
            frame(0, LIBC, 1, Some("memcpy")),
            frame(1, "/bin/app", 10, None),
            frame(2, "/bin/app", 11, None),
        ]);
        assert_eq!(keys.frames, vec![0, 1]);
    }

    #[test]
    fn offsets_inside_a_function_change_only_the_leaf_key() {
        let mut one = frame(0, "/bin/app", 10, None);
        let first = location_keys(&[one]);
        one.offset += 1;
        let second = location_keys(&[one]);
        assert_ne!(first.leaf, second.leaf);
        assert_eq!((first.functions, first.portable), (second.functions, second.portable));
    }

    #[test]
    fn a_rebuild_that_leaves_the_function_alone_keeps_the_portable_key() {
        let old = FrameKey { module: Some(b"/usr/lib/libx-1.2.so"), ..frame(0, "a", 10, None) };
        let new =
            FrameKey { module: Some(b"/opt/libx-1.3.so"), build_id: Some(b"b"), function: Some(99), ..old };
        assert_eq!(location_keys(&[old]).portable, location_keys(&[new]).portable);
        assert_ne!(location_keys(&[old]).functions, location_keys(&[new]).functions);
    }

    #[test]
    fn nothing_is_a_key_of_nothing() {
        assert_eq!(location_keys(&[]), Keys::default());
        assert_eq!(location_keys(&[FrameKey::default()]), Keys::default());
    }
}
